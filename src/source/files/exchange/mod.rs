//! The moment in which one tree takes the place of another, and the way back from any point of it.
//!
//! All that is needed lies in the file system itself: which of three names beside each other has
//! the tree that comes in. So whoever finds a swap that was killed can go on, or back, by the
//! places alone. Each step is one rename, and is durable before the next.
//!
//! A mount point has its name for good, and so has a folder of which patterns leave out a part: there
//! it is the entries that are exchanged ([`Inside`]).

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::base::error::Context as _;
use crate::base::error::Result;
use crate::source::files::globs::Chooser;
use crate::source::files::globs::Globs;
use crate::source::files::inside::Folders;
use crate::source::files::inside::Inside;
use crate::source::files::left_out::holds_left_out;
use crate::source::files::left_out::is_folder;
use crate::source::files::left_out::make_like;
use crate::source::files::leftovers::Role;
use crate::source::files::leftovers::hidden_path;
use crate::source::files::list::FileList;
use crate::source::files::place::Way;
use crate::source::files::place::remove_made;

mod whole;

/// The places of a swap: of what comes in, of what is live, and of what was live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// What is live, or will be.
    pub target: PathBuf,
    /// Where what comes in lies before; `None` where the target is to be absent again.
    pub incoming: Option<PathBuf>,
    /// Where what was live is kept.
    pub previous: PathBuf,
    /// Whether what comes in is what an earlier execution kept: taken back, it is kept again.
    is_kept: bool,
    /// The number of the file or folder that comes in, once it is there for good.
    #[serde(default)]
    number: Option<u64>,
    /// Whether something was live.
    #[serde(default)]
    had_target: bool,
    /// The folders that were made above the target, the outermost first.
    #[serde(default)]
    pub(super) made_folders: Vec<PathBuf>,
    /// What it takes to exchange the entries, where the target has its name for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inside: Option<Box<Inside>>,
    /// What of the target stays as it is.
    #[serde(default, skip_serializing_if = "Globs::is_empty")]
    globs: Globs,
}

impl Exchange {
    /// Returns the places of a tree that is built to replace a target.
    pub fn of_staging(target: &Path, suffix: &str) -> Result<Self> {
        Self::incoming(target, suffix, Globs::default())
    }

    /// Returns the places of a tree that is built to replace a target, but for what its list leaves
    /// out.
    pub(super) fn of_list(target: &Path, suffix: &str, list: &FileList) -> Result<Self> {
        Self::incoming(target, suffix, list.globs.clone())
    }

    fn incoming(target: &Path, suffix: &str, globs: Globs) -> Result<Self> {
        let way = Way::of(target)?;
        let staging = hidden_path(target, way, Role::Staging, suffix)?;
        Ok(Self { incoming: Some(staging), ..Self::onto(target, way, suffix, globs)? })
    }

    /// Returns the places of the exchange that undoes this one, which is complete.
    pub fn reversed(&self, suffix: &str) -> Result<Self> {
        let way = if self.is_in_mount() { Way::Inside } else { Way::Whole };
        let onto = Self::onto(&self.target, way, suffix, self.globs.clone())?;
        if self.keeps_something() {
            let incoming = Some(self.previous.clone());
            return Self { incoming, is_kept: true, ..onto }.noted();
        }
        if holds_left_out(&self.globs, &self.target)? {
            // The folder stays for what is left out, and is emptied of all else.
            let empty = hidden_path(&self.target, way, Role::Staging, suffix)?;
            make_like(&self.target, &empty)?;
            return Self { incoming: Some(empty), ..onto }.noted();
        }
        Self { is_kept: true, inside: None, ..onto }.noted()
    }

    /// Returns the places of an exchange by which nothing comes in.
    fn onto(target: &Path, way: Way, suffix: &str, globs: Globs) -> Result<Self> {
        let is_divided = !globs.is_empty() && is_folder(target);
        let is_inside = way == Way::Inside || is_divided;
        let inside = is_inside.then(|| Inside::of(target)).transpose()?.map(Box::new);
        Ok(Self {
            target: target.to_owned(),
            incoming: None,
            previous: hidden_path(target, way, Role::Previous, suffix)?,
            is_kept: false,
            number: None,
            had_target: false,
            made_folders: Vec::new(),
            inside,
            globs,
        })
    }

