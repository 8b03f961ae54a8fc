//! What takes the place of a target, and the ways back.

use std::fs;

use super::*;
use crate::base::error::Kind;
use crate::source::files::CHUNK_BYTES;
use crate::source::files::Role;
use crate::source::files::leftovers;

/// A live tree, and a saved one to restore over it.
async fn scene() -> (TempDir, Saved, Vec<String>) {
    let (folder, _) = rich_tree();
    let saved = save(&folder.path().join("ssl"), CHUNK_BYTES).await;
    let live = folder.path().join("live");
    write(&live.join("old"), b"old", 0o600);
    set_mtime(&live, 1, 2);
    let before = picture(&live);
    (folder, saved, before)
}

#[tokio::test]
async fn the_restored_tree_takes_the_place_and_the_previous_one_is_kept_beside() {
    let (folder, saved, before) = scene().await;
    let live = folder.path().join("live");
    let swapped = restore(&live, &saved).await.unwrap();
    assert_eq!(picture(&live), picture(&folder.path().join("ssl")));
    let previous = folder.path().join(".live.snap-previous-test");
    assert_eq!(swapped.previous(), Some(previous.as_path()));
    assert_eq!(picture(&previous), before);
    let kept: Vec<_> = leftovers(&live).unwrap().into_iter().map(|it| (it.path, it.role)).collect();
    assert_eq!(kept, [(previous.clone(), Role::Previous)]);
    swapped.discard_previous().unwrap();
    assert_eq!(leftovers(&live).unwrap(), []);
    assert!(live.join("cert.pem").exists());
}

#[tokio::test]
async fn undo_brings_back_the_very_tree_that_was_live() {
    let (folder, saved, before) = scene().await;
    let live = folder.path().join("live");
    let number = live.metadata().unwrap().ino();
    restore(&live, &saved).await.unwrap().undo().unwrap();
    assert_eq!(picture(&live), before);
    assert_eq!(live.metadata().unwrap().ino(), number);
    assert_eq!(leftovers(&live).unwrap(), []);
}

#[tokio::test]
async fn a_file_and_a_folder_can_take_each_others_place() {
    let (folder, saved, _) = scene().await;
    let file = folder.path().join("live/old");
    restore(&file, &saved).await.unwrap().undo().unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"old");

    let saved = save(&file, CHUNK_BYTES).await;
    let live = folder.path().join("live");
    let swapped = restore(&live, &saved).await.unwrap();
    assert_eq!(fs::read(&live).unwrap(), b"old");
    swapped.undo().unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"old");
}

#[tokio::test]
async fn folders_above_an_absent_target_are_made_and_undone() {
    let (folder, saved, _) = scene().await;
    let target = folder.path().join("opt/manager/ssl");
    let swapped = restore(&target, &saved).await.unwrap();
    assert_eq!(swapped.previous(), None);
    for made in ["opt", "opt/manager"] {
        let mode = folder.path().join(made).metadata().unwrap().mode();
        assert_eq!(mode & 0o7777, 0o755);
    }
    assert!(target.join("cert.pem").exists());
    swapped.undo().unwrap();
    assert!(!folder.path().join("opt").exists());
}

#[tokio::test]
async fn a_staging_that_is_not_swapped_leaves_no_trace() {
    let (folder, saved, before) = scene().await;
    for target in ["live", "opt/manager/ssl"] {
        let target = folder.path().join(target);
        let staged = stage(&target, saved.list.clone(), &saved.tar(), &Silent).await.unwrap();
        let staging = &leftovers(&target).unwrap()[0];
        assert_eq!(staging.role, Role::Staging);
        assert!(
            staging
                .path
                .ends_with(format!(".{}.snap-staging-test", target.file_name().unwrap().display()))
        );
        drop(staged.prove().await.unwrap());
        assert_eq!(leftovers(&target).unwrap(), []);
    }
    assert!(!folder.path().join("opt").exists());
    assert_eq!(picture(&folder.path().join("live")), before);
}

#[tokio::test]
async fn what_an_earlier_restore_left_is_never_overwritten() {
    let (folder, saved, _) = scene().await;
    let live = folder.path().join("live");
    let _swapped = restore(&live, &saved).await.unwrap();
    let error = restore(&live, &saved).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.to_string().contains(".live.snap-previous-test is in the way"), "{error}");
    let previous = &leftovers(&live).unwrap()[0];
    assert!(previous.path.join("old").exists());
    previous.discard().unwrap();
    assert_eq!(leftovers(&live).unwrap(), []);
}

#[tokio::test]
async fn a_target_that_appeared_meanwhile_is_kept_as_the_previous_one() {
    let (folder, saved, _) = scene().await;
    let target = folder.path().join("late");
    let staged = stage(&target, saved.list.clone(), &saved.tar(), &Silent).await.unwrap();
    let proven = staged.prove().await.unwrap();
    write(&target, b"appeared", 0o600);
    let swapped = swap(proven).unwrap();
    assert_eq!(fs::read(swapped.previous().unwrap()).unwrap(), b"appeared");
    swapped.undo().unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"appeared");
}

#[tokio::test]
async fn a_target_with_a_mount_point_in_it_is_refused_before_anything_is_staged() {
    let (_folder, saved, _) = scene().await;
    let error = stage(Path::new("/"), saved.list.clone(), b"", &Silent).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.to_string().contains("cannot replace /: /"), "{error}");
    assert!(error.to_string().contains("is a mount point"), "{error}");
    assert!(error.advice().is_some());
}

#[tokio::test]
async fn what_restores_keep_in_a_mount_point_is_neither_saved_nor_compared() {
    let (folder, saved, _) = scene().await;
    let live = folder.path().join("live");
    drop(restore(&live, &saved).await.unwrap());
    let time = live.metadata().unwrap().modified().unwrap();
    for name in [".snap-staging-x", ".snap-previous-x"] {
        write(&live.join(name).join("kept"), b"kept", 0o600);
    }
    File::open(&live).unwrap().set_modified(time).unwrap();
    assert!(save(&live, 1 << 20).await.list == saved.list, "they were saved");
    let changes = files::changes(&live, &saved.list).await.unwrap();
    assert!(changes.iter().all(|change| change.difference.is_none()), "{changes:?}");
    let named = |list: &mut serde_json::Value| list[1]["path"] = ".snap-previous-x".into();
    let hollow = folder.path().join("hollow");
    fs::create_dir_all(hollow.join("a")).unwrap();
    let hollow = save(&hollow, 1 << 20).await;
    let error = changed(&hollow.list, named).unwrap_err();
    assert!(error.to_string().contains("its name is for what a restore keeps"), "{error}");
}
