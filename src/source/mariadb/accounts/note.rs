//! What a restore changes of the accounts, noted on the server before it does: a restore that is
//! killed cannot take its changes back itself.
//!
//! The note is a schema beside the database, with names and no passwords. It goes when the restore
//! ends. The next restore of the database that finds one takes the changes back, unless the
//! database that they belong to took its place for good: then they stay with it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::source::mariadb::accounts::Grantee;
use crate::source::mariadb::accounts::check;
use crate::source::mariadb::accounts::reach;
use crate::source::mariadb::accounts::step::Undoing;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::grants::Grant;
use crate::source::mariadb::names;
use crate::source::mariadb::note::Undo;
use crate::source::mariadb::quote;
use crate::source::mariadb::residue;
use crate::source::mariadb::tables;

const TABLE: &str = "changes";

/// A note that is being written.
pub(super) struct Note {
    schema: String,
    changes: u32,
}

/// The first row of a note.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Heading {
    /// The schema that keeps what the swap replaces.
    previous: String,
    /// Whether there is anything to replace.
    is_replacing: bool,
}

/// A note that a killed restore left behind.
struct Found {
    schema: String,
    /// `None` where the restore died before it changed anything.
    heading: Option<Heading>,
    /// What takes the changes back, the first change first.
    undoings: Vec<Undoing>,
}

impl Note {
    /// Begins the note of a restore.
    pub(super) async fn begin(
        connection: &mut Connection,
        database: &str,
        suffix: &str,
    ) -> Result<Self> {
        let note = Self { schema: names::accounts(database, suffix), changes: 0 };
        let schema = quote::identifier(&note.schema);
        let table = quote::qualified(&note.schema, TABLE);
        let heading = Heading {
            previous: names::previous(database, suffix),
            is_replacing: tables::database(connection, database).await?.is_some(),
        };
        connection.execute(DOING, &format!("CREATE DATABASE {schema}")).await?;
        let create = format!(
            "CREATE TABLE {table} (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, \
             position INT UNSIGNED NOT NULL, state LONGTEXT CHARACTER SET utf8mb4 NOT NULL) \
             ENGINE=InnoDB"
        );
        connection.execute(DOING, &create).await?;
        note.insert(connection, &heading).await?;
        Ok(note)
    }

    /// Notes what will take the next change back.
    pub(super) async fn add(
        &mut self,
        connection: &mut Connection,
        undoing: &Undoing,
    ) -> Result<()> {
        self.changes += 1;
        self.insert(connection, &Some(undoing)).await
    }

    /// Notes that the last change was refused: what it would have changed is not ours.
    pub(super) async fn strike(&self, connection: &mut Connection) -> Result<()> {
        self.insert(connection, &None::<Undoing>).await
    }

    /// Forgets the note.
    pub(super) async fn forget(&self, connection: &mut Connection) -> Result<()> {
        connection.drop_database(&self.schema).await
    }

    async fn insert(&self, connection: &mut Connection, state: &impl Serialize) -> Result<()> {
        let table = quote::qualified(&self.schema, TABLE);
        let state = quote::text(&serde_json::to_string(state).expect("a note is plain JSON"));
        let position = self.changes;
        let insert = format!("INSERT INTO {table} (position, state) VALUES ({position}, {state})");
        connection.execute(DOING, &insert).await
    }
}

const DOING: &str = "cannot note what becomes of the accounts";

/// Takes back what killed restores of this database changed of accounts. What is no change of ours
/// is not touched, whoever wrote it there.
pub(in crate::source::mariadb) async fn undo_killed(
    connection: &mut Connection,
    database: &str,
    monitor: &dyn Monitor,
) -> Result<()> {
    let mut is_undone = false;
    for found in found(connection, database).await? {
        if found.is_settled(connection, database).await? {
            residue::told(connection.drop_database(&found.schema).await, monitor)?;
            continue;
        }
        for (position, undoing) in found.undoings.iter().enumerate().rev() {
            is_undone = true;
            let undone = connection.take_back(undoing, database).await;
            // The last change may have been noted and not made.
            if let Err(error) = undone.or_else(|error| {
                if position + 1 == found.undoings.len() { Ok(()) } else { Err(error) }
            }) {
                monitor.warn(&error.chain());
            }
        }
        residue::told(connection.drop_database(&found.schema).await, monitor)?;
    }
    if is_undone {
        monitor.note("a killed restore had begun to restore accounts: its changes are taken back");
    }
    Ok(())
}

