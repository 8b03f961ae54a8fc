//! The note of a swap: what was live and what comes in, kept in the database server itself from before
//! anything live is touched.
//!
//! It lies in the schema that keeps the replaced tables. When the swap is complete the note says so,
//! and stays: it is what a rollback goes by. It says, too, that a swap is being taken back, since
//! tables that have moved back do not tell that their programs have not.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::fault;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::definition::Database;
use crate::source::mariadb::definition::Program;
use crate::source::mariadb::definition::ProgramKind;
use crate::source::mariadb::failure;
use crate::source::mariadb::foreign_keys;
use crate::source::mariadb::foreign_keys::Strayed;
use crate::source::mariadb::moves;
use crate::source::mariadb::plan::Plan;
use crate::source::mariadb::programs;
use crate::source::mariadb::quote;
use crate::source::mariadb::ready::Schemas;
use crate::source::mariadb::rehearsal::Likeness;
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
    pub(super) kept: BTreeSet<String>,
    /// The triggers of those.
    #[serde(default)]
    pub(super) kept_triggers: Vec<String>,
}

/// What comes in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Incoming {
    /// The attributes that the database gets, under its own name.
    pub(super) database: Database,
    pub(super) programs: Vec<Program>,
    /// The names of its tables and sequences.
    pub(super) tables: Vec<String>,
    /// Each table with columns that draw from a sequence, and what alters them to draw from the one
    /// that comes in with them.
    pub(super) sequence_defaults: Vec<(String, Vec<String>)>,
    /// Whether the server must print the programs as they were written.
    pub(super) is_exact: bool,
}

impl Incoming {
    /// Returns what comes in beside tables and sequences.
    pub(super) fn without_tables(plan: &Plan) -> Self {
        let definition = plan.definition();
        Self {
            database: Database { name: plan.target().to_owned(), ..definition.database.clone() },
            programs: definition.programs.clone(),
            tables: Vec::new(),
            sequence_defaults: Vec::new(),
            is_exact: plan.likeness() == Likeness::Exact,
        }
    }
}

/// A note that was found.
pub(super) struct Found {
    pub(super) undo: Undo,
    /// Whether its swap came to its end.
    pub(super) is_complete: bool,
    /// Whether it was being taken back.
    pub(super) is_going_back: bool,
}

/// The rows of a note, the last of which says how far its swap has come, but for those of keys. Each
/// is a new one, since no restore needs the right to update anything.
const NOTED: u8 = 0;
const COMPLETE: u8 = 1;
const GOING_BACK: u8 = 2;
const KEYS: u8 = 3;

/// Which of the tables of a swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Side {
    /// Those that were live.
    Live,
    /// Those that come in.
    Incoming,
}

impl Live {
    /// Returns what is live under a name, if anything, where these tables stay.
    pub(super) async fn read(
        connection: &mut Connection,
        name: &str,
        kept: &BTreeSet<String>,
    ) -> Result<Option<Self>> {
        let Some(database) = tables::database(connection, name).await? else { return Ok(None) };
        connection.select_database(name).await?;
        let programs = programs::programs(connection, name).await?;
        let stored = moves::stored(connection, name).await?;
        let (kept, tables): (Vec<_>, Vec<_>) =
            stored.into_iter().partition(|table| kept.contains(table));
        let kept: BTreeSet<String> = kept.into_iter().collect();
        let mut kept_triggers = programs::triggers(connection, name).await?;
        kept_triggers.retain(|(_, table)| kept.contains(table));
        let kept_triggers = kept_triggers.into_iter().map(|(trigger, _)| trigger).collect();
        Ok(Some(Self { database, programs, tables, kept, kept_triggers }))
    }

    /// Returns the programs that the schema which keeps the replaced tables can have: no triggers of
    /// tables that stayed, and of the views those that stand on nothing that did.
    pub(super) fn programs_beside(&self) -> Vec<Program> {
        let is_kept = |program: &&Program| {
            program.kind != ProgramKind::Trigger || !self.kept_triggers.contains(&program.name)
        };
        let lead_out = !self.kept.is_empty();
        let programs = self.programs.iter().filter(is_kept).cloned();
        programs.map(|it| Program { is_broken: it.is_broken || lead_out, ..it }).collect()
    }
}

impl Undo {
    /// Writes the note, in a new schema that is to keep what was live.
    pub(super) async fn note(&self, connection: &mut Connection) -> Result<()> {
        let previous = &self.schemas.previous;
        fault::point("database.before-note");
        connection.create_database(&plain(previous)).await?;
        fault::point("database.previous-created");
        self.write(connection).await
    }

    /// Writes the note once more, where the server has lost it.
    async fn note_again(&self, connection: &mut Connection) -> Result<()> {
        let previous = &self.schemas.previous;
        if tables::database(connection, previous).await?.is_none() {
            connection.create_database(&plain(previous)).await?;
        }
        let drop = format!("DROP TABLE IF EXISTS {}", quote::qualified(previous, NOTE));
        connection.execute("cannot note again what is live", &drop).await?;
        self.write(connection).await
    }

