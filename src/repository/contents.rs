//! The contents of a snapshot: its catalog and the indexes of its sources, and what they name.
//!
//! One walk over them decides the layers of a manifest when a snapshot is written, and is compared
//! with the manifest when one is read: a catalog cannot name a blob that the manifest lacks, nor a
//! manifest hold one that nothing names.

use std::collections::HashSet;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::repository::blob::MAX_RAW_BYTES;
use crate::repository::catalog::BlobRef;
use crate::repository::catalog::Catalog;
use crate::repository::catalog::Chunk;
use crate::repository::catalog::Index;
use crate::repository::catalog::Item;
use crate::repository::catalog::ItemIndex;
use crate::repository::catalog::SourceRecord;
use crate::repository::catalog::SourceState;
use crate::repository::delta;
use crate::repository::manifest::MediaType;

/// Lists of chunks and files are read whole.
pub(super) const MAX_INDEX_BYTES: u64 = 32 << 20;
const MAX_SCHEMA_BYTES: u64 = 64 << 20;
const MAX_FRAME_HEAD: u64 = 1024;

/// A catalog, and the index of each source in its order: `None` for one that was not saved.
#[derive(Debug, Clone, PartialEq)]
pub struct Contents {
    /// The catalog.
    pub catalog: Catalog,
    /// The indexes.
    pub indexes: Vec<Option<Index>>,
}

/// A blob, and what in the snapshot it is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BlobUse {
    /// Who names it, such as `database.element`.
    pub by: String,
    /// What it holds.
    pub media_type: MediaType,
    /// The blob.
    pub blob: BlobRef,
    /// The rows in it, where they can be counted: one newline each.
    pub rows: Option<u64>,
}

impl Contents {
    /// Returns every use of a blob, source by source: index, schema, chunks of the items in order.
    pub fn uses(&self) -> Result<Vec<BlobUse>> {
        let mut uses = Vec::new();
        for (source, index) in self.catalog.sources.iter().zip(&self.indexes) {
            uses.extend(uses_of(source, index.as_ref())?);
        }
        Ok(uses)
    }
}

/// Returns the uses of blobs by one source, once its catalog and its index agree.
pub fn uses_of(source: &SourceRecord, index: Option<&Index>) -> Result<Vec<BlobUse>> {
    let lies = |what: &str| Error::damaged(format!("the catalog of {} {what}", source.name));
    let is_saved = source.state == SourceState::Saved;
    let (Some(index), Some(index_blob)) = (index, &source.index) else {
        let names_nothing = source.items.is_empty() && source.schema.is_none();
        return if !is_saved && names_nothing && source.index.is_none() {
            Ok(Vec::new())
        } else {
            Err(lies("names no index"))
        };
    };
    if !is_saved {
        return Err(lies("names an index of what was not saved"));
    }
    let chunks = chunk_type(source)?;
    let mut uses = vec![index_use(source, index_blob)?];
    if let Some(schema) = &source.schema {
        check_sizes(&source.name, schema, MAX_SCHEMA_BYTES)?;
        uses.push(plain_use(format!("{}.schema", source.name), MediaType::Schema, schema));
    }
    if source.items.len() != index.items.len() {
        return Err(lies("has other items than its index"));
    }
    for (item, listed) in source.items.iter().zip(&index.items) {
        check_item(source, item, listed)?;
        let by = format!("{}.{}", source.name, item.name);
        for chunk in &listed.chunks {
            uses.extend(chunk_uses(&by, chunks, chunk)?);
        }
    }
    Ok(uses)
}

/// Returns the use of the index of a source, which is known before the index is read.
pub fn index_use(source: &SourceRecord, blob: &BlobRef) -> Result<BlobUse> {
    let by = format!("{}.index", source.name);
    check_sizes(&by, blob, MAX_INDEX_BYTES)?;
    Ok(plain_use(by, MediaType::Index, blob))
}

/// Returns each blob once, at its first use.
pub fn distinct(uses: &[BlobUse]) -> Vec<&BlobUse> {
    let mut seen = HashSet::new();
    uses.iter().filter(|this| seen.insert(&this.blob.digest)).collect()
}

fn plain_use(by: String, media_type: MediaType, blob: &BlobRef) -> BlobUse {
    BlobUse { by, media_type, blob: blob.clone(), rows: None }
}

/// Returns the use of the blob of a chunk, after that of its base where it is a difference.
fn chunk_uses(
    by: &str,
    media_type: MediaType,
    chunk: &Chunk,
) -> Result<impl Iterator<Item = BlobUse>> {
    let Chunk { blob, .. } = chunk;
    check_frame(by, blob, MAX_RAW_BYTES)?;
    let is_table = media_type == MediaType::Rows;
    let base = match &blob.base {
        Some(base) if is_table => {
            check_frame(by, base, MAX_RAW_BYTES)?;
            delta::check(blob, base).map_err(|error| error.while_doing(by))?;
            Some(plain_use(by.to_owned(), MediaType::Rows, base))
        }
        Some(_) => return Err(refused_difference(by, blob)),
        None => None,
    };
    let media_type = if base.is_some() { MediaType::RowsDelta } else { media_type };
    let rows = is_table.then_some(chunk.rows);
    let own = BlobUse { rows, ..plain_use(by.to_owned(), media_type, blob) };
    Ok(base.into_iter().chain([own]))
}

/// Returns the error of a difference where there may be none.
fn refused_difference(by: &str, blob: &BlobRef) -> Error {
    Error::damaged(format!("blob {} of {by} is a difference, which only rows may be", blob.digest))
}

fn chunk_type(source: &SourceRecord) -> Result<MediaType> {
    match source.kind.as_str() {
        "mariadb" => Ok(MediaType::Rows),
        "files" => Ok(MediaType::Files),
        "command" => Ok(MediaType::Output),
        kind => Err(Error::newer(&format!("source {} is of kind {kind:?}", source.name))),
    }
}

/// Checks the sizes of a blob that is stored in full before anything of it is read.
fn check_sizes(by: &str, blob: &BlobRef, limit: u64) -> Result<()> {
    if blob.base.is_some() {
        return Err(refused_difference(by, blob));
    }
    check_frame(by, blob, limit)
}

/// Checks the sizes of a frame before anything of it is read.
fn check_frame(by: &str, blob: &BlobRef, limit: u64) -> Result<()> {
    let BlobRef { digest, size, raw_bytes, .. } = blob;
    if *raw_bytes > limit {
        let text = format!("blob {digest} of {by} has {raw_bytes} raw bytes, {limit} at most");
        return Err(Error::damaged(text));
    }
    // No frame is much larger than what is in it: zstd adds less than one byte to 128, and a head.
    if *size > raw_bytes + raw_bytes / 128 + MAX_FRAME_HEAD {
        let text = format!("blob {digest} of {by} has {size} bytes for {raw_bytes} raw bytes");
        return Err(Error::damaged(text));
    }
    Ok(())
}

fn check_item(source: &SourceRecord, item: &Item, listed: &ItemIndex) -> Result<()> {
    let sum = |count: fn(&Chunk) -> u64| {
        listed.chunks.iter().map(count).try_fold(0_u64, u64::checked_add)
    };
    let rows = sum(|chunk| chunk.rows);
    let raw_bytes = sum(|chunk| chunk.blob.raw_bytes);
    let agrees =
        item.name == listed.name && rows == Some(item.rows) && raw_bytes == Some(item.raw_bytes);
    if agrees {
        return Ok(());
    }
    let text = format!("{}.{}: the catalog and its index disagree", source.name, item.name);
    Err(Error::damaged(text))
}
