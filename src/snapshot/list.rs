//! `list` and `show`: what snapshots there are, and what is in one.

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::repository::Repository;
use crate::repository::catalog::Catalog;
use crate::repository::id::SnapshotId;
use crate::repository::lock::Access;
use crate::repository::summary::Summary;

/// Returns all snapshots, the oldest first. One that cannot be read is a warning: it hides no
/// other one.
pub async fn list(repository: &Repository, monitor: &dyn Monitor) -> Result<Vec<Summary>> {
    let mut summaries = Vec::new();
    for (_, listed) in repository.list().await? {
        match listed {
            Ok(listed) => summaries.push(listed.summary),
            Err(error) => monitor.warn(&error.chain()),
        }
    }
    summaries.sort_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id)));
    Ok(summaries)
}

/// Returns the catalog of a snapshot.
pub async fn show(repository: &Repository, id: &SnapshotId) -> Result<Catalog> {
    let listed = repository.listed(id).await?;
    let _lock = repository.lock(Access::Shared).await?;
    let read = async { repository.catalog(&repository.manifest(&listed).await?).await };
    read.await.map_err(|error| error.while_doing(&format!("cannot read snapshot {id}")))
}
