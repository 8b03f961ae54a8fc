//! What of a live folder belongs to the tree of a source, and what to others.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::files::attributes;
use crate::source::files::byte_string::ByteString;
use crate::source::files::exchange::exists;
use crate::source::files::globs::Choice;
use crate::source::files::globs::Chooser;
use crate::source::files::globs::Globs;
use crate::source::files::inside::give;
use crate::source::files::inside::make;
use crate::source::files::inside::names;
use crate::source::files::inside::sync;
use crate::source::files::list;
use crate::source::files::list::Content;
use crate::source::files::list::FileList;
use crate::source::files::rename;

/// Whose an entry of a live folder is, with all that is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belonging {
    /// All of it is the source's.
    Own,
    /// Nothing of it is.
    LeftOut,
    /// Something of it is.
    Mixed,
}

/// Returns whose the entry is that `path` has in the folder `top`.
pub(super) fn belonging(chooser: &Chooser, top: &Path, path: &ByteString) -> io::Result<Belonging> {
    if chooser.takes_all() {
        return Ok(Belonging::Own);
    }
    let is_taken = match chooser.of(path) {
        Choice::LeftOut => return Ok(Belonging::LeftOut),
        choice => choice == Choice::Taken,
    };
    let place = top.join(path.os());
    if !is_folder(&place) {
        return Ok(if is_taken { Belonging::Own } else { Belonging::LeftOut });
    }
    let (mut has_own, mut has_left_out) = (is_taken, false);
    for name in names(&place)? {
        match belonging(chooser, top, &list::join(path, name.as_encoded_bytes()))? {
            Belonging::Own => has_own = true,
            Belonging::LeftOut => has_left_out = true,
            Belonging::Mixed => return Ok(Belonging::Mixed),
        }
    }
    Ok(match (has_own, has_left_out) {
        (true, false) => Belonging::Own,
        (true, true) => Belonging::Mixed,
        (false, _) => Belonging::LeftOut,
    })
}

/// Returns whether a folder holds anything that patterns leave out.
pub(super) fn holds_left_out(globs: &Globs, top: &Path) -> Result<bool> {
    let chooser = globs.chooser()?;
    if chooser.takes_all() || !is_folder(top) {
        return Ok(false);
    }
    let look = || {
        for name in names(top)? {
            let path = list::join(&list::TOP.into(), name.as_encoded_bytes());
            if belonging(&chooser, top, &path)? != Belonging::Own {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let held: io::Result<bool> = look();
    held.context(|| format!("cannot read {}", top.display()))
}

/// Returns what is left out of a live folder and has the place of something in a list, where there is
/// such a thing.
pub(super) fn obstacle(list: &FileList, top: &Path) -> Result<Option<PathBuf>> {
    let chooser = list.globs.chooser()?;
    if list.is_single_file() || chooser.takes_all() || !is_folder(top) {
        let is_held = list.is_single_file() && holds_left_out(&list.globs, top)?;
        return Ok(is_held.then(|| top.to_owned()));
    }
    // Those that are folders on both sides: in others nothing can be in the way.
    let mut shared = HashSet::from([ByteString::from(list::TOP)]);
    for entry in list.entries.iter().skip(1) {
        let place = top.join(entry.path.os());
        if !shared.contains(&list::folder_of(&entry.path)) || !exists(&place) {
            continue;
        }
        if entry.content == Content::Folder && is_folder(&place) {
            shared.insert(entry.path.clone());
            continue;
        }
        let whose = belonging(&chooser, top, &entry.path);
        if whose.context(|| format!("cannot read {}", place.display()))? != Belonging::Own {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// Returns the refusal of what would take the place of something that is left out.
pub fn in_the_way(place: &Path) -> Error {
    let text = format!("{} is in the way, and is left out of what is restored", place.display());
    Error::new(Kind::Refused, text).hint("move it away, and restore again")
}

/// Takes all that is the source's out of the folder that `path` has in `top`, which stays for the
/// rest; what was taken out before is left.
pub(super) fn take_out(
    chooser: &Chooser,
    top: &Path,
    path: &ByteString,
    to: &Path,
) -> io::Result<()> {
    let from = list::place_of(top, path);
    let attributes = attributes::of_folder(&from)?;
    make(to)?;
    for name in names(&from)? {
        let path = list::join(path, name.as_encoded_bytes());
        let to = to.join(&name);
        match belonging(chooser, top, &path)? {
            Belonging::Own if !exists(&to) => rename::to_free(&from.join(&name), &to)?,
            Belonging::Mixed => take_out(chooser, top, &path, &to)?,
            Belonging::Own | Belonging::LeftOut => {}
        }
    }
    sync(to)?;
    sync(&from)?;
    give(&attributes, to)
}

/// Takes all that is the source's out of a folder that a restore made, which stays for the rest, or
/// goes where there is none. Goes on where it was begun before.
pub(super) fn empty_out(globs: &Globs, top: &Path, to: &Path) -> Result<()> {
    let chooser = globs.chooser()?;
    if is_folder(top) {
        let taken = take_out(&chooser, top, &list::TOP.into(), to);
        taken.context(|| format!("cannot put back {}", top.display()))?;
        // What it stays for may be gone meanwhile.
        drop(fs::remove_dir(top));
    }
    Ok(())
}

/// Makes an empty folder that is like another one.
pub(super) fn make_like(like: &Path, folder: &Path) -> Result<()> {
    let made = || give(&attributes::of_folder(like)?, folder);
    let made = make(folder).and_then(|()| made());
    made.context(|| format!("cannot create {}", folder.display()))
}

/// Returns whether a folder, and no link to one, has this path.
pub(super) fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_dir())
}
