//! Archives and lists that mean harm.

use std::fs;

use serde_json::Value;
use serde_json::json;
use tar::EntryType;
use tar::Header;

use super::*;
use crate::base::error::Kind;
use crate::source::files::CHUNK_BYTES;
use crate::source::files::leftovers;

/// Returns a list entry that a tree could have.
fn entry(path: &str, kind: &Value) -> Value {
    let mut entry = json!({
        "path": path, "mode": 0o644, "uid": 0, "gid": 0,
        "mtime": { "seconds": 0, "nanoseconds": 0 },
    });
    for (key, value) in kind.as_object().unwrap() {
        entry[key] = value.clone();
    }
    entry
}

fn refusal(entries: &[Value]) -> String {
    let error = FileList::from_detail(&json!({ "entries": entries })).unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    error.chain()
}

#[test]
fn a_list_that_leads_anywhere_but_down_its_own_tree_is_refused() {
    let top = entry(".", &json!({ "type": "folder" }));
    let folder = |path| entry(path, &json!({ "type": "folder" }));
    let file = |path| entry(path, &json!({ "type": "file", "size": 0, "digest": "" }));
    let symlink = |path, to| entry(path, &json!({ "type": "symlink", "to": to }));
    let hard_link = |path, to| entry(path, &json!({ "type": "hard-link", "to": to }));
    assert!(FileList::from_detail(&json!({ "entries": [top, folder("a"), file("a/b")] })).is_ok());

    let out = "its path leads out of the tree";
    let order = "it is named twice, or out of order";
    let homeless = "it lies in no folder of the list";
    let deep = "a/".repeat(2048) + "a";
    let cases: Vec<(Vec<Value>, &str)> = vec![
        (vec![file(&deep)], "it lies too deep"),
        (vec![file("/etc/passwd")], out),
        (vec![file("../passwd")], out),
        (vec![folder("a"), file("a/../../passwd")], out),
        (vec![folder("a"), file("a//b")], out),
        (vec![folder("a"), file("a/.")], out),
        (vec![file("a\\x00b")], out),
        (vec![file("")], out),
        (vec![file("a"), file("a")], order),
        (vec![file("b"), file("a")], order),
        (vec![folder("a"), file("b"), file("a/c")], order),
        (vec![symlink("a", "/etc"), file("a/passwd")], homeless),
        (vec![file("a"), file("a/b")], homeless),
        (vec![file("a/b")], homeless),
        (vec![folder("a"), file("ab"), file("b/c")], homeless),
        (vec![hard_link("a", "/etc/passwd")], "it is a hard link to no earlier file"),
        (vec![hard_link("a", "b"), file("b")], "it is a hard link to no earlier file"),
        (vec![symlink("a", "/etc/passwd"), hard_link("b", "a")], "to no earlier file"),
        (vec![symlink("a", "")], "it is a link to nothing"),
        (vec![entry("a", &json!({ "type": "folder", "mode": 0o10_0755 }))], "its mode"),
        (vec![entry("a", &json!({ "type": "device" }))], "unknown variant `device`"),
    ];
    for (rest, why) in cases {
        let entries = [vec![top.clone()], rest].concat();
        let refused = refusal(&entries);
        assert!(refused.contains(why), "{refused} is not: {why}");
    }
    assert!(refusal(&[]).contains("empty"));
    for first in [file("../x"), file("a/b"), file(".."), symlink("a", "b"), folder("a")] {
        assert!(refusal(&[first]).contains("it is neither the top folder nor a single file"));
    }
    assert!(refusal(&[file("a"), file("b")]).contains("neither"));
}

/// Returns a header as no honest writer makes it: the path unchecked.
fn header(path: &str, kind: EntryType, size: u64, link: &str) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// A saved tree of the files `a` and `b`, the place of `b` in its tar, and a file outside.
struct Scene {
    folder: TempDir,
    saved: Saved,
    tar: Vec<u8>,
    second: usize,
}

