//! `snap delete`.

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::cli::answer::Answer;
use crate::cli::human::lines;
use crate::cli::settings::Settings;
use crate::repository::id::SnapshotId;
use crate::snapshot::delete::delete;
use crate::snapshot::execution::record;
use crate::snapshot::execution::refuse_needed;

/// Delete snapshots
///
/// They are no longer listed and cannot be restored. When one of several ids is unknown, or one is
/// pinned, none is deleted. The space comes back with `snap prune`.
#[derive(clap::Args)]
#[command(after_help = "Example: snap delete before-upgrade && snap prune")]
pub(super) struct Args {
    /// The ids of the snapshots
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

pub(super) async fn run(args: &Args, settings: &Settings, monitor: &dyn Monitor) -> Result<Answer> {
    let ids = args.ids.iter().map(|id| id.parse()).collect::<Result<Vec<SnapshotId>>>()?;
    let about = settings.about("delete", Some(args.ids.join(", ")));
    let deleting = async |_| {
        refuse_needed(&settings.journals(), &ids)?;
        let repository = settings.open("delete").await?;
        delete(&repository, &ids).await
    };
    record(&settings.journals(), about, monitor, deleting).await?;
    let text = lines(ids.iter().map(|id| format!("deleted {id}")));
    Ok(Answer::new("deleted", &ids, text).least(String::new()))
}
