//! The moment in which one tree takes the place of another, and the way back from any point of it.
//!
//! All that is needed lies in the file system itself: which of three names beside each other has
//! the tree that comes in. So whoever finds a swap that was killed can go on, or back, by the
//! places alone. Each step is one rename, and is durable before the next.
//!
//! A mount point has its name for good, and so has a folder of which patterns leave out a part: there
//! it is the entries that are exchanged ([`Inside`]).

use std::fs;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::fault;
use crate::source::files::globs::Chooser;
use crate::source::files::globs::Globs;
use crate::source::files::inside::Folders;
use crate::source::files::inside::Inside;
use crate::source::files::left_out::holds_left_out;
use crate::source::files::left_out::is_folder;
use crate::source::files::left_out::make_like;
use crate::source::files::left_out::take_out;
use crate::source::files::leftovers::Role;
use crate::source::files::leftovers::hidden_path;
use crate::source::files::list::FileList;
use crate::source::files::list::TOP;
use crate::source::files::place::Way;
use crate::source::files::place::folder_and_name;
use crate::source::files::place::remove_made;
use crate::source::files::rename;

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

/// How far an exchange came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// What comes in is where it was built, or kept.
    Waiting,
    /// What comes in is live, and what was live still has its place.
    Crossed,
    /// Each is where it belongs after the exchange.
    Swapped,
    /// On the way back: what came in has the place of what was live.
    CrossedBack,
    /// What comes in is nowhere.
    Lost,
}

impl Exchange {
    /// Returns the places of a tree that is built to replace a target.
    pub fn of_staging(target: &Path, suffix: &str) -> Result<Self> {
        Self::incoming(target, suffix, Globs::default())
    }

    /// Returns the places of a tree that is built to replace a target, but for what its list leaves
    /// out.
    pub(super) fn of_list(target: &Path, suffix: &str, list: &FileList) -> Result<Self> {
        let globs = if list.leaves_out() { list.globs.clone() } else { Globs::default() };
        Self::incoming(target, suffix, globs)
    }

    fn incoming(target: &Path, suffix: &str, globs: Globs) -> Result<Self> {
        let way = Way::of(target)?;
        let staging = hidden_path(target, way, Role::Staging, suffix)?;
        Ok(Self { incoming: Some(staging), ..Self::onto(target, way, suffix, globs)? })
    }

