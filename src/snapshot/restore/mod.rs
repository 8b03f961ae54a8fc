//! `restore`: builds what a snapshot holds beside what is live, proves it, and swaps.
//!
//! Nothing live is touched before all that will be restored is staged and proven. What is
//! replaced is saved as a snapshot before, and kept until the next restore, for [`rollback`].
//! A restore that is killed is finished or taken back by [`resume`].

use std::collections::HashMap;
use std::pin::pin;

use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::fault;
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
use crate::snapshot::execution::Journal;
use crate::snapshot::execution::Part;
use crate::snapshot::execution::Places;
use crate::snapshot::execution::Step;
use crate::snapshot::execution::refuse_unfinished_at;
use crate::snapshot::restore::database::Compared;
use crate::snapshot::restore::database::Saved;
use crate::snapshot::restore::plan::Plan;
use crate::snapshot::restore::plan::Site;
use crate::snapshot::restore::staged::Staged;
use crate::snapshot::restore::swapping::Ready;
use crate::snapshot::restore::swapping::swap_all;
use crate::snapshot::turn::Turn;
use crate::source::files::Exchange;
use crate::source::mariadb::compare::Extent;
use crate::source::mariadb::ready::Schemas;

pub use crate::source::mariadb::login::Binlog;

pub mod plan;
mod accounts;
mod database;
mod definers;
mod parts;
mod refusals;
pub mod previous;
pub mod resume;
pub mod rollback;
mod room;
mod safety;
mod staged;
mod survey;
mod swapping;

/// What the user says of a restore.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct RestoreOptions {
    /// Restores the certificates too.
    pub certificates: bool,
    /// Replaces a database that has tables.
    pub force: bool,
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
    /// Saves what is replaced before anything is done.
    pub safety_snapshot: bool,
    /// Whether what is done to the database is replicated.
    pub binlog: Binlog,
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
    /// Whether a dry run would save what is replaced before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub would_save: bool,
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
    /// The snapshot that was taken of what was replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_snapshot: Option<String>,
}

/// Returns what a restore would do, and whether it would be refused; touches nothing.
pub async fn dry_run(
    restoring: &Restoring<'_>,
    id: &SnapshotId,
    options: &RestoreOptions,
) -> Result<Restored> {
    let host = &restoring.host.clone().with_binlog(options.binlog);
    let restoring = &Restoring { host, ..*restoring };
    let Planned { lock: _lock, contents, plan, refusal } = planned(restoring, id, options).await?;
    let would_save = options.safety_snapshot && safety::is_due(&plan);
    let mut plan = survey::surveyed(plan, restoring, &contents, options).await?;
    let refusal = refusal.or_else(|| plan.demand_unpinned().err());
    let refusal = refusal.or_else(|| room::demand(&plan, options.binlog).err());
    plan.estimated_seconds = Some(room::seconds(&plan));
    Ok(Restored { plan, done: false, would_save, refusal, outcome: Outcome::default() })
}

/// Restores a snapshot in place of what is live.
///
/// Once `stop` returns, all is taken back and its error is the verb's, unless the swap has begun:
/// that takes a moment, and is done or undone as a whole.
pub async fn restore(
    restoring: &Restoring<'_>,
    id: &SnapshotId,
    options: &RestoreOptions,
    journal: &Journal,
    stop: impl Future<Output = Error>,
) -> Result<Restored> {
    let host = &restoring.host.on_record(journal, options.binlog);
    let restoring = &Restoring { host, ..*restoring };
    let Restoring { repository, profile, monitor, .. } = *restoring;
    let mut stop = pin!(stop);
    let turn = Turn::take(host, profile, "restore").await?;
    let building = async {
        let mut planned = planned(restoring, id, options).await?;
        refuse_unfinished_at(&host.journals(), &planned.plan.targets(), monitor)?;
        planned.refusal.take().map_or(Ok(()), Err)?;
        survey::demand_unpinned(&planned.plan, restoring, &planned.contents, options).await?;
        Ok((build(restoring, &mut planned, options, journal).await?, planned))
    };
    let built = tokio::select! {
        biased;
        stopped = &mut stop => {
            resume::take_back(journal, host, monitor).await;
            Err(stopped)
        }
        built = building => built,
    };
    let (ready, planned) = match built {
        Ok(built) => built,
        Err(error) => {
            safety::withdraw(repository, journal, monitor).await;
            return Err(error);
        }
    };
    let is_swapped = !ready.is_empty();
    // From here on nothing may stop half-way: whoever wants the process to end waits for it.
    monitor.step("swap", None);
    let swapped = swap_all(ready, journal, monitor).await?;
    let outcome = swapping::finish(swapped, monitor).await?;
    drop(planned.lock);
    if is_swapped {
        safety::forget_older(repository, profile, host, id, monitor).await;
    } else {
        safety::withdraw(repository, journal, monitor).await;
    }
    let outcome = Outcome { safety_snapshot: journal.execution().safety_snapshot, ..outcome };
    previous::forget_replaced(host, journal)?;
    turn.end();
    Ok(Restored { plan: planned.plan, done: true, would_save: false, refusal: None, outcome })
}

