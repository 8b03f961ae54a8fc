//! Only what differs: what is live already as it was saved stays, and nobody's write is lost or mixed in.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;

use crate::aim::Aim;
use crate::place::Output;
use crate::place::Place;
use crate::restore_failures::WAITING;
use crate::restore_failures::finished;
use crate::server::until;
use crate::stopped::signal;

const RESTORE: &[&str] = &["restore", "before", "--force"];

/// What a restore does, by the log of the server.
const WATCH: &str = "SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = 0; TRUNCATE mysql.general_log; SET GLOBAL general_log = 1";

impl Place {
    /// Returns a small studio with a snapshot `before` and the sum of all that is in it.
    fn saved_studio(more: &str) -> (Self, String) {
        let place = Self::small_studio();
        place.server.sql(&format!("USE centreon_studio; {more}"));
        let before = place.server.dump("centreon_studio");
        place.snap(&["create", "before"]).succeeded();
        (place, before)
    }

    /// Makes a change, restores, and returns the tables that were loaded; all must be as it was.
    #[track_caller]
    fn loaded_after(&self, change: &str, before: &str) -> Vec<String> {
        self.server.sql(&format!("USE centreon_studio; {change}; {WATCH}"));
        self.snap(&[RESTORE, &["--no-safety-snapshot"]].concat()).succeeded();
        assert!(self.server.dump("centreon_studio") == before, "after {change:?}: it differs");
        // Most rows go in by bulks of a prepared statement, once for each chunk.
        let loaded = ["LOAD DATA LOCAL INFILE%INTO TABLE `%", "INSERT INTO `% VALUES (?%"];
        let loaded = loaded.map(|like| self.logged(like)).concat();
        let name = |line: &str| line.split('`').nth(1).expect("a quoted name").to_owned();
        let loaded: BTreeSet<String> = loaded.lines().map(name).collect();
        loaded.into_iter().collect()
    }

    /// Returns the statements like this since the log was begun.
    fn logged(&self, like: &str) -> String {
        self.server.sql(&format!(
            "SET GLOBAL general_log = 0; SELECT REPLACE(argument, '\n', ' ') FROM mysql.general_log
             WHERE command_type IN ('Query', 'Prepare') AND argument LIKE '{like}'"
        ))
    }
}

impl Output {
    /// Returns name and fate of each part of the database, as JSON has them.
    pub(crate) fn fates(&self) -> Vec<String> {
        let json = self.json();
        let parts = json["restore"]["sources"][0]["parts"].as_array().expect("parts").clone();
        let word = |part: &Value, key: &str| part[key].as_str().expect("a word").to_owned();
        parts.iter().map(|part| format!("{} {}", word(part, "name"), word(part, "fate"))).collect()
    }
}

#[test]
fn one_changed_table_is_loaded_and_every_other_is_read_once() {
    let (place, before) = Place::saved_studio("");
    let loaded = place.loaded_after("UPDATE users SET username = 'eve' WHERE id = 2", &before);
    assert_eq!(loaded, ["users"]);
    for table in ["element", "property"] {
        let reads = place.logged(&format!("SELECT %FROM `centreon_studio`.`{table}`%"));
        assert_eq!(reads.lines().count(), 1, "{reads}");
    }
    let kept = place.beside();
    let schema = kept.iter().find(|name| !name.contains('/')).expect("a previous state");
    assert_eq!(
        place.server.sql(&format!("SELECT username FROM {schema}.users WHERE id = 2")),
        "eve\n"
    );
    let tables = format!(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema}' AND table_type = 'BASE TABLE' \
         ORDER BY 1"
    );
    // The second says what was live before.
    assert_eq!(place.server.sql(&tables), "users\n__snap_undo\n");
}

#[test]
fn what_foreign_keys_connect_is_loaded_together_both_ways_and_on_and_on() {
    let (place, before) = Place::saved_studio(
        "CREATE TABLE leaf (id BIGINT, FOREIGN KEY (id) REFERENCES property (id));
         INSERT INTO leaf VALUES (1);
         CREATE TABLE alone (id INT); INSERT INTO alone VALUES (7)",
    );
    for change in [
        "UPDATE element SET name = 'x' WHERE id = 9",
        "INSERT INTO property VALUES (501)",
        "DELETE FROM leaf",
        "ALTER TABLE leaf COMMENT 'x'",
        "DROP TABLE leaf",
        "CREATE TABLE new (id BIGINT, FOREIGN KEY (id) REFERENCES element (id))",
    ] {
        assert_eq!(
            place.loaded_after(change, &before),
            ["element", "leaf", "property"],
            "{change}"
        );
    }
    assert_eq!(place.loaded_after("INSERT INTO alone VALUES (1)", &before), ["alone"]);
    assert_eq!(
        place.loaded_after("SET foreign_key_checks = 0; DROP TABLE element", &before),
        ["element", "leaf", "property"]
    );
}

