//! An archive that somebody brought: which entries it has, and the bytes of each.
//!
//! Names are compared with what a layout may hold and never become paths. No entry is larger than
//! the file that holds it, so nothing is allocated on the word of a header alone.

use std::collections::HashMap;
use std::fs;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::TryStreamExt as _;
use futures_util::stream;
use tar::EntryType;
use tokio::task::spawn_blocking;

use super::BLOB_ENTRIES;
use super::INDEX_ENTRY;
use super::LAYOUT_ENTRY;
use crate::base::digest;
use crate::base::digest::Hasher;
use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::repository::blob;

/// Bytes of a blob that are read at once.
const PIECE_BYTES: u64 = 1 << 20;
const BLOCK: u64 = 512;
/// Two blocks of zeros end an archive; tar programs fill up to their record size.
const END_BLOCKS: u64 = 2;
const MAX_END_BYTES: u64 = 1 << 20;
/// More than the layers of the largest manifest, the files beside them and their folders.
const MAX_ENTRIES: usize = 10_000;

/// An archive, its entries known and none of its bytes trusted.
pub(super) struct Incoming {
    file: Arc<File>,
    entries: HashMap<String, Extent>,
}

#[derive(Clone, Copy)]
struct Extent {
    offset: u64,
    size: u64,
}

impl Incoming {
    /// Opens an archive and reads the headers of its entries.
    pub(super) async fn open(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        let open = move || {
            let cannot = || format!("cannot open archive {}", path.display());
            if !fs::metadata(&path).context(cannot)?.is_file() {
                let hint = "an archive is one file, as `snap download` writes it";
                return Err(Error::new(Kind::Usage, cannot()).hint(hint));
            }
            let file = File::open(&path).context(cannot)?;
            let entries = read_entries(&file).map_err(|error| error.while_doing(&cannot()))?;
            Ok(Self { file: Arc::new(file), entries })
        };
        spawn_blocking(open).await.context(|| "cannot open an archive".to_owned())?
    }

    /// Returns the bytes of an entry other than a blob, at most so many.
    pub(super) async fn document(&self, name: &str, limit: u64) -> Result<Bytes> {
        let absent = || Error::damaged(format!("the archive has no {name}"));
        let extent = *self.entries.get(name).ok_or_else(absent)?;
        if extent.size > limit {
            let text = format!("{name} has {} bytes, {limit} at most", extent.size);
            return Err(Error::damaged(text));
        }
        self.read(extent).await
    }

    /// Returns the bytes of a blob that is held in memory, proven by its digest.
    pub(super) async fn blob(&self, digest: &str, size: u64) -> Result<Bytes> {
        let pieces: Vec<Bytes> = self.pieces(digest, size).try_collect().await?;
        Ok(Bytes::from(pieces.concat()))
    }

    /// Returns the bytes of a blob in pieces; the last is an error where they are not the digest's.
    pub(super) fn pieces(&self, digest: &str, size: u64) -> impl Stream<Item = Result<Bytes>> {
        let start = Some((0, Hasher::default()));
        stream::try_unfold(start, move |state| async move {
            let Some((from, hasher)) = state else { return Ok(None) };
            let Extent { offset, size } = self.find(digest, size)?;
            let length = PIECE_BYTES.min(size - from);
            if length == 0 {
                let is_sound = hasher.finish() == digest;
                return if is_sound { Ok(None) } else { Err(blob::misnamed(digest)) };
            }
            let piece = self.read(Extent { offset: offset + from, size: length }).await?;
            let hasher = blob::hashed(hasher, piece.clone()).await?;
            Ok(Some((piece, Some((from + length, hasher)))))
        })
    }

    /// Checks that the blobs of the archive are these, with these sizes, and no others.
    pub(super) fn check_blobs(&self, named: &[(String, u64)]) -> Result<()> {
        for (digest, size) in named {
            self.find(digest, *size)?;
        }
        let named: Vec<&str> =
            named.iter().filter_map(|(name, _)| digest::sha256_hex(name)).collect();
        let named: std::collections::HashSet<&str> = named.into_iter().collect();
        let is_extra = |name: &&String| {
            name.strip_prefix(BLOB_ENTRIES).is_some_and(|hex| !named.contains(hex))
        };
        match self.entries.keys().filter(is_extra).min() {
            Some(extra) => {
                Err(Error::damaged(format!("the archive holds {extra}, which nothing names")))
            }
            None => Ok(()),
        }
    }

