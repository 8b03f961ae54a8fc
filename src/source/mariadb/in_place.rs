//! Replacing a database table by table where it is, for a disk that does not hold it twice.
//!
//! First everything is built without rows, and every program rehearsed: what the server would refuse
//! is refused with nothing touched. Then events, triggers and foreign keys go, which would act on a
//! mixture, and what the snapshot does not have. Each table is built and proven in staging and takes
//! its place, and the one that it replaces is dropped at once, which is what makes room for the next.
//! The foreign keys of tables that they connect come when all of these are in, programs at last.
//!
//! From the first drop to the end what is live is neither old nor new, and nothing here can take that
//! back. Done again after a death, whatever is in already, keys and all, is found identical.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::fault;
use crate::base::monitor::Monitor;
use crate::source::mariadb::compare::Comparison;
use crate::source::mariadb::definition::ProgramKind;
use crate::source::mariadb::foreign_keys;
use crate::source::mariadb::links::Links;
use crate::source::mariadb::note::Incoming;
use crate::source::mariadb::note::Live;
use crate::source::mariadb::plan::Plan;
use crate::source::mariadb::ready::Schemas;
use crate::source::mariadb::removal;
use crate::source::mariadb::residue;
use crate::source::mariadb::staging::Claim;
use crate::source::mariadb::staging::Staging;
use crate::source::mariadb::swap;
use crate::source::mariadb::swap::PATIENT_SECONDS;

/// Seconds that is waited for who uses the tables, while nothing is touched.
const LOCK_SECONDS: u32 = 10;

/// A database of which everything is rehearsed, and whose tables are replaced one by one.
pub struct InPlace {
    staging: Staging,
    /// What is live before the first table is replaced.
    live: Option<Live>,
}

impl Claim {
    /// Builds everything without rows, to see that it can be, and leaves an empty staging schema.
    pub async fn rehearse(self, found: Comparison, monitor: &dyn Monitor) -> Result<InPlace> {
        let mut staging = self.build(found, monitor).await?;
        match staging.rehearse_empty(monitor).await {
            Ok(live) => Ok(InPlace { staging, live }),
            Err(error) => {
                staging.discard_noting(monitor).await;
                Err(error)
            }
        }
    }
}

impl Staging {
    async fn rehearse_empty(&mut self, monitor: &dyn Monitor) -> Result<Option<Live>> {
        for position in self.positions() {
            self.index_empty(position).await?;
        }
        self.connect_tables().await?;
        self.rehearse(monitor).await?;
        let target = self.plan.target().to_owned();
        let live = Live::read(&mut self.connection, &target, self.plan.kept()).await?;
        self.connection.drop_database(self.plan.schema()).await?;
        self.connection.prepare_loading().await?;
        self.plan = Arc::new(self.plan.in_place()?);
        let plan = Arc::clone(&self.plan);
        self.create_schema(plan.kept()).await?;
        fault::point("in-place.rehearsed");
        Ok(live)
    }
}

impl InPlace {
    /// Returns where a table is built that takes its place next.
    pub const fn staging(&self) -> &Staging {
        &self.staging
    }

    /// Returns the same, to be filled.
    pub const fn staging_mut(&mut self) -> &mut Staging {
        &mut self.staging
    }

    /// Returns the positions of the tables that are replaced: those that foreign keys connect with
    /// each other together.
    pub fn groups(&self) -> Result<Vec<Vec<usize>>> {
        groups(&self.staging.plan)
    }

    /// Fails with [`Kind::Busy`] where somebody holds a table that will be replaced.
    pub async fn demand_unused(&mut self) -> Result<()> {
        let Some(live) = &self.live else { return Ok(()) };
        let (connection, target) = (&mut self.staging.connection, self.staging.plan.target());
        connection.wait_for_locks_at_most(LOCK_SECONDS).await?;
        for table in &live.tables {
            match connection.lock_tables(target, std::slice::from_ref(table)).await {
                Err(error) if error.kind() == Kind::Busy => {
                    let text = format!(
                        "cannot replace database {target:?} in place: somebody holds {table:?}"
                    );
                    return Err(Error::new(Kind::Busy, text)
                        .hint("SHOW FULL PROCESSLIST names who; wait until they have ended"));
                }
                Err(error) if error.kind() == Kind::Unreachable => return Err(error),
                // Nobody holds one that is broken.
                _ => {}
            }
        }
        connection.unlock_tables().await
    }

    /// Drops what would act on a mixture, or is not in the snapshot, and puts the sequences in.
    pub async fn begin(&mut self) -> Result<()> {
        let Staging { connection, plan, .. } = &mut self.staging;
        let target = plan.target();
        connection.wait_for_locks_at_most(PATIENT_SECONDS).await?;
        connection.prepare_altering().await?;
        match &self.live {
            None => connection.create_database(&Incoming::without_tables(plan).database).await?,
            Some(live) => {
                let is_event = |kind, _: &str| kind == ProgramKind::Event;
                removal::drop_where(connection, target, is_event).await?;
                removal::drop_triggers_of(connection, target, &live.tables).await?;
                fault::point("in-place.triggers-dropped");
                // A view cannot be where a table comes.
                let wanted = wanted(plan);
                let in_the_way =
                    |kind, name: &str| kind == ProgramKind::View && wanted.contains(name);
                removal::drop_where(connection, target, in_the_way).await?;
                connection.select_database(target).await?;
                foreign_keys::drop_all_of(connection, target, &live.tables).await?;
                fault::point("in-place.keys-dropped");
                for table in live.tables.iter().filter(|table| !wanted.contains(table.as_str())) {
                    connection.drop_table(target, table).await?;
                    fault::point("in-place.gone");
                }
            }
        }
        self.replace_sequences().await
    }

