//! The list of a file tree: what is in it, entry by entry, with the digest of each content.
//!
//! The list rules and the tar obeys: a restore takes from the tar the bytes of the files alone.
//! A list that comes from a repository is hostile until [`FileList::from_detail`] has seen it:
//! each path stays below the top, each folder is named before what is in it, nothing is named
//! twice. Its digest is the SHA-256 of its entries as JSON, one a line, so that
//! `jq -c '.entries[]' | sha256sum` gives it too.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use crate::base::digest::Hasher;
use crate::base::error::Error;
use crate::base::error::Result;
use crate::source::files::byte_string::ByteString;
use crate::source::files::globs::Choice;
use crate::source::files::globs::Globs;
use crate::source::files::leftovers::is_hidden_inside;

/// The path of the top folder of a tree.
pub(super) const TOP: &[u8] = b".";

/// As deep as a path leads that the system takes: 4096 bytes. Each level is a descriptor and a call
/// on the stack.
const MAX_DEPTH: usize = 2048;

/// The entries of a folder and all that is in it, or the one entry of a single file.
///
/// A folder comes right before what is in it, and names in a folder are sorted as bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileList {
    pub(super) entries: Vec<Entry>,
    /// What was left out of it; the catalog keeps that.
    #[serde(skip)]
    pub(super) globs: Globs,
}

/// One file, folder or link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The path below the top; `.` is the top folder, and a single file has its name.
    pub(super) path: ByteString,
    #[serde(flatten)]
    pub(super) content: Content,
    #[serde(flatten)]
    pub(super) attributes: Attributes,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Content {
    Folder,
    File {
        size: u64,
        digest: String,
    },
    Symlink {
        to: ByteString,
    },
    /// One more name of the file at an earlier path, whose attributes are its own too.
    HardLink {
        to: ByteString,
    },
}

/// What an entry has beside its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attributes {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<String>,
    pub(super) mtime: Mtime,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) xattrs: BTreeMap<ByteString, ByteString>,
}

/// When the content changed last: seconds since 1970, and the nanoseconds after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mtime {
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
}

/// A list as a repository has it.
#[derive(Deserialize)]
struct StoredList {
    entries: Vec<Entry>,
}

impl FileList {
    /// Returns the list that a repository kept, or `Damaged` where following it could lead
    /// outside of the tree, or where it is no list.
    pub fn from_detail(detail: &Value) -> Result<Self> {
        let StoredList { entries } = StoredList::deserialize(detail)
            .map_err(|cause| Error::damaged("cannot read the list of files").caused_by(cause))?;
        check(&entries)?;
        Ok(Self { entries, globs: Globs::default() })
    }

    /// Returns the same with the patterns that the catalog kept of its source, or `Damaged` where
    /// these are none, or leave out what the list holds.
    pub fn with_patterns(mut self, detail: &Value) -> Result<Self> {
        let globs = Globs::from_detail(detail)?;
        if !globs.is_empty() && !self.is_single_file() {
            let chooser = globs.chooser()?;
            let is_strange = |entry: &&Entry| match chooser.of(&entry.path) {
                Choice::Taken => false,
                Choice::Passage => entry.content != Content::Folder,
                Choice::LeftOut => true,
            };
            if let Some(entry) = self.entries.iter().find(is_strange) {
                return Err(refusal(entry, "the patterns of its source leave it out"));
            }
        }
        self.globs = globs;
        Ok(self)
    }

    /// Returns the patterns as the catalog keeps them.
    pub fn patterns(&self) -> Value {
        self.globs.to_detail()
    }

    /// Returns whether something of a live folder may be left as it is.
    pub fn leaves_out(&self) -> bool {
        !self.globs.is_empty() && !self.is_single_file()
    }

    /// Returns the list as a repository keeps it.
    pub fn to_detail(&self) -> Value {
        serde_json::to_value(self).expect("an entry is text and numbers")
    }

    /// Returns the number of entries.
    pub fn count(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Returns the digest that proves a restored tree, as `sha256:<hex>`.
    pub fn digest(&self) -> String {
        let mut hasher = Hasher::default();
        for entry in &self.entries {
            hasher.update(&serde_json::to_vec(entry).expect("an entry is text and numbers"));
            hasher.update(b"\n");
        }
        hasher.finish()
    }

    /// Returns whether its patterns leave out a file of this path.
    pub(super) fn leaves(&self, path: &ByteString) -> bool {
        let chooser = self.globs.chooser();
        self.leaves_out() && !chooser.is_ok_and(|chooser| chooser.of(path) == Choice::Taken)
    }

    /// Returns the folder that the entries lie in when they lie at `target`.
    pub(super) fn base<'a>(&self, target: &'a Path) -> &'a Path {
        if self.is_single_file() { target.parent().unwrap_or(target) } else { target }
    }

    /// Returns whether it is that of a single file, not of a folder.
    pub(super) fn is_single_file(&self) -> bool {
        self.entries.first().is_some_and(|top| matches!(top.content, Content::File { .. }))
    }

    /// Returns the number of bytes in all files.
    pub(super) fn content_bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.content.bytes()).fold(0, u64::saturating_add)
    }
}

impl Content {
    /// Returns the number of bytes that follow the entry's header in the tar.
    pub(super) const fn bytes(&self) -> u64 {
        match self {
            Self::File { size, .. } => *size,
            Self::Folder | Self::Symlink { .. } | Self::HardLink { .. } => 0,
        }
    }
}

impl Entry {
    /// Returns how deep the entry lies: the top is 0.
    pub(super) fn depth(&self) -> usize {
        let is_top = self.path.bytes() == TOP;
        if is_top { 0 } else { components(&self.path).count() }
    }

