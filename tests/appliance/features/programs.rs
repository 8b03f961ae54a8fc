//! Views, triggers, routines, events, and the accounts they run as.

use crate::features::case::Case;
use crate::features::case::note;
use crate::features::tool::Tool;

const NO_ACCOUNTS: &str = "What it saves of a database holds no accounts and no grants.";

pub(super) const CASES: &[Case] = &[
    Case {
        name: "views on views and on functions, aggregate functions",
        script: "CREATE TABLE t (id INT PRIMARY KEY, a INT); INSERT INTO t VALUES (1, 2), (2, 3);
            CREATE VIEW zz AS SELECT id, a FROM t; CREATE ALGORITHM = TEMPTABLE SQL SECURITY INVOKER VIEW yy AS SELECT * FROM zz;
            CREATE FUNCTION twice(x INT) RETURNS INT DETERMINISTIC RETURN x * 2; CREATE VIEW aa AS SELECT twice(id) AS id FROM yy;
            CREATE VIEW checked AS SELECT id FROM t WHERE id > 0 WITH CASCADED CHECK OPTION;
            DELIMITER $$
            CREATE AGGREGATE FUNCTION product(x INT) RETURNS INT BEGIN
                DECLARE p INT DEFAULT 1; DECLARE CONTINUE HANDLER FOR NOT FOUND RETURN p; LOOP FETCH GROUP NEXT ROW; SET p = p * x; END LOOP; END $$
            DELIMITER ;",
        asks: "SELECT * FROM studio.aa ORDER BY id; SELECT studio.product(a) FROM studio.t",
        ..Case::PLAIN
    },
    Case {
        name: "broken view",
        script: "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1); CREATE TABLE gone (id INT);
            CREATE VIEW broken AS SELECT id FROM gone; DROP TABLE gone;",
        asks: "SHOW CREATE VIEW studio.broken",
        notes: &[
            note(
                Tool::Snap,
                "No server creates such a view: a note of `create` and a warning of `restore` (exit code 3) name it.",
                "\nwarning: view \"broken\" was broken when saved and is left out\n",
            ),
            note(
                Tool::Dump,
                "The dump ends with an error that names it.",
                "View 'studio.broken' references invalid table(s)",
            ),
            note(
                Tool::Mydumper,
                "A warning names it when it is saved.",
                "Broken table detected, please review: studio.broken",
            ),
        ],
        ..Case::PLAIN
    },
    Case {
        name: "DEFINER that does not exist",
        script: "CREATE USER gone@localhost; CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1);
            CREATE DEFINER = gone@localhost VIEW v AS SELECT id FROM t; CREATE DEFINER = gone@localhost PROCEDURE p() SELECT 1;
            CREATE DEFINER = gone@localhost TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET @a = 1; DROP USER gone@localhost;",
        ..Case::PLAIN
    },
    Case {
        name: "trigger order",
        script: "CREATE TABLE t (id INT PRIMARY KEY, a INT); INSERT INTO t VALUES (1, 1);
            CREATE TRIGGER a_first BEFORE INSERT ON t FOR EACH ROW SET NEW.a = NEW.a + 1;
            CREATE TRIGGER z_before BEFORE INSERT ON t FOR EACH ROW PRECEDES a_first SET NEW.a = NEW.a * 2;
            CREATE TRIGGER b_between BEFORE INSERT ON t FOR EACH ROW FOLLOWS z_before SET NEW.a = NEW.a - 5;",
        ..Case::PLAIN
    },
    Case {
        name: "`sql_mode` of routines and triggers",
        script: r#"CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20)); SET sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES';
            CREATE PROCEDURE p() SELECT 'C:\' || "a" FROM t; CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 'x\' || NEW.a;
            SET sql_mode = ''; CREATE FUNCTION f() RETURNS VARCHAR(20) DETERMINISTIC RETURN "back\\slash";"#,
        notes: &[note(
            Tool::Mydumper,
            "They are created under the `sql_mode` of the restore, and those that it cannot read are missing.",
            "You have an error in your SQL syntax",
        )],
        ..Case::PLAIN
    },
    Case {
        name: "character set and collation of routines and triggers",
        script: "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20)); SET NAMES utf8mb4 COLLATE utf8mb4_bin;
            CREATE PROCEDURE p(a VARCHAR(9)) COMMENT 'été 東' SELECT 'é東' = a; CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 'é東';
            SET collation_connection = latin1_german2_ci; CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 'a' = 'A';
            ALTER DATABASE studio COLLATE utf8mb4_bin; CREATE FUNCTION g(a CHAR(9)) RETURNS INT DETERMINISTIC RETURN a = 'A';
            ALTER DATABASE studio COLLATE utf8mb4_general_ci;",
        notes: &[note(
            Tool::Mydumper,
            "What they compare by becomes the collation that the database has today.",
            "+ parameter\t70\t1\t61\tvarchar(9)\tutf8mb4\tutf8mb4_general_ci",
        )],
        ..Case::PLAIN
    },
    Case {
        name: "packages of `sql_mode` ORACLE",
        script: "CREATE TABLE t (id INT PRIMARY KEY); SET sql_mode = ORACLE;
            DELIMITER $$
            CREATE PACKAGE pack AS FUNCTION one RETURN INT; END $$
            CREATE PACKAGE BODY pack AS FUNCTION one RETURN INT AS BEGIN RETURN 5; END; END $$
            DELIMITER ;",
        asks: "SET sql_mode = ORACLE; USE studio; SELECT pack.one()",
        notes: &[note(Tool::Mydumper, "It saves no packages.", "- routine\t7061636B\tPACKAGE")],
        ..Case::PLAIN
    },
    Case {
        name: "events and their time zone",
        script: "CREATE TABLE t (id INT PRIMARY KEY); CREATE EVENT often ON SCHEDULE EVERY 1 HOUR STARTS '2037-01-01' ENABLE DO DO 1;
            SET time_zone = '+05:30';
            CREATE EVENT once ON SCHEDULE AT '2037-01-01' ON COMPLETION PRESERVE DISABLE COMMENT 'été' DO DO 'é';
            CREATE EVENT begun ON SCHEDULE EVERY 1 MONTH STARTS '2001-02-03 04:05:06' ON COMPLETION PRESERVE DO DO 1;",
        notes: &[note(
            Tool::Mydumper,
            "Their times are kept and their time zone is not: they run at other hours.",
            "+ event\t6F6E6365\t444F2027C3A927\troot@localhost\t2037-01-01 00:00:00",
        )],
        ..Case::PLAIN
    },
    Case {
        name: "accounts, roles, default roles and grants",
        script: "CREATE TABLE t (id INT PRIMARY KEY); CREATE USER u@localhost IDENTIFIED BY 'sesame' WITH MAX_USER_CONNECTIONS 3;
            GRANT SELECT, INSERT (id) ON studio.t TO u@localhost; GRANT CREATE VIEW ON studio.* TO u@localhost WITH GRANT OPTION;
            CREATE ROLE r; CREATE ROLE s; GRANT SELECT ON studio.* TO r; GRANT r TO s; GRANT s TO u@localhost WITH ADMIN OPTION;
            SET DEFAULT ROLE s FOR u@localhost;",
        asks: "SHOW CREATE USER u@localhost; SHOW GRANTS FOR u@localhost; SHOW GRANTS FOR r; SHOW GRANTS FOR s",
        tidies: "DROP USER IF EXISTS u@localhost; DROP ROLE IF EXISTS r, s",
        notes: &[note(Tool::Mydumper, NO_ACCOUNTS, "- CREATE USER `u`@`localhost`")],
        ..Case::PLAIN
    },
    Case {
        name: "grants to PUBLIC",
        script: "CREATE TABLE t (id INT PRIMARY KEY); GRANT SELECT ON studio.* TO PUBLIC;",
        asks: "SHOW GRANTS FOR PUBLIC",
        tidies: "REVOKE ALL PRIVILEGES, GRANT OPTION FROM PUBLIC",
        notes: &[
            note(
                Tool::Dump,
                "`--system=users` leaves them out.",
                "- GRANT SELECT ON `studio`.* TO PUBLIC",
            ),
            note(Tool::Mydumper, NO_ACCOUNTS, "- GRANT SELECT ON `studio`.* TO PUBLIC"),
        ],
        ..Case::PLAIN
    },
];
