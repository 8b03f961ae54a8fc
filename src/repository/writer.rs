//! Writing a snapshot: blobs first, each durable before the next step counts on it; then the
//! catalog and the manifest; the descriptor that lists the snapshot last.
//!
//! A writer holds the repository's lock, so that no blob it found or wrote goes before the commit.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::TryStreamExt as _;
use futures_util::stream;
use tokio::task::spawn_blocking;

use crate::base::digest;
use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::repository::Repository;
use crate::repository::blob;
use crate::repository::catalog::BlobRef;
use crate::repository::catalog::Catalog;
use crate::repository::catalog::Index;
use crate::repository::catalog::Item;
use crate::repository::catalog::SourceState;
use crate::repository::contents;
use crate::repository::contents::BlobUse;
use crate::repository::contents::Contents;
use crate::repository::contents::MAX_INDEX_BYTES;
use crate::repository::id::SnapshotId;
use crate::repository::listing;
use crate::repository::lock::Access;
use crate::repository::lock::Lock;
use crate::repository::manifest;
use crate::repository::manifest::MAX_CATALOG_BYTES;
use crate::repository::summary::Summary;

const CHECKERS: usize = 16;

/// Writes the blobs of one snapshot and lists it. Many tasks may write at once.
pub struct Writer {
    repository: Repository,
    /// Blobs of earlier snapshots by the digest of their raw bytes.
    known: HashMap<String, BlobRef>,
    written_bytes: AtomicU64,
    _lock: Lock,
}

impl Repository {
    /// Returns a writer that uses these blobs of earlier snapshots again, where they are sound.
    pub async fn writer(&self, known: impl IntoIterator<Item = BlobRef>) -> Result<Writer> {
        let lock = self.lock(Access::Shared).await?;
        let known = known.into_iter().map(|blob| (blob.raw_digest.clone(), blob)).collect();
        let written_bytes = AtomicU64::new(0);
        Ok(Writer { repository: self.clone(), known, written_bytes, _lock: lock })
    }
}

impl Writer {
    /// Stores raw bytes, and returns where. Raw bytes that an earlier snapshot has cost a hash.
    pub async fn write(&self, raw: Vec<u8>) -> Result<BlobRef> {
        let hash = move || (digest::sha256(&raw), raw);
        let hashed = spawn_blocking(hash).await;
        let (raw_digest, raw) = hashed.context(|| "cannot hash a chunk".to_owned())?;
        if let Some(blob) = self.find_known(&raw_digest, raw.len() as u64).await {
            return Ok(blob);
        }
        let packed = spawn_blocking(move || blob::pack(&raw, raw_digest)).await;
        let (blob, stored) = packed.context(|| "cannot compress a chunk".to_owned())??;
        self.keep(&blob.digest, stored).await?;
        Ok(blob)
    }

    /// Stores the index of a source, and returns where.
    pub async fn write_index(&self, index: &Index) -> Result<BlobRef> {
        let raw = serde_json::to_vec(index).expect("an index is plain JSON");
        if raw.len() as u64 > MAX_INDEX_BYTES {
            let text = format!("cannot store an index of {} bytes", raw.len());
            return Err(Error::new(Kind::Refused, text).hint(format!(
                "it has {MAX_INDEX_BYTES} at most: save fewer files in one source"
            )));
        }
        self.write(raw).await
    }

    /// Stores bytes under their digest, which the caller has proven. A damaged blob of that name
    /// is replaced.
    pub async fn keep(&self, digest: &str, stored: Bytes) -> Result<()> {
        let store = &self.repository.store;
        let name = blob::blob_name(digest)?;
        let size = stored.len() as u64;
        if !store.put_new(&name, stored.clone()).await? {
            let found = store.get(&name, size).await.ok().flatten();
            if found.is_some_and(|found| found == stored) {
                return Ok(());
            }
            store.replace(&name, stored).await?;
        }
        self.written_bytes.fetch_add(size, Ordering::Relaxed);
        Ok(())
    }

