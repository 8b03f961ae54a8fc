//! `snap download`.

use std::path::PathBuf;

use serde_json::json;

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::cli::answer::Answer;
use crate::cli::human::size;
use crate::cli::settings::Settings;
use crate::cli::table::Table;
use crate::repository::id::SnapshotId;
use crate::snapshot::archive::download;

/// Write a snapshot as one file, to carry it to another host
///
/// The file is an OCI archive, which `skopeo` reads too. The same snapshot gives the same bytes
/// every time. It holds everything, keys and passwords included, and is readable by its owner
/// alone. A file that exists is never overwritten.
#[derive(clap::Args)]
#[command(after_help = "Example: snap download before-upgrade -o /mnt/usb/before-upgrade.snap.tar")]
pub(super) struct Args {
    /// The id of the snapshot
    id: String,

    /// Write to this file instead of `ID.snap.tar` in the current folder
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,
}

pub(super) async fn run(args: Args, settings: &Settings, monitor: &dyn Monitor) -> Result<Answer> {
    let id: SnapshotId = args.id.parse()?;
    let path = args.output.unwrap_or_else(|| PathBuf::from(format!("{id}.snap.tar")));
    let repository = settings.open("download").await?;
    let downloaded = download(&repository, &id, &path, monitor).await?;
    // A path need not be UTF-8, as JSON must be.
    let path = downloaded.path.display().to_string();
    let value = json!({"path": path, "bytes": downloaded.bytes, "digest": downloaded.digest});
    let mut table = Table::of_values();
    table.row(["  size".to_owned(), size(downloaded.bytes)]);
    table.row(["  digest".to_owned(), downloaded.digest]);
    let path = format!("{path}\n");
    Ok(Answer::new("archive", &value, format!("{path}{}", table.to_text())).least(path))
}