    /// Returns the last component of the path.
    pub(super) fn name(&self) -> ByteString {
        components(&self.path).next_back().unwrap_or_default().into()
    }
}

/// Returns the path of `name` in the folder at `folder`.
pub(super) fn join(folder: &ByteString, name: &[u8]) -> ByteString {
    if folder.bytes() == TOP {
        return name.into();
    }
    [folder.bytes(), b"/", name].concat().as_slice().into()
}

/// Returns the folder that the entry at `path` lies in.
pub(super) fn folder_of(path: &ByteString) -> ByteString {
    let end = path.bytes().iter().rposition(|byte| *byte == b'/');
    end.map_or(TOP, |end| &path.bytes()[..end]).into()
}

/// Returns where the entry at `path` lies, as a message has it; `base` is the top folder, or the
/// folder of a single file.
pub(super) fn place(base: &Path, path: &ByteString) -> ByteString {
    place_of(base, path).as_os_str().into()
}

/// Returns where the entry at `path` lies below `base`.
pub(super) fn place_of(base: &Path, path: &ByteString) -> PathBuf {
    let is_top = path.bytes() == TOP;
    if is_top { base.to_owned() } else { base.join(path.os()) }
}

/// Returns the components of a path.
pub(super) fn components(path: &ByteString) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.bytes().split(|byte| *byte == b'/')
}

/// Fails where the list is not one that reading a tree could have made.
fn check(entries: &[Entry]) -> Result<()> {
    let Some((top, rest)) = entries.split_first() else {
        return Err(Error::damaged("cannot use an empty list of files"));
    };
    match &top.content {
        Content::Folder if top.path.bytes() == TOP => {}
        Content::File { .. } if is_name(top.path.bytes()) && rest.is_empty() => {}
        _ => return Err(refusal(top, "it is neither the top folder nor a single file")),
    }
    check_attributes(top)?;
    // The folders that the current entry lies in, the top first.
    let mut folders: Vec<&ByteString> = vec![&top.path];
    let mut files = HashSet::new();
    let mut previous: Option<&ByteString> = None;
    for entry in rest {
        check_path(&entry.path, previous, &mut folders).map_err(|why| refusal(entry, why))?;
        check_attributes(entry)?;
        match &entry.content {
            Content::Folder if is_hidden_inside(entry.path.os()) => {
                return Err(refusal(entry, "its name is for what a restore keeps"));
            }
            Content::Folder => folders.push(&entry.path),
            Content::File { .. } => _ = files.insert(&entry.path),
            Content::Symlink { to } if to.bytes().is_empty() || to.bytes().contains(&0) => {
                return Err(refusal(entry, "it is a link to nothing"));
            }
            Content::HardLink { to } if !files.contains(to) => {
                return Err(refusal(entry, "it is a hard link to no earlier file"));
            }
            Content::Symlink { .. } | Content::HardLink { .. } => {}
        }
        previous = Some(&entry.path);
    }
    Ok(())
}

/// Fails unless `path` comes right after `previous` in a walk that is in `folders`.
fn check_path<'a>(
    path: &'a ByteString,
    previous: Option<&ByteString>,
    folders: &mut Vec<&'a ByteString>,
) -> std::result::Result<(), &'static str> {
    if !components(path).all(is_name) {
        return Err("its path leads out of the tree");
    }
    if components(path).count() > MAX_DEPTH {
        return Err("it lies too deep");
    }
    if previous.is_some_and(|previous| components(previous).ge(components(path))) {
        return Err("it is named twice, or out of order");
    }
    folders.truncate(components(path).count());
    let folder = path.bytes().iter().rposition(|byte| *byte == b'/');
    let parent = folder.map_or(TOP, |end| &path.bytes()[..end]);
    let is_in_folder = folders.last().is_some_and(|folder| folder.bytes() == parent);
    if is_in_folder { Ok(()) } else { Err("it lies in no folder of the list") }
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".." && !name.contains(&0) && !name.contains(&b'/')
}

fn check_attributes(entry: &Entry) -> Result<()> {
    let attributes = &entry.attributes;
    if attributes.mode > 0o7777 || attributes.mtime.nanoseconds > 999_999_999 {
        return Err(refusal(entry, "its mode or time is no such thing"));
    }
    if attributes.xattrs.keys().any(|name| name.bytes().is_empty() || name.bytes().contains(&0)) {
        return Err(refusal(entry, "an attribute has no name"));
    }
    Ok(())
}

fn refusal(entry: &Entry, why: &str) -> Error {
    Error::damaged(format!("cannot use `{}` of the list of files: {why}", entry.path))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::digest::sha256;

    #[test]
    fn the_digest_is_that_of_the_entries_as_lines_of_json() {
        let top = r#"{"path":".","type":"folder","mode":493,"uid":0,"gid":0,"user":"root","mtime":{"seconds":1,"nanoseconds":2}}"#;
        let file = r#"{"path":"a\\xff","type":"file","size":3,"digest":"sha256:00","mode":256,"uid":1,"gid":2,"mtime":{"seconds":-1,"nanoseconds":0},"xattrs":{"user.x":"\\x00"}}"#;
        let parsed = |text| serde_json::from_str::<Value>(text).unwrap();
        let list = FileList::from_detail(&json!({ "entries": [parsed(top), parsed(file)] }));
        let list = list.unwrap();
        assert_eq!(list.digest(), sha256(format!("{top}\n{file}\n").as_bytes()));
        assert_eq!((list.count(), list.content_bytes()), (2, 3));
    }
}
