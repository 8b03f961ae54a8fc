//! Blobs: stored bytes, named by their digest; most are one zstd frame.
//!
//! What is read is proven twice: the stored bytes against the name, the raw bytes against the
//! catalog. A frame is decompressed no further than the catalog says, whatever it promises itself.
//! Hashing and compression run on blocking threads; each call holds one blob in memory.

use std::io;
use std::io::Read as _;

use bytes::Bytes;
use tokio::task::spawn_blocking;
use zstd::bulk::Compressor;
use zstd::stream::read::Decoder;
use zstd::zstd_safe::CParameter;

use crate::base::digest;
use crate::base::digest::Hasher;
use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Result;
use crate::repository::BLOBS;
use crate::repository::Repository;
use crate::repository::catalog::BlobRef;

/// Part of the format in effect: another level gives other blobs for the same rows.
const LEVEL: i32 = 1;
/// Frames of level 1 need 512 KiB; 8 MiB is what the highest ordinary level needs.
const WINDOW_LOG_MAX: u32 = 23;
/// A chunk holds one row at least, and the line of the largest row of a server (1 GiB) takes twice
/// its size when every byte is escaped.
pub(super) const MAX_RAW_BYTES: u64 = (2 << 30) + (64 << 20);
/// What is set aside for raw bytes before any arrive.
const FIRST_BYTES: u64 = 32 << 20;
const PIECE: usize = 128 << 10;

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
            Err(Error::damaged(format!("blob {digest} has another content than its name says")))
        }
    }

    /// Returns the raw bytes of a blob, proven by both digests.
    pub async fn read_blob(&self, blob: &BlobRef) -> Result<Vec<u8>> {
        let stored = self.read_stored(&blob.digest, blob.size).await?;
        let known = blob.clone();
        let read = spawn_blocking(move || {
            let first = usize::try_from(known.raw_bytes.min(FIRST_BYTES)).unwrap_or_default();
            let mut raw = Vec::with_capacity(first);
            unpack(&stored, &known, |piece| raw.extend_from_slice(piece)).map(|()| raw)
        });
        read.await.context(|| cannot_read(&blob.digest))?
    }

    /// Reads a blob and proves it by both digests; returns the number of newlines in it. Holds no
    /// more of the raw bytes than a piece.
    pub async fn prove_blob(&self, blob: &BlobRef) -> Result<u64> {
        let stored = self.read_stored(&blob.digest, blob.size).await?;
        let known = blob.clone();
        let read = spawn_blocking(move || {
            let mut newlines = 0;
            let count = |piece: &[u8]| newlines += memchr::memchr_iter(b'\n', piece).count() as u64;
            unpack(&stored, &known, count).map(|()| newlines)
        });
        read.await.context(|| cannot_read(&blob.digest))?
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

/// Returns raw bytes as one zstd frame, with a checksum and the raw size in it.
pub(super) fn pack(raw: &[u8], raw_digest: String) -> Result<(BlobRef, Bytes)> {
    let compress = || -> io::Result<Vec<u8>> {
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        compressor.compress(raw)
    };
    let stored = compress().context(|| "cannot compress a chunk".to_owned())?;
    let blob = BlobRef {
        digest: digest::sha256(&stored),
        size: stored.len() as u64,
        raw_digest,
        raw_bytes: raw.len() as u64,
    };
    Ok((blob, Bytes::from(stored)))
}

/// Decompresses a blob piece by piece, no further than the raw size, and proves the raw digest.
fn unpack(stored: &[u8], blob: &BlobRef, mut take: impl FnMut(&[u8])) -> Result<()> {
    let lies = |what: &str| Error::damaged(format!("blob {} {what}", blob.digest));
    let open = || -> io::Result<Decoder<'_, &[u8]>> {
        let mut decoder = Decoder::with_buffer(stored)?;
        decoder.window_log_max(WINDOW_LOG_MAX)?;
        Ok(decoder)
    };
    let mut decoder = open().context(|| cannot_read(&blob.digest))?;
    let mut hasher = Hasher::default();
    let mut left = blob.raw_bytes;
    let mut piece = vec![0; PIECE];
    loop {
        let read = decoder.read(&mut piece);
        let length = read.map_err(|cause| lies("does not decompress").caused_by(cause))?;
        if length == 0 {
            break;
        }
        left = left
            .checked_sub(length as u64)
            .ok_or_else(|| lies(&format!("holds more than {} raw bytes", blob.raw_bytes)))?;
        hasher.update(&piece[..length]);
        take(&piece[..length]);
    }
    if left > 0 || hasher.finish() != blob.raw_digest {
        return Err(lies("holds other raw bytes than the catalog says"));
    }
    Ok(())
}

fn absent(digest: &str) -> Error {
    Error::damaged(format!("blob {digest} is absent"))
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
        pack(raw, digest::sha256(raw)).unwrap()
    }

    fn unpacked(stored: &[u8], blob: &BlobRef) -> Result<Vec<u8>> {
        let mut raw = Vec::new();
        unpack(stored, blob, |piece| raw.extend_from_slice(piece)).map(|()| raw)
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
        let mut seen = 0;
        let error = unpack(&stored, &blob, |piece| seen += piece.len()).unwrap_err();
        assert!(error.to_string().contains("more than 1000 raw bytes"), "{error}");
        assert_eq!(seen, 0);
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