/// What a restore is done with.
#[derive(Clone, Copy)]
pub struct Restoring<'a> {
    /// Where the snapshot lies.
    pub repository: &'a Repository,
    /// What makes up the service.
    pub profile: &'a Profile,
    /// Where it is restored.
    pub host: &'a Host,
    /// Who watches.
    pub monitor: &'a dyn Monitor,
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
    restoring: &Restoring<'_>,
    id: &SnapshotId,
    options: &RestoreOptions,
) -> Result<Planned> {
    let Restoring { repository, profile, host, monitor } = *restoring;
    profile.check_names("--only", &options.only)?;
    let lock = repository.lock(Access::Shared).await?;
    let contents = repository.contents(id).await?;
    let plan = plan::plan(repository, id, &contents, profile, host, options, monitor).await?;
    let plan = accounts::planned(plan, repository, &contents, host, options).await?;
    let plan = definers::planned(plan, repository, &contents, host, options).await?;
    survey::demand_blobs(&plan, repository, &contents).await?;
    let refusal = plan.check(options).err();
    for warning in &contents.catalog.warnings {
        monitor.warn(&format!("the snapshot is partial: {warning}"));
    }
    Ok(Planned { lock, contents, plan, refusal })
}

/// Saves what will be replaced, builds and proves what replaces it, and notes what it takes to swap.
async fn build(
    restoring: &Restoring<'_>,
    planned: &mut Planned,
    options: &RestoreOptions,
    journal: &Journal,
) -> Result<Vec<Ready>> {
    let Restoring { repository, profile, host, monitor } = *restoring;
    let Planned { contents, plan, .. } = planned;
    let execution = journal.execution();
    let mut saved = None;
    if options.safety_snapshot {
        let taken = safety::take(repository, profile, host, plan, &execution.id, monitor).await;
        saved = taken.map(|id| id.to_string());
        fault::point("safety.taken");
    }
    journal.change(|execution| {
        execution.server = Some(host.database.server.to_string());
        execution.binlog = options.binlog == Binlog::On;
        execution.safety_snapshot.clone_from(&saved);
    })?;
    journal.plan(parts(plan, execution.suffix())?)?;
    let staged = stage(restoring, contents, plan, options, execution.suffix()).await?;
    // What was found identical is no part of it any more.
    let is_restored = |part: &Part| {
        plan.sources.iter().any(|source| source.name == part.source && source.is_restored())
    };
    journal.change(|execution| execution.parts.retain(is_restored))?;
    journal.reach(Step::Staged)?;
    let mut ready = Vec::new();
    let mut waiting = staged.into_iter();
    while let Some(part) = waiting.next() {
        match part.ready(monitor).await {
            Ok(part) => ready.push(part),
            Err(error) => {
                swapping::discard(ready, monitor).await;
                discard(waiting, monitor).await;
                return Err(error);
            }
        }
    }
    verified(journal, &ready)?;
    Ok(ready)
}

/// Writes that all is ready, with what tells later how far each part came.
fn verified(journal: &Journal, ready: &[Ready]) -> Result<()> {
    journal.change(|execution| {
        for (part, ready) in execution.parts.iter_mut().zip(ready) {
            part.places = ready.places();
            part.note = ready.note();
        }
    })?;
    journal.reach(Step::Verified)
}

/// Returns what a plan replaces, and the names of what will lie beside it.
fn parts(plan: &Plan, suffix: &str) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for source in plan.sources.iter().filter(|source| source.is_restored()) {
        let Some(site) = &source.site else { continue };
        let places = match site {
            Site::Database { database } => Places::MariaDb(Schemas::of_staging(database, suffix)),
            Site::Files { path, .. } => Places::Files(Exchange::of_staging(path, suffix)?),
        };
        let accounts = source.accounts.is_some();
        parts.push(Part { source: source.name.clone(), accounts, note: None, places });
    }
    Ok(parts)
}

/// Builds and proves everything that will be swapped in. What is live is compared first, and only
/// what differs is built; nothing is written before all of it is known to fit.
async fn stage(
    restoring: &Restoring<'_>,
    contents: &Contents,
    plan: &mut Plan,
    options: &RestoreOptions,
    suffix: &str,
) -> Result<Vec<Staged>> {
    let Restoring { repository, host, monitor, .. } = *restoring;
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
    plan.demand_unpinned()?;
    room::demand(plan, options.binlog)?;
    stage_parts(restoring, contents, plan, compared, suffix).await
}

/// Builds and proves the parts, the databases from what was found of them.
async fn stage_parts(
    restoring: &Restoring<'_>,
    contents: &Contents,
    plan: &Plan,
    compared: Vec<(String, Compared<'_>)>,
    suffix: &str,
) -> Result<Vec<Staged>> {
    let Restoring { repository, host, monitor, .. } = *restoring;
    let mut compared: HashMap<_, _> = compared.into_iter().collect();
    let mut staged = Vec::new();
    for source in plan.sources.iter().filter(|source| source.is_restored()) {
        let part = match (&source.site, compared.remove(&source.name)) {
            (Some(Site::Database { .. }), Some(found)) => {
                let accounts = source.accounts.clone();
                found.stage(repository, host, accounts, suffix, monitor).await
            }
            (Some(Site::Files { path, certificates, .. }), _) => {
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

async fn discard(staged: impl IntoIterator<Item = Staged>, monitor: &dyn Monitor) {
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
