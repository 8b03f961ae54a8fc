//! `snap unpin`.

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::cli::answer::Answer;
use crate::cli::settings::Settings;
use crate::repository::id::SnapshotId;
use crate::snapshot::execution::record;
use crate::snapshot::pin::unpin;

/// Let a pinned snapshot be deleted again
#[derive(clap::Args)]
#[command(after_help = "Example: snap unpin before-upgrade")]
pub(super) struct Args {
    /// The id of the snapshot
    id: String,
}

pub(super) async fn run(args: &Args, settings: &Settings, monitor: &dyn Monitor) -> Result<Answer> {
    let id: SnapshotId = args.id.parse()?;
    let about = settings.about("unpin", Some(args.id.clone()));
    let unpinning = async |_| unpin(&settings.open("unpin").await?, &id).await;
    record(&settings.journals(), about, monitor, unpinning).await?;
    Ok(Answer::new("unpinned", &id, format!("unpinned {id}\n")).least(String::new()))
}
