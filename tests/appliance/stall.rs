//! How long `create` keeps others waiting: it holds everybody off for a blink, and nobody for longer.

use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::place::Place;
use crate::server::until;
use crate::session::Session;

/// What everybody may be kept waiting for.
const LIMIT: Duration = Duration::from_millis(50);
const ROUNDS: usize = 15;

/// Commits in a row, and the longest that one took, in microseconds.
const WRITES: &str = "
    CREATE DATABASE work; CREATE TABLE work.stop (id INT); CREATE TABLE work.count (id INT) ENGINE = MEMORY;
    CREATE DATABASE centreon_studio; USE centreon_studio;
    CREATE TABLE counter (id INT PRIMARY KEY, value INT NOT NULL); INSERT INTO counter VALUES (1, 0);
    CREATE TABLE bulk (id INT PRIMARY KEY, text TEXT);
    INSERT INTO bulk SELECT seq, REPEAT(MD5(seq), 5) FROM seq_1_to_60000;
    DELIMITER //
    CREATE PROCEDURE work.longest() BEGIN
        DECLARE began DATETIME(6);
        DECLARE longest INT DEFAULT 0;
        WHILE NOT EXISTS (SELECT 1 FROM work.stop) DO
            SET began = SYSDATE(6);
            UPDATE centreon_studio.counter SET value = value + 1;
            SET longest = GREATEST(longest, TIMESTAMPDIFF(MICROSECOND, began, SYSDATE(6)));
        END WHILE;
        SELECT longest;
    END //
    DELIMITER ;
    DO 0";

/// Returns the longest that a writer waited while something was done.
fn longest_wait(place: &Place, writer: &mut Session, meanwhile: impl FnOnce()) -> Duration {
    let count = "SELECT value FROM centreon_studio.counter";
    let before = place.server.sql(count);
    writer.begin("CALL work.longest()");
    until("the writer is at work", || place.server.sql(count) != before);
    meanwhile();
    place.server.sql("INSERT INTO work.stop VALUES (1)");
    let longest = writer.finish().trim().parse().expect("microseconds");
    place.server.sql("DELETE FROM work.stop");
    Duration::from_micros(longest)
}

fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations[durations.len() / 2]
}

#[test]
fn a_writer_waits_for_a_create_no_longer_than_a_blink() {
    let place = Place::with_options(&["--log-bin"]);
    place.server.session().run(WRITES);
    let mut writer = place.server.session();
    let mut others = Vec::new();
    let (mut beside, mut alone) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // A statement that runs for long: a global lock would wait for it, with everybody behind.
        let mut other = place.server.session();
        other.begin(&format!(
            "CREATE TABLE work.long_{round} (id INT); INSERT INTO work.long_{round} SELECT SLEEP(2)"
        ));
        others.push(other);
        let mut took = Duration::ZERO;
        beside.push(longest_wait(&place, &mut writer, || {
            let began = Instant::now();
            let id = format!("round-{round}");
            place.snap(&["create", &id, "--connections", "4"]).succeeded();
            took = began.elapsed();
            assert_eq!(place.moment(&id)["method"], "backup-stage");
        }));
        alone.push(longest_wait(&place, &mut writer, || thread::sleep(took)));
    }
    for other in &mut others {
        other.finish();
    }
    // A machine that is busy makes everybody wait now and then: not in every second round.
    let (beside, alone) = (median(beside), median(alone));
    assert!(beside < LIMIT + alone, "{beside:?} beside a create, {alone:?} alone");
}

#[test]
fn a_global_lock_that_has_to_wait_is_given_up_and_nobody_waits_behind_it() {
    let place = Place::empty();
    place.server.session().run(WRITES);
    let mut backup = place.server.session();
    backup.run("BACKUP STAGE START");
    let mut slow = place.server.session();
    slow.begin("INSERT INTO work.count SELECT SLEEP(8)");
    let mut writer = place.server.session();
    let waited = longest_wait(&place, &mut writer, || {
        let created = place.snap(&["create", "alone", "--connections", "4"]);
        created.succeeded();
        assert!(created.stderr.contains("one connection reads alone"), "{created:#?}");
    });
    assert_eq!(place.moment("alone")["method"], "one-connection");
    assert!(waited < Duration::from_secs(1), "a writer waited {waited:?}");
    slow.finish();
}
