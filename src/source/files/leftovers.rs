//! What earlier restores left beside a target, or inside one that is a mount point, told by its name.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::path::PathBuf;

use crate::base::error::Context as _;
use crate::base::error::Result;
use crate::source::files::exchange::remove;
use crate::source::files::inside::keeping_time;
use crate::source::files::place::Way;
use crate::source::files::place::folder_and_name;

/// What lies beside a target, or inside it, since an earlier restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is.
    pub role: Role,
    /// How the target is replaced that it is of.
    way: Way,
}

/// What a hidden path of a target holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A restore that did not come to its swap. After a kill in the very moment of the swap it
    /// may hold what was live before.
    Staging,
    /// What was live before a restore.
    Previous,
}

impl Role {
    const ALL: [Self; 2] = [Self::Staging, Self::Previous];

    const fn mark(self) -> &'static str {
        match self {
            Self::Staging => ".snap-staging-",
            Self::Previous => ".snap-previous-",
        }
    }
}

impl Leftover {
    /// Removes it.
    pub fn discard(&self) -> Result<()> {
        match (self.way, self.path.parent()) {
            (Way::Inside, Some(target)) => keeping_time(target, || remove(&self.path)),
            _ => remove(&self.path),
        }
    }
}

/// Returns what earlier restores left of a target, sorted by path.
pub fn leftovers(target: &Path) -> Result<Vec<Leftover>> {
    let (folder, name) = folder_and_name(target)?;
    let mut leftovers = Vec::new();
    for path in paths_in(folder)? {
        let role = role_of(&path, |role| hidden_name(name, role, ""));
        leftovers.extend(role.map(|role| Leftover { path, role, way: Way::Whole }));
    }
    if target.is_dir() {
        for path in paths_in(target)?.into_iter().filter(|path| is_folder(path)) {
            let role = role_of(&path, |role| OsString::from(role.mark()));
            leftovers.extend(role.map(|role| Leftover { path, role, way: Way::Inside }));
        }
    }
    leftovers.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(leftovers)
}

/// Returns the hidden path of a target: `.NAME.snap-staging-SUFFIX` beside it, or
/// `.snap-staging-SUFFIX` inside of it.
pub(super) fn hidden_path(target: &Path, way: Way, role: Role, suffix: &str) -> Result<PathBuf> {
    Ok(match way {
        Way::Inside => target.join(format!("{}{suffix}", role.mark())),
        Way::Whole => {
            let (folder, name) = folder_and_name(target)?;
            folder.join(hidden_name(name, role, suffix))
        }
    })
}

/// Returns whether a folder of this name, in a target, is what a restore builds or keeps there.
pub(super) fn is_hidden_inside(name: &OsStr) -> bool {
    Role::ALL.iter().any(|role| name.as_bytes().starts_with(role.mark().as_bytes()))
}

fn hidden_name(name: &OsStr, role: Role, suffix: &str) -> OsString {
    [OsStr::new("."), name, OsStr::new(role.mark()), OsStr::new(suffix)].into_iter().collect()
}

/// Returns the role whose names begin as this path's does.
fn role_of(path: &Path, beginning: impl Fn(Role) -> OsString) -> Option<Role> {
    let name = path.file_name().unwrap_or_default().as_bytes();
    Role::ALL.into_iter().find(|role| name.starts_with(beginning(*role).as_bytes()))
}

fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_dir())
}

/// Returns all that is in a folder; nothing where it is absent.
fn paths_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = || match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    };
    let listed: io::Result<Vec<PathBuf>> = list();
    listed.context(|| format!("cannot list {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_of_another_target_are_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".ssl2.snap-staging-x", "ssl.snap-staging-x", ".ssl.snap-previous-x"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let found = leftovers(&folder.path().join("ssl")).unwrap();
        let path = folder.path().join(".ssl.snap-previous-x");
        assert_eq!(found, [Leftover { path, role: Role::Previous, way: Way::Whole }]);
        assert_eq!(leftovers(&folder.path().join("absent/ssl")).unwrap(), []);
    }

    #[test]
    fn a_leftover_inside_a_target_is_a_folder_and_goes_without_changing_the_targets_time() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path();
        let path = target.join(".snap-staging-x");
        fs::create_dir_all(path.join("within")).unwrap();
        fs::create_dir(target.join("..snap-staging-x")).unwrap();
        fs::File::create_new(target.join(".snap-previous-file")).unwrap();
        let before = fs::metadata(target).unwrap().modified().unwrap();
        let found = leftovers(target).unwrap();
        assert_eq!(found, [Leftover { path, role: Role::Staging, way: Way::Inside }]);
        found[0].discard().unwrap();
        assert_eq!(fs::metadata(target).unwrap().modified().unwrap(), before);
        assert_eq!(leftovers(target).unwrap(), []);
    }
}
