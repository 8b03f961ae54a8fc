//! Chunks on their way between a source and the repository.
//!
//! Both ways are bounded: a source that reads faster than the disk writes waits, and no more than
//! a few chunks are in memory at any time.

use futures_util::StreamExt as _;
use futures_util::TryStreamExt as _;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::Sender;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::base::pace::Pace;
use crate::base::rooms;
use crate::repository::Repository;
use crate::repository::catalog::BlobRef;
use crate::repository::catalog::Chunk;
use crate::repository::catalog::ItemIndex;
use crate::repository::contents::Contents;
use crate::repository::writer::Writer;
use crate::snapshot::bases::Bases;
use crate::source::Content;
use crate::source::RawChunk;

/// Chunks that are hashed and compressed at once; each may hold twice the usual size of a chunk.
const PACKED_AT_ONCE: usize = 2;

/// Compressed chunks that are written at once, and wait for the disk while others are compressed.
const STORED_AT_ONCE: usize = 2;

/// Returns the way from a source to [`store`].
pub(super) fn channel() -> (Sender<RawChunk>, Receiver<RawChunk>) {
    mpsc::channel(1)
}

/// Stores chunks as they come; returns the chunks of each of `items` items in order, unnamed. What
/// an attempt that was given up has stored is in no list, and goes with the next prune. A chunk that
/// has a base may be stored as a difference. A source that keeps no pace itself is kept waiting.
pub(super) async fn store(
    writer: &Writer,
    receiver: Receiver<RawChunk>,
    items: usize,
    bases: Bases,
    pace: &Pace,
    monitor: &dyn Monitor,
) -> Result<Vec<ItemIndex>> {
    let _kept = rooms::keep();
    let bases = &bases;
    let arriving = stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    let packed = arriving.map(|chunk| async move {
        let RawChunk { item, attempt, order, from, rows, content, noted } = chunk;
        pace.spend(content.raw().len() as u64).await;
        let packed = match content {
            Content::Raw(bytes) => writer.pack(bytes, bases.find(item, &from)).await?,
            Content::Known(raw_digest) => writer.pack_known(&raw_digest)?,
        };
        bases.learn(item, &packed);
        Ok::<_, Error>((item, (attempt, order), packed, (from, rows, noted)))
    });
    let packed = packed.buffer_unordered(PACKED_AT_ONCE);
    let stored = packed.map_ok(|(item, order, packed, (from, rows, noted))| async move {
        let blob = writer.store(packed).await?;
        monitor.advance(blob.raw_bytes);
        Ok((item, order, Chunk { blob, rows, from, noted }))
    });
    let stored = stored.try_buffer_unordered(STORED_AT_ONCE);
    let mut stored: Vec<_> = stored.try_collect().await?;
    stored.sort_by_key(|(item, order, _)| (*item, *order));
    let mut indexes = vec![ItemIndex::default(); items];
    let mut attempts = vec![0; items];
    for (item, (attempt, _), chunk) in stored {
        if attempts[item] < attempt {
            attempts[item] = attempt;
            indexes[item].chunks.clear();
        }
        indexes[item].chunks.push(chunk);
    }
    Ok(indexes)
}

/// Reads, proves and decompresses chunks in order and sends their raw bytes.
pub(super) async fn fetch(
    repository: &Repository,
    chunks: &[Chunk],
    sender: Sender<Vec<u8>>,
    monitor: &dyn Monitor,
) -> Result<()> {
    for chunk in chunks {
        let bytes = repository.read_blob(&chunk.blob).await?;
        monitor.advance(chunk.blob.raw_bytes);
        if sender.send(bytes).await.is_err() {
            // The receiver has failed, and says why itself.
            return Ok(());
        }
    }
    Ok(())
}

/// Returns every blob that chunks, their bases, indexes and schemas of a snapshot are stored in.
pub(super) fn blobs(contents: &Contents) -> Vec<BlobRef> {
    let sources = contents.catalog.sources.iter();
    let direct = sources.flat_map(|source| source.schema.iter().chain(&source.index).cloned());
    let indexes = contents.indexes.iter().flatten();
    let chunks = indexes.flat_map(|index| index.items.iter().flat_map(|item| &item.chunks));
    let stored =
        chunks.flat_map(|chunk| chunk.blob.base.as_deref().into_iter().chain([&chunk.blob]));
    direct.chain(stored.cloned()).collect()
}
