//! Upgrades: what the journal of one holds, so that any later process can go back from it.

use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::base::masked;
use crate::snapshot::execution::Execution;
use crate::snapshot::execution::Journals;
use crate::snapshot::execution::Step;
use crate::system::packages::Installed;

/// What an upgrade was told and what it found: what it takes to go back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// The command with its arguments, but for what looks like a secret.
    pub command: Vec<String>,
    /// What brings the packages back, where something does.
    pub undo: Option<Undo>,
    /// The version before, where it is known.
    pub from: Option<String>,
    /// The version that is wanted, where one is told.
    pub to: Option<String>,
    /// The version that was found afterwards.
    pub found: Option<String>,
    /// The units that ran before, in the order in which they are started.
    pub units: Vec<String>,
    /// The packages before.
    pub installed: Installed,
    /// Why it goes back.
    pub failure: Option<String>,
    /// The execution that restored what was saved.
    pub restored_by: Option<String>,
}

/// A command that brings packages back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// What the shell is given; once nobody has to run it any more, without what looks like a secret.
    pub command: String,
    /// After this time it is ended, and has failed.
    pub seconds: u64,
    /// Whether it has done its work.
    pub done: bool,
}

impl Upgrade {
    /// Returns the command as one line.
    pub fn line(&self) -> String {
        self.command.join(" ")
    }

    /// Hides what looks like a secret in the command that brings the packages back, which nobody can
    /// run then.
    pub(super) fn mask_undo(&mut self) {
        if let Some(undo) = &mut self.undo {
            undo.command = masked::line(&undo.command);
        }
    }
}

impl Execution {
    /// Returns the execution as it is shown.
    pub(super) fn shown(mut self) -> Self {
        self.upgrade.iter_mut().for_each(Upgrade::mask_undo);
        self
    }

    /// Returns whether it is an upgrade that has begun to change the service, and is not over
    /// until somebody says so.
    pub(in crate::snapshot) fn is_changing(&self) -> bool {
        self.upgrade.is_some() && self.step >= Step::Stopping && !self.has_ended()
    }

    /// Returns whether it has come as far as this step.
    pub(in crate::snapshot) fn has_reached(&self, step: Step) -> bool {
        self.steps.iter().any(|reached| reached.step == step)
    }

    /// Returns the command that goes back from an upgrade that was killed, or ends one that has
    /// succeeded.
    pub(super) fn upgrade_resume(&self) -> String {
        let does = if self.step == Step::Upgraded { "ends it" } else { "goes back" };
        format!(
            "`snap upgrade --resume --profile {}` {does}: give it the flags that the upgrade had \
             for state, configuration and database",
            self.profile
        )
    }
}

impl Journals {
    /// Returns where the output of the commands of an execution is kept.
    pub(in crate::snapshot) fn log(&self, id: &str) -> PathBuf {
        self.folder().join(format!("{id}.log"))
    }

    /// Returns where a command of an execution says which process it is.
    pub(in crate::snapshot) fn process(&self, id: &str) -> PathBuf {
        self.folder().join(format!("{id}.process"))
    }
}
