//! What a verb is told of the world: flags, environment, configuration file and defaults merged.
//!
//! This is the only reader of the environment, the clock, and the names of host and user. An
//! empty environment, as cron may give, is enough: every setting has a default, and without HOME
//! there is merely no `~/.my.cnf`. A variable that is set to nothing counts as not set.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::path::Path;
use std::path::PathBuf;
use std::path::absolute;
use std::thread::available_parallelism;

use jiff::Timestamp;
use nix::unistd::Uid;
use nix::unistd::User;

use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::base::pace::Limits;
use crate::base::pace::Pace;
use crate::base::stages::Stages;
use crate::cli::flags::GlobalFlags;
use crate::profile::Login;
use crate::profile::LoginFlags;
use crate::profile::Profile;
use crate::profile::Secret;
use crate::profile::Surroundings;
use crate::profile::config::Config;
use crate::repository::Repository;
use crate::repository::lock::Holder;
use crate::snapshot::Host;
use crate::snapshot::execution::About;
use crate::snapshot::execution::Journals;

const DEFAULT_CONFIG: &str = "/etc/snap/snap.toml";
const DEFAULT_REPOSITORY: &str = "/var/lib/snap/repository";
const DEFAULT_STATE: &str = "/var/lib/snap";
const DEFAULT_ROOT: &str = "/";
const DEFAULT_PROFILE: &str = "studio";
/// One connection per core, but two at least, since one waits while another works, and four at
/// most, which MariaDB's own tools use.
const DEFAULT_CONNECTIONS: RangeInclusive<usize> = 2..=4;

const REPOSITORY: &str = "SNAP_REPOSITORY";
const CONFIG: &str = "SNAP_CONFIG";
const PASSWORD: &str = "SNAP_DATABASE_PASSWORD";
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
const HOME: &str = "HOME";
const VARIABLES: &[&str] = &[REPOSITORY, CONFIG, PASSWORD, CREDENTIALS, HOME];

/// The name of the systemd credential that holds the password of the database.
const PASSWORD_CREDENTIAL: &str = "database-password";

/// What the process reads of the world around it, once.
pub(super) struct Environment {
    variables: BTreeMap<&'static str, OsString>,
    now: Timestamp,
    host: String,
    process: u32,
    user: String,
}

impl Environment {
    /// Returns the environment of this process.
    #[expect(clippy::disallowed_methods, reason = "the one reader of environment and clock")]
    pub(super) fn read() -> Self {
        let variable = |name: &&'static str| Some((*name, env::var_os(name)?));
        Self {
            variables: VARIABLES.iter().filter_map(variable).collect(),
            now: Timestamp::now(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            process: std::process::id(),
            user: user(),
        }
    }

    /// Returns the value of a variable; one that is set to nothing counts as not set.
    fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(name).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        let Some(value) = self.variable(name) else { return Ok(None) };
        let not_text = || Error::new(Kind::Usage, format!("cannot use {name}: it is not UTF-8"));
        value.to_str().map(|text| Some(text.to_owned())).ok_or_else(not_text)
    }

    /// Returns what a login takes from the process.
    fn surroundings(&self) -> Result<Surroundings> {
        Ok(Surroundings {
            home: self.variable(HOME).map(PathBuf::from),
            user: self.user.clone(),
            password: self.password()?,
        })
    }

    /// Returns the password of the environment, or of the credential that systemd passes on.
    fn password(&self) -> Result<Option<Secret>> {
        if let Some(password) = self.text(PASSWORD)? {
            return Ok(Some(Secret::new(password)));
        }
        let Some(folder) = self.variable(CREDENTIALS) else { return Ok(None) };
        let file = Path::new(folder).join(PASSWORD_CREDENTIAL);
        match fs::read_to_string(&file) {
            Ok(text) => Ok(Some(Secret::new(text.strip_suffix('\n').unwrap_or(&text)))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let message = format!("cannot read credential {}", file.display());
                Err(Error::new(Kind::Usage, message).caused_by(error))
            }
        }
    }
}

/// All that a verb is told, except for its own arguments.
pub(super) struct Settings {
    /// Where the repository is.
    pub(super) repository: String,
    /// What is saved and restored.
    pub(super) profile: Profile,
    /// When the process began its work.
    pub(super) now: Timestamp,
    /// Whether the answer has all there is to say.
    pub(super) verbose: bool,
    state: PathBuf,
    root: PathBuf,
    connections: u16,
    limits: Limits,
    /// Where the time of the verb goes.
    pub(super) stages: Stages,
    login: LoginFlags,
    environment: Environment,
}

