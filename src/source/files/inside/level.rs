//! The exchange of the entries of one folder that stays where it is.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;

use crate::base::error::Result;
use crate::base::fault;
use crate::source::files::byte_string::ByteString;
use crate::source::files::exchange::exists;
use crate::source::files::globs::Chooser;
use crate::source::files::inside::give;
use crate::source::files::inside::is_apart;
use crate::source::files::inside::make;
use crate::source::files::inside::names;
use crate::source::files::inside::shared::Shared;
use crate::source::files::inside::sync;
use crate::source::files::left_out::Belonging;
use crate::source::files::left_out::belonging;
use crate::source::files::left_out::is_folder;
use crate::source::files::left_out::take_out;
use crate::source::files::list;
use crate::source::files::rename;

/// One of the two trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Coming,
    Live,
}

/// One folder that stays, and those of the same path in the two trees.
pub(super) struct Level<'a> {
    pub(super) target: PathBuf,
    pub(super) incoming: PathBuf,
    pub(super) previous: PathBuf,
    /// Its path below the target of the whole exchange.
    pub(super) path: ByteString,
    pub(super) shared: &'a Shared,
    /// All folders that stay.
    pub(super) below: &'a BTreeMap<ByteString, Shared>,
    pub(super) chooser: &'a Chooser,
}

impl Level<'_> {
    /// Returns whether everything that comes in is somewhere.
    pub(super) fn can_go_on(&self) -> bool {
        let Some(coming) = self.shared.coming().filter(|_| self.shared.is_there(&self.target))
        else {
            return false;
        };
        if !exists(&self.incoming) {
            return exists(&self.previous);
        }
        let is_in = |name, folder: &Path| self.side(folder, name) == Some(Side::Coming);
        let all = [&self.incoming, &self.target, &self.previous];
        let is_whole = |name| !self.is_taken_out(name) && all.iter().any(|it| is_in(name, it));
        coming.entries.keys().all(|name| is_whole(name.os()))
    }

    /// Fails where the folder is not where it was.
    pub(super) fn demand(&self) -> Result<()> {
        self.shared.demand(&self.target)
    }

    /// Makes one tree live and puts the other where it belongs, wherever their entries are now;
    /// durable when this returns.
    pub(super) fn settle(&self, live: Side) -> io::Result<()> {
        let Self { target, incoming, previous, .. } = self;
        let away = if live == Side::Coming { previous } else { incoming };
        let all = [target, incoming, previous];
        let mut every = names(target)?;
        every.retain(|name| !(self.is_top() && is_apart(target, name)));
        every.append(&mut names(incoming)?);
        every.append(&mut names(previous)?);
        every.retain(|name| !self.below.contains_key(&self.path_of(name)));
        for name in every {
            for folder in [incoming, previous] {
                let is_out = folder == incoming && self.is_taken_out(&name);
                if self.side(folder, &name) == Some(live) && !is_out {
                    self.demand_own(&name)?;
                    put(&folder.join(&name), &target.join(&name), &away.join(&name))?;
                    fault::point("inside.in");
                }
            }
            for folder in all {
                let goes = self.side(folder, &name).is_some_and(|side| side != live);
                if folder != away && goes {
                    self.put_away(&name, folder, away)?;
                }
            }
        }
        all.into_iter().try_for_each(|folder| sync(folder))
    }

    /// Puts an entry where it is kept, or was built, but for what is left out.
    fn put_away(&self, name: &OsStr, folder: &Path, away: &Path) -> io::Result<()> {
        let (from, to) = (folder.join(name), away.join(name));
        let is_live = folder == self.target;
        let whose = if is_live { self.belonging(name)? } else { Belonging::Own };
        match whose {
            Belonging::LeftOut => {}
            // Where its like went away already, it came since and stays.
            Belonging::Own if exists(&to) => {}
            Belonging::Own => {
                rename::to_free(&from, &to)?;
                fault::point("inside.out");
            }
            // It was the live tree's alone when it was looked at. All goes back then.
            Belonging::Mixed if away == self.previous => return Err(came_meanwhile(&from)),
            // What is left out came into what had come in, and stays.
            Belonging::Mixed => {
                take_out(self.chooser, &self.top(), &self.path_of(name), &to)?;
                fault::point("inside.out");
            }
        }
        Ok(())
    }

    /// Gives what was live what its folder had, and ends the folder that was built.
    pub(super) fn leave(&self) -> io::Result<()> {
        give(&self.shared.live, &self.previous)?;
        match fs::remove_dir(&self.incoming) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Gives the folder what it has after the exchange.
    pub(super) fn dress(&self) -> io::Result<()> {
        self.shared.coming().map_or(Ok(()), |coming| give(&coming.top, &self.target))
    }

    /// Makes the folder again that was built; the one that stays gets what it had.
    pub(super) fn open_again(&self) -> io::Result<()> {
        make(&self.incoming)?;
        make(&self.target)?;
        give(&self.shared.live, &self.target)
    }

    /// Gives both folders what they had before the exchange.
    pub(super) fn undress(&self) -> io::Result<()> {
        if let Some(coming) = self.shared.coming() {
            give(&coming.top, &self.incoming)?;
        }
        give(&self.shared.live, &self.target)
    }

    /// Returns which tree the entry of this name is of. What came since was not to come in.
    fn side(&self, folder: &Path, name: &OsStr) -> Option<Side> {
        let number = folder.join(name).symlink_metadata().ok()?.ino();
        let entries = self.shared.coming().map(|coming| &coming.entries)?;
        let is_coming = entries.get(&ByteString::from(name)) == Some(&number);
        Some(if is_coming { Side::Coming } else { Side::Live })
    }

    /// Returns whether this, on the way back, was taken out of a folder that had come in and stays for
    /// what is left out of it. Two folders never cross: it is their entries that are exchanged.
    fn is_taken_out(&self, name: &OsStr) -> bool {
        let (out, stays) = (self.incoming.join(name), self.target.join(name));
        let is_coming = self.side(&self.target, name) == Some(Side::Coming);
        is_coming && is_folder(&out) && is_folder(&stays)
    }

    /// Fails where what has this name in the folder is not the source's alone.
    fn demand_own(&self, name: &OsStr) -> io::Result<()> {
        let place = self.target.join(name);
        if exists(&place) && self.belonging(name)? != Belonging::Own {
            return Err(came_meanwhile(&place));
        }
        Ok(())
    }

    fn belonging(&self, name: &OsStr) -> io::Result<Belonging> {
        belonging(self.chooser, &self.top(), &self.path_of(name))
    }

    /// Returns the target of the whole exchange.
    fn top(&self) -> PathBuf {
        let depth = if self.is_top() { 0 } else { list::components(&self.path).count() };
        self.target.ancestors().nth(depth).unwrap_or(&self.target).to_owned()
    }

    fn path_of(&self, name: &OsStr) -> ByteString {
        list::join(&self.path, name.as_encoded_bytes())
    }

    fn is_top(&self) -> bool {
        self.path.bytes() == list::TOP
    }
}

fn came_meanwhile(place: &Path) -> io::Error {
    let text = format!("what is left out of {} came meanwhile", place.display());
    io::Error::other(text)
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
