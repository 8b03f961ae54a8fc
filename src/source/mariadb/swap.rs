//! The moment of a restore: staging takes the place of the live database.
//!
//! One `RENAME TABLE` moves all tables and sequences, out and in, or none. Views, triggers,
//! routines and events cannot be moved: triggers, which hold their tables where they are, are
//! dropped while the tables are locked, just before; the others are replaced just after, in place,
//! since a routine that is dropped takes along the rights that were given on it. Until its
//! triggers stand again, who writes to a new table does so without them.
//!
//! Tables that are live already as they would come in stay, locked against writes until the others
//! have moved (`compare`).
//!
//! What was replaced stays in a schema of its own, its programs too. Before anything is touched
//! that schema holds a note of all that was live (`undo`), so that whoever finds a swap that was
//! killed can put it back.

use std::time::Duration;
use std::time::Instant;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::definition::Database;
use crate::source::mariadb::foreign_keys;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::moment::TableLock;
use crate::source::mariadb::moves;
use crate::source::mariadb::moves::Move;
use crate::source::mariadb::names;
use crate::source::mariadb::plan::Plan;
use crate::source::mariadb::programs;
use crate::source::mariadb::rehearsal;
use crate::source::mariadb::site::Purpose;
use crate::source::mariadb::site::Site;
use crate::source::mariadb::staging::Staging;
use crate::source::mariadb::tables;
use crate::source::mariadb::undo::Live;
use crate::source::mariadb::undo::Undo;

/// Seconds that one attempt waits for readers and writers of the tables: everybody who comes to
/// them later waits behind it.
const LOCK_SECONDS: u32 = 1;

/// How often the swap is attempted, a second apart, before it gives up.
const ATTEMPTS: u32 = 10;

/// Seconds that the work after the move waits for who uses the new tables already.
const PATIENT_SECONDS: u32 = 60;

/// A database that was replaced.
pub struct Swapped {
    /// The schema that keeps what was live; `None` where there was nothing.
    pub previous: Option<String>,
    /// How long the live database was incomplete.
    pub incomplete: Duration,
    connection: Connection,
    undo: Undo,
}

impl Staging {
    /// Replaces the live database; fails with all put back as it was.
    ///
    /// `suffix` tells the schema that keeps the previous state from others.
    pub async fn swap(mut self, suffix: &str, monitor: &dyn Monitor) -> Result<Swapped> {
        let undo = match prepare(&mut self.connection, &self.plan, suffix).await {
            Ok(undo) => undo,
            Err(error) => {
                self.discard_noting(monitor).await;
                return Err(error);
            }
        };
        let plan = self.plan;
        let (connection, lock) = (self.connection, self.lock);
        let mut swap = Swap { connection, lock, plan: &plan, undo: &undo };
        let incomplete = match swap.replace(monitor).await {
            Ok(incomplete) => incomplete,
            Err(error) => return Err(swap.put_back(error, monitor).await),
        };
        swap.keep_previous_programs(monitor).await;
        let mut connection = swap.connection;
        undo.forget(&mut connection).await?;
        let previous = undo.live.is_some().then(|| undo.previous.clone());
        Ok(Swapped { previous, incomplete, connection, undo })
    }
}

/// Notes what is live; returns what puts it back.
async fn prepare(connection: &mut Connection, plan: &Plan, suffix: &str) -> Result<Undo> {
    connection.wait_for_locks_at_most(LOCK_SECONDS).await?;
    let undo = Undo {
        target: plan.target().to_owned(),
        staging: plan.schema().to_owned(),
        previous: names::previous(plan.target(), suffix),
        live: live(connection, plan).await?,
    };
    undo.note(connection).await?;
    Ok(undo)
}

async fn live(connection: &mut Connection, plan: &Plan) -> Result<Option<Live>> {
    let target = plan.target();
    let Some(database) = tables::database(connection, target).await? else { return Ok(None) };
    connection.select_database(target).await?;
    let programs = programs::programs(connection, target).await?;
    let stored = moves::stored(connection, target).await?;
    let (kept, tables): (Vec<_>, _) =
        stored.into_iter().partition(|table| plan.kept().contains(table));
    let mut kept_triggers = programs::triggers(connection, target).await?;
    kept_triggers.retain(|(_, table)| kept.contains(table));
    let kept_triggers = kept_triggers.into_iter().map(|(trigger, _)| trigger).collect();
    Ok(Some(Live { database, programs, tables, kept, kept_triggers }))
}

