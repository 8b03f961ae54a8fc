//! The configuration file, `/etc/snap/snap.toml`, and the profiles in it.
//!
//! It is optional, and no key of it is required. What it does not say, the caller decides.
//! A key that is not known is an error: a misspelt one would silently save the wrong thing.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::pace::Limits;
use crate::base::pace::Rate;
use crate::profile::LoginFlags;
use crate::profile::Profile;
use crate::profile::built_in::built_in;
use crate::profile::read::profiles;
use crate::profile::section::Document;
use crate::profile::section::Section;
use crate::profile::section::nearest;

/// More connections than this cost the server more than they bring.
pub const MAX_CONNECTIONS: u16 = 64;

/// More threads than any server is allowed to have.
pub const MAX_THREADS: u32 = 100_000;

const KEYS: &[&str] = &[
    "repository",
    "profile",
    "state",
    "root",
    "connections",
    "max-rate",
    "max-threads-running",
    "database",
    "profiles",
];
const DATABASE_KEYS: &[&str] = &["defaults-file", "socket", "host", "port", "user"];

/// What the configuration file says.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Where the repository is.
    pub repository: Option<String>,
    /// The name of the profile to use.
    pub profile: Option<String>,
    /// Where the journals of this host are.
    pub state: Option<PathBuf>,
    /// The prefix of every file path of a profile.
    pub root: Option<PathBuf>,
    /// The number of database connections.
    pub connections: Option<u16>,
    /// What the database is spared.
    pub limits: Limits,
    /// How to reach the database.
    pub database: LoginFlags,
    /// The profiles of the file alone.
    pub(super) profiles: Vec<Profile>,
}

/// Where a profile comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It needs no configuration file.
    BuiltIn,
    /// It stands in the configuration file.
    File,
}

impl Config {
    /// Returns what the file says; `None` where there is no file.
    pub fn read(file: &Path) -> Result<Option<Self>> {
        match fs::read_to_string(file) {
            Ok(text) => Self::parse(file, &text).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let message = format!("cannot read configuration file {}", file.display());
                Err(Error::new(Kind::Usage, message).caused_by(error))
            }
        }
    }

    /// Returns what this text says; complaints call it `file`.
    pub fn parse(file: &Path, text: &str) -> Result<Self> {
        Self::parse_over(file, text, &built_in())
    }

    /// Returns what this text says, whose profiles may extend these.
    pub(super) fn parse_over(file: &Path, text: &str, parents: &[Profile]) -> Result<Self> {
        let document = Document { file, text };
        let table = document.parse()?;
        let top = Section::top(document, &table);
        top.allow(KEYS)?;
        Ok(Self {
            repository: location(&top)?,
            profile: top.text("profile")?,
            state: top.path("state")?,
            root: top.path("root")?,
            connections: top.number("connections", 1..=MAX_CONNECTIONS)?,
            limits: Limits {
                rate: rate(&top)?,
                threads_running: top.number("max-threads-running", 1..=MAX_THREADS)?,
            },
            database: database(&top)?,
            profiles: profiles(&top, parents)?,
        })
    }

    /// Returns all profiles: those that are built in, and those of the file, each of which stands
    /// for the built-in one of its name.
    pub fn known(&self) -> Vec<(Profile, Origin)> {
        let of_file = self.profiles.iter().cloned().map(|profile| (profile, Origin::File));
        let is_of_file = |name: &str| self.profiles.iter().any(|profile| profile.name == name);
        let built_in = built_in().into_iter().filter(|profile| !is_of_file(&profile.name));
        built_in.map(|profile| (profile, Origin::BuiltIn)).chain(of_file).collect()
    }

    /// Returns the profile of this name, of the file or built in.
    pub fn profile(&self, name: &str) -> Result<Profile> {
        let known = self.known();
        if let Some((profile, _)) = known.iter().find(|(profile, _)| profile.name == name) {
            return Ok(profile.clone());
        }
        let names: Vec<&str> = known.iter().map(|(profile, _)| profile.name.as_str()).collect();
        let hint = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known profiles: {}", names.join(", ")),
        };
        Err(Error::new(Kind::Usage, format!("cannot find profile `{name}`")).hint(hint))
    }
}

/// Returns the repository: an absolute path, for the reason that [`Section::path`] gives, or a URL.
fn location(top: &Section<'_>) -> Result<Option<String>> {
    let Some(location) = top.text("repository")? else { return Ok(None) };
    if location.starts_with('/') || location.contains("://") {
        return Ok(Some(location));
    }
    Err(top.refuse("repository", "`repository` must be an absolute path or a URL"))
}

fn rate(top: &Section<'_>) -> Result<Option<Rate>> {
    let Some(text) = top.text("max-rate")? else { return Ok(None) };
    let allowed = "`max-rate` must be bytes per second such as \"50M\", 64K at least";
    text.parse().map(Some).map_err(|_| top.refuse("max-rate", allowed))
}

