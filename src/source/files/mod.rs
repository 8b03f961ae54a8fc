//! The file source: a folder with all that is in it, or a single file.
//!
//! It is saved as one tar and a list. The tar (`archive`) is for anybody; the list ([`FileList`])
//! is what a restore follows and what proves it. Names are bytes, nothing is followed, and the
//! same tree gives the same bytes. A restore is a chain of types, each made from the one before:
//! [`stage()`] gives [`Staged`], proving that gives [`Proven`], and only this can be swapped.
//!
//! Paths are those that [`locate`] returned.

use std::ffi::OsStr;
use std::panic;
use std::path::Path;
use std::path::PathBuf;

use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::Sender;
use tokio::task;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::base::monitor::Recorder;
use crate::base::monitor::Silent;
use crate::source::RawChunk;
use crate::source::files::accounts::Accounts;
use crate::source::files::chunks::ChunkWriter;
use crate::source::files::globs::Chooser;
use crate::source::files::globs::Globs;
use crate::source::files::list::Entry;
use crate::source::files::prove::differences;
use crate::source::files::publish::Staging;
use crate::source::files::walk::Walked;

pub use crate::source::files::certificates::Serving;
pub use crate::source::files::contents::Contents;
pub use crate::source::files::contents::Listed;
pub use crate::source::files::exchange::Exchange;
pub use crate::source::files::left_out::in_the_way;
pub use crate::source::files::leftovers::Leftover;
pub use crate::source::files::leftovers::Role;
pub use crate::source::files::leftovers::leftovers;
pub use crate::source::files::list::FileList;
pub use crate::source::files::place::Way;
pub use crate::source::files::place::locate;
pub use crate::source::files::prove::Change;
pub use crate::source::files::wanted::Wanted;

mod accounts;
mod archive;
mod attributes;
mod byte_string;
mod certificates;
mod chunks;
mod contents;
mod dress;
pub mod durable;
mod exchange;
pub mod globs;
mod inside;
mod left_out;
mod leftovers;
mod list;
mod place;
mod prove;
mod publish;
mod rename;
mod stage;
mod walk;
mod wanted;

/// The usual size of a chunk of a tree, raw.
pub const CHUNK_BYTES: usize = 16 * 1024 * 1024;

/// How many differences an error names.
const NAMED_DIFFERENCES: usize = 3;

/// A tree that was read.
#[derive(Debug)]
pub struct Tree {
    /// What is in it.
    pub list: FileList,
    /// The size of its tar: of all chunks together.
    pub raw_bytes: u64,
}

/// Reads what lies at `path`, but for what `globs` leave out of a folder, into `chunks` of at most
/// `chunk_bytes`; returns what it was, or nothing where nothing is there.
///
/// Sockets, pipes, devices and what cannot be read are left out with a warning.
pub async fn read(
    path: &Path,
    globs: &Globs,
    chunk_bytes: usize,
    chunks: Sender<RawChunk>,
    monitor: &dyn Monitor,
) -> Result<Option<Tree>> {
    let path = path.to_owned();
    let globs = globs.clone();
    on_blocking_thread(monitor, move |monitor| {
        let chooser = globs.chooser()?;
        let mut archive = ChunkWriter::new(chunks, chunk_bytes);
        let name = path.file_name().unwrap_or_default();
        let walked = walk::walk(&path, name, &chooser, Some(&mut archive), monitor)?;
        let Some(Walked { entries, .. }) = walked else { return Ok(None) };
        let raw_bytes = archive.finish()?;
        Ok(Some(Tree { list: FileList { entries, globs }, raw_bytes }))
    })
    .await
}

/// Returns how what lies at `path` differs from what the list says, entry by entry, content and
/// all; the identical ones too. What was left out of the list is left out of both.
pub async fn changes(path: &Path, list: &FileList) -> Result<Vec<Change>> {
    let path = path.to_owned();
    let mut expected = list.entries.clone();
    let globs = list.globs.clone();
    on_blocking_thread(&Silent, move |monitor| {
        let mut accounts = Accounts::default();
        for entry in &mut expected {
            accounts.adopt(&mut entry.attributes, monitor);
        }
        let chooser = globs.chooser()?;
        let found = walk::walk(&path, listed_name(&expected), &chooser, None, monitor)?;
        let found = prove::without_holders(&expected, found.unwrap_or_default());
        Ok(prove::changes(&expected, &found))
    })
    .await
}

