//! What can be saved: a database, a file tree, what a command prints. A source yields chunks and takes chunks back.
//!
//! A source knows nothing of repositories: what it reads goes into a bounded channel of
//! [`RawChunk`], and what it restores comes out of a bounded channel of raw bytes that somebody
//! else has already verified.

use serde_json::Value;

pub mod command;
pub mod files;
pub mod mariadb;

/// What a chunk holds.
#[derive(Debug)]
pub enum Content {
    /// Its raw bytes, the canonical form that is hashed, compressed and stored.
    Raw(Vec<u8>),
    /// What an earlier snapshot holds under this digest of its raw bytes: the source has seen that it is
    /// as it was.
    Known(String),
}

impl Content {
    /// Returns the raw bytes; none of what is known.
    pub fn raw(&self) -> &[u8] {
        match self {
            Self::Raw(bytes) => bytes,
            Self::Known(_) => &[],
        }
    }
}

/// A contiguous part of an item: rows of one table, or a piece of a file tree; uncompressed, or by the
/// name of its raw bytes where an earlier snapshot holds them.
#[derive(Debug)]
pub struct RawChunk {
    /// The item's position in the source's list of items; 0 where there is only one.
    pub item: usize,
    /// How often the item was begun before: the chunks of a later attempt replace all before.
    pub attempt: u32,
    /// The order of this chunk among the chunks of its item; gaps are allowed.
    pub order: u64,
    /// Where the chunk begins (a primary key), in the source's own words; `Null` for the first
    /// chunk of an item and where chunks have no boundary.
    pub from: Value,
    /// The number of rows; of entries in a piece of a file tree; 0 of what a command prints.
    pub rows: u64,
    /// The chunk itself.
    pub content: Content,
    /// What the source wants to be told of it the next time, in its own words; may be `Null`.
    pub noted: Value,
}
