//! What is missing, by lines of `SHOW GRANTS`, and by what a real server allows and hides.

use super::*;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::throwaway::server;

const ACCOUNT: &str = "`snap`@`localhost`";

fn rights(lines: &[&str]) -> Rights {
    let grants = lines.iter().filter_map(|line| Grant::parse(line)).collect();
    Rights { account: ACCOUNT.to_owned(), grants, release: (10, 11, 19) }
}

fn facts() -> ServerFacts {
    let text = r#"{"version": "10.11.19-MariaDB", "release": [10, 11, 19], "hostname": "host",
        "datadir": "/", "account": "snap@localhost", "sql_mode": "", "character_set": "utf8mb4",
        "collation": "utf8mb4_general_ci", "lower_case_table_names": 0, "max_allowed_packet": 1,
        "local_infile": true, "read_only": false, "log_bin": true,
        "trusts_function_creators": false}"#;
    serde_json::from_str(text).unwrap()
}

fn required(missing: Vec<Missing>) -> Vec<String> {
    missing.into_iter().filter(|missing| !missing.optional).map(|missing| missing.grant).collect()
}

#[test]
fn an_account_without_rights_is_told_all_it_needs_to_create() {
    let missing = rights(&["GRANT USAGE ON *.* TO `snap`@`localhost`"]).missing_for_create("my_db");
    let lines: Vec<_> = missing.iter().map(|m| (m.grant.as_str(), m.optional)).collect();
    assert_eq!(
        lines,
        [
            (
                r"GRANT EVENT, SELECT, SHOW VIEW, TRIGGER ON `my\_db`.* TO `snap`@`localhost`;",
                false
            ),
            ("GRANT SELECT ON `mysql`.`proc` TO `snap`@`localhost`;", false),
            ("GRANT RELOAD ON *.* TO `snap`@`localhost`;", true),
            (r"GRANT LOCK TABLES ON `my\_db`.* TO `snap`@`localhost`;", true),
        ]
    );
    assert!(missing[0].why.contains("TRIGGER to see triggers"), "{}", missing[0].why);
}

#[test]
fn an_account_with_all_rights_lacks_nothing() {
    let all = rights(&["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"]);
    assert_eq!(all.missing_for_create("my_db"), []);
}

#[test]
fn the_rights_of_a_role_and_of_everybody_count() {
    let rights = rights(&[
        "GRANT `r1` TO `snap`@`localhost`",
        "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON `my_db`.* TO `r1`",
        "GRANT RELOAD ON *.* TO `r2`",
        "GRANT SELECT ON `mysql`.`proc` TO PUBLIC",
    ]);
    assert_eq!(rights.missing_for_create("my_db"), []);
}

#[test]
fn a_grant_never_takes_the_place_of_the_rights_there_are() {
    let on_the_name = rights(&["GRANT SELECT ON `my_db`.* TO `snap`@`localhost`"]);
    let grant = &on_the_name.missing_for_create("my_db")[0].grant;
    assert_eq!(grant, "GRANT EVENT, SHOW VIEW, TRIGGER ON `my_db`.* TO `snap`@`localhost`;");
    let on_many = rights(&["GRANT SELECT, DELETE ON `my%`.* TO `snap`@`localhost`"]);
    let grant = &on_many.missing_for_create("my_db")[0].grant;
    let repeated =
        r"GRANT DELETE, EVENT, SELECT, SHOW VIEW, TRIGGER ON `my\_db`.* TO `snap`@`localhost`;";
    assert_eq!(grant, repeated);
}

#[test]
fn an_account_that_sees_the_routines_may_do_without_their_bodies() {
    let own = rights(&["GRANT ALL PRIVILEGES ON `my\\_db`.* TO `snap`@`localhost`"]);
    assert_eq!(required(own.missing_for_create("my_db")), [""; 0]);
    assert!(own.missing_for_create("my_db")[0].grant.contains("`mysql`.`proc`"));
    // All rights show the bodies since the right to see them exists.
    let newer = Rights { release: (11, 3, 0), ..own };
    assert!(!newer.missing_for_create("my_db")[0].grant.contains("`mysql`.`proc`"));
}