    /// Lists the snapshot of a catalog whose blobs this writer stored, under the catalog's own id.
    pub async fn commit(self, catalog: Catalog) -> Result<Summary> {
        let id: SnapshotId = catalog.id.parse()?;
        if self.repository.is_listed(&id).await? {
            return Err(listing::taken(&id));
        }
        let contents = self.repository.contents_of(catalog).await?;
        let uses = contents.uses()?;
        let layers = contents::distinct(&uses)?;
        self.check_presence(&layers).await?;
        let catalog = catalog_json(&contents.catalog)?;
        let manifest = manifest::manifest_json(&catalog, contents.catalog.created, &layers)?;
        self.keep(&digest::sha256(&catalog), Bytes::from(catalog)).await?;
        let manifest = Bytes::from(manifest);
        self.keep(&digest::sha256(&manifest), manifest.clone()).await?;
        self.list(summarize(&id, &contents)?, &manifest).await
    }

    /// Lists an uploaded snapshot, all of whose blobs are stored and proven, under an id.
    pub async fn commit_upload(
        self,
        id: &SnapshotId,
        manifest: &Bytes,
        contents: &Contents,
    ) -> Result<Summary> {
        let summary = Summary { uploaded: true, ..summarize(id, contents)? };
        self.list(summary, manifest).await
    }

    async fn list(&self, summary: Summary, manifest: &Bytes) -> Result<Summary> {
        let written_bytes = self.written_bytes.load(Ordering::Relaxed);
        let summary = Summary { written_bytes, ..summary };
        let (digest, size) = (digest::sha256(manifest), manifest.len() as u64);
        self.repository.publish(&digest, size, &summary).await?;
        Ok(summary)
    }

    /// Returns the blob that an earlier snapshot has for these raw bytes, where it is still there.
    async fn find_known(&self, raw_digest: &str, raw_bytes: u64) -> Option<BlobRef> {
        let blob = self.known.get(raw_digest).filter(|blob| blob.raw_bytes == raw_bytes)?;
        let found = self.repository.find_blob(&blob.digest, blob.size).await;
        found.ok().map(|()| blob.clone())
    }

    async fn check_presence(&self, layers: &[&BlobUse]) -> Result<()> {
        let find = |layer: BlobUse| async move {
            let found = self.repository.find_blob(&layer.blob.digest, layer.blob.size).await;
            found.map_err(|error| error.while_doing(&format!("cannot list {}", layer.by)))
        };
        let layers: Vec<BlobUse> = layers.iter().map(|&layer| layer.clone()).collect();
        stream::iter(layers).map(find).buffer_unordered(CHECKERS).try_collect().await
    }
}

fn catalog_json(catalog: &Catalog) -> Result<Vec<u8>> {
    let bytes = manifest::ordered_json(catalog);
    if bytes.len() <= MAX_CATALOG_BYTES {
        return Ok(bytes);
    }
    let text = format!("cannot store a catalog of {} bytes", bytes.len());
    Err(Error::new(Kind::Refused, text).hint(format!("it has {MAX_CATALOG_BYTES} at most")))
}

fn summarize(id: &SnapshotId, contents: &Contents) -> Result<Summary> {
    let Contents { catalog, .. } = contents;
    let uses = contents.uses()?;
    let sum = |count: fn(&Item) -> u64| {
        // Entries of a tree are not proven by an upload: a hostile sum must not overflow.
        let items = catalog.sources.iter().flat_map(|source| &source.items);
        items.map(count).fold(0, u64::saturating_add)
    };
    let saved = catalog.sources.iter().filter(|source| source.state == SourceState::Saved);
    let stored = contents::distinct(&uses)?.iter().map(|layer| layer.blob.size).sum();
    Ok(Summary {
        id: id.clone(),
        created: catalog.created,
        host: catalog.host.clone(),
        profile: catalog.profile.clone(),
        product_version: catalog.product_version.clone(),
        tags: catalog.tags.clone(),
        note: catalog.note.clone(),
        rows: sum(|item| item.rows),
        raw_bytes: sum(|item| item.raw_bytes),
        stored_bytes: stored,
        written_bytes: 0,
        warnings: catalog.warnings.len() as u64,
        sources: saved.map(|source| source.name.clone()).collect(),
        uploaded: false,
    })
}
