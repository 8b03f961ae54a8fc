//! Locks: who may work on a repository at the same time.
//!
//! `snap.lock` is shared by all that read or write blobs and exclusive for `prune` and `delete`,
//! so that no blob goes while somebody counts on it. `commit.lock` is exclusive and short, around
//! a commit.

use std::time::Duration;

use crate::base::error::Result;
use crate::base::lock;
use crate::repository::Repository;

pub use crate::base::lock::Access;
pub use crate::base::lock::Holder;
pub use crate::base::lock::Lock;

const SNAP_LOCK: &str = "snap.lock";
const COMMIT_LOCK: &str = "commit.lock";
/// Long enough for a list or a short verb to pass, short enough for a job of cron to say so.
const SNAP_WAIT: Duration = Duration::from_secs(2);
/// A commit takes milliseconds; only a disk in trouble makes anybody wait this long.
const COMMIT_WAIT: Duration = Duration::from_secs(30);

impl Repository {
    /// Returns the lock on the blobs; waits two seconds at most, then names the holder.
    pub async fn lock(&self, access: Access) -> Result<Lock> {
        self.acquire(SNAP_LOCK, access, SNAP_WAIT).await
    }

    /// Returns the lock on the list of snapshots.
    pub(super) async fn lock_list(&self) -> Result<Lock> {
        self.acquire(COMMIT_LOCK, Access::Exclusive, COMMIT_WAIT).await
    }

    async fn acquire(&self, name: &str, access: Access, wait: Duration) -> Result<Lock> {
        lock::acquire(&self.store.folder.join(name), access, wait, &self.holder).await
    }
}
