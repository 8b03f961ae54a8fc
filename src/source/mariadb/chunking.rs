//! Reads the ranges of a job as chunks. A range that an earlier snapshot holds is read without writing a
//! line, for as long as its packets may be those of before.

use serde_json::Value;
use tokio::sync::mpsc::Sender;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::pace::Meter;
use crate::base::stages::Stage;
use crate::source::Content;
use crate::source::RawChunk;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::cut::HashCutter;
use crate::source::mariadb::cut::KeyCutter;
use crate::source::mariadb::cut::Piece;
use crate::source::mariadb::cut::Sizes;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::imprint::ColumnsHash;
use crate::source::mariadb::imprint::Imprint;
use crate::source::mariadb::imprint::PacketsHash;
use crate::source::mariadb::lines::Lines;
use crate::source::mariadb::lines::Totals;
use crate::source::mariadb::range::Job;
use crate::source::mariadb::range::KnownContent;
use crate::source::mariadb::range::Range;
use crate::source::mariadb::rows::Arrived;
use crate::source::mariadb::rows::Rows;
use crate::source::mariadb::rows::Shape;
use crate::source::mariadb::wire::packets::Frames;
use crate::source::mariadb::wire::packets::HEADER_BYTES;

/// Reads a job's ranges and sends their chunks. Returns what proves its rows.
pub(super) async fn read_job(
    connection: &mut Connection,
    database: &str,
    table: &Table,
    job: &Job,
    sizes: Sizes,
    sender: &Sender<RawChunk>,
) -> Result<Totals> {
    let outlet = Outlet {
        sender,
        item: job.table,
        attempt: job.attempt,
        order: job.order,
        meter: connection.meter(Stage::Reading),
    };
    // What the server computes, or takes to be history, is proven by more than the lines.
    let is_noted = table.generated_columns().next().is_none() && !table.is_versioned();
    let longest_packets = if is_noted { sizes.longest_packets() } else { 0 };
    let mut chunking = Chunking { lines: Lines::new(table), outlet, longest_packets };
    if table.key.is_none() {
        let mut cutter = HashCutter::new(sizes);
        for range in &job.ranges {
            let mut rows = Rows::open(connection, database, table, range, None).await?;
            while let Some(arrived) = rows.next().await? {
                chunking.take_unsorted(arrived, &mut cutter).await?;
            }
        }
        chunking.outlet.send(cutter.finish(), Value::Null).await?;
        return Ok(chunking.lines.totals);
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
        let next = job.ranges.get(position + 1);
        let mut rows = Rows::open(connection, database, table, range, next).await?;
        if chunking.recognise(range, &mut rows, &mut cutter).await? {
            continue;
        }
        while let Some(arrived) = rows.next().await? {
            let bytes = chunking.take(arrived, &mut cutter).await?;
            chunking.outlet.meter.count(bytes).await;
        }
        let is_last = position + 1 == job.ranges.len();
        if !is_last && cutter.joins_next(range.previous_bytes) {
            unfinished = Some(cutter);
        } else {
            chunking.send(cutter.finish(), &rows.shape().columns).await?;
        }
    }
    Ok(chunking.lines.totals)
}

/// Makes chunks of the rows of a job.
struct Chunking<'a> {
    lines: Lines,
    outlet: Outlet<'a>,
    /// What the packets of a chunk take at most, in bytes, that the next snapshot may know by what is noted
    /// of it; 0 where it may know none.
    longest_packets: u64,
}

