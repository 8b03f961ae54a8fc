//! The way back from an upgrade: programs first, then data, then the service runs again.
//!
//! Every step may be taken again: whoever takes it up later ([`super::resume`]) begins at the first.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::fault;
use crate::base::monitor::Silent;
use crate::profile::What;
use crate::profile::roles::choices::Remap;
use crate::repository::id::SnapshotId;
use crate::snapshot::execution::About;
use crate::snapshot::execution::Journal;
use crate::snapshot::execution::Journals;
use crate::snapshot::execution::Step;
use crate::snapshot::execution::record;
use crate::snapshot::restore;
use crate::snapshot::restore::RestoreOptions;
use crate::snapshot::restore::Restoring;
use crate::snapshot::upgrade::State;
use crate::snapshot::upgrade::Upgraded;
use crate::snapshot::upgrade::Upgrading;
use crate::snapshot::upgrade::command::Broken;
use crate::snapshot::upgrade::failed;
use crate::system::packages;
use crate::system::packages::Installed;

/// How far it has come on the way back: what is known of the service where it does not go on.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Stopping,
    Undoing,
    Restoring,
    Starting,
}

/// What is back.
enum Back {
    /// All.
    Well,
    /// All, but the service is not well.
    Unwell(Error),
    /// The data; of the programs, nobody knows or these are others.
    Data(Installed),
}

/// How an upgrade ends that goes back.
struct End<'a> {
    /// Why it does.
    why: &'a str,
    /// With which step it ends, where it comes through.
    step: Step,
    /// The kind of its error where all is as it was, and well: who has interrupted it sees that in
    /// the exit code. Where it is not, that counts more.
    kind: Kind,
}

