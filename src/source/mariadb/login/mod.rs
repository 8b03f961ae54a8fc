//! Where the server is and who logs in: flags before secrets before option files before defaults.
//!
//! The rules are those of MariaDB's clients, so that whoever can type `mariadb` can type `snap`:
//! `localhost` means the socket, a port on the command line means TCP. Two differences, both on
//! the safe side: a certificate that is checked is checked with its name, and nothing is prompted.

use std::fmt;
use std::path::Path;
use std::path::PathBuf;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::pace::Pace;
use crate::base::stages::Stages;
use crate::source::mariadb::defaults::Defaults;
use crate::source::mariadb::defaults::Setting;
use crate::source::mariadb::sessions::Sessions;

/// Where distributions put the server's socket; the first that exists is taken.
const SOCKETS: &[&str] =
    &["/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"];

const DEFAULT_PORT: u16 = 3306;

/// A text that is never shown: it has no `Display`, no `Serialize`, and an empty `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Returns the secret that hides this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text itself, for the one place that needs it.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

/// What the user gave on the command line. A password is never among it.
#[derive(Debug, Clone, Default)]
pub struct LoginFlags {
    /// The one option file to read instead of the default ones.
    pub defaults_file: Option<PathBuf>,
    /// The server's socket.
    pub socket: Option<PathBuf>,
    /// The server's host name or address.
    pub host: Option<String>,
    /// The server's TCP port.
    pub port: Option<u16>,
    /// The account's user name.
    pub user: Option<String>,
}

/// What the process knows and the library does not read for itself.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The home folder, where there is one: cron may start a process without.
    pub home: Option<PathBuf>,
    /// The name of the operating system's user, who is the account where no other is named.
    pub user: String,
    /// The password from the environment or from a credential.
    pub password: Option<Secret>,
}

/// All that is needed to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Where the server is.
    pub server: Address,
    /// The account's user name.
    pub user: String,
    /// The account's password; an account of the socket needs none.
    pub password: Option<Secret>,
    /// How a TCP connection is encrypted; `None` for plain text. A socket never is.
    pub tls: Option<Tls>,
    /// What the user should know of the option files, such as one that was left out.
    pub notes: Vec<String>,
    /// Where the connections of an execution are remembered.
    pub sessions: Sessions,
    /// Whether what is changed is replicated.
    pub binlog: Binlog,
    /// How fast rows are read and loaded.
    pub pace: Pace,
    /// Where the time goes meanwhile.
    pub stages: Stages,
}

/// Whether what a connection changes is written to the server's binary log, where it has one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Binlog {
    /// As the server has it.
    #[default]
    On,
    /// It is not: replicas do not hear of it.
    Off,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A socket of this host.
    Socket(PathBuf),
    /// A TCP port.
    Tcp {
        /// A host name or an address.
        host: String,
        /// The port.
        port: u16,
    },
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(formatter, "socket {}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(formatter, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(formatter, "{host}:{port}"),
        }
    }
}

/// How a connection is encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Whether the server has to prove who it is, by a certificate for the name it is called by.
    pub verify: bool,
    /// The certificates that are trusted; `None` for the public ones.
    pub authority: Option<PathBuf>,
    /// The client's own certificate.
    pub certificate: Option<PathBuf>,
    /// The key of that certificate.
    pub key: Option<PathBuf>,
}

impl Tls {
    /// Returns whether a server has to prove who it is: whoever names an authority wants it asked.
    pub(super) const fn is_verified(&self) -> bool {
        self.verify || self.authority.is_some()
    }
}

impl Login {
    /// Returns the login that flags, secrets, option files and defaults make together.
    pub fn resolve(flags: &LoginFlags, surroundings: &Surroundings) -> Result<Self> {
        let file = flags.defaults_file.as_deref();
        let defaults = Defaults::read(file, surroundings.home.as_deref())?;
        let mut options = Options::default();
        for setting in &defaults.settings {
            options.take(setting)?;
        }
        let user = flags.user.clone().or(options.user).filter(|user| !user.is_empty());
        let server = server(flags, options.place)?;
        let is_tcp = matches!(server, Address::Tcp { .. });
        Ok(Self {
            user: user.unwrap_or_else(|| surroundings.user.clone()),
            password: surroundings.password.clone().or(options.password),
            tls: options.tls.filter(|_| is_tcp && options.is_encrypted),
            notes: defaults.notes,
            sessions: Sessions::default(),
            binlog: Binlog::default(),
            pace: Pace::default(),
            stages: Stages::default(),
            server,
        })
    }
}

/// What the option files say, the last setting of each name.
#[derive(Default)]
struct Options {
    user: Option<String>,
    password: Option<Secret>,
    place: Place,
    tls: Option<Tls>,
    is_encrypted: bool,
}

/// What the option files say of the server's place.
#[derive(Default)]
struct Place {
    host: Option<String>,
    port: Option<u16>,
    socket: Option<PathBuf>,
    protocol: Option<Protocol>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Tcp,
    Socket,
}

