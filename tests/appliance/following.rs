//! A snapshot after another: it takes over what still fits, and nothing else.

use crate::place::Place;
use crate::restore_objects::assert_same;

/// Makes a table `name` of 45 MB, which is three chunks, by the SQL of its key and of a number's key.
fn large(name: &str, key: &str, of_number: &str, options: &str) -> String {
    format!(
        "CREATE TABLE {name} (k {key} PRIMARY KEY, v LONGTEXT) {options};
         INSERT INTO {name} SELECT {of_number}, REPEAT(SHA2(seq, 512), 156) FROM seq_1_to_2250;"
    )
}

#[test]
fn a_key_that_was_altered_is_cut_anew_and_comes_back() {
    let place = Place::empty();
    let tables = [
        large("words", "VARCHAR(20) CHARSET latin1", "CONCAT('\u{e9}', seq)", ""),
        large("numbers", "INT", "seq", ""),
        large("days", "DATE", "'2020-01-01' + INTERVAL seq DAY", ""),
    ];
    place.server.sql(&format!("CREATE DATABASE studio; USE studio; {}", tables.concat()));
    place.save_only("studio");
    place.snap(&["create", "before"]).succeeded();
    place.server.sql(
        "USE studio; ALTER TABLE words MODIFY k VARCHAR(20) CHARSET utf8mb4;
         ALTER TABLE numbers MODIFY k VARCHAR(20); ALTER TABLE days MODIFY k VARCHAR(20)",
    );
    let altered = place.all_of("studio");
    place.snap(&["create", "after"]).succeeded();
    place.snap(&["restore", "after", "--force"]).succeeded();
    assert_same(&altered, &place.all_of("studio"));
}

#[test]
fn a_row_in_front_of_a_table_without_transactions_changes_one_chunk() {
    let place = Place::empty();
    let table = large("t", "INT", "seq", "ENGINE = MyISAM");
    place.server.sql(&format!("CREATE DATABASE studio; USE studio; {table}"));
    place.save_only("studio");
    place.snap(&["create", "before"]).succeeded();
    place.server.sql("INSERT INTO studio.t VALUES (-1, 'new')");
    place.snap(&["create", "after"]).succeeded();
    let listed = place.snap(&["list", "--json"]).json();
    let snapshots = listed["snapshots"].as_array().expect("a list");
    let after = snapshots.iter().find(|snapshot| snapshot["id"] == "after").expect("it is listed");
    let bytes = |name: &str| after[name].as_u64().expect("a number");
    let (written, stored) = (bytes("written_bytes"), bytes("stored_bytes"));
    assert!(written * 2 < stored, "{written} of {stored}");
}
