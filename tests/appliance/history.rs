//! System-versioned tables come back with all that was: rows of every time, and those of today still of today.

use serde_json::Value;

use crate::place::Place;
use crate::recovery::recover;
use crate::server::Server;
use crate::server::assert_succeeds;

/// Tables that keep their history in every way that can be saved, with history of two years.
pub(crate) const HISTORY: &str = "
    CREATE DATABASE studio; USE studio; SET time_zone = '+00:00';
    CREATE SEQUENCE numbers;
    CREATE TABLE hidden (id INT PRIMARY KEY, name VARCHAR(20), u INT UNIQUE, n INT DEFAULT NEXTVAL(numbers), KEY (name))
        WITH SYSTEM VERSIONING;
    CREATE TABLE shown (a VARCHAR(9), b INT, note TEXT WITHOUT SYSTEM VERSIONING, twice INT AS (b * 2) STORED,
        since TIMESTAMP(6) GENERATED ALWAYS AS ROW START INVISIBLE, until TIMESTAMP(6) GENERATED ALWAYS AS ROW END,
        PRIMARY KEY (a), PERIOD FOR SYSTEM_TIME (since, until)) WITH SYSTEM VERSIONING;
    CREATE TABLE keyless (a INT, i INET6) WITH SYSTEM VERSIONING;
    CREATE TABLE of_a_column (id INT AUTO_INCREMENT PRIMARY KEY, kept INT WITH SYSTEM VERSIONING, lost INT);
    CREATE TABLE unlogged (id INT PRIMARY KEY, v INT) ENGINE = MyISAM WITH SYSTEM VERSIONING;
    CREATE TABLE child (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES hidden (id)) WITH SYSTEM VERSIONING;
    CREATE TABLE parts (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING
        PARTITION BY SYSTEM_TIME INTERVAL 1 YEAR STARTS '2020-01-01 00:00:00'
        (PARTITION p0 HISTORY, PARTITION p1 HISTORY, PARTITION p2 HISTORY, PARTITION now CURRENT);
    CREATE TABLE empty (id INT PRIMARY KEY) WITH SYSTEM VERSIONING;
    CREATE VIEW last_year AS SELECT id, name FROM hidden FOR SYSTEM_TIME AS OF TIMESTAMP'2020-06-01 00:00:00';
    SET timestamp = UNIX_TIMESTAMP('2020-03-01 10:00:00.000001');
    INSERT INTO hidden (id, name, u) VALUES (1, 'one', 1), (2, 'two', 2), (3, 'drei\\t\\\\', NULL);
    INSERT INTO shown (a, b, note) VALUES ('a', 1, 'x'), ('b', 2, NULL);
    INSERT INTO keyless VALUES (1, '::1'), (1, '::1'), (NULL, NULL);
    INSERT INTO of_a_column (kept, lost) VALUES (1, 1), (2, 2);
    INSERT INTO unlogged VALUES (1, 1), (2, 2);
    INSERT INTO child VALUES (1, 1), (2, 3);
    INSERT INTO parts VALUES (1, 1), (2, 2);
    SET timestamp = UNIX_TIMESTAMP('2021-03-01 10:00:00.5');
    UPDATE hidden SET name = 'uno', u = 7 WHERE id = 1; DELETE FROM hidden WHERE id = 2;
    UPDATE shown SET b = 10 WHERE a = 'a'; DELETE FROM shown WHERE a = 'b';
    UPDATE keyless SET a = 5 WHERE a = 1 LIMIT 1; DELETE FROM keyless WHERE a IS NULL;
    UPDATE of_a_column SET kept = 9 WHERE id = 1; UPDATE of_a_column SET lost = 8 WHERE id = 2;
    UPDATE unlogged SET v = 5 WHERE id = 1; DELETE FROM unlogged WHERE id = 2;
    UPDATE child SET parent = 1 WHERE id = 2;
    UPDATE parts SET v = 5; DELETE FROM parts WHERE id = 2;
    SET timestamp = UNIX_TIMESTAMP('2022-03-01 10:00:00.999999');
    INSERT INTO hidden (id, name, u) VALUES (2, 'again', 2); UPDATE hidden SET name = 'eins' WHERE id = 1;
    UPDATE parts SET v = 6;
";

/// The tables of `HISTORY`, their first columns, and those that tell a row's time.
const TABLES: [(&str, &str, &str, &str); 8] = [
    ("hidden", "id", "row_start", "row_end"),
    ("shown", "a", "since", "until"),
    ("keyless", "a", "row_start", "row_end"),
    ("of_a_column", "id", "row_start", "row_end"),
    ("unlogged", "id", "row_start", "row_end"),
    ("child", "id", "row_start", "row_end"),
    ("parts", "id", "row_start", "row_end"),
    ("empty", "id", "row_start", "row_end"),
];

/// Returns every row of `HISTORY` with its time, what a plain query sees, and what was seen at two moments; the end
/// of a row without an end reads the same on every server.
pub(crate) fn times(server: &Server, database: &str) -> String {
    let mut all = String::new();
    for (table, key, start, end) in TABLES {
        all += &server.sql(&format!(
            "USE `{database}`; SET time_zone = '+00:00'; SELECT '{table}';
             SELECT {table}.*, {start}, {end} FROM {table} FOR SYSTEM_TIME ALL ORDER BY {key}, {start};
             SELECT 'now'; SELECT * FROM {table} ORDER BY 1;
             SELECT '2020'; SELECT * FROM {table} FOR SYSTEM_TIME AS OF TIMESTAMP'2020-06-01 00:00:00' ORDER BY 1;
             SELECT '2021'; SELECT * FROM {table} FOR SYSTEM_TIME AS OF TIMESTAMP'2021-06-01 00:00:00' ORDER BY 1",
        )
);
    }
    all += &server.sql(&format!(
        "SELECT * FROM `{database}`.last_year ORDER BY 1;
         SELECT COUNT(*) FROM `{database}`.parts PARTITION (p0); SELECT COUNT(*) FROM `{database}`.parts PARTITION (p1);
         SELECT COUNT(*) FROM `{database}`.parts PARTITION (p2)"
    ));
    ["2038-01-19 03:14:07.999999", "2106-02-07 06:28:15.999999"]
        .iter()
        .fold(all, |text, end| text.replace(end, "no end"))
}

#[test]
fn rows_of_all_times_come_back_and_those_of_today_are_of_today() {
    let place = Place::empty();
    place.server.sql(HISTORY);
    place.save_only("studio");
    let (before, definitions) = (times(&place.server, "studio"), definitions(&place, "studio"));
    place.snap(&["create", "before"]).succeeded();
    place.snap(&["restore", "before", "--database", "copy"]).succeeded();
    assert_eq!(times(&place.server, "copy"), before);
    assert_eq!(definitions.replace("`studio`.", "`copy`."), self::definitions(&place, "copy"));

    // What is replaced keeps its history beside.
    place
        .server
        .sql("USE studio; UPDATE hidden SET name = 'bad'; DELETE FROM shown; DELETE FROM parts");
    let bad = times(&place.server, "studio");
    place.snap(&["restore", "before", "--force", "--full"]).succeeded();
    assert_eq!(times(&place.server, "studio"), before);
    assert_eq!(definitions, self::definitions(&place, "studio"));
    let beside = place.beside();
    assert_eq!(beside.len(), 1, "{beside:?}");
    assert_eq!(times(&place.server, &beside[0]), bad);

    // History goes on.
    let changed = "USE studio; UPDATE hidden SET name = 'next' WHERE id = 1;
        SELECT name, row_end < NOW(6) FROM hidden FOR SYSTEM_TIME ALL WHERE id = 1 ORDER BY row_end";
    assert_eq!(place.server.sql(changed), "one\t1\nuno\t1\neins\t1\nnext\t0\n");
}

fn definitions(place: &Place, database: &str) -> String {
    let show =
        |(table, ..): (&str, &str, &str, &str)| format!("SHOW CREATE TABLE `{database}`.{table};");
    place.server.sql(&TABLES.map(show).concat())
}

#[test]
fn the_catalog_counts_the_rows_of_today_apart() {
    let place = Place::empty();
    place.server.sql(HISTORY);
    place.save_only("studio");
    place.snap(&["create", "before"]).succeeded();
    let catalog = place.snap(&["show", "before", "--json"]).json();
    let items = catalog["catalog"]["sources"][0]["items"].as_array().expect("a source has items");
    for item in items {
        let name = item["name"].as_str().expect("an item has a name");
        let count = |times: &str| {
            let counted = place.server.sql(&format!("SELECT COUNT(*) FROM studio.{name} {times}"));
            Value::from(counted.trim().parse::<u64>().expect("a count is a number"))
        };
        assert_eq!(item["rows"], count("FOR SYSTEM_TIME ALL"), "{name}");
        assert_eq!(item["current_rows"], count(""), "{name}");
    }
    assert_eq!(items.len(), TABLES.len());
}

#[test]
fn a_history_of_many_chunks_is_stored_once_and_comes_back() {
    let sums = |place: &Place, database: &str| {
        place.server.sql(&format!(
            "SET time_zone = '+00:00'; SELECT COUNT(*), SUM(CRC32(CONCAT_WS('|', id, v, t, row_start, row_end)))
             FROM `{database}`.big FOR SYSTEM_TIME ALL; SELECT COUNT(*), SUM(CRC32(t)) FROM `{database}`.big"
        ))
    };
    let place = Place::empty();
    place.server.sql(
        "CREATE DATABASE studio; USE studio;
         CREATE TABLE big (id INT PRIMARY KEY, v INT, t VARCHAR(900)) WITH SYSTEM VERSIONING;
         INSERT INTO big SELECT seq, 0, REPEAT(MD5(seq), 25) FROM seq_1_to_25000;
         UPDATE big SET v = 1; UPDATE big SET v = 2 WHERE id < 6000; DELETE FROM big WHERE id % 7 = 0",
    );
    place.save_only("studio");
    place.snap(&["create", "first"]).succeeded();
    place.snap(&["create", "same"]).succeeded();
    let listed = place.snap(&["list", "--json"]).json();
    let same =
        listed["snapshots"].as_array().expect("a list").iter().find(|found| found["id"] == "same");
    let written = same.expect("it is listed")["written_bytes"].as_u64().expect("a number");
    assert!(written < 100_000, "{written} bytes were written for a table that stayed as it was");

    place.server.sql("USE studio; UPDATE big SET v = 3 WHERE id IN (5, 12500, 20001); DELETE FROM big WHERE id = 9999");
    let before = sums(&place, "studio");
    place.snap(&["create", "second"]).succeeded();
    place.snap(&["restore", "second", "--database", "copy"]).succeeded();
    assert_eq!(sums(&place, "copy"), before);
}

#[test]
fn history_that_no_server_would_take_back_is_refused_by_name() {
    let place = Place::empty();
    place.save_only("studio");
    for (statements, words) in [
        (
            "CREATE TABLE bad (id INT PRIMARY KEY, s BIGINT UNSIGNED GENERATED ALWAYS AS ROW START,
                e BIGINT UNSIGNED GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING",
            "TRX_ID",
        ),
        (
            "CREATE TABLE bad (id INT PRIMARY KEY) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME LIMIT 9
                (PARTITION p0 HISTORY, PARTITION p1 HISTORY, PARTITION now CURRENT)",
            "LIMIT or AUTO",
        ),
        (
            "CREATE TABLE bad (id INT PRIMARY KEY) WITH SYSTEM VERSIONING
                PARTITION BY SYSTEM_TIME INTERVAL 1 MONTH AUTO PARTITIONS 3",
            "LIMIT or AUTO",
        ),
        (
            "CREATE TABLE bad (id INT PRIMARY KEY) WITH SYSTEM VERSIONING; SET timestamp = 1700000000;
                INSERT INTO bad VALUES (1), (2); DELETE FROM bad WHERE id = 1",
            "1 rows of its history end when they begin",
        ),
    ] {
        place.server.sql(&format!("CREATE DATABASE studio; USE studio; {statements}"));
        place.snap(&["create", "before"]).failed(1, &["cannot save table \"bad\"", words]);
        assert_eq!(place.ids(), "");
        place.server.sql("DROP DATABASE studio");
    }
}

#[test]
fn a_server_that_lets_nobody_write_another_time_is_refused_before_anything_is_written() {
    let place = Place::with_options(&["--secure-timestamp=YES"]);
    place.server.sql(
        "CREATE DATABASE studio; CREATE TABLE studio.t (id INT PRIMARY KEY) WITH SYSTEM VERSIONING",
    );
    place.save_only("studio");
    place.snap(&["create", "before"]).succeeded();
    let output = place.snap(&["restore", "before", "--database", "copy"]);
    output.failed(14, &["the history of table \"t\"", "secure_timestamp"]);
    assert_eq!(place.server.sql("SHOW DATABASES LIKE 'copy%'"), "");
}

#[test]
fn the_readme_brings_history_back_without_snap() {
    let place = Place::empty();
    place.server.sql(HISTORY);
    place.save_only("studio");
    let before = times(&place.server, "studio");
    place.snap(&["create", "before"]).succeeded();
    place.server.sql("DROP DATABASE studio");
    let output = recover(&place, &place.repository(), "before", &place.path("recovered"));
    assert_succeeds(&output, "recover.sh");
    assert_eq!(times(&place.server, "studio"), before);
}