impl Options {
    /// Takes a setting that concerns the login; others belong to other programs.
    fn take(&mut self, setting: &Setting) -> Result<()> {
        let name = setting.name.strip_prefix("loose-").unwrap_or(&setting.name);
        match name {
            "user" => self.user = Some(text(setting)?),
            "password" => self.password = Some(password(setting)?),
            "host" => self.place.host = Some(text(setting)?).filter(|host| !host.is_empty()),
            "port" => self.place.port = Some(port(setting)?).filter(|port| *port > 0),
            "socket" => self.place.socket = path(setting)?,
            "protocol" => self.place.protocol = Some(protocol(setting)?),
            "ssl-ca" => self.tls().authority = path(setting)?,
            "ssl-cert" => self.tls().certificate = path(setting)?,
            "ssl-key" => self.tls().key = path(setting)?,
            // A folder of trusted certificates cannot be used, and must not be dropped in silence:
            // the public ones alone are trusted then, and the login fails.
            "ssl-capath" => self.tls().verify = true,
            _ => self.take_switch(name, setting)?,
        }
        Ok(())
    }

    fn take_switch(&mut self, name: &str, setting: &Setting) -> Result<()> {
        let (name, is_on) = match name.split_once('-') {
            Some(("skip" | "disable", name)) => (name, false),
            Some(("enable", name)) => (name, true),
            _ => (name, true),
        };
        if !matches!(name, "ssl" | "ssl-verify-server-cert") {
            return Ok(());
        }
        let is_on = is_on == is_true(setting)?;
        if name == "ssl" {
            self.tls();
            self.is_encrypted = is_on;
        } else if is_on {
            self.tls().verify = true;
        } else if let Some(tls) = &mut self.tls {
            tls.verify = false;
        }
        Ok(())
    }

    /// Returns what is known of the encryption, which any of its settings switches on.
    fn tls(&mut self) -> &mut Tls {
        self.is_encrypted = true;
        self.tls.get_or_insert_default()
    }
}

/// Returns where to connect: the command line decides before the option files.
fn server(flags: &LoginFlags, options: Place) -> Result<Address> {
    let is_tcp_asked = flags.port.is_some() || flags.host.as_deref().is_some_and(is_remote);
    if flags.socket.is_some() && is_tcp_asked {
        let message = "cannot use --socket together with --host or --port";
        return Err(Error::new(Kind::Usage, message).hint("a socket is a place of its own"));
    }
    let host = flags.host.clone().or(options.host).filter(|host| !host.is_empty());
    let is_tcp = match (&flags.socket, &flags.host, options.protocol) {
        (Some(_), _, _) => false,
        (None, Some(_), None | Some(Protocol::Socket)) => is_tcp_asked,
        (None, _, Some(Protocol::Tcp)) => true,
        (None, None, Some(Protocol::Socket)) => flags.port.is_some(),
        (None, None, None) => flags.port.is_some() || host.as_deref().is_some_and(is_remote),
    };
    if is_tcp {
        let port = flags.port.or(options.port).unwrap_or(DEFAULT_PORT);
        return Ok(Address::Tcp { host: host.unwrap_or_else(|| "localhost".to_owned()), port });
    }
    let socket = flags.socket.clone().or(options.socket);
    Ok(Address::Socket(socket.unwrap_or_else(|| usual_socket(SOCKETS))))
}

/// Returns whether a host is reached by TCP: all but `localhost`, as MariaDB has it.
fn is_remote(host: &str) -> bool {
    !host.is_empty() && !host.eq_ignore_ascii_case("localhost")
}

/// Returns the first socket that exists, or the first of all, for the error that will name it.
fn usual_socket(sockets: &[&str]) -> PathBuf {
    let existing = sockets.iter().find(|socket| Path::new(socket).exists());
    PathBuf::from(existing.unwrap_or(&sockets[0]))
}

fn text(setting: &Setting) -> Result<String> {
    let value = setting.value.clone().ok_or_else(|| setting.error("needs a value"))?;
    if value.contains(char::REPLACEMENT_CHARACTER) {
        return Err(setting.error("is not UTF-8"));
    }
    Ok(value)
}

fn password(setting: &Setting) -> Result<Secret> {
    if setting.value.is_none() {
        return Err(setting.error("without a value asks for a prompt, and snap never prompts"));
    }
    text(setting).map(Secret::new)
}

fn path(setting: &Setting) -> Result<Option<PathBuf>> {
    Ok(Some(text(setting)?).filter(|path| !path.is_empty()).map(PathBuf::from))
}

fn port(setting: &Setting) -> Result<u16> {
    let value = text(setting)?;
    value.parse().map_err(|_| setting.error("is not a port: a number up to 65535"))
}

fn protocol(setting: &Setting) -> Result<Protocol> {
    match text(setting)?.to_ascii_lowercase().as_str() {
        "tcp" => Ok(Protocol::Tcp),
        "socket" => Ok(Protocol::Socket),
        _ => Err(setting.error("is neither tcp nor socket")),
    }
}

fn is_true(setting: &Setting) -> Result<bool> {
    let value = setting.value.as_deref().unwrap_or("1").to_ascii_lowercase();
    match value.as_str() {
        "1" | "on" | "true" => Ok(true),
        "0" | "off" | "false" => Ok(false),
        _ => Err(setting.error("is neither on nor off")),
    }
}

#[cfg(test)]
mod tests;
