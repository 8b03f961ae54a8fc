//! The moment of a restore: staging takes the place of the live database. And that of a rollback:
//! what was kept takes it again.
//!
//! One `RENAME TABLE` moves all tables and sequences, out and in, or none. Views, triggers,
//! routines and events cannot be moved: triggers, which hold their tables where they are, are
//! dropped while the tables are locked, just before; the others are replaced just after, in place,
//! since a routine that is dropped takes along the rights that were given on it. For the same
//! reason a routine that does not come in goes last of all. Until its triggers stand again, who
//! writes to a new table does so without them.
//!
//! Tables that are live already as they would come in stay, locked against writes until the others
//! have moved (`compare`).
//!
//! What was live stays in a schema of its own, its programs too. Before anything is touched
//! that schema holds a note of all that was live and of all that comes in (`undo`), so that
//! whoever finds a swap that was killed can put it back, or go on with it (`resume`).

use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::fault;
use crate::base::monitor::Monitor;
use crate::source::mariadb::accounts::note;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::moment::TableLock;
use crate::source::mariadb::moves;
use crate::source::mariadb::moves::Move;
use crate::source::mariadb::names;
use crate::source::mariadb::note::Incoming;
use crate::source::mariadb::note::Live;
use crate::source::mariadb::note::Side;
use crate::source::mariadb::note::Undo;
use crate::source::mariadb::programs;
use crate::source::mariadb::ready::Schemas;
use crate::source::mariadb::rehearsal;
use crate::source::mariadb::rehearsal::Likeness;
use crate::source::mariadb::removal;
use crate::source::mariadb::residue;
use crate::source::mariadb::site::Purpose;
use crate::source::mariadb::site::Site;

/// Seconds that one attempt waits for readers and writers of the tables: everybody who comes to
/// them later waits behind it.
pub(super) const LOCK_SECONDS: u32 = 1;

/// How often the swap is attempted, a second apart, before it gives up.
const ATTEMPTS: u32 = 10;

/// Seconds that the work after the move waits for who uses the new tables already.
pub(super) const PATIENT_SECONDS: u32 = 60;

/// A database that was replaced.
pub struct Swapped {
    /// The schema that keeps what was live; `None` where there was nothing.
    pub previous: Option<String>,
    /// How long the live database was incomplete.
    pub incomplete: Duration,
    pub(super) connection: Connection,
    pub(super) undo: Undo,
}

/// A swap under way.
pub(super) struct Swap<'a> {
    pub(super) connection: &'a mut Connection,
    /// What keeps the tables that stay from being written.
    pub(super) lock: Option<TableLock>,
    pub(super) undo: &'a Undo,
}

