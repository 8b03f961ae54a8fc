//! `snap profile`.

use std::path::Path;
use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;
use serde_json::json;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::cli::answer::Answer;
use crate::cli::human::counted;
use crate::cli::human::lines;
use crate::cli::table::Table;
use crate::profile::Profile;
use crate::profile::config::Config;
use crate::profile::config::Origin;
use crate::profile::written::Written;
use crate::profile::written::to_toml;

/// Show what is saved and restored, and check what an operator wrote of it
///
/// A profile says what makes up a service: its sources, its units, how its health and its version
/// are found, and what there is to do after an upgrade. Some are built in; those of the
/// configuration file stand beside them, or in their place.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  snap profile list                            all that --profile can name
  snap profile show centreon-map               one of them, as it can be written into a file
  snap profile check /etc/snap/snap.toml       whether a file is right, before it is used
  snap profile show studio > snap.toml         begin a file of your own")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List the profiles that are built in and those of the configuration file
    #[command(after_help = "Example: snap profile list --config /etc/snap/snap.toml")]
    List,
    /// Show a profile as a text that can be copied into the configuration file and changed
    ///
    /// All that holds is printed, also what the profile takes over from the one that it extends,
    /// and what nobody stated.
    #[command(after_help = "Example: snap profile show centreon-poller")]
    Show {
        /// The name of the profile
        name: String,
    },
    /// Check a configuration file and its profiles; exits 2 when something is wrong
    ///
    /// Nothing of the host is looked at: snap doctor does that.
    #[command(after_help = "Example: snap profile check new.toml")]
    Check {
        /// The file
        file: PathBuf,
    },
}

/// Shows profiles; `config` is the configuration of this host, which a check does without.
pub(super) fn run(args: &Args, config: impl FnOnce() -> Result<Config>) -> Result<Answer> {
    match &args.what {
        What::List => Ok(list(&config()?)),
        What::Show { name } => Ok(show(&config()?.profile(name)?)),
        What::Check { file } => check(file),
    }
}

/// A profile as a list has it.
#[derive(Serialize)]
struct Row {
    name: String,
    origin: &'static str,
    sources: Vec<String>,
    about: Option<String>,
}

impl Row {
    fn of((profile, origin): (Profile, Origin)) -> Self {
        let origin = match origin {
            Origin::BuiltIn => "built in",
            Origin::File => "file",
        };
        let sources = profile.sources.into_iter().map(|source| source.name).collect();
        Self { name: profile.name, origin, sources, about: profile.service.about }
    }
}

fn list(config: &Config) -> Answer {
    let rows: Vec<Row> = config.known().into_iter().map(Row::of).collect();
    let names = lines(rows.iter().map(|row| row.name.clone()));
    Answer::new("profiles", &rows, table(&rows)).least(names)
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new(&["NAME", "ORIGIN", ">SOURCES", "ABOUT"]);
    for row in rows {
        let about = row.about.clone().unwrap_or_else(|| row.sources.join(", "));
        table.row([row.name.clone(), row.origin.to_owned(), row.sources.len().to_string(), about]);
    }
    table.to_text()
}

fn show(profile: &Profile) -> Answer {
    let text = to_toml(profile);
    let mut value = json!({ "name": profile.name });
    let written = serde_json::to_value(Written::of(profile)).expect("texts, numbers and lists");
    for (key, said) in written.as_object().into_iter().flatten() {
        value[key] = said.clone();
    }
    Answer::new("profile", &value, text.clone()).least(text)
}

fn check(file: &Path) -> Result<Answer> {
    let message = || format!("cannot find {}", file.display());
    let config = Config::read(file)?.ok_or_else(|| Error::new(Kind::Usage, message()))?;
    if let Some(name) = &config.profile {
        let using = format!("cannot use {}: profile = {name:?}", file.display());
        config.profile(name).map_err(|error| error.while_doing(&using))?;
    }
    let of_file = config.known().into_iter().filter(|(_, origin)| *origin == Origin::File);
    let rows: Vec<Row> = of_file.map(Row::of).collect();
    let mut text =
        format!("{} is right: {}\n", file.display(), counted(rows.len() as u64, "profile"));
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table(&rows));
    }
    Ok(Answer::new("profiles", &rows, text).least(String::new()))
}
