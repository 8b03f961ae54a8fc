//! A restore in place: for a disk that does not hold both states.
//!
//! What it gives up is written on its journal from the first table on: until the last one is in, what is
//! live is neither old nor new, and afterwards no previous state is kept. Its way back is the safety
//! snapshot, proven before anything is touched. One that dies is done again by a resume, or given up by
//! a restore of that snapshot; nothing else is let at the database meanwhile.

use std::time::Duration;
use std::time::Instant;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::profile::Profile;
use crate::profile::What;
use crate::profile::certificates::Reboot;
use crate::repository::Repository;
use crate::repository::id::SnapshotId;
use crate::snapshot::Host;
use crate::snapshot::execution::Execution;
use crate::snapshot::execution::InPlace;
use crate::snapshot::execution::Journal;
use crate::snapshot::execution::Step;
use crate::snapshot::execution::refuse_unfinished_at;
use crate::snapshot::execution::refuse_unfinished_upgrade;
use crate::snapshot::execution::unfinished;
use crate::snapshot::restore::Binlog;
use crate::snapshot::restore::Outcome;
use crate::snapshot::restore::RestoreOptions;
use crate::snapshot::restore::Restoring;
use crate::snapshot::restore::build::build;
use crate::snapshot::restore::complete;
use crate::snapshot::restore::desk::Job;
use crate::snapshot::restore::filling::fill;
use crate::snapshot::restore::plan::Plan;
use crate::snapshot::restore::plan::Site;
use crate::snapshot::restore::plan::SourcePlan;
use crate::snapshot::restore::planned;
use crate::snapshot::restore::resume;
use crate::snapshot::restore::resume::check_server;
use crate::snapshot::restore::roles::Crossing;
use crate::snapshot::restore::safety::Safety;
use crate::snapshot::restore::swapping::Ready;
use crate::snapshot::restore::swapping::Swapped;
use crate::source::mariadb::accounts::plan::AccountsPlan;
use crate::source::mariadb::accounts::restore::RestoredAccounts;
use crate::source::mariadb::in_place;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::ready::Schemas;
use crate::source::mariadb::ready::Unswapped;

/// A database of which everything is rehearsed, and nothing replaced yet.
pub(super) struct InPlaceDatabase {
    pub(super) source: String,
    pub(super) places: Schemas,
    /// What tells this execution from others in names.
    pub(super) suffix: String,
    pub(super) repository: Repository,
    pub(super) login: Login,
    pub(super) database: in_place::InPlace,
    pub(super) jobs: Vec<Job>,
    pub(super) accounts: Option<AccountsPlan>,
}

/// A database whose tables are all replaced.
pub(super) struct ReplacedDatabase {
    target: String,
    suffix: String,
    database: in_place::InPlace,
    accounts: Option<RestoredAccounts>,
    /// How long it was a mixture.
    pub(super) incomplete: Duration,
}

impl InPlaceDatabase {
    /// Fails where somebody holds a table that will be replaced.
    pub(super) async fn ready(mut self: Box<Self>) -> Result<Ready> {
        match self.database.demand_unused().await {
            Ok(()) => Ok(Ready::InPlace(self)),
            Err(error) => {
                // That staging is left behind is not why, and the next restore drops it.
                drop(self.discard().await);
                Err(error)
            }
        }
    }

    /// Drops what was built; nothing live was touched.
    pub(super) async fn discard(self) -> Result<()> {
        self.database.discard().await
    }

    /// Creates the accounts, replaces all tables, and gives the accounts what they have on them.
    pub(super) async fn swap(
        mut self,
        monitor: &dyn Monitor,
    ) -> std::result::Result<Swapped, Unswapped> {
        let mut accounts = None;
        match self.replace_with_accounts(&mut accounts, monitor).await {
            Ok(incomplete) => Ok(Swapped::InPlace(Box::new(ReplacedDatabase {
                target: self.places.target,
                suffix: self.suffix,
                database: self.database,
                accounts,
                incomplete,
            }))),
            Err(error) => {
                if let Some(accounts) = accounts {
                    accounts.undo(monitor).await;
                }
                // The half of a table takes room, which may be what was lacking.
                if let Err(left) = self.database.discard().await {
                    monitor.note(&format!("staging is left behind: {}", left.chain()));
                }
                Err(Unswapped { error, is_put_back: false })
            }
        }
    }

