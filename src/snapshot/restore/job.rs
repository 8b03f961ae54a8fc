//! A table that a restore loads, as the catalog tells of it.

use crate::repository::catalog::Chunk;
use crate::source::mariadb::proof::Expected;
use crate::source::mariadb::range::KnownChunk;

/// A table that is to be filled.
pub(super) struct Job {
    pub(super) position: usize,
    pub(super) chunks: Vec<Chunk>,
    pub(super) expected: Expected,
}

impl Job {
    /// Returns the job of the table at a position.
    pub(super) const fn new(position: usize, chunks: Vec<Chunk>, expected: Expected) -> Self {
        Self { position, chunks, expected }
    }

    /// Returns how much there is to do: every byte goes in once, and comes back once to be proven.
    pub(super) const fn bytes(&self) -> u64 {
        self.expected.raw_bytes * 2
    }

    /// Returns whether its rows have an order of their own, whatever order they come in: others lie as they
    /// come, and would be other chunks for the next snapshot.
    pub(super) fn has_order(&self) -> bool {
        self.chunks.last().is_some_and(|chunk| !chunk.from.is_null())
    }

    /// Returns its chunks as they tell in which parts it is read back.
    pub(super) fn known(&self) -> Vec<KnownChunk> {
        let known = |Chunk { blob, from, .. }: &Chunk| KnownChunk {
            from: from.clone(),
            raw_bytes: blob.raw_bytes,
            content: None,
        };
        self.chunks.iter().map(known).collect()
    }
}
