//! What comes back from a tar and its list.

use std::fs;
use std::os::unix::fs::lchown;
use std::process::Command;

use serde_json::json;

use super::*;
use crate::base::error::Kind;
use crate::source::files::CHUNK_BYTES;
use crate::source::files::archive;
use crate::source::files::leftovers;

/// Returns the tar that belongs to a list, made of contents in the order of its files.
fn tar_of(list: &FileList, contents: &[&[u8]]) -> Vec<u8> {
    let mut contents = contents.iter();
    let mut tar = Vec::new();
    for entry in &list.entries {
        tar.extend(archive::header(entry));
        if let files::list::Content::File { size, .. } = &entry.content {
            tar.extend_from_slice(contents.next().unwrap());
            tar.extend_from_slice(&archive::TRAILER[..archive::padding(*size)]);
        }
    }
    tar.extend_from_slice(&archive::TRAILER);
    tar
}

async fn is_identical(path: &Path, list: &FileList) -> bool {
    let changes = files::changes(path, list).await.unwrap();
    changes.iter().all(|change| change.difference.is_none())
}

#[tokio::test]
async fn a_restored_tree_is_the_saved_one() {
    let (folder, _) = rich_tree();
    let before = picture(&folder.path().join("ssl"));
    let saved = save(&folder.path().join("ssl"), 1000).await;
    let list = FileList::from_detail(&saved.list.to_detail()).unwrap();
    assert_eq!(list, saved.list);

    let target = folder.path().join("restored");
    restore(&target, &saved).await.unwrap().discard_previous().unwrap();
    assert_eq!(picture(&target), before);
    assert_eq!(leftovers(&target).unwrap(), []);
    assert_eq!(save(&target, CHUNK_BYTES).await.list.digest(), saved.list.digest());
}

#[tokio::test]
async fn a_single_file_comes_back_under_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rest-security.conf");
    write(&file, b"{\"hash_salt\": 1}", 0o640);
    set_mtime(&file, 1_700_000_000, 5);
    let saved = save(&file, CHUNK_BYTES).await;
    assert_eq!(saved.list.count(), 1);

    let target = folder.path().join("other.conf");
    restore(&target, &saved).await.unwrap().discard_previous().unwrap();
    assert_eq!(fs::read(&target).unwrap(), fs::read(&file).unwrap());
    assert_eq!(picture(&target), picture(&file));
    assert!(is_identical(&file, &saved.list).await);
}

#[tokio::test]
async fn an_identical_tree_is_known_and_a_changed_one_is_too() {
    let (folder, _) = rich_tree();
    let top = folder.path().join("ssl");
    let saved = save(&top, CHUNK_BYTES).await;
    assert!(is_identical(&top, &saved.list).await);
    write(&top.join("cert.pem"), b"PUBLIC", 0o644);
    set_mtime(&top.join("cert.pem"), 1_234_567_890, 123_456_789);
    assert!(!is_identical(&top, &saved.list).await);
    assert!(!is_identical(&folder.path().join("absent"), &saved.list).await);
    assert!(!is_identical(&top.join("cert.pem"), &saved.list).await);
}

#[tokio::test]
async fn a_staged_tree_that_is_not_the_saved_one_is_named_and_removed() {
    let (folder, _) = rich_tree();
    let saved = save(&folder.path().join("ssl"), CHUNK_BYTES).await;
    let target = folder.path().join("target");
    let staged = stage(&target, saved.list.clone(), &saved.tar(), &Silent).await.unwrap();
    let staging = leftovers(&target).unwrap().remove(0).path;
    fs::set_permissions(staging.join("tool"), fs::Permissions::from_mode(0o700)).unwrap();
    write(&staging.join("straße"), b"utf-8", 0o644);
    fs::remove_file(staging.join("dangling")).unwrap();
    write(&staging.join("new"), b"", 0o600);

    let error = staged.prove().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Mismatch);
    let message = error.to_string();
    for named in ["`dangling`: it is missing", "`straße`: its content differs", "and 2 more"] {
        assert!(message.contains(named), "{message}");
    }
    assert_eq!(leftovers(&target).unwrap(), []);
    assert!(!target.exists());
}

