//! Programs that name their own database, and are restored into another one all the same.

use crate::place::Place;

const PROGRAMS: &str = "
    CREATE DATABASE elsewhere; CREATE TABLE elsewhere.place (id INT, name TEXT);
    INSERT INTO elsewhere.place VALUES (1, 'Paris');
    USE centreon_studio;
    CREATE TABLE visit (id INT, place_id INT); INSERT INTO visit VALUES (7, 1);
    CREATE VIEW visited AS SELECT visit.id, name FROM visit JOIN elsewhere.place ON place.id = place_id;
    CREATE TRIGGER centreon_studio.visit_once BEFORE INSERT ON `centreon_studio`.visit
      FOR EACH ROW SET NEW.id = NEW.id + 1;
";

const TRIGGERS: &str = "SELECT trigger_schema FROM information_schema.triggers
    WHERE trigger_name = 'visit_once' ORDER BY 1";

#[test]
fn a_restore_reaches_into_no_database_but_its_own() {
    let place = Place::studio();
    place.server.sql(PROGRAMS);
    let dump = place.server.dump("centreon_studio");
    place.snap(&["create", "before"]).succeeded();

    place.snap(&["restore", "before", "--force"]).succeeded();
    assert!(place.server.dump("centreon_studio") == dump, "the database differs");
    place.snap(&["restore", "--discard-previous"]).succeeded();

    // What is live is not what was saved: neither rehearsal nor copy may put it back there.
    place.server.sql("USE centreon_studio; DROP TRIGGER visit_once; UPDATE visit SET id = 8");
    let copy = ["restore", "before", "--database", "copy", "--only", "database"];
    let output = place.snap(&copy);
    output.succeeded();
    assert_eq!(output.stderr, "", "no note, and no warning");
    assert_eq!(place.server.sql(TRIGGERS), "copy\n");
    assert_eq!(place.server.sql("SELECT * FROM copy.visited"), "7\tParis\n");

    // A new host has no such database to read from, and does not tell which roles it uses.
    place.server.sql("DROP DATABASE copy; DROP DATABASE centreon_studio");
    place.snap(&["restore", "before", "--to-version", "4.1"]).succeeded();
    assert!(place.server.dump("centreon_studio") == dump, "the database differs");
}