    async fn replace_with_accounts(
        &mut self,
        accounts: &mut Option<RestoredAccounts>,
        monitor: &dyn Monitor,
    ) -> Result<Duration> {
        if let Some(plan) = self.accounts.take() {
            let created = RestoredAccounts::create(&self.login, plan, &self.suffix, monitor).await;
            *accounts = Some(created?);
        }
        let doing = format!("cannot restore {} in place", self.source);
        let replaced = self.replace(monitor).await;
        let incomplete = replaced.map_err(|error| error.while_doing(&doing))?;
        if let Some(accounts) = accounts {
            accounts.complete(monitor).await?;
        }
        Ok(incomplete)
    }

    /// Builds, proves and puts in one table after the other.
    async fn replace(&mut self, monitor: &dyn Monitor) -> Result<Duration> {
        let began = Instant::now();
        let bytes = self.jobs.iter().map(Job::bytes).sum();
        monitor.step(&format!("replace {} in place", self.source), Some(bytes));
        self.database.begin().await?;
        for group in self.database.groups()? {
            for &position in &group {
                self.database.stage(position).await?;
                let is_it = |job: &mut Job| job.position == position;
                let job = self.jobs.extract_if(.., is_it).collect();
                fill(&self.repository, job, self.database.staging_mut(), 1, monitor).await?;
                self.database.take_place(position).await?;
            }
            self.database.connect(&group).await?;
        }
        self.database.finish(began, monitor).await
    }
}

impl ReplacedDatabase {
    /// Returns why nothing brings back what was replaced; accounts go all the same.
    pub(super) async fn undo(self, monitor: &dyn Monitor) -> Error {
        if let Some(accounts) = self.accounts {
            accounts.undo(monitor).await;
        }
        Error::failed(format!("database {} is replaced in place, and stays", self.target))
    }

    /// Drops what is not needed any more.
    pub(super) async fn finish(self, monitor: &dyn Monitor) -> Result<()> {
        if let Some(accounts) = self.accounts {
            accounts.finish().await?;
        }
        self.database.end(&self.suffix, monitor).await
    }
}

/// Returns what a restore has to have of a safety snapshot, and the mixtures that it ends; fails where
/// an unfinished execution stands in its way. One in place does not, where its own safety snapshot is
/// restored in place.
pub(super) fn demanded(
    restoring: &Restoring<'_>,
    plan: &Plan,
    options: &RestoreOptions,
) -> Result<(Safety, Vec<Execution>)> {
    let Restoring { profile, host, monitor, .. } = *restoring;
    if is_of_service(plan, profile) {
        refuse_unfinished_upgrade(&host.journals(), &profile.name, "restore")?;
    }
    let counts = |execution: &Execution| !is_way_back(execution, restoring, plan, options);
    let given_up = refuse_unfinished_at(&host.journals(), &plan.targets(), counts, monitor)?;
    let safety = match (options.in_place, options.safety_snapshot) {
        _ if !given_up.is_empty() => Safety::Is(plan.snapshot.parse()?),
        (true, _) => Safety::Demanded,
        (false, true) if plan.sources.iter().any(SourcePlan::is_by_command) => Safety::Needed,
        (false, true) => Safety::Wanted,
        (false, false) => Safety::Unwanted,
    };
    Ok((safety, given_up))
}

/// Returns whether a restore replaces anything of its service: it does not where all goes to a database
/// of another name.
fn is_of_service(plan: &Plan, profile: &Profile) -> bool {
    plan.restored().any(|source| match &source.site {
        Some(Site::Database { database: target }) => profile.sources.iter().any(
            |spec| matches!(&spec.what, What::Database { database, .. } if database == target),
        ),
        _ => true,
    })
}

/// Returns whether a restore brings back all that an execution in place has replaced, where it did.
fn is_way_back(
    execution: &Execution,
    restoring: &Restoring<'_>,
    plan: &Plan,
    options: &RestoreOptions,
) -> bool {
    let seen = plan.seen();
    options.in_place
        && execution.is_mixed()
        && execution.profile == restoring.profile.name
        && execution.safety_snapshot.as_ref() == Some(&plan.snapshot)
        && check_server("go back from", execution, restoring.host).is_ok()
        && execution.parts.iter().all(|part| seen.contains(&part.places.target()))
}

