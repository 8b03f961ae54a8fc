//! An archive while it is written: a hidden file beside its target, which takes the target's name
//! when it is complete and durable. Nothing is ever overwritten, and what fails leaves nothing.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use bytes::Bytes;
use rustix::fs::CWD;
use rustix::fs::RenameFlags;
use tar::Builder;
use tar::EntryType;
use tar::Header;
use tokio::task::spawn_blocking;

use crate::base::digest;
use crate::base::digest::Hasher;
use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;

/// An archive that is being written.
pub(super) struct Outgoing {
    tar: Builder<Counted>,
    staged: Staged,
    target: PathBuf,
}

impl Outgoing {
    /// Creates the hidden file; a target that exists is refused before any work.
    pub(super) async fn create(target: &Path) -> Result<Self> {
        let target = target.to_owned();
        let create = move || {
            if target.symlink_metadata().is_ok() {
                return Err(exists(&target));
            }
            let (file, staged) = stage(&target)?;
            let counted = Counted { file, hasher: Hasher::default(), bytes: 0 };
            Ok(Self { tar: Builder::new(counted), staged, target })
        };
        spawn_blocking(create).await.context(|| "cannot create an archive".to_owned())?
    }

    /// Adds a file. Its header says nothing of the host or the time.
    pub(super) async fn add(mut self, name: &str, content: Bytes) -> Result<Self> {
        let name = name.to_owned();
        let add = move || {
            let mut header = Header::new_ustar();
            header.set_entry_type(EntryType::Regular);
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            self.tar.append_data(&mut header, name, &*content).map(|()| self)
        };
        let added = spawn_blocking(add).await.map_err(io::Error::from).flatten();
        added.context(|| "cannot write the archive".to_owned())
    }

    /// Gives the complete archive its name; returns its size and its digest.
    pub(super) async fn publish(self) -> Result<(u64, String)> {
        let Self { tar, staged, target } = self;
        let shown = target.clone();
        let finish = move || {
            let Counted { file, hasher, bytes } = tar.into_inner()?;
            file.sync_all()?;
            rename_new(&staged.0, &target)?;
            File::open(folder_of(&target))?.sync_all()?;
            Ok((bytes, hasher.finish()))
        };
        match spawn_blocking(finish).await.map_err(io::Error::from).flatten() {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Err(exists(&shown)),
            finished => finished.context(|| format!("cannot publish {}", shown.display())),
        }
    }
}

/// A file that goes when nobody published it.
struct Staged(PathBuf);

impl Drop for Staged {
    fn drop(&mut self) {
        // It is gone already when it was published.
        drop(fs::remove_file(&self.0));
    }
}

/// Counts and hashes what is written.
struct Counted {
    file: File,
    hasher: Hasher,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn stage(target: &Path) -> Result<(File, Staged)> {
    let cannot = || format!("cannot create {}", target.display());
    let mut random = [0; 8];
    getrandom::fill(&mut random).context(cannot)?;
    let name = target.file_name().ok_or_else(|| {
        Error::new(Kind::Usage, cannot()).hint("the path of an archive ends with a file name")
    })?;
    let name = format!(".{}.{}", name.to_string_lossy(), digest::hex(&random));
    let path = folder_of(target).join(name);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    Ok((file.context(cannot)?, Staged(path)))
}

/// Renames a file to a name that nobody has. File systems without such a rename have links.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            fs::hard_link(from, to).and_then(|()| fs::remove_file(from))
        }
        renamed => Ok(renamed?),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn exists(path: &Path) -> Error {
    Error::new(Kind::Refused, format!("cannot write {}: it exists", path.display()))
        .hint("choose another path with -o; an archive never overwrites a file")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::samples;

    #[tokio::test]
    async fn a_file_that_came_in_the_meantime_stays() {
        let temp = tempfile::tempdir().unwrap();
        let target = temp.path().join("archive");
        let outgoing = Outgoing::create(&target).await.unwrap();
        samples::put(&target, b"mine");
        let error = outgoing.publish().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert_eq!(fs::read(&target).unwrap(), b"mine");
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1, "the hidden file is gone");
    }
}
