//! `prune`: reclaims blobs that no snapshot names, and what killed processes left unfinished.
//!
//! Nothing younger than a grace period goes: the lock keeps running verbs apart, and the grace
//! keeps what a copy made by other tools has brought but not listed yet. A snapshot that cannot be
//! read may name any blob, so nothing goes while there is one. It may be interrupted anywhere.

use std::collections::HashSet;

use futures_util::StreamExt as _;
use futures_util::TryStreamExt as _;
use futures_util::stream;
use jiff::SignedDuration;
use jiff::Timestamp;
use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::fault;
use crate::repository::Repository;
use crate::repository::id::SnapshotId;
use crate::repository::listing::Listed;
use crate::repository::lock::Access;
use crate::repository::sweep::Stored;

const DELETERS: usize = 8;

/// How to prune.
#[derive(Debug, Clone, Copy)]
pub struct PruneOptions {
    /// Only say what would go.
    pub dry_run: bool,
    /// The age from which an unnamed blob goes.
    pub grace: SignedDuration,
}

/// What went, or would go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// The blobs that nobody names.
    pub blobs: u64,
    /// The bytes of those blobs and of the staged files.
    pub bytes: u64,
    /// The blobs and staged files that are too young to go.
    pub kept_young: u64,
    /// The files that killed processes left unfinished.
    pub staging_files: u64,
    /// Whether they are gone; false for a dry run.
    pub done: bool,
}

/// Deletes what no snapshot names.
pub async fn prune(
    repository: &Repository,
    now: Timestamp,
    options: &PruneOptions,
) -> Result<Pruned> {
    let access = if options.dry_run { Access::Shared } else { Access::Exclusive };
    let _lock = repository.lock(access).await?;
    let named = named_digests(repository).await?;
    let mut stored = repository.stored_blobs().await?;
    stored.extend(repository.staged_files().await?);
    let plan = decide(stored, &named, now - options.grace);
    if options.dry_run {
        return Ok(plan.pruned);
    }
    let remove = |stored| async move { repository.remove(&stored).await };
    fault::point("prune.before");
    let removals = stream::iter(plan.removed).map(remove).buffer_unordered(DELETERS);
    removals.try_collect::<()>().await?;
    fault::point("prune.removed");
    Ok(Pruned { done: true, ..plan.pruned })
}

struct Plan {
    removed: Vec<Stored>,
    pruned: Pruned,
}

/// Returns what goes: of blobs and staged files, those that nobody names and that were written
/// before `youngest`. A file that is neither is not ours.
fn decide(stored: Vec<Stored>, named: &HashSet<String>, youngest: Timestamp) -> Plan {
    let mut plan = Plan { removed: Vec::new(), pruned: Pruned::default() };
    for stored in stored {
        let digest = stored.digest();
        if digest.as_ref().is_some_and(|digest| named.contains(digest)) {
            continue;
        }
        let is_staged = stored.is_staged();
        if digest.is_none() && !is_staged {
            continue;
        }
        let pruned = &mut plan.pruned;
        if stored.modified > youngest {
            pruned.kept_young += 1;
            continue;
        }
        *(if is_staged { &mut pruned.staging_files } else { &mut pruned.blobs }) += 1;
        pruned.bytes += stored.size;
        plan.removed.push(stored);
    }
    plan
}

async fn named_digests(repository: &Repository) -> Result<HashSet<String>> {
    let mut named = HashSet::new();
    for (id, listed) in repository.list().await? {
        let digests = digests_of(repository, listed).await;
        named.extend(digests.map_err(|error| unknown_blobs(&id, error))?);
    }
    Ok(named)
}

async fn digests_of(repository: &Repository, listed: Result<Listed>) -> Result<Vec<String>> {
    let listed = listed?;
    let manifest = repository.manifest(&listed).await?;
    let blobs = manifest.layers().iter().chain([manifest.catalog()]);
    let mut digests: Vec<String> = blobs.map(|blob| blob.digest().to_string()).collect();
    digests.push(listed.digest);
    Ok(digests)
}

