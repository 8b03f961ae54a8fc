//! Which disk things lie on.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::base::monitor::Monitor;
use crate::repository::Repository;

/// Says so where the repository would be lost with the database.
pub(super) fn note_if_shared(repository: &Repository, database: &Path, monitor: &dyn Monitor) {
    if is_shared(repository.folder(), database) {
        monitor.note(SHARED);
    }
}

/// What is said of a repository that lies on the disk of the database.
pub(super) const SHARED: &str =
    "the repository shares a disk with the database: copy snapshots elsewhere with snap download";

/// Returns whether both folders lie on one disk; `false` where that cannot be seen.
pub(super) fn is_shared(one: &Path, other: &Path) -> bool {
    let device = |path: &Path| path.metadata().map(|metadata| metadata.dev()).ok();
    device(one).is_some() && device(one) == device(other)
}
