//! Saves a database: one moment on several connections, every table as chunks.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;

use serde_json::json;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
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
use crate::source::mariadb::guard;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::moment;
use crate::source::mariadb::moment::Moment;
use crate::source::mariadb::moment::TableLock;
use crate::source::mariadb::programs;
use crate::source::mariadb::range;
use crate::source::mariadb::range::Job;
use crate::source::mariadb::range::KnownChunks;
use crate::source::mariadb::rows;
use crate::source::mariadb::rows::Totals;
use crate::source::mariadb::schema;
use crate::source::mariadb::server::ServerFacts;
use crate::source::mariadb::statement::CreateTable;
use crate::source::mariadb::tables;

/// A database that is about to be saved: its moment has come, its rows have not been read.
pub struct Dump {
    login: Login,
    definition: Arc<Definition>,
    observer: Connection,
    readers: Vec<Connection>,
    lock: Option<TableLock>,
    moment: Moment,
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
pub struct TableTotals {
    /// The number of rows.
    pub rows: u64,
    /// The size of its lines, in bytes.
    pub raw_bytes: u64,
    /// The digest of the stored columns.
    pub digest: String,
    /// The digest of the generated columns, where there are any.
    pub generated_digest: Option<String>,
}

impl Dump {
    /// Connects, reads the definitions and opens the moment; `None` where there is no such
    /// database. Fails where the account lacks a right, since what it may not see would be lost.
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
        let Some(definition) = definition(&mut observer, database).await? else { return Ok(None) };
        for view in definition.programs.iter().filter(|program| program.is_broken) {
            monitor.note(&format!("{} is broken: something it refers to is gone", view.title()));
        }
        if let Some(what) = guard::unsound(&definition) {
            let text = format!("cannot save {what}: its definition is not understood");
            return Err(Error::failed(text).hint("rows kept outside of the server are not saved"));
        }
        let lock = lock_what_has_no_snapshot(login, &definition, monitor).await?;
        let mut readers = Vec::new();
        for _ in 0..connections {
            let mut reader = connect(login).await?;
            reader.prepare_reading().await?;
            reader.receive_text_as_stored().await?;
            readers.push(reader);
        }
        let moment = moment::open(&mut readers, login, monitor).await?;
        let server = observer.read_facts().await?;
        let definition = Arc::new(definition);
        let login = login.clone();
        let accounts = None;
        Ok(Some(Self { login, definition, observer, readers, lock, moment, server, accounts }))
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

    /// Returns the server's guess at the size of all rows, in bytes.
    pub fn estimated_bytes(&self) -> u64 {
        self.definition.tables.iter().map(|table| table.estimated_bytes).sum()
    }

    /// Returns the folder of the server's data, where the server runs on this host.
    pub fn local_folder(&self) -> Option<PathBuf> {
        self.server.local_folder(&self.login)
    }

    /// Reads all rows and sends them as chunks; `known` are the chunks of the last snapshot.
    ///
    /// Fails with [`Kind::Inconsistent`] where a definition changed meanwhile.
    pub async fn read(mut self, known: &KnownChunks, sender: Sender<RawChunk>) -> Result<Dumped> {
        let sizes = Sizes::for_database(self.estimated_bytes());
        let mut totals = vec![Totals::default(); self.definition.tables.len()];
        self.read_locked(sizes, &sender, &mut totals).await?;
        let jobs = range::jobs(self.tables_where(|table| table.is_transactional), known);
        let split = tables_in_parts(&jobs);
        self.read_in_parallel(jobs, sizes, &sender, &mut totals).await?;
        drop(sender);
        self.count_again(&split, &totals).await?;
        self.compare_definitions().await?;
        Ok(self.dumped(&totals))
    }

    fn tables_where(&self, is_wanted: fn(&Table) -> bool) -> impl Iterator<Item = (usize, &Table)> {
        self.definition.tables.iter().enumerate().filter(move |(_, table)| is_wanted(table))
    }

    /// Reads the tables without transactions and releases them as soon as possible.
    async fn read_locked(
        &mut self,
        sizes: Sizes,
        sender: &Sender<RawChunk>,
        totals: &mut [Totals],
    ) -> Result<()> {
        let Some(mut lock) = self.lock.take() else { return Ok(()) };
        let database = &self.definition.database.name;
        let none = KnownChunks::new();
        for job in range::jobs(self.tables_where(|table| !table.is_transactional), &none) {
            let table = &self.definition.tables[job.table];
            let connection = lock.connection();
            let read = rows::read_job(connection, database, table, &job, sizes, sender).await?;
            totals[job.table].merge(&read);
        }
        lock.release().await
    }

