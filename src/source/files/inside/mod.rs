//! The exchange of what lies in a folder that cannot be renamed itself: a mount point.
//!
//! What comes in was built in a hidden folder inside the target, on its file system, and what was
//! live goes to another one. Every entry goes by a rename: a name that both trees have is never
//! absent where the file system can exchange two names. All entries together are no single
//! moment, as one rename of the target is: a reader may meet entries of both trees. But each entry
//! that comes in is known by its name and its number, so that it can be told of everything,
//! wherever it lies, which tree it is of; and whoever finds an exchange that was killed can go on,
//! or back. The target's own mode, owner, attributes and time are given at the end.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::Deserialize;
use serde::Serialize;

use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::fault;
use crate::source::files::attributes;
use crate::source::files::attributes::Open;
use crate::source::files::byte_string::ByteString;
use crate::source::files::exchange::exists;
use crate::source::files::exchange::remove;
use crate::source::files::leftovers::is_hidden_inside;
use crate::source::files::list::Attributes;
use crate::source::files::place::is_on_another_device;
use crate::source::files::rename;

/// What `mke2fs` makes at the root of its file systems, for `fsck`.
const LOST_AND_FOUND: &str = "lost+found";

/// What a journal holds of such an exchange, beside the three folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Inside {
    /// The number of the target: without the mount, its name is that of another folder.
    number: u64,
    /// What the target has itself before the exchange.
    live: Attributes,
    /// The tree that comes in, once it is there for good.
    coming: Option<Coming>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Coming {
    /// What the target has itself after the exchange.
    top: Attributes,
    /// The entries of its top folder, and their numbers.
    entries: BTreeMap<ByteString, u64>,
}

/// The folders of such an exchange.
#[derive(Clone, Copy)]
pub(super) struct Folders<'a> {
    /// The mount point.
    pub(super) target: &'a Path,
    /// Where what comes in lies before.
    pub(super) incoming: &'a Path,
    /// Where what was live is kept.
    pub(super) previous: &'a Path,
}

/// One of the two trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Coming,
    Live,
}

impl Inside {
    /// Returns what the target is before anything is put into it.
    pub(super) fn of(target: &Path) -> Result<Self> {
        let cannot = || format!("cannot read {}", target.display());
        let number = target.metadata().context(cannot)?.ino();
        let live = attributes::of_folder(target).context(cannot)?;
        Ok(Self { number, live, coming: None })
    }

    /// Takes in what comes in, which is there for good from now on.
    pub(super) fn note(&mut self, incoming: &Path) -> Result<()> {
        let read = || {
            let mut entries = BTreeMap::new();
            for name in names(incoming)? {
                let number = incoming.join(&name).symlink_metadata()?.ino();
                entries.insert(ByteString::from(name.as_os_str()), number);
            }
            Ok(Coming { top: attributes::of_folder(incoming)?, entries })
        };
        let coming: io::Result<Coming> = read();
        self.coming = Some(coming.context(|| format!("cannot read {}", incoming.display()))?);
        Ok(())
    }

    /// Returns whether everything that comes in is somewhere.
    pub(super) fn can_go_on(&self, folders: Folders<'_>) -> bool {
        let Some(coming) = self.coming.as_ref().filter(|_| self.is_there(folders.target)) else {
            return false;
        };
        if !exists(folders.incoming) {
            return exists(folders.previous);
        }
        let is_in = |name, folder: &Path| self.side(folder, name) == Some(Side::Coming);
        let all = [folders.incoming, folders.target, folders.previous];
        coming.entries.keys().all(|name| all.iter().any(|folder| is_in(name.os(), folder)))
    }

    /// Completes the exchange, however far it came.
    pub(super) fn complete(&self, folders: Folders<'_>) -> Result<()> {
        let Folders { target, incoming, previous } = folders;
        self.demand_mount(target)?;
        let Some(coming) = self.coming.as_ref().filter(|_| self.can_go_on(folders)) else {
            return Err(Error::failed("what was staged for it is gone"));
        };
        let exchange = || {
            if exists(incoming) {
                make(previous)?;
                sync(target)?;
                fault::point("inside.begun");
                self.settle(folders, Side::Coming)?;
                give(&self.live, previous)?;
                fs::remove_dir(incoming)?;
                sync(target)?;
                fault::point("inside.exchanged");
            }
            give(&coming.top, target)?;
            fault::point("inside.dressed");
            Ok(())
        };
        let exchanged: io::Result<()> = exchange();
        exchanged.context(|| "what is in it cannot be exchanged".to_owned())
    }

