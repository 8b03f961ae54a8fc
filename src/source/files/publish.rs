//! Puts what was staged in the place of what is live: the one module that replaces files of the
//! host.
//!
//! A staging lies beside its target, in the same folder, so that one rename is the whole swap:
//! where the file system can, the two exchange their names and there is no moment without a
//! target. What was live is kept beside as the previous one. Killed at any instant, the target
//! is the old tree or the new one, whole; what lies beside it then, [`leftovers`] finds.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs;
use std::fs::File;
use std::fs::Permissions;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::CWD;
use rustix::fs::RenameFlags;
use rustix::io::Errno;

use crate::base::error::Context;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::files::place::folder_and_name;
use crate::source::files::place::refuse_mounts;

/// The mode of folders that are made above a target.
const FOLDER_MODE: u32 = 0o755;

/// A hidden path beside a target, removed when it is dropped before the swap.
#[derive(Debug)]
pub(super) struct Staging {
    target: PathBuf,
    path: PathBuf,
    previous: PathBuf,
    folder: File,
    made_folders: Vec<PathBuf>,
    is_swapped: bool,
}

impl Staging {
    /// Returns a free path beside the target; the folders above are made where they are absent.
    pub(super) fn beside(target: &Path, suffix: &str) -> Result<Self> {
        refuse_mounts(target)?;
        let (folder, name) = folder_and_name(target)?;
        let path = folder.join(hidden_name(name, Role::Staging, suffix));
        let previous = folder.join(hidden_name(name, Role::Previous, suffix));
        if let Some(path) = [&path, &previous].into_iter().find(|path| exists(path)) {
            let message =
                format!("cannot stage {}: {} is in the way", target.display(), path.display());
            return Err(Error::new(Kind::Refused, message)
                .hint("it is of an earlier restore: move it away"));
        }
        let made_folders = make_folders(folder)?;
        let cannot = || format!("cannot open {}", folder.display());
        let folder =
            File::open(folder).context(cannot).inspect_err(|_| remove_made(&made_folders))?;
        let target = target.to_owned();
        Ok(Self { target, path, previous, folder, made_folders, is_swapped: false })
    }

    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder that target and staging lie in.
    pub(super) const fn folder(&self) -> &File {
        &self.folder
    }

    /// Makes what was staged the live one.
    pub(super) fn swap(mut self) -> Result<Swapped> {
        let had_target = exists(&self.target);
        let swapped = if had_target { self.replace() } else { self.put() };
        swapped.map_err(|cause| {
            let kind = if cause == Errno::BUSY { Kind::Refused } else { Kind::Failed };
            Error::new(kind, format!("cannot replace {}", self.target.display())).caused_by(cause)
        })?;
        self.is_swapped = true;
        sync_folder_of(&self.target)?;
        Ok(Swapped {
            target: self.target.clone(),
            free: self.path.clone(),
            previous: had_target.then(|| self.previous.clone()),
            made_folders: std::mem::take(&mut self.made_folders),
        })
    }

    fn put(&self) -> rustix::io::Result<()> {
        rename_to_free(&self.path, &self.target)
    }

    fn replace(&mut self) -> rustix::io::Result<()> {
        match exchange(&self.path, &self.target) {
            Err(error) if is_unsupported(error) => {
                replace_by_two_renames(&self.path, &self.target, &self.previous)
            }
            Err(error) => Err(error),
            Ok(()) => {
                // The staging path now holds what was live: dropping must not remove it.
                self.is_swapped = true;
                rename_to_free(&self.path, &self.previous).or_else(|error| {
                    exchange(&self.path, &self.target)?;
                    Err(error)
                })
            }
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.is_swapped {
            // Nothing can be done about a failure here; `leftovers` finds what stays.
            drop(remove(&self.path));
            remove_made(&self.made_folders);
        }
    }
}

/// A restored target, live, and what was live before it.
#[derive(Debug)]
#[must_use = "the previous tree stays beside the target until it is put back or discarded"]
pub struct Swapped {
    target: PathBuf,
    /// Where the staging was: a free name beside the target.
    free: PathBuf,
    previous: Option<PathBuf>,
    made_folders: Vec<PathBuf>,
}

impl Swapped {
    /// Returns where the previous tree is kept; nothing where there was none.
    pub fn previous(&self) -> Option<&Path> {
        self.previous.as_deref()
    }

