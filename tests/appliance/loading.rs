//! What the server says while it loads rows counts, be it about the first of many.
//!
//! `LOAD DATA LOCAL` judges whatever a bulk may not take; by itself it drops and shortens what does not fit.

use crate::place::Place;

/// Returns a place whose snapshot `before` has a table of many rows in one chunk, with generated columns.
fn place_of_many_rows() -> Place {
    let place = Place::empty();
    place.server.sql(
        "CREATE DATABASE centreon_studio; USE centreon_studio;
         CREATE TABLE many (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL, size TINYINT NOT NULL,
             twice INT AS (size * 2) STORED, shout VARCHAR(40) AS (UPPER(name)) VIRTUAL);
         INSERT INTO many (id, name, size) SELECT seq, MD5(seq), seq % 100 FROM seq_1_to_100000",
    );
    place.snap(&["create", "before"]).succeeded();
    assert_eq!(place.chunks("before", "many").len(), 1);
    place
}

/// Checks that a restore of the forged snapshot fails with these words, and that nothing is left of it.
fn assert_refused(place: &Place, words: &[&str]) {
    let restore = ["restore", "forged", "--database", "copy"];
    let output = place.snap(&restore);
    assert_eq!(output.code, 22, "{output:#?}");
    for word in words {
        assert!(output.stderr.contains(word), "{word}: {output:#?}");
    }
    assert_eq!(place.server.sql("SHOW DATABASES LIKE 'copy%'"), "", "something is left");
    assert_eq!(place.server.sql("SELECT COUNT(*) FROM centreon_studio.many"), "100000\n");
    place.snap(&["delete", "forged"]).succeeded();
}

#[test]
fn a_first_row_of_many_that_does_not_fit_fails_the_restore_with_the_words_of_the_server() {
    let place = place_of_many_rows();
    for (row, warning) in [
        (format!("1\t{}\t1", "x".repeat(41)), "Data truncated for column 'name' at row 1"),
        ("1\tname\t300".to_owned(), "Out of range value for column 'size' at row 1"),
        ("2\tname\t2".to_owned(), "Duplicate entry '2' for key 'PRIMARY'"),
        ("1\tname".to_owned(), "Row 1 doesn't contain data for all columns"),
        ("1\tname\t1\tmore".to_owned(), "Row 1 was truncated"),
        ("1\t\\N\t1".to_owned(), "NULL supplied to NOT NULL column 'name' at row 1"),
    ] {
        place.forge_table("many", |_, _, rows| {
            let end = rows.iter().position(|byte| *byte == b'\n').expect("there are rows");
            rows.splice(..end, row.bytes());
        });
        assert_refused(&place, &["cannot load table \"many\", chunk 1: ", warning]);
    }
}

#[test]
fn rows_of_another_number_or_content_fail_the_restore_by_table_and_chunk() {
    let place = place_of_many_rows();
    place.forge_table("many", |_, _, rows| rows.extend_from_slice(b"200000\tname\t1\n"));
    assert_refused(&place, &["table \"many\", chunk 1: the server took 100001 rows of 100000"]);
    place.forge_table("many", |_, _, rows| rows[b"1\t".len()] = b'x');
    assert_refused(&place, &["table \"many\" came out otherwise: the digest of its rows differs"]);
}

#[test]
fn generated_columns_are_proven_by_a_digest_of_their_own() {
    let place = place_of_many_rows();
    place.forge_table("many", |catalog, _, _| {
        let item = &mut catalog.sources[0].items[0];
        let generated = item.generated_digest.as_mut().expect("there are generated columns");
        assert_ne!(*generated, item.digest);
        generated.clone_from(&item.digest);
    });
    assert_refused(&place, &["table \"many\" came out otherwise", "generated columns differs"]);

    // Another release may compute them otherwise: that is told.
    place.forge_table("many", |catalog, _, _| {
        let source = &mut catalog.sources[0];
        source.detail["server"]["version"] = "10.6.0-MariaDB".into();
        source.items[0].generated_digest = Some(source.items[0].digest.clone());
    });
    let output = place.snap(&["restore", "forged", "--database", "copy"]);
    output.succeeded();
    let note = "note: the generated columns of table \"many\" have other values here";
    assert!(output.stderr.contains(note), "{output:#?}");
}

