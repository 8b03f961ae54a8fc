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
use crate::profile::LoginFlags;
use crate::profile::Profile;
use crate::profile::SourceSpec;
use crate::profile::What;
use crate::profile::section::Document;
use crate::profile::section::Section;
use crate::profile::section::nearest;

/// More connections than this cost the server more than they bring.
pub const MAX_CONNECTIONS: u16 = 64;

const STUDIO: &str = include_str!("studio.toml");

const KEYS: &[&str] =
    &["repository", "profile", "state", "root", "connections", "database", "profiles"];
const DATABASE_KEYS: &[&str] = &["defaults-file", "socket", "host", "port", "user"];
const PROFILE_KEYS: &[&str] = &["sources"];
const SOURCE_KEYS: &[&str] =
    &["name", "kind", "database", "path", "optional", "certificates", "users"];

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
    /// How to reach the database.
    pub database: LoginFlags,
    profiles: Vec<Profile>,
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
            database: database(&top)?,
            profiles: profiles(&top)?,
        })
    }

    /// Returns the profile of this name, of the file or built in.
    pub fn profile(&self, name: &str) -> Result<Profile> {
        let built_in = built_in();
        let mut known = self.profiles.iter().chain(&built_in);
        if let Some(profile) = known.clone().find(|profile| profile.name == name) {
            return Ok(profile.clone());
        }
        let names: Vec<&str> = known.by_ref().map(|profile| profile.name.as_str()).collect();
        let hint = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known profiles: {}", names.join(", ")),
        };
        Err(Error::new(Kind::Usage, format!("cannot find profile `{name}`")).hint(hint))
    }
}

/// Returns the profiles that need no configuration file.
fn built_in() -> Vec<Profile> {
    let config = Config::parse(Path::new("studio.toml"), STUDIO);
    config.expect("a test reads the built-in profiles").profiles
}

