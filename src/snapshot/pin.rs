//! `pin` and `unpin`: whether a snapshot is to stay, whatever a policy or a user says.

use crate::base::error::Result;
use crate::repository::Repository;
use crate::repository::id::SnapshotId;
use crate::repository::lock::Access;

/// Keeps a snapshot from being deleted.
pub async fn pin(repository: &Repository, id: &SnapshotId) -> Result<()> {
    // Whoever deletes holds the repository alone, and sees the pin or has deleted already.
    let _lock = repository.lock(Access::Shared).await?;
    repository.mark(id, |marks| marks.pinned = true).await
}

/// Lets a snapshot be deleted again.
pub async fn unpin(repository: &Repository, id: &SnapshotId) -> Result<()> {
    let _lock = repository.lock(Access::Shared).await?;
    repository.mark(id, |marks| marks.pinned = false).await
}
