//! Builds and proves what a restore brings, beside what is live, and saves what it replaces.

use std::collections::HashMap;

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::repository::contents::Contents;
use crate::snapshot::execution::CommandPlaces;
use crate::snapshot::execution::Execution;
use crate::snapshot::execution::Journal;
use crate::snapshot::execution::Part;
use crate::snapshot::execution::Places;
use crate::snapshot::execution::Step;
use crate::snapshot::outputs::Output;
use crate::snapshot::restore::Binlog;
use crate::snapshot::restore::Planned;
use crate::snapshot::restore::RestoreOptions;
use crate::snapshot::restore::Restoring;
use crate::snapshot::restore::command::CommandPart;
use crate::snapshot::restore::database;
use crate::snapshot::restore::database::Compared;
use crate::snapshot::restore::database::Manner;
use crate::snapshot::restore::database::Saved;
use crate::snapshot::restore::in_place;
use crate::snapshot::restore::plan::Plan;
use crate::snapshot::restore::plan::Site;
use crate::snapshot::restore::plan::SourcePlan;
use crate::snapshot::restore::room;
use crate::snapshot::restore::safety;
use crate::snapshot::restore::safety::Safety;
use crate::snapshot::restore::saved;
use crate::snapshot::restore::staged;
use crate::snapshot::restore::staged::Staged;
use crate::snapshot::restore::swapping;
use crate::snapshot::restore::swapping::Ready;
use crate::source::files::Exchange;
use crate::source::mariadb::ready::Schemas;

/// Saves what will be replaced, builds and proves what replaces it, and notes what it takes to swap.
pub(super) async fn build(
    restoring: &Restoring<'_>,
    planned: &mut Planned,
    options: &RestoreOptions,
    safety: Safety,
    journal: &Journal,
) -> Result<Vec<Ready>> {
    let Restoring { host, monitor, .. } = *restoring;
    let Planned { contents, plan, crossing, .. } = planned;
    let execution = journal.execution();
    let saved = safety::secure(restoring, plan, safety, &execution.id).await?;
    journal.change(|execution| {
        execution.server = Some(host.database.server.to_string());
        execution.binlog = options.binlog == Binlog::On;
        execution.safety_snapshot = saved.map(|id| id.to_string());
        if plan.sources.iter().any(SourcePlan::is_by_command) {
            // What takes a command back is found there, by whoever resumes from wherever.
            execution.repository = restoring.repository.folder().display().to_string();
        }
    })?;
    if options.in_place {
        in_place::write_down(journal, restoring, options, crossing)?;
    }
    let execution = journal.execution();
    journal.plan(parts(plan, &execution)?)?;
    let staged = stage(restoring, contents, plan, options, &execution).await?;
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
pub(super) fn verified(journal: &Journal, ready: &[Ready]) -> Result<()> {
    journal.change(|execution| {
        for (part, ready) in execution.parts.iter_mut().zip(ready) {
            part.places = ready.places();
            part.note = ready.note();
        }
    })?;
    journal.reach(Step::Verified)
}

/// Returns what a plan replaces, and the names of what will lie beside it.
fn parts(plan: &Plan, execution: &Execution) -> Result<Vec<Part>> {
    let suffix = execution.suffix();
    let mut parts = Vec::new();
    for source in plan.restored() {
        let Some(site) = &source.site else { continue };
        let places = match site {
            Site::Database { database } => Places::MariaDb(Schemas::of_staging(database, suffix)),
            Site::Files { path, .. } => Places::Files(Exchange::of_staging(path, suffix)?),
            Site::Command(_) => Places::Command(command_places(&source.name, execution)),
        };
        let accounts = source.accounts.is_some();
        parts.push(Part { source: source.name.clone(), accounts, note: None, places });
    }
    Ok(parts)
}

fn command_places(source: &str, execution: &Execution) -> CommandPlaces {
    let saved_as = execution.safety_snapshot.clone();
    CommandPlaces { of: source.to_owned(), begun: false, saved_as }
}

/// Builds and proves everything that will be swapped in. What is live is compared first, and only
/// what differs is built; nothing is written before all of it is known to fit.
async fn stage(
    restoring: &Restoring<'_>,
    contents: &Contents,
    plan: &mut Plan,
    options: &RestoreOptions,
    execution: &Execution,
) -> Result<Vec<Staged>> {
    let Restoring { repository, host, monitor, .. } = *restoring;
    let suffix = execution.suffix();
    let extent = options.extent();
    let manner = if options.in_place { Manner::InPlace } else { Manner::Beside };
    let mut compared = Vec::new();
    for source in plan.sources.iter_mut().filter(|source| source.is_restored()) {
        let Some(Site::Database { database }) = source.site.clone() else { continue };
        let (record, index) = saved(contents, &source.name)?;
        let target = database::Target { name: &database, suffix, extent, manner };
        let doing = format!("cannot restore {}", source.name);
        let remapping = source.remapping.clone();
        let read = Saved::read(repository, record, index, remapping).await;
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
    room::demand(plan, options)?;
    stage_parts(restoring, contents, plan, compared, execution).await
}

/// Builds and proves the parts, the databases from what was found of them.
async fn stage_parts(
    restoring: &Restoring<'_>,
    contents: &Contents,
    plan: &Plan,
    compared: Vec<(String, Compared<'_>)>,
    execution: &Execution,
) -> Result<Vec<Staged>> {
    let Restoring { repository, host, monitor, .. } = *restoring;
    let suffix = execution.suffix();
    let mut compared: HashMap<_, _> = compared.into_iter().collect();
    let mut staged = Vec::new();
    for source in plan.restored() {
        let part = match (&source.site, compared.remove(&source.name)) {
            (Some(Site::Database { .. }), Some(found)) => {
                let accounts = source.accounts.clone();
                found.stage(repository, host, accounts, suffix, monitor).await
            }
            (Some(Site::Files { path, certificates, .. }), _) => {
                let (record, index) = saved(contents, &source.name)?;
                let serving = certificates.then(|| host.serving());
                let wanted = source.wanted.clone();
                let target = staged::Target { path, suffix, wanted, serving };
                staged::stage_files(repository, record, index, target, monitor).await
            }
            (Some(Site::Command(pair)), _) => {
                let output = Output::of(contents, &plan.snapshot, &source.name)?;
                let places = command_places(&source.name, execution);
                let signed = host.journals().process(&execution.id);
                let part =
                    CommandPart::prepare(repository, pair, output, places, signed, monitor).await;
                part.map(|part| Staged::Command(Box::new(part)))
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
