//! What comes back of a saved tree: all of it as it was saved, but for files that get other bytes.
//!
//! The saved list stays the proof of what was saved; this one is the proof of what is restored.
//! Mode, owner, times and attributes of such a file are the saved ones.

use std::collections::BTreeMap;
use std::fmt;

use crate::base::digest::sha256;
use crate::source::files::byte_string::ByteString;
use crate::source::files::contents::Listed;
use crate::source::files::list::Content;
use crate::source::files::list::Entry;
use crate::source::files::list::FileList;
use crate::source::files::list::components;

/// The list of what is to come back, with the bytes that the tar does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    list: FileList,
    given: BTreeMap<ByteString, Given>,
}

/// The content of a file that is not taken from the tar.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Given {
    /// What the file holds.
    pub(super) bytes: Vec<u8>,
    /// Its entry as the tar has it; nothing for a file that was not saved.
    pub(super) saved: Option<Entry>,
}

/// The content may be secret.
impl fmt::Debug for Given {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes", self.bytes.len())
    }
}

impl From<FileList> for Wanted {
    fn from(list: FileList) -> Self {
        Self { list, given: BTreeMap::new() }
    }
}

impl Wanted {
    /// Returns the list of what comes back.
    pub fn list(&self) -> &FileList {
        &self.list
    }

    /// Returns the same, but that a single file comes back with these bytes.
    #[must_use]
    pub fn with_content(mut self, bytes: Vec<u8>) -> Self {
        if self.list.is_single_file()
            && let Some(entry) = self.list.entries.first_mut()
        {
            let saved = Some(entry.clone());
            entry.content = content(&bytes);
            self.given.insert(entry.path.clone(), Given { bytes, saved });
        }
        self
    }

    /// Returns the same with one more file in the top folder, which has these bytes and is in all
    /// else like a file that was saved there. Nothing is added where there is no such file, where
    /// the name is taken, or where patterns leave it out.
    #[must_use]
    pub fn with_file_like(mut self, name: &str, like: &Listed, bytes: Vec<u8>) -> Self {
        let path = ByteString::from(name.as_bytes());
        if self.list.leaves(&path) {
            return self;
        }
        let entries = &mut self.list.entries;
        // The top folder stands first, whatever the names in it are.
        let is_before = |entry: &Entry| components(&entry.path).lt(components(&path));
        let place = entries.iter().skip(1).take_while(|entry| is_before(entry)).count() + 1;
        let is_taken = entries.get(place).is_some_and(|entry| entry.path == path);
        let like = entries.iter().find(|entry| entry.path == like.path);
        if let (Some(like), false) = (like, is_taken) {
            let attributes = like.attributes.clone();
            entries
                .insert(place, Entry { path: path.clone(), content: content(&bytes), attributes });
            self.given.insert(path, Given { bytes, saved: None });
        }
        self
    }

    /// Returns the list, and what of it is given.
    pub(super) fn into_parts(self) -> (FileList, BTreeMap<ByteString, Given>) {
        (self.list, self.given)
    }
}

fn content(bytes: &[u8]) -> Content {
    Content::File { size: bytes.len() as u64, digest: sha256(bytes) }
}
