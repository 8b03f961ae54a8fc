//! Reads the rows of a table as chunks, or only counts and digests them.

use mysql_async::Row;
use mysql_async::Value;
use mysql_async::prelude::Queryable;
use tokio::sync::mpsc::Sender;

use crate::base::digest::RowsDigest;
use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::pace::Meter;
use crate::base::stages::Stage;
use crate::source::RawChunk;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::cut::HashCutter;
use crate::source::mariadb::cut::KeyCutter;
use crate::source::mariadb::cut::Piece;
use crate::source::mariadb::cut::Sizes;
use crate::source::mariadb::definition::Lifetime;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::failure::Peer;
use crate::source::mariadb::key::Boundary;
use crate::source::mariadb::moment;
use crate::source::mariadb::quote;
use crate::source::mariadb::range;
use crate::source::mariadb::range::Job;
use crate::source::mariadb::range::Range;
use crate::source::mariadb::tsv;
use crate::source::mariadb::tsv::Format;
use crate::source::mariadb::versioning;

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

/// Reads a job's ranges and sends their chunks. Returns what proves its rows.
pub(super) async fn read_job(
    connection: &mut Connection,
    database: &str,
    table: &Table,
    job: &Job,
    sizes: Sizes,
    sender: &Sender<RawChunk>,
) -> Result<Totals> {
    let meter = connection.meter(Stage::Reading);
    let mut outlet =
        Outlet { sender, item: job.table, attempt: job.attempt, order: job.order, meter };
    let mut lines = Lines::new(table);
    if table.key.is_none() {
        let mut cutter = HashCutter::new(sizes);
        for range in &job.ranges {
            let mut rows = Rows::open(connection, database, table, range).await?;
            while let Some((row, formats)) = rows.next().await? {
                let hash = lines.add(&row, formats);
                outlet.meter.count(lines.line.len()).await;
                outlet.send(cutter.push(&lines.line, hash)).await?;
            }
        }
        outlet.send(Some(cutter.finish())).await?;
        return Ok(lines.totals);
    }
    let mut unfinished: Option<KeyCutter> = None;
    for (position, range) in job.ranges.iter().enumerate() {
        let mut cutter = match unfinished.take() {
            Some(mut cutter) => {
                cutter.go_on(range.previous_bytes);
                cutter
            }
            None => KeyCutter::new(sizes, range.from.clone(), range.previous_bytes),
        };
        let mut rows = Rows::open(connection, database, table, range).await?;
        while let Some((row, formats)) = rows.next().await? {
            lines.add(&row, formats);
            outlet.meter.count(lines.line.len()).await;
            let key = || Boundary::of_row(&row, table.columns.len(), lines.key_columns);
            outlet.send(cutter.push(&lines.line, key)).await?;
        }
        let is_last = position + 1 == job.ranges.len();
        if !is_last && cutter.joins_next(range.previous_bytes) {
            unfinished = Some(cutter);
        } else {
            outlet.send(Some(cutter.finish())).await?;
        }
    }
    Ok(lines.totals)
}

/// Reads a whole table for its counts and digests only.
pub(super) async fn prove(
    connection: &mut Connection,
    database: &str,
    table: &Table,
) -> Result<Totals> {
    let mut lines = Lines::new(table);
    let mut meter = connection.meter(Stage::Verifying);
    let mut rows = Rows::open(connection, database, table, &Range::whole(None)).await?;
    while let Some((row, formats)) = rows.next().await? {
        lines.add(&row, formats);
        meter.count(lines.line.len()).await;
    }
    meter.end().await;
    Ok(lines.totals)
}

/// Turns rows into lines, counting and digesting them.
struct Lines {
    stored_columns: usize,
    generated_columns: usize,
    key_columns: usize,
    /// Where start and end stand, in a table that keeps its history.
    lifetime: Option<(usize, usize)>,
    /// The line of the last row, without its newline.
    line: Vec<u8>,
    generated_line: Vec<u8>,
    totals: Totals,
}

impl Lines {
    fn new(table: &Table) -> Self {
        let generated_columns = table.generated_columns().count();
        let position = |end| table.stored_columns().position(|column| column.lifetime == Some(end));
        Self {
            stored_columns: table.columns.len() - generated_columns,
            generated_columns,
            key_columns: table.key.as_ref().map_or(0, Vec::len),
            lifetime: position(Lifetime::Start).zip(position(Lifetime::End)),
            line: Vec::new(),
            generated_line: Vec::new(),
            totals: Totals::default(),
        }
    }

