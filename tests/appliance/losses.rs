//! What comes back otherwise by itself, without a word of the server: refused by name, or brought back.

use crate::place::Place;

/// What a table `bad` is made of, and what is said of it.
const UNTOLD: &[(&str, &str)] = &[
    ("a VARCHAR(9) DEFAULT '😀?'", "the default \"😀?\" of column \"a\" with ?"),
    ("`ä``b` CHAR(9) CHARACTER SET utf16 DEFAULT 'x😀'", "the default \"x😀\" of column \"ä`b\""),
    ("id INT, e ENUM('x', '?', '😀')", "member \"😀\" of column \"e\" with ?"),
    ("s SET('x', 'y', 'y😀') CHARACTER SET utf32", "member \"y😀\" of column \"s\" with ?"),
    ("s SET('', 'a', 'b')", "an empty member of SET \"s\""),
];

/// Creates refuse what is not told, and what only looks like it comes back.
pub(crate) fn refuse_what_is_untold(place: &Place) {
    place.save_only("studio");
    for (columns, said) in UNTOLD {
        place.server.sql(&format!(
            "CREATE OR REPLACE DATABASE studio CHARACTER SET utf8mb4;
             CREATE TABLE studio.bad ({columns})"
        ));
        place.snap(&["create", "bad"]).failed(1, &["cannot save table \"bad\"", said]);
    }
    place.server.sql(
        "CREATE OR REPLACE DATABASE studio CHARACTER SET utf8mb4; USE studio;
         CREATE TABLE good (id INT PRIMARY KEY, e ENUM('?', 'a''?', '東') DEFAULT '?', s SET('?', 'x') CHARACTER SET utf16,
             a VARCHAR(9) DEFAULT 'is it?', b TEXT DEFAULT '😀?', c VARCHAR(9) DEFAULT (CONCAT('😀', '?')),
             d VARCHAR(9) CHARACTER SET latin1 DEFAULT '?é', CHECK (a <> '😀?'));
         INSERT INTO good (id, e, s) VALUES (1, '?', '?,x'), (2, 'a''?', 'x'), (3, '東', '')",
    );
    place.assert_comes_back("studio", &[]);
}

#[test]
fn what_the_server_does_not_tell_of_a_column_is_refused_by_name() {
    refuse_what_is_untold(&Place::empty());
}

#[test]
fn a_view_of_another_character_set_reads_from_the_database_it_is_in() {
    let place = Place::empty();
    place.server.sql(
        "CREATE DATABASE other; CREATE TABLE other.o (id INT); INSERT INTO other.o VALUES (1)",
    );
    for (database, copy) in [("studio", "kopie"), ("été", "copié")] {
        // The bytes that a client of Latin 1 sends.
        place.server.run_in_latin1(&format!(
            "CREATE DATABASE IF NOT EXISTS `{database}`; USE `{database}`;
             CREATE TABLE t (id INT, `é` INT); INSERT INTO t VALUES (1, 1);
             CREATE VIEW v AS SELECT t.`é`, 'é' AS letter FROM t JOIN other.o USING (id)"
        ));
        place.save_only(database);
        place.snap(&["create", copy.trim_end_matches('é')]).succeeded();
        place.snap(&["restore", copy.trim_end_matches('é'), "--database", copy]).succeeded();
        place.server.sql(&format!("UPDATE `{copy}`.t SET `é` = 2"));
        let read =
            |database| place.server.sql(&format!("SELECT *, HEX(letter) FROM `{database}`.v"));
        assert_eq!(read(copy), "2\té\tE9\n");
        assert_eq!(read(database), "1\té\tE9\n");
    }
}

/// Its rows were computed under two modes, and can be computed under one alone.
const OF_TWO_MODES: &str = "
    CREATE DATABASE studio; USE studio; SET sql_mode = '';
    CREATE TABLE mixed (id INT PRIMARY KEY, text VARCHAR(20), day DATE AS (CAST(text AS DATE)) STORED);
    INSERT INTO mixed (id, text) VALUES (1, '2023-02-31'); SET sql_mode = 'ALLOW_INVALID_DATES';
    INSERT INTO mixed (id, text) VALUES (2, '2023-02-31')";

