//! Rows as lines, with what proves them: their number and their digests.

use crate::base::digest::RowsDigest;
use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::stages::Stage;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::definition::Lifetime;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::field;
use crate::source::mariadb::field::Field;
use crate::source::mariadb::range;
use crate::source::mariadb::range::Range;
use crate::source::mariadb::rows::Fields;
use crate::source::mariadb::rows::Row;
use crate::source::mariadb::rows::Rows;
use crate::source::mariadb::tsv;
use crate::source::mariadb::tsv::Format;

/// What proves the rows of a table, or of a part of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// The stored columns, exactly the lines of the chunks.
    pub(super) stored: RowsDigest,
    /// The columns that the server computes; no rows where there are none.
    pub(super) generated: RowsDigest,
    /// The size of the lines with their newlines.
    pub(super) bytes: u64,
    /// The rows that have no end, in a table that keeps its history.
    pub(super) current: u64,
    /// The rows whose end is not after their start: seen in no moment, and taken by no server.
    pub(super) never: u64,
}

impl Totals {
    /// Adds the rows of another part.
    pub(super) fn merge(&mut self, other: &Self) {
        self.stored.merge(&other.stored);
        self.generated.merge(&other.generated);
        self.bytes += other.bytes;
        self.current += other.current;
        self.never += other.never;
    }
}

/// Reads a whole table for its counts and digests only, and adds them to totals of no rows: those say
/// how rows are hashed.
pub(super) async fn prove(
    connection: &mut Connection,
    database: &str,
    table: &Table,
    totals: Totals,
) -> Result<Totals> {
    let mut lines = Lines { totals, ..Lines::new(table) };
    let mut meter = connection.meter(Stage::Verifying);
    let mut rows = Rows::open(connection, database, table, &Range::whole(None), None).await?;
    while let Some(arrived) = rows.next().await? {
        let before = lines.totals.bytes;
        for row in arrived.rows() {
            lines.add(&row)?;
        }
        meter.count(lines.totals.bytes - before).await;
    }
    meter.end().await;
    Ok(lines.totals)
}

/// Reads a range of a table for the digest of the bytes in which its rows come; `None` where they are
/// not seen.
pub(super) async fn prove_images(
    connection: &mut Connection,
    database: &str,
    table: &Table,
    range: &Range,
) -> Result<Option<RowsDigest>> {
    let mut images = RowsDigest::default();
    let mut meter = connection.meter(Stage::Verifying);
    let mut rows = Rows::open(connection, database, table, range, None).await?;
    while let Some(arrived) = rows.next().await? {
        let mut bytes = 0;
        for row in arrived.rows() {
            let Fields::Packet(packet) = row.fields else { return Ok(None) };
            images.add(field::image(packet).unwrap_or_default());
            bytes += packet.len() as u64;
        }
        meter.count(bytes).await;
    }
    meter.end().await;
    Ok(Some(images))
}

/// Turns rows into lines, counting and digesting them.
pub(super) struct Lines {
    stored_columns: usize,
    columns: usize,
    /// Where the key stands in a row.
    pub(super) key: Vec<usize>,
    /// Where start and end stand, in a table that keeps its history.
    lifetime: Option<(usize, usize)>,
    /// The line of the last row, without its newline.
    pub(super) line: Vec<u8>,
    generated_line: Vec<u8>,
    /// What proves the rows so far.
    pub(super) totals: Totals,
}

impl Lines {
    /// Returns what makes lines of the rows of a table.
    pub(super) fn new(table: &Table) -> Self {
        let position = |end| table.stored_columns().position(|column| column.lifetime == Some(end));
        Self {
            stored_columns: table.stored_columns().count(),
            columns: table.columns.len(),
            key: range::key_places(table),
            lifetime: position(Lifetime::Start).zip(position(Lifetime::End)),
            line: Vec::new(),
            generated_line: Vec::new(),
            totals: Totals::default(),
        }
    }

    /// Makes the line of a row; returns its hash.
    pub(super) fn add(&mut self, row: &Row<'_>) -> Result<u128> {
        self.line.clear();
        self.generated_line.clear();
        let columns = row.shape.formats.iter().take(self.columns);
        let appended = match &row.fields {
            Fields::Values(values) => self.append(values.iter().map(|it| Some(it.into())), columns),
            Fields::Packet(packet) => self.append(field::fields(packet, &row.shape.sent), columns),
        };
        appended
            .ok_or_else(|| Error::failed("cannot read a row: it has fewer fields than columns"))?;
        self.totals.bytes += self.line.len() as u64 + 1;
        self.count_lifetime(row);
        if self.columns > self.stored_columns {
            self.totals.generated.add(&self.generated_line);
        }
        Ok(self.totals.stored.add(&self.line))
    }

    fn append<'a>(
        &mut self,
        mut fields: impl Iterator<Item = Option<Field<'a>>>,
        formats: impl Iterator<Item = &'a Format>,
    ) -> Option<()> {
        for (position, format) in formats.enumerate() {
            let is_stored = position < self.stored_columns;
            let line = if is_stored { &mut self.line } else { &mut self.generated_line };
            if position > 0 && position != self.stored_columns {
                line.push(b'\t');
            }
            tsv::append_field(fields.next()??, *format, line);
        }
        Some(())
    }

    fn count_lifetime(&mut self, row: &Row<'_>) {
        let Some((start, end)) = self.lifetime else { return };
        match (row.field(start), row.field(end)) {
            (_, Field::Null) => self.totals.current += 1,
            (start, end) if start >= end => self.totals.never += 1,
            _ => {}
        }
    }
}
