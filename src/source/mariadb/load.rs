//! Loads chunks into a staged table, and proves that nothing was lost on the way.
//!
//! Rows go in as a bulk where a bulk takes them as they are, and as text otherwise. Several loaders may
//! fill one table, and read its parts back. Where all rows went in as bulks of the lines that were saved,
//! it is enough that the server sends back the bytes that it was sent; otherwise the rows are written
//! down as lines again, and these are compared.
//!
//! `LOAD DATA LOCAL` drops and truncates with a warning where other statements fail, so any
//! warning is a failure, and so is any other number of rows than the chunk holds. Only what the
//! server says of values that it computes itself, and of those that are no member of an ENUM, is
//! left to the digests.

use std::sync::Arc;

use bytes::Bytes;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::stages::Stage;
use crate::source::mariadb::alone::Alone;
use crate::source::mariadb::alone::UNSEEN;
use crate::source::mariadb::bulk::Inserted;
use crate::source::mariadb::bulk::Insertion;
use crate::source::mariadb::bulk::Transaction;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::definition::Column;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::failure;
use crate::source::mariadb::infile;
use crate::source::mariadb::lines;
use crate::source::mariadb::lines::Totals;
use crate::source::mariadb::plan::Plan;
use crate::source::mariadb::proof::Expected;
use crate::source::mariadb::proof::Filled;
use crate::source::mariadb::proof::ReadBack;
use crate::source::mariadb::range;
use crate::source::mariadb::range::KnownChunk;
use crate::source::mariadb::range::Range;
use crate::source::mariadb::replay;
use crate::source::mariadb::shown;
use crate::source::mariadb::statement;
use crate::source::mariadb::warning::Warning;

/// One connection that loads tables into staging.
pub struct Loader {
    connection: Connection,
    plan: Arc<Plan>,
    alone: Alone,
}

/// A part of a table that is read back by one loader.
pub struct Part(Range);

impl Loader {
    pub(super) const fn new(connection: Connection, plan: Arc<Plan>) -> Self {
        Self { connection, plan, alone: Alone::No }
    }

    /// Begins to fill an empty table in one transaction, for which the server keeps no undo log; returns
    /// `false` where that is not possible. Nobody else can load rows of the table until it is
    /// [ended](Self::end_alone).
    pub async fn begin_alone(&mut self, position: usize) -> Result<bool> {
        let table = &self.plan.definition().tables[position];
        let may_be = self.plan.staged(position).is_rows_alone && Insertion::into(table).is_some();
        if may_be && self.connection.begin_alone(&table.name).await? {
            self.alone = Alone::Yes { unseen: 0 };
        }
        Ok(self.is_alone())
    }

    /// Returns whether a table is being filled in one transaction.
    pub fn is_alone(&self) -> bool {
        self.alone != Alone::No
    }

    /// Commits the rows of a table that was filled in one transaction, if it was. From then on the
    /// table is like any other, and each chunk goes in by itself.
    pub async fn end_alone(&mut self, position: usize) -> Result<()> {
        if std::mem::take(&mut self.alone) == Alone::No {
            return Ok(());
        }
        let table = &self.plan.definition().tables[position].name;
        self.connection.commit(&format!("cannot load table {table:?}")).await?;
        self.connection.end_alone(table).await
    }

    /// Loads one chunk of the table at `position`, which must come to so many rows; `number`
    /// counts the table's chunks from 1, and others may have been loaded `so_far`. Returns what proves
    /// the chunk; `None` where all that was loaded in one transaction with it had to be taken back: the
    /// table is empty, and nobody fills it alone any more.
    pub async fn load(
        &mut self,
        position: usize,
        number: usize,
        rows: u64,
        bytes: Bytes,
        so_far: &Filled,
    ) -> Result<Option<Filled>> {
        let table = &self.plan.definition().tables[position];
        let doing = format!("cannot load table {:?}, chunk {number}", table.name);
        let (stages, size) = (self.connection.stages().clone(), bytes.len() as u64);
        let loading = self.load_chunk(position, &doing, bytes, so_far);
        let Some((loaded, filled)) = stages.time(Stage::Loading, size, loading).await? else {
            return Ok(None);
        };
        if loaded != rows {
            let what = format!("the server took {loaded} rows of {rows}");
            return Err(Error::new(Kind::Mismatch, format!("{doing}: {what}")));
        }
        Ok(Some(filled))
    }