/// Returns the repository: an absolute path, for the reason that [`Section::path`] gives, or a URL.
fn location(top: &Section<'_>) -> Result<Option<String>> {
    let Some(location) = top.text("repository")? else { return Ok(None) };
    if location.starts_with('/') || location.contains("://") {
        return Ok(Some(location));
    }
    Err(top.refuse("repository", "`repository` must be an absolute path or a URL"))
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

fn profiles(top: &Section<'_>) -> Result<Vec<Profile>> {
    let Some(section) = top.section("profiles")? else { return Ok(Vec::new()) };
    let children = section.children()?;
    children.into_iter().map(|(name, section)| profile(name, &section)).collect()
}

fn profile(name: &str, section: &Section<'_>) -> Result<Profile> {
    section.allow(PROFILE_KEYS)?;
    let mut sources: Vec<SourceSpec> = Vec::new();
    for section in section.sections("sources")? {
        let source = source(&section)?;
        if sources.iter().any(|earlier| earlier.name == source.name) {
            let complaint = format!("profile `{name}` has two sources named `{}`", source.name);
            return Err(section.refuse("name", &complaint));
        }
        sources.push(source);
    }
    if sources.is_empty() {
        return Err(section.refuse("sources", &format!("profile `{name}` has no sources")));
    }
    Ok(Profile { name: name.to_owned(), sources, ..Profile::default() })
}

fn source(section: &Section<'_>) -> Result<SourceSpec> {
    section.allow(SOURCE_KEYS)?;
    let name = required(section, "name", section.text("name")?)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.chars().all(is_plain) {
        return Err(section.refuse("name", "`name` must be made of letters, digits, `-` and `_`"));
    }
    let what = match required(section, "kind", section.text("kind")?)?.as_str() {
        "database" => {
            refuse_keys_of_other_kind(section, &["path", "certificates"], "files")?;
            let database = required(section, "database", section.text("database")?)?;
            What::Database { database, users: section.flag("users")? }
        }
        "files" => {
            refuse_keys_of_other_kind(section, &["database", "users"], "database")?;
            let path = required(section, "path", section.path("path")?)?;
            What::Files { path, certificates: section.flag("certificates")? }
        }
        _ => return Err(section.refuse("kind", "`kind` must be \"database\" or \"files\"")),
    };
    Ok(SourceSpec { name, optional: section.flag("optional")?, what })
}

fn required<T>(section: &Section<'_>, key: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| section.refuse(key, &format!("this source has no `{key}`")))
}

fn refuse_keys_of_other_kind(section: &Section<'_>, keys: &[&str], kind: &str) -> Result<()> {
    let Some(key) = keys.iter().find(|key| section.has(key)) else { return Ok(()) };
    Err(section.refuse(key, &format!("`{key}` is for sources of kind \"{kind}\"")))
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
    fn the_built_in_profile_saves_database_certificates_and_users() {
        let studio = Config::default().profile("studio").expect("built in");
        let names: Vec<&str> = studio.sources.iter().map(|source| source.name.as_str()).collect();
        assert_eq!(names, ["database", "certificates", "users"]);
        let database = What::Database { database: "centreon_studio".to_owned(), users: false };
        assert_eq!(studio.sources[0].what, database);
        assert!(!studio.sources[0].optional);
        let certificates = What::Files { path: "/etc/cloudify/ssl".into(), certificates: true };
        assert_eq!(studio.sources[1].what, certificates);
        assert!(studio.sources[1].optional && studio.sources[2].optional);
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
            optional = true
            certificates = true
            "#,
        )
        .expect("valid");
        let source = SourceSpec {
            name: "conf".to_owned(),
            optional: true,
            what: What::Files { path: "/etc/map".into(), certificates: true },
        };
        let expected = Config {
            repository: Some("/srv/repository".to_owned()),
            profile: Some("map".to_owned()),
            state: Some("/srv/state".into()),
            root: Some("/mnt/disk".into()),
            connections: Some(8),
            database: LoginFlags {
                defaults_file: Some("/etc/snap/my.cnf".into()),
                socket: Some("/run/db.sock".into()),
                host: Some("db.example".to_owned()),
                port: Some(3307),
                user: Some("snap".to_owned()),
            },
            profiles: vec![Profile {
                name: "map".to_owned(),
                sources: vec![source],
                ..Profile::default()
            }],
        };
        assert_eq!(shown(&config), shown(&expected));
    }

    #[test]
    fn a_profile_of_the_file_replaces_the_built_in_one() {
        let config = parse(
            "[[profiles.studio.sources]]\nname = 'db'\nkind = 'database'\ndatabase = 'other'",
        );
        let studio = config.expect("valid").profile("studio").expect("known");
        assert_eq!(studio.sources.len(), 1);
        assert_eq!(studio.sources[0].name, "db");
    }

    #[test]
    fn an_unknown_profile_is_refused_with_the_nearest_or_all_names() {
        let near = Config::default().profile("studoi").expect_err("unknown");
        assert_eq!(near.advice(), Some("did you mean `studio`?"));
        let far = Config::default().profile("x").expect_err("unknown");
        assert_eq!(far.to_string(), "cannot find profile `x`");
        assert_eq!(far.advice(), Some("known profiles: studio"));
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
    fn a_key_that_resembles_none_names_all_right_keys() {
        let (message, hint) = refusal("[profiles.a]\nxyz = 1");
        assert!(message.ends_with("line 2: unknown key `xyz` in [profiles.a]"), "{message}");
        assert_eq!(hint.as_deref(), Some("known here: sources"));
    }

    #[test]
    fn a_password_in_the_file_is_refused_with_the_places_it_may_stand_in() {
        let (message, hint) = refusal("[database]\npassword = 'secret'");
        assert!(!message.contains("secret"), "{message}");
        assert!(hint.is_some_and(|hint| hint.contains("SNAP_DATABASE_PASSWORD")));
    }

    #[test]
    fn a_wrong_value_names_the_line_and_what_is_allowed() {
        let source = "[[profiles.a.sources]]\nname = 'x'\n";
        for (text, complaint) in [
            ("state = 'here'".to_owned(), "line 1: `state` must be an absolute path in quotes"),
            ("state = 1".to_owned(), "line 1: `state` must be an absolute path in quotes"),
            ("profile = ''".to_owned(), "line 1: `profile` must be a text in quotes, not empty"),
            (
                "repository = 'here'".to_owned(),
                "line 1: `repository` must be an absolute path or a URL",
            ),
            ("connections = 0".to_owned(), "line 1: `connections` must be a number from 1 to 64"),
            ("connections = -1".to_owned(), "line 1: `connections` must be a number from 1 to 64"),
            (
                "[database]\nport = 65_536".to_owned(),
                "line 2: `port` must be a number from 1 to 65535",
            ),
            ("database = 'x'".to_owned(), "line 1: `database` must be a table"),
            (
                "\n[profiles.a]\nsources = 3".to_owned(),
                "line 3: `sources` must be a list of tables, each headed [[…]]",
            ),
            ("\n[profiles.a]".to_owned(), "line 2: profile `a` has no sources"),
            (
                format!("{source}kind = 'folder'"),
                "line 3: `kind` must be \"database\" or \"files\"",
            ),
            (source.to_owned(), "line 1: this source has no `kind`"),
            (format!("{source}kind = 'files'"), "line 1: this source has no `path`"),
            (
                format!("{source}kind = 'files'\npath = 'etc'"),
                "line 4: `path` must be an absolute path in quotes",
            ),
            (
                format!("{source}kind = 'files'\npath = '/x'\noptional = 1"),
                "line 5: `optional` must be true or false",
            ),
            (
                format!("{source}kind = 'database'\ndatabase = 'd'\npath = '/x'"),
                "line 5: `path` is for sources of kind \"files\"",
            ),
            (
                "[[profiles.a.sources]]\nname = 'a b'".to_owned(),
                "line 2: `name` must be made of letters, digits, `-` and `_`",
            ),
            (
                format!("{source}kind = 'files'\npath = '/x'\nusers = true"),
                "line 5: `users` is for sources of kind \"database\"",
            ),
            ("state = '/a'\nstate = '/b'".to_owned(), "line 2: duplicate key"),
        ] {
            let (message, _) = refusal(&text);
            assert_eq!(message, format!("cannot use /etc/snap/snap.toml, {complaint}"), "{text}");
        }
    }

    #[test]
    fn a_database_may_be_saved_with_its_users() {
        let source = "[[profiles.a.sources]]\nname = 'x'\nkind = 'database'\ndatabase = 'd'\n";
        for (text, users) in [("", false), ("users = false", false), ("users = true", true)] {
            let config = parse(&format!("{source}{text}")).expect("valid");
            let what = What::Database { database: "d".to_owned(), users };
            assert_eq!(config.profile("a").expect("known").sources[0].what, what, "{text}");
        }
    }

    #[test]
    fn two_sources_of_one_name_are_refused() {
        let source = "[[profiles.a.sources]]\nname = 'x'\nkind = 'files'\npath = '/x'\n";
        let (message, _) = refusal(&format!("{source}{source}"));
        assert!(message.ends_with("line 6: profile `a` has two sources named `x`"), "{message}");
    }
}
