//! The command line: the words of the user.
//!
//! One file per command: its arguments, whose comments are its help, then its function. A command
//! returns an answer and prints nothing; `ui` prints, `settings` reads the environment.

use std::ffi::OsString;
use std::io;

use clap::Parser;
use clap::Subcommand;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::base::monitor::Recorder;
use crate::base::stages::Stages;
use crate::cli::answer::Answer;
use crate::cli::flags::GlobalFlags;
use crate::cli::progress::Progress;
use crate::cli::settings::Environment;
use crate::cli::settings::Settings;
use crate::cli::settings::config;
use crate::cli::ui::Ui;

mod answer;
mod flags;
mod hooked;
mod human;
mod interrupt;
mod path;
mod plan;
mod progress;
mod settings;
mod table;
mod ui;
mod upgraded;

mod create;
mod list;
mod show;
mod restore;
mod download;
mod upload;
mod verify;
mod delete;
mod pin;
mod unpin;
mod prune;
mod rollback;
mod upgrade;
mod executions;
mod profile;
mod doctor;
mod completions;

const AFTER_HELP: &str = "\
Before an upgrade:            snap create before-upgrade
When the upgrade failed:      snap restore before-upgrade --force
When that was wrong:          snap rollback
All of it by itself:          snap upgrade --profile centreon-map -- COMMAND
To carry it to another host:  snap download before-upgrade
                              snap upload before-upgrade.snap.tar   (there)";

const AFTER_LONG_HELP: &str = "\
Examples:
  snap create before-upgrade             save everything that the profile names
  snap restore before-upgrade --force    put it back over what is there now
  snap download before-upgrade           write before-upgrade.snap.tar
  snap upload before-upgrade.snap.tar    take it in, on another host

Environment:
  SNAP_REPOSITORY          as --repository
  SNAP_CONFIG              as --config
  SNAP_DATABASE_PASSWORD   the password of the database account; without it, the systemd
                           credential `database-password`, then the my.cnf files

Exit codes:
  0   done
  1   failed
  2   wrong arguments or configuration
  3   done, but the result lacks something that the warnings name
  10  no such repository or snapshot
  11  locked by another process, or a killed restore is unfinished: snap restore --resume
  12  the database refuses the account, or the account lacks a right
  13  a snapshot or an archive is damaged
  14  refused: the id or the file exists, the target is not empty, the snapshot is pinned, or
      the format is too new
  20  the database cannot be reached
  21  no snapshot of one moment could be had
  22  the restored state is not the saved one
  40  a hook, a command or a health check of the profile failed
  130 interrupted by Ctrl-C; 143 terminated by SIGTERM";

/// Save and restore an appliance: its database, its certificates and its users
///
/// A snapshot holds what the profile names; the built-in profile `studio` names the
/// database `centreon_studio` of MariaDB, the certificates in /etc/cloudify/ssl and
/// /opt/manager/rest-security.conf. Snapshots are kept in a repository, an OCI image layout that
/// jq, zstd and tar can read without this program.
///
/// Nothing here ever asks a question. The answer goes to standard output, everything else to
/// standard error.
#[derive(Parser)]
#[command(name = "snap", version, arg_required_else_help = true, subcommand_required = true)]
#[command(after_help = AFTER_HELP, after_long_help = AFTER_LONG_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    flags: GlobalFlags,
}

#[derive(Subcommand)]
enum Command {
    Create(create::Args),
    List(list::Args),
    Show(show::Args),
    Restore(restore::Args),
    Rollback(rollback::Args),
    Upgrade(upgrade::Args),
    Download(download::Args),
    Upload(upload::Args),
    Verify(verify::Args),
    Delete(delete::Args),
    Pin(pin::Args),
    Unpin(unpin::Args),
    Prune(prune::Args),
    Executions(executions::Args),
    Profile(profile::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),
}

/// Runs the command that the arguments name and prints its answer; returns the exit code.
pub async fn run(arguments: impl Iterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return ui::print_clap(&error, arguments.iter().any(|word| word == "--json")),
    };
    let ui = Ui::new(&cli.flags);
    let progress = Progress::new(ui);
    let monitor = Recorder::new(&progress);
    let stages = Stages::default();
    let outcome = Box::pin(dispatch(cli.command, &cli.flags, &stages, &monitor)).await;
    progress.finish();
    ui.finish(outcome, &monitor.said(), &stages.spent())
}

/// Prints that the process could not even begin to run; returns the exit code.
pub fn cannot_begin(cause: io::Error) -> u8 {
    let error = Error::failed("cannot start the threads of this process").caused_by(cause);
    ui::report(&error);
    error.kind().exit_code()
}

