//! `restore`: builds what a snapshot holds beside what is live, proves it, and swaps.
//!
//! Nothing live is touched before all that will be restored is staged and proven. What is
//! replaced is kept until the next restore.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::profile::Profile;
use crate::repository::Repository;
use crate::repository::catalog::Index;
use crate::repository::catalog::SourceRecord;
use crate::repository::contents::Contents;
use crate::repository::id::SnapshotId;
use crate::repository::lock::Access;
use crate::repository::lock::Lock;
use crate::snapshot::Host;
use crate::snapshot::restore::database::Compared;
use crate::snapshot::restore::database::Saved;
use crate::snapshot::restore::plan::Plan;
use crate::snapshot::restore::plan::Site;
use crate::snapshot::restore::staged::Staged;
use crate::snapshot::restore::staged::Swapped;
use crate::snapshot::turn::Turn;
use crate::source::mariadb::compare::Extent;
use crate::source::mariadb::staging;

pub mod plan;
mod accounts;
mod database;
mod definers;
mod parts;
pub mod previous;
mod room;
mod staged;
mod survey;

/// What the user says of a restore.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct RestoreOptions {
    /// Restores the certificates too.
    pub certificates: bool,
    /// Replaces a database that has tables.
    pub force: bool,
    /// Plans, and touches nothing.
    pub dry_run: bool,
    /// The sources to restore, by name; all without.
    pub only: Vec<String>,
    /// Another name for the restored database.
    pub database: Option<String>,
    /// Restores the accounts that were saved with a database.
    pub users: bool,
    /// Creates programs of other accounts from an uploaded snapshot too.
    pub trust_definers: bool,
    /// Restores what is identical already too.
    pub full: bool,
}

impl RestoreOptions {
    const fn extent(&self) -> Extent {
        if self.full { Extent::All } else { Extent::Differences }
    }
}

/// What a restore did, or would do.
#[derive(Debug, Serialize)]
pub struct Restored {
    /// What was, or would be, done source by source.
    #[serde(flatten)]
    pub plan: Plan,
    /// Whether it was done; `false` for a dry run.
    pub done: bool,
    /// Why the restore would be refused, for a dry run.
    #[serde(skip)]
    pub refusal: Option<Error>,
    /// What became of what was live.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What a swap came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Outcome {
    /// How long the live database was incomplete, in seconds.
    pub incomplete_seconds: f64,
    /// Where what was replaced is kept: schemas and paths.
    pub previous: Vec<String>,
}

/// Restores a snapshot in place of what is live, or says what it would do.
///
/// Once `stop` returns, all is taken back and its error is the verb's, unless the swap has begun:
/// that takes a moment, and is done or undone as a whole.
pub async fn restore(
    repository: &Repository,
    profile: &Profile,
    host: &Host,
    id: &SnapshotId,
    options: &RestoreOptions,
    monitor: &dyn Monitor,
    stop: impl Future<Output = Error>,
) -> Result<Restored> {
    let mut stop = pin!(stop);
    profile.check_names("--only", &options.only)?;
    let planning = planned(repository, profile, host, id, options, monitor);
    let Planned { lock: _lock, contents, mut plan, refusal } = tokio::select! {
        biased;
        stopped = &mut stop => return Err(stopped),
        planned = planning => planned?,
    };
    for warning in &contents.catalog.warnings {
        monitor.warn(&format!("the snapshot is partial: {warning}"));
    }
    if options.dry_run {
        let refusal = refusal.or_else(|| room::demand(&plan).err());
        plan.estimated_seconds = Some(room::seconds(&plan));
        return Ok(Restored { plan, done: false, refusal, outcome: Outcome::default() });
    }
    let turn = Turn::take(host, profile, "restore").await?;
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    let suffix = suffix()?;
    let staged = tokio::select! {
        biased;
        stopped = stop => {
            take_back(&plan, host, &suffix, monitor).await;
            return Err(stopped);
        }
        staged = stage(repository, &contents, &mut plan, host, options, &suffix, monitor) => staged?,
    };
    // From here on nothing may stop half-way: whoever wants the process to end waits for it.
    monitor.step("swap", None);
    let mut swapped = swap(staged, monitor).await?;
    for part in &mut swapped {
        part.discard_older(monitor).await;
    }
    let incomplete: Duration = swapped.iter().map(Swapped::incomplete).sum();
    let outcome = Outcome {
        incomplete_seconds: incomplete.as_secs_f64(),
        previous: swapped.iter().filter_map(Swapped::previous).collect(),
    };
    for part in swapped {
        // All is restored: what is left of staging takes room, and goes with the next restore.
        if let Err(error) = part.finish().await {
            monitor.note(&format!("staging is left behind: {}", error.chain()));
        }
    }
    turn.end();
    Ok(Restored { plan, done: true, refusal: None, outcome })
}

