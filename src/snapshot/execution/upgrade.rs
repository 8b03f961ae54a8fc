//! Upgrades: what the journal of one holds, so that any later process can go back from it.

use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::base::masked;
use crate::snapshot::execution::Execution;
use crate::snapshot::execution::Journals;
use crate::snapshot::execution::Step;
use crate::system::packages::Installed;
use crate::system::units::Unit;

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
    /// The units that the host had before, each as it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub present: Vec<Unit>,
    /// The packages before.
    pub installed: Installed,
    /// How many checks of health were asked and answered well, the last time that any were.
    #[serde(default)]
    pub checks: usize,
    /// Why it goes back.
    pub failure: Option<String>,
    /// The execution that restored what was saved.
    pub restored_by: Option<String>,
    /// What came with the upgrade and stays, since it was absent when the rest was saved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub came_since: Vec<String>,
}

/// What brings packages back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// What the shell is given, and once nobody has to run it any more, without what looks like a
    /// secret; nothing where the packages are brought back by their installer, to the versions before.
    pub command: Option<String>,
    /// After this time it is ended, and has failed.
    pub seconds: u64,
    /// Whether it has done its work.
    pub done: bool,
}

impl Upgrade {
    /// Returns what is known of the health of the service, as the end of a sentence.
    pub fn health(&self) -> &'static str {
        if self.checks == 0 { "; no health check was asked" } else { ", and the service is well" }
    }

    /// Returns, for the end of a sentence, what is not as it was before although all was restored.
    pub fn but(&self) -> String {
        match self.came_since.join(" and ") {
            came if came.is_empty() => came,
            came => format!(", but for {came}, which came since and stays"),
        }
    }

    /// Returns the command as one line.
    pub fn line(&self) -> String {
        self.command.join(" ")
    }

    /// Hides what looks like a secret in the command that brings the packages back, which nobody can
    /// run then.
    pub(super) fn mask_undo(&mut self) {
        if let Some(undo) = &mut self.undo {
            undo.command = undo.command.as_deref().map(masked::line);
        }
    }
}

impl Undo {
    /// Returns the command, or the words for what is done without one.
    pub fn line(&self) -> &str {
        self.command.as_deref().unwrap_or("the packages, to their versions before")
    }
}

impl Execution {
    /// Returns the execution as it is shown.
    pub(in crate::snapshot) fn shown(mut self) -> Self {
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

    /// Returns the commands that go back from an upgrade that was killed, or end one that has
    /// succeeded, or was put right by hand.
    pub(super) fn upgrade_resume(&self) -> String {
        let profile = &self.profile;
        let does = if self.step == Step::Upgraded { "ends it" } else { "goes back" };
        format!(
            "`snap upgrade --resume --profile {profile}` {does}: give it the flags that the upgrade \
             had for state, configuration and database; where you have put all right yourself, \
             `snap upgrade --resume --as-it-is --profile {profile}` ends it and touches nothing"
        )
    }
}

impl Journals {
    /// Returns where the output of the commands of an execution is kept.
    pub(in crate::snapshot) fn log(&self, id: &str) -> PathBuf {
        self.folder().join(format!("{id}.log"))
    }
}
