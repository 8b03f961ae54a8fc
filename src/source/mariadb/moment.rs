//! One moment for several connections, without stopping anyone.
//!
//! `BACKUP STAGE BLOCK_COMMIT` holds commits for the few milliseconds in which all connections open
//! their snapshots; it does not wait for running writes, as a global read lock would. Where the
//! account may not do that, each connection opens its own snapshot and tells the position in the
//! binary log that it belongs to: equal positions are one moment, and unequal ones are tried again.
//! That comes second, because whoever writes past the log, by a filter or by `sql_log_bin = 0`,
//! moves no position. Where neither can be had, one connection reads alone.
//!
//! Tables of engines without transactions belong to no snapshot: they are locked against writes
//! before the moment and read first.

use futures_util::future::join_all;
use futures_util::future::try_join_all;
use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::grants;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::quote;

/// How often positions are compared before one connection reads alone. Four connections among
/// four busy writers took up to six tries when measured.
const TRIES: usize = 20;

/// Seconds that a lock may be waited for; everybody behind us waits as long.
const LOCK_SECONDS: u32 = 10;

/// How the connections came to see one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Method {
    /// Equal positions in the binary log.
    BinaryLog,
    /// `BACKUP STAGE BLOCK_COMMIT`.
    BackupStage,
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
/// cannot be brought together.
pub(super) async fn open(
    readers: &mut Vec<Connection>,
    login: &Login,
    monitor: &dyn Monitor,
) -> Result<Moment> {
    let method = agree(readers, login, monitor).await?;
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

async fn agree(readers: &mut [Connection], login: &Login, monitor: &dyn Monitor) -> Result<Method> {
    if readers.len() == 1 {
        return Ok(Method::OneConnection);
    }
    let Err(error) = agree_by_stage(readers, login).await else { return Ok(Method::BackupStage) };
    if agree_by_position(readers).await? {
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
        let positions = try_join_all(readers.iter_mut().map(Connection::snapshot_position)).await?;
        // An empty position is no position: the binary log is off, and none will come.
        let Some(first) = &positions[0] else { return Ok(false) };
        if positions.iter().all(|position| position.as_ref() == Some(first)) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn agree_by_stage(readers: &mut [Connection], login: &Login) -> Result<()> {
    let mut guard = connect(login).await?;
    guard.wait_for_locks_at_most(LOCK_SECONDS).await?;
    guard.block_commits().await?;
    let begun = join_all(readers.iter_mut().map(Connection::begin_snapshot)).await;
    guard.release_commits().await?;
    begun.into_iter().collect()
}

/// A connection that keeps tables without transactions from being written until it is released.
pub(super) struct TableLock(Connection);

impl TableLock {
    /// Locks `tables`, waiting a bounded time for writes that are under way.
    pub(super) async fn take(login: &Login, database: &str, tables: &[&Table]) -> Result<Self> {
        let mut connection = connect(login).await?;
        connection.prepare_reading().await?;
        connection.receive_text_as_stored().await?;
        connection.wait_for_locks_at_most(LOCK_SECONDS).await?;
        let names: Vec<_> =
            tables.iter().map(|table| quote::qualified(database, &table.name)).collect();
        let locks: Vec<_> = names.iter().map(|name| format!("{name} READ")).collect();
        let locks = format!("LOCK TABLES {}", locks.join(", "));
        let doing = format!("cannot lock tables {}", names.join(", "));
        connection.execute(&doing, &locks).await.map_err(|error| match error.kind() {
            Kind::Denied => {
                let pattern = quote::identifier(&grants::escaped(database));
                let account = connection.account();
                error.hint(format!("GRANT LOCK TABLES ON {pattern}.* TO {account};"))
            }
            _ => error,
        })?;
        Ok(Self(connection))
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
    /// Opens this connection's own snapshot; REPEATABLE READ is set for the session already.
    async fn begin_snapshot(&mut self) -> Result<()> {
        let statement = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
        self.execute("cannot open a snapshot", statement).await
    }

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

    /// Holds all commits until [`Self::release_commits`] or the end of this connection.
    async fn block_commits(&mut self) -> Result<()> {
        for stage in ["START", "FLUSH", "BLOCK_DDL", "BLOCK_COMMIT"] {
            self.execute("cannot hold commits", &format!("BACKUP STAGE {stage}")).await?;
        }
        Ok(())
    }

    async fn release_commits(&mut self) -> Result<()> {
        self.execute("cannot let commits go on", "BACKUP STAGE END").await
    }
}

/// Returns the error of a snapshot during which a table or a program changed.
pub(super) fn inconsistent(name: &str) -> Error {
    Error::new(
        Kind::Inconsistent,
        format!("cannot save one moment: the definition of {name:?} changed meanwhile"),
    )
    .hint("wait until the upgrade or the maintenance of this database has ended")
}
