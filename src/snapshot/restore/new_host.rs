//! A host that is new to a service: what remains for a person there, which no snapshot does.

use crate::profile::Profile;
use crate::profile::service::Remark;
use crate::snapshot::restore::RestoreOptions;
use crate::snapshot::restore::plan::Action;
use crate::snapshot::restore::plan::Plan;
use crate::snapshot::restore::plan::SourcePlan;

/// Returns what the profile says of a new host, where this one is one.
pub(super) fn remarks(plan: &Plan, profile: &Profile, options: &RestoreOptions) -> Vec<Remark> {
    // A database under another name is a copy beside what is there.
    let is_new = options.database.is_none() && is_new(&plan.sources);
    if is_new { profile.service.new_host.clone() } else { Vec::new() }
}

/// Returns whether nothing of the service was there: the database decides; without one, all files.
/// A command restores into what runs already, on a new host too, and tells nothing.
fn is_new(sources: &[SourcePlan]) -> bool {
    let tells = |source: &&SourcePlan| source.action != Action::Skip && source.kind != "command";
    let saved = || sources.iter().filter(tells);
    let comes = |source: &SourcePlan| source.action == Action::Create;
    let mut databases = saved().filter(|source| source.kind == "mariadb").peekable();
    match databases.peek() {
        Some(_) => databases.any(comes),
        None => saved().next().is_some() && saved().all(comes),
    }
}
