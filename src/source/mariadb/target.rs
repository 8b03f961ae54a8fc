//! The database that a restore will replace: what is there, and whether it can be replaced.

use std::path::Path;
use std::path::PathBuf;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::compare::Comparison;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::foreign_keys;
use crate::source::mariadb::foreign_keys::Pin;
use crate::source::mariadb::given;
use crate::source::mariadb::given::Given;
use crate::source::mariadb::login::Address;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::names;
use crate::source::mariadb::rights::Rights;
use crate::source::mariadb::server::ServerFacts;
use crate::source::mariadb::tables;

/// What a restore finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The number of tables, views and sequences; `None` where there is no such database.
    pub tables: Option<usize>,
    server: ServerFacts,
    /// The account, as a statement names it, and whether it may write to a server that is read-only.
    account: String,
    writes_read_only: bool,
    pins: Vec<Pin>,
    /// Rights on single tables and routines, where they can be seen.
    given: Option<Vec<Given>>,
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
    let rights = connection.read_rights().await?;
    let target = look_over(&mut connection, database, &rights).await?;
    connection.close().await;
    Ok(target)
}

/// Returns what is live under the name `database`; fails with [`Kind::Denied`] where the account
/// lacks a right that a restore needs.
pub async fn inspect(login: &Login, database: &str) -> Result<Target> {
    let mut connection = connect(login).await?;
    let rights = connection.read_rights().await?;
    let target = look_over(&mut connection, database, &rights).await?;
    rights.demand(&rights.missing_for_restore(database, &target.server), "restore", database)?;
    connection.close().await;
    Ok(target)
}

async fn look_over(connection: &mut Connection, database: &str, rights: &Rights) -> Result<Target> {
    let tables = match tables::database(connection, database).await? {
        Some(_) => Some(tables::listed(connection, database).await?.len()),
        None => None,
    };
    let server = connection.read_facts().await?;
    Ok(Target {
        tables,
        account: connection.account().to_owned(),
        writes_read_only: rights.may_write_read_only(),
        pins: foreign_keys::from_elsewhere(connection, database).await?,
        given: given::read(connection, database).await?,
        server,
    })
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

    /// Fails with [`Kind::Refused`] where the server stands in the way.
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
        if self.server.read_only && !self.writes_read_only {
            let hint = format!(
                "SET GLOBAL read_only = 0; or GRANT READ_ONLY ADMIN ON *.* TO {};",
                self.account
            );
            return Err(refused("the server is read-only").hint(hint));
        }
        Ok(())
    }

    /// Returns what is to be known of a server that is read-only, and does not hinder this account.
    pub fn note_on_read_only(&self) -> Option<String> {
        let is_noted = self.server.read_only && self.writes_read_only;
        is_noted.then(|| {
            let account = &self.account;
            format!("the server is read-only: {account} may write all the same")
        })
    }

    /// Returns all foreign keys of other databases that point here.
    pub fn pins(&self) -> Vec<String> {
        self.pins.iter().map(Pin::describe).collect()
    }

    /// Returns the foreign keys of other databases that point to what does not stay.
    pub fn pins_on_replaced(&self, found: &Comparison) -> Vec<String> {
        let on_replaced = self.pins.iter().filter(|pin| !found.kept.contains(&pin.table));
        on_replaced.map(Pin::describe).collect()
    }

    /// Returns what becomes of rights on single tables and routines when `tables` are swapped in.
    pub fn fates_of_rights(&self, found: &Comparison, tables: &[&str]) -> Vec<String> {
        given::fates(self.given.as_deref(), found, tables)
    }
}

impl ServerFacts {
    /// Returns the folder of the server's data, where the server runs on this host.
    pub fn local_folder(&self, login: &Login) -> Option<PathBuf> {
        matches!(login.server, Address::Socket(_)).then(|| Path::new(&self.datadir).to_owned())
    }
}
