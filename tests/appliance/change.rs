//! Definitions that change while `create` reads: there is no snapshot of half an upgrade.

use crate::place::Place;
use crate::restore_failures::finished;

/// What is done to table `view` before its rows are read, and the name that is blamed.
const CHANGES: &[(&str, &str)] = &[
    ("ALTER TABLE view ADD COLUMN late INT, ALGORITHM = INSTANT", "view"),
    ("ALTER TABLE view DROP COLUMN late, ALGORITHM = COPY", "view"),
    ("ALTER TABLE view RENAME TO later", "view"),
    ("TRUNCATE TABLE view", "view"),
    ("CREATE TRIGGER late BEFORE INSERT ON view FOR EACH ROW SET NEW.id = 1", "late"),
    ("DROP TABLE view", "view"),
];

#[test]
fn a_table_that_changes_before_it_is_read_is_named_and_nothing_is_listed() {
    let place = Place::empty();
    place.server.load_fixture();
    let mut owner = place.server.session();
    owner.run("USE centreon_studio; SET foreign_key_checks = 0; CREATE TABLE spare LIKE view; INSERT INTO spare SELECT * FROM view");
    for (change, blamed) in CHANGES {
        owner.run("LOCK TABLES view WRITE");
        let create = place.start(&["create", "never", "--connections", "1"]);
        place.server.wait_for_waiters(1);
        owner.run(&format!("{change}; UNLOCK TABLES"));
        let output = finished(create);
        assert_eq!(output.code, 21, "{change}: {output:#?}");
        assert!(output.stderr.contains(&format!("{blamed:?}")), "{change}: {output:#?}");
        owner.run("DROP TABLE IF EXISTS later; CREATE TABLE IF NOT EXISTS view LIKE spare");
    }
    assert_eq!(place.snap(&["list", "-q"]).succeeded(), "");
}

#[test]
fn what_is_made_or_dropped_while_others_are_read_is_named() {
    let place = Place::empty();
    place.server.load_fixture();
    let mut owner = place.server.session();
    owner.run("USE centreon_studio");
    for (change, blamed) in [
        // Its turn comes after `view`: what was read already is locked against such changes until the end.
        ("CREATE TABLE zone_icon (id INT)", "zone_icon"),
        ("DROP TABLE zone_icon", "zone_icon"),
        ("CREATE OR REPLACE VIEW active_overview AS SELECT 1 AS one", "active_overview"),
        ("CREATE PROCEDURE late() DO 0", "late"),
        ("ALTER SEQUENCE audit_number INCREMENT BY 7", "audit_number"),
    ] {
        let mut lock = place.server.session();
        lock.run("LOCK TABLES centreon_studio.view WRITE");
        let create = place.start(&["create", "never", "--connections", "1"]);
        place.server.wait_for_waiters(1);
        owner.run(change);
        lock.run("UNLOCK TABLES");
        let output = finished(create);
        assert_eq!(output.code, 21, "{change}: {output:#?}");
        assert!(output.stderr.contains(&format!("{blamed:?}")), "{change}: {output:#?}");
    }
    assert_eq!(place.snap(&["list", "-q"]).succeeded(), "");
    place.snap(&["create", "afterwards"]).succeeded();
}
