//! A blob on its way from its stored to its raw bytes, piece by piece.
//!
//! The stored bytes are proven against the name, the raw bytes against the catalog, and no more raw
//! bytes come out than the catalog says, whatever a frame promises. Nothing is held but a piece and
//! the window of the decoder. What comes out is proven only once [`Unpacking::finish`] says so.

use std::io;

use zstd::stream::raw::DParameter;
use zstd::stream::raw::Decoder;
use zstd::stream::raw::Operation as _;

use crate::base::digest::Hasher;
use crate::base::digest::RawHasher;
use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Result;
use crate::repository::blob;
use crate::repository::catalog::BlobRef;

/// Frames of level 1 need 512 KiB; 8 MiB is what the highest ordinary level needs.
const WINDOW_LOG_MAX: u32 = 23;
const PIECE_BYTES: usize = 128 << 10;

/// A blob that is being unpacked, and what is made of its raw bytes.
pub(super) struct Unpacking<S> {
    blob: BlobRef,
    state: S,
    take: fn(&mut S, &[u8]),
    decoder: Decoder<'static>,
    stored: Hasher,
    raw: RawHasher,
    /// The raw bytes that may still come.
    left: u64,
    /// Whether all frames that have begun have ended.
    is_whole: bool,
    piece: Vec<u8>,
    failure: Option<Error>,
}

impl<S> Unpacking<S> {
    /// Begins to unpack a blob; `take` gets the raw bytes in order.
    pub(super) fn new(blob: BlobRef, state: S, take: fn(&mut S, &[u8])) -> Result<Self> {
        let open = || -> io::Result<Decoder<'static>> {
            let mut decoder = Decoder::new()?;
            decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
            Ok(decoder)
        };
        let decoder = open().context(|| format!("cannot read blob {}", blob.digest))?;
        Ok(Self {
            left: blob.raw_bytes,
            raw: RawHasher::like(&blob.raw_digest)?,
            blob,
            state,
            take,
            decoder,
            stored: Hasher::default(),
            is_whole: true,
            piece: vec![0; PIECE_BYTES],
            failure: None,
        })
    }

    /// Takes the next stored bytes. Once something is wrong they are hashed and no more: a blob with
    /// another content than its name says is told as that.
    pub(super) fn add(&mut self, stored: &[u8]) {
        self.stored.update(stored);
        if self.failure.is_none() {
            self.failure = self.decode(stored).err();
        }
    }

    fn decode(&mut self, mut stored: &[u8]) -> Result<()> {
        let mut is_full = false;
        while !stored.is_empty() || (is_full && !self.is_whole) {
            let status = self.decoder.run_on_buffers(stored, &mut self.piece);
            let status =
                status.map_err(|cause| self.lies("does not decompress").caused_by(cause))?;
            stored = &stored[status.bytes_read..];
            self.is_whole = status.remaining == 0;
            is_full = status.bytes_written == self.piece.len();
            self.pass(status.bytes_written)?;
        }
        Ok(())
    }

    fn pass(&mut self, length: usize) -> Result<()> {
        let left = self.left.checked_sub(length as u64);
        self.left = left.ok_or_else(|| {
            self.lies(&format!("holds more than {} raw bytes", self.blob.raw_bytes))
        })?;
        let raw = &self.piece[..length];
        self.raw.update(raw);
        (self.take)(&mut self.state, raw);
        Ok(())
    }

    /// Returns what was made of the raw bytes, once both digests are proven.
    pub(super) fn finish(mut self) -> Result<S> {
        if std::mem::take(&mut self.stored).finish() != self.blob.digest {
            return Err(blob::misnamed(&self.blob.digest));
        }
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if !self.is_whole {
            return Err(self.lies("does not decompress: it ends too early"));
        }
        if self.left > 0 || self.raw.finish() != self.blob.raw_digest {
            return Err(lies(&self.blob, "holds other raw bytes than the catalog says"));
        }
        Ok(self.state)
    }

    fn lies(&self, what: &str) -> Error {
        lies(&self.blob, what)
    }
}

fn lies(blob: &BlobRef, what: &str) -> Error {
    Error::damaged(format!("blob {} {what}", blob.digest))
}
