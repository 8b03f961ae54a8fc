//! What earlier snapshots hold already: it is not stored again, and what is as it was is not even
//! written down.

use std::cmp::Reverse;

use futures_util::StreamExt as _;
use futures_util::stream;

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::profile::Profile;
use crate::repository::Repository;
use crate::repository::catalog::BlobRef;
use crate::repository::catalog::Chunk;
use crate::repository::catalog::Index;
use crate::repository::contents::Contents;
use crate::repository::writer::CHECKERS;
use crate::repository::writer::Writer;
use crate::snapshot::Host;
use crate::source::mariadb::range::KnownChunk;
use crate::source::mariadb::range::KnownChunks;
use crate::source::mariadb::range::KnownContent;
use crate::source::mariadb::range::KnownTable;

/// Returns the contents of the newest snapshots of the same profile and host that hold its sources,
/// the newest first: of one, unless sources were left out or absent. One that is damaged costs time,
/// not the new snapshot.
pub(super) async fn contents(
    repository: &Repository,
    profile: &Profile,
    host: &Host,
    monitor: &dyn Monitor,
) -> Result<Vec<Contents>> {
    let sources = profile.sources.iter().map(|spec| spec.name.as_str());
    let mut earlier = Vec::new();
    for id in repository.newest(&profile.name, &host.name, sources).await? {
        let read = repository.contents(&id).await;
        // What its catalog says wrongly must not be said again.
        match read.and_then(|contents| contents.uses().map(|_| contents)) {
            Ok(contents) => earlier.push(contents),
            Err(error) => monitor.note(&format!(
                "what snapshot {id} holds is stored anew: it is damaged ({})",
                error.chain()
            )),
        }
    }
    earlier.sort_by_key(|contents| Reverse(contents.catalog.created));
    Ok(earlier)
}

/// Returns what the last snapshot made of a source: the boundaries of its chunks, and what they hold
/// where that is still there.
pub(super) async fn known_chunks(
    earlier: &[Contents],
    writer: &Writer,
    source: &str,
) -> KnownChunks {
    let mut known = KnownChunks::new();
    for item in index(earlier, source).map_or(&[][..], |index| &index.items) {
        let chunks = item.chunks.iter().map(|chunk| known_chunk(writer, chunk));
        let chunks = stream::iter(chunks).buffered(CHECKERS).collect().await;
        known.insert(item.name.clone(), KnownTable { key: item.key.clone(), chunks });
    }
    known
}

async fn known_chunk(writer: &Writer, chunk: &Chunk) -> KnownChunk {
    let Chunk { blob, rows, from, noted } = chunk;
    let found = writer.find_known(&blob.raw_digest, blob.raw_bytes).await;
    let content = found.map(|BlobRef { raw_digest, .. }| KnownContent {
        raw_digest,
        rows: *rows,
        noted: noted.clone(),
    });
    KnownChunk { from: from.clone(), raw_bytes: blob.raw_bytes, content }
}

/// Returns the newest index of a source, where any of these snapshots holds it.
pub(super) fn index<'a>(earlier: &'a [Contents], source: &str) -> Option<&'a Index> {
    let index = |contents: &'a Contents| {
        let mut sources = contents.catalog.sources.iter().zip(&contents.indexes);
        sources.find(|(record, _)| record.name == source)?.1.as_ref()
    };
    earlier.iter().find_map(index)
}
