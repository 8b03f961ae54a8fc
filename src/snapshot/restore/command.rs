//! The part of a restore that a command does: nothing of it can be built beside what is live, or
//! swapped in by a name.
//!
//! So it comes last, when all else is in place, and its way back is what the profile's own command
//! printed before: the safety snapshot, which must be there. Whether the command was begun is
//! written down before it is, for one whose process is killed. The commands are those of this
//! host's profile, whatever snapshot is restored.

use std::path::Path;
use std::path::PathBuf;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::fault;
use crate::base::lock::Access;
use crate::base::lock::Lock;
use crate::base::monitor::Monitor;
use crate::base::process::program_of;
use crate::profile::CommandPair;
use crate::profile::Profile;
use crate::profile::SourceSpec;
use crate::profile::What;
use crate::repository::Repository;
use crate::repository::contents::Contents;
use crate::snapshot::Host;
use crate::snapshot::execution::CommandPlaces;
use crate::snapshot::execution::Execution;
use crate::snapshot::execution::Journal;
use crate::snapshot::execution::Part;
use crate::snapshot::execution::Places;
use crate::snapshot::outputs::Output;
use crate::snapshot::restore::RestoreOptions;
use crate::snapshot::restore::Restoring;
use crate::snapshot::restore::plan::Site;
use crate::snapshot::restore::plan::SourcePlan;
use crate::snapshot::restore::refusals;
use crate::snapshot::restore::safety;
use crate::snapshot::restore::swapping::Ready;

/// Plans a source that a command restores: always, for nobody can compare what it is given with what
/// is there.
pub(super) fn planned(
    mut source: SourcePlan,
    pair: &CommandPair,
    options: &RestoreOptions,
) -> Result<SourcePlan> {
    if options.in_place {
        return Err(refusals::command_in_place(&source.name));
    }
    source.target = CommandPlaces::target_of(&source.name);
    source.reason = Some("commands cannot be compared".to_owned());
    source.notes = notes_on(&source.name, pair, options);
    source.site = Some(Site::Command(pair.clone()));
    Ok(source)
}

/// Returns which programs of the profile are run, and when: the rest of their commands may hold a
/// password, and whoever may read the profile finds it there.
fn notes_on(source: &str, pair: &CommandPair, options: &RestoreOptions) -> Vec<String> {
    let (save, load) = (program_of(&pair.save), program_of(&pair.load));
    let before = if options.safety_snapshot {
        format!("{source}: before anything is done, what is there is saved by {save}")
    } else {
        format!("{source}: what is there is not saved, and nothing brings it back")
    };
    let then = format!("{source}: when all else is in place, {load} is given what was saved");
    vec![before, then, "`snap profile show` prints these commands".to_owned()]
}

/// A command that is ready to be given what a snapshot holds.
pub(super) struct CommandPart {
    pub(super) places: CommandPlaces,
    repository: Repository,
    pair: CommandPair,
    output: Output,
    before: Option<Output>,
    /// Where the command says which process it is.
    signed: PathBuf,
    /// Keeps the blobs from being removed.
    _lock: Lock,
}

impl CommandPart {
    /// Returns the part of a source, once all that the command will be given is read and proven, and
    /// what takes it back is known to be there.
    pub(super) async fn prepare(
        repository: &Repository,
        pair: &CommandPair,
        output: Output,
        places: CommandPlaces,
        signed: PathBuf,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let lock = repository.lock(Access::Shared).await?;
        output.prove(repository, monitor).await?;
        let before = match &places.saved_as {
            Some(id) => Some(saved(repository, id, &places.of).await?),
            None => None,
        };
        let (repository, pair) = (repository.clone(), pair.clone());
        Ok(Self { places, repository, pair, output, before, signed, _lock: lock })
    }

    /// Writes down that the command begins.
    pub(super) fn begin(&mut self, journal: &Journal) -> Result<()> {
        self.places.begun = true;
        journal.change(|execution| {
            for part in &mut execution.parts {
                match &mut part.places {
                    Places::Command(places) if places.of == self.places.of => {
                        places.begun = true;
                    }
                    _ => {}
                }
            }
        })?;
        fault::point("command.begun");
        Ok(())
    }

    /// Gives the command what the snapshot holds.
    pub(super) async fn load(&self, monitor: &dyn Monitor) -> Result<()> {
        self.output.load(&self.repository, &self.pair, &self.signed, monitor).await?;
        fault::point("command.loaded");
        Ok(())
    }

    /// Gives the command what was there before.
    pub(super) async fn take_back(&self, monitor: &dyn Monitor) -> Result<()> {
        let Some(before) = &self.before else {
            monitor.warn(&stays(&self.places));
            return Ok(());
        };
        put_back(before, &self.repository, &self.pair, &self.signed, monitor).await
    }

    /// Returns the error of a restore that takes this part back: where there is no way back it says
    /// that not everything is as it was.
    pub(super) fn told(&self, error: Error) -> Error {
        if self.before.is_some() {
            return error;
        }
        let text = format!("{}; {}", error.chain(), stays(&self.places));
        let told = Error::new(error.kind(), text);
        match error.advice() {
            Some(hint) => told.hint(hint.to_owned()),
            None => told,
        }
    }
}

/// The commands that a rollback runs, and where what they are given lies.
pub(super) struct Commands<'a> {
    repository: Repository,
    /// What each is given, with its commands.
    outputs: Vec<(Output, &'a SourceSpec, &'a CommandPair)>,
    /// Keeps the blobs from being removed.
    _lock: Lock,
}

