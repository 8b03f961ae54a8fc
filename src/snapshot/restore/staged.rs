//! The parts of a restore that are built and proven beside what is live.

use std::path::Path;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::repository::Repository;
use crate::repository::catalog::Index;
use crate::repository::catalog::SourceRecord;
use crate::snapshot::chunks;
use crate::snapshot::restore::command::CommandPart;
use crate::snapshot::restore::in_place::InPlaceDatabase;
use crate::snapshot::restore::swapping::Ready;
use crate::snapshot::restore::swapping::ReadyDatabase;
use crate::source::files;
use crate::source::files::FileList;
use crate::source::files::Role;
use crate::source::files::Serving;
use crate::source::files::Wanted;
use crate::source::mariadb::accounts::plan::AccountsPlan;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::staging;

/// The path that a restore replaces.
pub(super) struct Target<'a> {
    pub(super) path: &'a Path,
    pub(super) suffix: &'a str,
    /// What comes back, where it is not what was saved.
    pub(super) wanted: Option<Wanted>,
    /// Where certificates are to serve, where these are certificates.
    pub(super) serving: Option<Serving>,
}

/// A part that is built and proven beside what is live.
pub(super) enum Staged {
    Database(Box<StagedDatabase>),
    InPlace(Box<InPlaceDatabase>),
    Files(files::Proven),
    Command(Box<CommandPart>),
}

/// A database that is built and proven, and the accounts that go with it.
pub(super) struct StagedDatabase {
    pub(super) staging: staging::Staging,
    pub(super) suffix: String,
    pub(super) login: Login,
    pub(super) accounts: Option<AccountsPlan>,
}

/// Stages and proves a file tree.
pub(super) async fn stage_files(
    repository: &Repository,
    record: &SourceRecord,
    index: &Index,
    target: Target<'_>,
    monitor: &dyn Monitor,
) -> Result<Staged> {
    let Target { path: target, suffix, wanted, serving } = target;
    let raw_bytes = record.items.iter().map(|item| item.raw_bytes).sum();
    monitor.step(&format!("unpack {}", record.name), Some(raw_bytes));
    for leftover in files::leftovers(target)? {
        if matches!(leftover.role, Role::Staging) {
            leftover.discard()?;
        }
    }
    let list = FileList::from_detail(&index.detail)?.with_patterns(&record.detail)?;
    let proof = record.items.first().map(|item| item.digest.as_str());
    if proof != Some(list.digest().as_str()) {
        return Err(Error::damaged(format!("the list of {} is not the catalog's", record.name)));
    }
    let wanted = wanted.unwrap_or_else(|| list.into());
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let chunks = index.items.first().map_or(&[][..], |item| &item.chunks);
    let (mut staged, ()) = tokio::try_join!(
        files::stage(target, suffix, wanted, receiver, monitor),
        chunks::fetch(repository, chunks, sender, monitor),
    )?;
    if let Some(serving) = serving {
        staged = staged.check_certificates(serving, monitor).await?;
    }
    Ok(Staged::Files(staged.prove().await?))
}

impl Staged {
    /// Notes all that it takes to swap the part, and to take the swap back.
    pub(super) async fn ready(self, monitor: &dyn Monitor) -> Result<Ready> {
        match self {
            Self::Database(database) => {
                let StagedDatabase { staging, suffix, login, accounts } = *database;
                let ready = staging.prepare(&suffix, monitor).await?;
                Ok(Ready::Database(Box::new(ReadyDatabase { ready, suffix, login, accounts })))
            }
            Self::InPlace(database) => database.ready().await,
            Self::Files(proven) => Ok(Ready::Files(proven.release()?)),
            Self::Command(part) => Ok(Ready::Command(part)),
        }
    }

    /// Removes the part; files go by themselves.
    pub(super) async fn discard(self) -> Result<()> {
        match self {
            Self::Database(database) => database.staging.discard().await,
            Self::InPlace(database) => database.discard().await,
            Self::Files(_) | Self::Command(_) => Ok(()),
        }
    }
}
