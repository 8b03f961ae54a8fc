//! Rows that go in by the binary form of an `INSERT`, many at once.
//!
//! A server reads the text of a `LOAD DATA` byte by byte, which takes it a third of all that it does
//! with a row; of a bulk it takes numbers and lengths as they are. Only tables whose values
//! both take alike go this way, and whatever the server has to say against a bulk is left to `LOAD
//! DATA` to judge: the chunk is taken back, and its rows go in as text.

mod form;

use mysql_async::Error as ClientError;

use crate::base::digest::RowsDigest;
use crate::base::error::Result;
use crate::source::mariadb::bulk::form::Form;
use crate::source::mariadb::bulk::form::SentAs;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::Link;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::failure;
use crate::source::mariadb::field;
use crate::source::mariadb::quote;
use crate::source::mariadb::statement::CreateTable;
use crate::source::mariadb::wire::Wire;
use crate::source::mariadb::wire::bulk::Bulk;

/// What a bulk takes at most, in bytes, unless one row is longer: little enough that it is in the
/// processor's cache and in the socket still when the server reads it, and enough that what it costs
/// to run a statement is nothing.
const BULK_BYTES: usize = 128 << 10;

/// The longest row that goes in a bulk, in bytes.
const LONGEST_ROW: usize = 8 << 20;

/// Begins transactions, one after the other: where the server ends one by itself, a bulk that is on
/// its way already is part of the next one, and is taken back with it. What the server is sent, it takes
/// for bytes.
const BEGIN: &str = "SET autocommit = 0, character_set_client = binary";

/// The same where an empty table is filled in one transaction: unique keys other than the one that rows
/// are kept by would not be checked.
const BEGIN_ALONE: &str = "SET autocommit = 0, unique_checks = 0, character_set_client = binary";

/// Leaves the transaction open, and lets statements be read as they are at first.
const GO_ON: &str = "SET character_set_client = utf8mb4";

/// Makes the session what every session is at first.
const END: &str = "SET autocommit = 1, unique_checks = 1, character_set_client = utf8mb4";

/// Which transaction rows go in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transaction {
    /// One of their own.
    Own,
    /// One that fills an empty table, and is left open.
    OfTable,
}

/// How the rows of a table go in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Insertion {
    statement: String,
    forms: Vec<Form>,
}

/// What proves rows that went in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Inserted {
    /// Their lines, as in a chunk.
    pub(super) lines: RowsDigest,
    /// The bytes in which the server sends them back, unless a value was changed on the way.
    pub(super) images: RowsDigest,
}

impl Inserted {
    /// Returns what proves no rows yet; lines are hashed as those of another digest are.
    pub(super) fn nothing_of(lines: &RowsDigest) -> Self {
        Self { lines: lines.emptied(), images: RowsDigest::default() }
    }

    /// Adds other rows of the same table.
    pub(super) fn merge(&mut self, other: &Self) {
        self.lines.merge(&other.lines);
        self.images.merge(&other.images);
    }
}

impl Insertion {
    /// Returns how rows go into a table of the selected database, where a bulk takes them as they
    /// are.
    pub(super) fn into(table: &Table) -> Option<Self> {
        if !table.is_transactional {
            return None;
        }
        let forms = table.columns.iter().map(Form::of).collect::<Option<Vec<_>>>()?;
        let (name, marks) = (quote::identifier(&table.name), vec!["?"; forms.len()].join(", "));
        // Where columns are named, a server makes each row of all defaults first, in the full width of
        // every VARCHAR: a twentieth of all that it does with a row.
        let columns =
            if has_invisible_columns(table) { named_columns(table) } else { String::new() };
        Some(Self { statement: format!("INSERT INTO {name}{columns} VALUES ({marks})"), forms })
    }

    /// Returns a bulk of no rows yet for the statement, which the server knows by a number.
    pub(super) fn bulk(&self, statement: u32) -> Bulk {
        Bulk::new(statement, self.forms.iter().map(|form| form.bulk_type()))
    }
}

