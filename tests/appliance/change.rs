//! Definitions that change while `create` reads: it reads again, and there is no snapshot of half an upgrade.

use crate::place::Place;
use crate::restore_failures::finished;
use crate::server::until;

/// `host` is read first, being the largest; `service` and `spare` are of one definition.
const STUDIO: &str = "
    CREATE DATABASE IF NOT EXISTS work; CREATE OR REPLACE DATABASE centreon_studio; USE centreon_studio;
    CREATE TABLE host (id INT PRIMARY KEY, name TEXT, old INT);
    INSERT INTO host SELECT seq, REPEAT(MD5(seq), 5), seq FROM seq_1_to_5000; ANALYZE TABLE host;
    CREATE TABLE service (id INT PRIMARY KEY, name TEXT); INSERT INTO service VALUES (1, 'service');
    CREATE TABLE spare (id INT PRIMARY KEY, name TEXT); INSERT INTO spare VALUES (2, 'spare');
    CREATE VIEW overview AS SELECT id, name FROM service;
    CREATE SEQUENCE number";

/// What is done to table `host` before its rows are read, and the name that is blamed.
const CHANGES: &[(&str, &str)] = &[
    ("ALTER TABLE host ADD COLUMN late INT DEFAULT 7, ALGORITHM = INSTANT", "host"),
    ("ALTER TABLE host DROP COLUMN old, ALGORITHM = INSTANT", "host"),
    ("ALTER TABLE host MODIFY old BIGINT, ALGORITHM = COPY", "host"),
    ("ALTER TABLE host RENAME TO later", "host"),
    ("TRUNCATE TABLE host", "host"),
    ("CREATE OR REPLACE TABLE host (id INT PRIMARY KEY, name TEXT, old INT)", "host"),
    ("CREATE TRIGGER late BEFORE INSERT ON host FOR EACH ROW SET NEW.id = 1", "late"),
    ("DROP TABLE host", "host"),
];

/// What is done to others while `host` is read.
const CHANGES_BESIDE: &[(&str, &str)] = &[
    ("ALTER TABLE service ADD COLUMN late INT DEFAULT 7, ALGORITHM = INSTANT", "service"),
    ("RENAME TABLE service TO away, spare TO service, away TO spare", "service"),
    ("CREATE TABLE newcomer (id INT)", "newcomer"),
    ("DROP TABLE spare", "spare"),
    ("CREATE OR REPLACE VIEW overview AS SELECT 1 AS one", "overview"),
    ("CREATE PROCEDURE late() DO 0", "late"),
    ("ALTER SEQUENCE number INCREMENT BY 7", "number"),
];

/// Makes these changes, each while another `create` reads, and fails where one is not seen as a whole.
fn prove(changes: &[(&str, &str)]) {
    let place = Place::empty();
    let mut owner = place.server.session();
    for (number, (change, blamed)) in changes.iter().enumerate() {
        owner.run(STUDIO);
        until("a second has passed", || {
            place.server.sql(
                "SELECT MAX(create_time) < NOW() - INTERVAL 1 SECOND FROM information_schema.tables
                 WHERE table_schema = 'centreon_studio'",
            ) == "1\n"
        });
        owner.run("LOCK TABLES host WRITE");
        let (id, copy) = (format!("change-{number}"), format!("copy_{number}"));
        let create = place.start(&["create", &id, "--connections", "1"]);
        place.server.wait_for_waiters(1);
        if change.contains(" host") {
            owner.run(change);
        } else {
            place.server.sql(&format!("USE centreon_studio; {change}"));
        }
        owner.run("UNLOCK TABLES");
        let created = finished(create);
        created.succeeded();
        let note = created.stderr.lines().find(|line| line.contains("database is read again"));
        let note = note.unwrap_or_else(|| panic!("{change}: {created:#?}"));
        assert!(note.contains(&format!("{blamed:?} changed meanwhile")), "{change}: {note}");
        place.snap(&["restore", &id, "--database", &copy]).succeeded();
        let live = place.server.dump("centreon_studio");
        assert!(place.server.dump(&copy) == live, "{change}: the copy is another than\n{live}");
    }
}

#[test]
fn a_table_that_changes_before_it_is_read_is_read_again_as_it_has_become() {
    prove(CHANGES);
}

