//! Loads chunks into a staged table, and proves that nothing was lost on the way.
//!
//! Rows go in as a bulk where a bulk takes them as they are, and as text otherwise.
//!
//! `LOAD DATA LOCAL` drops and truncates with a warning where other statements fail, so any
//! warning is a failure, and so is any other number of rows than the chunk holds. Only what the
//! server says of values that it computes itself, and of those that are no member of an ENUM, is
//! left to the digests.

use std::sync::Arc;

use bytes::Bytes;

use crate::base::digest::RowsDigest;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::stages::Stage;
use crate::source::mariadb::bulk::Inserted;
use crate::source::mariadb::bulk::Insertion;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::definition::Column;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::infile;
use crate::source::mariadb::lines;
use crate::source::mariadb::lines::Totals;
use crate::source::mariadb::plan::Plan;
use crate::source::mariadb::replay;
use crate::source::mariadb::shown;
use crate::source::mariadb::statement;
use crate::source::mariadb::warning::Warning;

/// One connection that loads tables into staging.
pub struct Loader {
    connection: Connection,
    plan: Arc<Plan>,
    /// The table whose chunks came last.
    filled: Option<Filled>,
}

/// A table that is being filled, and what proves its rows as far as they were inserted; nothing
/// does where some of them went in as text.
#[derive(Debug, Clone, Copy)]
struct Filled {
    position: usize,
    inserted: Option<Inserted>,
}

/// What a restored table must come to.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// The digest of the stored columns, with the number of rows.
    pub digest: RowsDigest,
    /// How many of them are current, where the table keeps its history too.
    pub current_rows: Option<u64>,
    /// The digest of the generated columns, where there are any.
    pub generated_digest: Option<RowsDigest>,
    /// The size of the lines with their newlines.
    pub raw_bytes: u64,
}

impl Expected {
    /// Returns totals of no rows yet, which hash rows as these digests do.
    pub(super) fn emptied(&self) -> Totals {
        let generated = self.generated_digest.unwrap_or_default().emptied();
        Totals { stored: self.digest.emptied(), generated, ..Totals::default() }
    }

    /// Returns how rows differ from these; generated columns count on the server's own version only.
    pub(super) fn difference(&self, totals: &Totals, is_same_server: bool) -> Option<String> {
        let rows = totals.stored.rows();
        if rows != self.digest.rows() {
            return Some(format!("{rows} rows of {}", self.digest.rows()));
        }
        if totals.stored != self.digest {
            return Some("the digest of its rows differs".to_owned());
        }
        let generated = self.generated_digest.filter(|_| is_same_server)?;
        let differs = totals.generated != generated;
        differs.then(|| "the digest of its generated columns differs".to_owned())
    }
}

impl Loader {
    pub(super) const fn new(connection: Connection, plan: Arc<Plan>) -> Self {
        Self { connection, plan, filled: None }
    }

    /// Loads one chunk of the table at `position`, which must come to what is expected; `number`
    /// counts the table's chunks from 1.
    pub async fn load(
        &mut self,
        position: usize,
        number: usize,
        rows: u64,
        bytes: Vec<u8>,
        expected: &Expected,
    ) -> Result<()> {
        let table = &self.plan.definition().tables[position];
        let doing = format!("cannot load table {:?}, chunk {number}", table.name);
        let (stages, size) = (self.connection.stages().clone(), bytes.len() as u64);
        let loading = self.load_chunk(position, &doing, bytes.into(), expected);
        let loaded = stages.time(Stage::Loading, size, loading).await?;
        if loaded != rows {
            let what = format!("the server took {loaded} rows of {rows}");
            return Err(Error::new(Kind::Mismatch, format!("{doing}: {what}")));
        }
        Ok(())
    }

