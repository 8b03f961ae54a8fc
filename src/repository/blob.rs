//! Blobs: stored bytes, named by their digest; most are one zstd frame.
//!
//! What is read is proven twice: the stored bytes against the name, the raw bytes against the
//! catalog, rows that are loaded by what proves a table. A frame is decompressed no further than the
//! catalog says or there is room already, whatever it promises itself.
//! Hashing and compression run on blocking threads. A blob is proven piece by piece, and nothing of it is
//! held; whoever wants its raw bytes holds these, and its stored bytes for a moment, unless it is larger
//! than most chunks are. A difference is read whole, beside its base: see `delta`.

use std::io;
use std::pin::pin;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::TryStreamExt as _;
use futures_util::stream;
use tokio::task::spawn_blocking;
use zstd::bulk::Compressor;
use zstd::bulk::Decompressor;
use zstd::zstd_safe::CParameter;
use zstd::zstd_safe::compress_bound;

use crate::base::digest;
use crate::base::digest::Hasher;
use crate::base::digest::RawHasher;
use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::rooms;
use crate::repository::BLOBS;
use crate::repository::Repository;
use crate::repository::catalog::BlobRef;
use crate::repository::unpacking::Unpacking;

/// Part of the format in effect: another level gives other blobs for the same rows.
pub(super) const LEVEL: i32 = 1;
/// The places, as a power of two, where the compressor looks for what it has seen: rows repeat what is
/// near. A quarter of the usual ones are 7 % faster, and no larger.
const PLACES_LOG: u32 = 12;
/// A chunk holds one row at least, and the line of the largest row of a server (1 GiB) takes twice
/// its size when every byte is escaped.
pub(super) const MAX_RAW_BYTES: u64 = (2 << 30) + (64 << 20);
/// What is set aside at most for raw bytes before any arrive: more than most chunks have.
const FIRST_BYTES: u64 = 34 << 20;
/// What raw and stored bytes take at most together that are unpacked at once.
const AT_ONCE_BYTES: u64 = 32 << 20;
/// Stored bytes that are read at once.
const PIECE_BYTES: u64 = 1 << 20;

/// What proves a blob.
#[derive(Debug, Clone, Copy)]
enum Proof {
    /// The digest of its stored bytes, and that of the raw ones.
    BothDigests,
    /// The digest of its stored bytes alone.
    Name,
}

impl Repository {
    /// Returns the stored bytes of a blob, proven by its digest.
    pub async fn read_stored(&self, digest: &str, size: u64) -> Result<Bytes> {
        let Some(stored) = self.store.get(&blob_name(digest)?, size).await? else {
            return Err(absent(digest));
        };
        if stored.len() as u64 != size {
            return Err(wrong_size(digest, stored.len() as u64, size));
        }
        let hashed = stored.clone();
        let found = spawn_blocking(move || digest::sha256(&hashed)).await;
        if found.context(|| cannot_read(digest))? == digest {
            Ok(stored)
        } else {
            Err(misnamed(digest))
        }
    }

    /// Returns the raw bytes of a blob, proven by both digests.
    pub async fn read_blob(&self, blob: &BlobRef) -> Result<Vec<u8>> {
        self.read(blob, Proof::BothDigests).await
    }

    /// Returns the raw bytes of a blob of rows. They are what the stored bytes are, which are proven by
    /// their name; that they are the rows of the catalog is left to whoever loads them, whose proof is
    /// another one. The raw digest is compared where it costs little beside the rest: of a difference, and
    /// of a blob that is unpacked piece by piece.
    pub async fn read_rows(&self, blob: &BlobRef) -> Result<Vec<u8>> {
        self.read(blob, Proof::Name).await
    }

    async fn read(&self, blob: &BlobRef, proof: Proof) -> Result<Vec<u8>> {
        match &blob.base {
            Some(base) => self.read_delta(blob, base).await,
            None if blob.raw_bytes.saturating_add(blob.size) <= AT_ONCE_BYTES => {
                self.read_at_once(blob, proof).await
            }
            None => self.read_full(blob).await,
        }
    }