/// A swap under way.
struct Swap<'a> {
    connection: Connection,
    /// What keeps the tables that stay from being written.
    lock: Option<TableLock>,
    plan: &'a Plan,
    undo: &'a Undo,
}

impl Swap<'_> {
    /// Returns how long the live database was incomplete.
    async fn replace(&mut self, monitor: &dyn Monitor) -> Result<Duration> {
        let (target, previous) = (self.plan.target(), self.undo.previous.as_str());
        let database =
            Database { name: target.to_owned(), ..self.plan.definition().database.clone() };
        if self.undo.live.is_none() {
            self.connection.create_database(&database).await?;
        }
        let started = self.move_tables().await?;
        self.let_others_write().await?;
        self.connection.wait_for_locks_at_most(PATIENT_SECONDS).await?;
        self.connection.prepare_altering().await?;
        self.connection.select_database(previous).await?;
        foreign_keys::bring_home(&mut self.connection, previous, target).await?;
        self.connection.select_database(target).await?;
        self.connection.dress_database(&database).await?;
        // A table whose default draws from what is not there cannot be altered otherwise.
        for (table, clauses) in self.plan.sequence_defaults() {
            self.connection.alter_table(table, &clauses).await?;
        }
        foreign_keys::bring_home(&mut self.connection, target, self.plan.schema()).await?;
        // Only tables that stay have triggers still; one that is replaced in place could come to
        // fire in another order.
        programs::drop_triggers(&mut self.connection, target).await?;
        let programs = &self.plan.definition().programs;
        let site = Site::new(&database, Purpose::Live);
        let broken = programs::replace_all(&mut self.connection, &site, programs).await?;
        let incomplete = started.elapsed();
        let likeness = self.plan.likeness();
        let past =
            rehearsal::prove(&mut self.connection, &site, programs, &broken, likeness).await?;
        past.tell(monitor);
        for view in broken {
            monitor.warn(&format!("view {view:?} was broken when saved and is left out"));
        }
        note_absent_definers(&site, monitor);
        Ok(incomplete)
    }

    /// Releases the tables that stay. Fails where they were not locked until now.
    async fn let_others_write(&mut self) -> Result<()> {
        let Some(mut lock) = self.lock.take() else { return Ok(()) };
        lock.demand_held().await?;
        lock.release().await
    }

    /// Moves all tables at a moment when nobody holds them. Returns when the live database began
    /// to be incomplete.
    async fn move_tables(&mut self) -> Result<Instant> {
        let moves = self.moves().await?;
        for _ in 0..ATTEMPTS {
            let started = Instant::now();
            match self.try_to_move(&moves).await {
                Ok(()) => return Ok(started),
                Err(error) if error.kind() == Kind::Busy => self.create_triggers_again().await?,
                Err(error) => return Err(error),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let text = format!(
            "cannot swap database {:?}: somebody keeps its tables locked",
            self.plan.target()
        );
        Err(Error::new(Kind::Busy, text)
            .hint("SHOW FULL PROCESSLIST names who; the live database is as it was"))
    }

    async fn try_to_move(&mut self, moves: &[Move]) -> Result<()> {
        if let Some(live) = &self.undo.live {
            let target = self.plan.target();
            // Whoever holds a table is met here, before anything is touched.
            self.connection.lock_tables(target, &live.tables).await?;
            let dropped =
                programs::drop_triggers_of(&mut self.connection, target, &live.tables).await;
            self.connection.unlock_tables().await?;
            dropped?;
        }
        self.connection.rename_tables(moves).await
    }

    async fn create_triggers_again(&mut self) -> Result<()> {
        let Some(live) = &self.undo.live else { return Ok(()) };
        self.connection.wait_for_locks_at_most(PATIENT_SECONDS).await?;
        live.create_triggers(&mut self.connection).await?;
        self.connection.wait_for_locks_at_most(LOCK_SECONDS).await
    }

    /// Returns what moves: all that is live out, all that is staged in.
    async fn moves(&mut self) -> Result<Vec<Move>> {
        let live = self.undo.live.as_ref().map_or(&[][..], |live| &live.tables);
        let (target, staging) = (self.plan.target(), self.plan.schema());
        let mut moves = moves::all(live, target, &self.undo.previous);
        let mut staged = moves::stored(&mut self.connection, staging).await?;
        staged.retain(|table| !self.plan.kept().contains(table));
        moves.extend(moves::all(&staged, staging, target));
        Ok(moves)
    }

    /// Puts back what was live; returns the error of the swap with what became of it.
    async fn put_back(mut self, error: Error, monitor: &dyn Monitor) -> Error {
        match self.undo.run(&mut self.connection, monitor).await {
            Ok(()) => {
                if let Err(left) = self.connection.drop_database(self.plan.schema()).await {
                    monitor.note(&left.chain());
                }
                error
            }
            Err(undo) => {
                let text = format!(
                    "cannot put back database {:?} after this failed: {}: {}",
                    self.plan.target(),
                    error.chain(),
                    undo.chain()
                );
                Error::new(error.kind(), text).hint(self.undo.advice())
            }
        }
    }

    /// Creates the replaced programs in the schema that keeps the replaced tables, so that it is
    /// whole; what cannot be created there is noted.
    async fn keep_previous_programs(&mut self, monitor: &dyn Monitor) {
        let Some(live) = &self.undo.live else { return };
        let programs = live.programs_beside();
        let previous = &self.undo.previous;
        let database = Database { name: previous.clone(), ..live.database.clone() };
        // Rehearsal keeps the events disabled: nothing may run in there.
        let site = Site::new(&database, Purpose::Rehearsal);
        let kept = async {
            self.connection.dress_database(&database).await?;
            self.connection.select_database(previous).await?;
            programs::create(&mut self.connection, &site, &programs).await
        };
        if let Err(error) = kept.await {
            let why = error.chain();
            monitor.note(&format!("{previous} keeps the replaced tables without programs: {why}"));
        }
    }
}

impl Swapped {
    /// Puts the replaced database back; staging holds what was restored.
    pub async fn undo(&mut self, monitor: &dyn Monitor) -> Result<()> {
        self.connection.wait_for_locks_at_most(PATIENT_SECONDS).await?;
        self.undo.run(&mut self.connection, monitor).await
    }

    /// Drops the schemas that keep what earlier restores of this database replaced.
    pub async fn discard_older(&mut self) -> Result<()> {
        let (target, kept) = (self.undo.target.clone(), self.previous.clone());
        self.connection.drop_previous(&target, kept.as_deref()).await.map(drop)
    }

    /// Drops the staging schema, which is empty now.
    pub async fn finish(mut self) -> Result<()> {
        self.connection.drop_database(&self.undo.staging).await
    }
}

fn note_absent_definers(site: &Site<'_>, monitor: &dyn Monitor) {
    let absent: Vec<_> = site.absent_definers().into_iter().collect();
    if !absent.is_empty() {
        let accounts = absent.join(", ");
        monitor.note(&format!(
            "views, triggers, routines or events belong to accounts that do not exist here, and \
             fail when they are used: {accounts}"
        ));
    }
}

/// Drops the schemas that keep what restores of a database replaced; returns their names.
pub async fn discard_previous(login: &Login, database: &str) -> Result<Vec<String>> {
    let mut connection = connect(login).await?;
    let dropped = connection.drop_previous(database, None).await?;
    connection.close().await;
    Ok(dropped)
}

impl Connection {
    /// Drops the schemas that keep earlier states of a database, but one; returns their names.
    /// What a killed swap left is the only copy of what was live, and stays.
    async fn drop_previous(&mut self, target: &str, kept: Option<&str>) -> Result<Vec<String>> {
        let mut dropped = Vec::new();
        for schema in self.databases_like(&names::previous(target, "")).await? {
            if kept == Some(schema.as_str()) || Undo::find_in(self, &schema).await?.is_some() {
                continue;
            }
            self.drop_database(&schema).await?;
            dropped.push(schema);
        }
        Ok(dropped)
    }
}