/// Returns the accounts that the next restore of this database drops before it begins.
pub(super) async fn doomed(connection: &mut Connection, database: &str) -> Result<Vec<Grantee>> {
    let mut doomed = Vec::new();
    for found in found(connection, database).await? {
        if found.is_settled(connection, database).await? {
            continue;
        }
        doomed.extend(found.undoings.into_iter().filter_map(|undoing| match undoing {
            Undoing::DropRole(role) => Some(Grantee::Role(role)),
            Undoing::DropUser(name) => Some(name),
            Undoing::Revoke { .. } | Undoing::Leave { .. } => None,
        }));
    }
    Ok(doomed)
}

async fn found(connection: &mut Connection, database: &str) -> Result<Vec<Found>> {
    let mut notes = Vec::new();
    for schema in connection.databases_like(&names::accounts(database, "")).await? {
        let mut rows = connection.note_rows(&schema).await?.into_iter();
        let heading = rows.next().map(|(_, heading)| understood(&heading, &schema)).transpose()?;
        let mut changes: BTreeMap<u32, Option<Undoing>> = BTreeMap::new();
        for (position, state) in rows {
            changes.insert(position, understood(&state, &schema)?);
        }
        notes.push(Found { heading, undoings: changes.into_values().flatten().collect(), schema });
    }
    Ok(notes)
}

fn understood<T: DeserializeOwned>(state: &str, schema: &str) -> Result<T> {
    serde_json::from_str(state).map_err(|cause| {
        let text = format!("cannot understand what {schema} says of accounts");
        Error::failed(text)
            .hint(format!("look at it, and drop database {schema:?}"))
            .caused_by(cause)
    })
}

impl Found {
    /// Returns whether the swap that the changes belong to is complete: it ends with its own note.
    async fn is_settled(&self, connection: &mut Connection, database: &str) -> Result<bool> {
        let Some(Heading { previous, is_replacing }) = &self.heading else { return Ok(true) };
        if tables::database(connection, previous).await?.is_some() {
            let found = Undo::find_in(connection, previous).await?;
            return Ok(found.is_some_and(|found| found.is_complete));
        }
        Ok(!is_replacing && tables::database(connection, database).await?.is_some())
    }
}

impl Connection {
    async fn note_rows(&mut self, schema: &str) -> Result<Vec<(u32, String)>> {
        let doing = "cannot read what a killed restore changed of accounts";
        let is_schema = quote::is_database("TABLE_SCHEMA", schema);
        let sql = format!(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE {is_schema} \
             AND TABLE_NAME = '{TABLE}'"
        );
        if self.first::<String>(doing, &sql).await?.is_none() {
            return Ok(Vec::new());
        }
        let table = quote::qualified(schema, TABLE);
        self.rows(doing, &format!("SELECT position, state FROM {table} ORDER BY id")).await
    }

    async fn take_back(&mut self, undoing: &Undoing, database: &str) -> Result<()> {
        let doing = "cannot take back what a killed restore changed of accounts";
        let me = Grantee::parse(self.account());
        let rights = self.known_rights().await?;
        let is_grant = |grant: &Grant| {
            let mut words = grant.rights.iter().chain(grant.columns.keys());
            words.all(|word| rights.is_known(word)) && !reach::is_beyond(grant, database)
        };
        let is_ours = match undoing {
            Undoing::DropRole(role) => check::check_name(&Grantee::Role(role.clone())).is_ok(),
            Undoing::DropUser(name) => {
                check::check_name(name).is_ok()
                    && !name.is_of_the_server()
                    && me.is_some_and(|me| !me.is(name))
            }
            Undoing::Revoke { addition, .. } => {
                is_grant(&addition.grant) && addition.before.iter().all(is_grant)
            }
            Undoing::Leave { .. } => true,
        };
        if !is_ours {
            return Err(Error::failed(format!("{doing}: no restore changes that")));
        }
        for statement in undoing.statements() {
            self.execute(doing, &statement).await?;
        }
        Ok(())
    }
}
