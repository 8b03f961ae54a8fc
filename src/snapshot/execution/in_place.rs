//! Executions in place, which have no previous state: what they leave when they die, and what there is
//! to do then.

use serde::Deserialize;
use serde::Serialize;

use crate::base::error::Error;
use crate::profile::roles::choices::Remap;
use crate::snapshot::execution::Execution;
use crate::snapshot::execution::Step;

/// What is live once the first table is replaced, and until the last one is.
pub(super) const MIXTURE: &str =
    "what is live is neither what it was nor what was saved, and nobody should use it";

/// What a restore in place was told: what it takes to do the same again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InPlace {
    /// Whether certificates are restored too.
    pub certificates: bool,
    /// Whether accounts are.
    pub users: bool,
    /// Whether programs of other accounts are.
    pub trust_definers: bool,
    /// The sources that are restored; all without.
    pub only: Vec<String>,
    /// Another name for the restored database.
    pub database: Option<String>,
    /// Whether roles and the security file follow the target's version, as far as it was known.
    #[serde(default)]
    pub remap: Remap,
}

impl Execution {
    /// Returns whether what is live is neither what it was nor what was saved.
    pub fn is_mixed(&self) -> bool {
        self.in_place.is_some() && self.step == Step::Swapping
    }

    /// Returns what is live, and what there is to do, where it replaces databases in place and has
    /// not come to its end.
    pub(in crate::snapshot) fn mixture(&self) -> Option<String> {
        self.in_place.as_ref().map(|_| format!("{MIXTURE}: {}", self.ways_out()))
    }

    /// Returns an error with what is live after it, and what there is to do.
    pub(in crate::snapshot) fn mixed(&self, error: &Error) -> Error {
        Error::new(error.kind(), format!("{}; {MIXTURE}", error.chain())).hint(self.ways_out())
    }

    /// Returns the command that brings back what was live, where that was saved.
    pub fn way_back(&self) -> Option<String> {
        // Once it is back it leads nowhere.
        if self.step > Step::Swapping && self.safety_snapshot == self.snapshot {
            return None;
        }
        let (in_place, safety) = (self.in_place.as_ref()?, self.safety_snapshot.as_ref()?);
        let mut command =
            format!("snap restore {safety} --in-place --force --profile {}", self.profile);
        if in_place.certificates {
            command += " --restore-certificates";
        }
        if let Some(database) = &in_place.database {
            command += " --database ";
            command += database;
        }
        Some(command)
    }

    /// Returns the commands that end a mixture.
    pub(in crate::snapshot) fn ways_out(&self) -> String {
        let resume = format!("`snap restore --resume --profile {}` finishes it", self.profile);
        match self.way_back() {
            Some(back) => format!("{resume}, `{back}` goes back"),
            None => resume,
        }
    }
}