#[test]
fn what_a_trigger_writes_to_is_loaded_with_its_table() {
    let (place, before) = Place::saved_studio(
        "CREATE TABLE audit (id INT PRIMARY KEY AUTO_INCREMENT, what TEXT); INSERT INTO audit VALUES (1, 'a');
         CREATE PROCEDURE noted(what TEXT) INSERT INTO audit (what) VALUES (what);
         CREATE TRIGGER seen AFTER UPDATE ON users FOR EACH ROW CALL noted(NEW.username)",
    );
    let change = "DROP TRIGGER seen; UPDATE users SET username = 'x'; CREATE TRIGGER seen AFTER UPDATE ON users FOR EACH ROW CALL noted(NEW.username)";
    assert_eq!(place.loaded_after(change, &before), ["audit", "users"]);
    assert_eq!(place.loaded_after("INSERT INTO audit (what) VALUES ('x')", &before), ["audit"]);
}

#[test]
fn a_counter_alone_is_a_difference() {
    let (place, before) = Place::saved_studio(
        "CREATE TABLE counted (id INT PRIMARY KEY AUTO_INCREMENT); INSERT INTO counted VALUES (1), (2)",
    );
    let change = "INSERT INTO counted VALUES (3); DELETE FROM counted WHERE id = 3";
    assert_eq!(place.loaded_after(change, &before), ["counted"]);
}

#[test]
fn programs_alone_are_replaced_without_loading_a_row() {
    let (place, before) = Place::saved_studio(
        "CREATE TRIGGER second BEFORE INSERT ON element FOR EACH ROW SET NEW.name = LOWER(NEW.name)",
    );
    for change in [
        "DROP TRIGGER checked; CREATE TRIGGER checked BEFORE INSERT ON element FOR EACH ROW PRECEDES second SET NEW.name = 'x'",
        "DROP TRIGGER checked; CREATE TRIGGER checked BEFORE INSERT ON element FOR EACH ROW SET NEW.name = TRIM(NEW.name)",
        "CREATE TRIGGER other BEFORE DELETE ON users FOR EACH ROW SET @x = 1",
        "DROP VIEW names",
        "ALTER EVENT daily DISABLE",
        "DROP PROCEDURE listed",
        "ALTER DATABASE COLLATE latin1_bin",
    ] {
        assert_eq!(place.loaded_after(change, &before), [""; 0], "{change}");
    }
}

#[test]
fn a_sequence_that_went_on_is_set_back_under_the_tables_that_draw_from_it() {
    let (place, before) = Place::saved_studio(
        "CREATE SEQUENCE nr CACHE 1; CREATE TABLE drawn (id INT DEFAULT NEXTVAL(nr), n INT); INSERT INTO drawn (n) VALUES (1)",
    );
    assert_eq!(place.loaded_after("SELECT NEXTVAL(nr), NEXTVAL(nr)", &before), [""; 0]);
    place.server.sql("USE centreon_studio; INSERT INTO drawn (n) VALUES (2)");
    assert_eq!(place.server.sql("SELECT id FROM centreon_studio.drawn ORDER BY n"), "1\n2\n");
}

#[test]
fn what_is_identical_already_is_left_alone_and_full_loads_it() {
    let (place, before) = Place::saved_studio("");
    place.server.sql(WATCH);
    let restored = place.snap(&["restore", "before", "--force", "--restore-certificates"]);
    assert!(
        restored.succeeded().starts_with("nothing to restore from before; nothing was touched")
    );
    assert_eq!(restored.stdout.matches("it is identical already").count(), 3, "{restored:#?}");
    assert_eq!(place.logged("CREATE DATABASE%staging%"), "");
    assert_eq!(place.beside(), [""; 0]);
    let full = place.snap(&["restore", "before", "--force", "--full", "--restore-certificates"]);
    assert!(
        full.succeeded().contains("3 replaced") || full.stdout.contains("4 replaced"),
        "{full:#?}"
    );
    assert!(place.server.dump("centreon_studio") == before, "it differs");
    assert_eq!(place.beside().len(), 3);
}

