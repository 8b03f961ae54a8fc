//! The journal of an execution at work.

use std::fs;
use std::fs::DirBuilder;
use std::future::Future;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use jiff::SignedDuration;
use jiff::Timestamp;

use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::fault;
use crate::base::lock;
use crate::base::lock::Access;
use crate::base::lock::Lock;
use crate::base::monitor::Monitor;
use crate::repository::id::letters;
use crate::snapshot::execution::Execution;
use crate::snapshot::execution::Journals;
use crate::snapshot::execution::Part;
use crate::snapshot::execution::Status;
use crate::snapshot::execution::Step;
use crate::snapshot::execution::Upgrade;
use crate::snapshot::execution::settle;
use crate::source::files::durable;
use crate::source::mariadb::sessions::Sessions;

/// Whoever looks whether a process is alive holds its lock for a moment.
const LOOKED_AT: Duration = Duration::from_secs(2);

const UNPOISONED: &str = "nobody panics while a journal is written";

/// What an execution is about.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The verb, such as `restore`.
    pub verb: String,
    /// The profile it is run for.
    pub profile: String,
    /// Where the repository is.
    pub repository: String,
    /// The snapshot that it is about, where that is known.
    pub snapshot: Option<String>,
}

/// The journal of an execution at work. Dropped before it has ended, the execution was cancelled.
pub struct Journal {
    folder: PathBuf,
    now: Timestamp,
    began: Instant,
    execution: Mutex<Execution>,
    sessions: Sessions,
    /// Whether it is another process that is at work on it: until that has brought it to its end, it
    /// stays unfinished.
    is_taken_up: bool,
    _lock: Lock,
}

/// Runs a verb that changes something as an execution, from its first second to its end.
pub async fn record<T, W>(
    journals: &Journals,
    about: About,
    monitor: &dyn Monitor,
    work: impl FnOnce(Arc<Journal>) -> W,
) -> Result<T>
where
    W: Future<Output = Result<T>>,
{
    let journal = Arc::new(Journal::begin(journals, about).await?);
    let outcome = work(Arc::clone(&journal)).await;
    if let Err(error) = journal.end(outcome.as_ref().err()) {
        monitor.note(&format!("the journal of this execution lacks its end: {}", error.chain()));
    }
    outcome
}

impl Journal {
    /// Begins an execution; those of processes that were killed and left nothing are ended first.
    async fn begin(journals: &Journals, about: About) -> Result<Self> {
        let folder = journals.folder();
        make_folder(&folder)
            .map_err(|error| error.hint("--state names a folder that this user can write to"))?;
        settle::tidy(journals)?;
        let holder = journals.holder(&about.verb);
        let id = free_id(&folder)?;
        let lock = folder.join(format!("{id}.lock"));
        let lock = lock::acquire(&lock, Access::Exclusive, Duration::ZERO, &holder).await?;
        let sessions = Sessions::kept_in(folder.join(format!("{id}.sessions")));
        let mut execution = Execution {
            id,
            verb: about.verb,
            status: Status::Started,
            step: Step::Started,
            snapshot: about.snapshot,
            profile: about.profile,
            repository: about.repository,
            host: journals.host.clone(),
            process: journals.process,
            started: journals.now,
            ended: None,
            error: None,
            undoes: None,
            safety_snapshot: None,
            in_place: None,
            upgrade: None,
            hooks: Vec::new(),
            gives_up: Vec::new(),
            server: None,
            binlog: true,
            parts: Vec::new(),
            keeps_previous: false,
            steps: Vec::new(),
        };
        execution.reach(Step::Started, journals.now);
        write(&folder, &execution)?;
        fault::point("journal.begun");
        let (now, began) = (journals.now, Instant::now());
        let execution = Mutex::new(execution);
        Ok(Self { folder, now, began, execution, sessions, is_taken_up: false, _lock: lock })
    }

    /// Takes up the journal of an execution whose process was killed.
    pub(in crate::snapshot) async fn take_up(
        journals: &Journals,
        execution: Execution,
    ) -> Result<Self> {
        let folder = journals.folder();
        let verb = if execution.upgrade.is_some() { "upgrade" } else { "restore" };
        let holder = journals.holder(&format!("{verb} --resume"));
        let lock = folder.join(format!("{}.lock", execution.id));
        let lock = lock::acquire(&lock, Access::Exclusive, LOOKED_AT, &holder).await?;
        let sessions = Sessions::kept_in(folder.join(format!("{}.sessions", execution.id)));
        let (now, began) = (journals.now, Instant::now());
        let execution = Mutex::new(execution);
        Ok(Self { folder, now, began, execution, sessions, is_taken_up: true, _lock: lock })
    }

    /// Returns what the journal holds.
    pub fn execution(&self) -> Execution {
        self.locked().clone()
    }

    /// Returns who remembers the database connections of this execution.
    pub(crate) fn sessions(&self) -> Sessions {
        self.sessions.clone()
    }

