//! The tar of a tree, cut into chunks on the way out and joined again on the way in.
//!
//! Small entries are bundled up to the size of a chunk. A larger one starts a chunk of its own,
//! is cut at fixed distances from its own start and ends with a chunk, so that a change beside
//! it leaves its chunks as they were.

use serde_json::Value;
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::Sender;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::rooms;
use crate::source::Content;
use crate::source::RawChunk;
use crate::source::files::archive;
use crate::source::files::list::Entry;

/// Sends a tar as chunks of at most so many bytes.
pub(super) struct ChunkWriter {
    chunks: Sender<RawChunk>,
    chunk_bytes: usize,
    buffer: Vec<u8>,
    order: u64,
    rows: u64,
    raw_bytes: u64,
    is_large: bool,
}

impl ChunkWriter {
    pub(super) fn new(chunks: Sender<RawChunk>, chunk_bytes: usize) -> Self {
        Self {
            chunks,
            chunk_bytes: chunk_bytes.max(1),
            buffer: Vec::new(),
            order: 0,
            rows: 0,
            raw_bytes: 0,
            is_large: false,
        }
    }

    /// Writes the header of an entry; as many bytes of content as it names must follow.
    pub(super) fn begin(&mut self, entry: &Entry) -> Result<()> {
        let header = archive::header(entry);
        let whole = (header.len() as u64).saturating_add(entry.content.bytes());
        self.is_large = whole > self.chunk_bytes as u64;
        if (self.buffer.len() as u64).saturating_add(whole) > self.chunk_bytes as u64 {
            self.send()?;
        }
        self.rows += 1;
        self.write(&header)
    }

    /// Writes the next bytes of the entry's content.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.raw_bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let left = self.chunk_bytes - self.buffer.len();
            let (fitting, rest) = bytes.split_at(left.min(bytes.len()));
            let length = self.buffer.len() + fitting.len();
            rooms::grow(&mut self.buffer, length, self.chunk_bytes);
            self.buffer.extend_from_slice(fitting);
            bytes = rest;
            if self.buffer.len() == self.chunk_bytes {
                self.send()?;
            }
        }
        Ok(())
    }

    /// Ends an entry whose content is written.
    pub(super) fn end(&mut self, entry: &Entry) -> Result<()> {
        self.write(&archive::TRAILER[..archive::padding(entry.content.bytes())])?;
        if self.is_large { self.send() } else { Ok(()) }
    }

    /// Ends the tar; returns the number of its bytes.
    pub(super) fn finish(mut self) -> Result<u64> {
        self.write(&archive::TRAILER)?;
        self.send()?;
        Ok(self.raw_bytes)
    }

    fn send(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = RawChunk {
            item: 0,
            attempt: 0,
            order: self.order,
            from: Value::Null,
            rows: self.rows,
            content: Content::Raw(std::mem::take(&mut self.buffer)),
            noted: Value::Null,
        };
        self.order += 1;
        self.rows = 0;
        let sent = self.chunks.blocking_send(chunk);
        sent.map_err(|_| {
            Error::failed("cannot hand on the chunks of a file tree: nobody takes them")
        })
    }
}

/// Gives the bytes of a tar from its chunks.
pub(super) struct ChunkReader {
    chunks: Receiver<Vec<u8>>,
    current: Vec<u8>,
    position: usize,
}

impl ChunkReader {
    pub(super) const fn new(chunks: Receiver<Vec<u8>>) -> Self {
        Self { chunks, current: Vec::new(), position: 0 }
    }

    /// Returns the next bytes, at least one and at most `limit`, or nothing at the end.
    pub(super) fn next(&mut self, limit: u64) -> Option<&[u8]> {
        while self.position == self.current.len() {
            self.current = self.chunks.blocking_recv()?;
            self.position = 0;
        }
        let rest = self.current.len() - self.position;
        let length = usize::try_from(limit).map_or(rest, |limit| limit.min(rest));
        let start = self.position;
        self.position += length;
        Some(&self.current[start..self.position])
    }

    /// Returns whether the next bytes are these; after `false` the position means nothing.
    pub(super) fn takes(&mut self, mut expected: &[u8]) -> bool {
        while !expected.is_empty() {
            let Some(bytes) = self.next(expected.len() as u64) else { return false };
            let Some(rest) = expected.strip_prefix(bytes) else { return false };
            expected = rest;
        }
        true
    }
}