    /// Returns the raw bytes of a blob as large as most chunks are: in less time than piece by piece, since
    /// the decoder puts them where they stay.
    async fn read_at_once(&self, blob: &BlobRef, proof: Proof) -> Result<Vec<u8>> {
        // Allocated here and not by blocking threads: the allocator keeps what each thread frees.
        let mut stored = Vec::with_capacity(usize::try_from(blob.size).unwrap_or_default());
        let raw = rooms::take(usize::try_from(blob.raw_bytes).unwrap_or_default());
        let mut pieces = pin!(self.pieces(&blob.digest, blob.size));
        while let Some(piece) = pieces.try_next().await? {
            stored.extend_from_slice(&piece);
        }
        let packed = blob.clone();
        let unpack = move || (unpacked_at_once(&packed, &stored, raw, proof), stored);
        let unpacked = spawn_blocking(unpack).await;
        let (unpacked, stored) = unpacked.context(|| cannot_read(&blob.digest))?;
        drop(stored);
        match unpacked {
            Some(raw) => Ok(raw),
            // Piece by piece it can be told what is wrong.
            None => Box::pin(self.read_full(blob)).await,
        }
    }

    /// Returns the raw bytes of a blob that is no difference.
    pub(super) async fn read_full(&self, blob: &BlobRef) -> Result<Vec<u8>> {
        let first = usize::try_from(blob.raw_bytes.min(FIRST_BYTES)).unwrap_or_default();
        self.unpack(blob, rooms::take(first), Vec::extend_from_slice).await
    }

    /// Reads a blob and proves it by both digests; returns the number of newlines in it. Holds no
    /// more of it than a piece, unless it is a difference.
    pub async fn prove_blob(&self, blob: &BlobRef) -> Result<u64> {
        let count = |newlines: &mut u64, piece: &[u8]| {
            *newlines += memchr::memchr_iter(b'\n', piece).count() as u64;
        };
        if let Some(base) = &blob.base {
            let mut newlines = 0;
            let raw = self.read_delta(blob, base).await?;
            count(&mut newlines, &raw);
            rooms::give_back(raw);
            return Ok(newlines);
        }
        self.unpack(blob, 0, count).await
    }

    /// Reads a blob and proves it by its name. Holds no more of it than a piece.
    pub(super) async fn prove_stored(&self, digest: &str, size: u64) -> Result<()> {
        let mut hasher = Hasher::default();
        let mut pieces = pin!(self.pieces(digest, size));
        while let Some(piece) = pieces.try_next().await? {
            hasher = hashed(hasher, piece).await?;
        }
        if hasher.finish() == digest { Ok(()) } else { Err(misnamed(digest)) }
    }

    /// Decompresses a blob piece by piece, each passed to `take`.
    async fn unpack<S: Send + 'static>(
        &self,
        blob: &BlobRef,
        state: S,
        take: fn(&mut S, &[u8]),
    ) -> Result<S> {
        let mut unpacking = Unpacking::new(blob.clone(), state, take)?;
        let mut pieces = pin!(self.pieces(&blob.digest, blob.size));
        while let Some(piece) = pieces.try_next().await? {
            let added = spawn_blocking(move || {
                unpacking.add(&piece);
                unpacking
            });
            unpacking = added.await.context(|| cannot_read(&blob.digest))?;
        }
        unpacking.finish()
    }

    /// Returns the stored bytes of a blob that has this size, unproven.
    fn pieces(&self, digest: &str, size: u64) -> impl Stream<Item = Result<Bytes>> {
        stream::try_unfold(0, move |from| async move {
            if from == 0 {
                self.find_blob(digest, size).await?;
            }
            let to = size.min(from + PIECE_BYTES);
            if from == to {
                return Ok(None);
            }
            let piece = self.store.get_range(&blob_name(digest)?, from..to).await?;
            Ok(Some((piece.ok_or_else(|| absent(digest))?, to)))
        })
    }

    /// Checks that a blob is there with the right size.
    pub async fn find_blob(&self, digest: &str, size: u64) -> Result<()> {
        match self.store.size(&blob_name(digest)?).await? {
            Some(found) if found == size => Ok(()),
            Some(found) => Err(wrong_size(digest, found, size)),
            None => Err(absent(digest)),
        }
    }
}

/// Returns the path of a blob; a malformed digest never becomes a path.
pub(super) fn blob_name(digest: &str) -> Result<String> {
    let malformed = || Error::damaged(format!("{digest:?} is not a SHA-256 digest"));
    digest::sha256_hex(digest).map(|hex| format!("{BLOBS}/{hex}")).ok_or_else(malformed)
}

