//! What a tree of files is made of, as text: two trees are equal when their texts are.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sha2::Digest;
use sha2::Sha256;

/// Returns a line for `path` and for each file below it: name, mode, owner, mtime, extended attributes, number of
/// links, and a link's target or the digest of the content. A path that is absent has no lines.
pub(crate) fn describe(path: &Path) -> String {
    let mut lines = Vec::new();
    add_lines(path, Path::new("."), &mut lines);
    lines.concat()
}

fn add_lines(path: &Path, name: &Path, lines: &mut Vec<String>) {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return;
        }
        Err(error) => panic!("read the metadata of {}: {error}", path.display()),
    };
    let kind = metadata.file_type();
    // A folder's number of links belongs to the file system, not to the tree.
    let link_count = if kind.is_dir() { 1 } else { metadata.nlink() };
    lines.push(format!(
        "{} {:o} {}:{} {}.{:09} links={link_count} {:?} {}\n",
        name.display(),
        metadata.mode(),
        metadata.uid(),
        metadata.gid(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        attributes(path),
        content(path, kind),
    ));
    if kind.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path)
            .expect("list a folder of the tree")
            .map(|entry| entry.expect("read a folder of the tree").file_name())
            .collect();
        entries.sort();
        for entry in entries {
            add_lines(&path.join(&entry), &name.join(&entry), lines);
        }
    }
}

fn content(path: &Path, kind: fs::FileType) -> String {
    if kind.is_symlink() {
        format!("-> {}", fs::read_link(path).expect("read a symbolic link").display())
    } else if kind.is_file() {
        let digest = Sha256::digest(fs::read(path).expect("read a file of the tree"));
        format!("{digest:02x?}")
    } else {
        String::new()
    }
}

fn attributes(path: &Path) -> Vec<(String, Vec<u8>)> {
    let names = xattr::list(path).expect("list extended attributes");
    let mut attributes: Vec<_> = names
        .map(|name| {
            let value = xattr::get(path, &name).expect("read an extended attribute");
            (name.to_string_lossy().into_owned(), value.unwrap_or_default())
        })
        .collect();
    attributes.sort();
    attributes
}
