//! Columns, keys and tables of every kind.

use crate::features::case::Case;
use crate::features::case::note;
use crate::features::tool::Tool;

const ROWS_OF_TODAY: &str = "The rows of today alone are saved.";
const CHECKED: &str = "The restore ends with an error: it has old rows checked.";
const STRICT: &str = "The restore ends with an error: it creates the table under strict rules.";

pub(super) const CASES: &[Case] = &[
    Case {
        name: "invisible columns",
        script: "CREATE TABLE t (id INT PRIMARY KEY, shown INT, hidden INT INVISIBLE DEFAULT 7);
            INSERT INTO t (id, shown, hidden) VALUES (1, 1, 1), (2, 2, NULL);",
        notes: &[note(Tool::Mydumper, "They come back with their defaults.", "+ 1|1|7")],
        ..Case::PLAIN
    },
    Case {
        name: "generated columns, virtual and stored",
        script: "CREATE TABLE t (id INT PRIMARY KEY, v INT AS (id * 2) VIRTUAL, s VARCHAR(40) AS (CONCAT('x', id)) STORED, a INT,
                KEY (v), UNIQUE KEY (s));
            INSERT INTO t (id, a) VALUES (1, 1), (2, NULL);",
        ..Case::PLAIN
    },
    Case {
        name: "defaults that are expressions, COMPRESSED columns",
        script: "CREATE TABLE t (id INT PRIMARY KEY, u VARCHAR(60) DEFAULT (CONCAT('a', UUID())), b BLOB DEFAULT ('x'),
                c VARCHAR(5000) COMPRESSED, l LONGBLOB COMPRESSED);
            INSERT INTO t (id, c, l) VALUES (1, REPEAT('a', 900), REPEAT(x'00095c0a', 1000)), (2, NULL, NULL);",
        ..Case::PLAIN
    },
    Case {
        name: "row id 0 in AUTO_INCREMENT, and its counter",
        script: "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'; CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a INT) AUTO_INCREMENT = 4711;
            INSERT INTO t VALUES (0, 1), (5, 2); CREATE TABLE e (id INT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 500;",
        ..Case::PLAIN
    },
    Case {
        name: "sequence position",
        script: "CREATE TABLE t (id INT PRIMARY KEY); CREATE SEQUENCE s START WITH 10 NOCACHE; DO NEXTVAL(s), NEXTVAL(s), NEXTVAL(s);",
        ..Case::PLAIN
    },
    Case {
        name: "column whose default is the next of a sequence",
        script: "CREATE SEQUENCE numbers NOCACHE; CREATE TABLE t (id INT PRIMARY KEY DEFAULT NEXTVAL(numbers), a INT);
            INSERT INTO t (a) VALUES (1), (2);",
        notes: &[note(
            Tool::Dump,
            "The restore ends with an error: it locks the table, and not the sequence.",
            "'numbers' was not locked with LOCK TABLES",
        )],
        ..Case::PLAIN
    },
    Case {
        name: "system-versioned history",
        script: "CREATE TABLE t (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING;
            SET timestamp = 1600000000; INSERT INTO t VALUES (1, 1), (2, 2);
            SET timestamp = 1650000000; UPDATE t SET v = 9 WHERE id = 1; DELETE FROM t WHERE id = 2;",
        asks: "SET time_zone = '+00:00'; SELECT t.*, row_start, row_end FROM studio.t FOR SYSTEM_TIME ALL ORDER BY id, row_start",
        notes: &[note(Tool::Mydumper, ROWS_OF_TODAY, "- 2\t2\t2020-09-13")],
        ..Case::PLAIN
    },
    Case {
        name: "history by transaction (TRX_ID)",
        script: "CREATE TABLE t (id INT PRIMARY KEY, s BIGINT UNSIGNED GENERATED ALWAYS AS ROW START,
                e BIGINT UNSIGNED GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING;
            INSERT INTO t (id) VALUES (1), (2); DELETE FROM t WHERE id = 1;",
        asks: "SELECT id, e = 18446744073709551615 FROM studio.t FOR SYSTEM_TIME ALL ORDER BY id",
        notes: &[
            note(
                Tool::Snap,
                "Such a history counts the transactions of one server, and means nothing elsewhere.",
                "its history counts transactions (TRX_ID)",
            ),
            note(
                Tool::Dump,
                "`--dump-history` says that it cannot.",
                "Cannot use --dump-history for table `t` with transaction-precise history",
            ),
            note(Tool::Mydumper, ROWS_OF_TODAY, "- 1\t0"),
        ],
        ..Case::PLAIN
    },
    Case {
        name: "CHECK that old rows break",
        script: "CREATE TABLE t (id INT PRIMARY KEY, n INT CHECK (n > 0)); SET check_constraint_checks = 0;
            INSERT INTO t VALUES (1, -5), (2, 5);",
        notes: &[
            note(Tool::Dump, CHECKED, "CONSTRAINT `t.n` failed"),
            note(Tool::Mydumper, CHECKED, "CONSTRAINT `t.n` failed"),
        ],
        ..Case::PLAIN
    },
    Case {
        name: "foreign keys in circles, and orphans",
        script: "SET foreign_key_checks = 0; CREATE TABLE a (id INT PRIMARY KEY, b INT, FOREIGN KEY (b) REFERENCES b (id));
            CREATE TABLE b (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES a (id)); INSERT INTO a VALUES (1, 1), (2, 99);
            INSERT INTO b VALUES (1, 1);",
        ..Case::PLAIN
    },
    Case {
        name: "partitions, periods, FULLTEXT, IGNORED, prefix and DESC keys",
        script: "CREATE TABLE p (id INT PRIMARY KEY) PARTITION BY RANGE (id) SUBPARTITION BY KEY (id) SUBPARTITIONS 2
                (PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN MAXVALUE); INSERT INTO p SELECT seq FROM seq_1_to_50;
            CREATE TABLE l (s VARCHAR(5)) PARTITION BY LIST COLUMNS (s) (PARTITION a VALUES IN ('a', NULL), PARTITION b DEFAULT);
            INSERT INTO l VALUES (NULL), ('c');
            CREATE TABLE k (id INT, b VARCHAR(90), c TEXT, PRIMARY KEY (id DESC, b(5)), FULLTEXT KEY (c), KEY k (b) IGNORED, UNIQUE KEY (c));
            INSERT INTO k VALUES (1, 'a', 'one two'), (2, 'b', NULL);
            CREATE TABLE o (id INT, a DATE, b DATE, PERIOD FOR p (a, b), PRIMARY KEY (id, p WITHOUT OVERLAPS));
            INSERT INTO o VALUES (1, '2020-01-01', '2021-01-01'), (1, '2021-01-01', '2022-01-01');",
        asks: "SELECT COUNT(*) FROM studio.p PARTITION (a); SELECT COUNT(*) FROM studio.l PARTITION (a)",
        ..Case::PLAIN
    },
    Case {
        name: "row format too narrow for a strict server",
        script: "SET innodb_strict_mode = 0; CREATE TABLE t (id INT PRIMARY KEY, a CHAR(255), b CHAR(255), c CHAR(255), d CHAR(255),
                e CHAR(255), f CHAR(255), g CHAR(255), h CHAR(255), i CHAR(255), j CHAR(255), k CHAR(255), l CHAR(255), m CHAR(255),
                n CHAR(255), o CHAR(255), p CHAR(255), q CHAR(255), r CHAR(255), s CHAR(255), t CHAR(255), u CHAR(255), v CHAR(255),
                w CHAR(255), x CHAR(255), y CHAR(255), z CHAR(255), aa CHAR(255), bb CHAR(255), cc CHAR(255), dd CHAR(255), ee CHAR(255),
                ff CHAR(255), gg CHAR(255), hh CHAR(255), ii CHAR(255), jj CHAR(255)) CHARACTER SET latin1 ROW_FORMAT = COMPACT;
            INSERT INTO t (id, b) VALUES (1, 'x');",
        notes: &[
            note(Tool::Dump, STRICT, "Row size too large"),
            note(Tool::Mydumper, STRICT, "Row size too large"),
        ],
        ..Case::PLAIN
    },
    Case {
        name: "MyISAM, Aria, MEMORY and CSV tables",
        script: r"CREATE TABLE a (id INT NOT NULL, KEY (id)) ENGINE = MyISAM; INSERT INTO a VALUES (1), (1);
            CREATE TABLE b (id INT PRIMARY KEY) ENGINE = Aria; INSERT INTO b VALUES (1);
            CREATE TABLE c (id INT PRIMARY KEY, v VARCHAR(9)) ENGINE = MEMORY; INSERT INTO c VALUES (1, 'a');
            CREATE TABLE d (id INT NOT NULL, v VARCHAR(9) NOT NULL) ENGINE = CSV; INSERT INTO d VALUES (1, '\\,\n');",
        ..Case::PLAIN
    },
    Case {
        name: "table whose files lie in a folder of their own",
        script: "CREATE TABLE t (id INT PRIMARY KEY) DATA DIRECTORY = '{elsewhere}'; INSERT INTO t VALUES (1);",
        notes: &[note(
            Tool::Snap,
            "Such files cannot be swapped for those of the live table.",
            "its files lie in a folder of their own",
        )],
        ..Case::PLAIN
    },
    Case {
        name: "names with blanks, reserved words, letters beyond ASCII, or that differ by case alone",
        script: r"CREATE TABLE `a b é 東` (`select` INT PRIMARY KEY, `a b` INT, `\\` INT, `été` INT, KEY `k k` (`a b`));
            INSERT INTO `a b é 東` VALUES (1, 2, 3, 4); CREATE TABLE `checksum` (`from` INT PRIMARY KEY); INSERT INTO `checksum` VALUES (1);
            CREATE TABLE T (a INT PRIMARY KEY); CREATE TABLE t (b INT PRIMARY KEY); INSERT INTO T VALUES (1); INSERT INTO t VALUES (2);",
        ..Case::PLAIN
    },
    Case {
        name: "names with apostrophes, quotes, backticks, slashes",
        script: r#"CREATE TABLE `it's` (`o'clock` INT PRIMARY KEY); INSERT INTO `it's` VALUES (1);
            CREATE TABLE `"a/b".` (id INT PRIMARY KEY, `"` INT, ```` INT); INSERT INTO `"a/b".` VALUES (1, 2, 3);
            CREATE TABLE `c``d` (id INT PRIMARY KEY); INSERT INTO `c``d` VALUES (1);"#,
        notes: &[note(
            Tool::Mydumper,
            "Saving ends with errors: names stand in statements and paths as they are.",
            "You have an error in your SQL syntax",
        )],
        ..Case::PLAIN
    },
    Case {
        name: "character set, collation and comment of the database",
        script: "ALTER DATABASE studio CHARACTER SET latin1 COLLATE latin1_bin COMMENT 'it''s \"the\" studio é';
            CREATE TABLE t (id INT PRIMARY KEY, c CHAR(3));",
        ..Case::PLAIN
    },
];