/// Takes back what executions that are given up have built, and ends what they still do in the
/// server.
pub(super) async fn give_up(
    restoring: &Restoring<'_>,
    given_up: Vec<Execution>,
    journal: &Journal,
) -> Result<()> {
    let Restoring { host, monitor, .. } = *restoring;
    let ids = given_up.iter().map(|execution| execution.id.clone()).collect();
    journal.change(|execution| execution.gives_up = ids)?;
    for execution in given_up {
        let journal = Journal::take_up(&host.journals(), execution).await?;
        resume::undo_all(&journal, host, monitor).await?;
    }
    Ok(())
}

/// Writes down what it takes to do the same again, from wherever.
pub(super) fn write_down(
    journal: &Journal,
    restoring: &Restoring<'_>,
    options: &RestoreOptions,
    crossing: &Crossing,
) -> Result<()> {
    journal.change(|execution| {
        execution.repository = restoring.repository.folder().display().to_string();
        execution.in_place = Some(InPlace {
            certificates: options.certificates,
            users: options.users,
            trust_definers: options.trust_definers,
            only: options.only.clone(),
            database: options.database.clone(),
            remap: crossing.remembered(&options.remap),
        });
    })
}

/// Returns whether another one of these executions goes back from this one.
pub(super) fn is_given_up(execution: &Execution, unfinished: &[Execution]) -> bool {
    unfinished.iter().any(|other| other.is_mixed() && other.gives_up.contains(&execution.id))
}

/// Ends the executions whose safety snapshot a restore in place has brought back.
pub(super) async fn conclude_replaced(host: &Host, journal: &Journal) -> Result<()> {
    let own = journal.execution();
    for execution in unfinished(&host.journals())? {
        if own.gives_up.contains(&execution.id) {
            let journal = Journal::take_up(&host.journals(), execution).await?;
            let told = format!("{} brought back its safety snapshot", own.id);
            journal.conclude(Step::Undone, Some(told))?;
        }
    }
    Ok(())
}

/// Fails where a plan replaces something else than what was replaced in part: with another root or
/// another configuration it may.
fn demand_same_targets(plan: &Plan, execution: &Execution) -> Result<()> {
    for part in &execution.parts {
        let target = part.places.target();
        let other = plan.sources.iter().find(|source| source.name == part.source);
        if let Some(source) = other.filter(|source| source.target != target) {
            let text = format!("cannot restore {}: it replaced {target}", source.target);
            return Err(Error::new(Kind::Refused, text));
        }
    }
    Ok(())
}

/// Does the restore of an execution again that died, or failed, with a mixture live: what is in
/// already stays.
pub(super) async fn again(
    restoring: &Restoring<'_>,
    told: InPlace,
    journal: &Journal,
) -> Result<Outcome> {
    let execution = journal.execution();
    let id = |text: Option<&String>| text.map(|id| id.parse()).transpose();
    let safety = Safety::Taken(id(execution.safety_snapshot.as_ref())?);
    let snapshot: SnapshotId = id(execution.snapshot.as_ref())?
        .ok_or_else(|| Error::failed("cannot restore again: the journal names no snapshot"))?;
    let options = RestoreOptions {
        certificates: told.certificates,
        force: true,
        only: told.only,
        database: told.database,
        users: told.users,
        trust_definers: told.trust_definers,
        full: false,
        safety_snapshot: true,
        in_place: true,
        binlog: if execution.binlog { Binlog::On } else { Binlog::Off },
        remap: told.remap,
        reboot: Reboot::default(),
    };
    let done = async {
        let mut planned = planned(restoring, &snapshot, &options).await?;
        demand_same_targets(&planned.plan, &execution)?;
        planned.refusal.take().map_or(Ok(()), Err)?;
        let ready = build(restoring, &mut planned, &options, safety, journal).await?;
        complete(restoring, ready, planned, journal).await
    };
    match done.await {
        Ok(restored) => Ok(restored.outcome),
        // One that swapping met says so already.
        Err(error) if error.advice() == Some(execution.ways_out().as_str()) => Err(error),
        Err(error) => Err(execution.mixed(&error)),
    }
}