/// Returns what is left out of the folder at `path` and has the place of something in the list, where
/// there is such a thing: it refuses the restore.
pub async fn obstacle(path: &Path, list: &FileList) -> Result<Option<PathBuf>> {
    let (path, list) = (path.to_owned(), list.clone());
    on_blocking_thread(&Silent, move |_| left_out::obstacle(&list, &path)).await
}

/// Returns the contents of these files of a saved tree, read from the chunks of its tar.
pub async fn contents(
    list: &FileList,
    files: Vec<Listed>,
    chunks: Receiver<Vec<u8>>,
) -> Result<Contents> {
    let list = list.clone();
    on_blocking_thread(&Silent, move |_| contents::read(&list, &files, chunks)).await
}

/// Returns what the file at `path` holds, up to so many bytes; nothing where no file is.
pub async fn live_content(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let path = path.to_owned();
    on_blocking_thread(&Silent, move |_| contents::live(&path, limit)).await
}

/// Unpacks the chunks of a tar, joined in order, into a hidden staging beside `target`, or inside
/// of it ([`Way`]), which `suffix` names; on any failure nothing of it stays.
///
/// Owners are given by name. What this user or this host cannot give is a warning.
pub async fn stage(
    target: &Path,
    suffix: &str,
    wanted: Wanted,
    chunks: Receiver<Vec<u8>>,
    monitor: &dyn Monitor,
) -> Result<Staged> {
    let target = target.to_owned();
    let suffix = suffix.to_owned();
    on_blocking_thread(monitor, move |monitor| {
        let (staging, expected) = stage::unpack(&target, &suffix, wanted, chunks, monitor)?;
        Ok(Staged { staging, expected })
    })
    .await
}

/// A tree in its staging, removed when it is dropped.
#[derive(Debug)]
pub struct Staged {
    staging: Staging,
    expected: Vec<Entry>,
}

impl Staged {
    /// Says what would keep the certificates in it from working.
    pub async fn check_certificates(self, serving: Serving, monitor: &dyn Monitor) -> Result<Self> {
        on_blocking_thread(monitor, move |monitor| {
            certificates::check(self.staging.path(), &self.expected, &serving, monitor)?;
            Ok(self)
        })
        .await
    }

    /// Reads the whole staging back; a difference is a `Mismatch` that names the first ones.
    pub async fn prove(self) -> Result<Proven> {
        on_blocking_thread(&Silent, move |monitor| {
            let Self { staging, expected } = self;
            let all = Chooser::everything();
            let found = walk::walk(staging.path(), listed_name(&expected), &all, None, monitor)?;
            let differences = differences(&expected, &found.unwrap_or_default().entries);
            if differences.is_empty() {
                return Ok(Proven { staging });
            }
            Err(mismatch(staging.target(), &differences))
        })
        .await
    }
}

/// A staged tree that is what was saved; removed when it is dropped.
#[derive(Debug)]
pub struct Proven {
    staging: Staging,
}

impl Proven {
    /// Returns the places of the swap that puts it in the place of its target.
    pub fn release(self) -> Result<Exchange> {
        self.staging.release()
    }
}

/// Returns the name of a single file: a staged one lies under another.
fn listed_name(entries: &[Entry]) -> &OsStr {
    entries.first().map_or(OsStr::new(""), |entry| entry.path.os())
}

fn mismatch(target: &Path, differences: &[String]) -> Error {
    let named = differences.iter().take(NAMED_DIFFERENCES).cloned().collect::<Vec<_>>().join("; ");
    let more = differences.len().saturating_sub(NAMED_DIFFERENCES);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let message = format!("cannot prove {}: {named}{more}", target.display());
    Error::new(Kind::Mismatch, message).hint("the live files were not touched; restore again")
}

/// Runs work that blocks, and tells the monitor afterwards what it said.
async fn on_blocking_thread<T: Send + 'static>(
    monitor: &dyn Monitor,
    work: impl FnOnce(&dyn Monitor) -> Result<T> + Send + 'static,
) -> Result<T> {
    let recorded = task::spawn_blocking(move || {
        let recorder = Recorder::new(&Silent);
        let result = work(&recorder);
        (result, recorder.said())
    });
    let (result, said) = match recorded.await {
        Ok(recorded) => recorded,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => panic::resume_unwind(panic),
            Err(error) => {
                return Err(Error::failed("cannot end the work on files").caused_by(error));
            }
        },
    };
    said.repeat(monitor);
    result
}

#[cfg(test)]
mod tests;
