//! Saves a database: one moment on several connections, every table as chunks.
//!
//! The definitions are read twice, before the moment and when all rows have been read. Where both
//! are equal they were the same in between: rows and definitions are of the same moment. A reader
//! keeps what it has begun to read from being redefined until the end, and names every column it
//! reads. What no definition tells of, partitions that change places, is kept off (`partitions`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::try_join_all;
use serde_json::json;
use tokio::sync::mpsc::Sender;
use tokio::try_join;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::base::stages::Stage;
use crate::source::RawChunk;
use crate::source::mariadb::accounts::Accounts;
use crate::source::mariadb::accounts::read;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::cut::Sizes;
use crate::source::mariadb::definition::Definition;
use crate::source::mariadb::definition::Program;
use crate::source::mariadb::definition::Sequence;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::failure;
use crate::source::mariadb::guard;
use crate::source::mariadb::lines::Totals;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::moment;
use crate::source::mariadb::moment::Moment;
use crate::source::mariadb::moment::TableLock;
use crate::source::mariadb::parameters;
use crate::source::mariadb::partitions::Partitioned;
use crate::source::mariadb::programs;
use crate::source::mariadb::range::KnownChunks;
use crate::source::mariadb::reading::Reading;
use crate::source::mariadb::schema;
use crate::source::mariadb::server::ServerFacts;
use crate::source::mariadb::statement::CreateTable;
use crate::source::mariadb::tables;
use crate::source::mariadb::watch::Watch;

/// A database that is about to be saved: its definitions have been read, its rows have not.
pub struct Dump {
    login: Login,
    definition: Arc<Definition>,
    observer: Connection,
    readers: Vec<Connection>,
    /// What holds others off for the moment, where several readers open theirs at once.
    guard: Option<Connection>,
    server: ServerFacts,
    accounts: Option<Accounts>,
}

/// What a dump leaves behind apart from its chunks.
pub struct Dumped {
    /// One per table, in the order of [`Dump::tables`].
    pub totals: Vec<TableTotals>,
    /// The definitions as a tar, for the schema blob.
    pub schema: Vec<u8>,
    /// What the catalog tells of server, database and moment.
    pub detail: serde_json::Value,
}

/// What proves one table.
#[derive(Debug, PartialEq, Eq)]
pub struct TableTotals {
    /// The number of rows.
    pub rows: u64,
    /// How many of them are current, where the table keeps its history too.
    pub current_rows: Option<u64>,
    /// The size of its lines, in bytes.
    pub raw_bytes: u64,
    /// The digest of the stored columns.
    pub digest: String,
    /// The digest of the generated columns, where there are any.
    pub generated_digest: Option<String>,
}

impl Dump {
    /// Connects and reads the definitions; `None` where there is no such database.
    /// Fails where the account lacks a right, since what it may not see would be lost.
    pub async fn open(
        login: &Login,
        database: &str,
        connections: usize,
        monitor: &dyn Monitor,
    ) -> Result<Option<Self>> {
        let mut observer = connect(login).await?;
        let rights = observer.read_rights().await?;
        rights.demand(&rights.missing_for_create(database), "save", database)?;
        observer.prepare_reading().await?;
        // At once: a server that is far away takes as long for each as for all.
        let readers = try_join_all((0..connections).map(|_| moment::reader(login)));
        // Without one, whoever holds others off connects by itself, and says what is wrong.
        let guard = async { Ok(if connections > 1 { connect(login).await.ok() } else { None }) };
        let (definition, readers, guard) =
            try_join!(definition(&mut observer, database), readers, guard)?;
        let Some(definition) = definition else { return Ok(None) };
        for view in definition.programs.iter().filter(|program| program.is_broken) {
            monitor.note(&format!("{} is broken: something it refers to is gone", view.title()));
        }
        if let Some(what) = guard::unsound(&definition) {
            let text = format!("cannot save {what}: its definition is not understood");
            return Err(Error::failed(text).hint("rows kept outside of the server are not saved"));
        }
        let server = observer.read_facts().await?;
        let definition = Arc::new(definition);
        let accounts = None;
        Ok(Some(Self {
            login: login.clone(),
            definition,
            observer,
            readers,
            guard,
            server,
            accounts,
        }))
    }

    /// Takes along the accounts that reach the database, as they are now: they have no moment.
    /// Fails where our own account may not read them.
    pub async fn with_accounts(mut self, monitor: &dyn Monitor) -> Result<Self> {
        let rights = self.observer.read_rights().await?;
        let (missing, database) =
            (rights.missing_to_save_accounts(), &self.definition.database.name);
        rights.demand(&missing, "save the accounts of", database)?;
        let accounts = read::accounts(&mut self.observer, &self.definition, monitor).await?;
        self.accounts = Some(accounts);
        Ok(self)
    }

    /// Returns the names of the tables, in the order of the items that they become.
    pub fn tables(&self) -> Vec<String> {
        self.definition.tables.iter().map(|table| table.name.clone()).collect()
    }