impl Swap<'_> {
    /// Returns how long the live database was incomplete.
    pub(super) async fn replace(mut self, monitor: &dyn Monitor) -> Result<Duration> {
        let Schemas { staging, .. } = &self.undo.schemas;
        if let (None, Some(incoming)) = (&self.undo.live, &self.undo.incoming) {
            self.connection.create_database(&incoming.database).await?;
            fault::point("database.target-created");
        }
        // What was kept has triggers too, and they hold its tables.
        removal::drop_triggers(self.connection, staging).await?;
        let started = self.move_tables().await?;
        fault::point("database.moved");
        self.let_others_write().await?;
        self.settle(started, monitor).await
    }

    /// Releases the tables that stay. Fails where they were not locked until now.
    async fn let_others_write(&mut self) -> Result<()> {
        let Some(mut lock) = self.lock.take() else { return Ok(()) };
        lock.demand_held().await?;
        lock.release().await
    }

    /// Does all that comes after the move, from wherever it was left. Returns how long the live
    /// database was incomplete.
    pub(super) async fn settle(self, started: Instant, monitor: &dyn Monitor) -> Result<Duration> {
        let Schemas { target, staging, previous, .. } = &self.undo.schemas;
        self.connection.wait_for_locks_at_most(PATIENT_SECONDS).await?;
        self.connection.prepare_altering().await?;
        for (side, own) in [(Side::Live, previous), (Side::Incoming, target)] {
            self.undo.add_keys_gone(self.connection, side, own).await?;
        }
        self.undo.bring_keys_home(self.connection, Side::Live, previous, target).await?;
        let incomplete = match &self.undo.incoming {
            Some(incoming) => {
                dress(self.connection, incoming).await?;
                self.undo.bring_keys_home(self.connection, Side::Incoming, target, staging).await?;
                furnish(self.connection, incoming, started, monitor).await?
            }
            None => started.elapsed(),
        };
        if let Some(live) = &self.undo.live {
            live.keep_programs_in(self.connection, previous, monitor).await;
            fault::point("database.previous-whole");
        }
        if self.undo.incoming.is_none() {
            residue::told(self.connection.drop_emptied(target).await, monitor)?;
            fault::point("database.target-dropped");
        }
        self.undo.complete(self.connection).await?;
        Ok(incomplete)
    }

    /// Moves all tables at a moment when nobody holds them. Returns when the live database began
    /// to be incomplete.
    async fn move_tables(&mut self) -> Result<Instant> {
        let moves = self.moves();
        for _ in 0..ATTEMPTS {
            match self.try_to_move(&moves).await {
                Ok(started) => return Ok(started),
                Err(error) if error.kind() == Kind::Busy => self.create_triggers_again().await?,
                Err(error) => return Err(error),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let text = format!(
            "cannot swap database {:?}: somebody keeps its tables locked",
            self.undo.schemas.target
        );
        Err(Error::new(Kind::Busy, text)
            .hint("SHOW FULL PROCESSLIST names who; the live database is as it was"))
    }

    /// Returns when the tables were had: until then the live database is whole, and at work.
    async fn try_to_move(&mut self, moves: &[Move]) -> Result<Instant> {
        let mut started = Instant::now();
        if let Some(live) = &self.undo.live {
            let target = &self.undo.schemas.target;
            // Whoever holds a table is met here, before anything is touched.
            self.connection.lock_tables(target, &live.tables).await?;
            started = Instant::now();
            fault::point("database.locked");
            let freed = free_to_move(self.connection, live).await;
            fault::point("database.triggers-dropped");
            self.connection.unlock_tables().await?;
            freed?;
        }
        self.connection.rename_tables(moves).await?;
        Ok(started)
    }

    async fn create_triggers_again(&mut self) -> Result<()> {
        let Some(live) = &self.undo.live else { return Ok(()) };
        self.connection.wait_for_locks_at_most(PATIENT_SECONDS).await?;
        live.create_triggers(self.connection).await?;
        self.connection.wait_for_locks_at_most(LOCK_SECONDS).await
    }

    /// Returns what moves: what is live out, all that comes in, in.
    fn moves(&self) -> Vec<Move> {
        let Schemas { target, staging, previous, .. } = &self.undo.schemas;
        let live = self.undo.live.as_ref().map_or(&[][..], |live| &live.tables);
        let mut moves = moves::all(live, target, previous);
        moves.extend(moves::all(self.undo.incoming_tables(), staging, target));
        moves
    }
}

impl Swapped {
    /// Puts the replaced database back; what came in is where it was.
    pub async fn undo(&mut self, monitor: &dyn Monitor) -> Result<()> {
        self.connection.wait_for_locks_at_most(PATIENT_SECONDS).await?;
        self.undo.run(&mut self.connection, monitor).await?;
        if self.undo.schemas.is_kept {
            return Ok(());
        }
        let dropped = self.connection.drop_database(&self.undo.schemas.staging).await;
        residue::told(dropped, monitor)?;
        Ok(())
    }

    /// Drops what is not needed any more: see [`finish`](Schemas::finish).
    pub async fn finish(mut self, monitor: &dyn Monitor) -> Result<()> {
        self.undo.schemas.finish_on(&mut self.connection, monitor).await?;
        self.connection.close().await;
        Ok(())
    }
}

impl Schemas {
    /// Drops what a complete swap does not need any more: the routines that did not come in, the
    /// schema that all tables came from, what earlier restores of this database kept, and what says
    /// that there was none. Fails where the server is lost; what it refuses to drop is told.
    pub async fn finish(&self, login: &Login, monitor: &dyn Monitor) -> Result<()> {
        let mut connection = connect(login).await?;
        connection.claim_restore_of(&self.target).await?;
        // A server that lost its power may have lost that it is complete.
        if let Some(found) = Undo::find_in(&mut connection, &self.previous).await?
            && !found.is_complete
        {
            found.undo.complete(&mut connection).await?;
        }
        // Those that a restore changed stay: their database is live.
        note::undo_killed(&mut connection, &self.target, monitor).await?;
        self.finish_on(&mut connection, monitor).await?;
        connection.close().await;
        Ok(())
    }

    pub(super) async fn finish_on(
        &self,
        connection: &mut Connection,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        fault::point("database.before-finish");
        let found = Undo::find_in(connection, &self.previous).await?;
        let undo = found.filter(|found| found.is_complete).map(|found| found.undo);
        let stayed = undo.as_ref().map(Undo::kept).unwrap_or_default();
        // A routine takes along the rights that were given on it: it goes when nothing will be put
        // back any more. One that was created since stays.
        if let Some(Undo { live: Some(live), incoming: Some(incoming), .. }) = undo {
            let (gone, staying) = (&live.programs, &incoming.programs);
            match removal::drop_routines_but(connection, &self.target, gone, staying).await {
                Err(error) if error.kind() != Kind::Unreachable => monitor.warn(&error.chain()),
                dropped => dropped?,
            }
        }
        fault::point("database.routines-dropped");
        match self.clear(connection, &stayed, monitor).await {
            // It only takes room, and goes with the next restore.
            Err(error) if error.kind() != Kind::Unreachable => {
                monitor.note(&format!("something is left behind: {}", error.chain()));
            }
            cleared => cleared?,
        }
        fault::point("database.finished");
        Ok(())
    }

    /// Drops the schemas that nobody needs any more; `stayed` are empty in staging.
    async fn clear(
        &self,
        connection: &mut Connection,
        stayed: &BTreeSet<String>,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let dropped = connection.drop_emptied_of_all_but(&self.staging, stayed).await;
        residue::told(dropped, monitor)?;
        fault::point("database.staging-dropped");
        connection.drop_previous(&self.target, Some(&self.previous), monitor).await?;
        if !self.had_target {
            residue::told(connection.drop_emptied(&self.previous).await, monitor)?;
        }
        Ok(())
    }
}

/// Gives the database its attributes, and tables that came in their defaults that draw from
/// sequences: one that draws from what is not there cannot be altered otherwise.
pub(super) async fn dress(connection: &mut Connection, incoming: &Incoming) -> Result<()> {
    connection.select_database(&incoming.database.name).await?;
    connection.dress_database(&incoming.database).await?;
    for (table, clauses) in &incoming.sequence_defaults {
        connection.alter_table(table, clauses).await?;
    }
    Ok(())
}

/// Makes the tables that came in a database of their own, programs and all. Returns for how long the
/// database has been incomplete by then.
pub(super) async fn furnish(
    connection: &mut Connection,
    incoming: &Incoming,
    started: Instant,
    monitor: &dyn Monitor,
) -> Result<Duration> {
    let Incoming { database, programs, .. } = incoming;
    connection.select_database(&database.name).await?;
    // Only tables that stay have triggers still; one that is replaced in place could come to
    // fire in another order.
    removal::drop_triggers(connection, &database.name).await?;
    fault::point("database.before-programs");
    let site = Site::new(database, Purpose::Live);
    let broken = programs::replace_all(connection, &site, programs).await?;
    fault::point("database.programs");
    let incomplete = started.elapsed();
    let likeness = if incoming.is_exact { Likeness::Exact } else { Likeness::Names };
    let past = rehearsal::prove(connection, &site, programs, &broken, likeness).await?;
    past.tell(monitor);
    for view in broken {
        monitor.warn(&format!("view {view:?} was broken when saved and is left out"));
    }
    note_absent_definers(&site, monitor);
    Ok(incomplete)
}

/// Drops the triggers of tables that are locked. Fails where tables came or went since what is live
/// was noted: one that came would stay.
async fn free_to_move(connection: &mut Connection, live: &Live) -> Result<()> {
    let target = &live.database.name;
    let there: BTreeSet<String> = moves::stored(connection, target).await?.into_iter().collect();
    let noted: BTreeSet<String> = live.tables.iter().chain(&live.kept).cloned().collect();
    let Some(table) = there.symmetric_difference(&noted).next() else {
        return removal::drop_triggers_of(connection, target, &live.tables).await;
    };
    let text = format!(
        "cannot swap database {target:?}: somebody created or dropped table {table:?} meanwhile"
    );
    Err(Error::new(Kind::Refused, text)
        .hint("the live database is as it was: stop what changes it, and restore again"))
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
pub async fn discard_previous(
    login: &Login,
    database: &str,
    monitor: &dyn Monitor,
) -> Result<Vec<String>> {
    let mut connection = connect(login).await?;
    connection.claim_restore_of(database).await?;
    let dropped = connection.drop_previous(database, None, monitor).await?;
    connection.close().await;
    Ok(dropped)
}

impl Connection {
    /// Drops the schemas that keep earlier states of a database, but one; returns their names.
    /// What a killed swap left is the only copy of what was live, and stays.
    async fn drop_previous(
        &mut self,
        target: &str,
        kept: Option<&str>,
        monitor: &dyn Monitor,
    ) -> Result<Vec<String>> {
        let mut dropped = Vec::new();
        for schema in self.databases_like(&names::previous(target, "")).await? {
            if kept == Some(schema.as_str()) {
                continue;
            }
            let note = Undo::find_in(self, &schema).await?;
            if note.as_ref().is_some_and(|note| !note.is_complete) {
                continue;
            }
            if residue::told(self.drop_database(&schema).await, monitor)? {
                dropped.push(schema);
            }
        }
        Ok(dropped)
    }
}
