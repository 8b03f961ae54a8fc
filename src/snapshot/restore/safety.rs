//! The safety snapshot: what a restore replaces, saved in the repository before it begins.

use crate::base::error::Result;
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
use crate::snapshot::execution::Journal;
use crate::snapshot::restore::plan::Action;
use crate::snapshot::restore::plan::Plan;
use crate::snapshot::restore::plan::Site;

/// What `snap list` shows of such a snapshot.
const TAG: &str = "safety";

/// How many safety snapshots of a profile and host are kept.
const KEPT: usize = 2;

/// Returns whether a restore replaces anything that can be saved before.
pub(super) fn is_due(plan: &Plan) -> bool {
    plan.sources.iter().any(|source| source.action == Action::Replace)
}

/// Saves what a restore replaces; returns the id of the snapshot. Where that fails, a note says
/// why: the swap keeps what is replaced all the same.
pub(super) async fn take(
    repository: &Repository,
    profile: &Profile,
    host: &Host,
    plan: &Plan,
    execution: &str,
    monitor: &dyn Monitor,
) -> Option<SnapshotId> {
    if !is_due(plan) {
        return None;
    }
    let replaced = Profile { name: profile.name.clone(), sources: replaced(profile, plan) };
    let options = CreateOptions {
        tags: vec![TAG.to_owned()],
        note: Some(format!("what {execution} replaced, restoring {}", plan.snapshot)),
        ..CreateOptions::default()
    };
    let saved = create::in_turn(repository, &replaced, host, &options, &Aside(monitor)).await;
    match saved {
        Ok(summary) => {
            monitor.note(&format!("what is replaced is saved as {}", summary.id));
            Some(summary.id)
        }
        Err(error) => {
            let why = error.chain();
            monitor.note(&format!("no safety snapshot of what is replaced could be taken: {why}"));
            None
        }
    }
}

/// Deletes the safety snapshot of an execution that has replaced nothing: it would push out one that
/// is worth something.
pub(super) async fn withdraw(repository: &Repository, journal: &Journal, monitor: &dyn Monitor) {
    let Some(saved) = journal.execution().safety_snapshot else { return };
    let deleted = async {
        delete(repository, &[saved.parse()?]).await?;
        journal.change(|execution| execution.safety_snapshot = None)
    };
    match deleted.await {
        Ok(()) => monitor.note(&format!("nothing was replaced: {saved} is deleted again")),
        Err(error) => monitor.note(&format!("{saved} stays: {}", error.chain())),
    }
}

/// Deletes the older safety snapshots of a profile and host, but for the one that was restored. One
/// that is pinned stays, and counts for none.
pub(super) async fn forget_older(
    repository: &Repository,
    profile: &Profile,
    host: &Host,
    restored: &SnapshotId,
    monitor: &dyn Monitor,
) {
    let forgotten = async {
        let older = older(repository, profile, host, restored).await?;
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
    restored: &SnapshotId,
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
    Ok(older.filter(|id| id != restored).collect())
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