    /// Returns what the boundaries of each table's chunks are values of, in the same order.
    pub fn keys(&self) -> Vec<serde_json::Value> {
        self.definition.tables.iter().map(Table::boundary_columns).collect()
    }

    /// Returns the server's guess at the size of all rows, in bytes.
    pub fn estimated_bytes(&self) -> u64 {
        self.definition.tables.iter().map(|table| table.estimated_bytes).sum()
    }

    /// Returns the folder of the server's data, where the server runs on this host.
    pub fn local_folder(&self) -> Option<PathBuf> {
        self.server.local_folder(&self.login)
    }

    /// Reads all rows of one moment and sends them as chunks; `known` are the chunks of the last
    /// snapshot.
    ///
    /// Fails with [`Kind::Inconsistent`](crate::base::error::Kind::Inconsistent) where a definition
    /// changed meanwhile.
    pub async fn read(
        mut self,
        known: &KnownChunks,
        sender: Sender<RawChunk>,
        monitor: &dyn Monitor,
    ) -> Result<Dumped> {
        let sizes = Sizes::for_database(self.estimated_bytes());
        let mut reading = Reading::new(Arc::clone(&self.definition), known, sizes, sender);
        let mut lock = lock_what_has_no_snapshot(&self.login, &self.definition, monitor).await?;
        if let Some(lock) = &mut lock {
            reading.read_locked(lock.connection()).await?;
        }
        let mut partitioned = Partitioned::hold(&self.login, &self.definition).await?;
        let opening = moment::open(&mut self.readers, self.guard.take(), &self.login, monitor);
        let moment = self.login.stages.time(Stage::Moment, 0, opening).await?;
        if let Some(lock) = lock {
            // Others wait for these tables.
            lock.release().await?;
        }
        let watch = Watch::new(&mut self.observer, &self.readers, &self.login.pace, monitor);
        let read = watch.over(reading.read_shared(&mut self.readers));
        match &mut partitioned {
            Some(tables) => tokio::select! {
                read = read => read?,
                error = tables.is_wanted() => return Err(error),
            },
            None => read.await?,
        }
        let totals = reading.finish();
        self.refuse_rows_of_no_time(&totals)?;
        self.compare_definitions().await?;
        self.dumped(&totals, &moment)
    }

    /// Fails on history that no server takes: a row that was deleted in the microsecond in which it
    /// came. No query of any moment sees it.
    fn refuse_rows_of_no_time(&self, totals: &[Totals]) -> Result<()> {
        let tables = self.definition.tables.iter().zip(totals);
        let Some((table, totals)) = tables.into_iter().find(|(_, totals)| totals.never > 0) else {
            return Ok(());
        };
        let (name, rows) = (&table.name, totals.never);
        let why = format!("{rows} rows of its history end when they begin, or before");
        Err(Error::failed(format!("cannot save table {name:?}: {why}"))
            .hint("no server takes such rows back; DELETE HISTORY removes them with what is older"))
    }

    /// Fails where a definition is no longer what it was before the moment.
    async fn compare_definitions(&mut self) -> Result<()> {
        let name = &self.definition.database.name;
        let Some(now) = definition(&mut self.observer, name).await? else {
            return Err(moment::inconsistent(name));
        };
        if let Some(changed) = difference(&self.definition, &now)? {
            return Err(moment::inconsistent(&changed));
        }
        // Counters and sequences have no snapshot: later values are never behind the rows.
        self.definition = Arc::new(now);
        Ok(())
    }

    fn dumped(self, totals: &[Totals], moment: &Moment) -> Result<Dumped> {
        let totals_of_table = |(table, totals): (&Table, &Totals)| TableTotals {
            rows: totals.stored.rows(),
            current_rows: table.is_versioned().then_some(totals.current),
            raw_bytes: totals.bytes,
            digest: totals.stored.to_text(),
            generated_digest: (totals.generated.rows() > 0).then(|| totals.generated.to_text()),
        };
        let mut detail = json!({
            "server": self.server,
            "address": self.login.server.to_string(),
            "database": self.definition.database,
            "moment": moment,
            "sequences": self.definition.sequences.len(),
            "programs": self.definition.programs.len(),
        });
        if let Some(accounts) = &self.accounts {
            detail["accounts"] = accounts.counts();
        }
        let totals = self.definition.tables.iter().zip(totals).map(totals_of_table).collect();
        let definition =
            Definition { accounts: self.accounts, ..Arc::unwrap_or_clone(self.definition) };
        Ok(Dumped { totals, schema: schema::pack(&definition)?, detail })
    }
}

/// The server's answers about what was listed a moment ago and is gone: a database, a table, a
/// routine, a trigger, an event.
const GONE: &[u16] = &[1049, 1146, 1305, 1360, 1539];