impl<'a> Commands<'a> {
    /// Returns what brings back what the commands of an execution replaced; `None` where it had
    /// none.
    pub(super) async fn of(
        undone: &Execution,
        profile: &'a Profile,
        host: &Host,
    ) -> Result<Option<Self>> {
        if of_commands(undone).next().is_none() {
            return Ok(None);
        }
        let holder = host.journals().holder("rollback");
        let repository = Repository::open(&undone.repository, holder).await?;
        let lock = repository.lock(Access::Shared).await?;
        let mut outputs = Vec::new();
        for places in of_commands(undone) {
            let (spec, pair) = pair(profile, &places.of)?;
            let id = places.saved_as.as_ref().ok_or_else(|| not_saved(places))?;
            outputs.push((saved(&repository, id, &places.of).await?, spec, pair));
        }
        Ok(Some(Self { repository, outputs, _lock: lock }))
    }

    /// Saves what the commands will replace; returns the id of the snapshot.
    pub(super) async fn save(
        &self,
        profile: &Profile,
        host: &Host,
        execution: &str,
        monitor: &dyn Monitor,
    ) -> Result<String> {
        let restoring = Restoring { repository: &self.repository, profile, host, monitor };
        let sources = self.outputs.iter().map(|(_, spec, _)| (*spec).clone()).collect();
        let note = format!("what {execution} replaced, rolling back");
        Ok(safety::take_of(&restoring, sources, note).await?.to_string())
    }

    /// Returns the parts that the commands do, ready to begin.
    pub(super) async fn ready(
        self,
        parts: &[Part],
        signed: PathBuf,
        monitor: &dyn Monitor,
    ) -> Result<Vec<Ready>> {
        let places = parts.iter().filter_map(|part| match &part.places {
            Places::Command(places) => Some(places.clone()),
            _ => None,
        });
        let mut ready = Vec::new();
        for (places, (output, _, pair)) in places.zip(self.outputs) {
            let signed = signed.clone();
            let part =
                CommandPart::prepare(&self.repository, pair, output, places, signed, monitor);
            ready.push(Ready::Command(Box::new(part.await?)));
        }
        Ok(ready)
    }
}

/// Returns what a rollback of this execution does by commands, in words; fails where it cannot.
pub(super) fn told(undone: &Execution, profile: &Profile) -> Result<Vec<String>> {
    let told = of_commands(undone).map(|places| {
        let (source, (_, pair)) = (&places.of, pair(profile, &places.of)?);
        let load = program_of(&pair.load);
        let id = places.saved_as.as_ref().ok_or_else(|| not_saved(places))?;
        Ok(format!("{source} is not renamed back: {load} is given what was saved before, as {id}"))
    });
    told.collect()
}

fn of_commands(execution: &Execution) -> impl Iterator<Item = &CommandPlaces> {
    execution.parts.iter().filter_map(|part| match &part.places {
        Places::Command(places) => Some(places),
        _ => None,
    })
}

fn not_saved(places: &CommandPlaces) -> Error {
    let text = format!(
        "cannot roll back: what the command of {} replaced was not saved before",
        places.of
    );
    Error::new(Kind::Refused, text)
        .hint("`snap list` shows what can be restored; --no-safety-snapshot gave this way back up")
}

/// Returns the two commands of a source; fails where the profile has them no more.
fn pair<'a>(profile: &'a Profile, source: &str) -> Result<(&'a SourceSpec, &'a CommandPair)> {
    let spec = profile.sources.iter().find(|spec| spec.name == source);
    if let Some((spec, What::Command(pair))) = spec.map(|spec| (spec, &spec.what)) {
        return Ok((spec, pair));
    }
    let name = &profile.name;
    let text = format!("cannot take back {source}: profile {name} has no commands of that name");
    Err(Error::new(Kind::Refused, text)
        .hint("commands come from the profile of this host alone: write them there again"))
}

/// Returns what a snapshot holds that was taken of what a command replaced.
async fn saved(repository: &Repository, id: &str, source: &str) -> Result<Output> {
    let contents: Contents = repository.contents(&id.parse()?).await.map_err(|error| {
        error.while_doing(&format!("cannot take back {source}, which was saved as {id}"))
    })?;
    Output::of(&contents, id, source)
}

/// Takes back what the commands of an execution have done whose process was killed; returns what
/// stays, in words.
pub(super) async fn put_back_all(
    execution: &Execution,
    profile: &Profile,
    host: &Host,
    monitor: &dyn Monitor,
) -> Result<Vec<String>> {
    let mut left = Vec::new();
    let signed = &host.journals().process(&execution.id);
    for places in of_commands(execution) {
        match &places.saved_as {
            _ if !places.begun => {}
            None => {
                monitor.warn(&stays(places));
                left.push(stays(places));
            }
            Some(id) => {
                let (_, pair) = pair(profile, &places.of)?;
                let holder = host.journals().holder(&execution.verb);
                let repository = Repository::open(&execution.repository, holder).await?;
                let _lock = repository.lock(Access::Shared).await?;
                let before = saved(&repository, id, &places.of).await?;
                put_back(&before, &repository, pair, signed, monitor).await?;
            }
        }
    }
    Ok(left)
}

async fn put_back(
    before: &Output,
    repository: &Repository,
    pair: &CommandPair,
    signed: &Path,
    monitor: &dyn Monitor,
) -> Result<()> {
    before.load(repository, pair, signed, monitor).await?;
    monitor.note(&format!("what a command replaced is loaded again from {}", before.snapshot));
    Ok(())
}

/// Returns that there is no way back.
fn stays(places: &CommandPlaces) -> String {
    format!("{} stays as its command left it: what was there before was not saved", places.of)
}
