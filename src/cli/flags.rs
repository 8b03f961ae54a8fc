//! The flags that every command takes, before or after its name.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use clap::value_parser;

use crate::base::pace::Rate;
use crate::profile::LoginFlags;
use crate::profile::config::MAX_CONNECTIONS;
use crate::profile::config::MAX_THREADS;

const GLOBAL: &str = "Global options";
const DATABASE: &str = "Database options";

/// Where things are, and how to talk about them.
#[derive(Debug, Clone, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct GlobalFlags {
    /// Keep the snapshots in this folder
    ///
    /// Without it: `SNAP_REPOSITORY`, then `repository` of the configuration file, then
    /// /var/lib/snap/repository.
    #[arg(long, global = true, value_name = "LOCATION", help_heading = GLOBAL)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(super) repository: Option<String>,

    /// Read this configuration file; it must exist
    ///
    /// Without it: `SNAP_CONFIG`, which must exist too, then /etc/snap/snap.toml, which need not.
    #[arg(long, global = true, value_name = "FILE", help_heading = GLOBAL)]
    pub(super) config: Option<PathBuf>,

    /// Save and restore the sources of this profile
    ///
    /// Without it: `profile` of the configuration file, then `studio`.
    #[arg(long, global = true, value_name = "NAME", help_heading = GLOBAL)]
    pub(super) profile: Option<String>,

    /// Put this folder before every file path of the profile
    ///
    /// For a mounted disk, a chroot or a test. Without it: `root` of the configuration file,
    /// then /.
    #[arg(long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    pub(super) root: Option<PathBuf>,

    /// Keep the journals of this host in this folder
    ///
    /// Without it: `state` of the configuration file, then /var/lib/snap.
    #[arg(long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    pub(super) state: Option<PathBuf>,

    /// Answer with one JSON object on standard output, errors too
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(super) json: bool,

    /// Answer with the least, such as the id alone; no progress and no notes
    #[arg(long, short, global = true, help_heading = GLOBAL)]
    pub(super) quiet: bool,

    /// Say how many bytes and seconds each step and each stage took, when reading pauses, and what a
    /// restore leaves alone
    #[arg(long, short, global = true, conflicts_with = "quiet", help_heading = GLOBAL)]
    pub(super) verbose: bool,

    /// Show no progress; there is none anyway when standard error is no terminal
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(super) no_progress: bool,

    #[command(flatten)]
    pub(super) database: DatabaseFlags,
}

/// How to reach the database.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct DatabaseFlags {
    /// Read this my.cnf file instead of the usual ones
    ///
    /// The groups `client`, `client-server` and `client-mariadb` count. The usual ones are
    /// those of the MariaDB clients: /etc/my.cnf, /etc/mysql/my.cnf and ~/.my.cnf.
    #[arg(long, global = true, value_name = "FILE", help_heading = DATABASE)]
    defaults_file: Option<PathBuf>,

    /// Connect to the server through this socket
    #[arg(long, global = true, value_name = "PATH", help_heading = DATABASE)]
    socket: Option<PathBuf>,

    /// Connect to the server on this host; localhost means the socket
    #[arg(long, global = true, value_name = "NAME", help_heading = DATABASE)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    host: Option<String>,

    /// Connect to the server on this port
    #[arg(long, global = true, value_name = "N", help_heading = DATABASE)]
    #[arg(value_parser = value_parser!(u16).range(1..))]
    port: Option<u16>,

    /// Connect to the server as this account
    ///
    /// The password is never an argument, where others could see it. It stands in a my.cnf file,
    /// in `SNAP_DATABASE_PASSWORD`, or in the systemd credential `database-password`.
    #[arg(long, global = true, value_name = "NAME", help_heading = DATABASE)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    user: Option<String>,

    /// Read and write the database through so many connections at a time
    ///
    /// Without it: `connections` of the configuration file, then one for each core, from 2 to 4.
    #[arg(long, global = true, value_name = "N", help_heading = DATABASE)]
    #[arg(value_parser = value_parser!(u16).range(1..=i64::from(MAX_CONNECTIONS)))]
    pub(super) connections: Option<u16>,

    /// Read and load no more than so many bytes of rows per second, such as 50M
    ///
    /// All connections share it, and so do the files that are saved. Tables that are locked against
    /// writes while they are read are read as fast as they can be, since others wait for them.
    /// Without it: `max-rate` of the configuration file, then no limit.
    #[arg(long, global = true, value_name = "RATE", help_heading = DATABASE)]
    pub(super) max_rate: Option<Rate>,

    /// Pause the reading for a snapshot while the server runs more than N threads of others
    ///
    /// That is its `Threads_running` without the connections of snap itself, looked at every second. All
    /// tables stay of one moment. After 5 minutes at a stretch snap gives up with exit code 11: the
    /// server keeps the old version of everything that changes in the meantime. Without it:
    /// `max-threads-running` of the configuration file, then no pause.
    #[arg(long, global = true, value_name = "N", help_heading = DATABASE)]
    #[arg(value_parser = value_parser!(u32).range(1..=i64::from(MAX_THREADS)))]
    pub(super) max_threads_running: Option<u32>,
}

impl DatabaseFlags {
    /// Returns the way to the server: what these flags say, and where they are silent what the
    /// configuration says. An address counts as a whole, so that `--host` does not end at the
    /// socket of the configuration.
    pub(super) fn over(&self, config: &LoginFlags) -> LoginFlags {
        let names_address = self.socket.is_some() || self.host.is_some();
        let config_address = if names_address { &LoginFlags::default() } else { config };
        LoginFlags {
            defaults_file: self.defaults_file.clone().or_else(|| config.defaults_file.clone()),
            socket: self.socket.clone().or_else(|| config_address.socket.clone()),
            host: self.host.clone().or_else(|| config_address.host.clone()),
            port: self.port.or(config_address.port),
            user: self.user.clone().or_else(|| config.user.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns defaults file, socket, host, port and user of a login.
    fn parts(login: &LoginFlags) -> [String; 5] {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let port = login.port.map(|port| port.to_string());
        let (host, user) = (login.host.clone(), login.user.clone());
        [path(&login.defaults_file), path(&login.socket), host, port, user]
            .map(|part| part.unwrap_or_else(|| "-".to_owned()))
    }

    #[test]
    fn a_flag_wins_over_the_configuration() {
        let config = LoginFlags {
            defaults_file: Some("/config.cnf".into()),
            socket: None,
            host: Some("config".to_owned()),
            port: Some(1),
            user: Some("config".to_owned()),
        };
        let silent = DatabaseFlags::default();
        assert_eq!(parts(&silent.over(&config)), ["/config.cnf", "-", "config", "1", "config"]);
        let flags = DatabaseFlags {
            defaults_file: Some("/flag.cnf".into()),
            port: Some(2),
            user: Some("flag".to_owned()),
            ..silent
        };
        assert_eq!(parts(&flags.over(&config)), ["/flag.cnf", "-", "config", "2", "flag"]);
    }

    #[test]
    fn a_host_on_the_command_line_does_not_end_at_the_socket_of_the_configuration() {
        let config = LoginFlags {
            socket: Some("/run/db.sock".into()),
            port: Some(1),
            user: Some("snap".to_owned()),
            ..LoginFlags::default()
        };
        let flags = DatabaseFlags { host: Some("db".to_owned()), ..DatabaseFlags::default() };
        assert_eq!(parts(&flags.over(&config)), ["-", "-", "db", "-", "snap"]);
    }
}
