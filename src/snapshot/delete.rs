//! `delete`: takes snapshots off the list. Their blobs stay until `prune`.

use crate::base::error::Result;
use crate::repository::Repository;
use crate::repository::id::SnapshotId;
use crate::repository::lock::Access;

/// Deletes snapshots: all of them, or none where an id is unknown.
pub async fn delete(repository: &Repository, ids: &[SnapshotId]) -> Result<()> {
    let _lock = repository.lock(Access::Exclusive).await?;
    repository.unlist(ids).await
}
