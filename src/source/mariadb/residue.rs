//! Drops databases whose folder keeps files that the server does not know.
//!
//! A server that dies while it creates or drops a table may forget a file of it: `FTS_…_CONFIG.ibd`
//! of a full-text index, `name.par` or `name#P#p0.ibd` of a partitioned table (MDEV-25506 and its
//! neighbours). `DROP DATABASE`, which has dropped all that the server knows by then, ends with
//! error 1010: the folder is not empty.
//!
//! No statement names a file of a table. But a table that is given the name of the file takes it
//! along when it is dropped: for a tablespace one that has discarded its own, for partitions a
//! partitioned one. What no table can be named after, such as one partition, stays with the empty
//! database: that is told, and keeps nobody from anything.
//!
//! A server without a binary log that dies while it drops a trigger may forget the file that
//! reserves its name, `name.TRN`: nobody sees that trigger, nor can it be created or replaced (error
//! 1360), but it can be dropped ([`Connection::drop_trigger`]).

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::failure;
use crate::source::mariadb::quote;

/// The name of a table until it has that of a forgotten file.
const NAMELESS: &str = "__snap_nameless";

/// A file that nothing the server knows of has, by the name of the table or trigger it would be of.
enum Stray {
    Tablespace(String),
    Partitions(String),
    Trigger(String),
}

/// Returns whether a database that was to be dropped is gone; that an empty one stays is told, and
/// is no failure.
pub(super) fn told(dropped: Result<()>, monitor: &dyn Monitor) -> Result<bool> {
    match dropped {
        Err(error) if failure::keeps_folder(&error) => {
            let hint = error.advice().unwrap_or_default();
            monitor.note(&format!("{}; {hint}", error.chain()));
            Ok(false)
        }
        dropped => dropped.map(|()| true),
    }
}

impl Connection {
    /// Drops a database with all that it holds. Where it stays because of files that cannot be got
    /// rid of from here, the error is one that [`told`] knows.
    pub(super) async fn drop_database(&mut self, name: &str) -> Result<()> {
        match self.try_to_drop(name).await {
            Err(error) if failure::keeps_folder(&error) => {
                // So rare that the others need not carry it.
                Box::pin(self.drop_with_strays(name)).await
            }
            dropped => dropped,
        }
    }

    async fn drop_with_strays(&mut self, name: &str) -> Result<()> {
        let folder = self.folder_of(name).await?;
        // Whatever else is in the way of a file, the drop fails again.
        match self.drop_strays(name, &folder).await {
            Err(error) if error.kind() == Kind::Unreachable => return Err(error),
            _ => {}
        }
        match self.try_to_drop(name).await {
            Err(error) if failure::keeps_folder(&error) => {
                Err(self.why(error, name, &folder).await?)
            }
            dropped => dropped,
        }
    }

    /// Returns the error of a database whose folder stays, with what there is to do about it.
    async fn why(&mut self, error: Error, name: &str, folder: &Path) -> Result<Error> {
        if self.holds_any(name).await? {
            return Ok(Error::failed(format!("{error}: somebody creates something in it")));
        }
        Ok(error.hint(format!(
            "it holds nothing any more, and nothing is lost: in its folder are files that the \
             server forgot when it died; each restore tries to drop it, and {} may be removed while \
             the server is stopped",
            folder.display()
        )))
    }

    async fn try_to_drop(&mut self, name: &str) -> Result<()> {
        let name = quote::identifier(name);
        let doing = format!("cannot drop database {name}");
        self.execute(&doing, &format!("DROP DATABASE IF EXISTS {name}")).await
    }

    /// Drops the files that the server has forgotten in the folder of an empty database, as far as
    /// they can be seen from here.
    async fn drop_strays(&mut self, database: &str, folder: &Path) -> Result<()> {
        if !self.is_local() {
            return Ok(());
        }
        let mut strays = Vec::new();
        for file in files_in(folder) {
            strays.extend(self.stray(&file).await?);
        }
        // Other servers have no such files, and maybe no such database any more.
        let is_logged = !strays.is_empty() && self.writes_binlog().await?;
        if is_logged {
            self.leave_binlog().await?;
        }
        let mut dropped = Ok(());
        for stray in &strays {
            dropped = dropped.and(self.drop_stray(database, stray).await);
        }
        if is_logged {
            self.return_to_binlog().await?;
        }
        dropped
    }

