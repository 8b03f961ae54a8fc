//! Trees that are saved and restored whole, and the tools that tell whether they are equal.

use std::ffi::OsStr;
use std::fs;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::base::monitor::Recorder;
use crate::base::monitor::Said;
use crate::base::monitor::Silent;
use crate::source::RawChunk;
use crate::source::files;
use crate::source::files::Exchange;
use crate::source::files::FileList;
use crate::source::files::Leftover;
use crate::source::files::Proven;
use crate::source::files::Wanted;
use crate::source::files::globs::Globs;
use crate::source::files::leftovers;

mod certificates;
mod divided;
mod given;
mod hostile;
mod random;
mod reading;
mod replacing;
mod restoring;

/// What a repository would keep of a tree.
struct Saved {
    list: FileList,
    raw_bytes: u64,
    chunks: Vec<RawChunk>,
    said: Said,
}

impl Saved {
    fn tar(&self) -> Vec<u8> {
        self.chunks.iter().flat_map(|chunk| chunk.content.raw().to_vec()).collect()
    }
}

async fn save(path: &Path, chunk_bytes: usize) -> Saved {
    save_part(path, &Globs::default(), chunk_bytes).await
}

async fn save_part(path: &Path, globs: &Globs, chunk_bytes: usize) -> Saved {
    let recorder = Recorder::new(&Silent);
    let (sender, mut receiver) = mpsc::channel(2);
    let receive = async {
        let mut chunks = Vec::new();
        while let Some(chunk) = receiver.recv().await {
            chunks.push(chunk);
        }
        chunks
    };
    let read = files::read(path, globs, chunk_bytes, sender, &recorder);
    let (tree, chunks) = tokio::join!(read, receive);
    let tree = tree.unwrap().unwrap();
    Saved { list: tree.list, raw_bytes: tree.raw_bytes, chunks, said: recorder.said() }
}

/// Stages a tar, in pieces of no particular size.
async fn stage(
    target: &Path,
    wanted: impl Into<Wanted>,
    tar: &[u8],
    monitor: &dyn Monitor,
) -> Result<files::Staged> {
    let (sender, receiver) = mpsc::channel(2);
    let send = async {
        for piece in tar.chunks(100_003) {
            if sender.send(piece.to_vec()).await.is_err() {
                break;
            }
        }
        drop(sender);
    };
    tokio::join!(files::stage(target, "test", wanted.into(), receiver, monitor), send).0
}

/// A restored target, live, and what was live before it.
#[derive(Debug)]
struct Swapped(Exchange);

impl Swapped {
    fn previous(&self) -> Option<&Path> {
        self.0.keeps_something().then_some(self.0.previous.as_path())
    }

    fn undo(self) -> Result<()> {
        self.0.take_back()
    }

    fn discard_previous(self) -> Result<()> {
        let kept = leftovers(&self.0.target)?;
        kept.iter().filter(|kept| kept.path == self.0.previous).try_for_each(Leftover::discard)
    }
}

/// Puts a proven tree in the place of its target.
fn swap(proven: Proven) -> Result<Swapped> {
    let exchange = proven.release()?;
    exchange.complete()?;
    Ok(Swapped(exchange))
}

async fn restore(target: &Path, saved: &Saved) -> Result<Swapped> {
    let staged = stage(target, saved.list.clone(), &saved.tar(), &Silent).await?;
    swap(staged.prove().await?)
}

/// Returns the list after a change to its text, as a repository might hand it back.
fn changed(list: &FileList, change: impl FnOnce(&mut serde_json::Value)) -> Result<FileList> {
    let mut detail = list.to_detail();
    change(&mut detail["entries"]);
    FileList::from_detail(&detail)
}

/// Returns all that can be seen of a tree, one line for each entry, read by other means than
/// those under test.
fn picture(top: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    draw(top, top, &mut lines);
    lines
}

