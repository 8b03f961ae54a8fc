//! Writing a snapshot: blobs first, each durable before the next step counts on it; then the
//! catalog and the manifest; the descriptor that lists the snapshot last.
//!
//! A writer holds the repository's lock, so that no blob it found or wrote goes before the commit.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::StreamExt as _;
use futures_util::TryStreamExt as _;
use futures_util::stream;
use tokio::task::spawn_blocking;

use crate::base::digest;
use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::fault;
use crate::base::rooms;
use crate::base::stages::Stage;
use crate::repository::Repository;
use crate::repository::blob;
use crate::repository::catalog::BlobRef;
use crate::repository::catalog::Catalog;
use crate::repository::catalog::Index;
use crate::repository::contents;
use crate::repository::contents::BlobUse;
use crate::repository::contents::Contents;
use crate::repository::contents::MAX_INDEX_BYTES;
use crate::repository::delta;
use crate::repository::id::SnapshotId;
use crate::repository::listing;
use crate::repository::lock::Access;
use crate::repository::lock::Lock;
use crate::repository::manifest;
use crate::repository::manifest::MAX_CATALOG_BYTES;
use crate::repository::manifest::MAX_LAYERS;
use crate::repository::summary::Summary;

/// The blobs that are looked for at once.
pub const CHECKERS: usize = 16;
/// The layers up to which chunks are stored as differences: the others are for tables that grow.
const DELTA_LAYERS: usize = MAX_LAYERS / 4 * 3;

/// Writes the blobs of one snapshot and lists it. Many tasks may write at once.
pub struct Writer {
    repository: Repository,
    /// Blobs of earlier snapshots by the digest of their raw bytes.
    known: HashMap<String, BlobRef>,
    /// The digests of the blobs that were found damaged before.
    damaged: HashSet<String>,
    /// How many more chunks may be differences: a difference takes two layers of the manifest.
    deltas_left: AtomicUsize,
    written_bytes: AtomicU64,
    _lock: Lock,
}

/// Raw bytes on their way to becoming a blob.
pub struct Packed {
    blob: BlobRef,
    /// The bytes to store, unless an earlier snapshot has stored them.
    stored: Option<Bytes>,
    /// Whether it is a difference; `None` where nobody tried.
    pub is_delta: Option<bool>,
}

impl Repository {
    /// Returns a writer that uses these blobs of earlier snapshots again, where they are sound.
    pub async fn writer(&self, known: impl IntoIterator<Item = BlobRef>) -> Result<Writer> {
        let lock = self.lock(Access::Shared).await?;
        let damaged = self.damaged().await?;
        // Where there are two, the one that needs no other comes last and stays.
        let mut blobs: Vec<BlobRef> = known.into_iter().collect();
        blobs.sort_by_key(|blob| blob.base.is_none());
        let mut known: HashMap<String, BlobRef> =
            blobs.into_iter().map(|blob| (blob.raw_digest.clone(), blob)).collect();
        let is_delta = |blob: &&BlobRef| blob.base.is_some();
        let layers = known.len() + known.values().filter(is_delta).count();
        if layers > DELTA_LAYERS {
            // They are stored in full, and take one layer each again.
            known.retain(|_, blob| blob.base.is_none());
        }
        let deltas_left = AtomicUsize::new(DELTA_LAYERS.saturating_sub(layers));
        // They take their layers again, but are not counted on.
        known.retain(|_, blob| {
            blob.base.as_deref().into_iter().chain([&*blob]).all(|it| !damaged.contains(&it.digest))
        });
        let written_bytes = AtomicU64::new(0);
        let repository = self.clone();
        Ok(Writer { repository, known, damaged, deltas_left, written_bytes, _lock: lock })
    }
}

impl Writer {
    /// Stores raw bytes, and returns where. Raw bytes that an earlier snapshot has cost a hash.
    pub async fn write(&self, raw: Vec<u8>) -> Result<BlobRef> {
        self.store(self.pack(raw, None).await?).await
    }

