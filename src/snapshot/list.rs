//! `list` and `show`: what snapshots there are, and what is in one.

use serde::Serialize;

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::repository::Repository;
use crate::repository::catalog::Catalog;
use crate::repository::id::SnapshotId;
use crate::repository::lock::Access;
use crate::repository::marks::Marks;
use crate::repository::summary::Summary;

/// A snapshot of the list, and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What it is.
    #[serde(flatten)]
    pub summary: Summary,
    /// Whether it is kept from being deleted.
    pub pinned: bool,
}

/// Returns all snapshots, the oldest first. One that cannot be read is a warning: it hides no
/// other one.
pub async fn list(repository: &Repository, monitor: &dyn Monitor) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    let marked = repository.marked().await?;
    for (id, listed) in repository.list().await? {
        let summary = match listed {
            Ok(listed) => listed.summary,
            Err(error) => {
                monitor.warn(&error.chain());
                continue;
            }
        };
        let marks =
            if marked.contains(&id) { repository.marks(&id).await } else { Ok(Marks::default()) };
        let marks = marks.unwrap_or_else(|error| {
            monitor.warn(&error.chain());
            Marks::default()
        });
        lines.push(Line { summary, pinned: marks.pinned });
    }
    let place = |line: &Line| (line.summary.created, line.summary.id.clone());
    lines.sort_by_key(place);
    Ok(lines)
}

/// Returns the catalog of a snapshot.
pub async fn show(repository: &Repository, id: &SnapshotId) -> Result<Catalog> {
    let listed = repository.listed(id).await?;
    let _lock = repository.lock(Access::Shared).await?;
    let read = async { repository.catalog(&repository.manifest(&listed).await?).await };
    read.await.map_err(|error| error.while_doing(&format!("cannot read snapshot {id}")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;
    use std::time::Instant;

    use super::*;
    use crate::base::error::Kind;
    use crate::base::monitor::Recorder;
    use crate::base::monitor::Silent;
    use crate::repository::samples;

    #[tokio::test]
    async fn a_broken_descriptor_is_named_and_hides_no_other() {
        let temp = tempfile::tempdir().unwrap();
        let repository = samples::repository(temp.path()).await;
        let one = samples::commit(&repository, "one", "x").await;
        let two = samples::commit(&repository, "two", "y").await;
        samples::commit(&repository, "three", "z").await;
        samples::put(&temp.path().join("snapshots/three.json"), b"{\"mediaType\":");
        samples::put(&temp.path().join("snapshots/notes.txt"), b"not ours");
        let recorder = Recorder::new(&Silent);
        let lines = list(&repository, &recorder).await.unwrap();
        let summaries: Vec<Summary> = lines.into_iter().map(|line| line.summary).collect();
        assert_eq!(summaries, [one, two]);
        let warnings = recorder.said().warnings;
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("the descriptor of snapshot three"), "{warnings:?}");
    }

    #[tokio::test]
    async fn the_oldest_snapshot_comes_first() {
        let temp = tempfile::tempdir().unwrap();
        let repository = samples::repository(temp.path()).await;
        for (id, created) in [("a", "2026-02-01T00:00:00Z"), ("b", "2026-01-01T00:00:00Z")] {
            let writer = repository.writer([]).await.unwrap();
            let mut catalog = samples::write(&writer, id, "x").await;
            catalog.created = created.parse().unwrap();
            writer.commit(catalog).await.unwrap();
        }
        let listed = list(&repository, &Silent).await.unwrap();
        let ids: Vec<&str> = listed.iter().map(|line| line.summary.id.as_str()).collect();
        assert_eq!(ids, ["b", "a"]);
    }

    #[tokio::test]
    async fn show_returns_the_catalog_and_knows_what_is_not_there() {
        let temp = tempfile::tempdir().unwrap();
        let repository = samples::repository(temp.path()).await;
        samples::commit(&repository, "one", "x").await;
        let catalog = show(&repository, &"one".parse().unwrap()).await.unwrap();
        assert_eq!((catalog.id.as_str(), catalog.sources.len()), ("one", 3));
        let error = show(&repository, &"two".parse().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Absent);
    }

    #[tokio::test]
    async fn a_thousand_snapshots_are_listed_in_a_moment() {
        let temp = tempfile::tempdir().unwrap();
        let repository = samples::repository(temp.path()).await;
        samples::commit(&repository, "number-0", "x").await;
        let folder = temp.path().join("snapshots");
        let first = std::fs::read_to_string(folder.join("number-0.json")).unwrap();
        for number in 1..1000 {
            let id = format!("number-{number}");
            let file = folder.join(format!("{id}.json"));
            samples::put(&file, first.replace("number-0", &id).as_bytes());
        }
        // The fastest of several: another process may have the processor.
        let mut fastest = Duration::MAX;
        for _ in 0..5 {
            let began = Instant::now();
            assert_eq!(list(&repository, &Silent).await.unwrap().len(), 1000);
            fastest = fastest.min(began.elapsed());
        }
        // Many times what a usual machine takes, even where nothing is optimized.
        assert!(fastest < Duration::from_secs(2), "{fastest:?}");
    }
}
