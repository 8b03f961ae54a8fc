//! The moment of a restore: staging takes the place of the live database.
//!
//! One `RENAME TABLE` moves all tables and sequences, out and in, or none. Views, triggers,
//! routines and events cannot be moved, so the live ones are dropped just before and those of the
//! snapshot created just after; if anything fails, all is put back. What was live stays whole in a
//! schema of its own, its programs too.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use mysql_async::Error as ClientError;
use mysql_async::prelude::Queryable as _;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::definition::Database;
use crate::source::mariadb::definition::Program;
use crate::source::mariadb::definition::ProgramKind;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::names;
use crate::source::mariadb::programs;
use crate::source::mariadb::programs::Purpose;
use crate::source::mariadb::quote;
use crate::source::mariadb::staging::Plan;
use crate::source::mariadb::staging::Staging;
use crate::source::mariadb::tables;

/// Seconds that one attempt waits for readers and writers of the tables: everybody who comes to
/// them later waits behind it.
const LOCK_SECONDS: u32 = 1;

/// How often the swap is attempted, a second apart, before it gives up.
const ATTEMPTS: u32 = 10;

/// The server's answer when a lock was waited for in vain.
const LOCK_WAIT_TIMEOUT: u16 = 1205;

/// A database that was replaced.
pub struct Swapped {
    /// The schema that keeps what was live; `None` where there was nothing.
    pub previous: Option<String>,
    /// How long the live database was incomplete.
    pub incomplete: Duration,
    connection: Connection,
    plan: Arc<Plan>,
    live: Option<Live>,
    /// What was moved, in order.
    moved: Vec<Move>,
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
        self.connection.wait_for_locks_at_most(LOCK_SECONDS).await?;
        let live = live(&mut self.connection, plan.target()).await?;
        let mut swapped = Swapped {
            previous: live.as_ref().map(|_| names::previous(plan.target(), suffix)),
            incomplete: Duration::ZERO,
            connection: self.connection,
            plan,
            live,
            moved: Vec::new(),
        };
        if let Err(error) = swapped.create_schemas().await {
            swapped.finish().await?;
            return Err(error);
        }
        if let Err(error) = swapped.replace().await {
            return Err(match swapped.undo().await {
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
    async fn replace(&mut self) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        let target = plan.target();
        let database = Database { name: target.to_owned(), ..plan.definition().database.clone() };
        let started = self.move_tables().await?;
        self.connection.select_database(target).await?;
        programs::drop_all(&mut self.connection, target).await?;
        self.connection.collate_database(target, &database.collation).await?;
        for (table, column, default) in plan.sequence_defaults() {
            self.connection.set_default(table, &column, &default).await?;
        }
        let programs = &plan.definition().programs;
        programs::create(&mut self.connection, &database, programs, Purpose::Live).await?;
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
            programs::drop_triggers(&mut self.connection, &target).await?;
            if self.connection.rename_tables(&moves).await? {
                self.moved = moves;
                return Ok(started);
            }
            self.restore_live_programs(|program| program.kind == ProgramKind::Trigger).await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let text = format!("cannot swap database {target:?}: somebody keeps its tables locked");
        Err(Error::new(Kind::Busy, text)
            .hint("SHOW FULL PROCESSLIST names who; the live database is as it was"))
    }

    /// Creates programs of the live database again, as they were.
    async fn restore_live_programs(&mut self, is_wanted: fn(&Program) -> bool) -> Result<()> {
        let Some(live) = &self.live else { return Ok(()) };
        let programs: Vec<_> =
            live.programs.iter().filter(|program| is_wanted(program)).cloned().collect();
        self.connection.select_database(&live.database.name).await?;
        programs::create(&mut self.connection, &live.database, &programs, Purpose::Live).await?;
        Ok(())
    }

    /// Puts the replaced database back; staging holds what was restored.
    pub async fn undo(&mut self) -> Result<()> {
        let target = self.plan.target().to_owned();
        for schema in [Some(&target), self.previous.as_ref()].into_iter().flatten() {
            programs::drop_all(&mut self.connection, schema).await?;
        }
        let back: Vec<Move> = self.moved.drain(..).rev().map(Move::reversed).collect();
        if !self.connection.rename_tables(&back).await? {
            let text = format!("cannot swap database {target:?} back: its tables are locked");
            return Err(Error::new(Kind::Busy, text));
        }
        match (&self.live, self.previous.clone()) {
            (Some(live), Some(previous)) => {
                self.connection.collate_database(&target, &live.database.collation).await?;
                self.restore_live_programs(|_| true).await?;
                self.connection.drop_database(&previous).await
            }
            _ => self.connection.drop_database(&target).await,
        }
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
                let purpose = Purpose::Rehearsal;
                programs::create(&mut self.connection, &database, &live.programs, purpose).await
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

    /// Moves all tables, or none; returns `false` where somebody holds one of them.
    async fn rename_tables(&mut self, moves: &[Move]) -> Result<bool> {
        if moves.is_empty() {
            return Ok(true);
        }
        let clauses: Vec<_> = moves
            .iter()
            .map(|Move { table, from, to }| {
                format!("{} TO {}", quote::qualified(from, table), quote::qualified(to, table))
            })
            .collect();
        let statement = format!("RENAME TABLE {}", clauses.join(", "));
        match self.raw().query_drop(statement).await {
            Ok(()) => Ok(true),
            Err(ClientError::Server(answer)) if answer.code == LOCK_WAIT_TIMEOUT => Ok(false),
            Err(cause) => Err(self.peer().error("cannot swap the tables", cause)),
        }
    }

    /// Sets the default of a column of the selected database.
    async fn set_default(&mut self, table: &str, column: &str, default: &str) -> Result<()> {
        let doing = format!("cannot set the default of column {column} of table {table:?}");
        let table = quote::identifier(table);
        let statement = format!("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {default}");
        self.execute(&doing, &statement).await
    }
}