fn database(top: &Section<'_>) -> Result<LoginFlags> {
    let Some(section) = top.section("database")? else { return Ok(LoginFlags::default()) };
    section.allow(DATABASE_KEYS)?;
    Ok(LoginFlags {
        defaults_file: section.path("defaults-file")?,
        socket: section.path("socket")?,
        host: section.text("host")?,
        port: section.number("port", 1..=u16::MAX)?,
        user: section.text("user")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config> {
        Config::parse(Path::new("/etc/snap/snap.toml"), text)
    }

    /// Returns all that a configuration says, to compare it by.
    fn shown(config: &Config) -> String {
        format!("{config:#?}")
    }

    /// Returns the message and the hint with which the text is refused.
    fn refusal(text: &str) -> (String, Option<String>) {
        let error = parse(text).expect_err("the text is wrong");
        assert_eq!(error.kind(), Kind::Usage, "{text}");
        (error.to_string(), error.advice().map(str::to_owned))
    }

    #[test]
    fn an_empty_file_says_nothing() {
        assert_eq!(shown(&parse("").expect("valid")), shown(&Config::default()));
    }

    #[test]
    fn a_file_that_is_not_there_is_none_and_one_that_is_no_file_is_an_error() {
        let folder = tempfile::tempdir().expect("temporary folder");
        assert!(Config::read(&folder.path().join("snap.toml")).expect("no error").is_none());
        assert_eq!(Config::read(folder.path()).expect_err("a folder").kind(), Kind::Usage);
    }

    #[test]
    fn every_key_is_read() {
        let config = parse(
            r#"
            repository = "/srv/repository"
            profile = "map"
            state = "/srv/state"
            root = "/mnt/disk"
            connections = 8
            max-rate = "50M"
            max-threads-running = 20
            [database]
            defaults-file = "/etc/snap/my.cnf"
            socket = "/run/db.sock"
            host = "db.example"
            port = 3307
            user = "snap"
            [[profiles.map.sources]]
            name = "conf"
            kind = "files"
            path = "/etc/map"
            "#,
        )
        .expect("valid");
        let expected = Config {
            repository: Some("/srv/repository".to_owned()),
            profile: Some("map".to_owned()),
            state: Some("/srv/state".into()),
            root: Some("/mnt/disk".into()),
            connections: Some(8),
            limits: Limits { rate: "50M".parse().ok(), threads_running: Some(20) },
            database: LoginFlags {
                defaults_file: Some("/etc/snap/my.cnf".into()),
                socket: Some("/run/db.sock".into()),
                host: Some("db.example".to_owned()),
                port: Some(3307),
                user: Some("snap".to_owned()),
            },
            profiles: config.profiles.clone(),
        };
        assert_eq!(shown(&config), shown(&expected));
        assert_eq!(config.profile("map").expect("read").sources[0].name, "conf");
    }

    #[test]
    fn an_unknown_profile_is_refused_with_the_nearest_or_all_names() {
        let near = Config::default().profile("studoi").expect_err("unknown");
        assert_eq!(near.advice(), Some("did you mean `studio`?"));
        let far = Config::default().profile("x").expect_err("unknown");
        assert_eq!(far.to_string(), "cannot find profile `x`");
        assert_eq!(
            far.advice(),
            Some(
                "known profiles: studio, centreon-map, centreon-map-engine, centreon-poller, \
                 cloudify-manager"
            )
        );
        assert_eq!(far.kind(), Kind::Usage);
    }

    #[test]
    fn a_wrong_key_names_file_line_and_nearest_right_key() {
        let (message, hint) = refusal("\nrepositry = '/srv'");
        assert_eq!(message, "cannot use /etc/snap/snap.toml, line 2: unknown key `repositry`");
        assert_eq!(hint.as_deref(), Some("did you mean `repository`?"));
        let (message, hint) = refusal("[database]\ndefault_file = '/x'");
        let complaint = "line 2: unknown key `default_file` in [database]";
        assert!(message.ends_with(complaint), "{message}");
        assert_eq!(hint.as_deref(), Some("did you mean `defaults-file`?"));
    }

    #[test]
    fn a_password_in_the_file_is_refused_with_the_places_it_may_stand_in() {
        let (message, hint) = refusal("[database]\npassword = 'secret'");
        assert!(!message.contains("secret"), "{message}");
        assert!(hint.is_some_and(|hint| hint.contains("SNAP_DATABASE_PASSWORD")));
    }

    #[test]
    fn a_wrong_value_names_the_line_and_what_is_allowed() {
        for (text, complaint) in [
            ("state = 'here'", "line 1: `state` must be an absolute path in quotes"),
            ("state = 1", "line 1: `state` must be an absolute path in quotes"),
            ("profile = ''", "line 1: `profile` must be a text in quotes, not empty"),
            ("repository = 'here'", "line 1: `repository` must be an absolute path or a URL"),
            ("connections = 0", "line 1: `connections` must be a number from 1 to 64"),
            ("connections = -1", "line 1: `connections` must be a number from 1 to 64"),
            (
                "max-rate = '5'",
                "line 1: `max-rate` must be bytes per second such as \"50M\", 64K at least",
            ),
            (
                "max-threads-running = 0",
                "line 1: `max-threads-running` must be a number from 1 to 100000",
            ),
            ("[database]\nport = 65_536", "line 2: `port` must be a number from 1 to 65535"),
            ("database = 'x'", "line 1: `database` must be a table"),
            ("state = '/a'\nstate = '/b'", "line 2: duplicate key"),
        ] {
            let (message, _) = refusal(text);
            assert_eq!(message, format!("cannot use /etc/snap/snap.toml, {complaint}"), "{text}");
        }
    }
}
