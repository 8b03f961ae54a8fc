//! Small files of the host that are there as a whole or not at all, whatever happens meanwhile.

use std::ffi::OsString;
use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::base::error::Context as _;
use crate::base::error::Result;
use crate::source::files::place::folder_and_name;

/// Writes a file, or replaces it; only its owner can read it. Whoever reads it, even after a loss of power,
/// finds the old bytes or the new ones. One writer at a time.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let (folder, name) = folder_and_name(path)?;
    let mut beside = OsString::from(".");
    beside.push(name);
    let beside = folder.join(beside);
    let write = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        rename(&beside, path)?;
        File::open(folder)?.sync_all()
    };
    write().context(|| format!("cannot write {}", path.display()))
}

/// Adds bytes to the end of a file, which is made where it is absent; durable when this returns.
pub fn append(path: &Path, bytes: &[u8]) -> Result<()> {
    let (folder, _) = folder_and_name(path)?;
    let append = || {
        let is_new = !path.exists();
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        if is_new { File::open(folder)?.sync_all() } else { Ok(()) }
    };
    append().context(|| format!("cannot write {}", path.display()))
}

#[expect(clippy::disallowed_methods, reason = "this is how a file is published")]
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_written_and_replaced_for_its_owner_alone_and_nothing_lies_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.json");
        write(&path, b"a longer one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
