//! One moment for several connections, without stopping anyone.
//!
//! Each connection opens a snapshot of its own; a ladder of ways brings them to one moment:
//!
//! 1. `BACKUP STAGE BLOCK_COMMIT` holds commits for the few milliseconds in which all snapshots
//!    open; it does not wait for running writes.
//! 2. `FLUSH TABLES WITH READ LOCK` does the same where the stages are taken, by another backup for
//!    example; it waits for running writes, so that it often fails within its bound.
//! 3. Without the right to hold anyone off, each connection tells the position in the binary log
//!    that its snapshot belongs to: equal positions are one moment, and unequal ones are tried
//!    again. This holds nobody, and comes late nevertheless, because whoever writes past the log,
//!    by a filter, as a replica or by `sql_log_bin = 0`, moves no position.
//! 4. One connection reads alone.
//!
//! Tables of engines without transactions belong to no snapshot. They are locked against writes,
//! read, and kept locked until the snapshots are open: what was read of them is what they held at
//! the moment. `BACKUP STAGE BLOCK_DDL` would not do for that: it stops writes to MyISAM, but not to
//! MEMORY and transactional Aria, and it stops them in every database of the server. Nobody who
//! commits to an engine with transactions ever waits for these reads.

use futures_util::future::try_join_all;
use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::base::pace::Pace;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::connection::connect_for_rows;
use crate::source::mariadb::grants;
use crate::source::mariadb::hold;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::quote;

/// How often positions are compared before one connection reads alone. Four connections among
/// four busy writers took up to six tries when measured.
const TRIES: usize = 20;

/// How often a connection must tell the same position.
const TIMES_TOLD: usize = 3;

/// Seconds that a lock on a table may be waited for; everybody behind us waits as long.
pub(super) const LOCK_SECONDS: u32 = 10;

/// Seconds after which the server ends a lock that nobody uses.
const IDLE_SECONDS: u32 = 60;

const BY_POSITION: &str = "all connections agree by the binary log, which does not tell of writes \
    that bypass it: with the right RELOAD snap needs no log";

/// How the connections came to see one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Method {
    /// Equal positions in the binary log.
    BinaryLog,
    /// `BACKUP STAGE BLOCK_COMMIT`.
    BackupStage,
    /// `FLUSH TABLES WITH READ LOCK`.
    GlobalReadLock,
    /// One connection, whose snapshot is of one moment by itself.
    OneConnection,
}

/// A moment, as the catalog tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Moment {
    pub(super) method: Method,
    /// The position in the binary log, where there is one: `file:offset`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) position: Option<String>,
    /// The GTID at that position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gtid: Option<String>,
}

/// Opens one snapshot on all `readers` and returns how; fewer readers are left where several
/// cannot be brought together. A `guard` is a connection to hold others off by.
pub(super) async fn open(
    readers: &mut Vec<Connection>,
    guard: Option<Connection>,
    login: &Login,
    monitor: &dyn Monitor,
) -> Result<Moment> {
    let method = agree(readers, guard, login, monitor).await?;
    if method == Method::OneConnection {
        readers.truncate(1);
        readers[0].begin_snapshot().await?;
    }
    let (position, gtid) = match readers[0].snapshot_position().await? {
        Some(position) => (Some(position.to_string()), readers[0].gtid_at(&position).await?),
        None => (None, None),
    };
    Ok(Moment { method, position, gtid })
}

async fn agree(
    readers: &mut [Connection],
    guard: Option<Connection>,
    login: &Login,
    monitor: &dyn Monitor,
) -> Result<Method> {
    if readers.len() == 1 {
        return Ok(Method::OneConnection);
    }
    let Err(error) = hold::open_snapshots(readers, guard, login, &hold::COMMITS).await else {
        return Ok(Method::BackupStage);
    };
    // The lock takes the same right as the stages.
    let may_hold = error.kind() != Kind::Denied;
    if may_hold && hold::open_snapshots(readers, None, login, &hold::WRITES).await.is_ok() {
        return Ok(Method::GlobalReadLock);
    }
    if agree_by_position(readers).await? {
        monitor.note(BY_POSITION);
        return Ok(Method::BinaryLog);
    }
    let why = error.chain();
    monitor.note(&format!("one connection reads alone: several cannot agree on a moment ({why})"));
    Ok(Method::OneConnection)
}

/// A position in the binary log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    file: String,
    offset: u64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.file, self.offset)
    }
}

