//! The safety snapshot: what a restore replaces, saved in the repository before it begins.
//!
//! A swap keeps what it replaces, so that one that cannot be taken is noted. In place it is the only
//! way back: without one whose every blob was read and proven, nothing is touched.

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::fault;
use crate::base::monitor::Monitor;
use crate::profile::Profile;
use crate::profile::SourceSpec;
use crate::profile::What;
use crate::repository::Repository;
use crate::repository::id::SnapshotId;
use crate::snapshot::Host;
use crate::snapshot::create;
use crate::snapshot::create::CreateOptions;
use crate::snapshot::delete::delete;
use crate::snapshot::execution::Execution;
use crate::snapshot::execution::Journal;
use crate::snapshot::execution::unfinished;
use crate::snapshot::restore::Restoring;
use crate::snapshot::restore::plan::Action;
use crate::snapshot::restore::plan::Plan;
use crate::snapshot::restore::plan::Site;
use crate::snapshot::verify::Depth;
use crate::snapshot::verify::verify;

/// What `snap list` shows of such a snapshot.
const TAG: &str = "safety";

/// How many safety snapshots of a profile and host are kept.
const KEPT: usize = 2;

/// Returns whether a restore replaces anything that can be saved before.
pub(super) fn is_due(plan: &Plan) -> bool {
    plan.sources.iter().any(|source| source.action == Action::Replace)
}

/// What a restore has in place of a way back, or needs.
pub(super) enum Safety {
    /// The user wants none.
    Unwanted,
    /// One is taken where it can be.
    Wanted,
    /// Without one nothing is done: a command of the profile takes back what a command has done.
    Needed,
    /// Without one whose every blob was read nothing is done.
    Demanded,
    /// What is live is not worth saving: the way back is this one.
    Is(SnapshotId),
    /// An earlier run has taken it, if there was anything to save.
    Taken(Option<SnapshotId>),
}

/// Saves what a restore replaces, as far as is needed; returns the id of the snapshot that brings it
/// back. Fails with [`Kind::Refused`] where there must be one and is none that is proven.
pub(super) async fn secure(
    restoring: &Restoring<'_>,
    plan: &Plan,
    safety: Safety,
    execution: &str,
) -> Result<Option<SnapshotId>> {
    let monitor = restoring.monitor;
    let id = match safety {
        Safety::Unwanted => return Ok(None),
        Safety::Taken(id) => return Ok(id),
        Safety::Wanted | Safety::Needed | Safety::Demanded if !is_due(plan) => return Ok(None),
        Safety::Needed => {
            let taken = take(restoring, plan, execution).await.map_err(|error| {
                let doing = "cannot restore: what a command replaces could not be saved";
                let hint = "--no-safety-snapshot restores without any way back";
                Error::new(Kind::Refused, format!("{doing}: {}", error.chain())).hint(hint)
            });
            fault::point("safety.taken");
            return taken.map(Some);
        }
        Safety::Wanted => {
            let taken = take(restoring, plan, execution).await;
            if let Err(error) = &taken {
                let why = error.chain();
                let what = "no safety snapshot of what is replaced could be taken";
                monitor.note(&format!("{what}: {why}"));
            }
            fault::point("safety.taken");
            return Ok(taken.ok());
        }
        Safety::Demanded => take(restoring, plan, execution).await.map_err(|error| {
            let doing = "cannot restore in place: no safety snapshot could be taken";
            let hint = error.advice().unwrap_or("it is the only way back").to_owned();
            Error::new(Kind::Refused, format!("{doing}: {}", error.chain())).hint(hint)
        })?,
        Safety::Is(id) => id,
    };
    fault::point("safety.before-verified");
    let proven = prove(restoring.repository, &id, "restore in place", monitor).await;
    proven.map_err(|error| match error.advice() {
        Some(_) => error,
        None => error.hint("`--only` restores the other sources alone"),
    })?;
    Ok(Some(id))
}

/// Fails with [`Kind::Refused`] where not every blob of a snapshot reads as it was saved, or where it
/// lacks something: a verb that has no other way back does not begin.
pub(in crate::snapshot) async fn prove(
    repository: &Repository,
    id: &SnapshotId,
    verb: &str,
    monitor: &dyn Monitor,
) -> Result<()> {
    let ids = std::slice::from_ref(id);
    let verified = verify(repository, ids, Depth::ReadData, monitor).await?;
    let hurt: Vec<_> = verified.checked.into_iter().flat_map(|checked| checked.hurt).collect();
    let refused = |how: &str, why: &[String]| {
        let why = why.join("; ");
        let text = format!("cannot {verb}: {id}, the only way back, is {how}: {why}");
        Err(Error::new(Kind::Refused, text))
    };
    if !hurt.is_empty() {
        let hint = "`snap verify --read-data` names every snapshot that is hurt";
        return refused("damaged", &hurt).map_err(|error| error.hint(hint));
    }
    let lacks = repository.contents(id).await?.catalog.warnings;
    if !lacks.is_empty() {
        return refused("partial", &lacks);
    }
    monitor.note(&format!("{id} is verified: every blob of it was read"));
    Ok(())
}