#[test]
fn who_writes_to_what_stays_waits_for_the_swap_and_loses_nothing() {
    let (place, before) = Place::saved_studio("");
    place.server.sql("UPDATE centreon_studio.element SET name = 'changed'");
    let reader = place.session("USE centreon_studio; BEGIN; SELECT COUNT(*) FROM element");
    let restore = place.start(RESTORE);
    // All is staged now, and the swap waits for the reader.
    place.wait_for(WAITING);
    let mut writer = place.server.spawn("INSERT INTO centreon_studio.users VALUES (99, 'late')");
    place.server.wait_for_waiters(2);
    assert_eq!(place.server.sql("SELECT COUNT(*) FROM centreon_studio.users"), "2\n");
    drop(reader);
    finished(restore).succeeded();
    assert!(writer.wait().expect("wait for the writer").success());
    assert_eq!(place.server.sql("SELECT id FROM centreon_studio.users ORDER BY 1"), "1\n2\n99\n");
    place.server.sql("DELETE FROM centreon_studio.users WHERE id = 99");
    assert!(place.server.dump("centreon_studio") == before, "it differs");
}

#[test]
fn where_somebody_writes_already_all_is_loaded() {
    let (place, before) = Place::saved_studio("");
    place.server.sql("UPDATE centreon_studio.element SET name = 'changed'");
    let mut writer = place.server.session();
    writer.run("BEGIN; INSERT INTO centreon_studio.users VALUES (99, 'early')");
    let restore = place.start(RESTORE);
    let staging = "SELECT 1 FROM information_schema.schemata WHERE schema_name LIKE '%staging%'";
    place.wait_for(staging);
    writer.run("COMMIT");
    let restored = finished(restore);
    restored.succeeded();
    assert!(restored.stderr.contains("somebody writes to tables that could stay"), "{restored:#?}");
    assert!(place.server.dump("centreon_studio") == before, "it is a mixture");
}

#[test]
fn a_lock_that_was_lost_before_the_swap_takes_everything_back() {
    let (place, _) = Place::saved_studio("");
    place.server.sql("UPDATE centreon_studio.element SET name = 'changed'");
    let live = place.live();
    let reader = place.session("USE centreon_studio; BEGIN; SELECT COUNT(*) FROM element");
    let restore = place.start(RESTORE);
    place.wait_for(WAITING);
    let asleep = "SELECT id FROM information_schema.processlist WHERE command = 'Sleep'";
    for id in place.server.sql(asleep).lines() {
        // A client that was about to end may be gone by itself.
        place.server.try_sql(&format!("KILL {id}")).ok();
    }
    until("the lock is gone", || place.server.sql(asleep).is_empty());
    drop(reader);
    finished(restore).failed(20, &["cannot keep tables from being written"]);
    assert!(place.live() == live, "something was touched");
    assert_eq!(place.beside(), [""; 0]);
}

#[test]
fn a_dry_run_names_what_differs_and_with_v_all() {
    let (place, _) = Place::saved_studio("");
    place.server.sql(
        "USE centreon_studio; UPDATE users SET username = 'x'; DROP SEQUENCE number;
         CREATE TABLE extra (id INT); CREATE VIEW extra_view AS SELECT 1",
    );
    let json = place.snap(&["restore", "before", "--force", "--dry-run", "--json"]);
    let expected = [
        "element identical",
        "property identical",
        "users replace",
        "number create",
        "extra drop",
        "extra_view drop",
    ];
    assert_eq!(json.fates(), expected);
    assert!(json.json()["restore"]["estimated_seconds"].as_u64().is_some_and(|it| it > 0));
    let plan = place.snap(&["restore", "before", "--force", "--dry-run"]);
    let counts = "database: 1 create, 1 replace, 2 drop, 2 identical; ";
    assert!(plan.succeeded().contains(counts), "{plan:#?}");
    assert!(plan.stdout.contains("the digest of its rows differs"), "{plan:#?}");
    assert!(!plan.stdout.contains("property"), "{plan:#?}");
    assert!(plan.stdout.contains("it may take about "), "{plan:#?}");
    let all = place.snap(&["restore", "before", "--force", "--dry-run", "-v"]);
    assert!(all.succeeded().contains("property"), "{all:#?}");
    // The restore does what the plan says.
    let done = place.snap(&["restore", "before", "--force", "--json"]);
    assert_eq!(done.fates(), expected);
}