    /// Returns the places of the exchange that undoes this one, which is complete.
    pub fn reversed(&self, suffix: &str) -> Result<Self> {
        let is_inside = self.previous.parent() == Some(&self.target);
        let way = if is_inside { Way::Inside } else { Way::Whole };
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
        if let Some(incoming) = &self.incoming {
            let cannot = || format!("cannot find {}", incoming.display());
            self.number = Some(incoming.symlink_metadata().context(cannot)?.ino());
            let is_file = !is_folder(incoming);
            if let Some(inside) = &mut self.inside {
                if is_file {
                    return Err(refusal(
                        &self.target,
                        "a part of it is left out, and a file comes",
                    ));
                }
                let chooser = &self.globs.chooser()?;
                let (target, previous) = (&self.target, &self.previous);
                inside.note(Folders { target, incoming, previous, chooser })?;
            }
        }
        Ok(self)
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
            None => self.progress() != Progress::Lost,
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

    fn complete_whole(&self) -> Result<()> {
        match self.progress() {
            Progress::Waiting => self.demand_no_left_out().and_then(|()| self.swap()),
            Progress::Crossed => self.put_aside(),
            Progress::Swapped => Ok(()),
            Progress::CrossedBack => self.put_back_aside().and_then(|()| self.swap()),
            Progress::Lost => Err(Error::failed("what was staged for it is gone")),
        }
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

    fn take_back_whole(&self) -> Result<()> {
        let cannot = || format!("cannot put back {}", self.target.display());
        let Some(incoming) = &self.incoming else {
            if self.keeps_something() && !exists(&self.target) {
                self.step("undo", rename::to_free(&self.previous, &self.target)).context(cannot)?;
            }
            return Ok(());
        };
        match self.progress() {
            Progress::Waiting | Progress::Lost
                if !exists(&self.target) && self.keeps_something() =>
            {
                self.step("undo", rename::to_free(&self.previous, &self.target)).context(cannot)?;
            }
            Progress::Waiting | Progress::Lost => {}
            Progress::Crossed => {
                self.step("undo", rename::exchange(incoming, &self.target)).context(cannot)?;
            }
            Progress::Swapped if self.keeps_something() => {
                match rename::exchange(&self.previous, &self.target) {
                    Err(error) if rename::is_unsupported(error) => {
                        rename::to_free(&self.target, incoming).context(cannot)?;
                        self.step("undo", rename::to_free(&self.previous, &self.target))
                            .context(cannot)?;
                    }
                    exchanged => {
                        self.step("undo", exchanged).context(cannot)?;
                        self.put_back_aside()?;
                    }
                }
            }
            // What was live is kept nowhere: what is there now is all there is.
            Progress::Swapped if self.had_target => {}
            // The folder that was made stays for what has come into it since.
            Progress::Swapped if holds_left_out(&self.globs, &self.target)? => {
                let chooser = self.globs.chooser()?;
                take_out(&chooser, &self.target, &TOP.into(), incoming).context(cannot)?;
            }
            Progress::Swapped => {
                self.step("undo", rename::to_free(&self.target, incoming)).context(cannot)?;
            }
            Progress::CrossedBack => self.put_back_aside()?,
        }
        Ok(())
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

    /// Fails with [`Kind::Refused`] where what is left out has come since the target was looked at: a
    /// rename of the target would take it along.
    fn demand_no_left_out(&self) -> Result<()> {
        if holds_left_out(&self.globs, &self.target)? {
            return Err(refusal(&self.target, "what is left out of it came meanwhile"));
        }
        Ok(())
    }

    fn swap(&self) -> Result<()> {
        let cannot = || "what was staged cannot take its name".to_owned();
        let Some(incoming) = &self.incoming else {
            if exists(&self.target) {
                self.step("swap", rename::to_free(&self.target, &self.previous)).context(cannot)?;
            }
            return Ok(());
        };
        fault::point("files.before-swap");
        if !exists(&self.target) {
            return self.step("swap", rename::to_free(incoming, &self.target)).context(cannot);
        }
        match rename::exchange(incoming, &self.target) {
            Err(error) if rename::is_unsupported(error) => {
                let swapped = rename::by_two(incoming, &self.target, &self.previous);
                self.step("swap", swapped).map_err(refused_if_busy)
            }
            exchanged => {
                self.step("swap", exchanged).map_err(refused_if_busy)?;
                self.put_aside()
            }
        }
    }

    /// On the way back, gives what came in its own name again.
    fn put_back_aside(&self) -> Result<()> {
        let Some(incoming) = &self.incoming else { return Ok(()) };
        let put = rename::to_free(&self.previous, incoming);
        self.step("undo-aside", put).context(|| "what came in cannot be put back".to_owned())
    }

    /// Gives what was live the name under which it is kept, or exchanges back.
    fn put_aside(&self) -> Result<()> {
        let Some(incoming) = &self.incoming else { return Ok(()) };
        let put = rename::to_free(incoming, &self.previous).or_else(|error| {
            rename::exchange(incoming, &self.target)?;
            Err(error)
        });
        self.step("aside", put).context(|| "what was live cannot be kept".to_owned())
    }

    /// Makes a rename durable that was just done.
    fn step(
        &self,
        name: &str,
        done: rustix::io::Result<()>,
    ) -> std::result::Result<(), std::io::Error> {
        done?;
        fault::point(&format!("files.{name}"));
        let folder = folder_and_name(&self.target).map_err(std::io::Error::other)?.0;
        File::open(folder)?.sync_all()
    }

    fn progress(&self) -> Progress {
        let Some(incoming) = &self.incoming else {
            return if self.keeps_something() { Progress::Swapped } else { Progress::Waiting };
        };
        let Some(number) = self.number else {
            return if exists(incoming) { Progress::Waiting } else { Progress::Lost };
        };
        let has = |path: &Path| path.symlink_metadata().is_ok_and(|found| found.ino() == number);
        if has(incoming) {
            Progress::Waiting
        } else if has(&self.previous) {
            Progress::CrossedBack
        } else if exists(incoming) {
            Progress::Crossed
        } else if has(&self.target) || self.keeps_something() {
            // Somebody may have replaced the new one since.
            Progress::Swapped
        } else {
            Progress::Lost
        }
    }
}

fn refusal(target: &Path, why: &str) -> Error {
    let text = format!("cannot replace {}: {why}", target.display());
    Error::new(Kind::Refused, text).hint("move away what is in the way, and try again")
}

fn refused_if_busy(cause: std::io::Error) -> Error {
    let is_busy = cause.kind() == std::io::ErrorKind::ResourceBusy;
    let kind = if is_busy { Kind::Refused } else { Kind::Failed };
    Error::new(kind, "what was staged cannot take its name").caused_by(cause)
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
mod tests {
    use super::*;

    /// A folder with a target, and an exchange for what is staged beside it.
    fn scene(has_target: bool) -> (tempfile::TempDir, Exchange) {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("ssl");
        let exchange = Exchange::of_staging(&target, "x").unwrap();
        make(exchange.incoming.as_ref().unwrap(), "new");
        if has_target {
            make(&target, "old");
        }
        let exchange = exchange.noted().unwrap();
        (folder, exchange)
    }

    fn make(path: &Path, name: &str) {
        fs::create_dir(path).unwrap();
        fs::create_dir(path.join(name)).unwrap();
    }

    /// What it is called, whether there was a target, and how it is come to.
    type State = (&'static str, bool, fn(&Exchange));

    /// Every state that a process may leave behind which is killed while it exchanges.
    fn states() -> Vec<State> {
        let crossed =
            |it: &Exchange| rename::exchange(it.incoming.as_ref().unwrap(), &it.target).unwrap();
        vec![
            ("waiting", true, |_| {}),
            ("crossed", true, crossed),
            ("swapped", true, |it| it.complete().unwrap()),
            ("between two renames", true, |it| rename::to_free(&it.target, &it.previous).unwrap()),
            ("crossed back", true, |it| {
                it.complete().unwrap();
                rename::exchange(&it.previous, &it.target).unwrap();
            }),
            ("waiting for nothing", false, |_| {}),
            ("put", false, |it| it.complete().unwrap()),
        ]
    }

    #[test]
    fn from_every_state_it_is_completed_and_taken_back() {
        for (name, has_target, reach) in states() {
            let (_folder, exchange) = scene(has_target);
            reach(&exchange);
            exchange.complete().unwrap();
            assert!(exchange.target.join("new").exists(), "{name}");
            assert_eq!(exchange.previous.join("old").exists(), has_target, "{name}");
            assert!(exchange.can_go_on() && exchange.is_whole(), "{name}");

            let (_folder, exchange) = scene(has_target);
            reach(&exchange);
            exchange.take_back().unwrap();
            assert_eq!(exchange.target.join("old").exists(), has_target, "{name}");
            assert_eq!(exists(&exchange.target), has_target, "{name}");
            assert!(
                !exists(&exchange.previous) && !exists(exchange.incoming.as_ref().unwrap()),
                "{name}"
            );
        }
    }

    #[test]
    fn an_exchange_is_reversed_and_reversed_again() {
        for has_target in [true, false] {
            let (_folder, first) = scene(has_target);
            first.complete().unwrap();
            let second = first.reversed("y").unwrap();
            second.complete().unwrap();
            assert_eq!(exists(&second.target), has_target);
            assert_eq!(second.target.join("old").exists(), has_target);
            let third = second.reversed("z").unwrap();
            third.complete().unwrap();
            assert!(third.target.join("new").exists());
            // Taken back, what an earlier one kept is kept again.
            third.take_back().unwrap();
            assert_eq!(exists(&second.target), has_target);
            assert!(second.previous.join("new").exists());
        }
    }

    #[test]
    fn what_is_staged_and_lost_leaves_the_target_alone() {
        let (_folder, exchange) = scene(true);
        fs::remove_dir_all(exchange.incoming.as_ref().unwrap()).unwrap();
        assert!(!exchange.can_go_on());
        assert!(exchange.complete().is_err());
        exchange.take_back().unwrap();
        assert!(exchange.target.join("old").exists());
    }
}
