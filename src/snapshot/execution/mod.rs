//! Executions: every run of a verb that changes something, each with a journal on this host.
//!
//! A journal is `STATE/executions/ID.json`: which verb, on what, how far it came, where it builds
//! and where it keeps what it replaces. It is written, durably, before the verb does what it says.
//! A process that is at work holds the lock `ID.lock` beside it, which the kernel drops when the
//! process dies: so a journal without an end whose lock is free is of a process that was killed.
//! What [`Step`]s a restore comes through, and what becomes of one that was killed, `resume`
//! says. Journals name servers and schemas, and hold no secret.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::base::lock::Holder;
use crate::source::files::Exchange;
use crate::source::mariadb::ready::Schemas;

mod at_work;
mod hook;
mod in_place;
mod journal;
mod list;
mod settle;
mod upgrade;

pub use crate::snapshot::execution::hook::HookRun;
pub use crate::snapshot::execution::in_place::InPlace;
pub use crate::snapshot::execution::journal::About;
pub use crate::snapshot::execution::journal::Journal;
pub use crate::snapshot::execution::journal::record;
pub(super) use crate::snapshot::execution::list::all;
pub use crate::snapshot::execution::list::get;
pub use crate::snapshot::execution::list::list;
pub(super) use crate::snapshot::execution::list::rewrite;
pub use crate::snapshot::execution::settle::refuse_needed;
pub use crate::snapshot::execution::settle::refuse_unfinished;
pub(super) use crate::snapshot::execution::settle::refuse_unfinished_at;
pub(super) use crate::snapshot::execution::settle::refuse_unfinished_upgrade;
pub(super) use crate::snapshot::execution::settle::unfinished;
pub use crate::snapshot::execution::upgrade::Undo;
pub use crate::snapshot::execution::upgrade::Upgrade;

/// The verbs whose death leaves something to finish or to take back.
const SWAPPING_VERBS: &[&str] = &["restore", "rollback"];

/// One run of a verb: what a journal holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// `execution_` and six letters and digits.
    pub id: String,
    /// The verb, such as `restore`.
    pub verb: String,
    /// In the words of the Cloudify Manager.
    pub status: Status,
    /// How far it came.
    pub step: Step,
    /// The snapshot that it is about, where it is about one.
    pub snapshot: Option<String>,
    /// The profile it was run for.
    pub profile: String,
    /// Where the repository is.
    pub repository: String,
    /// The host it ran on.
    pub host: String,
    /// Its process.
    pub process: u32,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<String>,
    /// The execution that it undoes, of a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<String>,
    /// The snapshot that was taken of what it replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safety_snapshot: Option<String>,
    /// What it was told, where it replaces databases table by table: without a way back but that
    /// snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place: Option<InPlace>,
    /// What it was told and found, of an upgrade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Upgrade>,
    /// The hooks that ran, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookRun>,
    /// The unfinished executions whose safety snapshot this one brings back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gives_up: Vec<String>,
    /// The database server that it works on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Whether what it does to the database is written to the binary log.
    #[serde(default = "yes")]
    pub binlog: bool,
    /// What it replaces, part by part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// Whether what it replaced is still kept.
    #[serde(default)]
    pub keeps_previous: bool,
    /// Every step, and when it was reached.
    pub steps: Vec<Reached>,
}

const fn yes() -> bool {
    true
}

/// One thing that an execution replaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The name of the source.
    pub source: String,
    /// Whether accounts go with it, which nobody but the process itself can complete.
    #[serde(default)]
    pub accounts: bool,
    /// What the database server notes of the swap, for a server that forgets it: the text and context
    /// of all that is live and of all that comes in. It goes when the execution has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Where it is built, what it replaces, and where that is kept.
    #[serde(flatten)]
    pub places: Places,
}

/// Where a part is built, what it replaces, and where that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Places {
    /// Schemas of the database server.
    MariaDb(Schemas),
    /// Paths of this host.
    Files(Exchange),
    /// What commands print and take back.
    Command(CommandPlaces),
}

/// How far a command came that restores a source, and what takes it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandPlaces {
    /// The name of the source; the command itself stands in the profile alone.
    pub of: String,
    /// Whether it may have begun.
    pub begun: bool,
    /// The snapshot that holds what was there before.
    pub saved_as: Option<String>,
}

impl CommandPlaces {
    /// Returns what the command of a source replaces, for people.
    pub fn target_of(source: &str) -> String {
        format!("command {source}")
    }
}

/// A step, and when it was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// The step.
    pub step: Step,
    /// When it was reached.
    pub at: Timestamp,
}