    /// Loads a chunk as a bulk where that is possible. Returns the rows that were taken.
    async fn load_chunk(
        &mut self,
        position: usize,
        doing: &str,
        chunk: Bytes,
        expected: &Expected,
    ) -> Result<u64> {
        let table = &self.plan.definition().tables[position];
        let packet_bytes = self.plan.packet_bytes();
        let filled = self.filled.filter(|filled| filled.position == position);
        let nothing = || Inserted::nothing_of(&expected.digest);
        let mut filled = filled.unwrap_or_else(|| Filled { position, inserted: Some(nothing()) });
        if let Some(before) = filled.inserted.take()
            && let Some(insertion) = Insertion::into(table)
            && let Some(inserted) =
                self.connection.insert(doing, &insertion, &chunk, packet_bytes, before).await?
        {
            self.filled = Some(Filled { position, inserted: Some(inserted) });
            return Ok(inserted.lines.rows() - before.lines.rows());
        }
        self.filled = Some(filled);
        self.connection.load_as_text(doing, table, chunk, packet_bytes).await
    }

    /// Builds the indexes of a loaded table and reads it back to prove it. Returns what is to be
    /// told where all is well and something is not as it was.
    pub async fn complete(
        &mut self,
        position: usize,
        expected: &Expected,
    ) -> Result<Option<String>> {
        let table = &self.plan.definition().tables[position];
        let indexes = &self.plan.staged(position).indexes;
        if !indexes.is_empty() {
            self.connection.prepare_altering().await?;
            for clauses in indexes {
                let stages = self.connection.stages().clone();
                let altering = self.connection.alter_table(&table.name, clauses);
                stages.time(Stage::Indexes, 0, altering).await?;
            }
        }
        let is_as_inserted = self.is_as_inserted(position, expected).await?;
        let note = if is_as_inserted { None } else { self.compare(position, expected).await? };
        self.connection.prepare_loading().await?;
        let table = &self.plan.definition().tables[position];
        if table.is_analyzed {
            self.connection.analyze(&table.name).await?;
        }
        Ok(note)
    }

    /// Returns whether the lines of a table that went in are those that were saved, and its rows come
    /// back in the bytes that were sent for them: then nothing is different, and no row has to be
    /// written down to see it. Otherwise nothing is said.
    async fn is_as_inserted(&mut self, position: usize, expected: &Expected) -> Result<bool> {
        let filled = self.filled.take().filter(|filled| filled.position == position);
        let Some(inserted) = filled.and_then(|filled| filled.inserted) else { return Ok(false) };
        if inserted.lines != expected.digest {
            return Ok(false);
        }
        self.connection.prepare_reading_back().await?;
        let (schema, table) = (self.plan.schema(), &self.plan.definition().tables[position]);
        let images = lines::prove_images(&mut self.connection, schema, table).await?;
        Ok(images == Some(inserted.images))
    }

    /// Reads a table back and compares it with what was saved.
    async fn compare(&mut self, position: usize, expected: &Expected) -> Result<Option<String>> {
        let (schema, table) = (self.plan.schema(), &self.plan.definition().tables[position]);
        let mut totals = self.connection.read_back(schema, table, expected).await?;
        if expected.generated_digest.is_some_and(|digest| digest != totals.generated) {
            self.connection.compute_anew(table).await;
            totals = self.connection.read_back(schema, table, expected).await?;
        }
        let note = self.plan.check_rows(table, &totals, expected)?;
        if let Some(rows) = expected.current_rows {
            let found = self.connection.count_current(schema, table).await?;
            Plan::check_current_rows(table, found, rows)?;
        }
        Ok(note)
    }

    pub(super) async fn receive_text_as_utf8(&mut self) -> Result<()> {
        self.connection.receive_text_as_utf8().await
    }

