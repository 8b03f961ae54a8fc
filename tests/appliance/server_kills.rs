//! The database server killed at random times of a create or a restore, and started again: nothing
//! is lost.

use std::fs;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::aim::Aim;
use crate::kills::IDS;
use crate::kills::Live;
use crate::kills::PATIENCE;
use crate::kills::Phase;
use crate::kills::SWAP;
use crate::kills::Studio;
use crate::kills::times;
use crate::place::Place;
use crate::restore_failures::finished;
use crate::stopped::has_ended;
use crate::stopped::listed;
use crate::tally;

/// How often the server is killed, every third time in a create; five times as often in a long run.
const KILLS: usize = 10;

/// How often a server is killed until it dies in the few milliseconds in which partitions move.
const TRIES: usize = 60;

/// A server that keeps what it has confirmed, unlike the tests' own, when its process dies.
const DURABLE: &[&str] =
    &["--innodb-flush-log-at-trx-commit=1", "--innodb-doublewrite=ON", "--sync-frm=ON"];

/// All but a partitioned table, `RENAME TABLE` moves or does not, whenever the server dies: what
/// becomes of those has a test of its own.
const UNPARTITIONED: &str = "ALTER TABLE centreon_studio.metric_history REMOVE PARTITIONING";

#[test]
fn a_server_killed_at_any_time_of_create_or_restore_has_lost_nothing_when_it_is_back() {
    let mut studio = Studio::new(DURABLE, UNPARTITIONED);
    let started = Instant::now();
    studio.place.snap(&["create", "timed"]).succeeded();
    let mut create = Aim::new(started.elapsed());
    let mut restore = Aim::new(studio.restore_whole());
    let mut swap = Aim::new(SWAP);
    let (mut round, mut creates, mut cut_short) = (0, 0, 0);
    while round < times(KILLS) || cut_short == 0 || !studio.has_met(&[Phase::Staging, Phase::Swap])
    {
        assert!(round < PATIENCE * times(KILLS), "no kill came in time for each phase");
        match round % 3 {
            0 => kill_in_restore(&mut studio, &mut restore, false),
            1 => kill_in_restore(&mut studio, &mut swap, true),
            _ => {
                let has_ended = kill_in_create(&mut studio, &format!("round-{round}"), &create);
                create.learn(has_ended);
                creates += 1;
                cut_short += usize::from(!has_ended);
            }
        }
        round += 1;
    }
    tally::tell(creates, "kills", "of mariadbd in snap create");
    studio.tell("mariadbd in snap restore");
}

#[test]
fn partitions_that_a_dying_server_left_in_two_databases_are_not_dropped() {
    let mut place = Place::with_options(DURABLE);
    place.server.sql(
        "CREATE DATABASE centreon_studio; USE centreon_studio;
         CREATE TABLE parts (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 80;
         INSERT INTO parts SELECT seq FROM seq_1_to_800",
    );
    let only = ["--only", "database", "--force"];
    place.snap(&["create", "before"]).succeeded();
    place.server.sql("INSERT INTO centreon_studio.parts VALUES (801)");
    for _ in 0..TRIES {
        place.snap(&["restore", "--discard-previous"]).succeeded();
        let mut restore = place.start(&[&["restore", "before"], &only[..]].concat());
        while !moves_partitions(&place) && !has_ended(&mut restore) {
            thread::sleep(Duration::from_micros(200));
        }
        place.server.kill();
        finished(restore);
        place.server.start_again();
        let kept = "SELECT COUNT(*) FROM information_schema.innodb_sys_tables
                    WHERE name LIKE 'centreon@_studio/%' ESCAPE '@'
                        OR name LIKE 'centreon@_studio@_@_snap@_previous@_%' ESCAPE '@'";
        let before = place.server.sql(kept);
        let output = place.snap(&["restore", "--resume"]);
        if output.code != 0 {
            assert!(output.stderr.contains("hint: "), "{output:#?}");
            assert_eq!(place.server.sql(kept), before, "something was dropped: {output:#?}");
            let beside = ["restore", "before", "--only", "database", "--database", "copy"];
            place.snap(&beside).succeeded();
            assert_eq!(place.server.sql("SELECT COUNT(*) FROM copy.parts"), "800\n");
            return;
        }
        place.snap(&[&["restore", "before"], &only[..]].concat()).succeeded();
        assert_eq!(place.server.sql("SELECT COUNT(*) FROM centreon_studio.parts"), "800\n");
        place.server.sql("INSERT INTO centreon_studio.parts VALUES (801)");
    }
    panic!("the server never died while it moved partitions");
}

/// Whether a schema that keeps what was live has a partition already.
fn moves_partitions(place: &Place) -> bool {
    let entries = fs::read_dir(place.server.databases()).expect("list the databases");
    let folders = entries.map(|entry| entry.expect("read a name").path());
    let kept = folders.filter(|path| path.to_string_lossy().contains("__snap_previous_"));
    // It may be gone by now.
    let files = kept.filter_map(|path| fs::read_dir(path).ok()).flatten().flatten();
    files.map(|file| file.path()).any(|file| file.to_string_lossy().contains("#P#"))
}

/// Returns whether the create had come to its end already.
fn kill_in_create(studio: &mut Studio, id: &str, aim: &Aim) -> bool {
    let create = studio.place.start(&["create", id]);
    studio.wait(aim);
    studio.place.server.kill();
    let output = finished(create);
    studio.place.server.start_again();
    let listed = listed(&studio.place);
    assert_eq!(output.code == 0, listed.iter().any(|listed| listed == id), "{output:#?}");
    assert!([0, 20].contains(&output.code), "{output:#?}");
    assert!(IDS.iter().all(|id| listed.iter().any(|listed| listed == id)), "{listed:?}");
    assert!(Live::of(&studio.place) == studio.live[studio.current], "a create changed something");
    studio.place.snap(&["verify", "--read-data"]).succeeded();
    studio.place.snap(&["create", &format!("{id}-next")]).succeeded();
    output.code == 0
}

fn kill_in_restore(studio: &mut Studio, aim: &mut Aim, in_swap: bool) {
    let earlier = studio.previous_schemas();
    let mut restore = studio.start_restore();
    if in_swap {
        studio.wait_for_swap(&mut restore, &earlier);
    }
    studio.wait(aim);
    studio.place.server.kill();
    let output = finished(restore);
    assert!([0, 20].contains(&output.code), "{output:#?}");
    studio.place.server.start_again();
    let phase = studio.check_at_once(&output, &earlier);
    aim.learn(phase == Phase::Ended);
    studio.check_after_next();
}