    /// Returns the exchange with what is there now, from which every later state can be told.
    /// Fails where what comes in is absent.
    pub fn noted(mut self) -> Result<Self> {
        self.had_target = exists(&self.target);
        let Some(incoming) = &self.incoming else { return Ok(self) };
        let cannot = || format!("cannot find {}", incoming.display());
        self.number = Some(incoming.symlink_metadata().context(cannot)?.ino());
        if !is_folder(incoming) && !self.is_in_mount() {
            // A file takes the place of a whole folder, or none.
            self.demand_no_left_out()?;
            self.inside = None;
        }
        if let Some(inside) = &mut self.inside {
            let chooser = &self.globs.chooser()?;
            let (target, previous) = (&self.target, &self.previous);
            inside.note(Folders { target, incoming, previous, chooser })?;
        }
        Ok(self)
    }

    /// Returns whether the target is a mount point: all is kept in it, and nothing beside.
    fn is_in_mount(&self) -> bool {
        self.previous.parent() == Some(&self.target)
    }

    /// Returns whether it keeps what was live: nothing was where the target was made.
    pub fn keeps_something(&self) -> bool {
        exists(&self.previous)
    }

    /// Returns whether what was to be kept is where it was put.
    pub fn is_whole(&self) -> bool {
        !self.had_target || self.keeps_something()
    }

    /// Returns whether it can be completed from where it is.
    pub fn can_go_on(&self) -> bool {
        let Ok(chooser) = self.globs.chooser() else { return false };
        match self.inside(&chooser) {
            Some((inside, folders)) => inside.can_go_on(folders),
            None => self.can_go_on_whole(),
        }
    }

    /// Completes the exchange, however far it came.
    pub fn complete(&self) -> Result<()> {
        let chooser = self.globs.chooser()?;
        match self.inside(&chooser) {
            Some((inside, folders)) => inside.complete(folders),
            None => self.complete_whole(),
        }
        .map_err(|error| error.while_doing(&format!("cannot replace {}", self.target.display())))
    }

    /// Takes the exchange back, however far it came: what was live is live, what came in is where
    /// it was. What was built for this exchange is removed.
    pub fn take_back(&self) -> Result<()> {
        let chooser = self.globs.chooser()?;
        match self.inside(&chooser) {
            Some((inside, folders)) => {
                let doing = format!("cannot put back {}", self.target.display());
                inside.take_back(folders).map_err(|error| error.while_doing(&doing))?;
            }
            None => self.take_back_whole()?,
        }
        self.discard()
    }

    /// Removes what was built for this exchange and is not live, and the folders made for it.
    pub fn discard(&self) -> Result<()> {
        let Some(incoming) = self.incoming.as_ref().filter(|_| !self.is_kept) else {
            return Ok(());
        };
        remove(incoming)?;
        remove_made(&self.made_folders);
        if let Some(inside) = &self.inside {
            inside.put_back_time(&self.target);
        }
        Ok(())
    }

    /// Ends a complete exchange, when what earlier ones kept is gone.
    pub fn finish(&self) {
        if let Some(inside) = &self.inside {
            inside.put_time(&self.target);
        }
    }

    /// Returns what tells of an exchange of entries.
    fn inside<'a>(&'a self, chooser: &'a Chooser) -> Option<(&'a Inside, Folders<'a>)> {
        let (inside, incoming) = (self.inside.as_ref()?, self.incoming.as_ref()?);
        let (target, previous) = (&self.target, &self.previous);
        Some((inside, Folders { target, incoming, previous, chooser }))
    }
}

pub(super) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Removes a file or a whole folder; nothing there is fine.
pub(super) fn remove(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.context(|| format!("cannot remove {}", path.display())),
    }
}

#[cfg(test)]
mod tests;