    /// Hashes raw bytes and compresses them, unless an earlier snapshot has them: against a blob that
    /// holds nearly the same, where one is given and it is worth it.
    pub async fn pack(&self, raw: Vec<u8>, base: Option<&BlobRef>) -> Result<Packed> {
        let raw_bytes = raw.len() as u64;
        let mut lap = self.repository.stages.begin();
        let hash = move || {
            lap.skip();
            let raw_digest = digest::of_raw(&raw);
            lap.end(Stage::Hashing, raw_bytes);
            (raw_digest, raw)
        };
        let hashed = spawn_blocking(hash).await;
        let (raw_digest, raw) = hashed.context(|| "cannot hash a chunk".to_owned())?;
        if let Some(blob) = self.find_known(&raw_digest, raw_bytes).await {
            rooms::give_back(raw);
            return Ok(Packed { blob, stored: None, is_delta: None });
        }
        let has_room = self.deltas_left.load(Ordering::Relaxed) > 0;
        let is_sound = |base: &BlobRef| !self.damaged.contains(&base.digest);
        let base =
            base.filter(|base| has_room && is_sound(base) && delta::is_possible(raw_bytes, base));
        let raw = match base {
            None => raw,
            Some(base) => match self.repository.pack_delta(raw, &raw_digest, base).await? {
                (raw, Some((blob, stored))) => {
                    rooms::give_back(raw);
                    let one_less = |left: usize| left.checked_sub(1);
                    let order = Ordering::Relaxed;
                    self.deltas_left.fetch_update(order, order, one_less).ok();
                    return Ok(Packed { blob, stored: Some(stored), is_delta: Some(true) });
                }
                (raw, None) => raw,
            },
        };
        let mut lap = self.repository.stages.begin();
        let pack = move || {
            lap.skip();
            let packed = blob::pack(&raw, raw_digest);
            lap.end(Stage::Compressing, raw_bytes);
            rooms::give_back(raw);
            packed
        };
        let packed = spawn_blocking(pack).await;
        let (blob, room) = packed.context(|| "cannot compress a chunk".to_owned())??;
        // Many threads compress, and the allocator keeps what each makes.
        let stored = rooms::fit(room);
        Ok(Packed { blob, stored: Some(stored), is_delta: base.map(|_| false) })
    }

    /// Returns what an earlier snapshot has for raw bytes, which [`find_known`](Self::find_known) found.
    pub fn pack_known(&self, raw_digest: &str) -> Result<Packed> {
        let absent =
            || Error::failed(format!("cannot find the blob of the raw bytes {raw_digest}"));
        let blob = self.known.get(raw_digest).cloned().ok_or_else(absent)?;
        Ok(Packed { blob, stored: None, is_delta: None })
    }

