//! The catalog: what a snapshot holds, source by source. It is the config blob of the manifest.
//!
//! It stays under 1 MiB: versions, and per source its items with counts and digests. What grows
//! with the data — chunk lists with their boundaries, file lists — is an [`Index`], a blob of its
//! own per source. What only a source understands stands in `detail`, opaque to this layer.

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

/// The format that this program writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// All that is known of one snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// The version of the format; a reader refuses a newer one.
    pub format: u32,
    /// The program that wrote it, such as `snap 0.1.0`.
    pub tool: String,
    /// The id under which it was created; an upload may list it under another one.
    pub id: String,
    /// When `create` began.
    pub created: Timestamp,
    /// The name of the host it was taken on.
    pub host: String,
    /// The profile that named the sources.
    pub profile: String,
    /// The version of the product, where it was given or seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_version: Option<String>,
    /// The user's tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The user's note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The sources of the profile in its order, those that were not saved too.
    pub sources: Vec<SourceRecord>,
    /// What was said during `create` that keeps the snapshot whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What the snapshot lacks. A snapshot with warnings says so for ever.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Whether a source is in the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceState {
    /// All of it was saved, or all but what the warnings name.
    Saved,
    /// It is optional and was not there.
    Absent,
    /// The user left it out.
    Excluded,
}

/// One source of a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// The source's name in the profile, such as `database`.
    pub name: String,
    /// The kind of source: `mariadb`, `files` or `command`.
    pub kind: String,
    /// What it was read from: a database's name, a path, or the program that printed it.
    pub origin: String,
    /// Whether it was saved.
    pub state: SourceState,
    /// What only the source understands.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
    /// Its items in the source's order: tables, or the one file tree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
    /// The definitions of a database, a tar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<BlobRef>,
    /// The chunk lists, an [`Index`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<BlobRef>,
}

/// What is counted and proven as one: a table, or a file tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// A table's name, or the path of a file tree.
    pub name: String,
    /// Rows of a table, entries of a tree.
    pub rows: u64,
    /// The rows that are current, where a table keeps its history: the others are history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_rows: Option<u64>,
    /// The size of the raw bytes of all chunks.
    pub raw_bytes: u64,
    /// The digest that proves a restored item, in the source's own words.
    pub digest: String,
    /// The digest of the generated columns, where a table has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated_digest: Option<String>,
}

/// A stored blob, and the raw bytes that it decompresses to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlobRef {
    /// The digest of the stored bytes, which is the blob's name.
    pub digest: String,
    /// The size of the stored bytes.
    pub size: u64,
    /// The digest of the raw bytes, with the name of its algorithm: `blake3:…`, or `sha256:…` in
    /// snapshots of before. An unchanged chunk is recognised by it.
    pub raw_digest: String,
    /// The size of the raw bytes; a reader stops there, whatever the frame promises.
    pub raw_bytes: u64,
    /// What it is a difference from: the chunk of an earlier snapshot, stored in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Box<Self>>,
}

/// What grows with the data of one source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// The chunk lists, one per item of the catalog and in its order.
    pub items: Vec<ItemIndex>,
    /// What only the source understands, such as the list of files.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

/// The chunks of one item, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ItemIndex {
    /// The item's name, for a reader who has only `jq`.
    pub name: String,
    /// What its chunks' beginnings are values of, in the source's own words.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub key: Value,
    /// Its chunks; the raw bytes of all, one after the other, are the item.
    pub chunks: Vec<Chunk>,
}

/// One chunk of an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chunk {
    /// Where it is stored.
    #[serde(flatten)]
    pub blob: BlobRef,
    /// The number of rows or entries in it.
    pub rows: u64,
    /// Where it begins, in the source's own words.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub from: Value,
    /// What the source recognises it by the next time, in its own words. No reader checks it against the
    /// raw bytes, so that it is believed in this host's own snapshots alone, never in an uploaded one.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub noted: Value,
}
