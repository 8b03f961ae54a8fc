//! The moment of a restore: staging takes the place of the live database.
//!
//! One `RENAME TABLE` moves all tables and sequences, out and in, or none. Views, triggers,
//! routines and events cannot be moved, so the live ones are dropped just before and those of the
//! snapshot created just after; if anything fails, all is put back. What was live stays whole in a
//! schema of its own, its programs too.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::definition::Database;
use crate::source::mariadb::definition::Program;
use crate::source::mariadb::foreign_keys;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::names;
use crate::source::mariadb::programs;
use crate::source::mariadb::programs::Purpose;
use crate::source::mariadb::programs::Site;
use crate::source::mariadb::quote;
use crate::source::mariadb::staging::Plan;
use crate::source::mariadb::staging::Staging;
use crate::source::mariadb::tables;

/// Seconds that one attempt waits for readers and writers of the tables: everybody who comes to
/// them later waits behind it.
const LOCK_SECONDS: u32 = 1;

/// How often the swap is attempted, a second apart, before it gives up.
const ATTEMPTS: u32 = 10;

/// Seconds that putting back waits: what was live is worth any wait.
const PATIENT_SECONDS: u32 = 3600;

/// A database that was replaced.
pub struct Swapped {
    /// The schema that keeps what was live; `None` where there was nothing.
    pub previous: Option<String>,
    /// How long the live database was incomplete.
    pub incomplete: Duration,
    connection: Connection,
    plan: Arc<Plan>,
    live: Option<Live>,
    /// What was moved, in order; `None` before.
    moved: Option<Vec<Move>>,
}

/// A table on its way from one schema to another.
struct Move {
    table: String,
    from: String,
    to: String,
}

/// What is live before the swap.
struct Live {
    database: Database,
    programs: Vec<Program>,
}

impl Staging {
    /// Replaces the live database; fails with all put back as it was.
    ///
    /// `suffix` tells the schema that keeps the previous state from others.
    pub async fn swap(mut self, suffix: &str, monitor: &dyn Monitor) -> Result<Swapped> {
        let plan = Arc::clone(&self.plan);
        let live = match live(&mut self.connection, plan.target()).await {
            Ok(live) => live,
            Err(error) => {
                self.discard().await?;
                return Err(error);
            }
        };
        let mut swapped = Swapped {
            previous: live.as_ref().map(|_| names::previous(plan.target(), suffix)),
            incomplete: Duration::ZERO,
            connection: self.connection,
            plan,
            live,
            moved: None,
        };
        if let Err(error) = swapped.create_schemas().await {
            swapped.finish().await?;
            return Err(error);
        }
        if let Err(error) = swapped.replace(monitor).await {
            return Err(match swapped.undo(monitor).await {
                Ok(()) => {
                    swapped.finish().await?;
                    error
                }
                Err(undo) => error.hint(format!(
                    "the live database could not be put back ({}): its tables are in {}",
                    undo.chain(),
                    swapped.previous.as_deref().unwrap_or("staging"),
                )),
            });
        }
        swapped.keep_previous_programs(monitor).await;
        Ok(swapped)
    }
}