/// Returns raw bytes as one zstd frame, with a checksum and the raw size in it, in a [room](rooms).
pub(super) fn pack(raw: &[u8], raw_digest: String) -> Result<(BlobRef, Vec<u8>)> {
    let mut stored = rooms::take(compress_bound(raw.len()));
    let mut compress = || -> io::Result<usize> {
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        compressor.set_parameter(CParameter::HashLog(PLACES_LOG))?;
        compressor.compress_to_buffer(raw, &mut stored)
    };
    compress().context(|| "cannot compress a chunk".to_owned())?;
    let blob = BlobRef {
        digest: digest::sha256(&stored),
        size: stored.len() as u64,
        raw_digest,
        raw_bytes: raw.len() as u64,
        base: None,
    };
    Ok((blob, stored))
}

/// Returns the raw bytes that the stored ones of a blob are, in this room; `None` where they are not those
/// of the catalog. It needs no window: a frame of somebody else with a larger one than `verify` takes is
/// read all the same.
fn unpacked_at_once(
    blob: &BlobRef,
    stored: &[u8],
    mut raw: Vec<u8>,
    proof: Proof,
) -> Option<Vec<u8>> {
    if digest::sha256(stored) != blob.digest {
        return None;
    }
    let size = Decompressor::new().ok()?.decompress_to_buffer(stored, &mut raw).ok()?;
    let is_whole = size as u64 == blob.raw_bytes;
    let is_proven = || match proof {
        Proof::Name => Some(true),
        Proof::BothDigests => {
            let mut hasher = RawHasher::like(&blob.raw_digest).ok()?;
            hasher.update(&raw);
            Some(hasher.finish() == blob.raw_digest)
        }
    };
    (is_whole && is_proven()?).then_some(raw)
}

fn absent(digest: &str) -> Error {
    Error::damaged(format!("blob {digest} is absent"))
}

/// Returns the error for a blob whose bytes are not those of its digest.
pub fn misnamed(digest: &str) -> Error {
    Error::damaged(format!("blob {digest} has another content than its name says"))
}

/// Returns the hasher with the next bytes in it.
pub async fn hashed(mut hasher: Hasher, piece: Bytes) -> Result<Hasher> {
    let added = spawn_blocking(move || {
        hasher.update(&piece);
        hasher
    });
    added.await.context(|| "cannot hash a blob".to_owned())
}

fn wrong_size(digest: &str, found: u64, size: u64) -> Error {
    Error::damaged(format!("blob {digest} has {found} bytes instead of {size}"))
}

