//! From MariaDB 10.11 to 11.8 and back. `tests/run` leaves this module out where `SNAP_TEST_SERVERS` says so.

use crate::history;
use crate::loading;
use crate::logins;
use crate::losses;
use crate::place::Place;
use crate::recovery::recover;
use crate::restore_values;
use crate::server::Server;
use crate::server::assert_succeeds;
use crate::users;
use crate::users::ACCOUNTS;
use crate::users::CONFINED;
use crate::users::ROLES;
use crate::users::SOURCE;
use crate::users::USERS;
use crate::users::WITHHELD;

impl Place {
    /// Returns a place whose server is MariaDB 11.8.
    fn of_11_8() -> Self {
        Self::of_release("11.8", &["--plugin-load-add=auth_parsec"])
    }

    /// Brings a snapshot to another place, as an archive.
    fn bring(&self, id: &str, other: &Self) {
        let archive = self.path(&format!("{id}.tar")).display().to_string();
        self.snap(&["download", id, "-o", &archive]).succeeded();
        other.snap(&["upload", &archive]).succeeded();
    }
}

/// Returns all that queries find in a database, value by value, the same on every server: tables, views, sequences.
fn answers(server: &Server, database: &str) -> String {
    let tables = server.sql(&format!(
        "SET SESSION group_concat_max_len = 1000000;
         SELECT CONCAT('`', REPLACE(table_name, '`', '``'), '`'), GROUP_CONCAT(CONCAT('IFNULL(HEX(', CASE
             WHEN data_type IN ('float', 'double') THEN CONCAT('CAST(', name, ' + 0e0 AS CHAR)')
             WHEN data_type IN ('char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext', 'enum', 'set')
                  OR data_type LIKE '%blob' OR data_type LIKE '%binary' THEN name
             WHEN column_type = 'geometry' OR data_type IN ('point', 'linestring', 'polygon')
                 THEN CONCAT('ST_AsBinary(', name, ')')
             ELSE CONCAT('CAST(', name, ' AS CHAR)') END, '), ''N'')') ORDER BY ordinal_position)
         FROM (SELECT *, CONCAT('`', REPLACE(column_name, '`', '``'), '`') AS name FROM information_schema.columns) AS c
         WHERE table_schema = '{database}' GROUP BY BINARY table_name ORDER BY BINARY table_name"
    ));
    let select = |line: &str| {
        let (table, values) = line.split_once('\t').expect("a table has columns");
        let rows = server.sql(&format!(
            "SET time_zone = '+00:00'; SELECT CONCAT_WS(',', {values}) AS line FROM `{database}`.{table} ORDER BY line"
        ));
        format!("{table}\n{rows}")
    };
    tables.lines().map(select).collect()
}

/// Compares two texts; only the first line that differs is shown.
#[track_caller]
fn assert_same(old: &str, new: &str) {
    let differ = old.lines().zip(new.lines()).find(|(old, new)| old != new);
    assert!(differ.is_none(), "{differ:?}");
    assert_eq!(old.lines().count(), new.lines().count());
}

