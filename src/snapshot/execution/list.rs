//! `executions list` and `get`: what ran on this host, and how it ended.

use std::fs;
use std::io;
use std::path::Path;

use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::lock;
use crate::base::monitor::Monitor;
use crate::snapshot::execution::Execution;
use crate::snapshot::execution::Journals;
use crate::snapshot::execution::journal::write;

/// Returns all executions of this host that are remembered, the oldest first. A journal that cannot be read is a
/// warning: it hides no other one.
pub fn list(journals: &Journals, monitor: &dyn Monitor) -> Result<Vec<Execution>> {
    let mut executions = Vec::new();
    for read in all(journals)? {
        match read {
            Ok(execution) => executions.push(execution.shown()),
            Err(error) => monitor.warn(&error.chain()),
        }
    }
    Ok(executions)
}

/// Returns one execution; fails with [`Kind::Absent`] where none has this id.
pub fn get(journals: &Journals, id: &str) -> Result<Execution> {
    let absent = || {
        Error::new(Kind::Absent, format!("cannot find execution {id}"))
            .hint("`snap executions list` shows those of this host")
    };
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(absent());
    }
    let found = read(&journals.folder().join(format!("{id}.json")))?;
    found.map(Execution::shown).ok_or_else(absent)
}

/// Returns all journals, the oldest first, and the errors of those that cannot be read last.
pub(in crate::snapshot) fn all(journals: &Journals) -> Result<Vec<Result<Execution>>> {
    let folder = journals.folder();
    let cannot = || format!("cannot list {}", folder.display());
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.context(cannot)?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.context(cannot)?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if name.starts_with("execution_") && path.extension().is_some_and(|end| end == "json") {
            all.extend(read(&path).transpose());
        }
    }
    all.sort_by(|one, other| match (one, other) {
        (Ok(one), Ok(other)) => (one.started, &one.id).cmp(&(other.started, &other.id)),
        (one, other) => one.is_err().cmp(&other.is_err()),
    });
    Ok(all)
}

/// Writes a changed journal of an execution that has ended.
pub(in crate::snapshot) fn rewrite(journals: &Journals, execution: &Execution) -> Result<()> {
    write(&journals.folder(), execution)
}

/// Returns whether the process of an execution is alive.
pub(super) fn is_at_work(journals: &Journals, execution: &Execution) -> Result<bool> {
    lock::is_held(&journals.folder().join(format!("{}.lock", execution.id)))
}

fn read(path: &Path) -> Result<Option<Execution>> {
    let cannot = || format!("cannot read journal {}", path.display());
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context(cannot),
        Ok(json) => serde_json::from_slice(&json).context(cannot).map(Some),
    }
}