async fn agree_by_position(readers: &mut [Connection]) -> Result<bool> {
    for _ in 0..TRIES {
        try_join_all(readers.iter_mut().map(Connection::begin_snapshot)).await?;
        // An empty position is no position: the binary log is off, and none will come.
        let Some(first) = readers[0].snapshot_position().await? else { return Ok(false) };
        if all_tell(readers, &first).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns whether the snapshots of all `readers` belong to `position`.
///
/// The server copies what it is about to tell to one place for all sessions before it tells it
/// (measured with 10.11: of two that ask at once, one may be told the other's position). So they
/// are asked one after another, and several times, since somebody else may ask too.
async fn all_tell(readers: &mut [Connection], position: &Position) -> Result<bool> {
    for _ in 0..TIMES_TOLD {
        for reader in &mut *readers {
            if reader.snapshot_position().await?.as_ref() != Some(position) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// A connection that keeps tables from being written until it is released.
pub(super) struct TableLock(Connection);

impl TableLock {
    /// Locks `tables`, waiting so many `seconds` for writes that are under way.
    pub(super) async fn take(
        login: &Login,
        database: &str,
        tables: &[&str],
        seconds: u32,
    ) -> Result<Self> {
        // Others wait for these tables: nobody keeps us waiting meanwhile.
        let login = Login { pace: Pace::default(), ..login.clone() };
        let mut connection = connect(&login).await?;
        connection.prepare_reading_rows(seconds).await?;
        let names: Vec<_> = tables.iter().map(|table| quote::qualified(database, table)).collect();
        let locks: Vec<_> = names.iter().map(|name| format!("{name} READ")).collect();
        let locks = format!("LOCK TABLES {}", locks.join(", "));
        let doing = format!("cannot lock tables {}", names.join(", "));
        connection.execute(&doing, &locks).await.map_err(|error| match error.kind() {
            Kind::Denied => {
                let pattern = quote::identifier(&grants::escaped(database));
                let account = connection.account();
                error.hint(format!("GRANT LOCK TABLES ON {pattern}.* TO {account};"))
            }
            Kind::Busy => Error::new(Kind::Inconsistent, doing.as_str())
                .hint("wait until whoever writes these tables has ended")
                .caused_by(error),
            _ => error,
        })?;
        Ok(Self(connection))
    }

    /// Fails where the connection, and with it the lock, is gone: whoever asks knows that it was
    /// held until now.
    pub(super) async fn demand_held(&mut self) -> Result<()> {
        self.0.execute("cannot keep tables from being written", "DO 1").await
    }

    /// Makes the server end the lock where we neither ask nor take anything for a minute: others
    /// must not wait for a process that is stopped.
    pub(super) async fn end_when_idle(&mut self) -> Result<()> {
        let statement = format!(
            "SET SESSION wait_timeout = {IDLE_SECONDS}, net_write_timeout = {IDLE_SECONDS}"
        );
        self.0.execute("cannot bound how long tables are locked", &statement).await
    }

    /// Returns the connection that reads the locked tables.
    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.0
    }

    /// Lets the tables be written again.
    pub(super) async fn release(mut self) -> Result<()> {
        self.0.execute("cannot release the locked tables", "UNLOCK TABLES").await
    }
}

impl Connection {
    /// Returns the position in the binary log that this connection's snapshot belongs to.
    async fn snapshot_position(&mut self) -> Result<Option<Position>> {
        let sql = "SHOW SESSION STATUS LIKE 'binlog\\_snapshot\\_%'";
        let status: Vec<(String, String)> =
            self.rows("cannot read the position in the binary log", sql).await?;
        let value = |name: &str| {
            let found = status.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
        };
        let file = value("binlog_snapshot_file");
        let offset = value("binlog_snapshot_position").and_then(|text| text.parse().ok());
        Ok(file.zip(offset).map(|(file, offset)| Position { file, offset }))
    }

    /// Returns the GTID at a position, where the account may ask for it.
    async fn gtid_at(&mut self, position: &Position) -> Result<Option<String>> {
        let Position { file, offset } = position;
        let sql = format!("SELECT BINLOG_GTID_POS({}, {offset})", quote::text(file));
        match self.first::<Option<String>>("cannot read the GTID", &sql).await {
            Ok(gtid) => Ok(gtid.flatten().filter(|gtid| !gtid.is_empty())),
            Err(error) if error.kind() == Kind::Denied => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Bounds how long a lock on a table is waited for: everybody behind us waits as long.
    pub(super) async fn wait_for_locks_at_most(&mut self, seconds: u32) -> Result<()> {
        let statement = format!("SET SESSION lock_wait_timeout = {seconds}");
        self.execute("cannot bound the wait for locks", &statement).await
    }
}

/// Returns a connection that reads in the moment to come.
///
/// It waits for a table only where somebody changes the table's definition. That one may wait for
/// another of our connections, with everybody else behind it, so that we are the ones to give way.
pub(super) async fn reader(login: &Login) -> Result<Connection> {
    let mut reader = connect_for_rows(login).await?;
    reader.prepare_reading_rows(LOCK_SECONDS).await?;
    Ok(reader)
}

/// Returns the error of a snapshot during which a table or a program changed.
pub(super) fn inconsistent(name: &str) -> Error {
    disturbed(&format!("the definition of {name:?} changed meanwhile"))
}

/// Returns the error of a [`reader`]: one that waited in vain has given way to a change.
pub(super) fn given_way(error: Error) -> Error {
    if error.kind() == Kind::Busy { disturbed(&error.chain()) } else { error }
}

/// Returns the error of a snapshot that somebody's change of definitions came in the way of.
pub(super) fn disturbed(by: &str) -> Error {
    Error::new(Kind::Inconsistent, format!("cannot save one moment: {by}"))
        .hint("wait until the upgrade or the maintenance of this database has ended")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::mariadb::throwaway::server;

    #[tokio::test]
    async fn the_server_waits_for_a_stopped_process_for_minutes_not_days() {
        server().run("CREATE DATABASE stopped; CREATE TABLE stopped.t (id INT) ENGINE = MyISAM");
        let login = server().login(server().superuser(), None);
        let bounds = async |connection: &mut Connection| {
            let sql = "SELECT @@wait_timeout, @@net_write_timeout";
            connection.first::<(u32, u32)>("cannot read bounds", sql).await.unwrap().unwrap()
        };
        let mut lock = TableLock::take(&login, "stopped", &["t"], 1).await.unwrap();
        lock.end_when_idle().await.unwrap();
        assert_eq!(bounds(lock.connection()).await, (60, 60));
        // A reader may wait long for the others.
        assert_eq!(bounds(&mut reader(&login).await.unwrap()).await, (86_400, 600));
    }
}