    async fn replace_sequences(&mut self) -> Result<()> {
        let Staging { connection, plan, .. } = &mut self.staging;
        for sequence in &plan.definition().sequences {
            if !plan.kept().contains(&sequence.name) {
                connection.replace_table(&sequence.name, plan.schema(), plan.target()).await?;
            }
        }
        Ok(())
    }

    /// Creates a table without rows in staging: it is to be loaded and proven there.
    pub async fn stage(&mut self, position: usize) -> Result<()> {
        self.staging.connection.prepare_loading().await?;
        self.staging.connection.select_database(self.staging.plan.schema()).await?;
        self.staging.create_table(position).await?;
        fault::point("in-place.created");
        Ok(())
    }

    /// Puts a table that is proven in its place.
    pub async fn take_place(&mut self, position: usize) -> Result<()> {
        fault::point("in-place.proven");
        let Staging { connection, plan, .. } = &mut self.staging;
        connection.wait_for_locks_at_most(PATIENT_SECONDS).await?;
        let table = &plan.definition().tables[position].name;
        connection.replace_table(table, plan.schema(), plan.target()).await
    }

    /// Adds the foreign keys of tables that are all in their places, and proves their definitions.
    pub async fn connect(&mut self, group: &[usize]) -> Result<()> {
        let mut loader = self.staging.loader().await?;
        loader.receive_text_as_utf8().await?;
        let Staging { connection, plan, .. } = &mut self.staging;
        connection.prepare_altering().await?;
        connection.select_database(plan.target()).await?;
        for &position in group {
            let table = &plan.definition().tables[position].name;
            connection.alter_table(table, &plan.staged(position).last).await?;
            fault::point("in-place.connected");
        }
        for &position in group {
            loader.prove_definition(plan.target(), position).await?;
        }
        Ok(())
    }

    /// Makes the tables a database of their own, programs and all, and ends its staging.
    pub async fn finish(&mut self, began: Instant, monitor: &dyn Monitor) -> Result<Duration> {
        let Staging { connection, plan, lock, .. } = &mut self.staging;
        if let Some(mut lock) = lock.take() {
            lock.demand_held().await?;
            lock.release().await?;
        }
        fault::point("in-place.released");
        connection.prepare_altering().await?;
        let incoming = Incoming::without_tables(plan);
        swap::dress(connection, &incoming).await?;
        // Whoever dies here leaves tables that differ, which the next run loads again.
        for strayed in foreign_keys::strayed(connection, plan.target(), plan.schema()).await? {
            strayed.bring_home(connection, plan.target()).await?;
        }
        let incomplete = swap::furnish(connection, &incoming, began, monitor).await?;
        removal::drop_other_routines(connection, plan.target(), &incoming.programs).await?;
        fault::point("in-place.furnished");
        Ok(incomplete)
    }

    /// Drops what is not needed any more: staging, and what earlier restores of the database kept.
    pub async fn end(mut self, suffix: &str, monitor: &dyn Monitor) -> Result<()> {
        let Staging { connection, plan, .. } = &mut self.staging;
        residue::told(connection.drop_database(plan.schema()).await, monitor)?;
        Schemas::of_staging(plan.target(), suffix).finish_on(connection, monitor).await
    }

    /// Drops staging.
    pub async fn discard(self) -> Result<()> {
        self.staging.discard().await
    }
}

/// Returns the names of the tables and sequences that the database is to have.
fn wanted(plan: &Plan) -> BTreeSet<&str> {
    let definition = plan.definition();
    let tables = definition.tables.iter().map(|table| table.name.as_str());
    tables.chain(definition.sequences.iter().map(|sequence| sequence.name.as_str())).collect()
}

fn groups(plan: &Plan) -> Result<Vec<Vec<usize>>> {
    // Two tables whose names differ by case alone do no harm in one group.
    let mut links = Links::new(true);
    for (_, table) in plan.replaced() {
        for parent in foreign_keys::parents(&table.create)? {
            links.add_foreign_key(&table.name, &parent);
        }
    }
    let mut groups = Vec::new();
    let mut waiting: Vec<_> = plan.replaced().map(|(at, table)| (at, &table.name)).collect();
    while let Some((_, first)) = waiting.first() {
        let reached = links.reached_from([first.as_str()].into_iter());
        let (group, others): (Vec<_>, Vec<_>) = waiting
            .iter()
            .partition(|(_, name)| name == first || reached.contains_key(&links.key(name)));
        groups.push(group.into_iter().map(|(position, _)| position).collect());
        waiting = others;
    }
    Ok(groups)
}