    async fn write(&self, connection: &mut Connection) -> Result<()> {
        let previous = &self.schemas.previous;
        let (table, doing) = (quote::qualified(previous, NOTE), "cannot note what is live");
        let create = format!(
            "CREATE TABLE {table} (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, \
             step TINYINT UNSIGNED NOT NULL, state LONGTEXT NOT NULL) ENGINE=InnoDB"
        );
        connection.execute(doing, &create).await?;
        fault::point("database.note-created");
        self.add(connection, NOTED, &self.to_json()).await?;
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
            "SELECT state, (SELECT step FROM {table} WHERE step <> {KEYS} ORDER BY id DESC LIMIT 1) \
             FROM {table} WHERE step = {NOTED}"
        );
        let note: Option<(String, u8)> =
            connection.first("cannot read what was live before a swap", &sql).await?;
        // Without a row, the process died between table and row: nothing was touched yet.
        note.map(|(json, step)| {
            let undo = understood(&json, schema)?;
            Ok(Found { undo, is_complete: step == COMPLETE, is_going_back: step == GOING_BACK })
        })
        .transpose()
    }

    /// Returns the note that a schema holds or, where the server has lost it, the one that was written
    /// down elsewhere.
    pub(super) async fn find_or_note_again(
        connection: &mut Connection,
        schema: &str,
        elsewhere: Option<&str>,
    ) -> Result<Option<Found>> {
        let found = Self::find_in(connection, schema).await?;
        let (None, Some(json)) = (&found, elsewhere) else { return Ok(found) };
        understood::<Self>(json, schema)?.note_again(connection).await?;
        Self::find_in(connection, schema).await
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a note is plain JSON")
    }

    /// Notes that the swap is complete: what came in is live for good.
    pub(super) async fn complete(&self, connection: &mut Connection) -> Result<()> {
        fault::point("database.before-complete");
        self.add(connection, COMPLETE, "").await?;
        fault::point("database.complete");
        Ok(())
    }

    /// Notes that the swap is being taken back.
    pub(super) async fn go_back(&self, connection: &mut Connection) -> Result<()> {
        self.add(connection, GOING_BACK, "").await
    }

    /// Makes the keys of one side's tables that name tables of the database `left` name tables of the
    /// database `own`, which they lie in by now. Each is noted before it is dropped.
    pub(super) async fn bring_keys_home(
        &self,
        connection: &mut Connection,
        side: Side,
        own: &str,
        left: &str,
    ) -> Result<()> {
        connection.select_database(own).await?;
        for strayed in foreign_keys::strayed(connection, own, left).await? {
            let state = serde_json::to_string(&(side, &strayed)).expect("keys are plain JSON");
            self.add(connection, KEYS, &state).await?;
            strayed.bring_home(connection, own).await?;
        }
        Ok(())
    }

    /// Adds the keys that were dropped to be brought home, and are gone: whoever did it died. One
    /// side's tables lie in the database `own` by now.
    pub(super) async fn add_keys_gone(
        &self,
        connection: &mut Connection,
        side: Side,
        own: &str,
    ) -> Result<()> {
        let noted = self.noted_keys(connection, side).await?;
        if noted.is_empty() {
            return Ok(());
        }
        let there = moves::stored(connection, own).await?;
        for strayed in noted {
            // Somebody may have dropped the table since.
            if there.contains(&strayed.table) {
                connection.select_database(own).await?;
                strayed.add_gone(connection, own).await?;
            }
        }
        Ok(())
    }

    async fn noted_keys(&self, connection: &mut Connection, side: Side) -> Result<Vec<Strayed>> {
        let previous = &self.schemas.previous;
        let table = quote::qualified(previous, NOTE);
        let sql = format!("SELECT state FROM {table} WHERE step = {KEYS} ORDER BY id");
        let read = connection.rows("cannot read what was noted of keys", &sql).await;
        let states: Vec<String> = match read {
            Err(error) if failure::is_of_absent_table(&error) => return Ok(Vec::new()),
            states => states?,
        };
        let mut noted = Vec::new();
        for state in states {
            let (of, strayed): (Side, Strayed) = understood(&state, previous)?;
            if of == side {
                noted.push(strayed);
            }
        }
        Ok(noted)
    }

    async fn add(&self, connection: &mut Connection, step: u8, state: &str) -> Result<()> {
        let table = quote::qualified(&self.schemas.previous, NOTE);
        let insert =
            format!("INSERT INTO {table} (step, state) VALUES ({step}, {})", quote::text(state));
        connection.execute("cannot note how far a swap has come", &insert).await
    }

    /// Returns whether the database has the tables that it had, of a swap that has not moved them.
    pub(super) async fn is_live_as_noted(&self, connection: &mut Connection) -> Result<bool> {
        let stored = moves::stored(connection, &self.schemas.target).await?;
        let there: BTreeSet<&String> = stored.iter().collect();
        let noted = self.live.iter().flat_map(|live| live.tables.iter().chain(&live.kept));
        Ok(there == noted.collect())
    }

    /// Returns whether the swap moves any table.
    pub(super) fn moves_tables(&self) -> bool {
        !self.incoming_tables().is_empty()
            || self.live.as_ref().is_some_and(|live| !live.tables.is_empty())
    }

    /// Returns the names of the tables and sequences that come in.
    pub(super) fn incoming_tables(&self) -> &[String] {
        self.incoming.as_ref().map_or(&[], |incoming| &incoming.tables)
    }

    /// Returns the names of the tables and sequences that stay where they are.
    pub(super) fn kept(&self) -> BTreeSet<String> {
        self.live.as_ref().map(|live| live.kept.clone()).unwrap_or_default()
    }
}

fn understood<T: DeserializeOwned>(json: &str, schema: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|cause| {
        let text = format!("cannot understand what was live before the swap in {schema}");
        Error::failed(text).caused_by(cause)
    })
}

/// Returns the tables and sequences of a schema beside a database, apart from the note.
pub(super) async fn kept_tables(connection: &mut Connection, schema: &str) -> Result<Vec<String>> {
    let mut stored = moves::stored(connection, schema).await?;
    stored.retain(|table| table != NOTE);
    Ok(stored)
}

/// Returns a database that holds tables of any character set.
pub(super) fn plain(name: &str) -> Database {
    Database {
        name: name.to_owned(),
        charset: "utf8mb4".to_owned(),
        collation: "utf8mb4_general_ci".to_owned(),
        comment: String::new(),
    }
}
