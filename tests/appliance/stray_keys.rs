//! Foreign keys whose tables are gone: they stay behind when their own table moves, and are dropped
//! and added again to come home. Whoever dies between the two loses none.

use crate::place::Place;

/// A key whose table is dropped, beside one of hashes that any `ALTER TABLE` makes another of.
const WHOLE: &str = "
    CREATE DATABASE centreon_studio; USE centreon_studio;
    CREATE TABLE container (id INT PRIMARY KEY);
    CREATE TABLE view (id INT PRIMARY KEY, root INT, address VARCHAR(200), UNIQUE KEY addresses (address) USING HASH,
      CONSTRAINT view_root FOREIGN KEY (root) REFERENCES container (id) ON DELETE CASCADE);
    INSERT INTO container VALUES (1), (2); INSERT INTO view VALUES (1, 1, 'a'), (2, 2, 'b')";
const DANGLING: &str = "
    USE centreon_studio; SET foreign_key_checks = 0;
    DROP TABLE container; UPDATE view SET address = CONCAT(address, ' upgraded')";

const POINT: &str = "database.keys-dropped";
const RESUME: &[&str] = &["restore", "--resume"];

/// Returns the restore of everything in a snapshot, since what dangles stays where nothing differs.
fn restore(id: &str) -> [&str; 5] {
    ["restore", id, "--force", "--full", "--no-safety-snapshot"]
}

/// Returns a place where `dangling` is live, and both states: `whole`, `dangling`.
fn place() -> (Place, [String; 2]) {
    let place = Place::empty();
    let saved = [("whole", WHOLE), ("dangling", DANGLING)].map(|(id, statements)| {
        place.server.sql(statements);
        place.snap(&["create", id]).succeeded();
        place.server.dump("centreon_studio")
    });
    assert!(saved[1].contains("CONSTRAINT `view_root`"), "{}", saved[1]);
    (place, saved)
}

/// Returns the points that come up where keys have strayed.
pub(crate) fn points() -> Vec<String> {
    place().0.points(&restore("whole"))
}

#[test]
fn a_key_that_a_death_left_dropped_is_there_again_on_both_sides() {
    let (place, [whole, dangling]) = place();
    let times =
        |command: &[&str]| place.points(command).iter().filter(|point| *point == POINT).count();
    for (id, wanted, replaced) in [("whole", &whole, &dangling), ("dangling", &dangling, &whole)] {
        let other = if id == "whole" { "dangling" } else { "whole" };
        place.snap(&restore(other)).succeeded();
        let count = times(&restore(id));
        assert!(count > 0, "{id}: no key has strayed");
        for time in 1..=count {
            place.snap(&restore(other)).succeeded();
            place.kill_at(POINT, time, &restore(id));
            place.snap(RESUME).succeeded();
            assert_eq!(place.server.dump("centreon_studio"), *wanted, "{id}, killed {time}.");
            // What was replaced has its keys too.
            place.snap(&["rollback"]).succeeded();
            assert_eq!(place.server.dump("centreon_studio"), *replaced, "{id}, back, {time}.");
        }
        // A rollback brings keys home as well.
        place.snap(&restore(other)).succeeded();
        place.snap(&restore(id)).succeeded();
        let count = times(&["rollback"]);
        for time in 1..=count {
            place.snap(&restore(other)).succeeded();
            place.snap(&restore(id)).succeeded();
            place.kill_at(POINT, time, &["rollback"]);
            place.snap(RESUME).succeeded();
            assert_eq!(
                place.server.dump("centreon_studio"),
                *replaced,
                "{id}, rolled back, {time}."
            );
        }
    }
}
