//! The exchange of a target as a whole: one rename of two names, or two renames.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::fault;
use crate::source::files::exchange::Exchange;
use crate::source::files::exchange::exists;
use crate::source::files::left_out::empty_out;
use crate::source::files::left_out::holds_left_out;
use crate::source::files::place::folder_and_name;
use crate::source::files::rename;

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
    /// On the way back: what came in is taken out of its folder, which stays for what is left out.
    Emptied,
    /// What comes in is nowhere.
    Lost,
}

impl Exchange {
    pub(super) fn can_go_on_whole(&self) -> bool {
        !matches!(self.progress(), Progress::Lost | Progress::Emptied)
    }

    pub(super) fn complete_whole(&self) -> Result<()> {
        match self.progress() {
            Progress::Waiting => {
                self.demand_none_came()?;
                self.demand_no_left_out()?;
                self.swap()
            }
            Progress::Crossed => self.put_aside(),
            Progress::Swapped => Ok(()),
            Progress::CrossedBack => self.put_back_aside().and_then(|()| self.swap()),
            Progress::Emptied => Err(Error::failed("what came in was being taken back")),
            Progress::Lost => Err(Error::failed("what was staged for it is gone")),
        }
    }

    pub(super) fn take_back_whole(&self) -> Result<()> {
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
                empty_out(&self.globs, &self.target, incoming)?;
            }
            Progress::Swapped => {
                self.step("undo", rename::to_free(&self.target, incoming)).context(cannot)?;
            }
            Progress::Emptied => empty_out(&self.globs, &self.target, incoming)?,
            Progress::CrossedBack => self.put_back_aside()?,
        }
        Ok(())
    }

    /// Fails with [`Kind::Refused`] where the target holds what is left out: a rename of the target
    /// would take it along.
    pub(super) fn demand_no_left_out(&self) -> Result<()> {
        if holds_left_out(&self.globs, &self.target)? {
            return Err(refusal(&self.target, "it holds what is left out, which is to stay"));
        }
        Ok(())
    }

    /// Fails with [`Kind::Refused`] where a part may be left out and a target has come since: put
    /// aside, it could not be told from what [`Progress::Emptied`] takes out.
    fn demand_none_came(&self) -> Result<()> {
        if self.is_made_and_stays() && exists(&self.target) {
            return Err(refusal(&self.target, "it came meanwhile"));
        }
        Ok(())
    }

    /// Returns whether the folder comes where nothing was, and stays for what is left out of it.
    fn is_made_and_stays(&self) -> bool {
        !self.had_target && !self.globs.is_empty()
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
            if self.is_made_and_stays() { Progress::Emptied } else { Progress::Crossed }
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
