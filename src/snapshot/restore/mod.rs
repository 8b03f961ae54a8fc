//! `restore`: builds what a snapshot holds beside what is live, proves it, and swaps.
//!
//! Nothing live is touched before all that will be restored is staged and proven. What is
//! replaced is saved as a snapshot before, and kept until the next restore, for [`rollback`].
//! A restore that is killed is finished or taken back by [`resume`]. One in place gives
//! that up for the room that it takes.

use std::pin::pin;

use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::base::stages::Stage;
use crate::profile::Profile;
use crate::profile::certificates::Reboot;
use crate::profile::roles::choices::Remap;
use crate::profile::service::Remark;
use crate::repository::Repository;
use crate::repository::catalog::Index;
use crate::repository::catalog::SourceRecord;
use crate::repository::contents::Contents;
use crate::repository::id::SnapshotId;
use crate::repository::lock::Access;
use crate::repository::lock::Lock;
use crate::snapshot::Host;
use crate::snapshot::execution::Journal;
use crate::snapshot::restore::build::build;
use crate::snapshot::restore::files::Deciding;
use crate::snapshot::restore::plan::Plan;
use crate::snapshot::restore::roles::Crossing;
use crate::snapshot::restore::safety::Safety;
use crate::snapshot::restore::swapping::Keep;
use crate::snapshot::restore::swapping::Ready;
use crate::snapshot::restore::swapping::swap_all;
use crate::source::mariadb::compare::Extent;

pub use crate::source::mariadb::login::Binlog;

pub mod plan;
mod accounts;
mod build;
mod command;
mod certificates;
mod database;
mod desk;
mod filling;
mod definers;
mod files;
mod in_place;
mod left_alone;
mod new_host;
mod parts;
mod refusals;
pub mod previous;
pub mod resume;
pub mod roles;
pub mod rollback;
mod room;
pub(super) mod safety;
mod security;
mod staged;
mod survey;
mod swapping;

/// What the user says of a restore.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct RestoreOptions {
    /// Restores the certificates too.
    pub certificates: bool,
    /// Whether the host is to stay up after that.
    pub reboot: Reboot,
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
    /// Replaces databases table by table, where the disk does not hold both states.
    pub in_place: bool,
    /// Whether what is done to the database is replicated.
    pub binlog: Binlog,
    /// Whether roles and the security file follow the target's version.
    pub remap: Remap,
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
    /// Whether databases are replaced table by table, with no previous state.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub in_place: bool,
    /// Whether a dry run would save what is replaced before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub would_save: bool,
    /// Why the restore would be refused, for a dry run.
    #[serde(skip)]
    pub refusal: Option<Error>,
    /// What became of what was live.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What remains for a person, where the service comes to a host that had nothing of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub new_host: Vec<Remark>,
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
    /// The command that brings back what was replaced in place, of which nothing else is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way_back: Option<String>,
}

/// Returns what a restore would do, and whether it would be refused; touches nothing.
pub async fn dry_run(
    restoring: &Restoring<'_>,
    id: &SnapshotId,
    options: &RestoreOptions,
) -> Result<Restored> {
    let host = &restoring.host.clone().with_binlog(options.binlog);
    let restoring = &Restoring { host, ..*restoring };
    let Planned { lock: _lock, contents, plan, refusal, .. } =
        planned(restoring, id, options).await?;
    let demanded = in_place::demanded(restoring, &plan, options).map(|(safety, _)| safety);
    let is_saving = matches!(demanded, Ok(Safety::Wanted | Safety::Needed | Safety::Demanded));
    let would_save = is_saving && safety::is_due(&plan);
    let refusal = demanded.err().or(refusal);
    let mut plan = survey::surveyed(plan, restoring, &contents, options).await?;
    let refusal = refusal.or_else(|| plan.demand_unpinned().err());
    let refusal = refusal.or_else(|| room::demand(&plan, options).err());
    plan.estimated_seconds = Some(room::seconds(&plan));
    let (in_place, outcome) = (options.in_place, Outcome::default());
    let new_host = new_host::remarks(&plan, restoring.profile, options);
    Ok(Restored { plan, done: false, in_place, would_save, refusal, outcome, new_host })
}