    /// Takes the exchange back, however far it came: what came in is where it was.
    pub(super) fn take_back(&self, folders: Folders<'_>) -> Result<()> {
        let Folders { target, incoming, previous } = folders;
        self.demand_mount(target)?;
        // It is durably made before anything goes.
        if let Some(coming) = self.coming.as_ref().filter(|_| exists(previous)) {
            let cannot = || "what was in it cannot be put back".to_owned();
            make(incoming).context(cannot)?;
            give(&self.live, target).context(cannot)?;
            fault::point("inside.undoing");
            self.settle(folders, Side::Live).context(cannot)?;
            give(&coming.top, incoming).context(cannot)?;
            remove(previous)?;
            sync(target).context(cannot)?;
            fault::point("inside.undone");
        }
        self.put_back_time(target);
        Ok(())
    }

    /// Gives the target the time of before the exchange: a folder that comes and goes in it has
    /// changed it.
    pub(super) fn put_back_time(&self, target: &Path) {
        if self.is_there(target) {
            set_time(&self.live, target);
        }
    }

    /// Gives the target the time of after the exchange.
    pub(super) fn put_time(&self, target: &Path) {
        if let Some(coming) = self.coming.as_ref().filter(|_| self.is_there(target)) {
            set_time(&coming.top, target);
        }
    }

    /// Makes one tree live and puts the other where it belongs, wherever their entries are now;
    /// durable when this returns.
    fn settle(&self, folders: Folders<'_>, live: Side) -> io::Result<()> {
        let Folders { target, incoming, previous } = folders;
        let away = if live == Side::Coming { previous } else { incoming };
        let all = [target, incoming, previous];
        let mut every = names(target)?;
        every.retain(|name| !is_apart(target, name));
        every.append(&mut names(incoming)?);
        every.append(&mut names(previous)?);
        for name in every {
            for folder in [incoming, previous] {
                if self.side(folder, &name) == Some(live) {
                    put(&folder.join(&name), &target.join(&name), &away.join(&name))?;
                    fault::point("inside.in");
                }
            }
            for folder in all {
                let goes = self.side(folder, &name).is_some_and(|side| side != live);
                // Where its like went away already, it came since and stays.
                if folder != away && goes && !exists(&away.join(&name)) {
                    rename::to_free(&folder.join(&name), &away.join(&name))?;
                    fault::point("inside.out");
                }
            }
        }
        all.into_iter().try_for_each(sync)
    }

    /// Returns which tree the entry of this name is of. What came since was not to come in.
    fn side(&self, folder: &Path, name: &OsStr) -> Option<Side> {
        let number = folder.join(name).symlink_metadata().ok()?.ino();
        let entries = self.coming.as_ref().map(|coming| &coming.entries)?;
        let is_coming = entries.get(&ByteString::from(name)) == Some(&number);
        Some(if is_coming { Side::Coming } else { Side::Live })
    }

    fn is_there(&self, target: &Path) -> bool {
        target.metadata().is_ok_and(|found| found.ino() == self.number)
    }

    fn demand_mount(&self, target: &Path) -> Result<()> {
        if self.is_there(target) {
            return Ok(());
        }
        let text = format!("{} is not the folder that it was", target.display());
        Err(Error::new(Kind::Refused, text).hint("mount what was mounted there, and try again"))
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

/// Puts an entry into the place of what is there, if anything is.
fn put(from: &Path, to: &Path, away: &Path) -> rustix::io::Result<()> {
    if !exists(to) {
        return rename::to_free(from, to);
    }
    match rename::exchange(from, to) {
        Err(error) if rename::is_unsupported(error) => rename::by_two(from, to, away),
        exchanged => exchanged,
    }
}

/// Returns the names in a folder; none where it is absent.
fn names(folder: &Path) -> io::Result<BTreeSet<OsString>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        entries => entries?.map(|entry| Ok(entry?.file_name())).collect(),
    }
}

/// Makes a folder for its owner alone, where it is absent.
fn make(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn give(attributes: &Attributes, folder: &Path) -> io::Result<()> {
    Open::Whole(&File::open(folder)?).give(attributes)
}

/// Who does not own the folder cannot set its time, and loses nothing else.
fn set_time(attributes: &Attributes, folder: &Path) {
    let set = || Open::Whole(&File::open(folder)?).set_mtime(attributes.mtime);
    drop(set());
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
