//! Folders of which patterns leave out a part: that part stays, whatever is done with the rest.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use super::*;
use crate::base::error::Kind;
use crate::source::files::CHUNK_BYTES;
use crate::source::files::rename;

/// A live folder and a saved one, which have their logs and caches to themselves.
struct Scene {
    folder: TempDir,
    saved: Saved,
}

impl Scene {
    async fn new() -> Self {
        Self::with(&[], &["**/*.log", "cache"]).await
    }

    /// Saves by these patterns, then changes everything.
    async fn with(include: &[&str], exclude: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let live = folder.path().join("live");
        for path in ["a.conf", "conf/a", "conf/gone/b", "conf/folder/f", "only/saved"] {
            write(&live.join(path), path.as_bytes(), 0o640);
        }
        for path in ["app.log", "conf/app.log", "cache/deep/c", "only/saved.log"] {
            write(&live.join(path), b"early", 0o600);
        }
        set_mtime(&live.join("conf"), 5, 6);
        let saved = save_part(&live, &globs(include, exclude), CHUNK_BYTES).await;
        let scene = Self { folder, saved };
        for path in ["conf/gone", "only"] {
            fs::remove_dir_all(live.join(path)).unwrap();
        }
        for path in ["a.conf", "conf/a", "conf/new", "later/own", "own/deep/o"] {
            write(&live.join(path), b"changed", 0o600);
        }
        for path in ["app.log", "conf/app.log", "later/deep/app.log", "cache/deep/c"] {
            write(&live.join(path), b"late", 0o600);
        }
        set_mtime(&live.join("conf"), 7, 8);
        scene
    }

    fn live(&self) -> PathBuf {
        self.folder.path().join("live")
    }

    async fn changes(&self) -> Vec<String> {
        let found = files::changes(&self.live(), &self.saved.list).await.unwrap();
        let differing = found.into_iter().filter_map(|it| Some((it.path, it.difference?)));
        differing.map(|(path, why)| format!("{path}: {why}")).collect()
    }
}

fn globs(include: &[&str], exclude: &[&str]) -> Globs {
    let owned = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect();
    Globs { include: owned(include), exclude: owned(exclude) }
}

/// Returns what every file holds: those that the patterns leave out, and the others.
fn contents(top: &Path) -> [BTreeMap<String, String>; 2] {
    let (mut left_out, mut own) = (BTreeMap::new(), BTreeMap::new());
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(top).unwrap().display().to_string();
            let is_left_out =
                path.extension().is_some_and(|it| it == "log") || name.starts_with("cache/");
            let of = if is_left_out { &mut left_out } else { &mut own };
            of.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
    [left_out, own]
}

fn paths(list: &FileList) -> Vec<String> {
    list.entries.iter().map(|entry| entry.path.to_string()).collect()
}

#[tokio::test]
async fn what_is_left_out_is_neither_saved_nor_looked_at() {
    let folder = tree_with_socket();
    write(&folder.path().join("sub/key.pem"), b"key", 0o600);
    write(&folder.path().join("sub/other"), b"other", 0o600);
    write(&folder.path().join("empty/other"), b"other", 0o600);
    let saved = save_part(folder.path(), &globs(&["**/*.pem"], &["socket"]), CHUNK_BYTES).await;
    assert_eq!(paths(&saved.list), [".", "sub", "sub/key.pem"]);
    assert_eq!(saved.said, Said::default());
    let scene = Scene::new().await;
    let expected =
        ". a.conf conf conf/a conf/folder conf/folder/f conf/gone conf/gone/b only only/saved";
    assert_eq!(paths(&scene.saved.list).join(" "), expected);
}