    /// Loads a chunk as a bulk where that is possible, and was so far. Returns the rows that were taken,
    /// and what proves them; `None` where those of the whole table were taken back.
    async fn load_chunk(
        &mut self,
        position: usize,
        doing: &str,
        chunk: Bytes,
        so_far: &Filled,
    ) -> Result<Option<(u64, Filled)>> {
        let table = &self.plan.definition().tables[position];
        let packet_bytes = self.plan.packet_bytes();
        let transaction = if self.is_alone() { Transaction::OfTable } else { Transaction::Own };
        if let Some(Inserted { lines, .. }) = &so_far.0
            && let Some(insertion) = Insertion::into(table)
            && let Some(inserted) = self
                .connection
                .insert(doing, &insertion, &chunk, packet_bytes, lines, transaction)
                .await?
        {
            self.go_on_alone(position).await?;
            return Ok(Some((inserted.lines.rows(), Filled(Some(inserted)))));
        }
        if std::mem::take(&mut self.alone) != Alone::No {
            self.connection.end_alone(&table.name).await?;
            return Ok(None);
        }
        let loaded = self.connection.load_as_text(doing, table, chunk, packet_bytes).await?;
        Ok(Some((loaded, Filled(None))))
    }

    /// Ends the transaction that fills a table where the server keeps an undo log for it after all, or
    /// does not say: one of all rows would be large.
    async fn go_on_alone(&mut self, position: usize) -> Result<()> {
        let Alone::Yes { unseen } = self.alone else { return Ok(()) };
        match self.connection.keeps_undo().await {
            Some(false) => self.alone = Alone::Yes { unseen: 0 },
            None if unseen < UNSEEN => self.alone = Alone::Yes { unseen: unseen + 1 },
            Some(true) | None => self.end_alone(position).await?,
        }
        Ok(())
    }

    /// Builds the indexes of a loaded table.
    pub async fn index(&mut self, position: usize) -> Result<()> {
        let table = &self.plan.definition().tables[position];
        let indexes = &self.plan.staged(position).indexes;
        if indexes.is_empty() {
            return Ok(());
        }
        self.connection.prepare_altering().await?;
        for clauses in indexes {
            let stages = self.connection.stages().clone();
            let altering = self.connection.alter_table(&table.name, clauses);
            stages.time(Stage::Indexes, 0, altering).await?;
        }
        self.connection.prepare_loading().await
    }

    /// Returns the parts in which a table is read back, which may be read beside each other: they begin
    /// where some of its chunks do.
    pub fn parts(&self, position: usize, chunks: &[KnownChunk]) -> Vec<Part> {
        let table = &self.plan.definition().tables[position];
        range::parts(table, chunks).into_iter().map(Part).collect()
    }

    /// Reads a part of a table back. Returns what proves its rows: nothing does where the server cannot
    /// read the part, since where it begins may be no value of its column.
    pub async fn read_back(&mut self, position: usize, Part(range): &Part) -> Result<ReadBack> {
        self.connection.prepare_reading_back().await?;
        let (schema, table) = (self.plan.schema(), &self.plan.definition().tables[position]);
        let back = match lines::prove_images(&mut self.connection, schema, table, range).await {
            Err(error) if failure::is_of_the_statement(&error) => None,
            back => back?,
        };
        self.connection.prepare_loading().await?;
        Ok(ReadBack(back))
    }

    /// Completes a table that has been indexed and, unless it is known to be as it was, compares it with
    /// what was saved. Returns what is to be told where all is well and something is not as it was.
    pub async fn complete(
        &mut self,
        position: usize,
        expected: &Expected,
        is_as_it_was: bool,
    ) -> Result<Option<String>> {
        let note = if is_as_it_was { None } else { self.compare(position, expected).await? };
        self.connection.prepare_loading().await?;
        let table = &self.plan.definition().tables[position];
        if table.is_analyzed {
            self.connection.analyze(&table.name).await?;
        }
        Ok(note)
    }

    /// Reads a table back and compares it with what was saved.
    async fn compare(&mut self, position: usize, expected: &Expected) -> Result<Option<String>> {
        let (schema, table) = (self.plan.schema(), &self.plan.definition().tables[position]);
        let mut totals = self.connection.read_totals(schema, table, expected).await?;
        if expected.generated_digest.is_some_and(|digest| digest != totals.generated) {
            self.connection.compute_anew(table).await;
            totals = self.connection.read_totals(schema, table, expected).await?;
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
    async fn read_totals(
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
