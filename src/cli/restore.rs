//! `snap restore`.

use std::pin::Pin;

use clap::builder::NonEmptyStringValueParser;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::cli::answer::Answer;
use crate::cli::hooked::hooked;
use crate::cli::human::lines;
use crate::cli::human::printable;
use crate::cli::plan;
use crate::cli::plan::Detail;
use crate::cli::settings::Settings;
use crate::profile::certificates::Reboot;
use crate::profile::roles::choices::Choices;
use crate::profile::roles::choices::Remap;
use crate::profile::roles::mapping::UnknownRole;
use crate::profile::service::Verb;
use crate::repository::id::SnapshotId;
use crate::snapshot::execution::Execution;
use crate::snapshot::execution::Journal;
use crate::snapshot::execution::record;
use crate::snapshot::restore;
use crate::snapshot::restore::Binlog;
use crate::snapshot::restore::Outcome;
use crate::snapshot::restore::RestoreOptions;
use crate::snapshot::restore::Restored;
use crate::snapshot::restore::Restoring;
use crate::snapshot::restore::dry_run;
use crate::snapshot::restore::plan::Action;
use crate::snapshot::restore::previous::discard_previous;
use crate::snapshot::restore::resume;
use crate::snapshot::restore::resume::Resumed;

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
  snap restore before-upgrade --force --in-place              where the disk does not hold both states
  snap restore --resume                                       finish or undo one that was killed
  snap restore --discard-previous                             drop what restores kept aside")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Args {
    /// The id of the snapshot
    #[arg(required_unless_present_any = ["discard_previous", "resume"])]
    id: Option<String>,

    /// Restore the certificates too, instead of leaving them as they are
    #[arg(long)]
    restore_certificates: bool,

    /// Leave the host up after certificates were restored
    ///
    /// Cloudify Manager reboots its host then, so that everything uses them. snap never reboots it: it
    /// says what there is to do, and with this flag that is what to restart instead.
    #[arg(long, requires = "restore_certificates")]
    no_reboot: bool,

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
    /// Accounts and roles that are absent are created, passwords included, with the rights that
    /// they had on the database. One that exists keeps its password, its limits and its rights on
    /// the server; what it lacks on the database is added. Rights beyond the database are withheld:
    /// a warning names the statements that give them. The account in use and those of the server,
    /// such as root, stay as they are. --dry-run lists what would be done.
    #[arg(long)]
    restore_users: bool,

    /// Restore what runs with the rights of other accounts from an uploaded snapshot too
    ///
    /// Views, triggers, routines and events run with the rights of their DEFINER. Those of a snapshot
    /// that came as an archive are restored only where that is the account in use, and its bytes are
    /// given to no command of the profile, unless you trust whoever made the archive.
    #[arg(long)]
    trust_definers: bool,

    /// Restore everything, instead of what differs
    ///
    /// Without it a table or a file tree that is identical already stays as it is, proven by its
    /// digests; tables that stay cannot be written to until the restore has ended.
    #[arg(long)]
    full: bool,

    /// Take no snapshot of what is replaced before anything is done
    ///
    /// Without it such a snapshot is taken and tagged `safety`; the last two are kept. One that
    /// cannot be taken is noted: what is replaced is kept aside all the same.
    #[arg(long)]
    no_safety_snapshot: bool,

    /// Replace the database table by table, where the disk does not hold both states
    ///
    /// It takes the room of the largest table alone, and gives up what makes a restore safe: while it
    /// runs the database is a mixture of what it was and what was saved, which nobody should use, and
    /// Ctrl-C does not end it; afterwards nothing is kept aside, and `snap rollback` has nothing to go
    /// back to. The way back is the safety snapshot, which is taken and read back before anything is
    /// touched; where that cannot be done, the restore is refused. One that fails or is killed in the
    /// middle leaves the mixture: --resume finishes it, and restoring the safety snapshot with
    /// --in-place --force goes back. Files and certificates are swapped as always.
    #[arg(long, conflicts_with = "no_safety_snapshot")]
    in_place: bool,

    /// Whether replicas hear of what is done to the database
    ///
    /// With `off` nothing of it is written to the binary log, which takes the right BINLOG ADMIN;
    /// refused on a node of a Galera cluster.
    #[arg(long, value_name = "on|off", value_enum, default_value = "on")]
    binlog: Switch,

    #[command(flatten)]
    roles: RoleFlags,

    /// Finish or undo a restore or a rollback whose process was killed
    #[arg(long, conflicts_with_all = ["id", "restore_certificates", "restore_users", "trust_definers", "force", "full", "dry_run", "only", "database", "discard_previous", "no_safety_snapshot", "binlog", "in_place", "to_version", "map_role", "keep_unknown_roles"])]
    resume: bool,

    /// Drop what earlier restores replaced and kept aside, and restore nothing
    #[arg(long, conflicts_with_all = ["id", "restore_certificates", "restore_users", "trust_definers", "force", "full", "dry_run", "only", "in_place", "to_version", "map_role", "keep_unknown_roles"])]
    discard_previous: bool,
}