    /// Returns what a file would be of; `None` where it can be of no table and no trigger.
    async fn stray(&mut self, file: &Path) -> Result<Option<Stray>> {
        let kind = match file.extension().and_then(OsStr::to_str) {
            Some("ibd") => Stray::Tablespace,
            Some("par") => Stray::Partitions,
            Some("TRN") => Stray::Trigger,
            _ => return Ok(None),
        };
        let stem = file.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        // No name is written with another character: `t#P#p0.ibd` is a part of one.
        let is_written = |byte: u8| byte.is_ascii_alphanumeric() || b"_@".contains(&byte);
        if !stem.bytes().all(is_written) {
            return Ok(None);
        }
        Ok(self.name_of_file(stem).await?.map(kind))
    }

    /// Returns the name of the table or trigger whose files have this name, if there is one.
    async fn name_of_file(&mut self, stem: &str) -> Result<Option<String>> {
        let bytes = quote::bytes(stem.as_bytes());
        let name = format!("CONVERT(CONVERT({bytes} USING filename) USING utf8mb4)");
        let sql =
            format!("SELECT {name}, CAST(CONVERT({name} USING filename) AS BINARY) = {bytes}");
        let read: Option<(String, bool)> = self.first("cannot read a file's name", &sql).await?;
        Ok(read.filter(|(_, is_exact)| *is_exact).map(|(name, _)| name))
    }

    async fn drop_stray(&mut self, database: &str, stray: &Stray) -> Result<()> {
        let (Stray::Tablespace(name) | Stray::Partitions(name) | Stray::Trigger(name)) = stray;
        let doing = format!("cannot drop what the server has forgotten of table {name:?}");
        let table = quote::qualified(database, name);
        let nameless = quote::qualified(database, NAMELESS);
        let steps = match stray {
            Stray::Tablespace(_) => vec![
                format!("CREATE OR REPLACE TABLE {nameless} (id INT) ENGINE=InnoDB"),
                format!("ALTER TABLE {nameless} DISCARD TABLESPACE"),
                format!("RENAME TABLE {nameless} TO {table}"),
            ],
            Stray::Partitions(_) => vec![format!(
                "CREATE TABLE {table} (id INT) ENGINE=MEMORY PARTITION BY HASH (id) PARTITIONS 1"
            )],
            Stray::Trigger(_) => return self.drop_trigger(database, name).await,
        };
        for statement in steps {
            self.execute(&doing, &statement).await?;
        }
        self.execute(&doing, &format!("DROP TABLE {table}")).await
    }

    /// Drops a trigger, be it that only its name is left.
    pub(super) async fn drop_trigger(&mut self, database: &str, name: &str) -> Result<()> {
        let trigger = quote::qualified(database, name);
        let doing = format!("cannot drop trigger {trigger}");
        self.execute(&doing, &format!("DROP TRIGGER IF EXISTS {trigger}")).await
    }

    /// Returns the folder of a database, as the server's host has it.
    async fn folder_of(&mut self, database: &str) -> Result<PathBuf> {
        let sql = format!(
            "SELECT @@global.datadir, CAST(CONVERT({} USING filename) AS BINARY)",
            quote::text(database)
        );
        let doing = format!("cannot find the folder of database {database:?}");
        let row: Option<(String, String)> = self.first(&doing, &sql).await?;
        let (datadir, folder) = row.expect("this SELECT has one row");
        Ok(Path::new(&datadir).join(folder))
    }

    /// Returns whether a database has a table, view, routine or event.
    async fn holds_any(&mut self, database: &str) -> Result<bool> {
        let there = |catalog: &str, column: &str| {
            let is_of_it = quote::is_database(column, database);
            format!("EXISTS (SELECT 1 FROM information_schema.{catalog} WHERE {is_of_it})")
        };
        let sql = format!(
            "SELECT {} OR {} OR {}",
            there("TABLES", "TABLE_SCHEMA"),
            there("ROUTINES", "ROUTINE_SCHEMA"),
            there("EVENTS", "EVENT_SCHEMA")
        );
        let doing = format!("cannot see what is in database {database:?}");
        Ok(self.first(&doing, &sql).await?.unwrap_or(true))
    }
}

/// Returns the files of a folder that can be seen from here.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