#[tokio::test]
async fn an_owner_is_given_by_name_and_by_number_where_the_name_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    write(&file, b"lent", 0o4755);
    let saved = save(&file, CHUNK_BYTES).await;
    let list = changed(&saved.list, |entries| {
        entries[0]["user"] = json!("daemon");
        entries[0]["uid"] = json!(4242);
        entries[0]["group"] = json!("nobody-has-this");
        entries[0]["gid"] = json!(4343);
    });
    let list = list.unwrap();
    let recorder = Recorder::new(&Silent);
    let target = folder.path().join("target");
    let tar = tar_of(&list, &[b"lent"]);
    let staged = stage(&target, list, &tar, &recorder).await.unwrap();
    swap(staged.prove().await.unwrap()).unwrap().discard_previous().unwrap();

    let metadata = target.metadata().unwrap();
    let daemon = nix::unistd::User::from_name("daemon").unwrap().unwrap();
    let said = recorder.said();
    let unknown = "this host has no group `nobody-has-this`: its number 4343 is used";
    assert_eq!(said.warnings[0], unknown);
    if is_root() {
        assert_eq!((metadata.uid(), metadata.gid()), (daemon.uid.as_raw(), 4343));
        assert_eq!(metadata.mode() & 0o7777, 0o4755);
        assert_eq!(said.warnings.len(), 1);
    } else {
        assert_eq!(metadata.mode() & 0o7777, 0o755, "a file must not lend another owner's rights");
        assert!(said.warnings[1].starts_with("cannot give the owner "), "{said:?}");
    }
}

#[tokio::test]
async fn owners_in_a_tree_come_back_as_far_as_the_user_may_give_them() {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path().join("tree");
    write(&top.join("file"), b"", 0o600);
    symlink("file", top.join("link")).unwrap();
    let mut owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    if is_root() {
        owner = (12_345, 3_000_000);
        for path in [top.clone(), top.join("file"), top.join("link")] {
            lchown(path, Some(owner.0), Some(owner.1)).unwrap();
        }
    }
    let saved = save(&top, CHUNK_BYTES).await;
    let target = folder.path().join("target");
    restore(&target, &saved).await.unwrap().discard_previous().unwrap();
    for path in [target.clone(), target.join("file"), target.join("link")] {
        let metadata = path.symlink_metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), owner, "{}", path.display());
    }
}

#[tokio::test]
async fn an_access_list_of_the_folder_above_is_not_inherited() {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path().join("tree");
    write(&top.join("sub/file"), b"private", 0o600);
    let before = picture(&top);
    let saved = save(&top, CHUNK_BYTES).await;
    let parent = folder.path().join("parent");
    fs::create_dir(&parent).unwrap();
    run(Command::new("setfacl").args(["-d", "-m", "u:12345:rwx"]).arg(&parent));
    let target = parent.join("target");
    restore(&target, &saved).await.unwrap().discard_previous().unwrap();
    assert_eq!(picture(&target), before);
}

#[tokio::test]
async fn more_than_the_disk_has_is_refused_before_a_byte_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    write(&file, b"x", 0o600);
    let saved = save(&file, CHUNK_BYTES).await;
    let size = u64::MAX / 2;
    let list = changed(&saved.list, |entries| entries[0]["size"] = json!(size)).unwrap();
    let target = folder.path().join("target");
    let error = stage(&target, list, &saved.tar(), &Silent).await.unwrap_err();
    assert!(error.to_string().contains("bytes are free") || error.to_string().contains("are free"));
    assert_eq!(leftovers(&target).unwrap(), []);
}

#[tokio::test]
async fn a_private_key_is_never_shared_with_a_group_that_is_not_the_saved_one() {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path().join("ssl");
    let key = b"-----BEGIN PRIVATE KEY-----\nx";
    write(&top.join("key"), key, 0o640);
    write(&top.join("plain"), b"x", 0o640);
    let saved = save(&top, CHUNK_BYTES).await;
    let list = changed(&saved.list, |entries| {
        for entry in entries.as_array_mut().unwrap() {
            (entry["group"], entry["gid"]) = (json!("nobody-has-this"), json!(4343));
        }
    });
    let list = list.unwrap();
    let target = folder.path().join("target");
    let recorder = Recorder::new(&Silent);
    let tar = tar_of(&list, &[key, b"x"]);
    let staged = stage(&target, list, &tar, &recorder).await.unwrap();
    swap(staged.prove().await.unwrap()).unwrap().discard_previous().unwrap();
    let mode = |name: &str| target.join(name).metadata().unwrap().mode() & 0o777;
    assert_eq!((mode("key"), mode("plain")), (0o600, 0o640));
    let warned = recorder.said().warnings;
    assert!(
        warned.iter().any(|text| text.contains("target/key is for its owner alone")),
        "{warned:?}"
    );
}