#[test]
fn rows_that_may_not_overlap_come_back_by_several_loaders() {
    let place = Place::empty();
    place.server.sql(
        "CREATE DATABASE centreon_studio; USE centreon_studio;
         CREATE TABLE booked (id INT, since DATE NOT NULL, until DATE NOT NULL, note TEXT,
             PERIOD FOR stay (since, until), PRIMARY KEY (id, stay WITHOUT OVERLAPS));
         INSERT INTO booked SELECT seq, '2026-01-01', '2026-01-02', REPEAT(SHA1(seq), 50)
             FROM seq_1_to_40000",
    );
    place.snap(&["create", "before"]).succeeded();
    assert!(place.chunks("before", "booked").len() > 3);
    place.snap(&["restore", "before", "--database", "copy", "--connections", "4"]).succeeded();
    let checksum = |table: &str| {
        let answer = place.server.sql(&format!("CHECKSUM TABLE {table}"));
        answer.split_whitespace().last().map(str::to_owned)
    };
    assert_eq!(checksum("copy.booked"), checksum("centreon_studio.booked"));
    // Those that wait for each other are told so by the server, and the restore fails.
    let deadlocks = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS \
        WHERE VARIABLE_NAME = 'INNODB_DEADLOCKS'";
    assert_eq!(place.server.sql(deadlocks), "0\n");
}

/// Returns how many empty tables the server was told to fill in one go so far.
fn tables_filled_in_bulk(place: &Place) -> u32 {
    let sql = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS \
        WHERE VARIABLE_NAME = 'INNODB_BULK_OPERATIONS'";
    place.server.sql(sql).trim().parse().expect("it is a number")
}

#[test]
fn large_tables_come_back_whole_be_it_that_one_begins_again() {
    prove_large_tables(&Place::empty());
}

/// Checks that tables which are filled in one transaction come back by any number of loaders, on the
/// server of a place without a database.
pub(crate) fn prove_large_tables(place: &Place) {
    // A row of more than 8 MiB is none of a bulk: it takes all before it back.
    place.server.sql(
        "CREATE DATABASE centreon_studio; USE centreon_studio;
         CREATE TABLE even (id INT PRIMARY KEY, name TEXT, KEY k (name(20))) COMMENT='even';
         INSERT INTO even SELECT seq, REPEAT(SHA1(seq), 50) FROM seq_1_to_40000;
         CREATE TABLE late (id INT PRIMARY KEY, name LONGTEXT, KEY k (name(20)));
         INSERT INTO late SELECT seq, REPEAT(SHA1(seq), 50) FROM seq_1_to_35000;
         INSERT INTO late VALUES (40000, REPEAT('x', 9000000))",
    );
    place.snap(&["create", "before"]).succeeded();
    assert!(place.chunks("before", "even").len() > 3);
    assert!(place.chunks("before", "late").len() > 3);
    let checksums = |database: &str| {
        let tables = format!("CHECKSUM TABLE {database}.even, {database}.late");
        place.server.sql(&tables).replace(&format!("{database}."), "")
    };
    for connections in ["1", "2", "4"] {
        let before = tables_filled_in_bulk(place);
        let copy = format!("copy_{connections}");
        let restore = ["restore", "before", "--database", &copy, "--connections", connections];
        place.snap(&restore).succeeded();
        assert_eq!(checksums(&copy), checksums("centreon_studio"));
        assert_eq!(tables_filled_in_bulk(place), before + 2, "both are begun alone");
    }
    let counted = "SELECT COUNT(*) FROM mysql.innodb_table_stats WHERE database_name LIKE 'copy%' \
        AND n_rows BETWEEN 25000 AND 50000";
    assert_eq!(place.server.sql(counted), "6\n");
}
