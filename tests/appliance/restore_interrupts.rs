//! A restore that is stopped at any moment leaves what was live, or what was saved: never a part of each.

use std::thread;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;

use crate::aim::Aim;
use crate::place::Output;
use crate::place::Place;
use crate::restore_failures::finished;
use crate::server::until;
use crate::stopped::has_ended;
use crate::stopped::signal;

/// How many moments of a restore are tried, evenly spread over its time; and how many at most, where
/// none of them was the right one.
const MOMENTS: usize = 12;
const MOST: usize = 10 * MOMENTS;

impl Place {
    /// Starts a restore, and sends it a signal after a while; returns how it ended.
    fn restore_until(&self, signal: Signal, after: Duration) -> Output {
        let restore = self.start(RESTORE);
        thread::sleep(after);
        // It may have ended by itself.
        kill_process(Pid::from_child(&restore), signal).ok();
        let output = finished(restore);
        self.wait_until_alone();
        output
    }

    /// Waits until nobody else is connected: the server ends a statement whose client is gone.
    pub(crate) fn wait_until_alone(&self) {
        self.wait_for(
            "SELECT 1 FROM (SELECT COUNT(*) AS sessions FROM information_schema.processlist
             WHERE command <> 'Daemon' AND id <> CONNECTION_ID()) AS others WHERE sessions = 0",
        );
    }

    /// Returns how long a whole restore takes here.
    fn time_of_a_restore(&self) -> Duration {
        let started = Instant::now();
        self.snap(RESTORE).succeeded();
        started.elapsed()
    }

    /// Returns the rows of all tables, which one statement swaps.
    fn rows(&self) -> String {
        self.server.sql("USE centreon_studio; SHOW FULL TABLES WHERE table_type <> 'VIEW'; CHECKSUM TABLE element")
    }
}

const RESTORE: &[&str] = &["restore", "before", "--force", "--full", "--restore-certificates"];

#[test]
fn a_restore_that_is_told_to_end_takes_all_back_or_has_done_all() {
    let place = Place::used_studio();
    let mut aim = Aim::new(place.time_of_a_restore());
    let saved = place.live();
    let mut codes = Vec::new();
    while codes.len() < MOMENTS || !(codes.contains(&130) && codes.contains(&143)) {
        let moment = codes.len();
        assert!(moment < MOST, "none was told to end in time: {codes:?}");
        place.snap(&["restore", "--discard-previous"]).succeeded();
        place.use_on();
        let used = place.live();
        let signal = if moment % 2 == 0 { Signal::INT } else { Signal::TERM };
        let output = place.restore_until(signal, aim.of_round(moment));
        aim.learn(output.code == 0);
        let beside = place.beside();
        match output.code {
            // Told before it could listen, or in time.
            -1 | 130 | 143 => {
                assert!(
                    place.live() == used,
                    "moment {moment}: something was touched: {output:#?}"
                );
                assert_eq!(beside, [""; 0], "moment {moment}: {output:#?}");
                place.snap(RESTORE).succeeded();
            }
            code => {
                assert_eq!(code, 0, "moment {moment}: {output:#?}");
                assert_eq!(beside.len(), 3, "moment {moment}: {beside:?}");
            }
        }
        assert!(place.live() == saved, "moment {moment}: it is not what was saved");
        codes.push(output.code);
    }
}

#[test]
fn a_restore_that_is_killed_is_resumed_can_be_run_again_and_leaves_nothing_behind() {
    let place = Place::used_studio();
    let used_rows = place.rows();
    let mut aim = Aim::new(place.time_of_a_restore());
    let (saved, saved_rows) = (place.live(), place.rows());
    let (mut untouched, mut moment) = (0, 0);
    while moment < MOMENTS || untouched == 0 {
        moment += 1;
        assert!(moment < MOST, "no restore was killed before its swap");
        place.snap(&["restore", "--discard-previous"]).succeeded();
        place.use_on();
        let used = place.live();
        let output = place.restore_until(Signal::KILL, aim.of_round(moment));
        aim.learn(output.code == 0);
        if place.beside().iter().any(|name| name.contains("__snap_previous_")) {
            // The swap had begun: the tables are of one state, whatever the programs are.
            let rows = place.rows();
            assert!(
                rows == used_rows || rows == saved_rows,
                "moment {moment}: tables of two states"
            );
        } else {
            assert!(place.live() == used, "moment {moment}: something was touched before the swap");
            untouched += 1;
        }
        place.snap(&["restore", "--resume"]).succeeded();
        let resumed = place.live();
        assert!(resumed == used || resumed == saved, "moment {moment}: neither old nor new");
        place.snap(RESTORE).succeeded();
        assert!(place.live() == saved, "moment {moment}: it is not what was saved");
        let previous = place.beside().remove(0);
        // Nothing runs in what is kept aside.
        let kept = place.server.dump(&previous).replace(" DISABLE DO", " ENABLE DO");
        assert!(kept == resumed.0, "moment {moment}: what was live before is not in {previous}");
        let beside = place.beside();
        assert!(beside.iter().all(|name| name.contains("previous")), "moment {moment}: {beside:?}");
        assert!(beside.len() <= 3, "moment {moment}: {beside:?}");
    }
}

#[test]
fn what_a_killed_restore_left_running_in_the_server_does_not_keep_the_next_one_away() {
    let place = Place::empty();
    place.server.sql(
        "CREATE DATABASE centreon_studio; USE centreon_studio; SET unique_checks = 0, foreign_key_checks = 0;
         CREATE TABLE big (id INT PRIMARY KEY, a CHAR(64), b CHAR(64)) CHARACTER SET latin1;
         INSERT INTO big SELECT seq, SHA2(seq, 256), SHA2(-seq, 256) FROM seq_1_to_60000;
         ALTER TABLE big ADD KEY (a), ADD KEY (b), ADD KEY (a, b), ADD KEY (b, a), ADD UNIQUE KEY (a, b, id)",
    );
    let arguments = ["restore", "before", "--force", "--full", "--only", "database"];
    place.snap(&["create", "before"]).succeeded();
    let before = place.server.dump("centreon_studio");
    place.server.sql("UPDATE centreon_studio.big SET a = 'used' WHERE id = 7");
    let altering =
        "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'ALTER TABLE%ADD KEY%'";
    let is_altering = || !place.server.sql(altering).is_empty();
    let goes_on = (0..MOST).any(|_| {
        let mut restore = place.start(&arguments);
        until("keys are added", || is_altering() || has_ended(&mut restore));
        signal(&mut restore, Signal::KILL);
        finished(restore);
        // Else it came to its end by itself before one could look.
        is_altering() || {
            place.snap(&["restore", "--resume"]).succeeded();
            false
        }
    });
    assert!(goes_on, "the server ends with a client what that had begun");
    place.snap(&["restore", "--resume"]).succeeded();
    place.snap(&arguments).succeeded();
    assert!(place.server.dump("centreon_studio") == before, "it is not what was saved");
    assert_eq!(place.beside().len(), 1, "{:?}", place.beside());
}
