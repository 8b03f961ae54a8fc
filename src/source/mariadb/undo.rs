//! Putting back what was live, by whoever comes to it: the restore that failed, the next command
//! after one that was killed, or a rollback.
//!
//! All that it takes is noted in the database server itself, in the schema that keeps the replaced
//! tables, before anything live is touched: what was live, to put it back, and what comes in, to go
//! on. When the swap is complete the note says so, and stays: it is what a rollback goes by.

use serde::Deserialize;
use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::fault;
use crate::base::monitor::Monitor;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::definition::Database;
use crate::source::mariadb::definition::Program;
use crate::source::mariadb::definition::ProgramKind;
use crate::source::mariadb::foreign_keys;
use crate::source::mariadb::moves;
use crate::source::mariadb::names;
use crate::source::mariadb::programs;
use crate::source::mariadb::quote;
use crate::source::mariadb::ready::Schemas;
use crate::source::mariadb::site::Purpose;
use crate::source::mariadb::site::Site;
use crate::source::mariadb::tables;

/// The table that holds the note.
const NOTE: &str = "__snap_undo";

/// What it takes to put back a database that is being replaced, and to go on replacing it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Undo {
    /// Where everything lies.
    #[serde(flatten)]
    pub(super) schemas: Schemas,
    /// What was live; `None` where there was no such database.
    pub(super) live: Option<Live>,
    /// What comes in; `None` where there is to be no such database.
    pub(super) incoming: Option<Incoming>,
}

/// What was live.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Live {
    pub(super) database: Database,
    pub(super) programs: Vec<Program>,
    /// The names of its tables and sequences that move.
    pub(super) tables: Vec<String>,
    /// The names of those that stay where they are, for good.
    #[serde(default)]
    pub(super) kept: Vec<String>,
}

/// What comes in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Incoming {
    /// The attributes that the database gets, under its own name.
    pub(super) database: Database,
    pub(super) programs: Vec<Program>,
    /// The names of its tables and sequences.
    pub(super) tables: Vec<String>,
    /// Table, quoted column and default of each column that draws from a sequence.
    pub(super) sequence_defaults: Vec<(String, String, String)>,
    /// Whether the server must print the programs as they were written.
    pub(super) is_exact: bool,
}

/// A note that was found.
pub(super) struct Found {
    pub(super) undo: Undo,
    /// Whether its swap came to its end.
    pub(super) is_complete: bool,
}

impl Live {
    /// Returns what is live under a name, if anything.
    pub(super) async fn read(connection: &mut Connection, name: &str) -> Result<Option<Self>> {
        let Some(database) = tables::database(connection, name).await? else { return Ok(None) };
        connection.select_database(name).await?;
        let programs = programs::programs(connection, name).await?;
        let tables = moves::stored(connection, name).await?;
        Ok(Some(Self { database, programs, tables, kept: Vec::new() }))
    }

    /// Creates the triggers that are gone, as they go before the tables move; all else is
    /// untouched then.
    pub(super) async fn create_triggers(&self, connection: &mut Connection) -> Result<()> {
        let there = programs::names(connection, &self.database.name).await?;
        let is_there = |program: &Program| {
            there.iter().any(|(kind, name, _)| *kind == program.kind && *name == program.name)
        };
        let is_gone =
            |program: &&Program| program.kind == ProgramKind::Trigger && !is_there(program);
        let triggers: Vec<_> = self.programs.iter().filter(is_gone).cloned().collect();
        connection.select_database(&self.database.name).await?;
        let site = Site::new(&self.database, Purpose::Live);
        programs::create(connection, &site, &triggers).await.map(drop)
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
            programs::create(connection, &site, &self.programs).await
        };
        if let Err(error) = kept.await {
            let why = error.chain();
            monitor.note(&format!("{schema} keeps the replaced tables without programs: {why}"));
        }
    }
}

impl Undo {
    /// Writes the note, in a new schema that is to keep what was live.
    pub(super) async fn note(&self, connection: &mut Connection) -> Result<()> {
        let previous = &self.schemas.previous;
        fault::point("database.before-note");
        connection.create_database(&plain(previous)).await?;
        fault::point("database.previous-created");
        let json = serde_json::to_string(self).expect("a note is plain JSON");
        let (table, doing) = (quote::qualified(previous, NOTE), "cannot note what is live");
        let create = format!(
            "CREATE TABLE {table} (state LONGTEXT NOT NULL, is_complete TINYINT NOT NULL) ENGINE=InnoDB"
        );
        connection.execute(doing, &create).await?;
        fault::point("database.note-created");
        let insert = format!("INSERT INTO {table} VALUES ({}, 0)", quote::text(&json));
        connection.execute(doing, &insert).await?;
        fault::point("database.noted");
        Ok(())
    }

