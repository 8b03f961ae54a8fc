//! Putting back what was live, by whoever comes to it: the restore that failed, the next command
//! after one that was killed, or a rollback.
//!
//! All that it takes is noted in the database server before anything live is touched (`note`).

use std::collections::BTreeSet;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::fault;
use crate::base::monitor::Monitor;
use crate::source::mariadb::accounts::note;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::definition::Database;
use crate::source::mariadb::definition::Program;
use crate::source::mariadb::definition::ProgramKind;
use crate::source::mariadb::moves;
use crate::source::mariadb::names;
use crate::source::mariadb::note::Found;
use crate::source::mariadb::note::Live;
use crate::source::mariadb::note::Side;
use crate::source::mariadb::note::Undo;
use crate::source::mariadb::note::kept_tables;
use crate::source::mariadb::note::plain;
use crate::source::mariadb::programs;
use crate::source::mariadb::quote;
use crate::source::mariadb::ready::Schemas;
use crate::source::mariadb::removal;
use crate::source::mariadb::residue;
use crate::source::mariadb::site::Purpose;
use crate::source::mariadb::site::Site;
use crate::source::mariadb::tables;

impl Live {
    /// Creates the triggers that are gone, as they go before the tables move; all else is
    /// untouched then.
    pub(super) async fn create_triggers(&self, connection: &mut Connection) -> Result<()> {
        let triggers = self.triggers_gone(connection).await?;
        connection.select_database(&self.database.name).await?;
        let site = Site::new(&self.database, Purpose::Live);
        programs::create(connection, &site, &triggers).await.map(drop)
    }

    /// Does the same later on: the table of one may be gone too.
    async fn mend_triggers(
        &self,
        connection: &mut Connection,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let triggers = self.triggers_gone(connection).await?;
        connection.select_database(&self.database.name).await?;
        let site = Site::new(&self.database, Purpose::Live);
        for trigger in triggers {
            match programs::create(connection, &site, &[trigger]).await {
                Err(error) if error.kind() == Kind::Failed => monitor.warn(&error.chain()),
                created => drop(created?),
            }
        }
        Ok(())
    }

    async fn triggers_gone(&self, connection: &mut Connection) -> Result<Vec<Program>> {
        let there = programs::names(connection, &self.database.name).await?;
        let is_there = |program: &Program| {
            there.iter().any(|(kind, name, _)| *kind == program.kind && *name == program.name)
        };
        let is_gone =
            |program: &&Program| program.kind == ProgramKind::Trigger && !is_there(program);
        Ok(self.programs.iter().filter(is_gone).cloned().collect())
    }

    /// Creates the programs in the schema that keeps the tables, so that it is whole; what cannot
    /// be created there is noted.
    pub(super) async fn keep_programs_in(
        &self,
        connection: &mut Connection,
        schema: &str,
        monitor: &dyn Monitor,
    ) {
        let database = Database { name: schema.to_owned(), ..self.database.clone() };
        // Rehearsal keeps the events disabled: nothing may run in there.
        let site = Site::new(&database, Purpose::Rehearsal);
        let kept = async {
            connection.dress_database(&database).await?;
            connection.select_database(schema).await?;
            programs::create(connection, &site, &self.programs_beside()).await
        };
        if let Err(error) = kept.await {
            let why = error.chain();
            monitor.note(&format!("{schema} keeps the replaced tables without programs: {why}"));
        }
    }
}

impl Undo {
    /// Puts back what was live, however far the swap had come; what came in is moved to where it
    /// came from.
    pub(super) async fn run(
        &self,
        connection: &mut Connection,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        self.put_back(connection, monitor).await?;
        self.forget(connection, monitor).await
    }

    /// Does the same after a process or a server that died: nothing goes that may hold rows.
    pub(super) async fn run_after_death(
        &self,
        connection: &mut Connection,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        self.put_back(connection, monitor).await?;
        if let Some(live) = &self.live {
            let target = &self.schemas.target;
            // Somebody may have dropped one since.
            let mut there = moves::stored(connection, target).await?;
            there.retain(|table| live.tables.contains(table));
            demand_whole(connection, target, &there).await?;
        }
        self.forget(connection, monitor).await
    }

