//! A command of an execution that is at work still, when the process that ran it was killed.

use std::path::PathBuf;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::process::sign;
use crate::snapshot::execution::Execution;
use crate::snapshot::execution::Journals;

impl Journals {
    /// Returns where a command of an execution says which process it is.
    pub(in crate::snapshot) fn process(&self, id: &str) -> PathBuf {
        self.folder().join(format!("{id}.process"))
    }
}

impl Execution {
    /// Fails with [`Kind::Busy`] where a command of it is at work still: what it does would go on
    /// beside what takes it back.
    pub(in crate::snapshot) fn refuse_at_work(&self, journals: &Journals) -> Result<()> {
        let id = &self.id;
        let Some(group) = sign::at_work(&journals.process(id))? else { return Ok(()) };
        let text = format!("cannot resume {id}: its command is at work still, as process {group}");
        Err(Error::new(Kind::Busy, text).hint(format!(
            "wait until it has ended; `ps -o pid,etime,args -g {group}` shows it, and \
             `kill -- -{group}` ends it, half-way"
        )))
    }
}
