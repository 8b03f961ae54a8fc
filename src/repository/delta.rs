//! Differences: a chunk of which a few rows changed, compressed against the raw bytes of one that an
//! earlier snapshot stores in full.
//!
//! A difference is one zstd frame as `zstd --patch-from` writes it. Its base is never a difference
//! itself, so two blobs are all that a chunk takes; both are layers of every manifest that names it.
//! It may be a quarter of its base at most: beyond that the chunk is better stored in full, and is the
//! next base. One base is in memory at a time, whoever reads and writes.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OwnedMutexGuard;
use tokio::task::spawn_blocking;
use zstd::zstd_safe;
use zstd::zstd_safe::CCtx;
use zstd::zstd_safe::CParameter;
use zstd::zstd_safe::DCtx;
use zstd::zstd_safe::SafeResult;

use crate::base::digest;
use crate::base::digest::RawHasher;
use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::rooms;
use crate::base::stages::Stage;
use crate::repository::Repository;
use crate::repository::blob::LEVEL;
use crate::repository::catalog::BlobRef;

/// Reaches from the end of the largest chunk back to the beginning of the largest base.
const WINDOW_LOG: u32 = 27;
/// How many places of a base are remembered, as a power of two: in 2 MiB, one for about every 256 bytes
/// of a base of the usual size.
const MATCHES_LOG: u32 = 18;
/// What a chunk and its base have at most, raw: more than any chunk but one of a very long row.
const LARGEST_RAW_BYTES: u64 = 64 << 20;
/// What a chunk has at least, raw, to be tried: a smaller one costs little as it is.
const SMALLEST_RAW_BYTES: u64 = 1 << 20;
/// How many times as large as a difference its stored base is at least.
const LEAST_RATIO: u64 = 4;

const OTHER_RAW_BYTES: &str = "holds other raw bytes than the catalog says";

impl Repository {
    /// Returns the raw bytes of a blob that is a difference from `base`, both proven.
    pub(super) async fn read_delta(&self, blob: &BlobRef, base: &BlobRef) -> Result<Vec<u8>> {
        let cannot = || format!("cannot read blob {}", blob.digest);
        check(blob, base)?;
        self.find_blob(&blob.digest, blob.size).await?;
        let held = self.hold(base).await.map_err(|error| {
            error.while_doing(&format!("blob {} is a difference from another one", blob.digest))
        })?;
        let stored = self.read_stored(&blob.digest, blob.size).await?;
        let blob = blob.clone();
        let raw = rooms::take(usize::try_from(blob.raw_bytes).unwrap_or_default());
        let raw = spawn_blocking(move || unpack(&blob, &held, &stored, raw)).await;
        raw.context(cannot)?
    }

    /// Returns the raw bytes again and, where it is worth it, the difference that they are from a base.
    /// A base that is not sound is none.
    pub(super) async fn pack_delta(
        &self,
        raw: Vec<u8>,
        raw_digest: &str,
        base: &BlobRef,
    ) -> Result<(Vec<u8>, Option<(BlobRef, Bytes)>)> {
        let Ok(held) = self.hold(base).await else { return Ok((raw, None)) };
        let mut lap = self.stages.begin();
        let (raw_digest, base) = (raw_digest.to_owned(), base.clone());
        let pack = move || {
            lap.skip();
            let packed = pack(&raw, raw_digest, base, &held);
            lap.end(Stage::Compressing, raw.len() as u64);
            (raw, packed)
        };
        spawn_blocking(pack).await.context(|| "cannot compress a chunk".to_owned())
    }

    /// Reads and proves a base, once no other one is in memory.
    async fn hold(&self, base: &BlobRef) -> Result<OwnedMutexGuard<Vec<u8>>> {
        let mut held = Arc::clone(&self.base).lock_owned().await;
        rooms::give_back(mem::take(&mut *held));
        *held = self.read_full(base).await?;
        Ok(held)
    }
}

