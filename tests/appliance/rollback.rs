//! `snap rollback`: the state before the last restore comes back, to the last byte, and goes again.

use std::fs;

use crate::place::Place;
use crate::place::SECURITY_FILE;

const RESTORE: &[&str] = &["restore", "before", "--force", "--restore-certificates"];

#[test]
fn a_restore_is_rolled_back_to_the_last_byte_and_the_rollback_too() {
    let place = Place::studio();
    place.snap(&["create", "before"]).succeeded();
    let saved = place.live();
    place.upgrade_badly();
    let upgraded = place.live();
    place.snap(RESTORE).succeeded();
    assert!(place.live() == saved, "it is not what was saved");
    for round in 0..2 {
        let planned = place.snap(&["rollback", "--dry-run"]);
        let words = if round == 0 {
            "would undo restore execution_"
        } else {
            "would undo rollback execution_"
        };
        assert!(planned.succeeded().starts_with(words), "{planned:#?}");
        let undone = place.snap(&["rollback"]);
        assert!(undone.succeeded().contains(" of before, 20"), "{undone:#?}");
        assert!(undone.stdout.contains("; the live database was incomplete for "), "{undone:#?}");
        assert!(
            place.live() == upgraded,
            "round {round}: it is not what it was before the restore"
        );
        place.snap(&["rollback"]).succeeded();
        assert!(place.live() == saved, "round {round}: the restore did not come back");
        assert_eq!(place.beside().len(), 3, "{:?}", place.beside());
    }
}

#[test]
fn what_a_restore_made_where_nothing_was_is_gone_after_a_rollback_and_comes_back() {
    let place = Place::used_studio();
    place.server.sql("DROP DATABASE centreon_studio");
    fs::remove_file(place.root().join(SECURITY_FILE)).expect("remove the security file");
    place.snap(&["restore", "before"]).succeeded();
    let restored = place.live();
    place.snap(&["rollback"]).succeeded();
    assert_eq!(place.server.sql("SHOW DATABASES LIKE 'centreon_studio'"), "");
    assert!(!place.root().join(SECURITY_FILE).exists());
    place.snap(&["rollback"]).succeeded();
    assert!(place.live() == restored, "it did not come back");
    assert_eq!(place.beside(), [""; 0]);
}

#[test]
fn without_a_restore_or_after_its_state_is_discarded_nothing_is_rolled_back() {
    let place = Place::used_studio();
    place.snap(&["rollback"]).failed(14, &["no restore of profile studio", "hint: "]);
    place.snap(&["restore", "before", "--only", "database", "--database", "copy"]).succeeded();
    place
        .snap(&["restore", "before", "--only", "database", "--database", "copy", "--force"])
        .succeeded();
    let dropped = place.snap(&["restore", "--discard-previous"]);
    assert!(
        dropped.succeeded().starts_with("dropped: database copy__snap_previous_"),
        "{dropped:#?}"
    );
    place.snap(&["rollback"]).failed(14, &["no restore of profile studio"]);
}

#[test]
fn a_previous_state_that_somebody_removed_is_named_and_nothing_is_touched() {
    let place = Place::used_studio();
    place.snap(RESTORE).succeeded();
    let live = place.live();
    let previous = place.beside();
    fs::remove_file(previous.last().expect("the security file is kept")).expect("remove it");
    place.snap(&["rollback"]).failed(14, &["rest-security.conf", "is gone"]);
    place.server.sql(&format!("DROP DATABASE {}", previous[0]));
    place.snap(&["restore", "before", "--only", "users"]).succeeded();
    assert!(place.live() == live, "something was touched");
}

#[test]
fn a_rollback_keeps_rights_and_counters_that_a_dump_does_not_show() {
    let place = Place::used_studio();
    let sql = "SELECT table_name, auto_increment FROM information_schema.tables
               WHERE table_schema = 'centreon_studio' ORDER BY 1";
    let counters = place.server.sql(sql);
    place.snap(RESTORE).succeeded();
    assert_ne!(place.server.sql(sql), counters);
    place.snap(&["rollback"]).succeeded();
    assert_eq!(place.server.sql(sql), counters);
}

#[test]
fn a_restore_that_found_all_identical_does_not_stand_in_the_way_back() {
    let place = Place::used_studio();
    let used = place.live();
    let restore = ["restore", "before", "--force", "--restore-certificates"];
    place.snap(&restore).succeeded();
    assert!(place.snap(&restore).succeeded().contains("nothing to restore"));
    place.snap(&["rollback"]).succeeded();
    assert!(place.live() == used, "it is not what was live before");
}

#[test]
fn a_rollback_at_another_server_is_refused() {
    let (place, other) = (Place::used_studio(), Place::empty());
    other.server.sql("CREATE DATABASE centreon_studio; CREATE TABLE centreon_studio.own (id INT)");
    place.snap(&["restore", "before", "--force"]).succeeded();
    let defaults = format!("--defaults-file={}", other.path("my.cnf").display());
    for arguments in [&["rollback", &defaults][..], &["rollback", "--dry-run", &defaults]] {
        place.snap(arguments).failed(14, &["works on the database server"]);
    }
    assert_eq!(other.server.sql("SHOW TABLES FROM centreon_studio"), "own\n");
}
