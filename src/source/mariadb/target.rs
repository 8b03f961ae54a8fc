//! The database that a restore will replace: what is there, and whether it can be replaced.

use std::path::Path;
use std::path::PathBuf;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::foreign_keys;
use crate::source::mariadb::login::Address;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::names;
use crate::source::mariadb::server::ServerFacts;
use crate::source::mariadb::tables;

/// What a restore finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The number of tables, views and sequences; `None` where there is no such database.
    pub tables: Option<usize>,
    server: ServerFacts,
    foreign_keys: Vec<String>,
}

/// Databases that are the server's own.
const OF_THE_SERVER: &[&str] = &["mysql", "information_schema", "performance_schema", "sys"];

/// Fails with [`Kind::Usage`] for a name that nothing may be restored under: the server's own
/// databases, and the schemas that restores keep beside a database.
pub fn check_name(database: &str) -> Result<()> {
    let refused = |why: &str| {
        let text = format!("cannot restore a database under the name {database:?}: {why}");
        Err(Error::new(Kind::Usage, text))
    };
    if OF_THE_SERVER.contains(&database.to_lowercase().as_str()) {
        return refused("it is the server's own");
    }
    if names::is_reserved(database) {
        return refused("such names are for what snap keeps beside a database");
    }
    Ok(())
}

/// Returns what is live under the name `database`.
pub async fn look(login: &Login, database: &str) -> Result<Target> {
    let mut connection = connect(login).await?;
    let target = look_over(&mut connection, database).await?;
    connection.close().await;
    Ok(target)
}

/// Returns what is live under the name `database`; fails with [`Kind::Denied`] where the account
/// lacks a right that a restore needs.
pub async fn inspect(login: &Login, database: &str) -> Result<Target> {
    let mut connection = connect(login).await?;
    let target = look_over(&mut connection, database).await?;
    let rights = connection.read_rights().await?;
    rights.demand(&rights.missing_for_restore(database, &target.server), "restore", database)?;
    connection.close().await;
    Ok(target)
}

async fn look_over(connection: &mut Connection, database: &str) -> Result<Target> {
    let tables = match tables::database(connection, database).await? {
        Some(_) => Some(tables::listed(connection, database).await?.len()),
        None => None,
    };
    let server = connection.read_facts().await?;
    let foreign_keys = foreign_keys::from_elsewhere(connection, database).await?;
    Ok(Target { tables, server, foreign_keys })
}

impl Target {
    /// Returns the folder of the server's data, where the server runs on the host of this name.
    pub fn local_folder(&self, login: &Login, host: &str) -> Option<PathBuf> {
        // A socket may lead into a container, whose paths mean nothing here.
        self.server.local_folder(login).filter(|_| self.server.hostname == host)
    }

    /// Returns the largest packet and value that the server takes, in bytes.
    pub const fn max_allowed_packet(&self) -> u64 {
        self.server.max_allowed_packet
    }

    /// Returns whether the server writes a binary log.
    pub const fn writes_log(&self) -> bool {
        self.server.log_bin
    }

    /// Returns whether the server is of an older series than the release that a catalog names.
    pub fn is_older_than(&self, release: &serde_json::Value) -> bool {
        let number = |position: usize| release[position].as_u64();
        let series = self.server.release.map(u64::from);
        let saved = (number(0), number(1));
        (Some(series[0]), Some(series[1])) < saved
    }

    /// Fails with [`Kind::Refused`] where the server or other databases stand in the way.
    pub fn check(&self) -> Result<()> {
        let refused = |what: &str| Error::new(Kind::Refused, format!("cannot restore: {what}"));
        if !self.server.local_infile {
            return Err(refused("the server does not take rows from its clients")
                .hint("SET GLOBAL local_infile = 1; and the same in the server's option file"));
        }
        self.check_swap()
    }

    /// Fails with [`Kind::Refused`] where nothing can be swapped.
    pub fn check_swap(&self) -> Result<()> {
        let refused = |what: &str| Error::new(Kind::Refused, format!("cannot restore: {what}"));
        if self.server.read_only {
            return Err(refused("the server is read-only").hint("SET GLOBAL read_only = 0;"));
        }
        if !self.foreign_keys.is_empty() {
            let keys = self.foreign_keys.join(", ");
            return Err(refused(&format!("foreign keys of other databases point here: {keys}"))
                .hint(
                    "they would follow the replaced tables: drop them, and add them afterwards",
                ));
        }
        Ok(())
    }
}

impl ServerFacts {
    /// Returns the folder of the server's data, where the server runs on this host.
    pub fn local_folder(&self, login: &Login) -> Option<PathBuf> {
        matches!(login.server, Address::Socket(_)).then(|| Path::new(&self.datadir).to_owned())
    }
}
