//! Why a plan is refused.

use crate::base::error::Error;
use crate::base::error::Kind;

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

/// Returns the error for programs of an uploaded snapshot that belong to other accounts.
pub(super) fn untrusted(source: &str, definers: &[String]) -> Error {
    let definers = definers.join(", ");
    Error::new(
        Kind::Refused,
        format!(
            "cannot restore {source}: the snapshot was uploaded, and its views, triggers, routines \
             and events would run with the rights of {definers}"
        ),
    )
    .hint("--trust-definers restores them so, if you trust whoever made the archive")
}

/// Returns the error for roles that would have to become others table by table.
pub(super) fn remapped_in_place(source: &str) -> Error {
    let text =
        format!("cannot restore {source} in place: its roles become those of a later version");
    Error::new(Kind::Refused, text).hint(
        "roles are remapped beside what is live, and proven before the swap: restore without --in-place",
    )
}
