//! The exchange of what lies in a folder that cannot be renamed itself: a mount point, or one of
//! which a part belongs to others.
//!
//! What comes in was built in a hidden folder on the target's file system, and what was live goes to
//! another one. Where patterns leave out a part of the target, every folder that both trees have
//! stays where it is too, and so does one that holds what is left out: their entries are exchanged
//! in the same way, and what is left out is never moved.
//!
//! Every entry goes by a rename: a name that both trees have is never absent where the file system
//! can exchange two names. All entries together are no single moment, as one rename of the target
//! is: a reader may meet entries of both trees. But each entry that comes in is known by its name
//! and its number, so that it can be told of everything, wherever it lies, which tree it is of; and
//! whoever finds an exchange that was killed can go on, or back. The folders' own modes, owners,
//! attributes and times are given at the end.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use serde::Deserialize;
use serde::Serialize;

use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::fault;
use crate::source::files::attributes;
use crate::source::files::attributes::Open;
use crate::source::files::byte_string::ByteString;
use crate::source::files::exchange::exists;
use crate::source::files::exchange::remove;
use crate::source::files::globs::Chooser;
use crate::source::files::inside::level::Level;
use crate::source::files::inside::level::Side;
use crate::source::files::inside::shared::Shared;
use crate::source::files::leftovers::is_hidden_inside;
use crate::source::files::list;
use crate::source::files::list::Attributes;
use crate::source::files::place::folder_and_name;
use crate::source::files::place::is_on_another_device;

mod level;
mod shared;

/// What `mke2fs` makes at the root of its file systems, for `fsck`.
const LOST_AND_FOUND: &str = "lost+found";

/// What a journal holds of such an exchange, beside the three folders and the patterns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Inside {
    /// The target itself.
    #[serde(flatten)]
    top: Shared,
    /// The folders below it that stay where they are as well.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    below: BTreeMap<ByteString, Shared>,
}

/// The folders of such an exchange.
#[derive(Clone, Copy)]
pub(super) struct Folders<'a> {
    /// The folder that stays where it is.
    pub(super) target: &'a Path,
    /// Where what comes in lies before.
    pub(super) incoming: &'a Path,
    /// Where what was live is kept.
    pub(super) previous: &'a Path,
    /// What of the target belongs to neither tree.
    pub(super) chooser: &'a Chooser,
}

impl Inside {
    /// Returns what the target is before anything is put into it.
    pub(super) fn of(target: &Path) -> Result<Self> {
        Ok(Self { top: Shared::of(target)?, below: BTreeMap::new() })
    }

    /// Takes in what comes in, which is there for good from now on. It is refused where it
    /// would take the place of something that is left out.
    pub(super) fn note(&mut self, folders: Folders<'_>) -> Result<()> {
        if !folders.chooser.takes_all() {
            self.below = shared::below(folders)?;
        }
        let paths: BTreeSet<ByteString> = self.below.keys().cloned().collect();
        self.top.note(folders.incoming, &list::TOP.into(), &paths)?;
        for (path, shared) in &mut self.below {
            shared.note(&folders.incoming.join(path.os()), path, &paths)?;
        }
        Ok(())
    }

    /// Returns whether everything that comes in is somewhere.
    pub(super) fn can_go_on(&self, folders: Folders<'_>) -> bool {
        self.levels(folders).iter().all(Level::can_go_on)
    }

    /// Completes the exchange, however far it came.
    pub(super) fn complete(&self, folders: Folders<'_>) -> Result<()> {
        let levels = self.levels(folders);
        levels.iter().try_for_each(Level::demand)?;
        if !self.can_go_on(folders) {
            return Err(Error::failed("what was staged for it is gone"));
        }
        let exchange = || {
            if exists(folders.incoming) {
                levels.iter().try_for_each(|level| make(&level.previous))?;
                sync_around(folders.previous)?;
                fault::point("inside.begun");
                levels.iter().try_for_each(|level| level.settle(Side::Coming))?;
                levels.iter().rev().try_for_each(Level::leave)?;
                sync_around(folders.incoming)?;
                fault::point("inside.exchanged");
            }
            levels.iter().rev().try_for_each(Level::dress)?;
            fault::point("inside.dressed");
            Ok(())
        };
        let exchanged: io::Result<()> = exchange();
        exchanged.context(|| "what is in it cannot be exchanged".to_owned())
    }

