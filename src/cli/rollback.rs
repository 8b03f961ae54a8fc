//! `snap rollback`.

use std::sync::Arc;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::cli::answer::Answer;
use crate::cli::human::printable;
use crate::cli::restore::kept;
use crate::cli::settings::Settings;
use crate::snapshot::execution::Journal;
use crate::snapshot::execution::record;
use crate::snapshot::restore::rollback::RolledBack;
use crate::snapshot::restore::rollback::dry_run;
use crate::snapshot::restore::rollback::rollback;

/// Undo the last restore of this profile
///
/// What that restore replaced and kept aside takes its place again, in an instant: databases with
/// all their programs, files and certificates. What is live now is kept aside instead, so that a
/// second rollback undoes the first. What was written since the restore goes with it.
///
/// What a command of the profile restored has no name to change: the same command is given what
/// was saved before the restore, when all else is in place.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  snap rollback --dry-run    say which restore would be undone
  snap rollback              undo it")]
pub(super) struct Args {
    /// Say which restore would be undone and touch nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(
    args: &Args,
    settings: &Settings,
    monitor: &dyn Monitor,
    interruption: impl Future<Output = Error>,
) -> Result<Answer> {
    if args.dry_run {
        let planned = dry_run(&settings.profile, &settings.host(monitor)?)?;
        return Ok(Answer::new("rollback", &planned, to_text(&planned)));
    }
    let rolling = async |journal: Arc<Journal>| {
        let host = settings.host(monitor)?;
        rollback(&settings.profile, &host, &journal, monitor, interruption).await
    };
    let about = settings.about("rollback", None);
    let done = record(&settings.journals(), about, monitor, rolling).await?;
    Ok(Answer::new("rollback", &done, to_text(&done)).least(String::new()))
}

fn to_text(rolled_back: &RolledBack) -> String {
    let undone = &rolled_back.undone;
    let (verb, id) = (&undone.verb, &undone.id);
    let of = undone.snapshot.as_ref().map(|snapshot| format!(" of {snapshot}")).unwrap_or_default();
    let at = undone.started.strftime("%Y-%m-%d %H:%M:%S UTC");
    let what = format!("{verb} {id}{of}, {at}");
    let targets = rolled_back.targets.iter().map(|target| format!("  {}\n", printable(target)));
    let commands = rolled_back.commands.iter().map(|told| format!("note: {}\n", printable(told)));
    let targets: String = targets.chain(commands).collect();
    if !rolled_back.done {
        return format!("would undo {what}; nothing was touched\n{targets}");
    }
    let seconds = rolled_back.outcome.incomplete_seconds;
    let incomplete = if undone.touches_databases() {
        format!("; the live database was incomplete for {seconds:.3} s")
    } else {
        String::new()
    };
    format!("undone: {what}{incomplete}\n{targets}{}", kept(&rolled_back.outcome.previous))
}