fn cannot_read(digest: &str) -> String {
    format!("cannot read blob {digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(raw: &[u8]) -> (BlobRef, Bytes) {
        let (blob, stored) = pack(raw, digest::sha256(raw)).unwrap();
        (blob, Bytes::from(stored))
    }

    /// Unpacks stored bytes in pieces of this size.
    fn unpacked_by(size: usize, stored: &[u8], blob: &BlobRef) -> Result<Vec<u8>> {
        let blob = BlobRef { digest: digest::sha256(stored), ..blob.clone() };
        let mut unpacking = Unpacking::new(blob, Vec::new(), Vec::extend_from_slice).unwrap();
        stored.chunks(size).for_each(|piece| unpacking.add(piece));
        unpacking.finish()
    }

    fn unpacked(stored: &[u8], blob: &BlobRef) -> Result<Vec<u8>> {
        unpacked_by(1 << 20, stored, blob)
    }

    #[test]
    fn a_frame_holds_its_raw_size_and_a_checksum() {
        let raw = vec![7; 300_000];
        let (blob, stored) = packed(&raw);
        assert_eq!(zstd::zstd_safe::get_frame_content_size(&stored).unwrap(), Some(300_000));
        assert_eq!(stored[4] & 4, 4, "the checksum flag of the frame header");
        assert_eq!(unpacked(&stored, &blob).unwrap(), raw);
        assert_eq!(packed(&raw), (blob, stored), "the same rows give the same blob");
    }

    #[test]
    fn nothing_is_a_blob_too() {
        let (blob, stored) = packed(b"");
        assert_eq!(unpacked(&stored, &blob).unwrap(), b"");
    }

    #[test]
    fn a_frame_is_read_no_further_than_its_raw_size() {
        let (mut blob, stored) = packed(&vec![0; 64 << 20]);
        assert!(stored.len() < 10_000, "a bomb");
        blob.raw_bytes = 1000;
        let nothing = |(): &mut (), _: &[u8]| panic!("it was passed on");
        let mut unpacking = Unpacking::new(blob, (), nothing).unwrap();
        unpacking.add(&stored);
        let error = unpacking.finish().unwrap_err();
        assert!(error.to_string().contains("more than 1000 raw bytes"), "{error}");
    }

    #[test]
    fn a_frame_comes_in_pieces_of_any_size_and_whole() {
        let raw: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let (blob, stored) = packed(&raw);
        for size in [1, 7, 4096, stored.len()] {
            assert_eq!(unpacked_by(size, &stored, &blob).unwrap(), raw, "pieces of {size}");
        }
        // The last bytes are the checksum: all of the raw bytes are there without.
        for length in [stored.len() - 1, stored.len() - 4] {
            let error = unpacked(&stored[..length], &blob).unwrap_err();
            assert!(error.to_string().contains("does not decompress"), "{error}");
        }
        let more = [&stored[..], b"x"].concat();
        assert!(unpacked(&more, &blob).unwrap_err().to_string().contains("does not decompress"));
    }

    #[test]
    fn what_is_unpacked_at_once_is_all_of_the_blob_or_nothing() {
        let raw = b"1\ta\n2\tb\n";
        let (blob, stored) = packed(raw);
        let at_once = |blob: &BlobRef, stored: &[u8], proof| {
            let room = Vec::with_capacity(usize::try_from(blob.raw_bytes).unwrap());
            let named = BlobRef { digest: digest::sha256(stored), ..blob.clone() };
            let at_once = unpacked_at_once(&named, stored, room, proof);
            let in_more_room = unpacked_at_once(&named, stored, vec![0; 100], proof);
            assert_eq!(at_once, in_more_room);
            at_once
        };
        for proof in [Proof::BothDigests, Proof::Name] {
            assert_eq!(at_once(&blob, &stored, proof).as_deref(), Some(&raw[..]));
            for raw_bytes in [blob.raw_bytes - 1, blob.raw_bytes + 1] {
                let other = BlobRef { raw_bytes, ..blob.clone() };
                assert_eq!(at_once(&other, &stored, proof), None, "{raw_bytes} bytes");
            }
            let more = [&stored[..], b"x"].concat();
            for stored in [&stored[..stored.len() - 1], &more, b""] {
                assert_eq!(at_once(&blob, stored, proof), None, "{stored:?}");
            }
        }
        let misnamed = BlobRef { digest: digest::sha256(b"else"), ..blob.clone() };
        assert_eq!(unpacked_at_once(&misnamed, &stored, vec![0; 8], Proof::Name), None);
        let other = BlobRef { raw_digest: digest::of_raw(b"else"), ..blob };
        assert_eq!(at_once(&other, &stored, Proof::BothDigests), None);
        assert_eq!(at_once(&other, &stored, Proof::Name).as_deref(), Some(&raw[..]));
    }

    #[test]
    fn what_is_not_named_by_its_digest_is_said_to_be_so_whatever_else_is_wrong() {
        let (blob, stored) = packed(b"1\ta\n2\tb\n");
        let mut unpacking = Unpacking::new(blob, (), |(), _| {}).unwrap();
        unpacking.add(b"no frame");
        unpacking.add(&stored);
        let error = unpacking.finish().unwrap_err();
        assert!(error.to_string().contains("another content than its name says"), "{error}");
    }

    #[test]
    fn a_frame_that_needs_a_large_window_is_damaged() {
        let raw: Vec<u8> = (0..40_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
        let mut compressor = Compressor::new(1).unwrap();
        compressor.set_parameter(CParameter::WindowLog(27)).unwrap();
        let stored = compressor.compress(&raw).unwrap();
        let (blob, _) = packed(&raw);
        assert!(unpacked(&stored, &blob).unwrap_err().to_string().contains("decompress"));
    }

    #[test]
    fn a_blob_with_other_or_fewer_raw_bytes_is_damaged() {
        let (blob, stored) = packed(b"1\ta\n2\tb\n");
        let longer = BlobRef { raw_bytes: blob.raw_bytes + 1, ..blob.clone() };
        let other = BlobRef { raw_digest: digest::sha256(b"else"), ..blob };
        for lie in [longer, other] {
            let error = unpacked(&stored, &lie).unwrap_err();
            assert!(error.to_string().contains("other raw bytes"), "{error}");
        }
    }
}