impl Chunking<'_> {
    /// Adds rows that are cut at keys; returns the size of their lines.
    async fn take(&mut self, arrived: Arrived<'_>, cutter: &mut KeyCutter) -> Result<u64> {
        let before = self.lines.totals.bytes;
        let (shape, frames) = (arrived.shape(), arrived.frames().map(|frames| frames.0));
        let (mut noted, mut read) = (0, 0);
        for row in arrived.rows() {
            let hash = self.lines.add(&row)?;
            if cutter.wants_cut() {
                cutter.saw(frames.map(|frames| &frames[noted..read]));
                noted = read;
                cutter.cut_here(row.key(&self.lines.key));
            }
            read += row.packet_bytes() + HEADER_BYTES;
            if let Some(piece) = cutter.push(&self.lines.line, hash) {
                self.send(piece, &shape.columns).await?;
            }
        }
        cutter.saw(frames.map(|frames| &frames[noted..]));
        Ok(self.lines.totals.bytes - before)
    }

    /// Adds rows that come in the engine's own order.
    async fn take_unsorted(&mut self, arrived: Arrived<'_>, cutter: &mut HashCutter) -> Result<()> {
        let before = self.lines.totals.bytes;
        for row in arrived.rows() {
            let hash = self.lines.add(&row)?;
            if let Some(piece) = cutter.push(&self.lines.line, hash) {
                self.outlet.send(piece, Value::Null).await?;
            }
        }
        self.outlet.meter.count(self.lines.totals.bytes - before).await;
        Ok(())
    }

    /// Reads a range that an earlier snapshot holds. Returns whether it is as it was, and is sent as
    /// that; otherwise the rows that were read meanwhile are in the cutter.
    async fn recognise(
        &mut self,
        range: &Range,
        rows: &mut Rows<'_>,
        cutter: &mut KeyCutter,
    ) -> Result<bool> {
        let Some(known) = &range.known else { return Ok(false) };
        let Some(from) = cutter.begins().cloned() else { return Ok(false) };
        let is_short = |imprint: &Imprint| imprint.sent_bytes <= self.longest_packets;
        let Some(imprint) = Imprint::parse(&known.noted).filter(is_short) else { return Ok(false) };
        let Some(digest) = imprint.rows_digest(known.rows) else { return Ok(false) };
        let mut kept = Kept::default();
        while let Some(arrived) = rows.next().await? {
            let fits = |it: &Frames<'_>| kept.packets.bytes() + it.bytes() <= imprint.sent_bytes;
            let Some(frames) = arrived.frames().filter(fits) else {
                self.take_kept(kept, arrived.shape(), cutter).await?;
                let bytes = self.take(arrived, cutter).await?;
                self.outlet.meter.count(bytes).await;
                return Ok(false);
            };
            self.outlet.meter.count(frames.bytes()).await;
            kept.add(&frames);
        }
        if !imprint.is_of(&kept.packets, &rows.shape().columns) {
            self.take_kept(kept, rows.shape(), cutter).await?;
            return Ok(false);
        }
        self.lines.totals.stored.merge(&digest);
        self.lines.totals.bytes += range.previous_bytes.unwrap_or_default();
        self.outlet.send_known(from, known).await?;
        Ok(true)
    }

    /// Adds rows whose packets were kept, and lets go of them.
    async fn take_kept(&mut self, kept: Kept, shape: &Shape, cutter: &mut KeyCutter) -> Result<()> {
        for frames in kept.frames {
            self.take(Arrived::kept(Frames(&frames), shape), cutter).await?;
        }
        Ok(())
    }

    /// Sends a piece with what is noted of it.
    async fn send(&mut self, piece: Piece, columns: &ColumnsHash) -> Result<()> {
        let imprint = piece.trace.imprint(columns, self.longest_packets);
        let noted = imprint.map_or(Value::Null, |imprint| imprint.to_note());
        self.outlet.send(piece, noted).await
    }
}

/// Packets that may be those of a known chunk, until that is certain.
#[derive(Default)]
struct Kept {
    packets: PacketsHash,
    /// Let go of one after the other, while their lines take the memory.
    frames: Vec<Vec<u8>>,
}

impl Kept {
    fn add(&mut self, frames: &Frames<'_>) {
        const STEP: usize = 1 << 20;
        self.packets.add(frames.0);
        match self.frames.last_mut() {
            Some(last) if last.len() + frames.0.len() <= STEP => last.extend_from_slice(frames.0),
            _ => {
                let mut first = Vec::with_capacity(STEP.max(frames.0.len()));
                first.extend_from_slice(frames.0);
                self.frames.push(first);
            }
        }
    }
}

/// Sends what becomes of a job as chunks, in order.
struct Outlet<'a> {
    sender: &'a Sender<RawChunk>,
    item: usize,
    attempt: u32,
    order: u64,
    meter: Meter,
}

impl Outlet<'_> {
    /// Sends a piece as the next chunk; one without rows is none.
    async fn send(&mut self, piece: Piece, noted: Value) -> Result<()> {
        let Piece { from, rows, bytes, .. } = piece;
        if rows == 0 {
            return Ok(());
        }
        self.send_chunk(from, rows, Content::Raw(bytes), noted).await
    }

    /// Sends what an earlier snapshot holds as the next chunk.
    async fn send_known(&mut self, from: Value, known: &KnownContent) -> Result<()> {
        let content = Content::Known(known.raw_digest.clone());
        self.send_chunk(from, known.rows, content, known.noted.clone()).await
    }

    async fn send_chunk(
        &mut self,
        from: Value,
        rows: u64,
        content: Content,
        noted: Value,
    ) -> Result<()> {
        let (item, attempt, order) = (self.item, self.attempt, self.order);
        let chunk = RawChunk { item, attempt, order, from, rows, content, noted };
        self.order += 1;
        self.meter.end().await;
        // The receiver is gone only when the verb has failed already, and says why itself.
        let sent = self.sender.send(chunk).await.map_err(|_| Error::failed("cannot store a chunk"));
        self.meter.skip();
        sent
    }
}