    /// Takes the exchange back, however far it came: what came in is where it was.
    pub(super) fn take_back(&self, folders: Folders<'_>) -> Result<()> {
        let levels = self.levels(folders);
        self.top.demand(folders.target)?;
        // It is durably made before anything goes.
        if exists(folders.previous) && self.top.coming().is_some() {
            let cannot = || "what was in it cannot be put back".to_owned();
            levels.iter().try_for_each(Level::open_again).context(cannot)?;
            fault::point("inside.undoing");
            levels.iter().try_for_each(|level| level.settle(Side::Live)).context(cannot)?;
            levels.iter().rev().try_for_each(Level::undress).context(cannot)?;
            remove(folders.previous)?;
            sync_around(folders.previous).context(cannot)?;
            fault::point("inside.undone");
        }
        self.put_back_time(folders.target);
        Ok(())
    }

    /// Gives the target the time of before the exchange: a folder that comes and goes in it has
    /// changed it.
    pub(super) fn put_back_time(&self, target: &Path) {
        self.top.put_back_time(target);
    }

    /// Gives the target the time of after the exchange.
    pub(super) fn put_time(&self, target: &Path) {
        self.top.put_time(target);
    }

    /// Returns the folders that stay, each before those in it.
    fn levels<'a>(&'a self, folders: Folders<'a>) -> Vec<Level<'a>> {
        let Folders { target, incoming, previous, chooser } = folders;
        let level = |path: ByteString, shared| {
            let is_top = path.bytes() == list::TOP;
            let within =
                |folder: &Path| if is_top { folder.into() } else { folder.join(path.os()) };
            let (target, incoming) = (within(target), within(incoming));
            let previous = within(previous);
            Level { target, incoming, previous, path, shared, below: &self.below, chooser }
        };
        let below = self.below.iter().map(|(path, shared)| level(path.clone(), shared));
        [level(list::TOP.into(), &self.top)].into_iter().chain(below).collect()
    }
}

/// Returns whether this is a folder in a target and no part of its tree: what restores build and
/// keep in a mount point, and what belongs to its file system.
pub(super) fn is_apart(target: &Path, name: &OsStr) -> bool {
    let is_folder = || target.join(name).symlink_metadata().is_ok_and(|found| found.is_dir());
    let is_of_disk = || name == LOST_AND_FOUND && is_on_another_device(target);
    (is_hidden_inside(name) || is_of_disk()) && is_folder()
}

/// Does what changes nothing but a hidden folder in this one, and gives it back its time, as far
/// as this user may.
pub(super) fn keeping_time(folder: &Path, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let before = attributes::of_folder(folder);
    work()?;
    fault::point("inside.discarded");
    if let Ok(before) = before {
        set_time(&before, folder);
    }
    Ok(())
}

/// Returns the names in a folder; none where it is absent.
pub(super) fn names(folder: &Path) -> io::Result<BTreeSet<OsString>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        entries => entries?.map(|entry| Ok(entry?.file_name())).collect(),
    }
}

/// Makes a folder for its owner alone, where it is absent.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

pub(super) fn give(attributes: &Attributes, folder: &Path) -> io::Result<()> {
    Open::Whole(&File::open(folder)?).give(attributes)
}

/// Who does not own the folder cannot set its time, and loses nothing else.
fn set_time(attributes: &Attributes, folder: &Path) {
    let set = || Open::Whole(&File::open(folder)?).set_mtime(attributes.mtime);
    drop(set());
}

/// Makes the entries of a folder durable, where it is there.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    match File::open(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        folder => folder?.sync_all(),
    }
}

/// Makes it durable that a folder came or went.
fn sync_around(path: &Path) -> io::Result<()> {
    sync(folder_and_name(path).map_err(io::Error::other)?.0)
}

#[cfg(test)]
mod tests;
