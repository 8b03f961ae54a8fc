//! Owner, mode, times and extended attributes of one open file, folder or link.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs::File;
use std::fs::Metadata;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::AtFlags;
use rustix::fs::Gid;
use rustix::fs::Mode;
use rustix::fs::Timespec;
use rustix::fs::Timestamps;
use rustix::fs::UTIME_OMIT;
use rustix::fs::Uid;
use xattr::FileExt;

use crate::source::files::accounts::Accounts;
use crate::source::files::byte_string::ByteString;
use crate::source::files::list::Attributes;
use crate::source::files::list::Mtime;

/// Something open, whose attributes are read or set.
#[derive(Clone, Copy)]
pub(super) enum Open<'a> {
    /// A file or a folder.
    Whole(&'a File),
    /// A symbolic link: itself, opened as a path only, and its name in its folder.
    Link { link: &'a File, folder: &'a File, name: &'a OsStr },
}

/// Returns all attributes but the extended ones.
pub(super) fn plain(metadata: &Metadata, accounts: &mut Accounts) -> Attributes {
    Attributes {
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        user: accounts.user(metadata.uid()),
        group: accounts.group(metadata.gid()),
        mtime: Mtime {
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec().try_into().expect("less than a second"),
        },
        xattrs: BTreeMap::new(),
    }
}

/// Returns all attributes of a folder.
pub(super) fn of_folder(folder: &Path) -> io::Result<Attributes> {
    let folder = File::open(folder)?;
    let plain = plain(&folder.metadata()?, &mut Accounts::default());
    Ok(Attributes { xattrs: Open::Whole(&folder).xattrs()?, ..plain })
}

impl Open<'_> {
    /// Gives attributes that something of the same file system had, in the one order in which
    /// nothing undoes what was given before; durable when this returns.
    pub(super) fn give(self, attributes: &Attributes) -> io::Result<()> {
        if self.owner()? != (attributes.uid, attributes.gid) {
            self.set_owner(attributes.uid, attributes.gid)?;
        }
        let found = self.xattrs()?;
        for name in found.keys().filter(|name| !attributes.xattrs.contains_key(*name)) {
            // A security label may have to stay.
            drop(self.remove_xattr(name.os()));
        }
        for (name, value) in &attributes.xattrs {
            if found.get(name) != Some(value) {
                self.set_xattr(name.os(), value.bytes())?;
            }
        }
        self.set_mode(attributes.mode)?;
        self.set_mtime(attributes.mtime)?;
        self.sync()
    }

    /// Returns the extended attributes of all namespaces that this process may see.
    pub(super) fn xattrs(self) -> io::Result<BTreeMap<ByteString, ByteString>> {
        let mut xattrs = BTreeMap::new();
        for name in self.xattr_names()? {
            if let Some(value) = self.xattr(&name)? {
                xattrs.insert(name.as_os_str().into(), value.as_slice().into());
            }
        }
        Ok(xattrs)
    }

    /// Returns the names of the extended attributes; none where the file system has no such thing.
    pub(super) fn xattr_names(self) -> io::Result<Vec<OsString>> {
        let names = match self {
            Self::Whole(file) => file.list_xattr(),
            Self::Link { link, .. } => xattr::list_deref(itself(link)),
        };
        match names {
            Ok(names) => Ok(names.collect()),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn xattr(self, name: &OsStr) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Whole(file) => file.get_xattr(name),
            Self::Link { link, .. } => xattr::get_deref(itself(link), name),
        }
    }

    pub(super) fn set_xattr(self, name: &OsStr, value: &[u8]) -> io::Result<()> {
        match self {
            Self::Whole(file) => file.set_xattr(name, value),
            Self::Link { link, .. } => xattr::set_deref(itself(link), name, value),
        }
    }

    pub(super) fn remove_xattr(self, name: &OsStr) -> io::Result<()> {
        match self {
            Self::Whole(file) => file.remove_xattr(name),
            Self::Link { link, .. } => xattr::remove_deref(itself(link), name),
        }
    }

    /// Returns the numbers of user and group.
    pub(super) fn owner(self) -> io::Result<(u32, u32)> {
        let (Self::Whole(file) | Self::Link { link: file, .. }) = self;
        let metadata = file.metadata()?;
        Ok((metadata.uid(), metadata.gid()))
    }

    pub(super) fn set_owner(self, user: u32, group: u32) -> io::Result<()> {
        let user = Some(Uid::from_raw(user));
        let group = Some(Gid::from_raw(group));
        match self {
            Self::Whole(file) => rustix::fs::fchown(file, user, group)?,
            Self::Link { folder, name, .. } => {
                rustix::fs::chownat(folder, name, user, group, AtFlags::SYMLINK_NOFOLLOW)?;
            }
        }
        Ok(())
    }

    /// Sets the mode; a link has none of its own.
    pub(super) fn set_mode(self, mode: u32) -> io::Result<()> {
        match self {
            Self::Whole(file) => rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?,
            Self::Link { .. } => {}
        }
        Ok(())
    }

    pub(super) fn set_mtime(self, mtime: Mtime) -> io::Result<()> {
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec {
                tv_sec: mtime.seconds,
                tv_nsec: mtime.nanoseconds.into(),
            },
        };
        match self {
            Self::Whole(file) => rustix::fs::futimens(file, &times)?,
            Self::Link { folder, name, .. } => {
                rustix::fs::utimensat(folder, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
            }
        }
        Ok(())
    }

    /// Makes content and attributes durable; a link is made so with its folder.
    pub(super) fn sync(self) -> io::Result<()> {
        match self {
            Self::Whole(file) => file.sync_all(),
            Self::Link { .. } => Ok(()),
        }
    }
}

/// Returns a path to what `link` has open. Extended attributes of a link can only be had by a
/// path, and this one cannot be exchanged for another in between.
fn itself(link: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", link.as_raw_fd()))
}
