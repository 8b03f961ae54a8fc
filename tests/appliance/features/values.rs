//! Values of every type.

use crate::features::case::Case;
use crate::features::case::note;
use crate::features::tool::Tool;

const SIX_DIGITS: &str = "A FLOAT is written with six digits.";
const NO_SUCH_DATE: &str =
    "The `sql_mode` under which rows are loaded turns such a date into 0000-00-00.";

pub(super) const CASES: &[Case] = &[
    Case {
        name: "FLOAT values",
        script: "CREATE TABLE t (id INT PRIMARY KEY, f FLOAT, u FLOAT(12,3));
            INSERT INTO t VALUES (1, 1234567.75, 12345.678), (2, 3.402823466e38, 0.001), (3, 16777217, 1), (4, 1/3, 1/3);",
        notes: &[
            note(Tool::Dump, SIX_DIGITS, "+ 1|1234570|"),
            note(Tool::Mydumper, SIX_DIGITS, "+ 1|1234570|"),
        ],
        ..Case::PLAIN
    },
    Case {
        name: "DOUBLE, DECIMAL, BIT, BINARY and BLOB values",
        script: r"CREATE TABLE n (id INT PRIMARY KEY, d DOUBLE, m DECIMAL(65,30), b BIGINT UNSIGNED ZEROFILL);
            INSERT INTO n VALUES (1, 1.7976931348623157e308, 12345678901234567890123456789012345.123456789012345678901234567890, 18446744073709551615),
                (2, 4.9e-324, -0.000000000000000000000000000001, 0), (3, -0e0, 0, 42), (4, 1/3e0, 1/3, 7);
            CREATE TABLE b (id INT PRIMARY KEY, b BIT(64), c BINARY(4), v VARBINARY(9), l LONGBLOB);
            INSERT INTO b VALUES (1, 0x095C0A004E5C0900, x'0000005c', x'00', x'00095c0a0d1a2227'), (2, 0, '', '', ''), (3, NULL, NULL, NULL, NULL);",
        ..Case::PLAIN
    },
    Case {
        name: "text and JSON: NULL, empty, separators, emoji, UTF-16, GBK",
        script: r#"CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20), b CHAR(9), c TEXT, j JSON) CHARACTER SET utf8mb4;
            INSERT INTO t VALUES (1, NULL, NULL, NULL, NULL), (2, '', '', '', '""'), (3, '\\N', 'NULL', '\t\n\\\0\Z', '{"a":"\\n\\\\"}'),
                (4, 'a  ', ' b ', '😀 été 東', '[]');
            CREATE TABLE w (id INT PRIMARY KEY, u VARCHAR(40) CHARACTER SET utf16, w CHAR(8) CHARACTER SET utf32, g VARCHAR(40) CHARACTER SET gbk);
            INSERT INTO w VALUES (1, _utf16 x'0009000A005C000D0000001A', _utf32 x'00010A5C', _gbk x'815C815C');"#,
        ..Case::PLAIN
    },
    Case {
        name: "letters with two codes in Shift-JIS and CP932",
        script: "CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(40) CHARACTER SET sjis, c VARCHAR(9) CHARACTER SET cp932);
            INSERT INTO t VALUES (1, _sjis x'835C955C5C', _cp932 x'ED40'), (2, '', _cp932 x'FA5C'), (3, NULL, _cp932 x'81CA'), (4, 'a', _cp932 x'EEF9');",
        notes: &[note(
            Tool::Dump,
            "Rows travel as UTF-8, which has one code for such a letter.",
            "+ 1|835C955C815F|FA5C",
        )],
        ..Case::PLAIN
    },
    Case {
        name: "zero dates",
        script: "SET sql_mode = ''; CREATE TABLE t (id INT PRIMARY KEY, d DATE NOT NULL, e DATETIME(3), s TIMESTAMP NULL, y YEAR);
            INSERT INTO t VALUES (1, '0000-00-00', '0000-00-00', '0000-00-00', 0), (2, '2024-00-00', '2024-05-00', NULL, NULL);",
        ..Case::PLAIN
    },
    Case {
        name: "dates that no calendar has (2024-02-31)",
        script: "SET sql_mode = 'ALLOW_INVALID_DATES'; CREATE TABLE t (id INT PRIMARY KEY, d DATE, e DATETIME);
            INSERT INTO t VALUES (1, '2024-02-31', '2023-11-31 01:02:03');",
        notes: &[
            note(Tool::Dump, NO_SUCH_DATE, "+ 1|0000-00-00|0000-00-00 00:00:00"),
            note(Tool::Mydumper, NO_SUCH_DATE, "+ 1|0000-00-00|0000-00-00 00:00:00"),
        ],
        ..Case::PLAIN
    },
    Case {
        name: "TIMESTAMP in the hour that DST brings twice",
        script: "INSERT INTO mysql.time_zone VALUES (77, 'N'); INSERT INTO mysql.time_zone_name VALUES ('Autumn', 77);
            INSERT INTO mysql.time_zone_transition_type VALUES (77, 0, 7200, 1, 'CEST'), (77, 1, 3600, 0, 'CET');
            INSERT INTO mysql.time_zone_transition VALUES (77, 1711846800, 0), (77, 1729990800, 1);
            SET GLOBAL time_zone = 'Autumn'; CREATE TABLE t (id INT PRIMARY KEY, s TIMESTAMP(6) NULL);
            SET time_zone = '+00:00'; INSERT INTO t VALUES (1, '2024-10-27 00:30:00'), (2, '2024-10-27 01:30:00.000001');",
        asks: "SELECT UNIX_TIMESTAMP(s) FROM studio.t ORDER BY id",
        tidies: "SET GLOBAL time_zone = SYSTEM; DELETE FROM mysql.time_zone WHERE time_zone_id = 77;
            DELETE FROM mysql.time_zone_name WHERE time_zone_id = 77; DELETE FROM mysql.time_zone_transition WHERE time_zone_id = 77;
            DELETE FROM mysql.time_zone_transition_type WHERE time_zone_id = 77",
        ..Case::PLAIN
    },
    Case {
        name: "INET4, INET6 and UUID values",
        script: "CREATE TABLE t (id INT PRIMARY KEY, a INET4, b INET6, u UUID);
            INSERT INTO t VALUES (1, '1.2.3.4', '::1', '123e4567-e89b-12d3-a456-426655440000'), (2, NULL, NULL, NULL);",
        notes: &[note(Tool::Mydumper, "They come back as NULL.", "+ 1|NULL|NULL|NULL")],
        ..Case::PLAIN
    },
    Case {
        name: "geometry and its SRID",
        script: "CREATE TABLE t (id INT PRIMARY KEY, g GEOMETRY NOT NULL, p POINT, SPATIAL KEY (g));
            INSERT INTO t VALUES (1, ST_GeomFromText('POINT(1 2)', 4326), NULL), (2, ST_GeomFromText('LINESTRING(0 0,1.5 1)'), POINT(0.1, -7));",
        ..Case::PLAIN
    },
    Case {
        name: "row of 64 MB",
        script: "CREATE TABLE t (id INT PRIMARY KEY, content LONGBLOB);
            INSERT INTO t VALUES (1, REPEAT('01234567', 8000000)), (2, 'small');",
        asks: "SELECT id, LENGTH(content), MD5(content) FROM studio.t ORDER BY id",
        is_asked_alone: true,
        ..Case::PLAIN
    },
];