#[test]
fn what_changes_while_others_are_read_is_read_again_as_it_has_become() {
    prove(CHANGES_BESIDE);
}

/// Partitions that change places, after a write that the moment does not see. No definition changes.
const EXCHANGES: &[&str] = &[
    "ALTER TABLE part EXCHANGE PARTITION late WITH TABLE work.other",
    "ALTER TABLE part EXCHANGE PARTITION late WITH TABLE own",
];

#[test]
fn partitions_that_are_exchanged_meanwhile_are_of_the_moment_too() {
    let place = Place::empty();
    let mut owner = place.server.session();
    for (number, exchange) in EXCHANGES.iter().enumerate() {
        owner.run(STUDIO);
        owner.run(
            "CREATE TABLE part (id INT PRIMARY KEY, v INT) PARTITION BY RANGE (id)
                 (PARTITION early VALUES LESS THAN (10), PARTITION late VALUES LESS THAN (20));
             INSERT INTO part VALUES (1, 1), (11, 11);
             CREATE TABLE own (id INT PRIMARY KEY, v INT); INSERT INTO own VALUES (12, 99);
             CREATE OR REPLACE TABLE work.other LIKE own; INSERT INTO work.other SELECT * FROM own;
             LOCK TABLES host WRITE",
        );
        let (id, copy) = (format!("exchange-{number}"), format!("copy_{number}"));
        let create = place.start(&["create", &id, "--connections", "1"]);
        place.server.wait_for_waiters(1);
        // It waits until the create gives way, and not for the lock on the other table.
        place.server.sql(&format!(
            "USE centreon_studio; INSERT INTO service VALUES (7, 'before'); {exchange}"
        ));
        owner.run("UNLOCK TABLES");
        let created = finished(create);
        created.succeeded();
        let is_told = created.stderr.contains("somebody changes \"part\" meanwhile");
        assert!(is_told, "{exchange}: {created:#?}");
        place.snap(&["restore", &id, "--database", &copy]).succeeded();
        let live = place.server.dump("centreon_studio");
        assert!(place.server.dump(&copy) == live, "{exchange}: the copy is another than\n{live}");
    }
}

#[test]
fn a_database_that_does_not_stop_changing_is_given_up_by_name_and_nothing_is_listed() {
    let place = Place::empty();
    place.server.session().run(STUDIO);
    place.server.session().run(
        "CREATE TABLE work.stop (id INT);
         DELIMITER //
         CREATE PROCEDURE work.go_on(name TEXT) BEGIN
             DECLARE number INT DEFAULT 0;
             WHILE NOT EXISTS (SELECT 1 FROM work.stop) DO
                 SET number = number + 1;
                 EXECUTE IMMEDIATE CONCAT('ALTER TABLE centreon_studio.', name, ' COMMENT \"', number, '\"');
             END WHILE;
         END //
         DELIMITER ;
         DO 0",
    );
    let tables = ["host", "service", "spare"];
    let mut owners = tables.map(|table| {
        let mut owner = place.server.session();
        owner.begin(&format!("CALL work.go_on('{table}')"));
        owner
    });
    let altered = "SELECT COUNT(*) FROM information_schema.tables
        WHERE table_schema = 'centreon_studio' AND table_comment <> '' AND table_type = 'BASE TABLE'";
    until("all of them change", || place.server.sql(altered) == "3\n");
    // Whoever changes something may once miss the moment in which it counts.
    let mut missed = 0;
    let created = loop {
        let created = place.snap(&["create", &format!("missed-{missed}")]);
        if created.code != 0 {
            break created;
        }
        missed += 1;
        assert!(missed < 10, "it is never given up: {created:#?}");
    };
    place.server.sql("INSERT INTO work.stop VALUES (1)");
    for owner in &mut owners {
        owner.finish();
    }
    assert_eq!(created.code, 21, "{created:#?}");
    let error = created.stderr.lines().find(|line| line.starts_with("error: "));
    let error = error.expect("an error is told");
    let is_named = tables.iter().any(|table| error.contains(&format!("{table:?} changed")));
    assert!(error.contains("cannot save one moment") && is_named, "{created:#?}");
    assert!(created.stderr.contains("database is read again"), "{created:#?}");
    assert_eq!(place.ids().lines().count(), missed);
    place.snap(&["create", "afterwards"]).succeeded();
}
