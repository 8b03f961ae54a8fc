//! What became of executions whose process was killed, and how many are remembered.

use std::fs;
use std::io;

use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::repository::id::SnapshotId;
use crate::snapshot::execution::Execution;
use crate::snapshot::execution::Journals;
use crate::snapshot::execution::Places;
use crate::snapshot::execution::Step;
use crate::snapshot::execution::in_place::MIXTURE;
use crate::snapshot::execution::journal::forget_lock;
use crate::snapshot::execution::journal::write;
use crate::snapshot::execution::list::all;
use crate::snapshot::execution::list::is_at_work;

/// How many ended executions are remembered.
const REMEMBERED: usize = 200;

/// Ends the executions whose process was killed and left nothing, and forgets the oldest ones.
pub(super) fn tidy(journals: &Journals) -> Result<()> {
    let folder = journals.folder();
    let mut ended = Vec::new();
    // A journal that cannot be read keeps nobody from work: `executions list` names it.
    for mut execution in all(journals)?.into_iter().flatten() {
        if !execution.has_ended() && !execution.leaves_something() {
            if is_at_work(journals, &execution)? {
                continue;
            }
            execution.error = Some("its process was killed".to_owned());
            execution.reach(Step::Failed, journals.now);
            write(&folder, &execution)?;
            forget_lock(&folder, &execution.id)?;
        }
        // What still keeps a previous state is what brings it back.
        if execution.has_ended() && !execution.keeps_previous {
            ended.push(execution.id);
        }
    }
    let forgotten = ended.len().saturating_sub(REMEMBERED);
    for id in &ended[..forgotten] {
        for path in [journals.log(id), folder.join(format!("{id}.json"))] {
            match fs::remove_file(&path) {
                // Another process tidies up too.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.context(|| format!("cannot remove {}", path.display()))?,
            }
        }
    }
    Ok(())
}

/// Returns the restores, rollbacks and upgrades of this host whose process was killed before they ended.
pub(in crate::snapshot) fn unfinished(journals: &Journals) -> Result<Vec<Execution>> {
    let mut unfinished = Vec::new();
    for execution in all(journals)? {
        // What cannot be read may be one.
        let execution = execution?;
        let is_open = !execution.has_ended() && execution.leaves_something();
        if is_open && !is_at_work(journals, &execution)? {
            unfinished.push(execution);
        }
    }
    Ok(unfinished)
}

/// Fails with [`Kind::Busy`] where a restore, a rollback or an upgrade was killed and has to be finished
/// first.
pub fn refuse_unfinished(journals: &Journals, verb: &str) -> Result<()> {
    let unfinished = unfinished(journals)?;
    // What is live counts most: the last one that left a mixture says what that is.
    match unfinished.iter().max_by_key(|execution| execution.is_mixed()) {
        None => Ok(()),
        Some(execution) => Err(execution.refuse(verb)),
    }
}

/// Fails with [`Kind::Busy`] where an upgrade of a profile is unfinished: whoever goes back from it
/// would replace what a restore brings, and nobody knows of which version the programs are.
pub(in crate::snapshot) fn refuse_unfinished_upgrade(
    journals: &Journals,
    profile: &str,
    verb: &str,
) -> Result<()> {
    let is_in_the_way =
        |execution: &Execution| execution.upgrade.is_some() && execution.profile == profile;
    let unfinished = unfinished(journals)?.into_iter().find(is_in_the_way);
    unfinished.map_or(Ok(()), |execution| Err(execution.refuse(verb)))
}

/// Fails with [`Kind::Busy`] where an execution was killed that replaces one of these databases or
/// paths too; one that replaces others is noted. Returns those that do, and do not count.
pub(in crate::snapshot) fn refuse_unfinished_at(
    journals: &Journals,
    targets: &[String],
    counts: impl Fn(&Execution) -> bool,
    monitor: &dyn Monitor,
) -> Result<Vec<Execution>> {
    let is_in_the_way = |execution: &Execution| {
        execution.parts.iter().any(|part| targets.contains(&part.places.target()))
    };
    let (in_the_way, others): (Vec<_>, Vec<_>) =
        unfinished(journals)?.into_iter().partition(is_in_the_way);
    let counting = in_the_way.iter().filter(|execution| counts(execution));
    if let Some(execution) = counting.max_by_key(|execution| execution.is_mixed()) {
        return Err(execution.refuse("restore"));
    }
    for execution in others {
        execution.tell_unfinished(monitor);
    }
    Ok(in_the_way)
}

/// Fails with [`Kind::Busy`] where one of these snapshots is what finishes an unfinished execution,
/// or its only way back.
pub fn refuse_needed(journals: &Journals, ids: &[SnapshotId]) -> Result<()> {
    for execution in unfinished(journals)? {
        let needed = execution.needed();
        if let Some(id) = ids.iter().find(|id| needed.contains(&id.as_str())) {
            return Err(execution.refuse(&format!("delete {id}")));
        }
    }
    Ok(())
}

impl Execution {
    /// Returns the snapshots that bring it to its end: both of a restore in place and of an upgrade,
    /// and what commands are given that take back what they did.
    fn needed(&self) -> Vec<&str> {
        let is_mixing = self.in_place.is_some() || self.is_changing();
        let both = [&self.snapshot, &self.safety_snapshot].into_iter().filter(|_| is_mixing);
        let commands = self.parts.iter().filter_map(|part| match &part.places {
            Places::Command(places) => Some(&places.saved_as),
            Places::MariaDb(_) | Places::Files(_) => None,
        });
        both.chain(commands).filter_map(|id| id.as_deref()).collect()
    }

    fn refuse(&self, verb: &str) -> Error {
        let text = format!("cannot {verb}: {}", self.unfinished());
        Error::new(Kind::Busy, text).hint(self.resume_command())
    }

    /// Notes that this execution was killed, and what brings it to its end.
    pub(in crate::snapshot) fn tell_unfinished(&self, monitor: &dyn Monitor) {
        monitor.note(&format!("{}: {}", self.unfinished(), self.resume_command()));
    }

    /// Returns that this execution was killed, in words.
    fn unfinished(&self) -> String {
        let (id, verb, step) = (&self.id, &self.verb, self.step.name());
        let began = self.started.strftime("%Y-%m-%d %H:%M:%S UTC");
        if self.is_mixed() {
            return format!(
                "{verb} {id} of {began} stopped half-way, in place, and is unfinished: {MIXTURE}"
            );
        }
        if let Some(error) = self.error.as_ref().filter(|_| self.upgrade.is_some()) {
            return format!("{verb} {id} of {began} is unfinished: {error}");
        }
        format!("{verb} {id} of {began} was killed when it was {step}, and is unfinished")
    }

    /// Returns the command that finishes or undoes it.
    pub(in crate::snapshot) fn resume_command(&self) -> String {
        let Self { profile, .. } = self;
        if self.is_mixed() {
            return self.ways_out();
        }
        if self.upgrade.is_some() {
            return self.upgrade_resume();
        }
        format!(
            "`snap restore --resume --profile {profile}` finishes or undoes it: give it the flags that {} had for \
             state, configuration and database",
            self.verb
        )
    }
}