    /// Shares the jobs among the readers, each of which takes the next when it is done.
    async fn read_in_parallel(
        &mut self,
        jobs: Vec<Job>,
        sizes: Sizes,
        sender: &Sender<RawChunk>,
        totals: &mut [Totals],
    ) -> Result<()> {
        let jobs = Arc::new(Mutex::new(VecDeque::from(jobs)));
        let mut workers = JoinSet::new();
        for mut reader in std::mem::take(&mut self.readers) {
            let jobs = Arc::clone(&jobs);
            let definition = Arc::clone(&self.definition);
            let sender = sender.clone();
            workers.spawn(async move {
                let mut read = Vec::new();
                while let Some(job) = next(&jobs) {
                    let table = &definition.tables[job.table];
                    let name = &definition.database.name;
                    let totals =
                        rows::read_job(&mut reader, name, table, &job, sizes, &sender).await?;
                    read.push((job.table, totals));
                }
                Ok::<_, Error>((reader, read))
            });
        }
        while let Some(worker) = workers.join_next().await {
            let (reader, read) = worker.expect("a reader neither panics nor is cancelled")?;
            self.readers.push(reader);
            for (table, part) in read {
                totals[table].merge(&part);
            }
        }
        Ok(())
    }

    /// Counts the tables that were read in several ranges once more, in the same moment: a range
    /// that compares otherwise than the key is ordered would lose rows or give them twice.
    async fn count_again(&mut self, split: &[usize], totals: &[Totals]) -> Result<()> {
        let database = self.definition.database.name.clone();
        for &position in split {
            let table = &self.definition.tables[position].name;
            let counted = self.readers[0].count_rows(&database, table).await?;
            let read = totals[position].stored.rows();
            if counted != read {
                return Err(Error::new(
                    Kind::Inconsistent,
                    format!("cannot read table {table:?} in ranges: {read} rows of {counted}"),
                )
                .hint("this is a defect of snap; please report the table's definition"));
            }
        }
        Ok(())
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

    fn dumped(self, totals: &[Totals]) -> Dumped {
        let totals_of_table = |totals: &Totals| TableTotals {
            rows: totals.stored.rows(),
            raw_bytes: totals.bytes,
            digest: totals.stored.to_text(),
            generated_digest: (totals.generated.rows() > 0).then(|| totals.generated.to_text()),
        };
        let mut detail = json!({
            "server": self.server,
            "address": self.login.server.to_string(),
            "database": self.definition.database,
            "moment": self.moment,
            "sequences": self.definition.sequences.len(),
            "programs": self.definition.programs.len(),
        });
        if let Some(accounts) = &self.accounts {
            detail["accounts"] = accounts.counts();
        }
        let definition =
            Definition { accounts: self.accounts, ..Arc::unwrap_or_clone(self.definition) };
        Dumped {
            totals: totals.iter().map(totals_of_table).collect(),
            schema: schema::pack(&definition),
            detail,
        }
    }
}

/// Returns all definitions of a database, or `None` where there is no such database.
async fn definition(connection: &mut Connection, name: &str) -> Result<Option<Definition>> {
    let Some(database) = tables::database(connection, name).await? else { return Ok(None) };
    connection.select_database(name).await?;
    let listed = tables::listed(connection, name).await?;
    Ok(Some(Definition {
        database,
        tables: tables::tables(connection, name, &listed).await?,
        sequences: tables::sequences(connection, name, &listed).await?,
        programs: programs::programs(connection, name).await?,
        accounts: None,
    }))
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
    TableLock::take(login, &definition.database.name, &tables).await.map(Some)
}

fn next(jobs: &Mutex<VecDeque<Job>>) -> Option<Job> {
    jobs.lock().expect("no reader panics while it takes a job").pop_front()
}

/// Returns the positions of the tables that are read by more than one query.
fn tables_in_parts(jobs: &[Job]) -> Vec<usize> {
    let mut queries: Vec<usize> =
        jobs.iter().flat_map(|job| job.ranges.iter().map(|_| job.table)).collect();
    queries.sort_unstable();
    let mut repeated: Vec<usize> =
        queries.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    repeated.dedup();
    repeated
}

/// Returns the name of the first table, sequence or program that differs, counters aside.
fn difference(before: &Definition, after: &Definition) -> Result<Option<String>> {
    let (before, after) = (parts(before)?, parts(after)?);
    let mut keys = before.keys().chain(after.keys());
    let changed = keys.find(|&key| before.get(key) != after.get(key));
    Ok(changed.map(|(_, name)| (*name).to_owned()))
}

/// What one name of a database stands for.
#[derive(PartialEq)]
enum Part<'a> {
    Stored(String),
    Program(&'a Program),
}

/// Returns the parts of a definition by kind and name.
fn parts(definition: &Definition) -> Result<BTreeMap<(&str, &str), Part<'_>>> {
    let mut parts = BTreeMap::new();
    for Table { name, create, .. } in &definition.tables {
        let create = CreateTable::parse(create)?.without_counter();
        parts.insert(("TABLE", name.as_str()), Part::Stored(create));
    }
    for Sequence { name, create, .. } in &definition.sequences {
        parts.insert(("SEQUENCE", name.as_str()), Part::Stored(create.clone()));
    }
    for program in &definition.programs {
        parts.insert((program.kind.words(), program.name.as_str()), Part::Program(program));
    }
    Ok(parts)
}