impl Swapped {
    async fn replace(&mut self, monitor: &dyn Monitor) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        let target = plan.target();
        let database = Database { name: target.to_owned(), ..plan.definition().database.clone() };
        let started = self.move_tables().await?;
        if let Some(previous) = &self.previous {
            self.connection.select_database(previous).await?;
            foreign_keys::bring_home(&mut self.connection, previous, target).await?;
        }
        self.connection.select_database(target).await?;
        programs::drop_all(&mut self.connection, target).await?;
        self.connection.collate_database(target, &database.collation).await?;
        foreign_keys::bring_home(&mut self.connection, target, plan.schema()).await?;
        for (table, column, default) in plan.sequence_defaults() {
            self.connection.set_default(table, &column, &default).await?;
        }
        let programs = &plan.definition().programs;
        let site = Site { database: &database, purpose: Purpose::Live };
        for view in programs::create(&mut self.connection, &site, programs).await? {
            monitor.warn(&format!("view {view:?} was broken when saved and is left out"));
        }
        self.incomplete = started.elapsed();
        Ok(())
    }

    /// Moves all tables at a moment when nobody holds them. Returns when the live database began
    /// to be incomplete: its triggers go just before, and come back if the tables cannot move.
    async fn move_tables(&mut self) -> Result<Instant> {
        let target = self.plan.target().to_owned();
        let moves = self.moves().await?;
        for _ in 0..ATTEMPTS {
            let started = Instant::now();
            match self.try_to_move(&moves).await {
                Ok(()) => {
                    self.moved = Some(moves);
                    return Ok(started);
                }
                Err(error) if error.kind() == Kind::Busy => {}
                Err(error) => return Err(error),
            }
            self.create_missing_programs().await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let text = format!("cannot swap database {target:?}: somebody keeps its tables locked");
        Err(Error::new(Kind::Busy, text)
            .hint("SHOW FULL PROCESSLIST names who; the live database is as it was"))
    }

    async fn try_to_move(&mut self, moves: &[Move]) -> Result<()> {
        programs::drop_triggers(&mut self.connection, self.plan.target()).await?;
        self.connection.rename_tables(moves).await
    }

    /// Creates the programs of the live database that are not there any more, as they were, and
    /// waits for it as long as it takes. Returns the views that were broken and cannot come back.
    async fn create_missing_programs(&mut self) -> Result<Vec<String>> {
        let Some(live) = &self.live else { return Ok(Vec::new()) };
        let name = &live.database.name;
        let there = programs::names(&mut self.connection, name).await?;
        let is_there = |program: &&Program| {
            there.iter().any(|(kind, name, _)| *kind == program.kind && *name == program.name)
        };
        let missing: Vec<_> =
            live.programs.iter().filter(|program| !is_there(program)).cloned().collect();
        self.connection.select_database(name).await?;
        self.connection.wait_for_locks_at_most(PATIENT_SECONDS).await?;
        let site = Site { database: &live.database, purpose: Purpose::Live };
        let broken = programs::create(&mut self.connection, &site, &missing).await?;
        self.connection.wait_for_locks_at_most(LOCK_SECONDS).await?;
        Ok(broken)
    }

    /// Puts the replaced database back; staging holds what was restored.
    pub async fn undo(&mut self, monitor: &dyn Monitor) -> Result<()> {
        self.move_back().await?;
        let target = self.plan.target();
        let Some(previous) = self.previous.clone() else {
            return self.connection.drop_database(target).await;
        };
        for view in self.create_missing_programs().await? {
            monitor.warn(&format!("view {view:?} was broken before and could not be put back"));
        }
        self.connection.drop_database(&previous).await
    }

    /// Moves the replaced tables back, where they were moved.
    async fn move_back(&mut self) -> Result<()> {
        let Some(moved) = self.moved.take() else { return Ok(()) };
        let target = self.plan.target();
        self.connection.wait_for_locks_at_most(PATIENT_SECONDS).await?;
        for schema in [Some(target), self.previous.as_deref()].into_iter().flatten() {
            programs::drop_all(&mut self.connection, schema).await?;
        }
        let back: Vec<Move> = moved.into_iter().rev().map(Move::reversed).collect();
        self.connection.rename_tables(&back).await?;
        if let (Some(live), Some(previous)) = (&self.live, &self.previous) {
            self.connection.select_database(target).await?;
            foreign_keys::bring_home(&mut self.connection, target, previous).await?;
            self.connection.collate_database(target, &live.database.collation).await?;
        }
        Ok(())
    }

    /// Drops the schemas that keep what earlier restores of this database replaced.
    pub async fn discard_older(&mut self) -> Result<()> {
        let (target, kept) = (self.plan.target(), self.previous.as_deref());
        self.connection.drop_previous(target, kept).await.map(drop)
    }

    /// Drops the staging schema, which is empty now.
    pub async fn finish(mut self) -> Result<()> {
        self.connection.drop_database(self.plan.schema()).await
    }

    async fn create_schemas(&mut self) -> Result<()> {
        let database = match (&self.live, &self.previous) {
            (Some(live), Some(name)) => Database { name: name.clone(), ..live.database.clone() },
            _ => Database {
                name: self.plan.target().to_owned(),
                ..self.plan.definition().database.clone()
            },
        };
        self.connection.create_database(&database).await
    }

    /// Returns what moves: all that is live out, all that is staged in.
    async fn moves(&mut self) -> Result<Vec<Move>> {
        let plan = Arc::clone(&self.plan);
        let target = plan.target();
        let out = self.previous.clone().map(|previous| (target.to_owned(), previous));
        let within = (plan.schema().to_owned(), target.to_owned());
        let mut moves = Vec::new();
        for (from, to) in out.into_iter().chain([within]) {
            for listed in tables::listed(&mut self.connection, &from).await? {
                if listed.is_stored() {
                    let table = listed.name().to_owned();
                    moves.push(Move { table, from: from.clone(), to: to.clone() });
                }
            }
        }
        Ok(moves)
    }

    /// Creates the replaced programs in the schema that keeps the replaced tables, so that it is
    /// whole; what cannot be created there is noted.
    async fn keep_previous_programs(&mut self, monitor: &dyn Monitor) {
        let (Some(live), Some(previous)) = (&self.live, &self.previous) else { return };
        let database = Database { name: previous.clone(), ..live.database.clone() };
        let kept = match self.connection.select_database(previous).await {
            // Rehearsal keeps the events disabled: nothing may run in there.
            Ok(()) => {
                let site = Site { database: &database, purpose: Purpose::Rehearsal };
                programs::create(&mut self.connection, &site, &live.programs).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            let why = error.chain();
            monitor.note(&format!("{previous} keeps the replaced tables without programs: {why}"));
        }
    }
}

async fn live(connection: &mut Connection, target: &str) -> Result<Option<Live>> {
    connection.wait_for_locks_at_most(LOCK_SECONDS).await?;
    let Some(database) = tables::database(connection, target).await? else { return Ok(None) };
    connection.select_database(target).await?;
    let programs = programs::programs(connection, target).await?;
    Ok(Some(Live { database, programs }))
}

impl Move {
    fn reversed(self) -> Self {
        Self { table: self.table, from: self.to, to: self.from }
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
    async fn drop_previous(&mut self, target: &str, kept: Option<&str>) -> Result<Vec<String>> {
        let mut schemas = self.databases_like(&names::previous(target, "")).await?;
        schemas.retain(|schema| kept != Some(schema.as_str()));
        for schema in &schemas {
            self.drop_database(schema).await?;
        }
        Ok(schemas)
    }

    /// Moves all tables, or none; fails with [`Kind::Busy`] where somebody holds one of them.
    async fn rename_tables(&mut self, moves: &[Move]) -> Result<()> {
        if moves.is_empty() {
            return Ok(());
        }
        let clauses: Vec<_> = moves
            .iter()
            .map(|Move { table, from, to }| {
                format!("{} TO {}", quote::qualified(from, table), quote::qualified(to, table))
            })
            .collect();
        let statement = format!("RENAME TABLE {}", clauses.join(", "));
        self.execute("cannot swap the tables", &statement).await
    }

    /// Sets the default of a column of the selected database.
    async fn set_default(&mut self, table: &str, column: &str, default: &str) -> Result<()> {
        let doing = format!("cannot set the default of column {column} of table {table:?}");
        let table = quote::identifier(table);
        let statement =
            format!("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT ({default})");
        self.execute(&doing, &statement).await
    }
}