    async fn put_back(&self, connection: &mut Connection, monitor: &dyn Monitor) -> Result<()> {
        let Schemas { target, staging, is_kept, .. } = &self.schemas;
        let found = Self::find_in(connection, &self.schemas.previous).await?;
        let is_going_back = found.is_some_and(|found| found.is_going_back);
        let is_moved = self.is_moved(connection).await?;
        if is_moved {
            self.go_back(connection).await?;
            self.move_back(connection).await?;
        }
        self.settle_keys(connection).await?;
        match &self.live {
            None => self.drop_target(connection, is_moved || is_going_back, monitor).await?,
            Some(_) if tables::database(connection, target).await?.is_none() => {
                monitor.note(&format!("database {target:?} is gone: nothing of it is put back"));
            }
            Some(live) if is_moved || is_going_back => {
                connection.dress_database(&live.database).await?;
                let site = Site::new(&live.database, Purpose::Live);
                for view in programs::replace_all(connection, &site, &live.programs).await? {
                    let text = "was broken before and could not be put back";
                    monitor.warn(&format!("view {view:?} {text}"));
                }
                let came = self.incoming.as_ref().map_or(&[][..], |incoming| &incoming.programs);
                removal::drop_routines_but(connection, target, came, &live.programs).await?;
                fault::point("database.undo-programs");
            }
            Some(live) => live.mend_triggers(connection, monitor).await?,
        }
        if *is_kept {
            restore_programs_of(connection, staging, monitor).await?;
        }
        Ok(())
    }

    /// Drops the database that was not there before, unless somebody else has made it meanwhile.
    async fn drop_target(
        &self,
        connection: &mut Connection,
        was_moved: bool,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let target = &self.schemas.target;
        let is_empty = moves::stored(connection, target).await?.is_empty()
            && (was_moved || programs::names(connection, target).await?.is_empty());
        if is_empty {
            residue::told(connection.drop_database(target).await, monitor)?;
            return Ok(());
        }
        monitor.note(&format!("database {target:?} is not of this restore, and stays"));
        Ok(())
    }

    /// Drops the note, and with it the schema that was to keep what is live again.
    pub(super) async fn forget(
        &self,
        connection: &mut Connection,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        residue::told(connection.drop_emptied(&self.schemas.previous).await, monitor)?;
        fault::point("database.undone");
        Ok(())
    }

    /// Fails where the server died in the move and left a part of a table on either side.
    pub(super) async fn demand_moved_whole(&self, connection: &mut Connection) -> Result<()> {
        let Schemas { target, previous, .. } = &self.schemas;
        if let Some(live) = &self.live {
            demand_whole(connection, previous, &live.tables).await?;
        }
        demand_whole(connection, target, self.incoming_tables()).await
    }

    /// Returns what an operator can do where even this fails.
    pub(super) fn advice(&self) -> String {
        format!(
            "the replaced tables are in database {:?}: nothing drops it; `snap restore --resume` puts \
             them back",
            self.schemas.previous
        )
    }

    /// Moves the tables back.
    async fn move_back(&self, connection: &mut Connection) -> Result<()> {
        let Schemas { target, staging, previous, .. } = &self.schemas;
        for schema in [target, previous] {
            removal::drop_triggers(connection, schema).await?;
        }
        if tables::database(connection, staging).await?.is_none() {
            connection.create_database(&plain(staging)).await?;
        }
        if tables::database(connection, target).await?.is_none() {
            connection.create_database(&plain(target)).await?;
        }
        let kept = self.kept();
        let mut came = moves::stored(connection, target).await?;
        let live = self.live.as_ref().map_or(&[][..], |live| &live.tables);
        // Somebody may have made others since: those stay.
        let is_ours =
            |table: &String| self.incoming_tables().contains(table) || live.contains(table);
        came.retain(|table| !kept.contains(table) && is_ours(table));
        let mut back = moves::all(&came, target, staging);
        if let Some(live) = &self.live {
            back.extend(moves::all(&live.tables, previous, target));
        }
        fault::point("database.before-undo");
        connection.rename_tables(&back).await?;
        fault::point("database.undo-moved");
        Ok(())
    }

    /// Makes the foreign keys of tables that moved back name tables of their own database. One whose
    /// table was gone may have bound itself to the one that came in, and followed it away; also where
    /// the server itself moved the tables back, since it died in the move.
    async fn settle_keys(&self, connection: &mut Connection) -> Result<()> {
        let Schemas { target, staging, previous, .. } = &self.schemas;
        connection.prepare_altering().await?;
        for (side, own) in [(Side::Incoming, staging), (Side::Live, target)] {
            self.add_keys_gone(connection, side, own).await?;
        }
        let strays = [
            (Side::Incoming, staging, target),
            (Side::Live, target, previous),
            (Side::Live, target, staging),
        ];
        for (side, own, left) in strays {
            if tables::database(connection, own).await?.is_some() {
                self.bring_keys_home(connection, side, own, left).await?;
            }
        }
        Ok(())
    }

