//! Loads chunks into a staged table, and proves that nothing was lost on the way.
//!
//! `LOAD DATA LOCAL` drops and truncates with a warning where other statements fail, so any
//! warning is a failure, and so is any other number of rows than the chunk holds.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::replay;
use crate::source::mariadb::rows;
use crate::source::mariadb::staging::Plan;
use crate::source::mariadb::tables;

/// What is sent to the server in one piece, in bytes.
const PIECE_BYTES: usize = 1 << 20;

/// One connection that loads tables into staging.
pub struct Loader {
    connection: Connection,
    plan: Arc<Plan>,
}

/// What a restored table must come to.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The number of rows.
    pub rows: u64,
    /// How many of them are current, where the table keeps its history too.
    pub current_rows: Option<u64>,
    /// The digest of the stored columns.
    pub digest: String,
    /// The digest of the generated columns, where there are any.
    pub generated_digest: Option<String>,
}

impl Loader {
    pub(super) const fn new(connection: Connection, plan: Arc<Plan>) -> Self {
        Self { connection, plan }
    }

    /// Loads one chunk of the table at `position`; `number` counts the table's chunks from 1.
    pub async fn load(
        &mut self,
        position: usize,
        number: usize,
        rows: u64,
        bytes: Vec<u8>,
    ) -> Result<()> {
        let table = &self.plan.definition().tables[position];
        let statement = replay::load_statement(table, "snap");
        let doing = format!("cannot load table {:?}, chunk {number}", table.name);
        let loaded = self.connection.load(&doing, &statement, bytes).await?;
        if let Some(warning) = self.connection.first_warning().await? {
            return Err(Error::new(Kind::Mismatch, format!("{doing}: {warning}")));
        }
        if loaded != rows {
            let what = format!("the server took {loaded} rows of {rows}");
            return Err(Error::new(Kind::Mismatch, format!("{doing}: {what}")));
        }
        Ok(())
    }

    /// Builds the indexes of a loaded table and reads it back to prove it.
    pub async fn complete(&mut self, position: usize, expected: &Expected) -> Result<()> {
        let table = &self.plan.definition().tables[position];
        for clauses in &self.plan.staged(position).indexes {
            self.connection.alter_table(&table.name, clauses).await?;
        }
        let schema = self.plan.schema();
        let totals = rows::prove(&mut self.connection, schema, table).await?;
        self.plan.check_rows(table, &totals, expected)?;
        match expected.current_rows {
            Some(rows) => {
                let found = self.connection.count_current(schema, table).await?;
                Plan::check_current_rows(table, found, rows)
            }
            None => Ok(()),
        }
    }

    pub(super) async fn receive_text_as_utf8(&mut self) -> Result<()> {
        self.connection.receive_text_as_utf8().await
    }

    /// Fails where a staged table is not defined as it was saved.
    pub(super) async fn prove_definition(&mut self, position: usize) -> Result<()> {
        let table = &self.plan.definition().tables[position];
        let schema = self.plan.schema();
        let staged = tables::show_create_table(&mut self.connection, schema, &table.name).await?;
        let saved = &self.plan.text(position);
        if self.plan.is_same_server() && *saved != staged {
            let (saved, staged) = first_difference(saved, &staged);
            return Err(Error::new(
                Kind::Mismatch,
                format!("table {:?} came out otherwise: {staged:?} for {saved:?}", table.name),
            ));
        }
        Ok(())
    }
}

/// Returns the first lines that differ.
fn first_difference<'a>(saved: &'a str, staged: &'a str) -> (&'a str, &'a str) {
    let pairs = saved.lines().zip(staged.lines());
    pairs
        .filter(|(old, new)| old != new)
        .map(|(old, new)| (old.trim(), new.trim()))
        .next()
        .unwrap_or((saved, staged))
}

impl Connection {
    /// Runs a `LOAD DATA LOCAL` with these bytes as its file. Returns the rows that were taken.
    ///
    /// No other file is ever sent: a server that asks for one of its own gets an error.
    async fn load(&mut self, doing: &str, statement: &str, bytes: Vec<u8>) -> Result<u64> {
        let bytes = Bytes::from(bytes);
        let pieces: Vec<_> = (0..bytes.len())
            .step_by(PIECE_BYTES)
            .map(|start| Ok(bytes.slice(start..bytes.len().min(start + PIECE_BYTES))))
            .collect();
        self.raw().set_infile_handler(async move { Ok(stream::iter(pieces).boxed()) });
        self.execute(doing, statement).await?;
        Ok(self.raw().affected_rows())
    }

    /// Returns the text of the first warning of the last statement.
    async fn first_warning(&mut self) -> Result<Option<String>> {
        if self.raw().get_warnings() == 0 {
            return Ok(None);
        }
        let doing = "cannot read the warnings of the server";
        let warning: Option<(String, u32, String)> =
            self.first(doing, "SHOW WARNINGS LIMIT 1").await?;
        Ok(Some(warning.map_or_else(|| "a warning".to_owned(), |(_, _, text)| text)))
    }
}