#[tokio::test]
async fn a_restore_leaves_what_is_left_out_where_it_is_and_is_identical_then() {
    let scene = Scene::new().await;
    let live = scene.live();
    let [left_out, own] = contents(&live);
    let number = |path: &str| live.join(path).metadata().unwrap().ino();
    let numbers = || ["app.log", "cache", "conf/app.log", "later/deep/app.log"].map(number);
    let before = numbers();
    let swapped = restore(&live, &scene.saved).await.unwrap();
    assert_eq!(numbers(), before);
    let [kept, restored] = contents(&live);
    assert_eq!(kept, left_out);
    let names: Vec<_> = restored.keys().map(String::as_str).collect();
    assert_eq!(names, ["a.conf", "conf/a", "conf/folder/f", "conf/gone/b", "only/saved"]);
    assert_eq!(live.join("conf").metadata().unwrap().mtime(), 5);
    assert_eq!(scene.changes().await, [""; 0]);
    // What was live is kept, and of what is left out nothing is.
    assert_eq!(contents(swapped.previous().unwrap()), [BTreeMap::new(), own]);
    swapped.discard_previous().unwrap();
    assert_eq!(contents(&live), [kept, restored]);
    write(&live.join("conf/more.log"), b"more", 0o600);
    assert_eq!(scene.changes().await, [""; 0]);
    write(&live.join("conf/a"), b"other", 0o600);
    assert_eq!(scene.changes().await.len(), 1);
}

#[tokio::test]
async fn undone_everything_is_as_it_was() {
    let scene = Scene::new().await;
    let before = picture(&scene.live());
    restore(&scene.live(), &scene.saved).await.unwrap().undo().unwrap();
    assert_eq!(picture(&scene.live()), before);
    assert_eq!(leftovers(&scene.live()).unwrap(), []);
}

#[tokio::test]
async fn undone_what_came_into_a_restored_folder_meanwhile_stays() {
    let scene = Scene::new().await;
    let [_, own] = contents(&scene.live());
    let swapped = restore(&scene.live(), &scene.saved).await.unwrap();
    write(&scene.live().join("only/more.log"), b"more", 0o600);
    write(&scene.live().join("conf/app.log"), b"other", 0o600);
    swapped.undo().unwrap();
    let [left_out, undone] = contents(&scene.live());
    assert_eq!(undone, own);
    assert_eq!(left_out["only/more.log"], "more");
    assert_eq!(left_out["conf/app.log"], "other");
    assert_eq!(leftovers(&scene.live()).unwrap(), []);
}

#[tokio::test]
async fn it_is_rolled_back_and_rolled_back_again_around_what_is_left_out() {
    let scene = Scene::new().await;
    let live = scene.live();
    let [_, own] = contents(&live);
    let mut last = restore(&live, &scene.saved).await.unwrap().0;
    let [_, restored] = contents(&live);
    for (round, expected) in [&own, &restored, &own, &restored].into_iter().enumerate() {
        // In folders that both have, that only one has, and that hold nothing else.
        for path in ["app.log", "only/a.log", "own/deep/a.log", "later/a.log"] {
            write(&live.join(path), format!("round {round}").as_bytes(), 0o600);
        }
        let [left_out, _] = contents(&live);
        let text = serde_json::to_string(&last.reversed(&round.to_string()).unwrap()).unwrap();
        last = serde_json::from_str(&text).unwrap();
        last.complete().unwrap();
        assert!(last.can_go_on() && last.is_whole());
        assert_eq!(contents(&live), [left_out, expected.clone()], "round {round}");
    }
}

#[tokio::test]
async fn a_folder_that_a_restore_made_stays_for_what_is_left_out_when_it_is_rolled_back() {
    let scene = Scene::new().await;
    let live = scene.live();
    fs::remove_dir_all(&live).unwrap();
    let first = restore(&live, &scene.saved).await.unwrap().0;
    let [_, restored] = contents(&live);
    write(&live.join("conf/a.log"), b"since", 0o600);
    let second = first.reversed("x").unwrap();
    second.complete().unwrap();
    let [left_out, own] = contents(&live);
    assert_eq!((left_out["conf/a.log"].as_str(), own.len()), ("since", 0));
    let third = second.reversed("y").unwrap();
    third.complete().unwrap();
    assert_eq!(contents(&live), [left_out, restored]);
    fs::remove_file(live.join("conf/a.log")).unwrap();

    let last = third.reversed("z").unwrap();
    last.complete().unwrap();
    assert!(contents(&live)[1].is_empty());
}