    /// Makes the line of a row; returns its hash.
    fn add(&mut self, row: &Row, formats: &[Format]) -> u128 {
        self.line.clear();
        tsv::append_line(row, formats, 0..self.stored_columns, &mut self.line);
        self.totals.bytes += self.line.len() as u64 + 1;
        self.count_lifetime(row);
        if self.generated_columns > 0 {
            let generated = self.stored_columns..self.stored_columns + self.generated_columns;
            self.generated_line.clear();
            tsv::append_line(row, formats, generated, &mut self.generated_line);
            self.totals.generated.add(&self.generated_line);
        }
        self.totals.stored.add(&self.line)
    }

    fn count_lifetime(&mut self, row: &Row) {
        let Some((start, end)) = self.lifetime else { return };
        match (row.as_ref(start), row.as_ref(end)) {
            (_, None | Some(Value::NULL)) => self.totals.current += 1,
            (start, end) if start >= end => self.totals.never += 1,
            _ => {}
        }
    }
}

/// Sends the pieces of a job as chunks, in order.
struct Outlet<'a> {
    sender: &'a Sender<RawChunk>,
    item: usize,
    attempt: u32,
    order: u64,
    meter: Meter,
}

impl Outlet<'_> {
    async fn send(&mut self, piece: Option<Piece>) -> Result<()> {
        let Some(piece) = piece.filter(|piece| piece.rows > 0) else { return Ok(()) };
        let chunk = RawChunk {
            item: self.item,
            attempt: self.attempt,
            order: self.order,
            from: piece.from,
            rows: piece.rows,
            bytes: piece.bytes,
        };
        self.order += 1;
        self.meter.end().await;
        // The receiver is gone only when the verb has failed already, and says why itself.
        let sent = self.sender.send(chunk).await.map_err(|_| Error::failed("cannot store a chunk"));
        self.meter.skip();
        sent
    }
}

/// The rows of a range, by the binary protocol.
struct Rows<'a> {
    result: mysql_async::QueryResult<'a, 'static, mysql_async::BinaryProtocol>,
    formats: Vec<Format>,
    table: &'a str,
    peer: Peer,
}

impl<'a> Rows<'a> {
    async fn open(
        connection: &'a mut Connection,
        database: &str,
        table: &'a Table,
        range: &Range,
    ) -> Result<Self> {
        let sql = range::select(database, table, range)?;
        let peer = connection.peer();
        let result = connection.raw().exec_iter(sql, ()).await;
        let result = result.map_err(|cause| read_error(&peer, &table.name, cause))?;
        let formats = tsv::formats(result.columns_ref());
        Ok(Self { result, formats, table: &table.name, peer })
    }

    async fn next(&mut self) -> Result<Option<(Row, &[Format])>> {
        let row = self.result.next().await;
        let row = row.map_err(|cause| read_error(&self.peer, self.table, cause))?;
        Ok(row.map(|row| (row, self.formats.as_slice())))
    }
}

/// The server's answers when a table is not what it was when its definition was read: altered,
/// truncated or replaced under the snapshot, gone, or without a column or its key.
const DEFINITION_CHANGED: &[u16] = &[1412, 1146, 1054, 1176];

fn read_error(peer: &Peer, table: &str, cause: mysql_async::Error) -> Error {
    match &cause {
        mysql_async::Error::Server(answer) if DEFINITION_CHANGED.contains(&answer.code) => {
            moment::inconsistent(table)
        }
        _ => moment::given_way(peer.error(&format!("cannot read table {table:?}"), cause)),
    }
}

impl Connection {
    /// Returns the number of rows of a table in this connection's snapshot, with its history.
    pub(super) async fn count_rows(&mut self, database: &str, table: &Table) -> Result<u64> {
        self.count(database, table, versioning::of_all_times(table)).await
    }

    /// Returns the number of rows that a plain query finds in a table.
    pub(super) async fn count_current(&mut self, database: &str, table: &Table) -> Result<u64> {
        self.count(database, table, "").await
    }

    async fn count(&mut self, database: &str, table: &Table, times: &str) -> Result<u64> {
        let name = quote::qualified(database, &table.name);
        let sql = format!("SELECT COUNT(*) FROM {name}{times}");
        let doing = format!("cannot count the rows of table {:?}", table.name);
        let counted: Option<u64> = self.first(&doing, &sql).await.map_err(moment::given_way)?;
        counted.ok_or_else(|| Error::failed(doing))
    }
}
