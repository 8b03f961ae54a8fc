//! `upgrade`: runs an upgrade between a snapshot and a check of health, and goes back where either
//! the command or the check fails.
//!
//! What it takes to go back stands in the journal before anything is changed: the snapshot, which
//! was read back, the versions of the packages, the units that ran, and the command that brings the
//! packages back. So a process that is killed is followed by any other one ([`resume`]), which goes
//! back too: nobody knows how far the command had come.
//!
//! Programs and data go back together (`going_back`), since each server brings its database to its
//! own version when it starts. Without a way back for the packages the data is restored, and the
//! units stay stopped. What the failed upgrade made of the data is kept aside by the restore, as by
//! any other, to be looked at; no second snapshot is taken of it.

use std::path::PathBuf;
use std::pin::Pin;
use std::pin::pin;
use std::time::Instant;

use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::profile::Profile;
use crate::profile::upgrade::plan::Hop;
use crate::profile::upgrade::plan::Situation;
use crate::profile::version::Version;
use crate::repository::Repository;
use crate::repository::id::SnapshotId;
use crate::snapshot::Host;
use crate::snapshot::create;
use crate::snapshot::create::CreateOptions;
use crate::snapshot::execution::Journal;
use crate::snapshot::execution::Step;
use crate::snapshot::execution::Upgrade;
use crate::snapshot::execution::refuse_unfinished;
use crate::snapshot::restore::safety::prove;
use crate::snapshot::upgrade::command::Broken;
use crate::snapshot::upgrade::follow_ups::FollowUp;
use crate::source::mariadb::login::Binlog;

mod command;
pub mod follow_ups;
mod going_back;
mod log;
pub mod outline;
pub mod path;
pub mod resume;
mod service;

/// What `snap list` shows of the snapshot that an upgrade takes.
const TAG: &str = "upgrade";

/// What the user says of an upgrade.
#[derive(Debug, Clone, Default)]
pub struct UpgradeOptions {
    /// The command with its arguments.
    pub command: Vec<String>,
    /// What brings the packages back, instead of the profile's own.
    pub undo: Option<String>,
    /// The version that it leads to.
    pub to: Option<Version>,
    /// The version that is installed, where the profile does not find it.
    pub from: Option<Version>,
    /// What its path depends on.
    pub situation: Situation,
}

/// What an upgrade is done with.
#[derive(Clone, Copy)]
pub struct Upgrading<'a> {
    /// Where the snapshot goes.
    pub repository: &'a Repository,
    /// What makes up the service.
    pub profile: &'a Profile,
    /// Where it runs.
    pub host: &'a Host,
    /// Who watches.
    pub monitor: &'a dyn Monitor,
    /// What it takes to go back.
    pub journal: &'a Journal,
}

/// What came of an upgrade.
#[derive(Debug, Serialize)]
pub struct Upgraded {
    /// The id of its execution.
    pub execution: String,
    /// The snapshot that was taken before.
    pub snapshot: Option<String>,
    /// What it was told and found.
    #[serde(flatten)]
    pub upgrade: Upgrade,
    /// What state the service is in.
    pub state: State,
    /// How long the service was stopped, or in change, in seconds.
    pub seconds: f64,
    /// Where all that the commands printed is kept.
    pub log: PathBuf,
    /// The last lines that the failed command printed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
    /// What there was to do after it, or is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub follow_ups: Vec<FollowUp>,
    /// The commands that bring the packages back, where nothing else did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ways_back: Vec<String>,
    /// Why it has failed.
    #[serde(skip)]
    pub failure: Option<Error>,
}

/// What state a service is in after an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is upgraded, and well, as far as anything was asked.
    Upgraded,
    /// It is as it was before, and well, as far as anything was asked.
    Returned,
    /// It is as it was before, and not well.
    Unwell,
    /// Its data is as it was before; the packages are not, so its units are stopped.
    Stopped,
    /// It is on its way back, which is to be gone on with.
    Unfinished,
    /// It is as somebody has left it, who says that it is well so.
    LeftAsItIs,
}

/// Upgrades a service, in a turn that the caller has.
///
/// Once `stop` returns, its error is the verb's, unless the upgrade has begun to change something:
/// then it goes back.
pub async fn upgrade(
    upgrading: &Upgrading<'_>,
    options: &UpgradeOptions,
    stop: impl Future<Output = Error>,
) -> Result<Upgraded> {
    let mut stop = pin!(stop);
    let hop = tokio::select! {
        biased;
        stopped = &mut stop => {
            // The server would go on with what it was asked last.
            if let Err(error) = upgrading.journal.sessions().end(&upgrading.host.database).await {
                upgrading.monitor.note(&error.chain());
            }
            return Err(stopped);
        }
        secured = upgrading.secure(options) => secured?,
    };
    let began = Instant::now();
    let changed = upgrading.change(options, stop).await;
    let mut upgraded = match changed {
        Ok(()) => upgrading.complete(hop.as_ref()).await,
        Err(broken) => upgrading.go_back(broken, Step::Failed).await,
    };
    upgraded.seconds = began.elapsed().as_secs_f64();
    Ok(upgraded)
}