/// How far an execution came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// It is at work.
    Started,
    /// What will be replaced is decided, and what is built beside it has its names.
    Planned,
    /// Everything is built.
    Staged,
    /// Everything is proven, and all is noted that it takes to put back what is live.
    Verified,
    /// The parts take their places, one after the other.
    Swapping,
    /// All parts are live.
    Swapped,
    /// What an upgrade can go back to is saved and verified.
    Saved,
    /// The units of the service are stopped.
    Stopping,
    /// The command of the upgrade runs.
    Running,
    /// The units are started, and their health is awaited.
    Starting,
    /// The service is well after its upgrade: there is no going back any more.
    Upgraded,
    /// The upgrade has failed, and all goes back to what it was.
    Returning,
    /// It came to its end.
    Done,
    /// It was killed, and everything is as it was before, but for what its error names.
    Undone,
    /// It failed, with everything as it was before, but for what its error names.
    Failed,
    /// It was told to end, with everything as it was before.
    Cancelled,
}

/// A step in the words of the Cloudify Manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// At work, or killed at work.
    Started,
    /// Came to its end.
    Terminated,
    /// Ended without having done anything.
    Failed,
    /// Ended because somebody said so.
    Cancelled,
}

impl Step {
    /// Returns the step in the words of the Cloudify Manager.
    pub const fn status(self) -> Status {
        match self {
            Self::Done => Status::Terminated,
            Self::Undone | Self::Failed => Status::Failed,
            Self::Cancelled => Status::Cancelled,
            _ => Status::Started,
        }
    }

    /// Returns the word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Planned => "planned",
            Self::Staged => "staged",
            Self::Verified => "verified",
            Self::Swapping => "swapping",
            Self::Swapped => "swapped",
            Self::Saved => "saved",
            Self::Stopping => "stopping",
            Self::Running => "running",
            Self::Starting => "starting",
            Self::Upgraded => "upgraded",
            Self::Returning => "returning",
            Self::Done => "done",
            Self::Undone => "undone",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Status {
    /// Returns the word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Terminated => "terminated",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Execution {
    /// Returns whether the verb has come to an end.
    pub fn has_ended(&self) -> bool {
        self.step.status() != Status::Started
    }

    /// Returns whether it replaces a database.
    pub fn touches_databases(&self) -> bool {
        self.parts.iter().any(Part::is_database)
    }

    /// Returns what tells the names of this execution from those of others.
    pub(super) fn suffix(&self) -> &str {
        self.id.rsplit('_').next().unwrap_or_default()
    }

    /// Returns whether its death leaves something that has to be finished or taken back.
    fn leaves_something(&self) -> bool {
        self.is_changing()
            || SWAPPING_VERBS.contains(&self.verb.as_str()) && self.step >= Step::Planned
    }

    fn reach(&mut self, step: Step, at: Timestamp) {
        // A mixture stays one until all of it is in.
        if !self.is_mixed() || step > Step::Swapping {
            self.step = step;
            self.status = step.status();
        }
        self.steps.push(Reached { step, at });
        if self.has_ended() {
            self.ended = Some(at);
        }
    }
}

impl Part {
    /// Returns whether it is of a database.
    pub(super) const fn is_database(&self) -> bool {
        matches!(self.places, Places::MariaDb(_))
    }
}

impl Places {
    /// Returns what is replaced, for people.
    pub fn target(&self) -> String {
        match self {
            Self::MariaDb(schemas) => schemas.target.clone(),
            Self::Files(exchange) => exchange.target.display().to_string(),
            Self::Command(places) => CommandPlaces::target_of(&places.of),
        }
    }

    /// Returns whether something was replaced, and is kept.
    pub fn keeps_something(&self) -> bool {
        match self {
            Self::MariaDb(schemas) => schemas.had_target,
            Self::Files(exchange) => exchange.keeps_something(),
            Self::Command(places) => places.saved_as.is_some(),
        }
    }

    /// Returns whether a command has begun to replace it, and nothing takes that back.
    pub const fn stays(&self) -> bool {
        matches!(self, Self::Command(CommandPlaces { begun: true, saved_as: None, .. }))
    }

    /// Returns where what is replaced is kept, for people.
    pub fn previous(&self) -> String {
        match self {
            Self::MariaDb(schemas) => format!("database {}", schemas.previous),
            Self::Files(exchange) => exchange.previous.display().to_string(),
            Self::Command(places) => {
                format!("snapshot {}", places.saved_as.as_deref().unwrap_or("-"))
            }
        }
    }
}

/// Where and when executions are recorded: what the library does not read for itself.
#[derive(Debug, Clone)]
pub struct Journals {
    /// The folder of locks and journals.
    pub state: PathBuf,
    /// When the verb began.
    pub now: Timestamp,
    /// The name of the host.
    pub host: String,
    /// The process id.
    pub process: u32,
}

impl Journals {
    /// Returns the folder of the journals.
    fn folder(&self) -> PathBuf {
        self.state.join("executions")
    }

    /// Returns who holds the locks of an execution.
    pub(super) fn holder(&self, verb: &str) -> Holder {
        Holder {
            verb: verb.to_owned(),
            process: self.process,
            host: self.host.clone(),
            since: self.now,
        }
    }
}
