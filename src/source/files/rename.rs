//! The renames that a swap is made of: to a name that nothing has, or of two names for each other.

use std::path::Path;

use rustix::fs::CWD;
use rustix::fs::RenameFlags;
use rustix::io::Errno;

use crate::source::files::exchange::exists;

/// Exchanges two names; [`is_unsupported`] tells of file systems that cannot.
pub(super) fn exchange(one: &Path, other: &Path) -> rustix::io::Result<()> {
    rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)
}

/// Renames to a name that nothing has.
pub(super) fn to_free(from: &Path, to: &Path) -> rustix::io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(error) if is_unsupported(error) && exists(to) => Err(Errno::EXIST),
        Err(error) if is_unsupported(error) => rustix::fs::renameat(CWD, from, CWD, to),
        result => result,
    }
}

/// Replaces where names cannot be exchanged; undoes the first rename when the second fails.
pub(super) fn by_two(staged: &Path, target: &Path, previous: &Path) -> rustix::io::Result<()> {
    to_free(target, previous)?;
    to_free(staged, target).or_else(|error| {
        to_free(previous, target)?;
        Err(error)
    })
}

/// Returns whether a rename failed because the file system has no such thing.
pub(super) fn is_unsupported(error: Errno) -> bool {
    error == Errno::INVAL || error == Errno::NOSYS || error == Errno::OPNOTSUPP
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn where_names_cannot_be_exchanged_two_renames_replace_or_leave_all_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["staged", "live"] {
            fs::create_dir_all(path(name).join(name)).unwrap();
        }
        let absent = by_two(&path("absent"), &path("live"), &path("previous"));
        assert_eq!(absent, Err(Errno::NOENT));
        assert!(path("live/live").exists());
        assert!(!path("previous").exists());

        by_two(&path("staged"), &path("live"), &path("previous")).unwrap();
        assert!(path("live/staged").exists());
        assert!(path("previous/live").exists());
    }

    #[test]
    fn a_rename_to_a_name_that_is_taken_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("one")).unwrap();
        fs::create_dir(path("other")).unwrap();
        assert_eq!(to_free(&path("one"), &path("other")), Err(Errno::EXIST));
        assert!(path("one").exists());
    }
}