async fn dispatch(
    command: Command,
    flags: &GlobalFlags,
    stages: &Stages,
    monitor: &dyn Monitor,
) -> Result<Answer> {
    let stop = interrupt::interrupted();
    let settings = || {
        let mut settings = Settings::merge(flags, Environment::read())?;
        settings.stages = stages.clone();
        Ok::<_, Error>(settings)
    };
    match command {
        // They take back what they began: dropped at any moment, they would leave it.
        Command::Create(args) => create::run(args, &settings()?, monitor, stop).await,
        Command::List(args) => until(stop, list::run(&args, &settings()?, monitor)).await,
        Command::Show(args) => until(stop, show::run(&args, &settings()?)).await,
        // What may save, build and load holds all that this takes.
        Command::Restore(args) => Box::pin(restore::run(args, &settings()?, monitor, stop)).await,
        Command::Rollback(args) => {
            Box::pin(rollback::run(&args, &settings()?, monitor, stop)).await
        }
        Command::Upgrade(args) => upgrade::run(args, &settings()?, monitor, stop).await,
        Command::Download(args) => until(stop, download::run(args, &settings()?, monitor)).await,
        Command::Upload(args) => until(stop, upload::run(&args, &settings()?, monitor)).await,
        Command::Verify(args) => until(stop, verify::run(&args, &settings()?, monitor)).await,
        Command::Delete(args) => until(stop, delete::run(&args, &settings()?, monitor)).await,
        Command::Pin(args) => until(stop, pin::run(&args, &settings()?, monitor)).await,
        Command::Unpin(args) => until(stop, unpin::run(&args, &settings()?, monitor)).await,
        Command::Prune(args) => until(stop, prune::run(&args, &settings()?, monitor)).await,
        Command::Executions(args) => executions::run(&args, &settings()?, monitor),
        Command::Profile(args) => profile::run(&args, || config(flags, &Environment::read())),
        Command::Doctor(args) => until(stop, doctor::run(&args, &settings()?, monitor)).await,
        Command::Completions(args) => Ok(completions::run(&args)),
    }
}

/// Runs a verb; where the process is told to end before it has ended, the verb is dropped.
async fn until(
    stop: impl Future<Output = Error>,
    verb: impl Future<Output = Result<Answer>>,
) -> Result<Answer> {
    tokio::select! {
        // Signals first: they count from before the verb began.
        biased;
        interruption = stop => Err(interruption),
        outcome = verb => outcome,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use crate::base::error::Kind;
    use crate::profile::LoginFlags;

    use super::*;

    fn parse(line: &str) -> Cli {
        Cli::try_parse_from(line.split(' ')).expect("the line is right")
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_global_flag_is_accepted_before_and_after_the_command() {
        for line in [
            "snap --repository /r --host h --json -q list",
            "snap list --repository /r --host h --json -q",
            "snap --host h list -q --repository /r --json",
        ] {
            let flags = parse(line).flags;
            assert_eq!(flags.repository.as_deref(), Some("/r"), "{line}");
            let login = flags.database.over(&LoginFlags::default());
            assert_eq!(login.host.as_deref(), Some("h"), "{line}");
            assert!(flags.json && flags.quiet, "{line}");
        }
    }

    #[test]
    fn the_flags_of_a_restore_and_those_of_the_server_stay_apart() {
        let line = "snap restore a --database copy --user snap --only database --only users";
        let Cli { command: Command::Restore(_), flags } = parse(line) else {
            panic!("a restore was asked for");
        };
        let login = flags.database.over(&LoginFlags::default());
        assert_eq!(login.user.as_deref(), Some("snap"));
    }

    #[test]
    fn every_command_says_what_it_does_and_gives_an_example() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(about.starts_with(|c: char| c.is_ascii_uppercase()), "{name}: {about}");
            assert!(!about.ends_with('.'), "{name}: {about}");
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains(&format!("snap {name}")), "{name}: {after}");
        }
    }

    #[test]
    fn the_help_has_every_exit_code() {
        for kind in [
            Kind::Failed,
            Kind::Usage,
            Kind::Absent,
            Kind::Busy,
            Kind::Denied,
            Kind::Damaged,
            Kind::Refused,
            Kind::Unreachable,
            Kind::Inconsistent,
            Kind::Mismatch,
            Kind::Hook,
            Kind::Interrupted,
            Kind::Terminated,
        ] {
            let code = kind.exit_code();
            let lines = AFTER_LONG_HELP.lines().flat_map(|line| line.split(';'));
            let named =
                lines.map(str::trim_start).any(|line| line.starts_with(&format!("{code} ")));
            assert!(named, "{code}");
        }
    }
}