/// What is decided before anything is done.
struct Planned {
    /// Keeps the blobs from being removed.
    lock: Lock,
    contents: Contents,
    plan: Plan,
    refusal: Option<Error>,
}

/// Looks at the snapshot and at all that is live, and writes nothing.
async fn planned(
    repository: &Repository,
    profile: &Profile,
    host: &Host,
    id: &SnapshotId,
    options: &RestoreOptions,
    monitor: &dyn Monitor,
) -> Result<Planned> {
    let lock = repository.lock(Access::Shared).await?;
    let contents = repository.contents(id).await?;
    let plan = plan::plan(repository, id, &contents, profile, host, options, monitor).await?;
    let plan = accounts::planned(plan, repository, &contents, host, options).await?;
    let mut plan = definers::planned(plan, repository, &contents, host, options).await?;
    survey::demand_blobs(&plan, repository, &contents).await?;
    let refusal = plan.check(options).err();
    if options.dry_run {
        plan = survey::surveyed(plan, repository, &contents, host, options, monitor).await?;
    }
    Ok(Planned { lock, contents, plan, refusal })
}

/// Builds and proves everything that will be swapped in. What is live is compared first, and only
/// what differs is built; nothing is written before all of it is known to fit.
async fn stage(
    repository: &Repository,
    contents: &Contents,
    plan: &mut Plan,
    host: &Host,
    options: &RestoreOptions,
    suffix: &str,
    monitor: &dyn Monitor,
) -> Result<Vec<Staged>> {
    let extent = options.extent();
    let mut compared = Vec::new();
    for source in plan.sources.iter_mut().filter(|source| source.is_restored()) {
        let Some(Site::Database { database }) = source.site.clone() else { continue };
        let (record, index) = saved(contents, &source.name)?;
        let target = database::Target { name: &database, suffix, extent };
        let doing = format!("cannot restore {}", source.name);
        let read = Saved::read(repository, record, index).await;
        let found = match read {
            Ok(saved) => saved.compare(host, &target, monitor).await,
            Err(error) => Err(error),
        };
        let found = found.map_err(|error| error.while_doing(&doing))?;
        source.take_in(found.found(), &record.items);
        if source.is_restored() {
            compared.push((source.name.clone(), found));
        }
    }
    room::demand(plan)?;
    build(repository, contents, plan, compared, host, suffix, monitor).await
}