/// A database with one of everything, that belongs to root.
const EVERYTHING: &str = "
    CREATE DATABASE full_up; USE full_up;
    CREATE TABLE t (id INT PRIMARY KEY, v INT);
    CREATE TABLE child (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES t (id));
    CREATE VIEW v AS SELECT id FROM t; CREATE SEQUENCE s;
    CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 1;
    CREATE PROCEDURE p() SELECT 1; CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1;
    CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1;";

#[tokio::test]
async fn the_statements_of_create_show_all_that_a_database_holds() {
    server().run(EVERYTHING);
    server().run("CREATE USER reader@localhost");
    let login = server().login("reader", None);
    let missing = connect(&login).await.unwrap().read_rights().await.unwrap();
    for statement in required(missing.missing_for_create("full_up")) {
        server().run(&statement);
    }
    let mut reader = connect(&login).await.unwrap();
    let seen: Vec<(i64, i64, i64, i64, i64)> = reader
        .rows(
            "cannot count",
            "SELECT
                (SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'full_up'),
                (SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'full_up'),
                (SELECT COUNT(ROUTINE_DEFINITION) FROM information_schema.ROUTINES
                    WHERE ROUTINE_SCHEMA = 'full_up'),
                (SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'full_up'),
                (SELECT COUNT(*) FROM information_schema.VIEWS
                    WHERE TABLE_SCHEMA = 'full_up' AND VIEW_DEFINITION <> '')",
        )
        .await
        .unwrap();
    assert_eq!(seen, [(4, 1, 2, 1, 1)]);
    for shown in ["TABLE t", "VIEW v", "TRIGGER tr", "PROCEDURE p", "FUNCTION f", "EVENT e"] {
        server().run_as("reader", &format!("USE full_up; SHOW CREATE {shown}")).unwrap();
    }
    let rights = reader.read_rights().await.unwrap();
    assert_eq!(required(rights.missing_for_create("full_up")), [""; 0]);
    assert!(server().run_as("reader", "BACKUP STAGE START; BACKUP STAGE END").is_err());
    for optional in rights.missing_for_create("full_up") {
        server().run(&optional.grant);
    }
    server().run_as("reader", "BACKUP STAGE START; BACKUP STAGE END").unwrap();
    server().run_as("reader", "LOCK TABLES full_up.t READ; UNLOCK TABLES").unwrap();
    assert_eq!(reader.read_rights().await.unwrap().missing_for_create("full_up"), []);
}

#[test]
fn the_schemas_beside_a_database_with_a_long_name_are_granted_too() {
    let none = rights(&[]);
    let facts = ServerFacts { log_bin: false, ..facts() };
    let database = "d".repeat(64);
    let missing = none.missing_for_restore(&database, &facts);
    let pattern = format!("{}07b7fb69\\_\\_snap\\_%", "d".repeat(32));
    assert!(missing[1].grant.contains(&format!("ON `{pattern}`.*")), "{}", missing[1].grant);
    let granted =
        rights(&missing.iter().map(|m| m.grant.trim_end_matches(';')).collect::<Vec<_>>());
    assert_eq!(granted.missing_for_restore(&database, &facts), []);
}

/// All that a restore does, in short: build beside the live database, swap, drop.
const RESTORE: &str = "
    CREATE DATABASE to_fill__snap_staging_A; USE to_fill__snap_staging_A;
    SET foreign_key_checks = 0;
    CREATE TABLE t (id INT PRIMARY KEY, v INT); CREATE TABLE child (id INT PRIMARY KEY);
    INSERT INTO t VALUES (1, 1); ALTER TABLE t ADD INDEX (v);
    ALTER TABLE child ADD FOREIGN KEY (id) REFERENCES t (id);
    SELECT COUNT(*) FROM t; CREATE SEQUENCE s; DO SETVAL(s, 5, 0);
    CREATE DATABASE to_fill__snap_previous_A; ALTER DATABASE to_fill CHARACTER SET utf8mb4;
    DROP VIEW to_fill.v; DROP TRIGGER to_fill.tr; DROP FUNCTION to_fill.f; DROP EVENT to_fill.e;
    RENAME TABLE to_fill.t TO to_fill__snap_previous_A.t, t TO to_fill.t, child TO to_fill.child,
        s TO to_fill.s;
    USE to_fill;
    CREATE DEFINER = another@localhost FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1;
    CREATE DEFINER = another@localhost VIEW v AS SELECT id, f() AS x FROM t;
    CREATE DEFINER = another@localhost TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 1;
    CREATE DEFINER = another@localhost EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1;
    SHOW CREATE VIEW v; SHOW CREATE FUNCTION f;
    DROP DATABASE to_fill__snap_previous_A; DROP DATABASE to_fill__snap_staging_A;";