/// Returns whether columns of a table get no value where none are named; `true` where that cannot be told.
fn has_invisible_columns(table: &Table) -> bool {
    CreateTable::parse(&table.create).map_or(true, |create| create.has_invisible_columns())
}

fn named_columns(table: &Table) -> String {
    let names: Vec<_> = table.columns.iter().map(|it| quote::identifier(&it.name)).collect();
    format!(" ({})", names.join(", "))
}

/// The lines of a chunk on their way into bulks.
pub(super) struct ChunkLines<'a> {
    insertion: &'a Insertion,
    rest: &'a [u8],
    longest_row: usize,
    /// The row of the last line, as the server sends it back.
    pub(super) image: Vec<u8>,
    passed: Inserted,
}

impl<'a> ChunkLines<'a> {
    /// Returns the lines of a chunk, with what proves no rows yet; a row longer than `longest_row` goes in
    /// no bulk.
    pub(super) fn new(
        insertion: &'a Insertion,
        chunk: &'a [u8],
        longest_row: usize,
        nothing: Inserted,
    ) -> Self {
        Self { insertion, rest: chunk, longest_row, image: Vec::new(), passed: nothing }
    }

    /// Fills a bulk with the next rows, with none where there are no more. Returns the bytes of their
    /// lines; `None` where a line is no row of the table, or fits into no packet.
    pub(super) fn fill(&mut self, bulk: &mut Bulk) -> Option<usize> {
        bulk.clear();
        let usual = BULK_BYTES.min(self.longest_row);
        let before = self.rest.len();
        while !self.rest.is_empty() {
            let full = bulk.len();
            // The end of a longer row is not found.
            let reach = self.rest.len().min(self.longest_row.saturating_add(1));
            let length = self.add(&self.rest[..reach], bulk)?;
            let line = &self.rest[..length];
            let is_full = bulk.len() > usual;
            if is_full && full > 0 {
                bulk.truncate(full);
                break;
            }
            if bulk.len() > self.longest_row {
                return None;
            }
            self.passed.lines.add(line);
            self.passed.images.add(&self.image);
            self.rest = &self.rest[length + 1..];
            if is_full {
                break;
            }
        }
        Some(before - self.rest.len())
    }

    /// Adds the row of the line that a text begins with, and returns the line's length without its newline;
    /// `None` where it is no row of this table, or has a value that is not of its form.
    pub(super) fn add(&mut self, text: &[u8], bulk: &mut Bulk) -> Option<usize> {
        let forms = &self.insertion.forms;
        self.image.clear();
        self.image.resize(field::null_bytes(forms.len()), 0);
        let mut start = 0;
        for (column, form) in forms.iter().enumerate() {
            let end = start + self.add_cell(&text[start..], column, *form, bulk)?;
            let is_last = column + 1 == forms.len();
            match *text.get(end)? {
                b'\n' if is_last => return Some(end),
                b'\t' if !is_last => start = end + 1,
                _ => return None,
            }
        }
        None
    }

    /// Adds the cell that a text begins with, and returns its length.
    fn add_cell(
        &mut self,
        text: &[u8],
        column: usize,
        form: Form,
        bulk: &mut Bulk,
    ) -> Option<usize> {
        if let [b'\\', b'N', next, ..] = text
            && form::ends_cell(*next)
        {
            field::mark_null(&mut self.image, column);
            bulk.add_null();
            return Some(2);
        }
        let start = self.image.len();
        let (sent, length) = form.append(text, &mut self.image)?;
        match sent {
            SentAs::AsItComes => bulk.add(&self.image[start..]),
            SentAs::Unsigned => {
                bulk.mark_unsigned(column)?;
                bulk.add(&self.image[start..]);
            }
            SentAs::Negative => {
                bulk.mark_negative(column)?;
                bulk.add(&self.image[start..]);
            }
            SentAs::Double(number) => bulk.add(&number.to_le_bytes()),
            SentAs::Text => bulk.add_short_text(&text[..length]),
        }
        Some(length)
    }
}