#[test]
fn a_studio_of_10_11_answers_the_same_on_11_8() {
    let (old, new) = (Place::studio(), Place::of_11_8());
    assert!(new.server.sql("SELECT VERSION()").starts_with("11.8."));
    old.snap(&["create", "before"]).succeeded();
    old.bring("before", &new);
    // A new host does not tell which roles it uses.
    new.snap(&["restore", "before", "--to-version", "4.1"]).succeeded();
    assert_same(&answers(&old.server, "centreon_studio"), &answers(&new.server, "centreon_studio"));
    let programs = "SELECT routine_type, routine_name, routine_definition, sql_mode, character_set_client
        FROM information_schema.routines WHERE routine_schema = 'centreon_studio' ORDER BY 2;
        SELECT trigger_name, action_statement, action_order FROM information_schema.triggers
        WHERE trigger_schema = 'centreon_studio' ORDER BY event_object_table, action_timing, event_manipulation, 3;
        SELECT event_name, status, event_definition FROM information_schema.events
        WHERE event_schema = 'centreon_studio' ORDER BY 1;
        SELECT table_name, column_name, column_type, collation_name, is_nullable, extra FROM information_schema.columns
        WHERE table_schema = 'centreon_studio' AND table_name NOT IN
            (SELECT table_name FROM information_schema.views) ORDER BY 1, ordinal_position;
        SELECT table_name, index_name, seq_in_index, column_name, non_unique, index_type
        FROM information_schema.statistics WHERE table_schema = 'centreon_studio' ORDER BY 1, 2, 3;
        SELECT table_name, constraint_name, constraint_type FROM information_schema.table_constraints
        WHERE table_schema = 'centreon_studio' ORDER BY 1, 2";
    assert_same(&old.server.sql(programs), &new.server.sql(programs));
    // And it is a snapshot of its own there.
    new.snap(&["create", "after"]).succeeded();
    new.snap(&["restore", "after", "--force"]).succeeded();
    assert_same(&answers(&old.server, "centreon_studio"), &answers(&new.server, "centreon_studio"));
}

#[test]
fn values_that_tools_change_go_up_and_come_down_again() {
    for statements in [restore_values::VALUES, restore_values::TEXTS, restore_values::SHAPES] {
        let (old, new, third) = (Place::empty(), Place::of_11_8(), Place::empty());
        old.server.sql(statements);
        for place in [&old, &new, &third] {
            place.save_only("studio");
        }
        let before = answers(&old.server, "studio");
        old.snap(&["create", "up"]).succeeded();
        old.bring("up", &new);
        new.snap(&["restore", "up"]).succeeded();
        assert_same(&before, &answers(&new.server, "studio"));
        new.snap(&["create", "down"]).succeeded();
        new.bring("down", &third);
        third.snap(&["restore", "down"]).succeeded();
        assert_same(&before, &answers(&third.server, "studio"));
    }
}

#[test]
fn what_11_8_does_not_tell_of_a_column_is_refused_by_name() {
    losses::refuse_what_is_untold(&Place::of_11_8());
}

#[test]
fn sequences_beyond_all_signed_numbers_go_on_where_they_were() {
    let place = Place::of_11_8();
    place.server.sql(
        "CREATE DATABASE studio; USE studio;
         CREATE SEQUENCE high AS BIGINT UNSIGNED START WITH 18446744073709550000; DO NEXTVAL(high);
         CREATE SEQUENCE circle AS BIGINT UNSIGNED START WITH 18446744073709551611 MINVALUE 18446744073709551610
             MAXVALUE 18446744073709551612 CYCLE NOCACHE;
         DO NEXTVAL(circle), NEXTVAL(circle), NEXTVAL(circle)",
    );
    place.save_only("studio");
    let states = "SELECT * FROM studio.high; SELECT * FROM studio.circle";
    let before = place.server.sql(states);
    place.snap(&["create", "before"]).succeeded();
    place.server.sql("DROP DATABASE studio");
    place.snap(&["restore", "before"]).succeeded();
    assert_eq!(place.server.sql(states), before);
}

#[test]
fn history_crosses_and_the_rows_of_today_stay_of_today() {
    let (old, new, third) = (Place::empty(), Place::of_11_8(), Place::empty());
    old.server.sql(history::HISTORY);
    for place in [&old, &new, &third] {
        place.save_only("studio");
    }
    let before = history::times(&old.server, "studio");
    old.snap(&["create", "up"]).succeeded();
    old.bring("up", &new);
    new.snap(&["restore", "up"]).succeeded();
    assert_eq!(history::times(&new.server, "studio"), before);
    new.snap(&["create", "down"]).succeeded();
    new.bring("down", &third);
    third.snap(&["restore", "down"]).succeeded();
    assert_eq!(history::times(&third.server, "studio"), before);
    // By hand, too.
    new.server.sql("DROP DATABASE studio");
    let output = recover(&new, &new.repository(), "up", &new.path("recovered"));
    assert_succeeds(&output, "recover.sh");
    assert_eq!(history::times(&new.server, "studio"), before);
}