#[test]
fn files_are_named_one_by_one() {
    let (place, _) = Place::saved_studio("");
    let folder = place.root().join(crate::place::CERTIFICATES);
    fs::remove_file(folder.join("current.pem")).expect("remove a link");
    fs::write(folder.join("extra"), "x").expect("write a file");
    let plan = ["restore", "before", "--force", "--restore-certificates", "--dry-run"];
    let plan = place.snap(&plan);
    let line =
        |name: &str| plan.succeeded().lines().find(|line| line.contains(name)).map(str::to_owned);
    assert!(line("current.pem").is_some_and(|line| line.contains("create")), "{plan:#?}");
    assert!(line("extra").is_some_and(|line| line.contains("drop")), "{plan:#?}");
    assert!(line("cloudify_internal_key.pem").is_none(), "{plan:#?}");
}

#[test]
fn a_killed_restore_of_what_differs_leaves_one_state_and_the_next_one_completes() {
    const MOMENTS: usize = 12;
    let (place, _) = Place::saved_studio("");
    let saved = place.live();
    place.use_on();
    let began = Instant::now();
    place.snap(&["restore", "before", "--force", "--restore-certificates"]).succeeded();
    let mut aim = Aim::new(began.elapsed());
    let rows = "USE centreon_studio; SHOW FULL TABLES WHERE table_type <> 'VIEW'; CHECKSUM TABLE element, property, users, used";
    let saved_rows = place.server.sql(rows);
    let (mut moment, mut killed) = (0, 0);
    while moment < MOMENTS || killed < MOMENTS / 2 {
        moment += 1;
        assert!(moment < 10 * MOMENTS, "{killed} restores were killed before their end");
        place.snap(&["restore", "--discard-previous"]).succeeded();
        place.use_on();
        let used_rows = place.server.sql(rows);
        let mut restore = place.start(&["restore", "before", "--force", "--restore-certificates"]);
        thread::sleep(aim.of_round(moment));
        signal(&mut restore, Signal::KILL);
        let has_ended = finished(restore).code == 0;
        aim.learn(has_ended);
        killed += usize::from(!has_ended);
        // The server ends by itself what it was told last.
        let others = "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND user = 'root'";
        until("nobody is connected any more", || place.server.sql(others).is_empty());
        let now = place.server.sql(rows);
        assert!(
            now == used_rows || now == saved_rows,
            "moment {moment}: tables of two states:\n{used_rows}\n{saved_rows}\n{now}"
        );
        place.snap(&["restore", "--resume"]).succeeded();
        place.snap(&["restore", "before", "--force", "--restore-certificates"]).succeeded();
        assert!(place.live() == saved, "moment {moment}: it is not what was saved");
        let beside = place.beside();
        assert!(beside.iter().all(|name| name.contains("previous")), "moment {moment}: {beside:?}");
    }
}

#[test]
fn a_plan_of_many_tables_names_the_largest_and_counts_the_rest() {
    let table = |number: u32| {
        format!(
            "CREATE TABLE t{number} (a TEXT); INSERT INTO t{number} VALUES (REPEAT('x', {}));",
            100 + number
        )
    };
    let (place, _) = Place::saved_studio(&(10..40).map(table).collect::<String>());
    let empty = |number: u32| format!("DELETE FROM t{number};");
    place.server.sql(&format!("USE centreon_studio; {}", (10..40).map(empty).collect::<String>()));
    let plan = place.snap(&["restore", "before", "--force", "--dry-run"]);
    assert!(
        plan.succeeded().contains("database: 30 replace, 4 identical; 3.6 KiB to build\n"),
        "{plan:#?}"
    );
    assert!(plan.stdout.contains("and 10 smaller ones, which -v and --json name\n"), "{plan:#?}");
    let named = |number: u32| plan.stdout.contains(&format!(" t{number} "));
    assert!((20..40).all(named) && !(10..20).any(named), "{plan:#?}");
}