impl Connection {
    /// Inserts the rows of a chunk, all or none of them, and returns what proves them, their lines hashed
    /// as those of another digest; `None` where the server takes them otherwise, or not in this way: then
    /// all that the transaction did is taken back.
    pub(super) async fn insert(
        &mut self,
        doing: &str,
        insertion: &Insertion,
        chunk: &[u8],
        packet_bytes: usize,
        like: &RowsDigest,
        transaction: Transaction,
    ) -> Result<Option<Inserted>> {
        if matches!(self.link(), Link::Client(_)) {
            return Ok(None);
        }
        let longest_row = LONGEST_ROW.min(packet_bytes / 2);
        let nothing = Inserted::nothing_of(like);
        let lines = ChunkLines::new(insertion, chunk, longest_row, nothing);
        let begin = if transaction == Transaction::Own { BEGIN } else { BEGIN_ALONE };
        let inserted = match self.insert_lines(begin, lines).await {
            Ok(inserted) => inserted,
            Err(ClientError::Server(answer)) if !failure::ends_connection(answer.code) => None,
            Err(cause) => return Err(self.peer().error(doing, cause)),
        };
        match (&inserted, transaction) {
            (Some(_), Transaction::OfTable) => self.execute(doing, GO_ON).await?,
            (Some(_), Transaction::Own) => self.commit(doing).await?,
            (None, _) => {
                self.execute(doing, "ROLLBACK").await?;
                self.execute(doing, END).await?;
            }
        }
        Ok(inserted)
    }

    /// Commits what went in, and makes the session what it was.
    pub(super) async fn commit(&mut self, doing: &str) -> Result<()> {
        self.execute(doing, "COMMIT").await?;
        self.execute(doing, END).await
    }

    async fn insert_lines(
        &mut self,
        begin: &str,
        mut lines: ChunkLines<'_>,
    ) -> std::result::Result<Option<Inserted>, ClientError> {
        let pace = self.offer().pace();
        let Link::Wire(wire) = self.link() else { return Ok(None) };
        // The names of the statement are in UTF-8, its values in the character sets of their columns.
        let Some(statement) = wire.prepare_bulks(&lines.insertion.statement).await? else {
            return Ok(None);
        };
        wire.execute(begin).await?;
        let mut bulk = lines.insertion.bulk(statement);
        let (mut rows, mut is_underway, mut is_taken) = (lines.passed.lines.rows(), false, true);
        let is_complete = loop {
            let Some(bytes) = lines.fill(&mut bulk) else { break false };
            if bulk.len() == 0 {
                break true;
            }
            pace.spend(bytes as u64).await;
            wire.send_bulk(&mut bulk).await?;
            // While the server takes one, the next one is made and on its way.
            if is_underway {
                is_taken = finish(wire, &mut rows).await?;
            }
            is_underway = true;
            if !is_taken {
                break false;
            }
        };
        if is_underway {
            is_taken &= finish(wire, &mut rows).await?;
        }
        wire.forget_bulks(statement).await?;
        let is_whole = is_complete && is_taken && rows == lines.passed.lines.rows();
        Ok(is_whole.then_some(lines.passed))
    }
}

/// Waits for the oldest bulk that was sent, and counts its rows; returns whether the server has
/// nothing to say against it.
async fn finish(wire: &mut Wire, rows: &mut u64) -> std::result::Result<bool, ClientError> {
    match wire.finish_bulk().await {
        Ok(outcome) => {
            *rows += outcome.affected_rows;
            Ok(outcome.warnings == 0)
        }
        Err(ClientError::Server(answer)) if !failure::ends_connection(answer.code) => Ok(false),
        Err(cause) => Err(cause),
    }
}

#[cfg(test)]
mod tests;