impl Upgrading<'_> {
    /// Goes back from an upgrade that has failed; what comes of it is no error. It ends with `end`
    /// where it comes through.
    pub(super) async fn go_back(&self, broken: Broken, end: Step) -> Upgraded {
        let why = broken.error.chain();
        let told = format!("the upgrade has failed, and all goes back to what it was: {why}");
        self.monitor.note(&told);
        // Nothing is worse than not to go back; that it is written down can wait.
        self.note_failure(self.change_journal(|upgrade| upgrade.failure = Some(why.clone())));
        self.note_failure(self.journal.reach(Step::Returning));
        let mut stage = Stage::Stopping;
        let back = self.bring_back(&mut stage).await;
        let end = match broken.error.kind() {
            kind @ (Kind::Interrupted | Kind::Terminated) if end == Step::Failed => {
                End { why: &why, step: Step::Cancelled, kind }
            }
            _ => End { why: &why, step: end, kind: Kind::Hook },
        };
        let mut report = match back {
            Ok(Back::Well) => self.ended(State::Returned, &end, None),
            Ok(Back::Unwell(error)) => self.ended(State::Unwell, &end, Some(&error)),
            Ok(Back::Data(now)) => Upgraded {
                ways_back: self.ways_back(&now),
                ..self.ended(State::Stopped, &end, None)
            },
            Err(halted) => self.halted(&why, stage, &halted.error),
        };
        report.last_lines = broken.lines;
        report
    }

    async fn bring_back(&self, stage: &mut Stage) -> std::result::Result<Back, Broken> {
        let has_run = self.journal.execution().has_reached(Step::Running);
        if has_run {
            self.stop_units().await?;
            *stage = Stage::Undoing;
            self.undo().await?;
            fault::point("upgrade.undone");
            self.stop_started().await?;
            *stage = Stage::Restoring;
            self.restore().await?;
            fault::point("upgrade.restored");
            *stage = Stage::Starting;
            let (before, now) = (self.upgrade(), self.installed().await?);
            let is_undone = before.undo.is_some_and(|undo| undo.done);
            let is_known = is_undone || !before.installed.packages.is_empty();
            if !is_known || before.installed.packages != now.packages {
                return Ok(Back::Data(now));
            }
        }
        let well = async {
            self.start_units().await?;
            self.await_health().await
        };
        Ok(well.await.map_or_else(Back::Unwell, |()| Back::Well))
    }

    /// Brings the packages back, where there is something that does, unless it has.
    async fn undo(&self) -> std::result::Result<(), Broken> {
        let Some(undo) = self.upgrade().undo.filter(|undo| !undo.done) else { return Ok(()) };
        self.monitor.step("undo", None);
        let limit = Duration::from_secs(undo.seconds);
        let Some(command) = &undo.command else {
            // Whether they are back is seen later, by what is installed then.
            if let Err(broken) = self.bring_packages_back(limit).await {
                let why = broken.error.chain();
                self.monitor.note(&format!("the packages could not be brought back: {why}"));
            }
            return Ok(());
        };
        self.run_shell(command, limit).await?;
        Ok(self.change_journal(|upgrade| {
            upgrade.undo.iter_mut().for_each(|undo| undo.done = true);
        })?)
    }

    /// Lets the installer bring the packages back to the versions that were recorded.
    async fn bring_packages_back(&self, limit: Duration) -> std::result::Result<(), Broken> {
        let (before, now) = (self.upgrade().installed, self.installed().await?);
        for way in packages::ways_back(&before, &now) {
            self.run_shell(&way.unattended(), limit).await?;
        }
        Ok(())
    }

    /// Restores all that was saved, exactly. A restore that was killed comes to its end before.
    async fn restore(&self) -> Result<()> {
        let Self { repository, profile, host, monitor, journal } = *self;
        Box::pin(restore::resume::in_turn(profile, host, monitor)).await?;
        let (upgrade, id) = (journal.execution(), self.snapshot()?);
        let about = About {
            verb: "restore".to_owned(),
            profile: profile.name.clone(),
            repository: upgrade.repository.clone(),
            snapshot: upgrade.snapshot.clone(),
        };
        let options = self.exactly();
        let restoring = Restoring { repository, profile, host, monitor };
        let restore = async |inner: Arc<Journal>| {
            let own = inner.execution().id;
            inner.change(|execution| execution.undoes = Some(upgrade.id.clone()))?;
            self.change_journal(|upgrade| upgrade.restored_by = Some(own))?;
            Box::pin(restore::in_turn(&restoring, &id, &options, &inner, pending())).await
        };
        let journals = Journals { now: journal.time(), ..host.journals() };
        let restored = record(&journals, about, monitor, restore).await?;
        let kept = restored.outcome.previous.join(", ");
        if !kept.is_empty() {
            monitor.note(&format!("what the upgrade made of the data is kept aside: {kept}"));
        }
        let came_since = restored.plan.came_since().collect();
        self.note_failure(self.change_journal(|upgrade| upgrade.came_since = came_since));
        Ok(())
    }

    /// Returns how all that was saved is restored: as it was, whatever is there.
    fn exactly(&self) -> RestoreOptions {
        let saves_users = |what: &What| matches!(what, What::Database { users: true, .. });
        RestoreOptions {
            certificates: true,
            force: true,
            users: self.profile.sources.iter().any(|source| saves_users(&source.what)),
            remap: Remap::Never,
            ..RestoreOptions::default()
        }
    }

    /// Fails with [`Kind::Refused`] where there would be no going back: where the server would not take
    /// what was saved, or where there is no room for it beside what the upgrade makes of it.
    pub(super) async fn demand_way_back(&self, id: &SnapshotId) -> Result<()> {
        let Self { repository, profile, host, .. } = *self;
        let restoring = Restoring { repository, profile, host, monitor: &Silent };
        let demanded = restore::demand_restorable(&restoring, id, &self.exactly()).await;
        demanded.map_err(|error| {
            let advice = error.advice().unwrap_or("begin again when that is mended");
            let hint = format!("nothing was touched: {advice}");
            error.while_doing("cannot upgrade: there would be no going back").hint(hint)
        })
    }

    /// Ends the execution, in this state.
    fn ended(&self, state: State, end: &End<'_>, unwell: Option<&Error>) -> Upgraded {
        let id = self.journal.execution().id;
        let upgrade = self.upgrade();
        let but = upgrade.but();
        let what = match (state, unwell) {
            (State::Stopped, _) => format!(
                "the data is as it was before{but}, and the units stay stopped: other programs would \
                 change it again"
            ),
            (_, Some(error)) => format!(
                "all is as it was before{but}, but the service is not well: {}",
                error.chain()
            ),
            _ => format!("all is as it was before{but}{}", upgrade.health()),
        };
        let told = format!("{}; {what}", end.why);
        self.note_failure(self.journal.conclude(end.step, Some(told.clone())));
        let kind = if state == State::Returned { end.kind } else { Kind::Hook };
        let failure = Error::new(kind, format!("cannot upgrade: {told} ({id})"));
        let failure = failure.hint(format!("`snap executions get {id}` shows all of it"));
        Upgraded { failure: Some(failure), ..self.report(state) }
    }

    /// Leaves the execution unfinished: says where it stands, and what goes on.
    fn halted(&self, why: &str, stage: Stage, error: &Error) -> Upgraded {
        let left = match stage {
            Stage::Stopping => "the units may run, with what the upgrade made of them",
            Stage::Undoing => {
                "the units are stopped, packages and data are what the upgrade made of them"
            }
            Stage::Restoring => "the units are stopped, the data is what the upgrade made of it",
            Stage::Starting => "the data is as it was before, and the units are stopped",
        };
        let told = format!("{why}; and then going back failed: {}; {left}", error.chain());
        self.note_failure(self.journal.change(|execution| execution.error = Some(told.clone())));
        let execution = self.journal.execution();
        let failure = failed(format!("cannot upgrade: {told} ({})", execution.id));
        let failure = failure.hint(execution.resume_command());
        Upgraded { failure: Some(failure), ..self.report(State::Unfinished) }
    }

    fn note_failure(&self, written: Result<()>) {
        if let Err(error) = written {
            self.monitor.note(&error.chain());
        }
    }
}