#[tokio::test]
async fn undone_a_folder_that_was_made_stays_for_what_came_into_it() {
    let scene = Scene::new().await;
    let live = scene.live();
    fs::remove_dir_all(&live).unwrap();
    let swapped = restore(&live, &scene.saved).await.unwrap();
    write(&live.join("conf/a.log"), b"since", 0o600);
    swapped.undo().unwrap();
    let [left_out, own] = contents(&live);
    assert_eq!((left_out["conf/a.log"].as_str(), own.len()), ("since", 0));
    assert_eq!(leftovers(&live).unwrap(), []);
    fs::remove_dir_all(&live).unwrap();
    restore(&live, &scene.saved).await.unwrap().undo().unwrap();
    assert!(!live.exists());
}

#[tokio::test]
async fn what_is_left_out_and_came_into_a_folder_that_was_to_go_takes_all_back() {
    let scene = Scene::new().await;
    let live = scene.live();
    let staged = stage(&live, scene.saved.list.clone(), &scene.saved.tar(), &Silent).await.unwrap();
    let exchange = staged.prove().await.unwrap().release().unwrap();
    write(&live.join("own/deep/a.log"), b"since", 0o600);
    let before = contents(&live);
    let error = exchange.complete().unwrap_err();
    assert!(error.chain().contains("came meanwhile"), "{}", error.chain());
    exchange.take_back().unwrap();
    assert_eq!(contents(&live), before);
    assert_eq!(leftovers(&live).unwrap(), []);
}

#[tokio::test]
async fn without_anything_left_out_a_folder_that_a_restore_made_goes_with_its_rollback() {
    let scene = Scene::new().await;
    let live = scene.live();
    fs::remove_dir_all(&live).unwrap();
    let first = restore(&live, &scene.saved).await.unwrap().0;
    let [_, restored] = contents(&live);
    let back = first.reversed("x").unwrap();
    write(&live.join("late.log"), b"since", 0o600);
    assert_eq!(back.complete().unwrap_err().kind(), Kind::Refused);
    assert!(live.join("late.log").exists());
    fs::remove_file(live.join("late.log")).unwrap();
    back.complete().unwrap();
    assert!(!live.exists());
    back.reversed("y").unwrap().complete().unwrap();
    assert_eq!(contents(&live), [BTreeMap::new(), restored]);
}

#[tokio::test]
async fn what_is_left_out_and_in_the_way_refuses_the_restore() {
    for (include, path, obstacle) in
        [(&["conf/a"][..], "conf", "conf"), (&[], "a.conf/in.log", "a.conf")]
    {
        let scene = Scene::with(include, &["**/*.log"]).await;
        let live = scene.live();
        assert_eq!(files::obstacle(&live, &scene.saved.list).await.unwrap(), None);
        let first = live.join(obstacle);
        fs::remove_dir_all(&first).or_else(|_| fs::remove_file(&first)).unwrap();
        write(&live.join(path), b"in the way", 0o600);
        let before = picture(&live);
        let found = files::obstacle(&live, &scene.saved.list).await.unwrap();
        assert_eq!(found, Some(live.join(obstacle)));
        let error = restore(&live, &scene.saved).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{}", error.chain());
        assert!(error.chain().contains("is in the way"), "{}", error.chain());
        assert_eq!(picture(&live), before);
        assert_eq!(leftovers(&live).unwrap(), []);
    }
}

#[tokio::test]
async fn a_list_that_holds_what_its_patterns_leave_out_is_damaged() {
    let scene = Scene::new().await;
    let list = |patterns: &Value| {
        FileList::from_detail(&scene.saved.list.to_detail()).unwrap().with_patterns(patterns)
    };
    assert_eq!(list(&scene.saved.list.patterns()).unwrap(), scene.saved.list);
    for exclude in ["conf/a", "conf", "**/b"] {
        let error = list(&json!({"include": [], "exclude": [exclude]})).unwrap_err();
        assert_eq!(error.kind(), Kind::Damaged, "{}", error.chain());
    }
    assert!(list(&json!({"include": ["conf"], "exclude": []})).is_err());
}

