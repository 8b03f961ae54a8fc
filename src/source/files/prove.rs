//! Compares a tree as it is with a tree as it should be.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;

use crate::source::files::list::Attributes;
use crate::source::files::list::Content;
use crate::source::files::list::Entry;
use crate::source::files::list::folder_of;
use crate::source::files::walk::Walked;

/// How one entry of a tree is, beside how it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its path below the top.
    pub path: String,
    /// The size of its content, where it is wanted.
    pub bytes: u64,
    /// Whether it should be there.
    pub is_wanted: bool,
    /// Whether it is there.
    pub is_there: bool,
    /// How it differs; nothing for what is as it should be.
    pub difference: Option<String>,
}

/// Returns what was found, but for folders that are not expected and hold nothing but what patterns
/// left out: they are there for that. A folder's time says when something came or went in it, so
/// where something is left out it is not compared.
pub(super) fn without_holders(expected: &[Entry], found: Walked) -> Vec<Entry> {
    let Walked { entries, mut holders } = found;
    if holders.is_empty() {
        return entries;
    }
    let expected: HashMap<_, _> = expected.iter().map(|entry| (&entry.path, entry)).collect();
    let mut needed = HashSet::new();
    let mut kept = Vec::with_capacity(entries.len());
    // What is in a folder comes after it.
    for mut entry in entries.into_iter().rev() {
        let wanted = expected.get(&entry.path);
        let is_holder = holders.contains(&entry.path);
        if is_holder && wanted.is_none() && !needed.contains(&entry.path) {
            holders.insert(folder_of(&entry.path));
            continue;
        }
        if let Some(wanted) = wanted.filter(|_| is_holder) {
            entry.attributes.mtime = wanted.attributes.mtime;
        }
        needed.insert(folder_of(&entry.path));
        kept.push(entry);
    }
    kept.reverse();
    kept
}

/// Returns what differs, one line for each entry, in the order of the expected ones.
pub(super) fn differences(expected: &[Entry], found: &[Entry]) -> Vec<String> {
    let changes = changes(expected, found).into_iter();
    changes.filter_map(|it| Some(format!("`{}`: {}", it.path, it.difference?))).collect()
}

/// Returns every entry of both trees, in the order of the expected ones. Owners are compared by
/// number.
pub(super) fn changes(expected: &[Entry], found: &[Entry]) -> Vec<Change> {
    let mut rest: BTreeMap<_, _> = found.iter().map(|entry| (&entry.path, entry)).collect();
    let mut changes = Vec::new();
    for entry in expected {
        let there = rest.remove(&entry.path);
        changes.push(Change {
            path: entry.path.to_string(),
            bytes: entry.content.bytes(),
            is_wanted: true,
            is_there: there.is_some(),
            difference: match there {
                Some(found) => difference(entry, found),
                None => Some("it is missing".to_owned()),
            },
        });
    }
    changes.extend(rest.keys().map(|path| Change {
        path: path.to_string(),
        bytes: 0,
        is_wanted: false,
        is_there: true,
        difference: Some("it is one too many".to_owned()),
    }));
    changes
}

fn difference(expected: &Entry, found: &Entry) -> Option<String> {
    if expected.content != found.content {
        return Some(content_difference(&expected.content, &found.content));
    }
    // The attributes of a hard link are those of the file, which is compared itself.
    if matches!(expected.content, Content::HardLink { .. }) {
        return None;
    }
    attribute_difference(&expected.attributes, &found.attributes)
}

fn content_difference(expected: &Content, found: &Content) -> String {
    match (expected, found) {
        (Content::File { size, .. }, Content::File { size: found, .. }) if size != found => {
            format!("it has {found} bytes, not {size}")
        }
        (Content::File { .. }, Content::File { .. }) => "its content differs".to_owned(),
        (Content::Symlink { to }, Content::Symlink { to: found })
        | (Content::HardLink { to }, Content::HardLink { to: found }) => {
            format!("it links to `{found}`, not `{to}`")
        }
        _ => format!("it is {}, not {}", kind(found), kind(expected)),
    }
}

const fn kind(content: &Content) -> &'static str {
    match content {
        Content::Folder => "a folder",
        Content::File { .. } => "a file",
        Content::Symlink { .. } => "a symbolic link",
        Content::HardLink { .. } => "a hard link",
    }
}

fn attribute_difference(expected: &Attributes, found: &Attributes) -> Option<String> {
    if expected.mode != found.mode {
        return Some(format!("its mode is {:04o}, not {:04o}", found.mode, expected.mode));
    }
    let owner = |attributes: &Attributes| (attributes.uid, attributes.gid);
    if owner(expected) != owner(found) {
        let (user, group) = owner(expected);
        return Some(format!("its owner is {}:{}, not {user}:{group}", found.uid, found.gid));
    }
    if expected.mtime != found.mtime {
        return Some("its time of change differs".to_owned());
    }
    let keys = expected.xattrs.keys().chain(found.xattrs.keys());
    let differs = |name: &&_| expected.xattrs.get(*name) != found.xattrs.get(*name);
    let name = keys.into_iter().find(differs)?;
    Some(format!("its attribute {name} differs"))
}