/// Saves what a restore replaces; returns the id of the snapshot.
async fn take(restoring: &Restoring<'_>, plan: &Plan, execution: &str) -> Result<SnapshotId> {
    let sources = replaced(restoring.profile, plan);
    let note = format!("what {execution} replaced, restoring {}", plan.snapshot);
    take_of(restoring, sources, note).await
}

/// Saves these sources as a safety snapshot; returns its id.
pub(super) async fn take_of(
    restoring: &Restoring<'_>,
    sources: Vec<SourceSpec>,
    note: String,
) -> Result<SnapshotId> {
    let Restoring { repository, profile, host, monitor } = *restoring;
    let replaced = Profile { sources, at_least_one: false, ..profile.clone() };
    let options =
        CreateOptions { tags: vec![TAG.to_owned()], note: Some(note), ..CreateOptions::default() };
    let saved = create::in_turn(repository, &replaced, host, &options, &Aside(monitor)).await;
    let id = saved?.id;
    monitor.note(&format!("what is replaced is saved as {id}"));
    Ok(id)
}

/// Deletes the safety snapshot of an execution that has replaced nothing: it would push out one that
/// is worth something. What goes back has none of its own.
pub(super) async fn withdraw(repository: &Repository, journal: &Journal, monitor: &dyn Monitor) {
    let Execution { safety_snapshot, snapshot, .. } = journal.execution();
    let Some(saved) = safety_snapshot.filter(|saved| snapshot.as_ref() != Some(saved)) else {
        return;
    };
    let deleted = async {
        delete(repository, &[saved.parse()?]).await?;
        journal.change(|execution| execution.safety_snapshot = None)
    };
    match deleted.await {
        Ok(()) => monitor.note(&format!("nothing was replaced: {saved} is deleted again")),
        Err(error) => monitor.note(&format!("{saved} stays: {}", error.chain())),
    }
}

/// Deletes the older safety snapshots of a profile and host, but for those that are needed still, and
/// those that are the only way back from a restore in place. One that is pinned stays, and counts for
/// none.
pub(super) async fn forget_older(
    repository: &Repository,
    profile: &Profile,
    host: &Host,
    needed: Vec<String>,
    monitor: &dyn Monitor,
) {
    let forgotten = async {
        let older = older(repository, profile, host, needed).await?;
        if older.is_empty() { Ok(()) } else { delete(repository, &older).await }
    };
    if let Err(error) = forgotten.await {
        monitor.note(&format!("older safety snapshots are kept: {}", error.chain()));
    }
}

async fn older(
    repository: &Repository,
    profile: &Profile,
    host: &Host,
    mut needed: Vec<String>,
) -> Result<Vec<SnapshotId>> {
    let mut safety = Vec::new();
    for (id, listed) in repository.list().await? {
        let Ok(summary) = listed.map(|listed| listed.summary) else { continue };
        let is_ours = summary.profile == profile.name && summary.host == host.name;
        let is_safety = is_ours && summary.tags.iter().any(|tag| tag == TAG);
        if is_safety && !repository.marks(&id).await?.pinned {
            safety.push((summary.created, id));
        }
    }
    safety.sort();
    let older = safety.len().saturating_sub(KEPT);
    let older = safety.into_iter().take(older).map(|(_, id)| id);
    let open = unfinished(&host.journals())?;
    needed.extend(open.into_iter().filter_map(|execution| execution.safety_snapshot));
    Ok(older.filter(|id| !needed.iter().any(|needed| needed == id.as_str())).collect())
}

/// Returns the sources that are replaced, where they are replaced.
fn replaced(profile: &Profile, plan: &Plan) -> Vec<SourceSpec> {
    let mut replaced = Vec::new();
    for spec in &profile.sources {
        let source = plan.sources.iter().find(|source| source.name == spec.name);
        let Some(source) = source.filter(|source| source.action == Action::Replace) else {
            continue;
        };
        let what = match (&spec.what, &source.site) {
            (What::Database { users, .. }, Some(Site::Database { database })) => {
                What::Database { database: database.clone(), users: *users }
            }
            _ => spec.what.clone(),
        };
        replaced.push(SourceSpec { what, ..spec.clone() });
    }
    replaced
}

/// What a safety snapshot lacks is no lack of the restore.
struct Aside<'a>(&'a dyn Monitor);

impl Monitor for Aside<'_> {
    fn step(&self, name: &str, total: Option<u64>) {
        self.0.step(&format!("save what is replaced: {name}"), total);
    }

    fn advance(&self, bytes: u64) {
        self.0.advance(bytes);
    }

    fn note(&self, _: &str) {}

    fn warn(&self, text: &str) {
        self.0.note(&format!("the safety snapshot is partial: {text}"));
    }
}
