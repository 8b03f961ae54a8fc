//! Before a swap: all that is live and all that comes in is noted, so that from then on whoever finds
//! it can go on, or put back what was live.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::foreign_keys;
use crate::source::mariadb::foreign_keys::Pin;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::moment::TableLock;
use crate::source::mariadb::moves;
use crate::source::mariadb::names;
use crate::source::mariadb::note::Incoming;
use crate::source::mariadb::note::Live;
use crate::source::mariadb::note::Undo;
use crate::source::mariadb::note::kept_tables;
use crate::source::mariadb::plan::Plan;
use crate::source::mariadb::staging::Staging;
use crate::source::mariadb::swap::LOCK_SECONDS;
use crate::source::mariadb::swap::Swap;
use crate::source::mariadb::swap::Swapped;

/// The schemas of a swap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schemas {
    /// The database that is replaced.
    pub target: String,
    /// The schema that what comes in lies in before.
    pub staging: String,
    /// The schema that keeps what was live.
    pub previous: String,
    /// Whether what comes in is what an earlier execution kept: taken back, it is kept again.
    pub is_kept: bool,
    /// Whether there was such a database, once that is noted.
    #[serde(default)]
    pub had_target: bool,
    /// Whether there is to be no such database.
    #[serde(default)]
    to_absence: bool,
}

impl Schemas {
    /// Returns the schemas of a database that is built to replace another.
    pub fn of_staging(target: &str, suffix: &str) -> Self {
        Self {
            target: target.to_owned(),
            staging: names::staging(target, suffix),
            previous: names::previous(target, suffix),
            is_kept: false,
            had_target: false,
            to_absence: false,
        }
    }

    /// Returns the schemas of the swap that undoes this one, which is complete.
    #[must_use]
    pub fn reversed(&self, suffix: &str) -> Self {
        Self {
            target: self.target.clone(),
            staging: self.previous.clone(),
            previous: names::previous(&self.target, suffix),
            is_kept: true,
            had_target: false,
            to_absence: !self.had_target,
        }
    }
}

/// All that is live and all that comes in is noted: the swap may begin.
pub struct Ready {
    pub(super) connection: Connection,
    /// What keeps the tables that stay from being written.
    pub(super) lock: Option<TableLock>,
    pub(super) undo: Undo,
}

/// A swap that failed.
pub struct Unswapped {
    /// Why.
    pub error: Error,
    /// Whether what was live is live.
    pub is_put_back: bool,
}

impl Staging {
    /// Notes all that it takes to swap, and to put back what is live.
    pub async fn prepare(mut self, suffix: &str, monitor: &dyn Monitor) -> Result<Ready> {
        match prepared(&mut self.connection, &self.plan, suffix).await {
            Ok(undo) => Ok(Ready { connection: self.connection, lock: self.lock, undo }),
            Err(error) => {
                let previous = names::previous(self.plan.target(), suffix);
                drop(self.connection.drop_emptied(&previous).await);
                self.discard_noting(monitor).await;
                Err(error)
            }
        }
    }
}

async fn prepared(connection: &mut Connection, plan: &Plan, suffix: &str) -> Result<Undo> {
    connection.wait_for_locks_at_most(LOCK_SECONDS).await?;
    let target = plan.target();
    let live = Live::read(connection, target, plan.kept()).await?;
    let mut tables = moves::stored(connection, plan.schema()).await?;
    tables.retain(|table| !plan.kept().contains(table));
    let defaults = plan.sequence_defaults().into_iter();
    let undo = Undo {
        schemas: Schemas { had_target: live.is_some(), ..Schemas::of_staging(target, suffix) },
        live,
        incoming: Some(Incoming {
            tables,
            sequence_defaults: defaults
                .map(|(table, clauses)| (table.to_owned(), clauses))
                .collect(),
            ..Incoming::without_tables(plan)
        }),
    };
    demand_unpinned(connection, &undo).await?;
    undo.note(connection).await?;
    Ok(undo)
}

