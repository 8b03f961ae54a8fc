//! Reads the rows of a table as chunks, or only counts and digests them.

use mysql_async::BinaryProtocol;
use mysql_async::Column;
use mysql_async::QueryResult;
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
use crate::source::mariadb::connection::Link;
use crate::source::mariadb::cut::HashCutter;
use crate::source::mariadb::cut::KeyCutter;
use crate::source::mariadb::cut::Piece;
use crate::source::mariadb::cut::Sizes;
use crate::source::mariadb::definition::Lifetime;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::failure::Peer;
use crate::source::mariadb::field;
use crate::source::mariadb::field::Field;
use crate::source::mariadb::field::Sent;
use crate::source::mariadb::key::Boundary;
use crate::source::mariadb::moment;
use crate::source::mariadb::quote;
use crate::source::mariadb::range;
use crate::source::mariadb::range::Job;
use crate::source::mariadb::range::Range;
use crate::source::mariadb::tsv;
use crate::source::mariadb::tsv::Format;
use crate::source::mariadb::versioning;
use crate::source::mariadb::wire::Wire;

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
            while let Some(row) = rows.next().await? {
                let hash = lines.add(&row)?;
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
        while let Some(row) = rows.next().await? {
            lines.add(&row)?;
            outlet.meter.count(lines.line.len()).await;
            let key = || row.key(&lines.key);
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
    let mut rows = Rows::open(connection, database, table, &Range::whole(None)).await?;
    while let Some(row) = rows.next().await? {
        lines.add(&row)?;
        meter.count(lines.line.len()).await;
    }
    meter.end().await;
    Ok(lines.totals)
}

/// Reads a whole table for the digest of the bytes in which its rows come; `None` where they are
/// not seen.
pub(super) async fn prove_images(
    connection: &mut Connection,
    database: &str,
    table: &Table,
) -> Result<Option<RowsDigest>> {
    let mut images = RowsDigest::default();
    let mut meter = connection.meter(Stage::Verifying);
    let mut rows = Rows::open(connection, database, table, &Range::whole(None)).await?;
    while let Some(row) = rows.next().await? {
        let Fields::Packet(packet) = row.fields else { return Ok(None) };
        images.add(field::image(packet).unwrap_or_default());
        meter.count(packet.len()).await;
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
    totals: Totals,
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

/// How the columns of a result are sent and written.
pub(super) struct Shape {
    sent: Vec<Sent>,
    formats: Vec<Format>,
}

impl Shape {
    /// Returns it for a result of these columns.
    pub(super) fn of(columns: &[Column]) -> Self {
        Self { sent: columns.iter().map(Sent::of).collect(), formats: tsv::formats(columns) }
    }
}

/// A row as it came.
pub(super) struct Row<'a> {
    pub(super) fields: Fields<'a>,
    pub(super) shape: &'a Shape,
}

/// Its fields, read by whoever reads the result.
pub(super) enum Fields<'a> {
    Values(Vec<Value>),
    Packet(&'a [u8]),
}

impl Row<'_> {
    /// Returns one field of a row that has been read once; NULL where there is none.
    fn field(&self, place: usize) -> Field<'_> {
        let field = match &self.fields {
            Fields::Values(values) => values.get(place).map(Field::from),
            Fields::Packet(packet) => field::fields(packet, &self.shape.sent).nth(place).flatten(),
        };
        field.unwrap_or(Field::Null)
    }

    /// Returns the values at the places of the key.
    pub(super) fn key(&self, places: &[usize]) -> serde_json::Value {
        Boundary::of_fields(places.iter().map(|place| self.field(*place)))
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
    result: Answer<'a>,
    shape: Shape,
    table: &'a str,
    peer: Peer,
}

/// Who reads the rows.
enum Answer<'a> {
    Client(QueryResult<'a, 'static, BinaryProtocol>),
    Wire(&'a mut Wire),
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
        let opened = match connection.link() {
            Link::Client(client) => client
                .exec_iter(sql, ())
                .await
                .map(|result| (Shape::of(result.columns_ref()), Answer::Client(result))),
            Link::Wire(wire) => {
                wire.query(&sql).await.map(|columns| (Shape::of(&columns), Answer::Wire(wire)))
            }
        };
        let (shape, result) = opened.map_err(|cause| read_error(&peer, &table.name, cause))?;
        Ok(Self { result, shape, table: &table.name, peer })
    }

    async fn next(&mut self) -> Result<Option<Row<'_>>> {
        let next = match &mut self.result {
            Answer::Client(result) => {
                result.next().await.map(|row| row.map(|row| Fields::Values(row.unwrap())))
            }
            Answer::Wire(wire) => wire.next_row().await.map(|row| row.map(Fields::Packet)),
        };
        let fields = next.map_err(|cause| read_error(&self.peer, self.table, cause))?;
        Ok(fields.map(|fields| Row { fields, shape: &self.shape }))
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
