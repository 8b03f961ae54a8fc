//! `snap upgrade`.

use std::pin::Pin;

use clap::builder::NonEmptyStringValueParser;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::cli::answer::Answer;
use crate::cli::hooked::hooked;
use crate::cli::path;
use crate::cli::settings::Settings;
use crate::cli::upgraded;
use crate::profile::service::Verb;
use crate::profile::upgrade::Move;
use crate::profile::upgrade::Users;
use crate::profile::upgrade::plan::Situation;
use crate::profile::version::Version;
use crate::snapshot::execution::Journal;
use crate::snapshot::upgrade::UpgradeOptions;
use crate::snapshot::upgrade::Upgrading;
use crate::snapshot::upgrade::outline::outline;
use crate::snapshot::upgrade::path::Asked;
use crate::snapshot::upgrade::path::path;
use crate::snapshot::upgrade::resume::Ending;
use crate::snapshot::upgrade::resume::resume;
use crate::snapshot::upgrade::upgrade;

/// Run an upgrade, and go back by itself where it fails
///
/// A snapshot is taken and read back, the units of the profile are stopped, the command runs, the
/// units are started, and the health checks of the profile are awaited. Where the command fails, or
/// the service does not become well, or Ctrl-C ends it, all goes back: the packages by --undo or the
/// profile's own command, then everything that was saved, exactly; the units are started, the health
/// is checked again, and the exit code is 40, or 130 where Ctrl-C was all that was wrong. Without a
/// way back for the packages the data is restored and the units stay stopped: new programs would
/// change old data again.
///
/// The command runs as it is given, without a shell, and reads nothing: give it its flag for yes. Its
/// output is shown, and kept beside the journal of this execution.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  snap upgrade --profile centreon-map --plan --to-version 20.10.3
                               print the whole path, with every step
  snap upgrade --profile centreon-map --to-version 20.10.3 \\
      --undo 'yum -y downgrade centreon-map-server-20.04.8' \\
      -- yum -y update centreon-map-server
                               upgrade, or be back where it was; --dry-run says how
  snap upgrade --resume        go back from an upgrade that was killed
  snap upgrade --resume --as-it-is
                               end one that was put right by hand, and touch nothing")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Args {
    /// Print the whole path to a version with every step, and do nothing
    #[arg(long, requires = "to_version", conflicts_with_all = ["command", "undo", "dry_run", "resume"])]
    plan: bool,

    /// State the version that the upgrade leads to, so that the version rules are checked
    #[arg(long, value_name = "VERSION", conflicts_with = "resume")]
    to_version: Option<Version>,

    /// State the version that is installed, where the profile does not find it
    #[arg(long, value_name = "VERSION", conflicts_with = "resume")]
    from_version: Option<Version>,

    /// State the version of the central, which must be of the same series
    #[arg(long, value_name = "VERSION", conflicts_with = "resume")]
    central_version: Option<Version>,

    /// State the latest version that there is, for products that are upgraded to no other one
    #[arg(long, value_name = "VERSION", conflicts_with = "resume")]
    latest_version: Option<Version>,

    /// Plan the move to a new host, instead of an upgrade in place
    #[arg(long, requires = "plan")]
    new_host: bool,

    /// Leave out of the plan what only several users need
    #[arg(long, requires = "plan")]
    one_user: bool,

    /// Bring the packages back by this command of the shell, where the upgrade fails
    ///
    /// It counts instead of the profile's own, and has an hour. It runs whenever the command has
    /// begun, before anything is restored.
    #[arg(long, value_name = "COMMAND", value_parser = NonEmptyStringValueParser::new())]
    undo: Option<String>,

    /// Print what would be done and touch nothing
    #[arg(long, conflicts_with = "resume")]
    dry_run: bool,

    /// Go back from an upgrade that was killed, or that could not go back
    #[arg(long, conflicts_with = "command")]
    resume: bool,

    /// End it with all as it is now, put right by hand; start and restore nothing
    #[arg(long, requires = "resume", conflicts_with = "undo")]
    as_it_is: bool,

    /// The command and its arguments, after `--`
    #[arg(last = true, required_unless_present_any = ["plan", "resume"])]
    command: Vec<String>,
}