#[test]
fn what_10_11_lacks_is_refused_by_name_before_anything_is_written() {
    let (new, old) = (Place::of_11_8(), Place::empty());
    new.save_only("studio");
    old.save_only("studio");
    old.server.sql("CREATE DATABASE studio; CREATE TABLE studio.live (id INT PRIMARY KEY)");
    let before = old.server.sql("SHOW DATABASES");
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "type",
            "CREATE TABLE bad (id INT PRIMARY KEY, v VECTOR(3) NOT NULL)",
            &["table \"bad\"", "'vector'"],
        ),
        (
            "column",
            "CREATE TABLE bad (t TEXT COLLATE utf8mb4_0900_ai_ci)",
            &["table \"bad\"", "'utf8mb4_0900_ai_ci'"],
        ),
        (
            "database",
            "ALTER DATABASE COLLATE utf8mb4_0900_as_cs",
            &["database \"studio\"", "'utf8mb4_0900_as_cs'"],
        ),
        (
            "sequence",
            "CREATE SEQUENCE bad AS INT UNSIGNED",
            &["sequence \"bad\"", "as int unsigned"],
        ),
        (
            "parameter",
            "CREATE FUNCTION bad(a TEXT CHARSET utf8mb4 COLLATE utf8mb4_0900_ai_ci) RETURNS INT RETURN 1",
            &["function \"bad\"", "'utf8mb4_0900_ai_ci'"],
        ),
        (
            "body",
            "CREATE PROCEDURE bad() SELECT 'a' COLLATE utf8mb4_0900_ai_ci",
            &["procedure \"bad\"", "'utf8mb4_0900_ai_ci'"],
        ),
        (
            "session",
            "SET NAMES utf8mb4 COLLATE utf8mb4_0900_ai_ci; CREATE VIEW bad AS SELECT 'a' AS a",
            &["view \"bad\"", "'utf8mb4_0900_ai_ci'"],
        ),
    ];
    for (id, statements, words) in cases {
        new.server.sql(&format!("CREATE DATABASE studio; USE studio; {statements}"));
        new.snap(&["create", id]).succeeded();
        new.server.sql("DROP DATABASE studio");
        new.bring(id, &old);
        for options in [&["--force"][..], &["--dry-run"]] {
            let output = old.snap(&[&["restore", id], options].concat());
            output.failed(14, words);
            output.failed(14, &["on MariaDB 10.11."]);
        }
        assert_eq!(old.server.sql("SHOW DATABASES"), before, "{id}");
        assert_eq!(old.server.sql("SHOW TABLES FROM studio"), "live\n", "{id}");
    }
}

#[test]
fn what_both_have_comes_down_in_the_collation_of_11_8() {
    let (new, old) = (Place::of_11_8(), Place::empty());
    new.save_only("studio");
    old.save_only("studio");
    new.server.sql(
        "CREATE DATABASE studio; USE studio;
         CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20), KEY (name)); INSERT INTO t VALUES (1, 'é'), (2, 'E');
         CREATE VIEW v AS SELECT name FROM t WHERE name = 'e';
         CREATE FUNCTION same(a VARCHAR(9), b VARCHAR(9)) RETURNS INT RETURN a = b",
    );
    new.snap(&["create", "down"]).succeeded();
    new.bring("down", &old);
    old.snap(&["restore", "down"]).succeeded();
    assert_same(&answers(&new.server, "studio"), &answers(&old.server, "studio"));
    let collations =
        "SELECT table_name, column_name, collation_name FROM information_schema.columns
        WHERE table_schema = 'studio' AND collation_name IS NOT NULL ORDER BY 1, 2;
        SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = 'studio';
        SELECT collation_name FROM information_schema.parameters WHERE specific_schema = 'studio';
        SELECT studio.same('é', 'E')";
    assert!(old.server.sql(collations).contains("utf8mb4_uca1400_ai_ci"));
    assert_same(&new.server.sql(collations), &old.server.sql(collations));
}

