//! What earlier restores left beside a target, told by its name.

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
use crate::source::files::place::folder_and_name;

/// What lies beside a target since an earlier restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is.
    pub role: Role,
}

/// What a hidden path beside a target holds.
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
        remove(&self.path)
    }
}

/// Returns what earlier restores left beside a target, sorted by path.
pub fn leftovers(target: &Path) -> Result<Vec<Leftover>> {
    let (folder, name) = folder_and_name(target)?;
    let cannot = || format!("cannot list {}", folder.display());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.context(cannot)?,
    };
    let mut leftovers = Vec::new();
    for entry in entries {
        let path = entry.context(cannot)?.path();
        let found = path.file_name().unwrap_or_default();
        let starts_as =
            |role: &Role| found.as_bytes().starts_with(hidden_name(name, *role, "").as_bytes());
        if let Some(role) = Role::ALL.into_iter().find(starts_as) {
            leftovers.push(Leftover { path, role });
        }
    }
    leftovers.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(leftovers)
}

/// Returns `.NAME.snap-staging-SUFFIX`, and alike.
pub(super) fn hidden_name(name: &OsStr, role: Role, suffix: &str) -> OsString {
    [OsStr::new("."), name, OsStr::new(role.mark()), OsStr::new(suffix)].into_iter().collect()
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
        assert_eq!(found, [Leftover { path, role: Role::Previous }]);
        assert_eq!(leftovers(&folder.path().join("absent/ssl")).unwrap(), []);
    }
}
