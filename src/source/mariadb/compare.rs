//! What is live already as a snapshot has it: a restore leaves such tables alone.
//!
//! A table stays where its definition, its counter included, reads as it would be restored, and its
//! rows have the saved digests. Whatever is linked to a table that does not stay is replaced with it
//! (`links`).
//!
//! Nobody may write to a table between its comparison and the moment of the swap, or the restored
//! database would be a mixture of two moments, and no counter of the server tells for certain that
//! nobody did. So the tables that may stay are locked against writes before they are read, and those
//! that do stay are locked until the others have been swapped: readers go on, writers wait. The lock
//! belongs to one connection, which must be alive still right after the swap. Where the lock cannot
//! be had, nothing stays.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;

use tokio::task::JoinSet;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::definition::Definition;
use crate::source::mariadb::foreign_keys;
use crate::source::mariadb::judgement::Judgement;
use crate::source::mariadb::lines;
use crate::source::mariadb::lines::Totals;
use crate::source::mariadb::live::Live;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::moment;
use crate::source::mariadb::moment::TableLock;
use crate::source::mariadb::plan::Blueprint;
use crate::source::mariadb::proof::Expected;
use crate::source::mariadb::schema;
use crate::source::mariadb::statement;

/// Seconds that writes under way are waited for; everybody who writes later waits as long.
const LOCK_SECONDS: u32 = 2;

/// How a live database compares with what a restore would make of it.
pub struct Comparison {
    /// The tables of the snapshot, in the order of the catalog's items.
    pub tables: Vec<Found>,
    /// The sequences of the snapshot by name.
    pub sequences: Vec<(String, Found)>,
    /// What is live and not in the snapshot.
    pub gone: Vec<Gone>,
    /// Whether nothing differs at all, views, triggers, routines and events included.
    pub is_identical: bool,
    /// The names of the tables and sequences that stay.
    pub(super) kept: BTreeSet<String>,
    /// What keeps those from being written.
    pub(super) lock: Option<TableLock>,
}

/// What is live under the name of a table or sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Absent,
    /// Something that must be replaced, and why.
    Differs(String),
    /// What the restore would make.
    Identical,
}

/// Something live that the snapshot does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// Its kind, such as `table` or `view`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The size of its rows in bytes, as the server guesses.
    pub bytes: u64,
}

/// How much is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What differs.
    Differences,
    /// All, without a look at the rows.
    All,
}

/// Whether tables are compared to be left alone, or only to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// Nobody writes to what stays until the lock is released.
    Writes,
    /// Everybody goes on: what is said is true for the moment.
    Nobody,
}

/// What is compared with what.
pub(super) struct Subject<'a> {
    pub(super) login: &'a Login,
    pub(super) target: &'a str,
    pub(super) definition: &'a Arc<Definition>,
    /// What the catalog says of each table.
    pub(super) expected: &'a [Expected],
    /// The tables that come out otherwise than the catalog says, and never stay.
    pub(super) changed: &'a BTreeSet<String>,
    /// Whether the server has the version that the snapshot was taken from.
    pub(super) is_same_server: bool,
    pub(super) connections: usize,
}

