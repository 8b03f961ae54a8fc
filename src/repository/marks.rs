//! Marks: what is said of a snapshot after it was made, and may change. A snapshot itself never does.
//!
//! Each has a file of its own, `marks/<id>.json`; without one nothing is said. Fields that another
//! version wrote stay as they are.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::repository::MARKS;
use crate::repository::Repository;
use crate::repository::id::SnapshotId;
use crate::repository::listing;

const MAX_MARKS_BYTES: u64 = 64 << 10;

/// What is said of one snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// Whether it is to stay, whatever a policy or a user says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Repository {
    /// Returns what is said of a snapshot.
    pub async fn marks(&self, id: &SnapshotId) -> Result<Marks> {
        let read = async {
            match self.store.get(&file_name(id), MAX_MARKS_BYTES).await? {
                None => Ok(Marks::default()),
                Some(bytes) => serde_json::from_slice(&bytes)
                    .map_err(|cause| Error::damaged("they are not readable").caused_by(cause)),
            }
        };
        read.await.map_err(|error| {
            let name = file_name(id);
            error
                .while_doing(&format!("cannot read the marks of snapshot {id}"))
                .hint(format!("remove {name} from the repository: what it said is lost"))
        })
    }

    /// Returns the ids of which anything is said.
    pub async fn marked(&self) -> Result<BTreeSet<SnapshotId>> {
        let files = self.store.list(MARKS).await?;
        let id = |name: &str| {
            let file = name.strip_prefix(MARKS)?.strip_prefix('/')?;
            file.strip_suffix(".json")?.parse().ok()
        };
        Ok(files.iter().filter_map(|file| id(&file.name)).collect())
    }

    /// Changes what is said of a snapshot; the caller holds the repository, so that it stays.
    pub async fn mark(&self, id: &SnapshotId, change: impl FnOnce(&mut Marks)) -> Result<()> {
        let _lock = self.lock_list().await?;
        if !self.is_listed(id).await? {
            return Err(listing::unknown(id));
        }
        let mut marks = self.marks(id).await?;
        change(&mut marks);
        let made = self.store.make_folder(MARKS).await;
        made.map_err(|error| error.while_doing(&format!("cannot mark snapshot {id}")))?;
        let bytes = serde_json::to_vec(&marks).expect("marks are plain JSON");
        self.store.replace(&file_name(id), Bytes::from(bytes)).await
    }

    /// Fails with [`Kind::Refused`] where one of these snapshots is pinned.
    pub async fn demand_unpinned(&self, ids: &[SnapshotId]) -> Result<()> {
        for id in ids {
            if self.marks(id).await?.pinned {
                let text = format!("cannot delete snapshot {id}: it is pinned");
                return Err(Error::new(Kind::Refused, text)
                    .hint(format!("nothing was deleted; `snap unpin {id}` lets it go")));
            }
        }
        Ok(())
    }

    /// Forgets what is said of a snapshot.
    pub(super) async fn unmark(&self, id: &SnapshotId) -> Result<()> {
        self.store.delete(&file_name(id)).await
    }
}

fn file_name(id: &SnapshotId) -> String {
    format!("{MARKS}/{id}.json")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::repository::samples;

    #[tokio::test]
    async fn marks_are_private_and_what_another_version_wrote_in_them_stays() {
        let temp = tempfile::tempdir().unwrap();
        let repository = samples::repository(temp.path()).await;
        samples::commit(&repository, "one", "x").await;
        let id = "one".parse().unwrap();
        assert_eq!(repository.marks(&id).await.unwrap(), Marks::default());
        repository.mark(&id, |marks| marks.pinned = true).await.unwrap();
        let (folder, file) = (temp.path().join("marks"), temp.path().join("marks/one.json"));
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
        samples::put(&file, br#"{"pinned":true,"verified":"2026-01-01"}"#);
        repository.mark(&id, |marks| marks.pinned = false).await.unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), r#"{"verified":"2026-01-01"}"#);
    }

    #[tokio::test]
    async fn what_is_not_listed_cannot_be_marked_and_a_namesake_is_born_without_marks() {
        let temp = tempfile::tempdir().unwrap();
        let repository = samples::repository(temp.path()).await;
        let id = "one".parse().unwrap();
        let error = repository.mark(&id, |marks| marks.pinned = true).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Absent);
        // A delete that is killed leaves the marks of what is gone.
        fs::create_dir(temp.path().join("marks")).unwrap();
        samples::put(&temp.path().join("marks/one.json"), br#"{"pinned":true}"#);
        samples::commit(&repository, "one", "x").await;
        assert_eq!(repository.marks(&id).await.unwrap(), Marks::default());
    }

    #[tokio::test]
    async fn unreadable_marks_may_be_a_pin() {
        let temp = tempfile::tempdir().unwrap();
        let repository = samples::repository(temp.path()).await;
        samples::commit(&repository, "one", "x").await;
        fs::create_dir(temp.path().join("marks")).unwrap();
        samples::put(&temp.path().join("marks/one.json"), b"{");
        let error = repository.demand_unpinned(&["one".parse().unwrap()]).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Damaged);
        assert!(error.advice().unwrap().contains("marks/one.json"), "{error:?}");
    }
}