/// Returns all definitions of a database, or `None` where there is no such database.
async fn definition(connection: &mut Connection, name: &str) -> Result<Option<Definition>> {
    read_definition(connection, name).await.map_err(|error| match failure::server_code(&error) {
        Some(code) if GONE.contains(&code) => moment::disturbed(&error.chain()),
        _ => error,
    })
}

async fn read_definition(connection: &mut Connection, name: &str) -> Result<Option<Definition>> {
    let Some(database) = tables::database(connection, name).await? else { return Ok(None) };
    connection.select_database(name).await?;
    let listed = tables::listed(connection, name).await?;
    let tables = tables::tables(connection, name, &listed).await?;
    let sequences = tables::sequences(connection, name, &listed).await?;
    let programs = programs::programs(connection, name).await?;
    let parameters = match programs.as_slice() {
        [] => Vec::new(),
        _ => parameters::parameters(connection, name).await?,
    };
    Ok(Some(Definition { database, tables, sequences, programs, parameters, accounts: None }))
}

async fn lock_what_has_no_snapshot(
    login: &Login,
    definition: &Definition,
    monitor: &dyn Monitor,
) -> Result<Option<TableLock>> {
    let is_locked = |table: &&Table| !table.is_transactional;
    let tables: Vec<_> = definition.tables.iter().filter(is_locked).collect();
    if tables.is_empty() {
        return Ok(None);
    }
    let names: Vec<_> = tables.iter().map(|table| table.name.as_str()).collect();
    monitor.note(&format!(
        "tables without transactions are locked against writes while they are read: {}",
        names.join(", ")
    ));
    let database = &definition.database.name;
    let mut lock = TableLock::take(login, database, &names, moment::LOCK_SECONDS).await?;
    lock.end_when_idle().await?;
    Ok(Some(lock))
}

/// Returns the name of the first table, sequence or program that differs, counters aside.
fn difference(before: &Definition, after: &Definition) -> Result<Option<String>> {
    if before.database != after.database {
        return Ok(Some(before.database.name.clone()));
    }
    let (before, after) = (parts(before)?, parts(after)?);
    let mut keys = before.keys().chain(after.keys());
    let changed = keys.find(|&key| before.get(key) != after.get(key));
    Ok(changed.map(|(_, name)| (*name).to_owned()))
}

/// What one name of a database stands for.
#[derive(PartialEq)]
enum Part<'a> {
    Table(Table),
    Sequence(&'a str),
    Program(&'a Program),
}

/// Returns the parts of a definition by kind and name.
fn parts(definition: &Definition) -> Result<BTreeMap<(&str, &str), Part<'_>>> {
    let mut parts = BTreeMap::new();
    for table in &definition.tables {
        // Columns are read beside the statement, and tables of equal statements may change places.
        // What is known of rows is no definition.
        let create = CreateTable::parse(&table.create)?.without_counter();
        let part = Table { create, estimated_bytes: 0, is_analyzed: false, ..table.clone() };
        parts.insert(("TABLE", table.name.as_str()), Part::Table(part));
    }
    for Sequence { name, create, .. } in &definition.sequences {
        parts.insert(("SEQUENCE", name.as_str()), Part::Sequence(create));
    }
    for program in &definition.programs {
        parts.insert((program.kind.words(), program.name.as_str()), Part::Program(program));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::mariadb::definition::Database;

    fn definition() -> Definition {
        let sequence = |name: &str| Sequence {
            name: name.to_owned(),
            create: format!("CREATE SEQUENCE `{name}` increment by 1"),
            next: 1,
            round: 0,
        };
        let word = || "utf8mb4".to_owned();
        let name = "studio".to_owned();
        Definition {
            database: Database { name, charset: word(), collation: word(), comment: word() },
            tables: Vec::new(),
            sequences: vec![sequence("a"), sequence("b")],
            programs: Vec::new(),
            parameters: Vec::new(),
            accounts: None,
        }
    }

    fn changed(change: fn(&mut Definition)) -> Option<String> {
        let mut after = definition();
        change(&mut after);
        let both = (difference(&definition(), &after), difference(&after, &definition()));
        let (there, back) = (both.0.unwrap(), both.1.unwrap());
        assert_eq!(there.is_some(), back.is_some());
        there
    }

    #[test]
    fn sequences_may_go_on_but_neither_change_nor_come_and_go() {
        assert_eq!(changed(|after| after.sequences[1].next = 1_001), None);
        let altered = changed(|after| after.sequences[1].create.push_str(" cycle"));
        assert_eq!(altered.as_deref(), Some("b"));
        let dropped = changed(|after| drop(after.sequences.pop()));
        assert_eq!(dropped.as_deref(), Some("b"));
    }

    #[test]
    fn the_database_keeps_its_attributes() {
        let altered = changed(|after| after.database.collation = "utf8mb4_bin".to_owned());
        assert_eq!(altered.as_deref(), Some("studio"));
        let commented = changed(|after| after.database.comment.clear());
        assert_eq!(commented.as_deref(), Some("studio"));
    }
}
