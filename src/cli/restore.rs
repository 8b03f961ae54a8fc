//! `snap restore`.

use clap::builder::NonEmptyStringValueParser;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::cli::answer::Answer;
use crate::cli::human::lines;
use crate::cli::human::printable;
use crate::cli::plan;
use crate::cli::plan::Detail;
use crate::cli::settings::Settings;
use crate::snapshot::restore::RestoreOptions;
use crate::snapshot::restore::Restored;
use crate::snapshot::restore::plan::Action;
use crate::snapshot::restore::previous::discard_previous;
use crate::snapshot::restore::restore;

/// Put a snapshot back, or touch nothing
///
/// Everything is built beside the live database and files and proven against the snapshot; only
/// then does it take their place, in an instant. A restore that fails leaves all as it was.
///
/// Certificates stay as they are unless --restore-certificates is given. A database that has
/// tables is replaced only with --force; without it the restore is refused with exit code 14.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  snap restore before-upgrade --dry-run                       say what would be done
  snap restore before-upgrade --force                         go back
  snap restore before-upgrade --only database --database old  look at it beside the live one
  snap restore before-move --restore-users                    bring the accounts along
  snap restore --discard-previous                             drop what restores kept aside")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Args {
    /// The id of the snapshot
    #[arg(required_unless_present = "discard_previous")]
    id: Option<String>,

    /// Restore the certificates too, instead of leaving them as they are
    #[arg(long)]
    restore_certificates: bool,

    /// Replace a database that has tables, and all that is in it
    #[arg(long)]
    force: bool,

    /// Print the plan and touch nothing
    ///
    /// Every table and file is compared with what is live; -v names the identical ones too. Fails
    /// as the restore would where that would be refused.
    #[arg(long)]
    dry_run: bool,

    /// Restore this source alone, such as `database`; may be given several times
    #[arg(long, value_name = "SOURCE", value_parser = NonEmptyStringValueParser::new())]
    only: Vec<String>,

    /// Restore the database under this name, and leave the live one alone
    #[arg(long, value_name = "NEW_NAME", value_parser = NonEmptyStringValueParser::new())]
    database: Option<String>,

    /// Restore the accounts that were saved with the database (`users = true` in its profile)
    ///
    /// Accounts and roles that are absent are created as they were, passwords included. One that
    /// exists keeps its password, its limits and its rights on the server; what it lacks on the
    /// database is added. The account in use and those of the server, such as root, stay as they
    /// are. --dry-run lists what would be done.
    #[arg(long)]
    restore_users: bool,

    /// Restore what runs with the rights of other accounts from an uploaded snapshot too
    ///
    /// Views, triggers, routines and events run with the rights of their DEFINER. Those of a snapshot
    /// that came as an archive are restored only where that is the account in use, unless you trust
    /// whoever made the archive.
    #[arg(long)]
    trust_definers: bool,

    /// Restore everything, instead of what differs
    ///
    /// Without it a table or a file tree that is identical already stays as it is, proven by its
    /// digests; tables that stay cannot be written to until the restore has ended.
    #[arg(long)]
    full: bool,

    /// Drop what earlier restores replaced and kept aside, and restore nothing
    #[arg(long, conflicts_with_all = ["id", "restore_certificates", "restore_users", "trust_definers", "force", "full", "dry_run", "only"])]
    discard_previous: bool,
}

pub(super) async fn run(
    args: Args,
    settings: &Settings,
    monitor: &dyn Monitor,
    interruption: impl Future<Output = Error>,
) -> Result<Answer> {
    let Some(id) = &args.id else { return discard(&args, settings, monitor).await };
    let id = id.parse()?;
    let options = RestoreOptions {
        certificates: args.restore_certificates,
        force: args.force,
        dry_run: args.dry_run,
        only: args.only,
        database: args.database,
        users: args.restore_users,
        trust_definers: args.trust_definers,
        full: args.full,
    };
    let host = settings.host(monitor)?;
    let repository = settings.open("restore").await?;
    let profile = &settings.profile;
    let mut restored =
        restore(&repository, profile, &host, &id, &options, monitor, interruption).await?;
    let detail = if settings.verbose { Detail::All } else { Detail::Differences };
    let answer = Answer::new("restore", &restored, to_text(&restored, detail));
    let answer = answer.failing(restored.refusal.take());
    Ok(if restored.done { answer.least(String::new()) } else { answer })
}

async fn discard(args: &Args, settings: &Settings, monitor: &dyn Monitor) -> Result<Answer> {
    let host = settings.host(monitor)?;
    let discarded = discard_previous(&settings.profile, &host, args.database.as_deref()).await?;
    let text = if discarded.is_empty() {
        "nothing is kept aside\n".to_owned()
    } else {
        lines(discarded.iter().map(|place| format!("dropped: {}", printable(place))))
    };
    Ok(Answer::new("discarded", &discarded, text).least(String::new()))
}

fn to_text(restored: &Restored, detail: Detail) -> String {
    let id = &restored.plan.snapshot;
    let plan = plan::to_text(restored, detail) + &untrusted(restored);
    if restored.refusal.is_some() {
        return format!("would refuse to restore {id}; nothing was touched\n\n{plan}");
    }
    if !restored.done {
        let seconds = restored.plan.estimated_seconds.unwrap_or_default();
        let seconds = format!("it may take about {seconds} s, by the sizes alone");
        return format!("would restore {id}; nothing was touched\n\n{plan}\n{seconds}\n");
    }
    let mut restored_kinds = restored
        .plan
        .sources
        .iter()
        .filter(|source| matches!(source.action, Action::Create | Action::Replace))
        .map(|source| source.kind.as_str())
        .peekable();
    if restored_kinds.peek().is_none() {
        return format!("nothing to restore from {id}; nothing was touched\n\n{plan}");
    }
    let seconds = restored.outcome.incomplete_seconds;
    let incomplete = if restored_kinds.any(|kind| kind == "mariadb") {
        format!("; the live database was incomplete for {seconds:.3} s")
    } else {
        String::new()
    };
    let previous =
        restored.outcome.previous.iter().map(|place| format!("kept aside: {}", printable(place)));
    let previous = lines(previous);
    format!("restored {id}{incomplete}\n\n{plan}{previous}")
}

/// Returns what stands in the way of a restore until the user trusts it.
fn untrusted(restored: &Restored) -> String {
    let untrusted = restored.plan.sources.iter().flat_map(|source| &source.untrusted_definers);
    lines(untrusted.map(|definer| format!("needs --trust-definers: {}", printable(definer))))
}