const TO_FILL: &str = "
    CREATE OR REPLACE DATABASE to_fill; USE to_fill; CREATE TABLE t (id INT, v INT);
    CREATE VIEW v AS SELECT 1; CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 1;
    CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1;
    CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1;
    DROP DATABASE IF EXISTS to_fill__snap_staging_A; DROP DATABASE IF EXISTS to_fill__snap_previous_A;";

#[tokio::test]
async fn the_statements_of_restore_allow_a_restore_and_none_is_too_much() {
    server().run(TO_FILL);
    server().run(
        "CREATE USER writer@localhost; CREATE USER another@localhost;
        GRANT ALL ON to_fill.* TO another@localhost",
    );
    let login = server().login("writer", None);
    let mut writer = connect(&login).await.unwrap();
    let facts = server().connection().await.read_facts().await.unwrap();
    let missing = writer.read_rights().await.unwrap().missing_for_restore("to_fill", &facts);
    let statements: Vec<&str> = missing.iter().map(|missing| missing.grant.as_str()).collect();
    assert_eq!(statements.len(), 5, "{statements:#?}");
    assert!(statements[1].contains(r"ON `to\_fill\_\_snap\_%`.*"), "{}", statements[1]);
    for statement in &statements {
        server().run(statement);
    }
    assert_eq!(
        writer.read_rights().await.unwrap().missing_for_restore("to_fill", &facts),
        [],
        "the statements give what they promise"
    );
    server().run_as("writer", RESTORE).unwrap();
    // `mysql.proc` is for the proof of routines, which these statements do not make.
    for left_out in [0, 1, 4] {
        let privileges = "REVOKE ALL PRIVILEGES, GRANT OPTION FROM writer@localhost";
        server().run(&format!("{TO_FILL} {privileges}"));
        for (_, statement) in statements.iter().enumerate().filter(|(at, _)| *at != left_out) {
            server().run(statement);
        }
        assert!(server().run_as("writer", RESTORE).is_err(), "{}", statements[left_out]);
    }
}

#[tokio::test]
async fn a_right_of_a_role_counts_once_the_role_is_enabled() {
    server().run(
        "CREATE DATABASE roled; CREATE ROLE keeper; CREATE USER by_role@localhost;
         GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `roled`.* TO keeper;
         GRANT SELECT ON mysql.proc TO keeper; GRANT keeper TO by_role@localhost",
    );
    let login = server().login("by_role", None);
    let before = connect(&login).await.unwrap().read_rights().await.unwrap();
    assert_eq!(required(before.missing_for_create("roled")).len(), 2);
    server().run("SET DEFAULT ROLE keeper FOR by_role@localhost");
    let after = connect(&login).await.unwrap().read_rights().await.unwrap();
    assert_eq!(required(after.missing_for_create("roled")), [""; 0]);
}

#[tokio::test]
async fn a_statement_on_a_pattern_leaves_the_account_what_it_had() {
    server().run(
        "CREATE DATABASE shadow_a; CREATE TABLE shadow_a.t (x INT); CREATE USER app@localhost;
         GRANT SELECT, DELETE ON `shadow%`.* TO app@localhost",
    );
    let login = server().login("app", None);
    let rights = connect(&login).await.unwrap().read_rights().await.unwrap();
    for missing in rights.missing_for_create("shadow_a") {
        server().run(&missing.grant);
    }
    server().run_as("app", "DELETE FROM shadow_a.t; SELECT * FROM shadow_a.t").unwrap();
}
