//! File locks that name their holder.
//!
//! They are flocks: the kernel drops them when a process dies, so none is ever stale.

use std::fmt;
use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::io;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use tokio::time::sleep;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;

const RETRY: Duration = Duration::from_millis(20);
const MAX_HOLDER_BYTES: u64 = 4096;

/// Who holds a lock: written into the lock file for whoever finds it locked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The verb, such as `prune`.
    pub verb: String,
    /// The process id.
    pub process: u32,
    /// The name of the host.
    pub host: String,
    /// When the verb began.
    pub since: Timestamp,
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, process, host, since } = self;
        let since = since.strftime("%Y-%m-%d %H:%M:%S UTC");
        write!(formatter, "snap {verb} (process {process} on {host}, since {since})")
    }
}

/// How a lock is shared with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Any number at a time.
    Shared,
    /// Alone.
    Exclusive,
}

/// A lock, held until it is dropped.
#[derive(Debug)]
#[must_use = "a lock is held until it is dropped"]
pub struct Lock(#[expect(dead_code, reason = "closing the file is what unlocks it")] File);

/// Returns the lock on a file, which is made where it is absent. Waits as long as `wait`, then
/// fails with [`Kind::Busy`] naming the holder.
pub async fn acquire(path: &Path, access: Access, wait: Duration, holder: &Holder) -> Result<Lock> {
    let cannot = |cause: io::Error| {
        Error::failed(format!("cannot lock {}", path.display())).caused_by(cause)
    };
    let file = open(path, access).map_err(cannot)?;
    let began = Instant::now();
    loop {
        let tried = match access {
            Access::Shared => file.try_lock_shared(),
            Access::Exclusive => file.try_lock(),
        };
        match tried {
            Ok(()) => break,
            Err(TryLockError::Error(cause)) => return Err(cannot(cause)),
            Err(TryLockError::WouldBlock) if began.elapsed() < wait => sleep(RETRY).await,
            Err(TryLockError::WouldBlock) => return Err(busy(path, &file)),
        }
    }
    sign(&file, holder);
    Ok(Lock(file))
}

/// Returns whether somebody holds the lock on a file; nobody does where there is no file.
pub fn is_held(path: &Path) -> Result<bool> {
    let cannot = |cause: io::Error| {
        Error::failed(format!("cannot look at the lock {}", path.display())).caused_by(cause)
    };
    match File::open(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(cannot(cause)),
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(cause)) => Err(cannot(cause)),
        },
    }
}

/// Writes who holds the lock. It is a courtesy: a disk that is full, or read only, does not keep
/// a verb from its work, and of several that share the lock the last one signs.
fn sign(file: &File, holder: &Holder) {
    let mut text = serde_json::to_vec(holder).expect("a holder is plain JSON");
    text.push(b'\n');
    let length = text.len() as u64;
    let signed = file.write_all_at(&text, 0).and_then(|()| file.set_len(length));
    drop(signed);
}

/// A shared lock is also had on a medium that can only be read.
fn open(path: &Path, access: Access) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let opened = options.read(true).write(true).create(true).mode(0o600).open(path);
    match opened {
        Err(cause) if access == Access::Shared && is_read_only(&cause) => File::open(path),
        opened => opened,
    }
}

fn is_read_only(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

fn busy(path: &Path, file: &File) -> Error {
    let mut text = Vec::new();
    let read = file.take(MAX_HOLDER_BYTES).read_to_end(&mut text);
    let holder = read.ok().and_then(|_| serde_json::from_slice::<Holder>(&text).ok());
    let who = holder.map_or("another process".to_owned(), |holder| holder.to_string());
    Error::new(Kind::Busy, format!("cannot lock {}: it is in use by {who}", path.display()))
        .hint(format!("wait until it ends; `fuser -v {}` shows all who use it", path.display()))
}