fn unknown_blobs(id: &SnapshotId, error: Error) -> Error {
    let doing = format!("cannot prune: it is not known what snapshot {id} needs");
    error
        .while_doing(&doing)
        .hint(format!("`snap verify {id}` shows the damage; `snap delete {id}` gives it up"))
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::path::Path;
    use std::time::SystemTime;

    use super::*;
    use crate::base::error::Kind;
    use crate::base::monitor::Silent;
    use crate::repository::samples;
    use crate::snapshot::delete::delete;
    use crate::snapshot::verify::Depth;
    use crate::snapshot::verify::verify;

    const DAY: PruneOptions =
        PruneOptions { dry_run: false, grace: SignedDuration::from_hours(24) };

    /// Two days after everything in [`aged`] was written.
    fn now() -> Timestamp {
        samples::created() + SignedDuration::from_hours(48)
    }

    fn touch(file: &Path, time: Timestamp) {
        let file = OpenOptions::new().write(true).open(file).unwrap();
        file.set_modified(SystemTime::from(time)).unwrap();
    }

    /// Returns a repository with snapshots `kept` and `gone`, the latter deleted, two days ago.
    async fn aged(folder: &Path) -> Repository {
        let repository = samples::repository(folder).await;
        samples::commit(&repository, "kept", "x").await;
        samples::commit(&repository, "gone", "y").await;
        delete(&repository, &["gone".parse().unwrap()]).await.unwrap();
        for stored in repository.stored_blobs().await.unwrap() {
            touch(&folder.join(stored.name), samples::created());
        }
        repository
    }

    async fn kept_is_sound(repository: &Repository) -> bool {
        verify(repository, &[], Depth::ReadData, &Silent).await.unwrap().checked[0].sound
    }

    #[tokio::test]
    async fn what_nobody_names_goes_and_the_rest_stays() {
        let temp = tempfile::tempdir().unwrap();
        let repository = aged(temp.path()).await;
        let before = repository.stored_blobs().await.unwrap();
        let dry = PruneOptions { dry_run: true, ..DAY };
        let planned = prune(&repository, now(), &dry).await.unwrap();
        assert_eq!(repository.stored_blobs().await.unwrap().len(), before.len());

        let pruned = prune(&repository, now(), &DAY).await.unwrap();
        // A chunk, the index of the database, the catalog and the manifest of its own.
        assert_eq!((pruned.blobs, pruned.kept_young, pruned.done), (4, 0, true));
        assert_eq!(planned, Pruned { done: false, ..pruned.clone() });
        let after = repository.stored_blobs().await.unwrap();
        let sizes = |stored: &[Stored]| stored.iter().map(|blob| blob.size).sum::<u64>();
        assert_eq!(sizes(&before) - sizes(&after), pruned.bytes);
        assert!(kept_is_sound(&repository).await);
        let again = prune(&repository, now(), &DAY).await.unwrap();
        assert_eq!((again.blobs, again.bytes), (0, 0));
    }

    #[tokio::test]
    async fn the_base_of_a_difference_stays_when_the_snapshot_it_came_with_is_deleted() {
        let temp = tempfile::tempdir().unwrap();
        let repository = samples::repository(temp.path()).await;
        let (base, _) = samples::commit_changed(&repository).await;
        delete(&repository, &["one".parse().unwrap()]).await.unwrap();
        for stored in repository.stored_blobs().await.unwrap() {
            touch(&temp.path().join(stored.name), samples::created());
        }
        prune(&repository, now(), &DAY).await.unwrap();
        repository.find_blob(&base.digest, base.size).await.unwrap();
        assert!(kept_is_sound(&repository).await);
        delete(&repository, &["two".parse().unwrap()]).await.unwrap();
        prune(&repository, now(), &DAY).await.unwrap();
        repository.find_blob(&base.digest, base.size).await.unwrap_err();
    }

    #[tokio::test]
    async fn staged_files_go_and_the_young_and_the_foreign_stay() {
        let temp = tempfile::tempdir().unwrap();
        let repository = aged(temp.path()).await;
        let blobs = temp.path().join("blobs/sha256");
        let old = [blobs.join("00#1"), temp.path().join("index.json#12"), blobs.join("notes")];
        for file in &old {
            samples::put(file, b"half");
            touch(file, samples::created());
        }
        let young = [blobs.join("01#1"), blobs.join("f".repeat(64))];
        for file in &young {
            samples::put(file, b"half");
            touch(file, now() - SignedDuration::from_hours(1));
        }
        let pruned = prune(&repository, now(), &DAY).await.unwrap();
        assert_eq!((pruned.blobs, pruned.staging_files, pruned.kept_young), (4, 2, 2));
        assert_eq!(old.each_ref().map(|file| file.exists()), [false, false, true]);
        assert!(young.iter().all(|file| file.exists()));
        assert!(kept_is_sound(&repository).await);
    }

    #[tokio::test]
    async fn nothing_goes_while_a_snapshot_cannot_be_read() {
        let temp = tempfile::tempdir().unwrap();
        let repository = aged(temp.path()).await;
        let listed = repository.listed(&"kept".parse().unwrap()).await.unwrap();
        let hex = listed.digest.strip_prefix("sha256:").unwrap();
        samples::put(&temp.path().join("blobs/sha256").join(hex), b"{}");
        let before = repository.stored_blobs().await.unwrap().len();
        let error = prune(&repository, now(), &DAY).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Damaged);
        assert!(error.to_string().contains("snapshot kept"), "{error}");
        assert_eq!(repository.stored_blobs().await.unwrap().len(), before);
    }

    #[tokio::test]
    async fn nothing_goes_while_a_snapshot_is_being_written() {
        let temp = tempfile::tempdir().unwrap();
        let repository = aged(temp.path()).await;
        let writer = repository.writer([]).await.unwrap();
        let error = prune(&repository, now(), &DAY).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Busy);
        drop(writer);
        prune(&repository, now(), &DAY).await.unwrap();
    }
}