/// Builds and proves the parts, the databases from what was found of them.
async fn build(
    repository: &Repository,
    contents: &Contents,
    plan: &Plan,
    compared: Vec<(String, Compared<'_>)>,
    host: &Host,
    suffix: &str,
    monitor: &dyn Monitor,
) -> Result<Vec<Staged>> {
    let mut compared: HashMap<_, _> = compared.into_iter().collect();
    let mut staged = Vec::new();
    for source in plan.sources.iter().filter(|source| source.is_restored()) {
        let part = match (&source.site, compared.remove(&source.name)) {
            (Some(Site::Database { .. }), Some(found)) => {
                let accounts = source.accounts.clone();
                found.stage(repository, host, accounts, suffix, monitor).await
            }
            (Some(Site::Files { path, certificates }), _) => {
                let (record, index) = saved(contents, &source.name)?;
                let serving = certificates.then(|| host.serving());
                let target = staged::Target { path, suffix, serving };
                staged::stage_files(repository, record, index, target, monitor).await
            }
            _ => continue,
        };
        match part {
            Ok(part) => staged.push(part),
            Err(error) => {
                discard(staged, monitor).await;
                return Err(error.while_doing(&format!("cannot restore {}", source.name)));
            }
        }
    }
    Ok(staged)
}

/// Drops the schemas of a staging that was left in the middle; files go by themselves.
async fn take_back(plan: &Plan, host: &Host, suffix: &str, monitor: &dyn Monitor) {
    for source in &plan.sources {
        let Some(Site::Database { database }) = &source.site else { continue };
        if let Err(error) = staging::take_back(&host.database, database, suffix).await {
            monitor.warn(&format!("staging is left behind: {}", error.chain()));
        }
    }
}

/// Swaps all parts in; where one fails, those before it are swapped back.
async fn swap(staged: Vec<Staged>, monitor: &dyn Monitor) -> Result<Vec<Swapped>> {
    let mut swapped: Vec<Swapped> = Vec::new();
    let mut waiting = staged.into_iter();
    while let Some(part) = waiting.next() {
        match part.swap(monitor).await {
            Ok(part) => swapped.push(part),
            Err(error) => {
                let mut error = error;
                while let Some(part) = swapped.pop() {
                    error = undone(error, part, monitor).await;
                }
                discard(waiting.collect(), monitor).await;
                return Err(error);
            }
        }
    }
    Ok(swapped)
}

/// Puts back what a part replaced after `error`; returns that, with what came of it.
async fn undone(error: Error, part: Swapped, monitor: &dyn Monitor) -> Error {
    match part.undo(monitor).await {
        Ok(()) => error,
        Err(undo) => Error::failed(format!("{}; and then: {}", error.chain(), undo.chain()))
            .hint(undo.advice().unwrap_or("look for what was live beside it").to_owned()),
    }
}

async fn discard(staged: Vec<Staged>, monitor: &dyn Monitor) {
    for part in staged {
        if let Err(error) = part.discard().await {
            monitor.warn(&error.chain());
        }
    }
}

/// Returns the record and the index of a source that was saved.
fn saved<'a>(contents: &'a Contents, name: &str) -> Result<(&'a SourceRecord, &'a Index)> {
    let sources = contents.catalog.sources.iter().zip(&contents.indexes);
    sources
        .filter(|(record, _)| record.name == name)
        .find_map(|(record, index)| Some((record, index.as_ref()?)))
        .ok_or_else(|| Error::damaged(format!("the snapshot has no index of {name}")))
}

/// Returns what tells the names of this restore from those of others.
fn suffix() -> Result<String> {
    let id = SnapshotId::generate()?;
    let (_, suffix) = id.as_str().split_at("snapshot_".len());
    Ok(suffix.to_owned())
}

/// Returns the error for a target that is not empty.
fn not_empty(database: &str, tables: usize) -> Error {
    Error::new(
        Kind::Refused,
        format!("cannot restore: database {database} has {tables} tables and views"),
    )
    .hint("--force replaces them and keeps them aside; --dry-run shows the plan")
}

/// Returns the error for programs of an uploaded snapshot that belong to other accounts.
fn untrusted(source: &str, definers: &[String]) -> Error {
    let definers = definers.join(", ");
    Error::new(
        Kind::Refused,
        format!(
            "cannot restore {source}: the snapshot was uploaded, and its views, triggers, routines \
             and events would run with the rights of {definers}"
        ),
    )
    .hint("--trust-definers restores them so, if you trust whoever made the archive")
}