    /// Stores what was packed, and returns where.
    pub async fn store(&self, packed: Packed) -> Result<BlobRef> {
        if let Some(stored) = packed.stored {
            let (size, keeping) = (stored.len() as u64, self.keep(&packed.blob.digest, stored));
            self.repository.stages.time(Stage::Writing, size, keeping).await?;
        }
        Ok(packed.blob)
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
                return self.forget_damage(digest).await;
            }
            store.replace(&name, stored).await?;
            // It may have been noted since this writer began.
            self.repository.forget_damage(digest).await?;
        }
        self.written_bytes.fetch_add(size, Ordering::Relaxed);
        self.forget_damage(digest).await
    }

    /// Stores bytes under their digest as they come; they end in an error where they are not the
    /// digest's. A damaged blob of that name is replaced. Holds no more of it than a piece.
    pub async fn keep_pieces(
        &self,
        digest: &str,
        size: u64,
        pieces: impl Stream<Item = Result<Bytes>>,
    ) -> Result<()> {
        if self.repository.prove_stored(digest, size).await.is_ok() {
            // What is not needed is proven all the same.
            pieces.try_for_each(async |_| Ok(())).await?;
        } else {
            self.repository.store.replace_by(&blob::blob_name(digest)?, pieces).await?;
            self.written_bytes.fetch_add(size, Ordering::Relaxed);
            self.repository.forget_damage(digest).await?;
        }
        self.forget_damage(digest).await
    }

    async fn forget_damage(&self, digest: &str) -> Result<()> {
        if self.damaged.contains(digest) {
            self.repository.forget_damage(digest).await?;
        }
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
        let layers = contents::distinct(&uses);
        self.check_presence(&layers).await?;
        fault::point("create.layers-stored");
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
        fault::point("publish.before");
        self.repository.publish(&digest, size, &summary).await?;
        fault::point("publish.listed");
        Ok(summary)
    }

    /// Returns the blob that an earlier snapshot has for these raw bytes, where it is still there.
    pub async fn find_known(&self, raw_digest: &str, raw_bytes: u64) -> Option<BlobRef> {
        let blob = self.known.get(raw_digest).filter(|blob| blob.raw_bytes == raw_bytes)?;
        for needed in blob.base.as_deref().into_iter().chain([blob]) {
            self.repository.find_blob(&needed.digest, needed.size).await.ok()?;
        }
        Some(blob.clone())
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
    let uses = contents.uses()?;
    let stored_bytes = contents::distinct(&uses).iter().map(|layer| layer.blob.size).sum();
    Ok(Summary::of(id, &contents.catalog, stored_bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::repository::failing::Failing;
    use crate::repository::failing::Moment;
    use crate::repository::samples;

    const RAW: &[u8] = b"1\tone\n2\ttwo\n";

    async fn known_writer(repository: &Repository, known: &BlobRef) -> Writer {
        repository.writer([known.clone()]).await.unwrap()
    }

    fn file_of(repository: &Repository, blob: &BlobRef) -> PathBuf {
        repository.folder().join(blob::blob_name(&blob.digest).unwrap())
    }

    /// Returns the repository with a store that fails from a write on.
    fn failing(repository: &Repository, writes_left: usize, moment: Moment) -> Repository {
        let inner = Arc::clone(&repository.store.objects);
        let writes_left = AtomicUsize::new(writes_left);
        let mut failing = repository.clone();
        failing.store.objects = Arc::new(Failing { inner, moment, writes_left });
        failing
    }

    async fn try_commit(repository: &Repository, id: &str) -> Result<Summary> {
        let writer = repository.writer([]).await?;
        let raw = writer.write(RAW.to_vec()).await?;
        let other = writer.write(b"3\tthree\n".to_vec()).await?;
        let index = samples::index("element", &[(&raw, 2), (&other, 1)]);
        let blob = writer.write_index(&index).await?;
        writer.commit(samples::catalog(id, vec![samples::source_of(&index, blob)])).await
    }

    /// Reads every blob of every listed snapshot.
    async fn prove_all(repository: &Repository) {
        for (id, listed) in repository.list().await.unwrap() {
            listed.unwrap();
            for this in repository.contents(&id).await.unwrap().uses().unwrap() {
                repository.prove_blob(&this.blob).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_commit_that_fails_at_any_write_lists_only_what_is_complete() {
        for moment in [Moment::Before, Moment::After] {
            let mut failures = 0;
            loop {
                let temp = tempfile::tempdir().unwrap();
                let repository = samples::repository(temp.path()).await;
                samples::commit(&repository, "before", "x").await;
                let done = try_commit(&failing(&repository, failures, moment), "after").await;
                prove_all(&repository).await;
                let id = "after".parse().unwrap();
                let is_listed = repository.is_listed(&id).await.unwrap();
                assert!(done.is_err() || is_listed);
                if !is_listed {
                    try_commit(&repository, "after").await.unwrap();
                    prove_all(&repository).await;
                }
                if done.is_ok() {
                    break;
                }
                failures += 1;
            }
            // Two chunks, index, catalog, manifest, descriptor, index.json.
            assert_eq!(failures, 7, "{moment:?}");
        }
    }

    #[tokio::test]
    async fn nothing_is_listed_whose_blobs_are_not_there() {
        let temp = tempfile::tempdir().unwrap();
        let repository = samples::repository(temp.path()).await;
        let writer = repository.writer([]).await.unwrap();
        let catalog = samples::write(&writer, "one", "x").await;
        let schema = catalog.sources[0].schema.clone().unwrap();
        fs::remove_file(file_of(&repository, &schema)).unwrap();
        let error = writer.commit(catalog).await.unwrap_err();
        assert!(error.to_string().contains("database.schema: blob"), "{error}");
        assert_eq!(repository.ids().await.unwrap(), []);
    }

    #[tokio::test]
    async fn raw_bytes_that_are_stored_are_not_written_again() {
        let temp = tempfile::tempdir().unwrap();
        let repository = samples::repository(temp.path()).await;
        let first = known_writer(&repository, &known_elsewhere()).await;
        let blob = first.write(RAW.to_vec()).await.unwrap();
        assert_eq!(first.written_bytes.load(Ordering::Relaxed), blob.size);
        let second = known_writer(&repository, &blob).await;
        assert_eq!(second.write(RAW.to_vec()).await.unwrap(), blob);
        assert_eq!(second.written_bytes.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn an_absent_short_or_damaged_blob_is_written_anew() {
        let temp = tempfile::tempdir().unwrap();
        let repository = samples::repository(temp.path()).await;
        let writer = known_writer(&repository, &known_elsewhere()).await;
        let blob = writer.write(RAW.to_vec()).await.unwrap();
        let file = file_of(&repository, &blob);
        let sound = fs::read(&file).unwrap();
        let mut flipped = sound.clone();
        flipped[9] ^= 1;

        fs::remove_file(&file).unwrap();
        let again = known_writer(&repository, &blob).await.write(RAW.to_vec()).await.unwrap();
        assert_eq!(fs::read(&file).unwrap(), sound, "absent");
        samples::put(&file, &sound[1..]);
        known_writer(&repository, &blob).await.write(RAW.to_vec()).await.unwrap();
        assert_eq!(fs::read(&file).unwrap(), sound, "short");
        samples::put(&file, &flipped);
        writer.write(RAW.to_vec()).await.unwrap();
        assert_eq!(fs::read(&file).unwrap(), sound, "flipped, and written without a known blob");
        assert_eq!(again, blob);
    }

    #[tokio::test]
    async fn a_blob_that_comes_in_pieces_is_whole_or_not_there_and_mends_a_damaged_one() {
        let temp = tempfile::tempdir().unwrap();
        let repository = samples::repository(temp.path()).await;
        let writer = repository.writer([]).await.unwrap();
        let (blob, stored) = blob::pack(RAW, digest::sha256(RAW)).unwrap();
        let file = file_of(&repository, &blob);
        let pieces = || stored.chunks(5).map(|piece| Ok(Bytes::copy_from_slice(piece)));
        let cut = pieces().take(2).chain([Err(Error::damaged("it is another one"))]);
        let error = writer.keep_pieces(&blob.digest, blob.size, stream::iter(cut)).await;
        assert_eq!(error.unwrap_err().to_string(), "it is another one");
        assert!(!file.exists());
        assert_eq!(repository.staged_files().await.unwrap(), []);
        samples::put(&file, &vec![0; stored.len()]);
        for written in [blob.size, blob.size] {
            writer.keep_pieces(&blob.digest, blob.size, stream::iter(pieces())).await.unwrap();
            assert_eq!(fs::read(&file).unwrap(), stored);
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(writer.written_bytes.load(Ordering::Relaxed), written, "once");
        }
        // What is not needed is proven all the same.
        let lie = pieces().take(1).chain([Err(Error::damaged("it is another one"))]);
        writer.keep_pieces(&blob.digest, blob.size, stream::iter(lie)).await.unwrap_err();
        assert_eq!(fs::read(&file).unwrap(), stored);
    }

    fn known_elsewhere() -> BlobRef {
        let raw_digest = digest::of_raw(RAW);
        BlobRef {
            digest: digest::sha256(b"elsewhere"),
            size: 3,
            raw_digest,
            raw_bytes: 12,
            base: None,
        }
    }

    #[tokio::test]
    async fn an_id_is_given_once() {
        let temp = tempfile::tempdir().unwrap();
        let repository = samples::repository(temp.path()).await;
        samples::commit(&repository, "one", "x").await;
        let writer = repository.writer([]).await.unwrap();
        let catalog = samples::write(&writer, "one", "y").await;
        assert_eq!(writer.commit(catalog).await.unwrap_err().kind(), Kind::Refused);
        let id = "one".parse().unwrap();
        let contents = repository.contents(&id).await.unwrap();
        let index = contents.indexes[0].as_ref().unwrap();
        let raw = repository.read_blob(&index.items[0].chunks[1].blob).await.unwrap();
        assert_eq!(raw, b"3\tx\n", "the first one stays");
    }

    #[tokio::test]
    async fn a_snapshot_that_a_manifest_cannot_hold_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let repository = samples::repository(temp.path()).await;
        let writer = repository.writer([]).await.unwrap();
        let mut catalog = samples::write(&writer, "one", "x").await;
        catalog.note = Some("n".repeat(2 << 20));
        let error = writer.commit(catalog).await.unwrap_err();
        assert!(error.to_string().contains("catalog of"), "{error}");
        let writer = repository.writer([]).await.unwrap();
        let mut catalog = samples::write(&writer, "one", "x").await;
        catalog.note = Some("n".repeat(100 << 10));
        let error = writer.commit(catalog).await.unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
        assert_eq!(repository.ids().await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_summary_counts_every_blob_once() {
        let temp = tempfile::tempdir().unwrap();
        let repository = samples::repository(temp.path()).await;
        let one = samples::commit(&repository, "one", "x").await;
        let two = samples::commit(&repository, "two", "y").await;
        assert_eq!((one.rows, one.warnings, one.uploaded), (5, 0, false));
        assert_eq!(one.sources, ["database", "certificates"]);
        assert!(one.written_bytes > one.stored_bytes, "catalog and manifest are no layers");
        assert!(two.written_bytes < one.written_bytes, "most blobs were there");
        let listed = repository.list().await.unwrap();
        let listed: Vec<_> =
            listed.into_iter().map(|(_, listed)| listed.unwrap().summary).collect();
        assert_eq!(listed, [one, two]);
    }
}
