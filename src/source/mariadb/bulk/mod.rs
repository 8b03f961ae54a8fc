//! Rows that go in by the binary form of an `INSERT`, many at once.
//!
//! A server reads the text of a `LOAD DATA` byte by byte, which takes it a third of all that it does
//! with a row; of a bulk it takes numbers and lengths as they are. Only tables whose values
//! both take alike go this way, and whatever the server has to say against a bulk is left to `LOAD
//! DATA` to judge: the chunk is taken back, and its rows go in as text.

use memchr::memchr;
use memchr::memchr_iter;
use mysql_async::Error as ClientError;

use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::Link;
use crate::source::mariadb::definition::Column;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::quote;
use crate::source::mariadb::tsv;
use crate::source::mariadb::wire::Wire;
use crate::source::mariadb::wire::bulk::Bulk;
use crate::source::mariadb::wire::bulk::BulkType;

/// What a bulk takes at most, in bytes, unless one row is longer: little enough that it is in the
/// processor's cache and in the socket still when the server reads it, and enough that what it costs
/// to run a statement is nothing.
const BULK_BYTES: usize = 128 << 10;

/// The longest row that goes in a bulk, in bytes.
const LONGEST_ROW: usize = 8 << 20;

/// Makes the server take what it is sent for bytes; and for text, as every session begins.
const SEND_BYTES: &str = "SET character_set_client = binary";
const SEND_TEXT: &str = "SET character_set_client = utf8mb4";

/// How the rows of a table go in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Insertion {
    statement: String,
    types: Vec<BulkType>,
}

/// Returns the type in which values of a column are sent; `None` where a bulk may take them for others
/// than a `LOAD DATA` does.
fn bulk_type(column: &Column) -> Option<BulkType> {
    if column.is_generated || column.lifetime.is_some() {
        return None;
    }
    match column.data_type.as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => Some(BulkType::Integer),
        "float" | "double" => Some(BulkType::Double),
        "decimal" | "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext"
        | "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "date"
        | "time" | "datetime" | "timestamp" | "year" => Some(BulkType::Text),
        _ => None,
    }
}

impl Insertion {
    /// Returns how rows go into a table of the selected database, where a bulk takes them as they
    /// are.
    pub(super) fn into(table: &Table) -> Option<Self> {
        if !table.is_transactional {
            return None;
        }
        let types = table.columns.iter().map(bulk_type).collect::<Option<Vec<_>>>()?;
        let columns: Vec<_> = table.columns.iter().map(|it| quote::identifier(&it.name)).collect();
        let marks = vec!["?"; types.len()].join(", ");
        let (name, columns) = (quote::identifier(&table.name), columns.join(", "));
        Some(Self { statement: format!("INSERT INTO {name} ({columns}) VALUES ({marks})"), types })
    }

    /// Adds the row of a line; `None` where it is none of this table, or has a value that is not of
    /// its type.
    fn add(&self, line: &[u8], bulk: &mut Bulk) -> Option<()> {
        let (mut column, mut start) = (0, 0);
        for end in memchr_iter(b'\t', line).chain([line.len()]) {
            self.add_cell(&line[start..end], column, bulk)?;
            (column, start) = (column + 1, end + 1);
        }
        (column == self.types.len()).then_some(())
    }

    fn add_cell(&self, cell: &[u8], column: usize, bulk: &mut Bulk) -> Option<()> {
        let bulk_type = *self.types.get(column)?;
        if cell == b"\\N" {
            bulk.add_null();
            return Some(());
        }
        let text = || str::from_utf8(cell).ok();
        match bulk_type {
            BulkType::Integer => match text()?.parse() {
                Ok(number) => bulk.add_integer(number),
                Err(_) => bulk.add_large(column, text()?.parse().ok()?),
            },
            BulkType::Double => {
                let number: f64 = text()?.parse().ok()?;
                bulk.add_double(Some(number).filter(|it| it.is_finite())?);
            }
            BulkType::Text if memchr(b'\\', cell).is_none() => bulk.add_text(cell)?,
            BulkType::Text => bulk.add_text(&tsv::unescaped(cell).ok()?)?,
        }
        Some(())
    }
}

/// The lines of a chunk on their way into bulks.
struct Lines<'a> {
    insertion: &'a Insertion,
    rest: &'a [u8],
    longest_row: usize,
}

impl Lines<'_> {
    /// Fills a bulk with the next rows, with none where there are no more. Returns the bytes of their
    /// lines; `None` where a line is no row of the table, or fits into no packet.
    fn fill(&mut self, bulk: &mut Bulk) -> Option<usize> {
        bulk.clear();
        let before = self.rest.len();
        while let Some(length) = memchr(b'\n', self.rest) {
            let full = bulk.len();
            self.insertion.add(&self.rest[..length], bulk)?;
            if bulk.len() > BULK_BYTES {
                if full > 0 {
                    bulk.truncate(full);
                    return Some(before - self.rest.len());
                }
                if bulk.len() > self.longest_row {
                    return None;
                }
            }
            self.rest = &self.rest[length + 1..];
        }
        (before > self.rest.len() || self.rest.is_empty()).then_some(before - self.rest.len())
    }
}

impl Connection {
    /// Inserts the rows of a chunk, all or none of them. Returns how many there are; `None` where
    /// the server takes them otherwise, or not in this way.
    pub(super) async fn insert(
        &mut self,
        doing: &str,
        insertion: &Insertion,
        chunk: &[u8],
        packet_bytes: usize,
    ) -> Result<Option<u64>> {
        if matches!(self.link(), Link::Client(_)) {
            return Ok(None);
        }
        self.execute(doing, "START TRANSACTION").await?;
        let longest_row = LONGEST_ROW.min(packet_bytes / 2);
        let lines = Lines { insertion, rest: chunk, longest_row };
        let inserted = match self.insert_lines(lines).await {
            Ok(inserted) => inserted,
            Err(ClientError::Server(_)) => None,
            Err(cause) => return Err(self.peer().error(doing, cause)),
        };
        self.execute(doing, SEND_TEXT).await?;
        self.execute(doing, if inserted.is_some() { "COMMIT" } else { "ROLLBACK" }).await?;
        Ok(inserted)
    }

    async fn insert_lines(
        &mut self,
        mut lines: Lines<'_>,
    ) -> std::result::Result<Option<u64>, ClientError> {
        let pace = self.offer().pace();
        let Link::Wire(wire) = self.link() else { return Ok(None) };
        // The names of the statement are in UTF-8, its values in the character sets of their columns.
        let Some(statement) = wire.prepare_bulks(&lines.insertion.statement).await? else {
            return Ok(None);
        };
        wire.execute(SEND_BYTES).await?;
        let mut bulk = Bulk::new(statement, lines.insertion.types.iter().copied());
        let (mut rows, mut is_underway, mut is_taken) = (0, false, true);
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
        Ok((is_complete && is_taken).then_some(rows))
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
        Err(ClientError::Server(_)) => Ok(false),
        Err(cause) => Err(cause),
    }
}

#[cfg(test)]
mod tests;
