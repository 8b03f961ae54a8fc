//! `snap pin`.

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::cli::answer::Answer;
use crate::cli::settings::Settings;
use crate::repository::id::SnapshotId;
use crate::snapshot::execution::record;
use crate::snapshot::pin::pin;

/// Keep a snapshot from being deleted
///
/// `snap delete` refuses it with exit code 14, and a restore that keeps the last two safety snapshots
/// neither deletes nor counts it. `snap list` shows it as pinned.
#[derive(clap::Args)]
#[command(after_help = "Example: snap pin before-upgrade")]
pub(super) struct Args {
    /// The id of the snapshot
    id: String,
}

pub(super) async fn run(args: &Args, settings: &Settings, monitor: &dyn Monitor) -> Result<Answer> {
    let id: SnapshotId = args.id.parse()?;
    let about = settings.about("pin", Some(args.id.clone()));
    let pinning = async |_| pin(&settings.open("pin").await?, &id).await;
    record(&settings.journals(), about, monitor, pinning).await?;
    Ok(Answer::new("pinned", &id, format!("pinned {id}\n")).least(String::new()))
}