impl Subject<'_> {
    /// Compares; reads the rows of every table that may stay once.
    pub(super) async fn compare(
        &self,
        extent: Extent,
        hold: Hold,
        monitor: &dyn Monitor,
    ) -> Result<Comparison> {
        let mut connection = connect(self.login).await?;
        connection.wait_for_locks_at_most(moment::LOCK_SECONDS).await?;
        let Some(mut live) = Live::read(&mut connection, self.target).await? else {
            return Ok(self.compare_with_nothing());
        };
        let mut judgement = self.judge(&live)?;
        if extent == Extent::All {
            judgement.give_up("--full loads everything");
        }
        let mut lock = None;
        if hold == Hold::Writes && extent == Extent::Differences {
            lock = self.lock(&mut connection, &mut judgement, monitor).await?;
        }
        if lock.is_some() {
            // What was read before the lock may have changed before it; nothing is added to it.
            let may_stay = judgement.identical();
            let Some(locked) = Live::read(&mut connection, self.target).await? else {
                return Ok(self.compare_with_nothing());
            };
            live = locked;
            judgement = self.judge(&live)?;
            judgement.restrict(&may_stay);
        }
        self.compare_rows(&mut judgement, monitor).await?;
        if let Some(held) = lock.take() {
            lock = self.hand_over(held, &mut judgement, monitor).await?;
        }
        connection.close().await;
        Ok(self.conclude(judgement, &live, lock))
    }

    /// Judges by the definitions alone.
    fn judge(&self, live: &Live) -> Result<Judgement> {
        let (saved, definition) = (&self.definition.database.name, self.definition);
        let mut found = BTreeMap::new();
        let mut links = live.links();
        for table in &definition.tables {
            let wanted = statement::requalified(&table.create, saved, self.target);
            found.insert(links.key(&table.name), live.find_table(&table.name, &wanted));
            for parent in foreign_keys::parents(&table.create)? {
                links.add_foreign_key(&table.name, &parent);
            }
        }
        for sequence in &definition.sequences {
            found.insert(links.key(&sequence.name), live.find_sequence(sequence));
        }
        let gone = live.gone(definition);
        let mut judgement = Judgement { found, gone, links };
        for name in self.changed {
            if judgement.is_identical(name) {
                judgement.differs(name, "its roles become others".to_owned());
            }
        }
        judgement.spread();
        Ok(judgement)
    }

    /// Locks all that may stay against writes. Where that cannot be done, nothing stays.
    async fn lock(
        &self,
        connection: &mut Connection,
        judgement: &mut Judgement,
        monitor: &dyn Monitor,
    ) -> Result<Option<TableLock>> {
        let names = judgement.identical();
        if names.is_empty() {
            return Ok(None);
        }
        if connection.read_galera().await?.is_node() {
            judgement.give_up("other nodes of the cluster may write to it");
            return Ok(None);
        }
        self.take_lock(&names, judgement, monitor).await
    }

    async fn take_lock(
        &self,
        names: &BTreeSet<String>,
        judgement: &mut Judgement,
        monitor: &dyn Monitor,
    ) -> Result<Option<TableLock>> {
        let tables: Vec<&str> = names.iter().map(String::as_str).collect();
        match TableLock::take(self.login, self.target, &tables, LOCK_SECONDS).await {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if error.kind() == Kind::Inconsistent => {
                monitor.note("somebody writes to tables that could stay: all are loaded instead");
                judgement.give_up("somebody writes to tables that could stay");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Releases what does not stay; in no moment is that unlocked which does.
    async fn hand_over(
        &self,
        held: TableLock,
        judgement: &mut Judgement,
        monitor: &dyn Monitor,
    ) -> Result<Option<TableLock>> {
        let staying = judgement.identical();
        let lock = if staying.is_empty() {
            None
        } else {
            // Somebody who waits to write already is before us in the queue: then nothing stays.
            self.take_lock(&staying, judgement, monitor).await?
        };
        held.release().await?;
        Ok(lock)
    }

    /// Reads the tables that may stay, on as many connections as are allowed.
    async fn compare_rows(&self, judgement: &mut Judgement, monitor: &dyn Monitor) -> Result<()> {
        let tables = self.definition.tables.iter().zip(self.expected).enumerate();
        let mut waiting: Vec<_> = tables
            .filter(|(_, (table, _))| judgement.is_identical(&table.name))
            .map(|(position, (_, expected))| (position, *expected))
            .collect();
        waiting.sort_by_key(|(_, expected)| Reverse(expected.raw_bytes));
        let bytes = waiting.iter().map(|(_, expected)| expected.raw_bytes).sum();
        monitor.step(&format!("compare {}", self.target), Some(bytes));
        let connections = self.connections.min(waiting.len());
        let desk = Arc::new(Mutex::new(VecDeque::from(waiting)));
        let (sender, mut arriving) = tokio::sync::mpsc::channel(1);
        let mut readers = JoinSet::new();
        for _ in 0..connections {
            let (login, target) = (self.login.clone(), self.target.to_owned());
            let (definition, desk, sender) =
                (Arc::clone(self.definition), Arc::clone(&desk), sender.clone());
            readers.spawn(async move {
                let mut connection = moment::reader(&login).await?;
                while let Some((position, expected)) = next(&desk) {
                    let table = &definition.tables[position];
                    let empty = expected.emptied();
                    let totals = lines::prove(&mut connection, &target, table, empty).await;
                    let is_over = totals.is_err();
                    // The receiver is gone only when the comparison has failed already.
                    sender.send((position, totals)).await.ok();
                    if is_over {
                        // The rest of an answer may still be on its way.
                        connection = moment::reader(&login).await?;
                    }
                }
                Ok::<_, Error>(())
            });
        }
        drop(sender);
        while let Some((position, totals)) = arriving.recv().await {
            let expected = &self.expected[position];
            monitor.advance(expected.raw_bytes);
            if let Some(why) = self.difference(expected, totals)? {
                judgement.differs(&self.definition.tables[position].name, why);
            }
        }
        while let Some(reader) = readers.join_next().await {
            reader.expect("a reader neither panics nor is cancelled")?;
        }
        judgement.spread();
        Ok(())
    }

    /// Returns why a table cannot stay. One that cannot be read, for being broken, is replaced.
    fn difference(&self, expected: &Expected, totals: Result<Totals>) -> Result<Option<String>> {
        match totals {
            Ok(totals) => Ok(expected.difference(&totals, self.is_same_server)),
            Err(error) if error.kind() == Kind::Unreachable => Err(error),
            Err(error) => Ok(Some(format!("it cannot be read: {}", error.chain()))),
        }
    }

    fn compare_with_nothing(&self) -> Comparison {
        let absent = |name: &String| (name.clone(), Found::Absent);
        Comparison {
            tables: self.definition.tables.iter().map(|_| Found::Absent).collect(),
            sequences: self.definition.sequences.iter().map(|it| absent(&it.name)).collect(),
            gone: Vec::new(),
            is_identical: false,
            kept: BTreeSet::new(),
            lock: None,
        }
    }

    fn conclude(&self, judgement: Judgement, live: &Live, lock: Option<TableLock>) -> Comparison {
        let found = |name: &str| judgement.found[&judgement.links.key(name)].clone();
        let is_identical = judgement.gone.is_empty()
            && judgement.found.values().all(|found| *found == Found::Identical)
            && live.has_programs_of(self.definition);
        Comparison {
            tables: self.definition.tables.iter().map(|table| found(&table.name)).collect(),
            sequences: self
                .definition
                .sequences
                .iter()
                .map(|sequence| (sequence.name.clone(), found(&sequence.name)))
                .collect(),
            is_identical,
            kept: judgement.identical(),
            gone: judgement.gone,
            lock,
        }
    }
}

fn next(desk: &Mutex<VecDeque<(usize, Expected)>>) -> Option<(usize, Expected)> {
    desk.lock().expect("no reader panics while it takes a table").pop_front()
}

/// Compares what is live with what a restore would make of it, and holds nobody.
pub async fn survey(
    login: &Login,
    blueprint: &Blueprint<'_>,
    expected: &[Expected],
    extent: Extent,
    connections: usize,
    monitor: &dyn Monitor,
) -> Result<Comparison> {
    let definition = Arc::new(schema::unpack(blueprint.schema)?);
    let mut connection = connect(login).await?;
    let server = connection.read_facts().await?;
    connection.close().await;
    let subject = Subject {
        login,
        target: blueprint.target,
        definition: &definition,
        expected,
        changed: blueprint.changed,
        is_same_server: server.is_of_release(blueprint.server_version),
        connections,
    };
    subject.compare(extent, Hold::Nobody, monitor).await
}