/// What is said of the target's version, and of roles.
#[derive(clap::Args)]
struct RoleFlags {
    /// State the product's version on this host, instead of what is detected
    ///
    /// A snapshot of 4.1 or below has the roles of its age, which become those of 4.2 where this
    /// host runs 4.2 or above: `user` becomes `default`, `admin` becomes `sys_admin`, and whoever is
    /// associated with a tenant becomes `user` there. Without this flag the profile's own way to
    /// find the version decides, or else the live database. A snapshot of a newer product than this
    /// host's is refused.
    #[arg(long, value_name = "VERSION", value_parser = NonEmptyStringValueParser::new())]
    to_version: Option<String>,

    /// Make one system role of the snapshot another one; may be given several times
    ///
    /// Roles other than `user` and `admin` refuse the restore, unless it is said what they become:
    /// `sys_admin` or `default`.
    #[arg(long, value_name = "OLD=NEW", value_parser = NonEmptyStringValueParser::new())]
    map_role: Vec<String>,

    /// Keep roles that are not known as they are
    #[arg(long)]
    keep_unknown_roles: bool,
}

impl RoleFlags {
    fn choices(&self) -> Result<Choices> {
        let overrides = self.map_role.iter().map(|text| text.parse());
        Ok(Choices {
            to_version: self.to_version.as_deref().map(str::parse).transpose()?,
            shape: None,
            overrides: overrides.collect::<Result<_>>()?,
            unknown: if self.keep_unknown_roles { UnknownRole::Keep } else { UnknownRole::Refuse },
        })
    }
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Switch {
    On,
    Off,
}

pub(super) async fn run(
    args: Args,
    settings: &Settings,
    monitor: &dyn Monitor,
    interruption: impl Future<Output = Error>,
) -> Result<Answer> {
    if args.resume {
        return resume(settings, monitor).await;
    }
    let Some(id) = &args.id else { return discard(&args, settings, monitor).await };
    let id: SnapshotId = id.parse()?;
    let options = RestoreOptions {
        certificates: args.restore_certificates,
        reboot: if args.no_reboot { Reboot::Unwanted } else { Reboot::Advised },
        force: args.force,
        only: args.only,
        database: args.database,
        users: args.restore_users,
        trust_definers: args.trust_definers,
        full: args.full,
        safety_snapshot: !args.no_safety_snapshot,
        in_place: args.in_place,
        binlog: if args.binlog == Switch::On { Binlog::On } else { Binlog::Off },
        remap: Remap::ByVersion(args.roles.choices()?),
    };
    let detail = if settings.verbose { Detail::All } else { Detail::Differences };
    let profile = &settings.profile;
    if args.dry_run {
        let host = &settings.host(monitor)?;
        let repository = &settings.open("restore").await?;
        let restoring = Restoring { repository, profile, host, monitor };
        let mut planned = tokio::select! {
            biased;
            stopped = interruption => return Err(stopped),
            planned = dry_run(&restoring, &id, &options) => planned?,
        };
        let answer = Answer::new("restore", &planned, to_text(&planned, detail));
        return Ok(answer.failing(planned.refusal.take()));
    }
    let restoring = async |journal: &Journal, stop: Pin<&mut _>| {
        let host = &settings.host(monitor)?;
        let repository = &settings.open("restore").await?;
        let restoring = Restoring { repository, profile, host, monitor };
        Box::pin(restore::in_turn(&restoring, &id, &options, journal, stop)).await
    };
    let snapshot = Some(id.to_string());
    let restored =
        hooked(Verb::Restore, snapshot, settings, monitor, interruption, restoring).await?;
    let text = to_text(&restored, detail);
    Ok(Answer::new("restore", &restored, text).least(String::new()))
}

async fn discard(args: &Args, settings: &Settings, monitor: &dyn Monitor) -> Result<Answer> {
    let about = settings.about("discard-previous", None);
    let discarding = async |_| {
        let host = settings.host(monitor)?;
        discard_previous(&settings.profile, &host, args.database.as_deref(), monitor).await
    };
    let discarded = record(&settings.journals(), about, monitor, discarding).await?;
    let text = if discarded.is_empty() {
        "nothing is kept aside\n".to_owned()
    } else {
        lines(discarded.iter().map(|place| format!("dropped: {}", printable(place))))
    };
    Ok(Answer::new("discarded", &discarded, text).least(String::new()))
}

async fn resume(settings: &Settings, monitor: &dyn Monitor) -> Result<Answer> {
    let host = settings.host(monitor)?;
    let resumed = resume::resume(&settings.profile, &host, monitor).await?;
    let text = if resumed.is_empty() {
        "nothing is unfinished\n".to_owned()
    } else {
        resumed.iter().map(resumed_text).collect()
    };
    Ok(Answer::new("resumed", &resumed, text).least(String::new()))
}

fn resumed_text(resumed: &Resumed) -> String {
    let Execution { id, verb, snapshot, .. } = &resumed.execution;
    let of = snapshot.as_ref().map(|snapshot| format!(" of {snapshot}")).unwrap_or_default();
    match &resumed.outcome {
        None => {
            let parts = resumed.execution.parts.iter().filter(|part| part.places.stays());
            let but = parts.map(|part| format!(", but {} is as its command left it", part.source));
            let but: String = but.collect();
            format!("undone: {verb} {id}{of}; everything is as it was before{but}\n")
        }
        Some(outcome) => {
            let seconds = outcome.incomplete_seconds;
            let done = format!(
                "finished: {verb} {id}{of}; once resumed, the live database was incomplete for {seconds:.3} s\n"
            );
            done + &kept(&outcome.previous) + &way_back(outcome)
        }
    }
}

/// Returns where what was replaced is kept, a line each.
pub(super) fn kept(previous: &[String]) -> String {
    lines(previous.iter().map(|place| format!("kept aside: {}", printable(place))))
}

fn to_text(restored: &Restored, detail: Detail) -> String {
    let id = &restored.plan.snapshot;
    let plan = plan::to_text(restored, detail) + &untrusted(restored);
    if restored.refusal.is_some() {
        return format!("would refuse to restore {id}; nothing was touched\n\n{plan}");
    }
    if !restored.done {
        let safety = if restored.would_save {
            "what is replaced would be saved as a snapshot before\n"
        } else {
            ""
        };
        let given_up = if restored.in_place { GIVEN_UP } else { "" };
        let seconds = restored.plan.estimated_seconds.unwrap_or_default();
        let seconds = format!("it may take about {seconds} s, by the sizes alone\n");
        return format!(
            "would restore {id}; nothing was touched\n\n{plan}\n{safety}{given_up}{seconds}{}",
            remaining(restored)
        );
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
    let incomplete = match (restored_kinds.any(|kind| kind == "mariadb"), restored.in_place) {
        (false, _) => String::new(),
        (true, false) => format!("; the live database was incomplete for {seconds:.3} s"),
        (true, true) => format!(" in place; the live database was a mixture for {seconds:.3} s"),
    };
    let previous = kept(&restored.outcome.previous);
    let safety = restored.outcome.safety_snapshot.as_ref();
    let safety = safety.map(|id| format!("saved before: {id}\n")).unwrap_or_default();
    let way_back = way_back(&restored.outcome);
    let remaining = remaining(restored);
    format!("restored {id}{incomplete}\n\n{plan}{previous}{safety}{way_back}{remaining}")
}

/// Returns what no snapshot brings to a host that had nothing of the service, with the commands
/// that do.
fn remaining(restored: &Restored) -> String {
    if restored.new_host.is_empty() {
        return String::new();
    }
    let remarks = restored.new_host.iter().flat_map(|remark| {
        let command = remark.command.iter().map(|command| format!("    {}", printable(command)));
        std::iter::once(format!("- {}", printable(&remark.text))).chain(command)
    });
    format!(
        "\nwhat remains to be done on a new host, since no snapshot does it:\n{}",
        lines(remarks)
    )
}

/// What a restore in place gives up, before it begins.
const GIVEN_UP: &str = "\
in place: every blob of that snapshot is read before anything is touched, since it is the only way back
in place: until the last table is in, the database is a mixture that nobody should use
in place: nothing is kept aside, and there is no rollback
";

/// Returns what there is instead of a rollback, after a restore in place.
fn way_back(outcome: &Outcome) -> String {
    let told =
        |back| format!("nothing is kept aside, and there is no rollback: `{back}` goes back\n");
    outcome.way_back.as_ref().map(told).unwrap_or_default()
}

/// Returns what stands in the way of a restore until the user trusts it.
fn untrusted(restored: &Restored) -> String {
    let sources = &restored.plan.sources;
    let definers = sources.iter().flat_map(|source| source.untrusted_definers.iter().cloned());
    let fed = sources.iter().filter_map(|source| {
        let program = source.fed_program.as_ref()?;
        Some(format!("what the snapshot holds of {} is given to {program}", source.name))
    });
    let untrusted = definers.chain(fed);
    lines(untrusted.map(|what| format!("needs --trust-definers: {}", printable(&what))))
}
