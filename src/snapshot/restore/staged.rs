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
use crate::snapshot::restore::undone;
use crate::source::files;
use crate::source::files::FileList;
use crate::source::files::Role;
use crate::source::files::Serving;
use crate::source::mariadb::accounts::plan::AccountsPlan;
use crate::source::mariadb::accounts::restore::RestoredAccounts;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::staging;
use crate::source::mariadb::swap;

/// The path that a restore replaces.
pub(super) struct Target<'a> {
    pub(super) path: &'a Path,
    pub(super) suffix: &'a str,
    /// Where certificates are to serve, where these are certificates.
    pub(super) serving: Option<Serving>,
}

/// A part that is built and proven beside what is live.
pub(super) enum Staged {
    Database(Box<StagedDatabase>),
    Files { proven: files::Proven, target: PathBuf },
}

/// A database that is built and proven, and the accounts that go with it.
pub(super) struct StagedDatabase {
    pub(super) staging: staging::Staging,
    pub(super) suffix: String,
    pub(super) login: Login,
    pub(super) accounts: Option<AccountsPlan>,
}

/// A part that took the place of what was live.
pub(super) enum Swapped {
    Database { swapped: Box<swap::Swapped>, accounts: Option<Box<RestoredAccounts>> },
    Files { swapped: files::Swapped, target: PathBuf },
}

/// Stages and proves a file tree.
pub(super) async fn stage_files(
    repository: &Repository,
    record: &SourceRecord,
    index: &Index,
    target: Target<'_>,
    monitor: &dyn Monitor,
) -> Result<Staged> {
    let Target { path: target, suffix, serving } = target;
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
    let (mut staged, ()) = tokio::try_join!(
        files::stage(target, suffix, list, receiver, monitor),
        chunks::fetch(repository, chunks, sender, monitor),
    )?;
    if let Some(serving) = serving {
        staged = staged.check_certificates(serving, monitor).await?;
    }
    Ok(Staged::Files { proven: staged.prove().await?, target: target.to_owned() })
}

impl Staged {
    /// Swaps the part in; fails with what is live as it was.
    pub(super) async fn swap(self, monitor: &dyn Monitor) -> Result<Swapped> {
        match self {
            Self::Database(database) => database.swap(monitor).await,
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
            Self::Database(database) => database.staging.discard().await,
            Self::Files { .. } => Ok(()),
        }
    }
}

impl StagedDatabase {
    /// Creates the accounts, swaps the database in, and gives the accounts what they have on its
    /// tables: all of it or nothing.
    async fn swap(self, monitor: &dyn Monitor) -> Result<Swapped> {
        let Some(plan) = self.accounts else {
            let swapped = Box::new(self.staging.swap(&self.suffix, monitor).await?);
            return Ok(Swapped::Database { swapped, accounts: None });
        };
        let mut accounts = match RestoredAccounts::create(&self.login, plan, monitor).await {
            Ok(accounts) => Box::new(accounts),
            Err(error) => {
                if let Err(left) = self.staging.discard().await {
                    monitor.warn(&format!("staging is left behind: {}", left.chain()));
                }
                return Err(error);
            }
        };
        let swapped = match self.staging.swap(&self.suffix, monitor).await {
            Ok(swapped) => Box::new(swapped),
            Err(error) => {
                accounts.undo(monitor).await;
                return Err(error);
            }
        };
        let completed = accounts.complete(monitor).await;
        let swapped = Swapped::Database { swapped, accounts: Some(accounts) };
        match completed {
            Ok(()) => Ok(swapped),
            Err(error) => Err(undone(error, swapped, monitor).await),
        }
    }
}

impl Swapped {
    /// Puts back what was live.
    pub(super) async fn undo(self, monitor: &dyn Monitor) -> Result<()> {
        match self {
            Self::Database { mut swapped, accounts } => {
                if let Some(accounts) = accounts {
                    accounts.undo(monitor).await;
                }
                swapped.undo(monitor).await?;
                swapped.finish().await
            }
            Self::Files { swapped, .. } => swapped.undo(),
        }
    }

    /// Returns where what was live is kept.
    pub(super) fn previous(&self) -> Option<String> {
        match self {
            Self::Database { swapped, .. } => {
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
            Self::Database { swapped, .. } => swapped.incomplete,
            Self::Files { .. } => Duration::ZERO,
        }
    }

    /// Drops what restores before this one kept. What cannot be dropped only takes room.
    pub(super) async fn discard_older(&mut self, monitor: &dyn Monitor) {
        let discarded = match self {
            Self::Database { swapped, .. } => swapped.discard_older().await,
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
            Self::Database { swapped, .. } => swapped.finish().await,
            Self::Files { .. } => Ok(()),
        }
    }
}
