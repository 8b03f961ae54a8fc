//! `delete`: takes snapshots off the list. Their blobs stay until `prune`.

use crate::base::error::Result;
use crate::repository::Repository;
use crate::repository::id::SnapshotId;
use crate::repository::lock::Access;

/// Deletes snapshots: all of them, or none where an id is unknown or one is pinned.
pub async fn delete(repository: &Repository, ids: &[SnapshotId]) -> Result<()> {
    let _lock = repository.lock(Access::Exclusive).await?;
    repository.demand_unpinned(ids).await?;
    repository.unlist(ids).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Kind;
    use crate::repository::samples;
    use crate::snapshot::pin::pin;
    use crate::snapshot::pin::unpin;

    #[tokio::test]
    async fn a_deleted_snapshot_is_gone_from_every_list_and_its_blobs_stay() {
        let temp = tempfile::tempdir().unwrap();
        let repository = samples::repository(temp.path()).await;
        samples::commit(&repository, "one", "x").await;
        samples::commit(&repository, "two", "y").await;
        let blobs = repository.stored_blobs().await.unwrap().len();
        delete(&repository, &["one".parse().unwrap()]).await.unwrap();
        assert_eq!(repository.ids().await.unwrap(), ["two".parse().unwrap()]);
        let index = std::fs::read_to_string(temp.path().join("index.json")).unwrap();
        assert!(index.contains("two") && !index.contains("one"), "{index}");
        assert_eq!(repository.stored_blobs().await.unwrap().len(), blobs);
    }

    #[tokio::test]
    async fn one_unknown_id_deletes_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let repository = samples::repository(temp.path()).await;
        samples::commit(&repository, "one", "x").await;
        let ids = ["one".parse().unwrap(), "two".parse().unwrap()];
        let error = delete(&repository, &ids).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Absent);
        assert!(error.to_string().contains("two"), "{error}");
        assert!(repository.is_listed(&ids[0]).await.unwrap());
    }

    #[tokio::test]
    async fn a_pinned_snapshot_stays_and_all_that_are_named_with_it() {
        let temp = tempfile::tempdir().unwrap();
        let repository = samples::repository(temp.path()).await;
        samples::commit(&repository, "one", "x").await;
        samples::commit(&repository, "two", "y").await;
        let ids = ["one".parse().unwrap(), "two".parse().unwrap()];
        pin(&repository, &ids[1]).await.unwrap();
        let error = delete(&repository, &ids).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert_eq!(repository.ids().await.unwrap(), ids);
        unpin(&repository, &ids[1]).await.unwrap();
        delete(&repository, &ids).await.unwrap();
        assert_eq!(repository.ids().await.unwrap(), []);
        let left = std::fs::read_dir(temp.path().join("marks")).unwrap().count();
        assert_eq!(left, 0, "the marks go with their snapshot");
    }

    #[tokio::test]
    async fn a_broken_snapshot_can_be_deleted() {
        let temp = tempfile::tempdir().unwrap();
        let repository = samples::repository(temp.path()).await;
        samples::commit(&repository, "one", "x").await;
        samples::put(&temp.path().join("snapshots/one.json"), b"");
        delete(&repository, &["one".parse().unwrap()]).await.unwrap();
        assert_eq!(repository.ids().await.unwrap(), []);
    }
}
