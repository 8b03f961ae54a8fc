//! `create` that does not come to its end: killed, interrupted, or without room.

use std::collections::BTreeSet;
use std::fs;
use std::process::Child;
use std::thread;
use std::time::Instant;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;

use crate::aim::Aim;
use crate::disk::Disk;
use crate::place::Place;
use crate::restore_failures::finished;
use crate::server::until;
use crate::tally;

/// How many creates are killed before they have listed anything, of at most so many.
const KILLS: usize = 14;
const ROUNDS: usize = 10 * KILLS;

#[test]
fn a_killed_create_leaves_complete_snapshots_only_and_what_prune_removes() {
    let place = Place::studio();
    let began = Instant::now();
    place.snap(&["create", "whole"]).succeeded();
    let whole = began.elapsed();
    // At any time since its start, and since it began to write.
    let mut aims = [Aim::new(whole), Aim::new(whole / 4)];
    let (mut killed, mut round) = (0, 0);
    while killed < KILLS || place.forgotten_blobs().is_empty() {
        assert!(round < ROUNDS, "of {round} creates {killed} were killed: {:?}", listed(&place));
        // Every round has something to write.
        place.server.sql(&format!(
            "UPDATE centreon_studio.element_property SET value = '{round}' WHERE element_id MOD 7 = 0"
        ));
        let id = format!("round-{round}");
        let before = place.stored_blobs().len();
        let mut create = place.start(&["create", &id]);
        let aim = &mut aims[round % 2];
        if round % 2 == 1 {
            until("it writes", || has_ended(&mut create) || place.stored_blobs().len() > before);
        }
        thread::sleep(aim.of_round(round / 2));
        signal(&mut create, Signal::KILL);
        let created = finished(create);
        aim.learn(created.code == 0);
        let listed = listed(&place);
        // One that ended by itself has done all, and only a kill keeps one from it.
        assert!([0, -1].contains(&created.code), "{created:#?}");
        assert!(created.code != 0 || listed.contains(&id), "{created:#?}");
        assert!(listed.contains(&"whole".to_owned()), "{listed:?}");
        killed += usize::from(!listed.contains(&id));
        round += 1;
    }
    place.snap(&["create", "next"]).succeeded();
    let ids = listed(&place);
    assert_eq!(ids.len(), round - killed + 2, "{ids:?}");
    place.snap(&["verify", "--read-data"]).succeeded();
    let named = place.named_blobs(ids.iter().map(String::as_str));
    assert!(place.stored_blobs().len() > named.len(), "no kill left anything behind");
    place.snap(&["prune", "--grace", "0s"]).succeeded();
    assert_eq!(place.stored_blobs(), named);
    for folder in ["", "snapshots", "blobs"] {
        for entry in fs::read_dir(place.repository().join(folder)).expect("list a folder") {
            let name = entry.expect("read a folder").file_name();
            assert!(!name.to_string_lossy().contains('#'), "{name:?} is left");
        }
    }
    place.snap(&["verify", "--read-data"]).succeeded();
}

#[test]
fn an_interrupted_create_says_so_by_its_code_and_lists_nothing() {
    let place = Place::studio();
    let mut lock = place.server.session();
    lock.run("LOCK TABLES centreon_studio.view WRITE");
    for (sent, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut create = place.start(&["create", "never", "--connections", "1"]);
        place.server.wait_for_waiters(1);
        signal(&mut create, sent);
        // It would wait for the lock, which is held on.
        until("it ends by the signal", || has_ended(&mut create));
        let output = finished(create);
        assert_eq!((output.code, output.stdout.as_str()), (code, ""), "{output:#?}");
        assert_eq!(listed(&place), [""; 0]);
    }
    lock.run("UNLOCK TABLES");
    place.snap(&["create", "next"]).succeeded();
}

#[test]
fn a_full_disk_fails_the_create_by_name_and_the_next_one_works() {
    let place = Place::studio();
    let disk = Disk::mount(place.path("disk"), 8 << 20);
    let repository = place.path("disk/repository").display().to_string();
    let snap = |arguments: &[&str]| {
        disk.snap(&place, &[arguments, &["--repository", &repository]].concat())
    };
    let mut failures = 0;
    // From too small for the repository to just too small for the last file.
    for room in [0, 4, 40, 400, 1400, 2000, 2060, 2100, 2120, 2140, 2160, 2180, 2200, 2220] {
        disk.leave(room << 10);
        let id = format!("room-{room}");
        let created = snap(&["create", &id]);
        disk.leave(u64::MAX);
        let list = snap(&["list", "-q"]);
        if created.code == 0 || list.stdout.trim() == id {
            snap(&["verify", "--read-data"]).succeeded();
            snap(&["delete", &id]).succeeded();
        }
        if created.code != 0 {
            failures += 1;
            assert_eq!(created.code, 1, "{room} KiB: {created:#?}");
            assert!(created.stderr.contains("No space left on device"), "{room} KiB: {created:#?}");
            let is_listed = created.stderr.contains("is complete and listed");
            assert_eq!(list.stdout.trim() == id, is_listed, "{room} KiB: {created:#?} {list:#?}");
        }
        // The repository itself may not have had room.
        let pruned = snap(&["prune", "--grace", "0s"]);
        assert!([0, 10].contains(&pruned.code), "{room} KiB: {pruned:#?}");
    }
    assert!(failures > 5, "the disk was full {failures} times only");
    tally::tell(failures, "faults", "of a full disk below the repository, in create");
    snap(&["create", "next"]).succeeded();
    snap(&["verify", "--read-data"]).succeeded();
}

impl Place {
    /// Returns the names of blobs, and of what lies beside them, that no snapshot names.
    fn forgotten_blobs(&self) -> BTreeSet<String> {
        let ids = listed(self);
        let named = self.named_blobs(ids.iter().map(String::as_str));
        self.stored_blobs().difference(&named).cloned().collect()
    }
}

/// Returns the ids of all snapshots.
pub(crate) fn listed(place: &Place) -> Vec<String> {
    // Before the first commit there may be no repository at all.
    let list = place.snap(&["list", "-q"]);
    list.succeeded().lines().map(str::to_owned).collect()
}

/// Sends a signal to a process, unless it has ended.
pub(crate) fn signal(process: &mut Child, signal: Signal) {
    if !has_ended(process) {
        kill_process(Pid::from_child(process), signal).expect("send a signal");
    }
}

pub(crate) fn has_ended(process: &mut Child) -> bool {
    process.try_wait().expect("ask for the end of a process").is_some()
}