#[test]
fn a_routine_keeps_the_collation_of_its_result_and_a_parameter_that_changes_is_named() {
    let (old, new) = (Place::empty(), Place::of_11_8());
    old.save_only("studio");
    new.save_only("studio");
    old.server.sql(
        "CREATE DATABASE studio CHARACTER SET latin1; USE studio;
         CREATE FUNCTION f(a VARCHAR(9) CHARSET utf8mb4, b VARCHAR(9)) RETURNS VARCHAR(9) CHARSET utf8mb4 RETURN a",
    );
    old.snap(&["create", "up"]).succeeded();
    old.bring("up", &new);
    let output = new.snap(&["restore", "up"]);
    output.succeeded();
    let note = "note: function \"f\" takes its parameter 1 as utf8mb4_uca1400_ai_ci here, where it was saved with \
        utf8mb4_general_ci";
    assert!(output.stderr.contains(note), "{output:#?}");
    assert!(!output.stderr.contains("parameter 2"), "{output:#?}");
    let collations = new.server.sql(
        "SELECT ordinal_position, collation_name FROM information_schema.parameters
         WHERE specific_schema = 'studio' AND ordinal_position <> 1 ORDER BY 1",
    );
    assert_eq!(collations, "0\tutf8mb4_general_ci\n2\tlatin1_swedish_ci\n");
}

#[test]
fn accounts_of_every_kind_save_and_restore() {
    let place = Place::of_11_8();
    place.server.sql("INSTALL SONAME 'auth_ed25519'");
    place.hold_little();
    for (user, identified) in logins::WITH_PASSWORD {
        place.saves_as(user, identified, Some("secret"));
    }
    place.saves_as("parsley", "IDENTIFIED VIA parsec USING PASSWORD('secret')", Some("secret"));
    place.saves_by_socket();
}

#[test]
fn accounts_cross_to_11_8_and_log_in() {
    let home = Place::with_accounts(ACCOUNTS);
    let plugins = ["--plugin-load-add=auth_parsec", "--plugin-load-add=auth_ed25519"];
    let new = Place::of_release("11.8", &plugins);
    new.configure(SOURCE);
    home.snap(&["create", "up"]).succeeded();
    home.bring("up", &new);
    let restore = ["restore", "up", "--restore-users", "--trust-definers", "--force"];
    new.snap(&restore).failed(3, WITHHELD);
    home.server.sql(CONFINED);
    // 11.8 prints quotes and backslashes as they are: what is kept is compared beside what is printed.
    let kept = "SELECT User, JSON_EXTRACT(Priv, '$.plugin', '$.authentication_string', '$.auth_or', '$.ssl_type', '$.x509_subject',
            '$.x509_issuer', '$.ssl_cipher', '$.account_locked', '$.password_lifetime', '$.default_role')
        FROM mysql.global_priv WHERE User NOT IN ('root', 'mariadb.sys', 'stranger') ORDER BY User, Host";
    users::assert_same(&new.server.sql(kept), &home.server.sql(kept));
    let plain = |printed: String| printed.replace("''", "'").replace(r"\\", r"\");
    let printed = [&new, &home].map(|place| plain(place.accounts(USERS, ROLES)));
    users::assert_same(&printed[0], &printed[1]);
    assert_eq!(new.members(), home.members());
    let count = "SELECT CURRENT_ROLE(), COUNT(*) > 0 FROM centreon_studio.element";
    assert_eq!(new.ask_as("studio", "sesame", count), "readers\t1\n");
    assert_eq!(new.ask_as("native", "drei", "SELECT 1 FROM centreon_studio.roles LIMIT 1"), "1\n");
    assert!(new.ask_as("locked", "x", "SELECT 1").contains("locked"));
    new.snap(&restore).succeeded();
}

#[test]
fn large_tables_come_back_whole() {
    loading::prove_large_tables(&Place::of_11_8());
}