#[test]
fn no_proof_depends_on_patches_and_suffixes_of_a_version() {
    let place = Place::empty();
    place.save_only("studio");
    place.server.sql(OF_TWO_MODES);
    place.snap(&["create", "mixed"]).succeeded();
    let version = place.server.sql("SELECT SUBSTRING_INDEX(VERSION(), '.', 2)");
    let version = format!("--version={}.99-MariaDB-log", version.trim());
    let other = Place::with_options(&[&version]);
    other.save_only("studio");
    let repository = place.repository().display().to_string();
    let said = &["table \"mixed\" came out otherwise: the digest of its generated columns differs"];
    place.snap(&["restore", "mixed", "--force", "--full"]).failed(22, said);
    other.snap(&["restore", "mixed", "--repository", &repository]).failed(22, said);
    assert_eq!(other.server.sql("SHOW DATABASES LIKE 'studio%'"), "");

    // What is live there has the saved rows, and computed otherwise: a dry run sees that too.
    other.server.sql(&OF_TWO_MODES.replace("ALLOW_INVALID_DATES", ""));
    let dry = ["restore", "mixed", "--repository", &repository, "--force", "--dry-run"];
    let dry = other.snap(&dry);
    assert!(dry.succeeded().contains("database: 1 replace; "), "{dry:#?}");
    assert!(dry.stdout.contains("the digest of its generated columns differs"), "{dry:#?}");
}

#[test]
fn generated_columns_come_back_under_the_mode_that_they_were_computed_under() {
    let place = Place::empty();
    place.server.sql(
        "CREATE DATABASE studio; USE studio; SET sql_mode = '';
         CREATE TABLE usual (id INT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(20), v DATE AS (CAST(text AS DATE)) VIRTUAL,
             s DATE AS (CAST(text AS DATE)) STORED, KEY (s)) AUTO_INCREMENT = 77;
         INSERT INTO usual (id, text) VALUES (1, '2023-02-31'), (2, '2023-00-00'), (3, '2023-01-01'), (4, 'no date');
         SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'; INSERT INTO usual (id, text) VALUES (0, '2023-02-30');
         SET sql_mode = 'ALLOW_INVALID_DATES';
         CREATE TABLE odd LIKE usual; INSERT INTO odd (id, text) SELECT id, text FROM usual WHERE id > 0;
         CREATE TABLE dates (id INT PRIMARY KEY, day DATE DEFAULT '2023-02-31', next INT AS (id + 1) STORED);
         INSERT INTO dates (id, day) VALUES (1, '2023-02-31'), (2, '0000-00-00')",
    );
    place.assert_comes_back("studio", &[]);
}

#[test]
fn events_whose_time_is_over_are_told_by_name() {
    let place = Place::empty();
    place.save_only("studio");
    place.server.sql(
        "CREATE DATABASE studio; USE studio; SET timestamp = UNIX_TIMESTAMP('2020-01-01');
         CREATE EVENT gone ON SCHEDULE AT '2020-01-02' DO DO 1;
         CREATE EVENT gone_too ON SCHEDULE EVERY 1 DAY ENDS '2020-01-02' DISABLE DO DO 1;
         CREATE EVENT kept ON SCHEDULE AT '2020-01-02' ON COMPLETION PRESERVE DO DO 1;
         CREATE EVENT kept_too ON SCHEDULE EVERY 1 DAY ENDS '2020-01-02' ON COMPLETION PRESERVE DO DO 1;
         CREATE EVENT to_come ON SCHEDULE AT '2037-01-02' DO DO 1",
    );
    place.snap(&["create", "before"]).succeeded();
    place.server.sql("DROP EVENT studio.to_come");
    let restored = place.snap(&["restore", "before", "--force"]);
    assert_eq!(restored.code, 3, "{restored:#?}");
    for said in [
        "event \"gone\" is left out: its time is over",
        "event \"gone_too\" is left out: its time is over",
        "event \"kept\" is disabled: its time is over",
        "event \"kept_too\" is disabled: its time is over",
    ] {
        assert!(restored.stderr.contains(said), "{said}: {restored:#?}");
    }
    assert!(!restored.stderr.contains("to_come"), "{restored:#?}");
    let events = "SELECT event_name, status FROM information_schema.events WHERE event_schema = 'studio' ORDER BY 1";
    let left = "kept\tDISABLED\nkept_too\tDISABLED\nto_come\tENABLED\n";
    assert_eq!(place.server.sql(events), left);
}