fn draw(top: &Path, path: &Path, lines: &mut Vec<String>) {
    let metadata = path.symlink_metadata().unwrap();
    let content = match () {
        () if metadata.is_symlink() => format!("{:?}", path.read_link().unwrap()),
        () if metadata.is_dir() => String::new(),
        () => format!("{} names {:?}", metadata.nlink(), fs::read(path).unwrap()),
    };
    let names = xattr::list(path).unwrap();
    let mut xattrs: Vec<_> = names.map(|name| (xattr::get(path, &name).unwrap(), name)).collect();
    xattrs.sort();
    lines.push(format!(
        "{:?} {:o} {}:{} {}.{:09} {xattrs:?} {content}",
        path.strip_prefix(top).unwrap(),
        metadata.mode(),
        metadata.uid(),
        metadata.gid(),
        metadata.mtime(),
        metadata.mtime_nsec(),
    ));
    if metadata.is_dir() {
        let entries = fs::read_dir(path).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in &paths {
            draw(top, path, lines);
        }
    }
}

fn write(path: &Path, content: &[u8], mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test lays out what the product finds")]
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn set_mtime(path: &Path, seconds: u64, nanoseconds: u32) {
    let time = UNIX_EPOCH + Duration::new(seconds, nanoseconds);
    File::open(path).unwrap().set_modified(time).unwrap();
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Returns whether the command ran well; a program that is not installed did not.
fn run(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

/// Returns a folder with one of everything that a tree may hold, and whether its file system
/// took extended attributes.
fn rich_tree() -> (TempDir, bool) {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path().join("ssl");
    write(&top.join("key.pem"), b"secret", 0o400);
    write(&top.join("cert.pem"), b"public", 0o644);
    write(&top.join("tool"), b"#!/bin/sh\n", 0o4755);
    write(&top.join("empty"), b"", 0o600);
    fs::create_dir_all(top.join("hollow/within")).unwrap();
    fs::set_permissions(top.join("hollow"), fs::Permissions::from_mode(0o2750)).unwrap();
    write(&top.join("line\nbreak"), b"newline", 0o644);
    write(&top.join(OsStr::from_bytes(b"latin1-\xe9")), b"not UTF-8", 0o644);
    write(&top.join("straße"), b"UTF-8", 0o644);
    write(&top.join("-sorts-before-a-dot"), b"", 0o644);
    let long = "l".repeat(200);
    write(&top.join(&long).join(&long).join("far"), b"long path", 0o644);
    symlink("cert.pem", top.join("link")).unwrap();
    symlink("/absent/for/sure", top.join("dangling")).unwrap();
    symlink("x".repeat(300), top.join("long-link")).unwrap();
    symlink(OsStr::from_bytes(b"\xff"), top.join("odd-link")).unwrap();
    fs::create_dir(top.join("again")).unwrap();
    fs::hard_link(top.join("cert.pem"), top.join("again/cert.pem")).unwrap();
    fs::hard_link(top.join("cert.pem"), top.join("zz")).unwrap();
    fs::hard_link(top.join(&long).join(&long).join("far"), top.join("zz-far")).unwrap();
    let has_xattrs = xattr::set(top.join("cert.pem"), "user.note", b"\x00\xff=\n").is_ok();
    if has_xattrs {
        xattr::set(top.join("hollow"), "user.a=b%c", b"odd key").unwrap();
        run(Command::new("setfacl").args(["-m", "u:12345:r,g:23456:rw"]).arg(top.join("empty")));
        run(Command::new("setfacl").args(["-d", "-m", "u:12345:rx"]).arg(top.join("hollow")));
    }
    if is_root() && has_xattrs {
        xattr::set(top.join("dangling"), "trusted.note", b"on a link").unwrap();
        std::os::unix::fs::lchown(top.join("link"), Some(12_345), Some(54_321)).unwrap();
        std::os::unix::fs::chown(top.join("empty"), Some(3_000_000), Some(1)).unwrap();
    }
    set_mtime(&top.join("cert.pem"), 1_234_567_890, 123_456_789);
    set_mtime(&top.join("hollow"), 7, 1);
    set_mtime(&top, 1_000_000_000, 999_999_999);
    (folder, has_xattrs)
}

/// Returns a folder with a socket in it.
fn tree_with_socket() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("kept"), b"kept", 0o600);
    drop(UnixListener::bind(folder.path().join("socket")).unwrap());
    folder
}