/// Restores a snapshot in place of what is live, in a turn that the caller has.
///
/// Once `stop` returns, all is taken back and its error is the verb's, unless the swap has begun:
/// that takes a moment, and is done or undone as a whole.
pub async fn in_turn(
    restoring: &Restoring<'_>,
    id: &SnapshotId,
    options: &RestoreOptions,
    journal: &Journal,
    stop: impl Future<Output = Error>,
) -> Result<Restored> {
    let host = &restoring.host.on_record(journal, options.binlog);
    let restoring = &Restoring { host, ..*restoring };
    let mut stop = pin!(stop);
    let building = async {
        let mut lap = host.stages.begin();
        let mut planned = planned(restoring, id, options).await?;
        lap.end(Stage::Preflight, 0);
        let (safety, given_up) = in_place::demanded(restoring, &planned.plan, options)?;
        if !given_up.is_empty() {
            in_place::give_up(restoring, given_up, journal).await?;
            planned = self::planned(restoring, id, options).await?;
        }
        planned.refusal.take().map_or(Ok(()), Err)?;
        survey::demand_unpinned(&planned.plan, restoring, &planned.contents, options).await?;
        Ok((build(restoring, &mut planned, options, safety, journal).await?, planned))
    };
    let built = tokio::select! {
        biased;
        stopped = &mut stop => {
            resume::take_back(journal, host, restoring.monitor).await;
            Err(stopped)
        }
        built = building => built,
    };
    let (ready, planned) = match built {
        Ok(built) => built,
        Err(error) => {
            safety::withdraw(restoring.repository, journal, restoring.monitor).await;
            return Err(error);
        }
    };
    // From here on nothing may stop half-way: whoever wants the process to end waits for it.
    let new_host = new_host::remarks(&planned.plan, restoring.profile, options);
    let restored = complete(restoring, ready, planned, journal).await?;
    Ok(Restored { new_host, ..restored })
}

/// Fails where all of a snapshot could not be restored now, for who will have to go back to it: where
/// the server or its other databases are in the way, or where the disks do not hold it beside what is
/// live.
pub(super) async fn demand_restorable(
    restoring: &Restoring<'_>,
    id: &SnapshotId,
    options: &RestoreOptions,
) -> Result<()> {
    let options = &RestoreOptions { full: true, ..options.clone() };
    let host = &restoring.host.clone().with_binlog(options.binlog);
    let restoring = &Restoring { host, ..*restoring };
    let Planned { lock: _lock, contents, plan, refusal, .. } =
        planned(restoring, id, options).await?;
    refusal.map_or(Ok(()), Err)?;
    survey::demand_unpinned(&plan, restoring, &contents, options).await?;
    let plan = survey::surveyed(plan, restoring, &contents, options).await?;
    room::demand(&plan, options)
}

/// Swaps all that is ready, and ends what came before it.
async fn complete(
    restoring: &Restoring<'_>,
    ready: Vec<Ready>,
    planned: Planned,
    journal: &Journal,
) -> Result<Restored> {
    let Restoring { repository, profile, host, monitor } = *restoring;
    // Of a restore that is done again, all may have been in already.
    let is_swapped = !ready.is_empty() || journal.execution().is_mixed();
    monitor.step("swap", None);
    let mut lap = host.stages.begin();
    let swapped = swap_all(ready, journal, monitor).await;
    lap.end(Stage::Swap, 0);
    let swapped = match swapped {
        Ok(swapped) => swapped,
        Err(error) => {
            // Where all is put back nothing was replaced.
            if journal.execution().has_ended() {
                drop(planned.lock);
                safety::withdraw(repository, journal, monitor).await;
            }
            return Err(error);
        }
    };
    let in_place = journal.execution().in_place.is_some();
    let keep = if in_place { Keep::Nothing } else { Keep::Previous };
    let outcome = swapping::finish(swapped, keep, monitor).await?;
    drop(planned.lock);
    if is_swapped {
        let own = journal.execution().safety_snapshot;
        let needed = [Some(planned.plan.snapshot.clone()), own].into_iter().flatten().collect();
        safety::forget_older(repository, profile, host, needed, monitor).await;
    } else {
        safety::withdraw(repository, journal, monitor).await;
    }
    let execution = journal.execution();
    let way_back = execution.way_back();
    let outcome = Outcome { safety_snapshot: execution.safety_snapshot, way_back, ..outcome };
    previous::forget_replaced(host, journal).map_err(swapping::untidy)?;
    in_place::conclude_replaced(host, journal).await.map_err(swapping::untidy)?;
    let plan = planned.plan;
    let new_host = Vec::new();
    Ok(Restored { plan, done: true, in_place, would_save: false, refusal: None, outcome, new_host })
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
    /// From which version to which one it goes.
    crossing: Crossing,
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
    let crossing = Crossing::find(restoring, &contents, options).await?;
    let plan = roles::planned(plan, restoring, &contents, &crossing).await?;
    let deciding = Deciding { restoring, contents: &contents, crossing: &crossing, options };
    let plan = files::planned(plan, deciding).await?;
    roles::note_unused(&plan, options, monitor);
    let refusal = crossing.check(restoring).and_then(|()| plan.check(options)).err();
    for warning in &contents.catalog.warnings {
        monitor.warn(&format!("the snapshot is partial: {warning}"));
    }
    Ok(Planned { lock, contents, plan, crossing, refusal })
}

/// Returns the record and the index of a source that was saved.
fn saved<'a>(contents: &'a Contents, name: &str) -> Result<(&'a SourceRecord, &'a Index)> {
    let sources = contents.catalog.sources.iter().zip(&contents.indexes);
    sources
        .filter(|(record, _)| record.name == name)
        .find_map(|(record, index)| Some((record, index.as_ref()?)))
        .ok_or_else(|| Error::damaged(format!("the snapshot has no index of {name}")))
}