    /// Fails where a table of a schema is not defined as it was saved.
    pub(super) async fn prove_definition(&mut self, schema: &str, position: usize) -> Result<()> {
        let table = &self.plan.definition().tables[position];
        let staged = shown::show_create_table(&mut self.connection, schema, &table.name).await?;
        let saved = &self.plan.text(position);
        if self.plan.is_same_server() && !statement::is_same_table(saved, &staged) {
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
    /// Returns what proves the rows of a loaded table, to be compared with what is expected.
    async fn read_back(
        &mut self,
        schema: &str,
        table: &Table,
        expected: &Expected,
    ) -> Result<Totals> {
        self.prepare_reading_back().await?;
        lines::prove(self, schema, table, expected.emptied()).await
    }

    /// Computes the generated columns of a table anew. Rows are loaded under a mode that takes all
    /// dates, which few sessions have: the stored ones may have been computed without.
    async fn compute_anew(&mut self, table: &Table) {
        let clauses = ["FORCE".to_owned(), "ALGORITHM = COPY".to_owned()];
        let computed = async {
            self.prepare_computing().await?;
            self.alter_table(&table.name, &clauses).await
        };
        // Where it fails, such as for a default that only the other mode takes, the table stays as
        // it is, and its digest tells.
        computed.await.ok();
    }

    /// Loads the rows of a chunk as they stand in it; fails at the first warning that tells of more
    /// than it must. Returns the rows that were taken.
    pub(super) async fn load_as_text(
        &mut self,
        doing: &str,
        table: &Table,
        chunk: Bytes,
        packet_bytes: usize,
    ) -> Result<u64> {
        let statement = replay::load_statement(table, infile::NAME);
        if table.generated_columns().next().is_some() {
            // A strict mode ends at an odd value of an expression; a warning tells of all others.
            self.prepare_altering().await?;
        }
        let loaded = self.load(doing, &statement, chunk, packet_bytes).await?;
        let warnings = self.warnings().await?;
        match warnings.iter().find(|warning| !is_expected(warning, table)) {
            Some(warning) => Err(Error::new(Kind::Mismatch, format!("{doing}: {}", warning.text))),
            None => Ok(loaded),
        }
    }

    /// Runs a `LOAD DATA LOCAL` with these bytes as its file. Returns the rows that were taken.
    ///
    /// The statement names them [`NAME`](infile::NAME).
    pub(super) async fn load(
        &mut self,
        doing: &str,
        statement: &str,
        bytes: Bytes,
        packet_bytes: usize,
    ) -> Result<u64> {
        self.offer().make(bytes, packet_bytes);
        let outcome = self.execute(doing, statement).await;
        self.offer().end();
        outcome?;
        Ok(self.affected_rows())
    }
}

/// `Truncated incorrect … value` of an expression, or `Incorrect … value` of a date in one, which
/// names the column of the text. A value that is stored names its own column, of dates or times.
const IN_EXPRESSION: u16 = 1292;

/// `Data truncated for column`, which a value of an ENUM is said to be that is no member.
const TRUNCATED: u16 = 1265;

/// Returns whether a warning tells nothing new: a value that the server computes was as odd when it
/// was computed first, and no member of an ENUM is none here too.
///
/// Nothing can be lost behind such a warning. Stored columns are read back and compared by their
/// digest, which tells any two values apart, since an ENUM with equal members is not saved at all.
/// Generated columns have a digest of their own; where another version computes them otherwise, the
/// restore says so, because no file could bring back what the server insists on computing.
fn is_expected(warning: &Warning, table: &Table) -> bool {
    let in_expression = warning.code == IN_EXPRESSION
        && (!warning.text.contains(" for column ")
            || table
                .stored_columns()
                .any(|column| !column.is_time() && is_of(warning, table, column)));
    table.columns.iter().any(|column| {
        if column.is_generated {
            in_expression || is_of(warning, table, column)
        } else {
            column.has_members() && warning.code == TRUNCATED && is_of(warning, table, column)
        }
    })
}

fn is_of(warning: &Warning, table: &Table, column: &Column) -> bool {
    let text = &warning.text;
    let subject = text.rsplit_once(" at row ").map_or(text.as_str(), |(subject, _)| subject);
    subject.ends_with(&format!(" column '{}'", column.name))
        || subject.ends_with(&format!(".`{}`.`{}`", table.name, column.name))
}
