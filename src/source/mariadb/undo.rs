//! Putting back what was live, by whoever comes to it: the restore that failed, or the next one
//! after a restore that was killed.
//!
//! All that it takes is noted in the database server itself, in the schema that keeps the replaced
//! tables, before anything live is touched, and forgotten when the swap is complete.

use serde::Deserialize;
use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
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
use crate::source::mariadb::site::Purpose;
use crate::source::mariadb::site::Site;
use crate::source::mariadb::tables;

/// The table that holds the note.
const NOTE: &str = "__snap_undo";

/// What it takes to put back a database that is being replaced.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Undo {
    /// The name of the database.
    pub(super) target: String,
    /// The schema that what was restored comes from, and goes back to.
    pub(super) staging: String,
    /// The schema that keeps what was live.
    pub(super) previous: String,
    /// What was live; `None` where there was no such database.
    pub(super) live: Option<Live>,
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
    /// The triggers of those.
    #[serde(default)]
    pub(super) kept_triggers: Vec<String>,
}

impl Live {
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
}

impl Live {
    /// Fails where a table cannot be opened: a server that dies while it moves a partitioned table
    /// leaves its partitions in two databases, and dropping either would drop rows.
    async fn demand_whole(&self, connection: &mut Connection, previous: &str) -> Result<()> {
        let target = &self.database.name;
        for table in &self.tables {
            let name = quote::qualified(target, table);
            let doing = format!("cannot open table {name} after a killed swap");
            let opened = connection.execute(&doing, &format!("SELECT 1 FROM {name} LIMIT 0")).await;
            opened.map_err(|error| match error.kind() {
                Kind::Busy => error,
                _ => error.hint(format!(
                    "partitions of it may be in database {previous:?}: keep both databases; \
                     `snap restore ID --database NEW_NAME` brings a snapshot back beside them"
                )),
            })?;
        }
        Ok(())
    }
}

impl Undo {
    /// Writes the note, in a new schema that is to keep what was live.
    pub(super) async fn note(&self, connection: &mut Connection) -> Result<()> {
        connection.create_database(&plain(&self.previous)).await?;
        let json = serde_json::to_string(self).expect("a note is plain JSON");
        let (table, doing) = (quote::qualified(&self.previous, NOTE), "cannot note what is live");
        let create = format!("CREATE TABLE {table} (state LONGTEXT NOT NULL) ENGINE=InnoDB");
        connection.execute(doing, &create).await?;
        let insert = format!("INSERT INTO {table} VALUES ({})", quote::text(&json));
        connection.execute(doing, &insert).await
    }

    /// Returns the note that a schema holds, where a swap was not completed.
    pub(super) async fn find_in(connection: &mut Connection, schema: &str) -> Result<Option<Self>> {
        if !moves::stored(connection, schema).await?.iter().any(|table| table == NOTE) {
            return Ok(None);
        }
        let sql = format!("SELECT state FROM {}", quote::qualified(schema, NOTE));
        let note: Option<String> =
            connection.first("cannot read what was live before a swap", &sql).await?;
        // Without a row, the process died between table and row: nothing was touched yet.
        note.map(|json| {
            serde_json::from_str(&json).map_err(|cause| {
                let text = format!("cannot understand what was live before the swap in {schema}");
                Error::failed(text).caused_by(cause)
            })
        })
        .transpose()
    }

    /// Forgets the note: what was restored is live for good.
    pub(super) async fn forget(&self, connection: &mut Connection) -> Result<()> {
        match &self.live {
            Some(_) => connection.drop_table(&self.previous, NOTE).await,
            None => connection.drop_database(&self.previous).await,
        }
    }

    /// Puts back what was live, however far the swap had come; what was restored is moved to
    /// staging.
    pub(super) async fn run(
        &self,
        connection: &mut Connection,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        self.put_back(connection, monitor).await?;
        connection.drop_database(&self.previous).await
    }

    async fn put_back(&self, connection: &mut Connection, monitor: &dyn Monitor) -> Result<()> {
        let is_moved = self.is_moved(connection).await?;
        if is_moved {
            self.move_back(connection).await?;
        }
        match &self.live {
            None => connection.drop_database(&self.target).await?,
            Some(live) if is_moved => {
                connection.dress_database(&live.database).await?;
                let site = Site::new(&live.database, Purpose::Live);
                for view in programs::replace_all(connection, &site, &live.programs).await? {
                    let text = "was broken before and could not be put back";
                    monitor.warn(&format!("view {view:?} {text}"));
                }
            }
            Some(live) => live.create_triggers(connection).await?,
        }
        Ok(())
    }

    /// Returns what an operator can do where even this fails.
    pub(super) fn advice(&self) -> String {
        format!(
            "the replaced tables are in database {:?}: nothing drops it; `snap restore` puts them \
             back before it begins",
            self.previous
        )
    }

    /// Moves the tables back.
    async fn move_back(&self, connection: &mut Connection) -> Result<()> {
        for schema in [&self.target, &self.previous] {
            programs::drop_triggers(connection, schema).await?;
        }
        if tables::database(connection, &self.staging).await?.is_none() {
            connection.create_database(&plain(&self.staging)).await?;
        }
        let kept = self.live.as_ref().map_or(&[][..], |live| &live.kept);
        let mut restored = moves::stored(connection, &self.target).await?;
        restored.retain(|table| !kept.contains(table));
        let mut back = moves::all(&restored, &self.target, &self.staging);
        if let Some(live) = &self.live {
            back.extend(moves::all(&live.tables, &self.previous, &self.target));
        }
        connection.rename_tables(&back).await?;
        connection.prepare_altering().await?;
        connection.select_database(&self.target).await?;
        foreign_keys::bring_home(connection, &self.target, &self.previous).await
    }

    /// Returns whether the tables are where the swap moved them: all of them are, or none.
    async fn is_moved(&self, connection: &mut Connection) -> Result<bool> {
        let target_exists = tables::database(connection, &self.target).await?.is_some();
        Ok(match &self.live {
            Some(live) if !live.tables.is_empty() => {
                let kept = moves::stored(connection, &self.previous).await?;
                kept.iter().any(|table| table != NOTE)
            }
            _ => target_exists,
        })
    }
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

/// Puts back what a killed restore of this database had begun to replace.
pub(super) async fn killed_swaps(
    connection: &mut Connection,
    target: &str,
    monitor: &dyn Monitor,
) -> Result<()> {
    for schema in connection.databases_like(&names::previous(target, "")).await? {
        if let Some(undo) = Undo::find_in(connection, &schema).await? {
            undo.put_back(connection, monitor).await?;
            if let Some(live) = &undo.live {
                live.demand_whole(connection, &schema).await?;
            }
            connection.drop_database(&schema).await?;
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

    async fn drop_table(&mut self, schema: &str, table: &str) -> Result<()> {
        let name = quote::qualified(schema, table);
        self.execute(&format!("cannot drop table {name}"), &format!("DROP TABLE {name}")).await
    }
}
