//! `snap upgrade`.

use clap::builder::NonEmptyStringValueParser;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::cli::answer::Answer;
use crate::cli::path;
use crate::cli::settings::Settings;
use crate::profile::upgrade::Move;
use crate::profile::upgrade::Users;
use crate::profile::upgrade::plan::Situation;
use crate::profile::version::Version;
use crate::snapshot::upgrade::path::Asked;

/// Run an upgrade, and go back by itself where it fails
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  snap upgrade --plan --to-version 20.04.3     print the whole path, with every step
  snap upgrade --to-version 20.04.3 --undo 'yum -y downgrade centreon-map-server' -- yum -y update centreon-map-server
  snap upgrade --resume                        go back from one that was killed")]
pub(super) struct Args {
    /// Print the whole path to a version with every step, and do nothing
    #[arg(long, requires = "to_version")]
    plan: bool,

    /// State the version to come to, for which the version rules of the profile are checked
    #[arg(long, value_name = "VERSION")]
    to_version: Option<Version>,

    /// State the version that is installed, where the profile cannot find it
    #[arg(long, value_name = "VERSION")]
    from_version: Option<Version>,

    /// Plan the move to a new host, instead of an upgrade in place
    #[arg(long, requires = "plan")]
    new_host: bool,

    /// Leave out of the plan what several users need
    #[arg(long, requires = "plan")]
    one_user: bool,

    /// State the version of the central, which must be of the same series
    #[arg(long, value_name = "VERSION")]
    central_version: Option<Version>,

    /// State the latest version that there is, where no other one is a goal
    #[arg(long, value_name = "VERSION")]
    latest_version: Option<Version>,

    /// The upgrade and its arguments
    #[arg(last = true, value_parser = NonEmptyStringValueParser::new())]
    command: Vec<String>,
}

pub(super) async fn run(
    args: Args,
    settings: &Settings,
    _monitor: &dyn Monitor,
    interruption: impl Future<Output = Error>,
) -> Result<Answer> {
    let situation = Situation {
        place: if args.new_host { Move::NewHost } else { Move::InPlace },
        users: if args.one_user { Users::One } else { Users::Unknown },
        central: args.central_version,
        latest: args.latest_version,
    };
    let to = args.to_version.ok_or_else(|| Error::failed("cannot upgrade"))?;
    let asked = Asked { to, from: args.from_version, situation };
    tokio::select! {
        biased;
        stopped = interruption => Err(stopped),
        answer = plan(settings, &asked) => answer,
    }
}

/// Prints the path to a version.
async fn plan(settings: &Settings, asked: &Asked) -> Result<Answer> {
    let path = crate::snapshot::upgrade::path::path(&settings.profile, settings.root(), asked).await?;
    let text = path::to_text(&path, &settings.profile.name);
    Ok(Answer::new("plan", &path, text))
}