impl Upgrading<'_> {
    /// Checks all that can be checked, and sees to it that there is a way back; returns what the
    /// rules say of the upgrade.
    async fn secure(&self, options: &UpgradeOptions) -> Result<Option<Hop>> {
        refuse_unfinished(&self.host.journals(), "upgrade")?;
        self.check_command(options).await?;
        self.check_units().await?;
        let hop = path::hop(self.profile, &self.host.root, options, self.monitor).await?;
        self.write_down(options).await?;
        self.save().await?;
        Ok(hop)
    }

    /// Saves the service, and reads back what was saved.
    async fn save(&self) -> Result<()> {
        let Self { repository, profile, host, monitor, journal } = *self;
        let upgrade = self.upgrade();
        let options = CreateOptions {
            tags: vec![TAG.to_owned()],
            note: Some(format!("before {}, {}", upgrade.line(), journal.execution().id)),
            from_version: upgrade.from,
            ..CreateOptions::default()
        };
        let recorded = host.on_record(journal, Binlog::On);
        let saved = create::in_turn(repository, profile, &recorded, &options, monitor).await?;
        monitor.note(&format!("all that is needed to go back is saved as {}", saved.id));
        let proven = prove(repository, &saved.id, "upgrade", monitor).await;
        proven.map_err(|error| match error.advice() {
            Some(_) => error,
            None => error.hint("nothing was touched: see to what is named, and begin again"),
        })?;
        self.demand_way_back(&saved.id).await?;
        journal.change(|execution| execution.snapshot = Some(saved.id.to_string()))?;
        journal.reach(Step::Saved)
    }

    /// Changes the service: from here on there is a way back, and no other one.
    async fn change(
        &self,
        options: &UpgradeOptions,
        mut stop: Pin<&mut impl Future<Output = Error>>,
    ) -> std::result::Result<(), Broken> {
        self.journal.reach(Step::Stopping)?;
        until(&mut stop, self.stop_units()).await?;
        self.journal.reach(Step::Running)?;
        self.monitor.step("upgrade", None);
        self.run_command(&options.command, &mut stop).await?;
        self.journal.reach(Step::Starting)?;
        until(&mut stop, self.start_upgraded()).await?;
        Ok(until(&mut stop, self.await_health()).await?)
    }

    /// Ends an upgrade after which the service is well.
    ///
    /// That something cannot be written down is a warning: the new version runs, and is kept.
    async fn complete(&self, hop: Option<&Hop>) -> Upgraded {
        if let Err(error) = self.journal.reach(Step::Upgraded) {
            let text = "the service is upgraded and well, and its journal does not say so: \
                `snap upgrade --resume` would go back";
            self.monitor.warn(&format!("{text} ({})", error.chain()));
        }
        self.warn_of(self.write_down_found().await);
        let follow_ups = self.follow_up(hop).await;
        self.warn_of(self.journal.conclude(Step::Done, None));
        Upgraded { follow_ups, ..self.report(State::Upgraded) }
    }

    fn warn_of(&self, written: Result<()>) {
        if let Err(error) = written {
            self.monitor.warn(&error.chain());
        }
    }

    /// Returns what the journal says of the upgrade.
    fn upgrade(&self) -> Upgrade {
        self.journal.execution().upgrade.unwrap_or_default()
    }

    /// Changes what the journal says of the upgrade; durable when this returns.
    fn change_journal(&self, change: impl FnOnce(&mut Upgrade)) -> Result<()> {
        self.journal.change(|execution| change(execution.upgrade.get_or_insert_default()))
    }

    /// Returns the id of the snapshot that it goes back to.
    fn snapshot(&self) -> Result<SnapshotId> {
        let id = self.journal.execution().snapshot;
        id.ok_or_else(|| Error::failed("cannot go back: the journal names no snapshot"))?.parse()
    }

    fn report(&self, state: State) -> Upgraded {
        report(self.host, self.journal, state)
    }
}

/// Returns what the journal tells of an upgrade that has come to this state.
fn report(host: &Host, journal: &Journal, state: State) -> Upgraded {
    let execution = journal.execution().shown();
    Upgraded {
        log: host.journals().log(&execution.id),
        execution: execution.id,
        snapshot: execution.snapshot,
        upgrade: execution.upgrade.unwrap_or_default(),
        state,
        seconds: 0.0,
        last_lines: Vec::new(),
        follow_ups: Vec::new(),
        ways_back: Vec::new(),
        failure: None,
    }
}

/// Returns what comes of this work; once `stop` returns, it is dropped.
async fn until<T>(
    stop: &mut Pin<&mut impl Future<Output = Error>>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::select! {
        biased;
        stopped = stop.as_mut() => Err(stopped),
        done = work => done,
    }
}

/// Returns an error for what went wrong around an upgrade.
fn failed(text: impl Into<String>) -> Error {
    Error::new(Kind::Hook, text)
}