async fn scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("outside"), b"untouched", 0o600);
    let top = folder.path().join("tree");
    write(&top.join("a"), b"first", 0o600);
    write(&top.join("b"), b"second", 0o600);
    // Whole seconds, so that each entry is one plain header.
    for path in [top.join("a"), top.join("b"), top.clone()] {
        set_mtime(&path, 1_000_000_000, 0);
    }
    let saved = save(&top, CHUNK_BYTES).await;
    let tar = saved.tar();
    Scene { folder, saved, tar, second: 3 * 512 }
}

impl Scene {
    /// Stages a tar against the honest list; returns the refusal, having seen that nothing stays.
    async fn refuse(&self, tar: &[u8]) -> String {
        let target = self.folder.path().join("target");
        let staged = stage(&target, self.saved.list.clone(), tar, &Silent).await;
        let error = staged.unwrap_err();
        assert_eq!(error.kind(), Kind::Damaged, "{}", error.chain());
        assert_eq!(leftovers(&target).unwrap(), []);
        assert!(!target.exists());
        assert_eq!(fs::read(self.folder.path().join("outside")).unwrap(), b"untouched");
        error.chain()
    }
}

#[tokio::test]
async fn an_entry_that_the_list_does_not_have_is_refused_by_the_path_it_stands_at() {
    let scene = scene().await;
    assert_eq!(scene.tar.len(), 7 * 512);
    let outside = scene.folder.path().join("outside");
    let outside = outside.to_str().unwrap();
    let hostile = [
        header(outside, EntryType::Regular, 6, ""),
        header("../outside", EntryType::Regular, 6, ""),
        header("a", EntryType::Regular, 6, ""),
        header("b", EntryType::Char, 0, ""),
        header("b", EntryType::Block, 0, ""),
        header("b", EntryType::Fifo, 0, ""),
        header("b", EntryType::Symlink, 0, outside),
        header("b", EntryType::Link, 0, outside),
        header("b", EntryType::Link, 0, "../outside"),
        header("b", EntryType::Regular, 1 << 32, ""),
        header("b", EntryType::GNUSparse, 6, ""),
        header("././@LongLink", EntryType::GNULongName, 1 << 32, ""),
        header("PaxHeader", EntryType::XHeader, 1 << 32, ""),
        header("b", EntryType::Directory, 0, ""),
    ];
    for header in hostile {
        let mut tar = scene.tar.clone();
        tar[scene.second..scene.second + 512].copy_from_slice(&header);
        let refused = scene.refuse(&tar).await;
        assert!(refused.contains("target/b: its header is not the one of the list"), "{refused}");
    }
}

#[tokio::test]
async fn entries_and_bytes_beyond_the_list_are_refused() {
    let scene = scene().await;
    let end = scene.tar.len() - 1024;
    let more = header("c", EntryType::Regular, 0, "");
    let extra_entry = [&scene.tar[..end], &more, &scene.tar[end..]].concat();
    let extra_bytes = [&scene.tar[..], &[0; 512]].concat();
    for tar in [extra_entry, extra_bytes] {
        let refused = scene.refuse(&tar).await;
        assert!(refused.contains("its tar does not end where its list ends"), "{refused}");
    }
}

#[tokio::test]
async fn a_tar_that_ends_early_is_refused_wherever_it_ends() {
    let scene = scene().await;
    for length in [0, 100, 512, 1024, 1027, 1536, 2048, 2051, 2560, 3000, 3583] {
        scene.refuse(&scene.tar[..length]).await;
    }
}

#[tokio::test]
async fn any_flipped_bit_is_refused() {
    let scene = scene().await;
    for position in (0..scene.tar.len()).step_by(37) {
        let mut tar = scene.tar.clone();
        tar[position] ^= 1;
        scene.refuse(&tar).await;
    }
    let mut tar = scene.tar.clone();
    tar[1024] ^= 1;
    let refused = scene.refuse(&tar).await;
    assert!(refused.contains("target/a: its digest is not the one of the list"), "{refused}");
}