/// Returns whether so many raw bytes may be stored as a difference from a base.
pub(super) fn is_possible(raw_bytes: u64, base: &BlobRef) -> bool {
    let sizes = SMALLEST_RAW_BYTES..=LARGEST_RAW_BYTES;
    base.base.is_none() && sizes.contains(&raw_bytes) && sizes.contains(&base.raw_bytes)
}

/// Checks what a catalog says of a difference before anything of it is read.
pub(super) fn check(blob: &BlobRef, base: &BlobRef) -> Result<()> {
    let why = if base.base.is_some() {
        "its base is a difference too".to_owned()
    } else if let Some(bytes) =
        [blob.raw_bytes, base.raw_bytes].into_iter().find(|&bytes| bytes > LARGEST_RAW_BYTES)
    {
        format!("{bytes} raw bytes are more than {LARGEST_RAW_BYTES}")
    } else if blob.size > base.size / LEAST_RATIO {
        format!("it has {} bytes, and its base {}", blob.size, base.size)
    } else {
        return Ok(());
    };
    Err(Error::damaged(format!("blob {} is no sound difference: {why}", blob.digest)))
}

/// Returns raw bytes as a difference from a base, unless that comes to more than it may.
fn pack(
    raw: &[u8],
    raw_digest: String,
    base: BlobRef,
    base_raw: &[u8],
) -> Option<(BlobRef, Bytes)> {
    // Compression ends where this is full.
    let mut stored = Vec::with_capacity(usize::try_from(base.size / LEAST_RATIO).ok()?);
    let mut compress = || -> SafeResult {
        let mut context = CCtx::create();
        context.set_parameter(CParameter::CompressionLevel(LEVEL))?;
        context.set_parameter(CParameter::ChecksumFlag(true))?;
        context.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
        context.set_parameter(CParameter::EnableLongDistanceMatching(true))?;
        context.set_parameter(CParameter::LdmHashLog(MATCHES_LOG))?;
        context.ref_prefix(base_raw)?;
        context.compress2(&mut stored, raw)
    };
    compress().ok()?;
    let blob = BlobRef {
        digest: digest::sha256(&stored),
        size: stored.len() as u64,
        raw_digest,
        raw_bytes: raw.len() as u64,
        base: Some(Box::new(base)),
    };
    Some((blob, Bytes::from(stored)))
}

