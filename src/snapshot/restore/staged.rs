//! The parts of a restore on their way: staged, swapped, undone.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::repository::Repository;
use crate::repository::catalog::Index;
use crate::repository::catalog::SourceRecord;
use crate::snapshot::chunks;
use crate::snapshot::restore::previous::discard_older_files;
use crate::source::files;
use crate::source::files::FileList;
use crate::source::files::Role;
use crate::source::mariadb::staging;
use crate::source::mariadb::swap;

/// A part that is built and proven beside what is live.
pub(super) enum Staged {
    Database { staging: Box<staging::Staging>, suffix: String },
    Files { proven: files::Proven, target: PathBuf },
}

/// A part that took the place of what was live.
pub(super) enum Swapped {
    Database(Box<swap::Swapped>),
    Files { swapped: files::Swapped, target: PathBuf },
}

/// Stages and proves a file tree.
pub(super) async fn stage_files(
    repository: &Repository,
    record: &SourceRecord,
    index: &Index,
    target: &Path,
    suffix: &str,
    monitor: &dyn Monitor,
) -> Result<Staged> {
    let raw_bytes = record.items.iter().map(|item| item.raw_bytes).sum();
    monitor.step(&format!("unpack {}", record.name), Some(raw_bytes));
    for leftover in files::leftovers(target)? {
        if matches!(leftover.role, Role::Staging) {
            leftover.discard()?;
        }
    }
    let list = FileList::from_detail(index.detail.clone())?;
    let proof = record.items.first().map(|item| item.digest.as_str());
    if proof != Some(list.digest().as_str()) {
        return Err(Error::damaged(format!("the list of {} is not the catalog's", record.name)));
    }
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let chunks = index.items.first().map_or(&[][..], |item| &item.chunks);
    let (staged, ()) = tokio::try_join!(
        files::stage(target, suffix, list, receiver, monitor),
        chunks::fetch(repository, chunks, sender, monitor),
    )?;
    Ok(Staged::Files { proven: staged.prove().await?, target: target.to_owned() })
}

impl Staged {
    /// Swaps the part in; fails with what is live as it was.
    pub(super) async fn swap(self, monitor: &dyn Monitor) -> Result<Swapped> {
        match self {
            Self::Database { staging, suffix } => {
                let swapped = staging.swap(&suffix, monitor).await?;
                Ok(Swapped::Database(Box::new(swapped)))
            }
            Self::Files { proven, target } => {
                let swapped = spawn_blocking(|| proven.swap()).await;
                let swapped = swapped.context(|| "cannot swap files".to_owned())??;
                Ok(Swapped::Files { swapped, target })
            }
        }
    }

    /// Removes the part; files go by themselves.
    pub(super) async fn discard(self) -> Result<()> {
        match self {
            Self::Database { staging, .. } => staging.discard().await,
            Self::Files { .. } => Ok(()),
        }
    }
}

impl Swapped {
    /// Puts back what was live.
    pub(super) async fn undo(self, monitor: &dyn Monitor) -> Result<()> {
        match self {
            Self::Database(mut swapped) => {
                swapped.undo(monitor).await?;
                swapped.finish().await
            }
            Self::Files { swapped, .. } => swapped.undo(),
        }
    }

    /// Returns where what was live is kept.
    pub(super) fn previous(&self) -> Option<String> {
        match self {
            Self::Database(swapped) => {
                swapped.previous.as_ref().map(|schema| format!("database {schema}"))
            }
            Self::Files { swapped, .. } => {
                swapped.previous().map(|path| path.display().to_string())
            }
        }
    }

    /// Returns how long the live database was incomplete.
    pub(super) fn incomplete(&self) -> Duration {
        match self {
            Self::Database(swapped) => swapped.incomplete,
            Self::Files { .. } => Duration::ZERO,
        }
    }

    /// Drops what restores before this one kept. What cannot be dropped only takes room.
    pub(super) async fn discard_older(&mut self, monitor: &dyn Monitor) {
        let discarded = match self {
            Self::Database(swapped) => swapped.discard_older().await,
            Self::Files { swapped, target } => {
                discard_older_files(target, swapped.previous()).map(drop)
            }
        };
        if let Err(error) = discarded {
            monitor.note(&format!("an older state is still kept: {}", error.chain()));
        }
    }

    /// Ends the part: what is left of its staging goes.
    pub(super) async fn finish(self) -> Result<()> {
        match self {
            Self::Database(swapped) => swapped.finish().await,
            Self::Files { .. } => Ok(()),
        }
    }
}