    fn find(&self, digest: &str, size: u64) -> Result<Extent> {
        let hex = digest::sha256_hex(digest).unwrap_or_default();
        match self.entries.get(&format!("{BLOB_ENTRIES}{hex}")) {
            Some(extent) if extent.size == size => Ok(*extent),
            Some(Extent { size: found, .. }) => {
                Err(Error::damaged(format!("blob {digest} has {found} bytes instead of {size}")))
            }
            None => Err(Error::damaged(format!("blob {digest} is absent"))),
        }
    }

    async fn read(&self, extent: Extent) -> Result<Bytes> {
        let file = Arc::clone(&self.file);
        let read = move || {
            let length = usize::try_from(extent.size).map_err(io::Error::other)?;
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, extent.offset).map(|()| Bytes::from(bytes))
        };
        let read = spawn_blocking(read).await.map_err(io::Error::from).flatten();
        read.context(|| "cannot read the archive".to_owned())
    }
}

fn read_entries(file: &File) -> Result<HashMap<String, Extent>> {
    let length = file.metadata().context(|| "cannot read its size".to_owned())?.len();
    let mut archive = tar::Archive::new(file);
    // Raw: neither long names nor extended headers are followed, nobody needs them here.
    let raw = archive.entries_with_seek().context(|| "cannot read it".to_owned())?.raw(true);
    let mut entries = HashMap::new();
    let mut end = 0;
    for (count, entry) in raw.enumerate() {
        let entry = entry.map_err(|cause| Error::damaged("it is no sound tar").caused_by(cause))?;
        let extent = Extent { offset: entry.raw_file_position(), size: entry.size() };
        let padded = extent.size.checked_next_multiple_of(BLOCK);
        end = padded.and_then(|size| extent.offset.checked_add(size)).ok_or_else(truncated)?;
        if end > length {
            return Err(truncated());
        }
        if count >= MAX_ENTRIES {
            return Err(Error::damaged(format!("it has more than {MAX_ENTRIES} entries")));
        }
        let Some(name) = file_name(&entry.path_bytes(), entry.header().entry_type())? else {
            continue;
        };
        if entries.insert(name.clone(), extent).is_some() {
            return Err(Error::damaged(format!("it has {name} twice")));
        }
    }
    check_end(file, end, length)?;
    Ok(entries)
}

/// Returns the name of a file that a layout has, `None` for a folder or an extended header.
fn file_name(name: &[u8], entry_type: EntryType) -> Result<Option<String>> {
    let shown = String::from_utf8_lossy(name).into_owned();
    let refused = |why: &str| Error::damaged(format!("it has entry {shown:?}, which is {why}"));
    let mut inner = shown.as_str();
    while let Some(rest) = inner.strip_prefix("./") {
        inner = rest;
    }
    match entry_type {
        EntryType::XHeader | EntryType::XGlobalHeader => Ok(None),
        EntryType::Directory => match inner.trim_end_matches('/') {
            "" | "." | "blobs" | "blobs/sha256" => Ok(None),
            _ => Err(refused("no folder of an image layout")),
        },
        EntryType::Regular => {
            let hex = inner.strip_prefix(BLOB_ENTRIES);
            let is_blob =
                hex.is_some_and(|hex| digest::sha256_hex(&format!("sha256:{hex}")).is_some());
            if is_blob || inner == LAYOUT_ENTRY || inner == INDEX_ENTRY {
                Ok(Some(inner.to_owned()))
            } else {
                Err(refused("no file of an image layout"))
            }
        }
        _ => Err(refused("neither a file nor a folder")),
    }
}

/// After the last entry stand two blocks of zeros at least, and nothing but zeros.
fn check_end(file: &File, end: u64, length: u64) -> Result<()> {
    let rest = length.saturating_sub(end);
    if rest < END_BLOCKS * BLOCK {
        return Err(truncated());
    }
    let mut bytes = vec![0; usize::try_from(rest.min(MAX_END_BYTES)).unwrap_or_default()];
    file.read_exact_at(&mut bytes, end).context(|| "cannot read its end".to_owned())?;
    if rest > MAX_END_BYTES || bytes.iter().any(|byte| *byte != 0) {
        return Err(Error::damaged("it goes on after its end"));
    }
    Ok(())
}

fn truncated() -> Error {
    Error::damaged("it is truncated").hint("copy or download it again")
}