impl Settings {
    /// Returns the settings: flags first, then environment, configuration file, defaults.
    pub(super) fn merge(flags: &GlobalFlags, environment: Environment) -> Result<Self> {
        let config = config(flags, &environment)?;
        let repository = flags.repository.clone();
        let repository = repository.or(environment.text(REPOSITORY)?).or(config.repository.clone());
        let profile = flags.profile.as_deref().or(config.profile.as_deref());
        Ok(Self {
            repository: repository.unwrap_or_else(|| DEFAULT_REPOSITORY.to_owned()),
            profile: config.profile(profile.unwrap_or(DEFAULT_PROFILE))?,
            now: environment.now,
            verbose: flags.verbose,
            state: folder(flags.state.as_deref(), config.state.as_deref(), DEFAULT_STATE)?,
            root: folder(flags.root.as_deref(), config.root.as_deref(), DEFAULT_ROOT)?,
            connections: flags
                .database
                .connections
                .or(config.connections)
                .unwrap_or_else(default_connections),
            limits: Limits {
                rate: flags.database.max_rate.or(config.limits.rate),
                threads_running: flags
                    .database
                    .max_threads_running
                    .or(config.limits.threads_running),
            },
            stages: Stages::default(),
            login: flags.database.over(&config.database),
            environment,
        })
    }

    /// Returns where and when a verb runs. Only the verbs that reach for the database ask: a
    /// broken my.cnf is no reason not to list snapshots.
    pub(super) fn host(&self, monitor: &dyn Monitor) -> Result<Host> {
        let environment = &self.environment;
        let database = Login::resolve(&self.login, &environment.surroundings()?)?;
        for note in &database.notes {
            monitor.note(note);
        }
        Ok(Host {
            now: self.now,
            name: environment.host.clone(),
            process: environment.process,
            state: self.state.clone(),
            root: self.root.clone(),
            database,
            connections: usize::from(self.connections),
            pace: Pace::of(self.limits),
            stages: self.stages.clone(),
        })
    }

    /// Returns the folder that all paths of a profile lie below.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns where and when executions are recorded.
    pub(super) fn journals(&self) -> Journals {
        Journals {
            state: self.state.clone(),
            now: self.now,
            host: self.environment.host.clone(),
            process: self.environment.process,
        }
    }

    /// Returns what an execution of a verb is about.
    pub(super) fn about(&self, verb: &str, snapshot: Option<String>) -> About {
        About {
            verb: verb.to_owned(),
            profile: self.profile.name.clone(),
            repository: self.repository.clone(),
            snapshot,
        }
    }

    /// Returns the repository, which must exist.
    pub(super) async fn open(&self, verb: &str) -> Result<Repository> {
        let opened = Repository::open(&self.repository, self.holder(verb)).await?;
        Ok(opened.timed(&self.stages))
    }

    /// Returns the repository, made where the folder is absent or empty.
    pub(super) async fn open_or_create(&self, verb: &str) -> Result<Repository> {
        let opened = Repository::open_or_create(&self.repository, self.holder(verb)).await?;
        Ok(opened.timed(&self.stages))
    }

    fn holder(&self, verb: &str) -> Holder {
        Holder {
            verb: verb.to_owned(),
            process: self.environment.process,
            host: self.environment.host.clone(),
            since: self.now,
        }
    }
}

fn default_connections() -> u16 {
    let cores = available_parallelism().map_or(1, NonZero::get);
    let connections = cores.clamp(*DEFAULT_CONNECTIONS.start(), *DEFAULT_CONNECTIONS.end());
    u16::try_from(connections).expect("four at most")
}

/// Returns the user of this process, by whose name MariaDB's clients log in. It is not taken from
/// the environment: cron gives none, and the server goes by the number.
fn user() -> String {
    let user = User::from_uid(Uid::effective()).ok().flatten();
    user.map_or_else(|| Uid::effective().to_string(), |user| user.name)
}

/// Returns what the configuration file says. One that somebody named must exist.
pub(super) fn config(flags: &GlobalFlags, environment: &Environment) -> Result<Config> {
    let named = flags.config.as_deref().or_else(|| environment.variable(CONFIG).map(Path::new));
    let Some(file) = named else {
        return Ok(Config::read(Path::new(DEFAULT_CONFIG))?.unwrap_or_default());
    };
    Config::read(file)?.ok_or_else(|| {
        let message = format!("cannot find configuration file {}", file.display());
        Error::new(Kind::Usage, message).hint("--config and SNAP_CONFIG name a file that exists")
    })
}

