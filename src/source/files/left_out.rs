//! What of a live folder belongs to the tree of a source, and what to others.

use std::io;
use std::path::Path;

use crate::base::error::Context as _;
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
    sync(&from)?;
    give(&attributes, to)
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