    /// Returns the note that a schema holds.
    pub(super) async fn find_in(
        connection: &mut Connection,
        schema: &str,
    ) -> Result<Option<Found>> {
        if !moves::stored(connection, schema).await?.iter().any(|table| table == NOTE) {
            return Ok(None);
        }
        let table = quote::qualified(schema, NOTE);
        let sql = format!(
            "SELECT state, (SELECT COUNT(*) FROM {table} WHERE is_complete = 1) > 0 FROM {table} \
             WHERE is_complete = 0"
        );
        let note: Option<(String, bool)> =
            connection.first("cannot read what was live before a swap", &sql).await?;
        // Without a row, the process died between table and row: nothing was touched yet.
        note.map(|(json, is_complete)| {
            let undo = serde_json::from_str(&json).map_err(|cause| {
                let text = format!("cannot understand what was live before the swap in {schema}");
                Error::failed(text).caused_by(cause)
            })?;
            Ok(Found { undo, is_complete })
        })
        .transpose()
    }

    /// Notes that the swap is complete: what came in is live for good.
    pub(super) async fn complete(&self, connection: &mut Connection) -> Result<()> {
        let table = quote::qualified(&self.schemas.previous, NOTE);
        // A second row, since no restore needs the right to update anything.
        let insert = format!("INSERT INTO {table} VALUES ('', 1)");
        fault::point("database.before-complete");
        connection.execute("cannot note that the swap is complete", &insert).await?;
        fault::point("database.complete");
        Ok(())
    }

    /// Puts back what was live, however far the swap had come; what came in is moved to where it
    /// came from.
    pub(super) async fn run(
        &self,
        connection: &mut Connection,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let Schemas { target, staging, previous, is_kept, .. } = &self.schemas;
        let is_moved = self.is_moved(connection).await?;
        if is_moved {
            self.move_back(connection).await?;
        }
        match &self.live {
            None => connection.drop_emptied(target).await?,
            Some(live) if is_moved => {
                connection.dress_database(&live.database).await?;
                let site = Site::new(&live.database, Purpose::Live);
                for view in programs::replace_all(connection, &site, &live.programs).await? {
                    let text = "was broken before and could not be put back";
                    monitor.warn(&format!("view {view:?} {text}"));
                }
                fault::point("database.undo-programs");
            }
            Some(live) => live.create_triggers(connection).await?,
        }
        if *is_kept {
            restore_programs_of(connection, staging, monitor).await?;
        }
        connection.drop_emptied(previous).await?;
        fault::point("database.undone");
        Ok(())
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
            programs::drop_triggers(connection, schema).await?;
        }
        if tables::database(connection, staging).await?.is_none() {
            connection.create_database(&plain(staging)).await?;
        }
        if tables::database(connection, target).await?.is_none() {
            connection.create_database(&plain(target)).await?;
        }
        let kept = self.live.as_ref().map_or(&[][..], |live| &live.kept);
        let mut came = moves::stored(connection, target).await?;
        came.retain(|table| !kept.contains(table));
        let mut back = moves::all(&came, target, staging);
        if let Some(live) = &self.live {
            back.extend(moves::all(&live.tables, previous, target));
        }
        fault::point("database.before-undo");
        connection.rename_tables(&back).await?;
        fault::point("database.undo-moved");
        connection.prepare_altering().await?;
        connection.select_database(staging).await?;
        foreign_keys::bring_home(connection, staging, target).await?;
        connection.select_database(target).await?;
        foreign_keys::bring_home(connection, target, previous).await
    }

    /// Returns whether the tables are where the swap moves them: all of them are, or none.
    pub(super) async fn is_moved(&self, connection: &mut Connection) -> Result<bool> {
        let Schemas { target, previous, .. } = &self.schemas;
        match &self.live {
            Some(live) if !live.tables.is_empty() => {
                Ok(!kept_tables(connection, previous).await?.is_empty())
            }
            Some(_) => Ok(true),
            None => {
                let there = moves::stored(connection, target).await?;
                let incoming = self.incoming.as_ref().map_or(&[][..], |incoming| &incoming.tables);
                Ok(incoming.iter().any(|table| there.contains(table)))
            }
        }
    }
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

/// Returns the tables and sequences of a schema beside a database, apart from the note.
pub(super) async fn kept_tables(connection: &mut Connection, schema: &str) -> Result<Vec<String>> {
    let mut stored = moves::stored(connection, schema).await?;
    stored.retain(|table| table != NOTE);
    Ok(stored)
}

/// Returns a database that holds tables of any character set.
fn plain(name: &str) -> Database {
    Database {
        name: name.to_owned(),
        charset: "utf8mb4".to_owned(),
        collation: "utf8mb4_general_ci".to_owned(),
        comment: String::new(),
    }
}

/// Puts back what a killed restore of this database had begun to replace, where its journal is
/// lost.
pub(super) async fn killed_swaps(
    connection: &mut Connection,
    target: &str,
    monitor: &dyn Monitor,
) -> Result<()> {
    for schema in connection.databases_like(&names::previous(target, "")).await? {
        if let Some(Found { undo, is_complete: false }) = Undo::find_in(connection, &schema).await?
        {
            undo.run(connection, monitor).await?;
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
        let left = kept_tables(self, name).await?;
        if !left.is_empty() {
            let (count, name) = (left.len(), quote::identifier(name));
            return Err(Error::failed(format!(
                "cannot drop database {name}: {count} tables are in it that were to be elsewhere"
            )));
        }
        self.drop_database(name).await
    }
}