/// Returns a folder as an absolute path: what is written down must mean the same elsewhere.
fn folder(flag: Option<&Path>, config: Option<&Path>, default: &str) -> Result<PathBuf> {
    let folder = flag.or(config).unwrap_or(Path::new(default));
    absolute(folder).context(|| format!("cannot make {} an absolute path", folder.display()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use crate::base::monitor::Silent;

    use super::*;

    fn environment(variables: &[(&'static str, &str)]) -> Environment {
        let variables = variables.iter().map(|(name, value)| (*name, OsString::from(value)));
        Environment {
            variables: variables.collect(),
            now: Timestamp::UNIX_EPOCH,
            host: "appliance".to_owned(),
            process: 7,
            user: "snap".to_owned(),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "nobody relies on a file of a test")]
    fn write(file: &Path, text: &str) {
        fs::write(file, text).expect("write a file of the test");
    }

    /// Returns flags that name a configuration file with this text, and the folder it is in.
    fn configured(text: &str) -> (GlobalFlags, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("snap.toml");
        write(&file, text);
        (GlobalFlags { config: Some(file), ..GlobalFlags::default() }, folder)
    }

    #[test]
    fn an_empty_environment_and_no_file_give_the_defaults() {
        let (flags, _folder) = configured("");
        let settings = Settings::merge(&flags, environment(&[])).expect("defaults");
        assert_eq!(settings.repository, "/var/lib/snap/repository");
        assert_eq!(settings.profile.name, "studio");
        let host = settings.host(&Silent).expect("defaults");
        assert_eq!(host.state, Path::new("/var/lib/snap"));
        assert_eq!(host.root, Path::new("/"));
        assert!(DEFAULT_CONNECTIONS.contains(&host.connections));
        assert_eq!((host.name.as_str(), host.process), ("appliance", 7));
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file() {
        let (mut flags, _folder) = configured("repository = '/file'");
        let repository = |flags: &GlobalFlags, variables: &[(&'static str, &str)]| {
            Settings::merge(flags, environment(variables)).expect("valid").repository
        };
        let variables = [(REPOSITORY, "/environment")];
        assert_eq!(repository(&flags, &[]), "/file");
        assert_eq!(repository(&flags, &[(REPOSITORY, "")]), "/file");
        assert_eq!(repository(&flags, &variables), "/environment");
        flags.repository = Some("/flag".to_owned());
        assert_eq!(repository(&flags, &variables), "/flag");
    }

    #[test]
    fn a_named_configuration_file_must_exist() {
        let flags = GlobalFlags::default();
        let around = environment(&[(CONFIG, "/nowhere/snap.toml")]);
        let error = Settings::merge(&flags, around).map(drop).expect_err("no such file");
        assert_eq!(error.kind(), Kind::Usage);
        assert_eq!(error.to_string(), "cannot find configuration file /nowhere/snap.toml");
    }

    #[test]
    fn a_relative_folder_is_made_absolute() {
        let (mut flags, _folder) = configured("");
        flags.root = Some("chroot".into());
        let root = Settings::merge(&flags, environment(&[])).expect("valid").root;
        assert!(root.is_absolute() && root.ends_with("chroot"), "{}", root.display());
    }

    #[test]
    fn the_environment_gives_the_password_before_the_credential() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().to_str().expect("UTF-8");
        let password =
            |variables: &[(&'static str, &str)]| environment(variables).password().expect("valid");
        assert_eq!(password(&[]), None);
        assert_eq!(password(&[(CREDENTIALS, path)]), None);
        write(&folder.path().join("database-password"), "from systemd\n");
        assert_eq!(password(&[(CREDENTIALS, path)]), Some(Secret::new("from systemd")));
        let both = [(CREDENTIALS, path), (PASSWORD, "from environment")];
        assert_eq!(password(&both), Some(Secret::new("from environment")));
    }

    #[test]
    fn the_account_is_the_user_of_the_process() {
        let id = Command::new("id").arg("-un").output().expect("run id");
        let name = String::from_utf8(id.stdout).expect("UTF-8");
        assert_eq!(user(), name.trim_end());
    }
}
