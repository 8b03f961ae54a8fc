//! Reads single files out of the tar of a tree, for what is to be known before it is staged.
//!
//! As in staging, the list says what must come, and every content that is handed out has its digest.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::io::Read as _;
use std::path::Path;

use rustix::fs::Mode;
use rustix::fs::OFlags;
use tokio::sync::mpsc::Receiver;

use crate::base::digest::sha256;
use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Result;
use crate::source::files::archive;
use crate::source::files::byte_string::ByteString;
use crate::source::files::chunks::ChunkReader;
use crate::source::files::list::Content;
use crate::source::files::list::Entry;
use crate::source::files::list::FileList;

/// A file of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub(super) path: ByteString,
    /// The size of its content.
    pub bytes: u64,
}

impl FileList {
    /// Returns the file, where the list is that of a single one.
    pub fn only_file(&self) -> Option<Listed> {
        self.entries.first().filter(|_| self.is_single_file()).and_then(listed)
    }

    /// Returns the file at this path; where that is one more name of an earlier file, that one.
    pub fn file(&self, path: &str) -> Option<Listed> {
        let at = |path: &[u8]| self.entries.iter().find(|entry| entry.path.bytes() == path);
        let entry = at(path.as_bytes())?;
        match &entry.content {
            Content::HardLink { to } => listed(at(to.bytes())?),
            _ => listed(entry),
        }
    }

    /// Returns whether anything has this path.
    pub fn names(&self, path: &str) -> bool {
        self.entries.iter().any(|entry| entry.path.bytes() == path.as_bytes())
    }
}

fn listed(entry: &Entry) -> Option<Listed> {
    match entry.content {
        Content::File { size, .. } => Some(Listed { path: entry.path.clone(), bytes: size }),
        _ => None,
    }
}

/// The contents of listed files.
#[derive(Default)]
pub struct Contents(BTreeMap<ByteString, Vec<u8>>);

impl Contents {
    /// Returns the content of a file that was read.
    pub fn of(&self, file: &Listed) -> Option<&[u8]> {
        self.0.get(&file.path).map(Vec::as_slice)
    }
}

/// Returns the contents of these files, read from the chunks of the tar. The receiver is dropped
/// as soon as all are there.
pub(super) fn read(
    list: &FileList,
    files: &[Listed],
    chunks: Receiver<Vec<u8>>,
) -> Result<Contents> {
    let mut input = ChunkReader::new(chunks);
    let mut contents = Contents::default();
    for entry in &list.entries {
        let is_wanted = |file: &Listed| !contents.0.contains_key(&file.path);
        if !files.iter().any(is_wanted) {
            break;
        }
        let is_taken = files.iter().any(|file| file.path == entry.path);
        let content = next(&mut input, entry, is_taken).ok_or_else(|| {
            Error::damaged(format!("cannot read `{}`: its tar is not that of the list", entry.path))
        })?;
        if is_taken {
            contents.0.insert(entry.path.clone(), content);
        }
    }
    Ok(contents)
}

/// Takes an entry from the tar; returns its content, or an empty one where that is not taken.
/// Nothing where the tar has another entry.
fn next(input: &mut ChunkReader, entry: &Entry, is_taken: bool) -> Option<Vec<u8>> {
    if !input.takes(&archive::header(entry)) {
        return None;
    }
    let bytes = entry.content.bytes();
    let (mut content, mut missing) = (Vec::new(), bytes);
    while missing > 0 {
        let piece = input.next(missing)?;
        missing -= piece.len() as u64;
        if is_taken {
            content.extend_from_slice(piece);
        }
    }
    let is_listed = match &entry.content {
        Content::File { digest, .. } => !is_taken || *digest == sha256(&content),
        _ => true,
    };
    let is_whole = input.takes(&archive::TRAILER[..archive::padding(bytes)]);
    (is_whole && is_listed).then_some(content)
}

/// Returns what the file at `path` holds, up to so many bytes of it; nothing where no file is.
pub(super) fn live(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let cannot = || format!("cannot read {}", path.display());
    // What is no file is not waited for, as a pipe would have it.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(error) => {
            let error = io::Error::from(error);
            let is_absent =
                matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
            return if is_absent { Ok(None) } else { Err(error).context(cannot) };
        }
    };
    if !file.metadata().context(cannot)?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).context(cannot)?;
    Ok(Some(bytes))
}