#[tokio::test]
async fn a_file_takes_the_place_of_a_folder_only_where_nothing_of_it_is_left_out() {
    let scene = Scene::new().await;
    let (live, list) = (scene.live(), &scene.saved.list);
    let file = scene.folder.path().join("single/live");
    write(&file, b"single", 0o600);
    let single = save_part(&file, &list.globs, CHUNK_BYTES).await;
    let before = contents(&live);
    let found = files::obstacle(&live, &single.list).await.unwrap();
    assert_eq!(found, Some(live.clone()));
    assert_eq!(restore(&live, &single).await.unwrap_err().kind(), Kind::Refused);
    assert_eq!(contents(&live), before);

    fs::remove_dir_all(&live).unwrap();
    write(&live.join("own"), b"own", 0o600);
    assert_eq!(files::obstacle(&live, &single.list).await.unwrap(), None);
    let first = restore(&live, &single).await.unwrap().0;
    assert_eq!(fs::read(&live).unwrap(), b"single");
    let second = first.reversed("x").unwrap();
    second.complete().unwrap();
    assert_eq!(fs::read(live.join("own")).unwrap(), b"own");
    // The file is to come back again.
    write(&live.join("late.log"), b"late", 0o600);
    assert_eq!(second.reversed("y").unwrap_err().kind(), Kind::Refused);
    fs::remove_file(live.join("late.log")).unwrap();
    second.reversed("y").unwrap().complete().unwrap();
    assert_eq!(fs::read(&live).unwrap(), b"single");
}

#[tokio::test]
async fn what_was_killed_while_it_was_taken_out_of_a_folder_that_came_in_is_taken_back_again() {
    let scene = Scene::new().await;
    let live = scene.live();
    let [_, own] = contents(&live);
    let exchange = restore(&live, &scene.saved).await.unwrap().0;
    write(&live.join("only/more.log"), b"more", 0o600);
    let incoming = exchange.incoming.clone().unwrap();
    fs::create_dir_all(incoming.join("only")).unwrap();
    rename::to_free(&live.join("only/saved"), &incoming.join("only/saved")).unwrap();
    assert!(!exchange.can_go_on());
    assert!(exchange.complete().is_err());
    exchange.take_back().unwrap();
    let [left_out, undone] = contents(&live);
    assert_eq!((undone, left_out["only/more.log"].as_str()), (own, "more"));
    assert_eq!(leftovers(&live).unwrap(), []);
}

#[tokio::test]
async fn what_was_killed_while_it_was_taken_out_of_a_folder_that_was_made_is_taken_back_again() {
    for is_gone_meanwhile in [false, true] {
        let scene = Scene::new().await;
        let live = scene.live();
        fs::remove_dir_all(&live).unwrap();
        let exchange = restore(&live, &scene.saved).await.unwrap().0;
        write(&live.join("late.log"), b"late", 0o600);
        let incoming = exchange.incoming.clone().unwrap();
        fs::create_dir(&incoming).unwrap();
        rename::to_free(&live.join("a.conf"), &incoming.join("a.conf")).unwrap();
        if is_gone_meanwhile {
            fs::remove_file(live.join("late.log")).unwrap();
        }
        assert!(!exchange.can_go_on());
        assert!(exchange.complete().is_err());
        exchange.take_back().unwrap();
        assert_eq!(live.exists(), !is_gone_meanwhile);
        if !is_gone_meanwhile {
            let late = BTreeMap::from([("late.log".to_owned(), "late".to_owned())]);
            assert_eq!(contents(&live), [late, BTreeMap::new()]);
        }
        assert_eq!(leftovers(&live).unwrap(), []);
    }
}

#[tokio::test]
async fn a_folder_that_came_where_nothing_was_refuses_the_restore() {
    let scene = Scene::new().await;
    let live = scene.live();
    fs::remove_dir_all(&live).unwrap();
    let staged = stage(&live, scene.saved.list.clone(), &scene.saved.tar(), &Silent).await.unwrap();
    let exchange = staged.prove().await.unwrap().release().unwrap();
    write(&live.join("since"), b"since", 0o600);
    assert_eq!(exchange.complete().unwrap_err().kind(), Kind::Refused);
    exchange.take_back().unwrap();
    assert_eq!(fs::read(live.join("since")).unwrap(), b"since");
    assert_eq!(leftovers(&live).unwrap(), []);
}