/// Returns the raw bytes of a difference whose stored bytes are proven: no more than there is room for.
fn unpack(blob: &BlobRef, base_raw: &[u8], stored: &[u8], mut raw: Vec<u8>) -> Result<Vec<u8>> {
    let lies = |what: &str| Error::damaged(format!("blob {} {what}", blob.digest));
    let promised = zstd_safe::get_frame_content_size(stored).ok().flatten();
    if promised.is_some_and(|bytes| bytes != blob.raw_bytes) {
        return Err(lies(OTHER_RAW_BYTES));
    }
    let mut decompress = || -> SafeResult {
        let mut context = DCtx::create();
        context.ref_prefix(base_raw)?;
        context.decompress(&mut raw, stored)
    };
    let unpacked = decompress().map_err(zstd_safe::get_error_name);
    unpacked.map_err(|cause| lies("does not decompress").caused_by(cause))?;
    let mut hasher = RawHasher::like(&blob.raw_digest)?;
    hasher.update(&raw);
    if raw.len() as u64 == blob.raw_bytes && hasher.finish() == blob.raw_digest {
        Ok(raw)
    } else {
        Err(lies(OTHER_RAW_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::base::error::Kind;
    use crate::repository::blob;
    use crate::repository::samples;

    struct Scene {
        repository: Repository,
        base: BlobRef,
        base_raw: Vec<u8>,
        delta: BlobRef,
        raw: Vec<u8>,
        _folder: tempfile::TempDir,
    }

    impl Scene {
        /// Returns a repository with a base and a difference from it.
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let repository = samples::repository(folder.path()).await;
            let (base_raw, raw) = samples::changed_rows();
            let writer = repository.writer([]).await.unwrap();
            let base = writer.write(base_raw.clone()).await.unwrap();
            let packed = writer.pack(raw.clone(), Some(&base)).await.unwrap();
            assert_eq!(packed.is_delta, Some(true));
            let delta = writer.store(packed).await.unwrap();
            Self { repository, base, base_raw, delta, raw, _folder: folder }
        }

        fn file_of(&self, blob: &BlobRef) -> PathBuf {
            self.repository.folder().join(blob::blob_name(&blob.digest).unwrap())
        }

        async fn refusal(&self, blob: &BlobRef) -> String {
            let read = self.repository.read_blob(blob).await.unwrap_err();
            let proven = self.repository.prove_blob(blob).await.unwrap_err();
            assert_eq!((read.kind(), read.chain()), (Kind::Damaged, proven.chain()));
            read.chain()
        }
    }

    #[tokio::test]
    async fn a_chunk_of_which_a_few_rows_changed_takes_little_and_comes_back() {
        let scene = Scene::new().await;
        let Scene { repository, base, delta, raw, .. } = &scene;
        assert!(delta.size * 20 < base.size, "{} of {}", delta.size, base.size);
        assert_eq!(delta.base.as_deref(), Some(base));
        assert_eq!(&repository.read_blob(delta).await.unwrap(), raw);
        assert_eq!(repository.prove_blob(delta).await.unwrap(), 40_000);
        let before = BlobRef { raw_digest: digest::sha256(raw), ..delta.clone() };
        assert_eq!(&repository.read_blob(&before).await.unwrap(), raw, "an earlier algorithm");
        let stored = fs::read(scene.file_of(delta)).unwrap();
        let size = zstd_safe::get_frame_content_size(&stored).unwrap();
        assert_eq!(size, Some(raw.len() as u64));
        assert_eq!(stored[4] & 4, 4, "the checksum flag of the frame header");
    }

    #[tokio::test]
    async fn the_zstd_program_opens_a_difference_with_the_raw_bytes_of_its_base() {
        let scene = Scene::new().await;
        let patch = scene.repository.folder().join("base.tsv");
        samples::put(&patch, &scene.base_raw);
        let mut zstd = std::process::Command::new("zstd");
        zstd.args(["-dcq", "--patch-from"]).arg(&patch).arg(scene.file_of(&scene.delta));
        let output = zstd.output().unwrap();
        assert!(output.status.success() && output.stdout == scene.raw, "{:?}", output.status);
    }

    #[tokio::test]
    async fn a_chunk_that_is_small_or_changed_everywhere_is_stored_in_full() {
        let Scene { repository, base, _folder, .. } = Scene::new().await;
        let writer = repository.writer([]).await.unwrap();
        let mixed = samples::rows(40_000, |_| true).into_iter().rev().collect();
        let small = samples::rows(1000, |_| false);
        for (raw, tried) in [(mixed, Some(false)), (small, None)] {
            let raw: Vec<u8> = raw;
            let packed = writer.pack(raw.clone(), Some(&base)).await.unwrap();
            assert_eq!(packed.is_delta, tried);
            let blob = writer.store(packed).await.unwrap();
            assert_eq!(blob.base, None);
            assert_eq!(repository.read_blob(&blob).await.unwrap(), raw);
        }
    }

    #[tokio::test]
    async fn a_snapshot_of_many_chunks_leaves_room_in_its_manifest() {
        let Scene { repository, base, raw, _folder, .. } = Scene::new().await;
        let known = |number: u32| BlobRef { raw_digest: number.to_string(), ..base.clone() };
        let writer = repository.writer((1..3000).map(known)).await.unwrap();
        let mut next = raw.clone();
        let mut tried = Vec::new();
        for _ in 0..2 {
            tried.push(writer.pack(next.clone(), Some(&base)).await.unwrap().is_delta);
            next.extend(b"40000\tone more\n");
        }
        assert_eq!(tried, [Some(true), None]);
    }

    #[tokio::test]
    async fn differences_of_a_snapshot_of_too_many_layers_are_stored_in_full_again() {
        let Scene { repository, delta, base, _folder, .. } = Scene::new().await;
        let known = |number: u32| BlobRef { raw_digest: number.to_string(), ..base.clone() };
        for (others, is_known) in [(1..2998, true), (1..3000, false)] {
            let known = others.map(known).chain([delta.clone()]);
            let writer = repository.writer(known).await.unwrap();
            let found = writer.find_known(&delta.raw_digest, delta.raw_bytes).await;
            assert_eq!(found.is_some(), is_known);
        }
    }

    #[tokio::test]
    async fn a_difference_is_no_base() {
        let Scene { repository, delta, mut raw, _folder, .. } = Scene::new().await;
        raw.extend(b"40000\tone more\n");
        let writer = repository.writer([]).await.unwrap();
        let packed = writer.pack(raw, Some(&delta)).await.unwrap();
        assert_eq!(packed.is_delta, None);
        assert_eq!(writer.store(packed).await.unwrap().base, None);
    }

    #[tokio::test]
    async fn a_base_that_is_damaged_or_absent_is_named_and_the_next_chunk_is_stored_in_full() {
        let scene = Scene::new().await;
        let file = scene.file_of(&scene.base);
        let sound = fs::read(&file).unwrap();
        let mut flipped = sound.clone();
        flipped[1000] ^= 1;
        let raw = samples::rows(40_000, |id| id / 400 == 51);
        for (damaged, why) in [(Some(flipped), "has another content than"), (None, "is absent")] {
            match damaged {
                Some(bytes) => samples::put(&file, &bytes),
                None => fs::remove_file(&file).unwrap(),
            }
            let refusal = scene.refusal(&scene.delta).await;
            let expected = format!(
                "blob {} is a difference from another one: blob {} {why}",
                scene.delta.digest, scene.base.digest
            );
            assert!(refusal.starts_with(&expected), "{refusal}");
            let writer = scene.repository.writer([scene.delta.clone()]).await.unwrap();
            let packed = writer.pack(raw.clone(), Some(&scene.base)).await.unwrap();
            assert_eq!(packed.is_delta, Some(false));
            let blob = writer.store(packed).await.unwrap();
            assert_eq!(scene.repository.read_blob(&blob).await.unwrap(), raw);
        }
        // Unchanged rows are not left to a difference whose base is gone.
        let writer = scene.repository.writer([scene.delta.clone()]).await.unwrap();
        let again = writer.write(scene.raw.clone()).await.unwrap();
        assert_eq!((&again.raw_digest, again.base), (&scene.delta.raw_digest, None));
        let writer = scene.repository.writer([scene.delta.clone()]).await.unwrap();
        writer.write(scene.base_raw.clone()).await.unwrap();
        assert_eq!(fs::read(&file).unwrap(), sound, "the base is mended");
        assert_eq!(writer.write(scene.raw.clone()).await.unwrap(), scene.delta);
    }

    #[tokio::test]
    async fn of_two_blobs_of_the_same_rows_the_one_that_needs_no_other_is_used_again() {
        let scene = Scene::new().await;
        let writer = scene.repository.writer([]).await.unwrap();
        let full = writer.write(scene.raw.clone()).await.unwrap();
        for known in [[&full, &scene.delta], [&scene.delta, &full]] {
            let writer = scene.repository.writer(known.map(Clone::clone)).await.unwrap();
            assert_eq!(writer.write(scene.raw.clone()).await.unwrap(), full);
        }
    }

    #[tokio::test]
    async fn a_lie_about_a_difference_is_damage() {
        let scene = Scene::new().await;
        let Scene { base, delta, .. } = &scene;
        let other_raw = samples::rows(40_000, |id| id % 7 == 0);
        let writer = scene.repository.writer([]).await.unwrap();
        let other = writer.write(other_raw).await.unwrap();
        let of = |base: BlobRef| BlobRef { base: Some(Box::new(base)), ..delta.clone() };
        let deeper = of(of(base.clone()));
        let huge = of(BlobRef { raw_bytes: LARGEST_RAW_BYTES + 1, ..base.clone() });
        let stretched = BlobRef { raw_bytes: LARGEST_RAW_BYTES + 1, ..delta.clone() };
        let poor = of(BlobRef { size: delta.size * 2, ..base.clone() });
        let longer = BlobRef { raw_bytes: delta.raw_bytes + 1, ..delta.clone() };
        let shorter = BlobRef { raw_bytes: delta.raw_bytes - 1, ..delta.clone() };
        let else_raw = BlobRef { raw_digest: digest::sha256(b"else"), ..delta.clone() };
        let full = BlobRef { base: None, ..delta.clone() };
        let false_base = of(BlobRef { raw_digest: digest::sha256(b"else"), ..base.clone() });
        for (lie, why) in [
            (deeper, "its base is a difference too"),
            (huge, "67108865 raw bytes are more than 67108864"),
            (stretched, "67108865 raw bytes are more than 67108864"),
            (poor, "and its base"),
            (of(other), "does not decompress"),
            (longer, "holds other raw bytes"),
            (shorter, "holds other raw bytes"),
            (else_raw, "holds other raw bytes"),
            (full, "does not decompress"),
            (false_base, "holds other raw bytes"),
        ] {
            let refusal = scene.refusal(&lie).await;
            assert!(refusal.contains(why), "{why}: {refusal}");
        }
    }

    #[test]
    fn a_difference_holds_no_more_than_its_raw_size_and_its_room() {
        let base = BlobRef {
            digest: String::new(),
            size: 1 << 20,
            raw_digest: String::new(),
            raw_bytes: 1 << 20,
            base: None,
        };
        let (mut bomb, stored) = pack(&vec![0; 64 << 20], String::new(), base, b"base").unwrap();
        assert!(stored.len() < 10_000);
        let refusal = |bomb: &BlobRef| {
            let room = Vec::with_capacity(1000);
            unpack(bomb, b"base", &stored, room).unwrap_err().chain()
        };
        assert!(refusal(&bomb).contains("does not decompress"));
        bomb.raw_bytes = 1000;
        assert!(refusal(&bomb).contains(OTHER_RAW_BYTES));
    }

    /// Bytes of which a part repeats what stands in others.
    fn made_of(pieces: &[(usize, usize, Vec<u8>)], base: &[u8]) -> Vec<u8> {
        let piece = |(from, length, new): &(usize, usize, Vec<u8>)| {
            let from = from % (base.len() + 1);
            let to = base.len().min(from + length);
            [&base[from..to], new].concat()
        };
        pieces.iter().flat_map(piece).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes_come_back_from_any_base(
            base in prop::collection::vec(any::<u8>(), 0..40_000),
            pieces in prop::collection::vec(
                (any::<usize>(), 0..40_000_usize, prop::collection::vec(any::<u8>(), 0..200)), 0..8),
        ) {
            let raw = made_of(&pieces, &base);
            let named = BlobRef {
                digest: digest::sha256(b"base"),
                size: 4 << 20,
                raw_digest: digest::sha256(&base),
                raw_bytes: base.len() as u64,
                base: None,
            };
            let (blob, stored) = pack(&raw, digest::of_raw(&raw), named, &base).unwrap();
            let room = Vec::with_capacity(raw.len());
            prop_assert_eq!(unpack(&blob, &base, &stored, room).unwrap(), raw);
        }
    }
}