/// Readies the swap that undoes an earlier one; fails with [`Kind::Refused`] where what was live
/// before is not kept any more.
pub async fn prepare_rollback(login: &Login, schemas: &Schemas) -> Result<Ready> {
    let mut connection = connect(login).await?;
    connection.prepare_loading().await?;
    connection.claim_restore_of(&schemas.target).await?;
    let kept = if schemas.to_absence {
        None
    } else {
        Some(kept_in(&mut connection, &schemas.staging).await?)
    };
    connection.wait_for_locks_at_most(LOCK_SECONDS).await?;
    let stayed = kept.as_ref().map(|kept| kept.kept.clone()).unwrap_or_default();
    let live = Live::read(&mut connection, &schemas.target, &stayed).await?;
    let tables = kept_tables(&mut connection, &schemas.staging).await?;
    let incoming = kept.map(|kept| Incoming {
        database: kept.database,
        programs: kept.programs,
        tables,
        sequence_defaults: Vec::new(),
        is_exact: false,
    });
    let schemas = Schemas { had_target: live.is_some(), ..schemas.clone() };
    let undo = Undo { schemas, live, incoming };
    demand_unpinned(&mut connection, &undo).await?;
    undo.note(&mut connection).await?;
    Ok(Ready { connection, lock: None, undo })
}

/// Fails with [`Kind::Refused`] where foreign keys of other databases point to what moves: they
/// would follow it.
async fn demand_unpinned(connection: &mut Connection, undo: &Undo) -> Result<()> {
    let pins = foreign_keys::from_elsewhere(connection, &undo.schemas.target).await?;
    let live = undo.live.as_ref().map_or(&[][..], |live| &live.tables);
    let moves = |pin: &&Pin| live.iter().chain(undo.incoming_tables()).any(|it| *it == pin.table);
    let pins: Vec<String> = pins.iter().filter(moves).map(Pin::describe).collect();
    foreign_keys::refuse(&pins)
}

/// Returns what was live when a swap that is complete began.
async fn kept_in(connection: &mut Connection, schema: &str) -> Result<Live> {
    let found = Undo::find_in(connection, schema).await?.filter(|found| found.is_complete);
    found.and_then(|found| found.undo.live).ok_or_else(|| {
        let text = format!("cannot roll back: database {schema:?} is not there any more");
        Error::new(Kind::Refused, text)
            .hint("it kept what was live before; `snap list` shows what can be restored")
    })
}

impl Ready {
    /// Returns the schemas of the swap.
    pub const fn schemas(&self) -> &Schemas {
        &self.undo.schemas
    }

    /// Returns what is noted of it.
    pub fn note(&self) -> String {
        self.undo.to_json()
    }

    /// Replaces the live database; fails with all put back as it was.
    pub async fn swap(mut self, monitor: &dyn Monitor) -> std::result::Result<Swapped, Unswapped> {
        let lock = self.lock.take();
        let swap = Swap { connection: &mut self.connection, lock, undo: &self.undo };
        match swap.replace(monitor).await {
            Ok(incomplete) => Ok(self.swapped(incomplete)),
            Err(error) => Err(self.put_back(error, monitor).await),
        }
    }

    /// Takes everything back; nothing live was touched.
    pub async fn discard(mut self, monitor: &dyn Monitor) -> Result<()> {
        self.undo.forget(&mut self.connection, monitor).await?;
        self.drop_staging().await
    }

    pub(super) fn swapped(self, incomplete: Duration) -> Swapped {
        let previous = self.undo.live.is_some().then(|| self.undo.schemas.previous.clone());
        Swapped { previous, incomplete, connection: self.connection, undo: self.undo }
    }

    async fn drop_staging(&mut self) -> Result<()> {
        if self.undo.schemas.is_kept {
            return Ok(());
        }
        self.connection.drop_database(&self.undo.schemas.staging).await
    }

    /// Puts back what was live; returns the error of the swap with what became of it.
    async fn put_back(mut self, error: Error, monitor: &dyn Monitor) -> Unswapped {
        match self.undo.run(&mut self.connection, monitor).await {
            Ok(()) => {
                if let Err(left) = self.drop_staging().await {
                    monitor.note(&left.chain());
                }
                Unswapped { error, is_put_back: true }
            }
            Err(undo) => {
                let text = format!(
                    "cannot put back database {:?} after this failed: {}: {}",
                    self.undo.schemas.target,
                    error.chain(),
                    undo.chain()
                );
                let error = Error::new(error.kind(), text).hint(self.undo.advice());
                Unswapped { error, is_put_back: false }
            }
        }
    }
}
