//! What a profile knows of a service beside its sources: what runs, how one sees that it is well,
//! which version it has, what happens around a verb, and what remains for a person.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::profile::upgrade::Doer;

/// What is known of a service beside what is saved of it. All of it is optional.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// What the profile is for, in one line.
    pub about: Option<String>,
    /// The units of systemd, in the order in which they are started; they are stopped in reverse.
    /// One that the host does not know is passed over: a profile may serve hosts of several kinds.
    pub units: Vec<String>,
    /// How one sees that the service is well; the first that is not decides.
    pub health: Vec<Health>,
    /// How the version is found; the first that tells one decides.
    pub versions: Vec<Detection>,
    /// The packages whose versions are recorded before an upgrade, as globs.
    pub packages: Vec<String>,
    /// What brings the recorded packages back.
    pub undo: Option<Undo>,
    /// The product whose version rules hold.
    pub rules: Option<String>,
    /// Where roles are held; nothing is remapped where nothing is said.
    pub roles: Option<Roles>,
    /// What runs around the verbs, in this order.
    pub hooks: Vec<Hook>,
    /// How many snapshots are kept.
    pub retention: Retention,
    /// What there is to do after an upgrade, in this order.
    pub follow_ups: Vec<FollowUp>,
    /// What a restore cannot bring to a new host.
    pub new_host: Vec<Remark>,
}

/// A command, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What the shell is given.
    pub text: String,
    /// After this time it is ended, and has failed.
    pub limit: Duration,
}

/// What brings packages back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Their installer, to the versions that were recorded.
    Packages,
    /// A command.
    Command(Command),
}

/// How one sees that a service is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// What is asked.
    pub check: Check,
    /// The unit that answers: where the host does not know it, nothing is asked. Always asked
    /// where no unit is named.
    pub unit: Option<String>,
    /// How long it is asked before the service counts as not well.
    pub limit: Duration,
}

/// What is asked of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// A GET of this address, answered by this status, and by a body that contains this text.
    Http {
        /// The address, `http` or `https`.
        url: String,
        /// The status of a service that is well.
        status: u16,
        /// What the body contains then; anything where it is absent.
        contains: Option<String>,
    },
    /// A command that ends with 0.
    Command(String),
}

/// How the version of a product is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detection {
    /// The version of a package that rpm knows.
    Rpm(String),
    /// The version of a package that dpkg knows.
    Dpkg(String),
    /// The first version in a file, below `--root`.
    File(PathBuf),
    /// The first version that a command prints.
    Command(Command),
}

/// Where roles are held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles {
    /// The database source that has the tables of Cloudify, if it has them.
    pub database: Option<String>,
    /// The files source that is the security file.
    pub security_file: Option<String>,
    /// Columns that hold the names of system roles, one each.
    pub columns: Vec<Column>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The database source.
    pub source: String,
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
}

/// A command that runs around a verb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// When it runs.
    pub when: When,
    /// The verbs that it runs around.
    pub verbs: Vec<Verb>,
    /// What runs.
    pub command: Command,
}

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// Before the verb does anything; where it fails, the verb does not begin.
    Before,
    /// After the verb has succeeded.
    After,
    /// After the verb has failed.
    Failed,
    /// At the end, whatever came of it.
    Finally,
}

/// A verb that hooks run around.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// `snap create`
    Create,
    /// `snap restore`
    Restore,
    /// `snap upgrade`
    Upgrade,
}

impl When {
    /// Returns the word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Failed => "failed",
            Self::Finally => "finally",
        }
    }
}

impl Verb {
    /// Returns the word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Restore => "restore",
            Self::Upgrade => "upgrade",
        }
    }
}

/// How many snapshots are kept; all, where nothing is said. Nothing is forgotten by it yet: it is
/// read, checked and shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// The last ones.
    pub last: Option<u16>,
    /// One of each of so many days.
    pub daily: Option<u16>,
    /// One of each of so many weeks.
    pub weekly: Option<u16>,
    /// One of each of so many months.
    pub monthly: Option<u16>,
}

/// Something to do after an upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowUp {
    /// What.
    pub text: String,
    /// The command that does it.
    pub command: Option<String>,
    /// Who does it; `snap` by its command alone.
    pub by: Doer,
}

/// Something for a person to know or do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// What.
    pub text: String,
    /// The command that does it.
    pub command: Option<String>,
}
