//! How long `create` keeps others waiting: it holds everybody off for a blink, and nobody for longer.

use std::time::Duration;

use crate::place::Place;
use crate::server::until;
use crate::session::Session;

/// What everybody may be kept waiting for.
const LIMIT: Duration = Duration::from_millis(50);
/// How often that is measured, and how often where it is in doubt.
const ROUNDS: usize = 15;
const MOST_ROUNDS: usize = 75;

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

/// Returns whether others waited no longer than they may, apart from what they wait for anyway.
fn is_a_blink(holding: &[Duration], harmless: &[Duration]) -> bool {
    median(holding.to_vec()) < LIMIT + median(harmless.to_vec())
}

#[test]
fn a_writer_waits_for_a_create_no_longer_than_a_blink() {
    let place = Place::with_options(&["--log-bin"]);
    place.server.session().run(WRITES);
    place.admit_reader();
    // A statement that runs for long: a global lock would wait for it, with everybody behind.
    let mut long = place.server.session();
    long.begin("CREATE TABLE work.long_one (id INT); INSERT INTO work.long_one SELECT SLEEP(3600)");
    place.wait_for(
        "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'INSERT INTO work.long_one%'",
    );
    let mut writer = place.server.session();
    let mut longest_beside = |id: &str, defaults: &str| {
        let defaults = format!("--defaults-file={}", place.path(defaults).display());
        let wait = longest_wait(&place, &mut writer, || {
            place.snap(&["create", id, "--connections", "4", &defaults]).succeeded();
        });
        (wait, place.moment(id)["method"].clone())
    };
    // A machine that is busy makes everybody wait now and then, the more so as a create works on it:
    // one that has no right to hold anybody off tells how long that is. Noise passes, and a lock stays.
    let (mut holding, mut harmless, mut round) = (Vec::new(), Vec::new(), 0);
    while holding.len() < ROUNDS || !is_a_blink(&holding, &harmless) {
        assert!(round < MOST_ROUNDS, "{holding:?} where it may hold; else {harmless:?}");
        let (wait, method) = longest_beside(&format!("holding-{round}"), "my.cnf");
        // On a machine that is too busy for it, nobody is held.
        if method == "backup-stage" {
            holding.push(wait);
        }
        let (wait, method) = longest_beside(&format!("harmless-{round}"), "reader.cnf");
        assert!(method == "binary-log" || method == "one-connection", "{method}");
        harmless.push(wait);
        round += 1;
    }
}

#[test]
fn a_global_lock_that_has_to_wait_is_given_up_and_nobody_waits_behind_it() {
    let place = Place::empty();
    place.server.session().run(WRITES);
    let mut backup = place.server.session();
    backup.run("BACKUP STAGE START");
    let mut slow = place.server.session();
    slow.begin("INSERT INTO work.count SELECT SLEEP(3600)");
    place.wait_for(
        "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'INSERT INTO work.count%'",
    );
    let mut writer = place.server.session();
    let mut waits = (0..5).map(|round| {
        let id = format!("alone-{round}");
        let waited = longest_wait(&place, &mut writer, || {
            let created = place.snap(&["create", &id, "--connections", "4"]);
            created.succeeded();
            assert!(created.stderr.contains("one connection reads alone"), "{created:#?}");
        });
        assert_eq!(place.moment(&id)["method"], "one-connection");
        waited
    });
    // Who waits behind the lock does so each time; who waits for a busy machine does not.
    assert!(waits.any(|wait| wait < Duration::from_secs(1)), "a writer waits for a second");
}