    /// Returns where a command of this execution says which process it is.
    pub(in crate::snapshot) fn process(&self) -> PathBuf {
        self.folder.join(format!("{}.process", self.locked().id))
    }

    /// Changes what the journal holds; durable when this returns.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Execution)) -> Result<()> {
        let mut execution = self.locked();
        change(&mut execution);
        write(&self.folder, &execution)
    }

    /// Writes that a step is reached; durable when this returns.
    pub(crate) fn reach(&self, step: Step) -> Result<()> {
        fault::point(&format!("journal.before-{}", step.name()));
        let at = self.time();
        self.change(|execution| execution.reach(step, at))?;
        fault::point(&format!("journal.{}", step.name()));
        Ok(())
    }

    /// Writes what will be replaced, before anything of it is built.
    pub(crate) fn plan(&self, parts: Vec<Part>) -> Result<()> {
        self.change(|execution| execution.parts = parts)?;
        self.reach(Step::Planned)
    }

    /// Writes that the parts take their places from now on. Whoever reads the journal of a process
    /// that was killed then is told what is live.
    pub(crate) fn swapping(&self) -> Result<()> {
        self.change(|execution| execution.error = execution.mixture())?;
        self.reach(Step::Swapping)
    }

    /// Writes that all parts are live, and whether what they replaced is kept.
    pub(crate) fn swapped(&self) -> Result<()> {
        self.change(|execution| {
            let is_kept = execution.in_place.is_none() && !execution.parts.is_empty();
            execution.keeps_previous = is_kept;
            execution.error = None;
        })?;
        self.reach(Step::Swapped)
    }

    /// Ends the execution, which failed with everything as it was before, but for what
    /// its error names.
    pub(crate) fn fail(&self, error: &Error) -> Result<()> {
        self.conclude(step_of(error), Some(error.chain()))
    }

    /// Ends the execution in this way.
    pub(crate) fn conclude(&self, step: Step, error: Option<String>) -> Result<()> {
        let id = {
            let mut execution = self.locked();
            execution.error = error;
            execution.parts.iter_mut().for_each(|part| part.note = None);
            execution.upgrade.iter_mut().for_each(Upgrade::mask_undo);
            execution.id.clone()
        };
        self.reach(step)?;
        forget_lock(&self.folder, &id)
    }

    /// Ends the execution as its verb ended, unless it has ended already. One that failed when it
    /// had begun to swap, and did not say that all is as it was, is not over: a resume goes on.
    pub(in crate::snapshot) fn end(&self, error: Option<&Error>) -> Result<()> {
        let execution = self.execution();
        let has_swapped = matches!(execution.step, Step::Swapping | Step::Swapped);
        match error {
            // An upgrade says itself when it is over.
            _ if execution.has_ended() || execution.is_changing() => Ok(()),
            None => self.conclude(Step::Done, None),
            Some(error) if has_swapped => {
                // What a mixture is, and what ends it, stands there after the error too.
                let told = execution.is_mixed().then(|| execution.ways_out());
                let told = [Some(error.chain()), told].into_iter().flatten();
                let told = told.collect::<Vec<_>>().join(": ");
                self.change(|execution| execution.error = Some(told))
            }
            Some(error) => self.fail(error),
        }
    }

    /// Returns what time it is, by when the verb began.
    pub(in crate::snapshot) fn time(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.began.elapsed()).unwrap_or_default();
        self.now.checked_add(elapsed).unwrap_or(self.now)
    }

    fn locked(&self) -> MutexGuard<'_, Execution> {
        self.execution.lock().expect(UNPOISONED)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Its journal says already what is live, and why.
        if self.is_taken_up || self.execution().is_mixed() {
            return;
        }
        // Nobody can be told here; without its end the execution counts as killed.
        if thread::panicking() {
            drop(self.end(Some(&Error::failed("snap itself has failed"))));
        } else {
            let told = "its process was told to end";
            drop(self.end(Some(&Error::new(Kind::Interrupted, told))));
        }
    }
}

fn step_of(error: &Error) -> Step {
    match error.kind() {
        Kind::Interrupted | Kind::Terminated => Step::Cancelled,
        _ => Step::Failed,
    }
}

/// Writes a journal; durable when this returns.
pub(super) fn write(folder: &Path, execution: &Execution) -> Result<()> {
    let mut json = serde_json::to_vec_pretty(execution)
        .context(|| format!("cannot write down execution {}", execution.id))?;
    json.push(b'\n');
    durable::write(&folder.join(format!("{}.json", execution.id)), &json)
}

/// Removes what tells that an execution is at work.
pub(super) fn forget_lock(folder: &Path, id: &str) -> Result<()> {
    for end in ["sessions", "process", "lock"] {
        let path = folder.join(format!("{id}.{end}"));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn make_folder(folder: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).context(|| format!("cannot make folder {}", folder.display()))
}

fn free_id(folder: &Path) -> Result<String> {
    loop {
        let id = format!("execution_{}", letters()?);
        if !folder.join(format!("{id}.json")).exists() {
            return Ok(id);
        }
    }
}