    /// Puts the previous tree back and removes the restored one; where there was none, the
    /// target and the folders made for it are gone again.
    pub fn undo(self) -> Result<()> {
        let cannot = || format!("cannot put back {}", self.target.display());
        let Some(previous) = &self.previous else {
            rename_to_free(&self.target, &self.free).context(cannot)?;
            sync_folder_of(&self.target)?;
            remove(&self.free)?;
            remove_made(&self.made_folders);
            return Ok(());
        };
        match exchange(previous, &self.target) {
            Ok(()) => rename_to_free(previous, &self.free).context(cannot)?,
            Err(error) if is_unsupported(error) => {
                replace_by_two_renames(previous, &self.target, &self.free).context(cannot)?;
            }
            Err(error) => return Err(Error::failed(cannot()).caused_by(error)),
        }
        sync_folder_of(&self.target)?;
        remove(&self.free)
    }

    /// Removes the previous tree: after this there is no way back.
    pub fn discard_previous(self) -> Result<()> {
        self.previous.as_deref().map_or(Ok(()), remove)
    }
}

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
fn hidden_name(name: &OsStr, role: Role, suffix: &str) -> OsString {
    [OsStr::new("."), name, OsStr::new(role.mark()), OsStr::new(suffix)].into_iter().collect()
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn exchange(one: &Path, other: &Path) -> rustix::io::Result<()> {
    rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)
}

/// Renames to a name that nothing has.
fn rename_to_free(from: &Path, to: &Path) -> rustix::io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(error) if is_unsupported(error) && exists(to) => Err(Errno::EXIST),
        Err(error) if is_unsupported(error) => rustix::fs::renameat(CWD, from, CWD, to),
        result => result,
    }
}

/// Replaces where names cannot be exchanged; undoes the first rename when the second fails.
fn replace_by_two_renames(staged: &Path, target: &Path, previous: &Path) -> rustix::io::Result<()> {
    rename_to_free(target, previous)?;
    rename_to_free(staged, target).or_else(|error| {
        rename_to_free(previous, target)?;
        Err(error)
    })
}

fn is_unsupported(error: Errno) -> bool {
    error == Errno::INVAL || error == Errno::NOSYS || error == Errno::OPNOTSUPP
}

/// Makes the absent folders of a path; returns them, the outermost first.
fn make_folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let absent =
        folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !exists(path));
    let absent: Vec<PathBuf> = absent.map(Path::to_owned).collect();
    let mut made_folders = Vec::new();
    for path in absent.into_iter().rev() {
        let created = create_folder(&path);
        made_folders.push(path);
        created.inspect_err(|_| remove_made(&made_folders))?;
    }
    Ok(made_folders)
}

fn create_folder(path: &Path) -> Result<()> {
    let cannot = || format!("cannot create {}", path.display());
    fs::create_dir(path).context(cannot)?;
    // The process's umask must not decide who reaches the target.
    fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE)).context(cannot)?;
    sync_folder_of(path)
}

/// Removes folders that were made, the innermost first, as far as they are empty.
fn remove_made(made_folders: &[PathBuf]) {
    // A folder that something else lies in by now has to stay.
    drop(made_folders.iter().rev().try_for_each(fs::remove_dir));
}

fn sync_folder_of(path: &Path) -> Result<()> {
    let (folder, _) = folder_and_name(path)?;
    let sync = || File::open(folder)?.sync_all();
    sync().context(|| format!("cannot sync {}", folder.display()))
}

/// Removes a file or a whole folder; nothing there is fine.
fn remove(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.context(|| format!("cannot remove {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_names_cannot_be_exchanged_two_renames_replace_or_leave_all_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["staged", "live"] {
            fs::create_dir(path(name)).unwrap();
            fs::create_dir(path(name).join(name)).unwrap();
        }
        let absent = replace_by_two_renames(&path("absent"), &path("live"), &path("previous"));
        assert_eq!(absent, Err(Errno::NOENT));
        assert!(path("live/live").exists());
        assert!(!path("previous").exists());

        replace_by_two_renames(&path("staged"), &path("live"), &path("previous")).unwrap();
        assert!(path("live/staged").exists());
        assert!(path("previous/live").exists());
    }

    #[test]
    fn a_rename_to_a_name_that_is_taken_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("one")).unwrap();
        fs::create_dir(path("other")).unwrap();
        assert_eq!(rename_to_free(&path("one"), &path("other")), Err(Errno::EXIST));
        assert!(path("one").exists());
    }

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
