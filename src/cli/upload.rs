//! `snap upload`.

use std::fs::File;
use std::path::PathBuf;

use crate::base::error::Context as _;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::cli::answer::Answer;
use crate::cli::create::answer;
use crate::cli::settings::Settings;
use crate::snapshot::archive::upload;
use crate::snapshot::execution::record;

/// Take a downloaded snapshot into the repository
///
/// Every byte is verified first: when one is wrong, nothing is listed. What `skopeo copy` made of
/// such a file is taken too. The repository is made when its folder is absent or empty.
///
/// The first line of the answer is the id; with --quiet it is the only one.
#[derive(clap::Args)]
#[command(after_help = "Example: snap upload before-upgrade.snap.tar --snapshot-id from-old-host")]
pub(super) struct Args {
    /// The file that `snap download` wrote
    path: PathBuf,

    /// List it under this id instead of the one it was created with
    #[arg(long, short, value_name = "ID")]
    snapshot_id: Option<String>,
}

pub(super) async fn run(args: &Args, settings: &Settings, monitor: &dyn Monitor) -> Result<Answer> {
    let id = args.snapshot_id.as_deref().map(str::parse).transpose()?;
    // A misspelt path leaves no repository behind.
    File::open(&args.path).context(|| format!("cannot open {}", args.path.display()))?;
    let about = settings.about("upload", args.snapshot_id.clone());
    let uploading = async |_| {
        let repository = settings.open_or_create("upload").await?;
        upload(&repository, &args.path, id, monitor).await
    };
    Ok(answer(&record(&settings.journals(), about, monitor, uploading).await?))
}