    /// Returns whether the tables are where the swap moves them: all of them are, or none. Where none
    /// move nobody can tell, and doing the rest again changes nothing.
    pub(super) async fn is_moved(&self, connection: &mut Connection) -> Result<bool> {
        let Schemas { target, staging, previous, .. } = &self.schemas;
        match &self.live {
            Some(live) if !live.tables.is_empty() => {
                Ok(!kept_tables(connection, previous).await?.is_empty())
            }
            Some(_) if self.incoming_tables().is_empty() => Ok(true),
            // Somebody else may have made tables of these names in a database that had none.
            _ => {
                let there = moves::stored(connection, target).await?;
                let waiting = moves::stored(connection, staging).await?;
                let are = |in_it: &[String]| {
                    self.incoming_tables().iter().any(|table| in_it.contains(table))
                };
                Ok(are(&there) && !are(&waiting))
            }
        }
    }
}

/// Fails where a table cannot be opened: a server that dies while it moves a partitioned table
/// leaves its partitions in two databases, and dropping either would drop rows.
async fn demand_whole(
    connection: &mut Connection,
    database: &str,
    tables: &[String],
) -> Result<()> {
    for table in tables {
        let name = quote::qualified(database, table);
        let doing = format!("cannot open table {name} after a killed swap");
        let opened = connection.execute(&doing, &format!("SELECT 1 FROM {name} LIMIT 0")).await;
        opened.map_err(|error| match error.kind() {
            Kind::Busy => error,
            _ => error.hint(
                "partitions of it may be in another database of this restore: keep them all; \
                 `snap restore ID --database NEW_NAME` brings a snapshot back beside them",
            ),
        })?;
    }
    Ok(())
}

/// Makes a schema whole again whose tables came back: it keeps what an earlier swap replaced.
async fn restore_programs_of(
    connection: &mut Connection,
    schema: &str,
    monitor: &dyn Monitor,
) -> Result<()> {
    let kept = Undo::find_in(connection, schema).await?.and_then(|found| found.undo.live);
    if let Some(kept) = kept {
        kept.keep_programs_in(connection, schema, monitor).await;
    }
    Ok(())
}

/// Puts back what a killed restore of this database had begun to replace, where its journal is
/// lost.
pub(super) async fn killed_swaps(
    connection: &mut Connection,
    target: &str,
    monitor: &dyn Monitor,
) -> Result<()> {
    note::undo_killed(connection, target, monitor).await?;
    for schema in connection.databases_like(&names::previous(target, "")).await? {
        if let Some(Found { undo, is_complete: false, .. }) =
            Undo::find_in(connection, &schema).await?
        {
            undo.run_after_death(connection, monitor).await?;
            monitor.note("a killed restore had begun to swap: what was live before is put back");
        }
    }
    Ok(())
}

impl Connection {
    /// Gives an existing database its character set, collation and comment.
    pub(super) async fn dress_database(&mut self, database: &Database) -> Result<()> {
        let name = quote::identifier(&database.name);
        let statement = format!(
            "ALTER DATABASE {name} CHARACTER SET {} COLLATE {} COMMENT {}",
            quote::word(&database.charset)?,
            quote::word(&database.collation)?,
            quote::string(&database.comment)
        );
        self.execute(&format!("cannot change database {name}"), &statement).await
    }

    /// Drops a database whose tables have moved away; fails where some have not.
    pub(super) async fn drop_emptied(&mut self, name: &str) -> Result<()> {
        self.drop_emptied_of_all_but(name, &BTreeSet::new()).await
    }

    /// Drops a database whose tables have moved away, but for these, which hold nothing that counts.
    pub(super) async fn drop_emptied_of_all_but(
        &mut self,
        name: &str,
        empty: &BTreeSet<String>,
    ) -> Result<()> {
        let mut left = kept_tables(self, name).await?;
        left.retain(|table| !empty.contains(table));
        if !left.is_empty() {
            let (count, name) = (left.len(), quote::identifier(name));
            return Err(Error::failed(format!(
                "cannot drop database {name}: {count} tables are in it that were to be elsewhere"
            )));
        }
        self.drop_database(name).await
    }
}