pub(super) async fn run(
    args: Args,
    settings: &Settings,
    monitor: &dyn Monitor,
    interruption: impl Future<Output = Error>,
) -> Result<Answer> {
    if args.resume {
        let ending = if args.as_it_is { Ending::AsItIs } else { Ending::Back(args.undo) };
        return end(&ending, settings, monitor).await;
    }
    let situation = Situation {
        place: if args.new_host { Move::NewHost } else { Move::InPlace },
        users: if args.one_user { Users::One } else { Users::Unknown },
        central: args.central_version,
        latest: args.latest_version,
    };
    if let Some(to) = args.to_version.clone().filter(|_| args.plan) {
        let asked = Asked { to, from: args.from_version, situation };
        return tokio::select! {
            biased;
            stopped = interruption => Err(stopped),
            answer = plan(settings, &asked) => answer,
        };
    }
    let options = UpgradeOptions {
        command: args.command,
        undo: args.undo,
        to: args.to_version,
        from: args.from_version,
        situation,
    };
    if args.dry_run {
        return tokio::select! {
            biased;
            stopped = interruption => Err(stopped),
            answer = outlined(settings, &options, monitor) => answer,
        };
    }
    let mut report = None;
    let upgrading = async |journal: &Journal, stop: Pin<&mut _>| {
        let (profile, host) = (&settings.profile, &settings.host(monitor)?);
        let repository = &settings.open_or_create("upgrade").await?;
        let upgrading = Upgrading { repository, profile, host, monitor, journal };
        let mut upgraded = upgrade(&upgrading, &options, stop).await?;
        let failure = upgraded.failure.take();
        report = Some(upgraded);
        failure.map_or(Ok(()), Err)
    };
    let ended = hooked(Verb::Upgrade, None, settings, monitor, interruption, upgrading).await;
    let Some(report) = report else {
        return Err(ended.expect_err("an upgrade with nothing to report has failed"));
    };
    let answer = Answer::new("upgrade", &report, upgraded::to_text(&report));
    Ok(answer.least(String::new()).failing(ended.err()))
}

/// Says what an upgrade would do.
async fn outlined(
    settings: &Settings,
    options: &UpgradeOptions,
    monitor: &dyn Monitor,
) -> Result<Answer> {
    let host = settings.host(monitor)?;
    let outlined = outline(&settings.profile, &host, options, monitor).await?;
    let text = upgraded::outline_text(&outlined);
    Ok(Answer::new("upgrade", &outlined, text))
}

/// Prints the path to a version.
async fn plan(settings: &Settings, asked: &Asked) -> Result<Answer> {
    let path = path(&settings.profile, settings.root(), asked).await?;
    let text = path::to_text(&path, &settings.profile.name);
    Ok(Answer::new("plan", &path, text))
}

async fn end(ending: &Ending, settings: &Settings, monitor: &dyn Monitor) -> Result<Answer> {
    let host = settings.host(monitor)?;
    let mut resumed = resume(&settings.profile, &host, ending, monitor).await?;
    let text = if resumed.is_empty() {
        "no upgrade is unfinished\n".to_owned()
    } else {
        resumed.iter().map(upgraded::to_text).collect()
    };
    let failures = resumed.iter_mut().filter_map(|upgraded| upgraded.failure.take());
    let failure = failures.reduce(|one, other| {
        let text = format!("{}; {}", one.chain(), other.chain());
        Error::new(Kind::Hook, text).hint(one.advice().unwrap_or_default().to_owned())
    });
    Ok(Answer::new("resumed", &resumed, text).least(String::new()).failing(failure))
}
