//! Where a path of a profile lies on this host, and whether a restore may replace it.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::files::list::FileList;

/// As many links in one path as the kernel follows.
const MAX_LINKS: usize = 40;

/// Returns the place of `path` under `root`, every link on the way resolved as if `root` were
/// `/`: neither `..` nor a link leads out of it. What does not exist yet stands as it is named.
pub fn locate(root: &Path, path: &Path) -> Result<PathBuf> {
    let mut below = PathBuf::new();
    let mut links = 0;
    let mut ahead = components_reversed(path);
    while let Some(name) = ahead.pop() {
        if name == ".." {
            below.pop();
            continue;
        }
        let Ok(link) = fs::read_link(root.join(&below).join(&name)) else {
            below.push(name);
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            let message = format!("cannot locate {}: its links lead in a circle", path.display());
            return Err(Error::failed(message));
        }
        if link.is_absolute() {
            below.clear();
        }
        ahead.extend(components_reversed(&link));
    }
    Ok(root.join(below))
}

fn components_reversed(path: &Path) -> Vec<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(name).collect()
}

/// How a target is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By renames of the target itself; what is built for it lies beside it.
    Whole,
    /// A mount point has its name for good: what is in it is exchanged, entry by entry, for what
    /// is built inside of it.
    Inside,
}

impl Way {
    /// Returns how a target is replaced. Fails with `Refused` where that is not possible: where a
    /// single file is mounted, or something is mounted below.
    pub fn of(target: &Path) -> Result<Self> {
        let mountinfo = fs::read("/proc/self/mountinfo").unwrap_or_default();
        let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
        let mounts = mounts_from(&mountinfo, &target);
        if let Some(below) = mounts.iter().find(|mount| **mount != target) {
            let why = format!("{} is a mount point", below.display());
            return Err(refusal(&target, &why));
        }
        if mounts.is_empty() && !is_on_another_device(&target) {
            return Ok(Self::Whole);
        }
        if target.is_dir() {
            return Ok(Self::Inside);
        }
        Err(refusal(&target, "a single file is mounted there, which can only be overwritten"))
    }

    /// Returns how a target is replaced by what a list holds.
    pub fn of_list(target: &Path, list: &FileList) -> Result<Self> {
        match Self::of(target)? {
            Self::Inside if list.is_single_file() => {
                Err(refusal(target, "it is a mount point, and the snapshot holds a file"))
            }
            way => Ok(way),
        }
    }

    /// Returns the folder in which it is built what replaces a target.
    pub fn staging_folder(self, target: &Path) -> Option<&Path> {
        match self {
            Self::Whole => target.parent(),
            Self::Inside => Some(target),
        }
    }
}

fn refusal(target: &Path, why: &str) -> Error {
    let message = format!("cannot replace {}: {why}", target.display());
    let hint = "unmount it, or restore below another folder with --root and copy the files";
    Error::new(Kind::Refused, message).hint(hint)
}

/// Returns the mount points of `mountinfo` that are `target` or lie below it.
fn mounts_from(mountinfo: &[u8], target: &Path) -> Vec<PathBuf> {
    let place = |line: &[u8]| line.split(|byte| *byte == b' ').nth(4).map(unescaped);
    let places = mountinfo.split(|byte| *byte == b'\n').filter_map(place);
    places.filter(|place| place.starts_with(target)).collect()
}

/// Returns a path of `mountinfo`, where `\040` is a space.
fn unescaped(text: &[u8]) -> PathBuf {
    let mut parts = text.split(|byte| *byte == b'\\');
    let mut path = parts.next().unwrap_or_default().to_vec();
    for part in parts {
        let digits = part.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        path.extend(byte);
        path.extend_from_slice(part.get(3..).unwrap_or_default());
    }
    PathBuf::from(OsString::from_vec(path))
}

/// Returns whether something is on another device than the folder that it lies in.
pub(super) fn is_on_another_device(target: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.dev());
    let parent = target.parent().and_then(device);
    let own = device(target);
    own.is_some() && parent.is_some() && own != parent
}

/// Returns the folder that a target lies in, and its name there.
pub(super) fn folder_and_name(target: &Path) -> Result<(&Path, &OsStr)> {
    let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else {
        let message = format!("cannot replace {}", target.display());
        return Err(Error::new(Kind::Usage, message).hint("name a folder or a file below the root"));
    };
    Ok((if folder.as_os_str().is_empty() { Path::new(".") } else { folder }, name))
}

/// Removes folders that were made, the innermost first, as far as they are empty.
pub(super) fn remove_made(made_folders: &[PathBuf]) {
    // A folder that something else lies in by now has to stay.
    drop(made_folders.iter().rev().try_for_each(fs::remove_dir));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_path_never_leads_out_of_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("etc/cloudify")).unwrap();
        symlink("/srv/ssl", root.join("etc/cloudify/ssl")).unwrap();
        symlink("../../../../opt", root.join("etc/up")).unwrap();
        symlink("up/x", root.join("etc/chain")).unwrap();
        let cases = [
            ("/etc/cloudify/key", "etc/cloudify/key"),
            ("/etc/cloudify/ssl", "srv/ssl"),
            ("/etc/cloudify/ssl/../log", "srv/log"),
            ("/etc/up/manager", "opt/manager"),
            ("/etc/chain/y", "opt/x/y"),
            ("/../../etc/./passwd", "etc/passwd"),
            ("relative/../../../x", "x"),
        ];
        for (path, place) in cases {
            assert_eq!(locate(root, Path::new(path)).unwrap(), root.join(place), "{path}");
        }
        assert_eq!(locate(Path::new("/"), Path::new("/no/where")).unwrap(), Path::new("/no/where"));
    }

    #[test]
    fn links_in_a_circle_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        symlink("two", folder.path().join("one")).unwrap();
        symlink("one", folder.path().join("two")).unwrap();
        let error = locate(folder.path(), Path::new("/one/x")).unwrap_err();
        assert_eq!(error.to_string(), "cannot locate /one/x: its links lead in a circle");
    }

    #[test]
    fn a_mount_point_is_found_at_the_target_and_below_it_only() {
        let mounts = b"22 1 8:1 / / rw - ext4 /dev/sda rw\n\
            23 22 8:2 / /etc/my\\040ssl rw - ext4 /dev/sdb rw\n\
            24 22 8:3 / /opt/manager/disk rw - ext4 /dev/sdc rw\n";
        let found = |target| mounts_from(mounts, Path::new(target));
        assert_eq!(found("/etc/my ssl"), [PathBuf::from("/etc/my ssl")]);
        assert_eq!(found("/opt/manager"), [PathBuf::from("/opt/manager/disk")]);
        assert_eq!(found("/opt/man"), Vec::<PathBuf>::new());
        assert_eq!(found("/etc/my ssl/ca"), Vec::<PathBuf>::new());
    }
}
