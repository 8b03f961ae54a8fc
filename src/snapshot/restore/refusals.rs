//! Why a plan is refused.

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::snapshot::restore::plan::SourcePlan;
use crate::source::files::in_the_way;

/// Returns the error for a target that is not empty.
pub(super) fn not_empty(database: &str, tables: usize) -> Error {
    Error::new(
        Kind::Refused,
        format!("cannot restore: database {database} has {tables} tables and views"),
    )
    .hint("--force replaces them and keeps them aside; --dry-run shows the plan")
}

/// Returns the error for a source that a command restores, in place.
pub(super) fn command_in_place(source: &str) -> Error {
    let text = format!("cannot restore in place: {source} is restored by a command");
    Error::new(Kind::Refused, text).hint("--only names the sources to restore, one by one")
}

/// Fails where an uploaded snapshot brings programs that belong to other accounts, or bytes that a
/// program of this host is given.
pub(super) fn demand_trust(source: &SourcePlan) -> Result<()> {
    let SourcePlan { name, untrusted_definers: definers, .. } = source;
    let why = match &source.fed_program {
        _ if !definers.is_empty() => format!(
            "its views, triggers, routines and events would run with the rights of {}",
            definers.join(", ")
        ),
        Some(program) => format!("what it holds of {name} would be given to {program}"),
        None => return Ok(()),
    };
    let text = format!("cannot restore {name}: the snapshot was uploaded, and {why}");
    Err(Error::new(Kind::Refused, text)
        .hint("--trust-definers restores it so, if you trust whoever made the archive"))
}

/// Fails where what patterns leave out has the place of something that comes back.
pub(super) fn demand_way(source: &SourcePlan) -> Result<()> {
    match &source.obstacle {
        Some(obstacle) if source.is_restored() => Err(in_the_way(obstacle)),
        _ => Ok(()),
    }
}

/// Returns the error for roles that would have to become others table by table.
pub(super) fn remapped_in_place(source: &str) -> Error {
    let text =
        format!("cannot restore {source} in place: its roles become those of a later version");
    Error::new(Kind::Refused, text).hint(
        "roles are remapped beside what is live, and proven before the swap: restore without --in-place",
    )
}
