//! Values that tools are known to change come back to the bit: proven by the server's own checksums and dump.

use crate::place::Place;

#[test]
fn values_at_the_edges_of_their_types_come_back() {
    let place = Place::with_options(&["--default-time-zone=+02:00"]);
    place.server.sql(VALUES);
    place.assert_comes_back("studio", &[]);
}

#[test]
fn text_whose_bytes_look_like_separators_comes_back_in_every_character_set() {
    let place = Place::empty();
    place.server.sql(TEXTS);
    place.assert_comes_back("studio", &[]);
    let bytes = "SELECT HEX(u16), HEX(u32), HEX(s), HEX(g) FROM copy.wide WHERE id = 1";
    let expected = "0009000A005C000D0000001A\t0000000A000009090000005C00005C5C00010A5C\t835C955C5C\t815C815C\n";
    assert_eq!(place.server.sql(bytes), expected);
}

#[test]
fn tables_of_every_shape_come_back() {
    let place = Place::empty();
    place.server.sql(SHAPES);
    place.assert_comes_back("studio", &[]);
    let counters = place.server.sql(
        "USE copy; INSERT INTO zero (t) VALUES ('next'); INSERT INTO untouched () VALUES ();
         SELECT MIN(id), MAX(id) FROM zero; SELECT id FROM untouched",
    );
    assert_eq!(counters, "0\t77\n500\n");
}

#[test]
fn rows_of_17_and_of_70_megabytes_come_back() {
    let place = Place::with_options(&["--max-allowed-packet=256M", "--innodb-log-file-size=512M"]);
    place.server.sql(
        "CREATE DATABASE studio; USE studio; CREATE TABLE big (id INT PRIMARY KEY, content LONGBLOB);
         INSERT INTO big VALUES (1, REPEAT(x'0009', 8500000)), (2, REPEAT('0123456789abcde\\n', 4400000)), (3, '')",
    );
    place.save_only("studio");
    let sum = place.server.sql("CHECKSUM TABLE studio.big");
    place.snap(&["create", "before"]).succeeded();
    place.server.sql("DROP DATABASE studio");
    place.snap(&["restore", "before"]).succeeded();
    assert_eq!(place.server.sql("CHECKSUM TABLE studio.big"), sum);
    assert_eq!(
        place.server.sql("SELECT LENGTH(content) FROM studio.big"),
        "17000000\n70400000\n0\n"
    );
}

#[test]
fn a_row_larger_than_the_packets_of_its_server_comes_back() {
    let place = Place::with_options(&["--max-allowed-packet=16M", "--innodb-log-file-size=512M"]);
    place.server.sql(
        "CREATE DATABASE studio; USE studio; CREATE TABLE wide (id INT PRIMARY KEY, a LONGBLOB, b LONGBLOB);
         INSERT INTO wide VALUES (1, REPEAT(x'0009', 6000000), NULL), (2, 'a', 'b');
         UPDATE wide SET b = REPEAT('0123456789abcde\n', 750000) WHERE id = 1",
    );
    place.save_only("studio");
    let sum = place.server.sql("CHECKSUM TABLE studio.wide");
    place.snap(&["create", "before"]).succeeded();
    place.server.sql("DROP DATABASE studio");
    place.snap(&["restore", "before"]).succeeded();
    assert_eq!(place.server.sql("CHECKSUM TABLE studio.wide"), sum);
    let lengths = place.server.sql("SELECT LENGTH(a), LENGTH(b) FROM studio.wide");
    assert_eq!(lengths, "12000000\t12000000\n1\t1\n");
}

const VALUES: &str = r#"
    CREATE DATABASE studio; USE studio;
    SET sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00';
    CREATE TABLE numbers (id INT PRIMARY KEY, f FLOAT, d DOUBLE, f83 FLOAT(8,3), d102 DOUBLE(10,2), m DECIMAL(65,30),
        u FLOAT UNSIGNED, d155 DOUBLE(15,5), d172 DOUBLE(17,2), b BIGINT UNSIGNED, z INT(8) ZEROFILL);
    INSERT INTO numbers VALUES
        (1, 3.402823466e38, 1.7976931348623157e308, 99999.9, 99999999.99,
            12345678901234567890123456789012345.123456789012345678901234567890, 1, 0.1, 1, 18446744073709551615, 42),
        (2, -3.402823466e38, -1.7976931348623157e308, -99999.9, -99999999.99,
            -99999999999999999999999999999999999.999999999999999999999999999999, 2, 9999999999.99999, 2, 0, 0),
        (3, 1.17549435e-38, 2.2250738585072014e-308, 0.001, 0.01, 0.000000000000000000000000000001, 3, -1.00001, 3, 1, 1),
        (4, 1e-45, 4.9e-324, 123.456, 1.005, -0.0, 4, 123456789.12345, 4, 2, 2),
        (5, -0e0, -0e0, -0e0, -0e0, -0, 0, -0e0, -0e0, 3, 3),
        (6, 16777217, 0.1, 12345.678, 12345678.12, 1, 7, 1, 6, 4, 4),
        (7, 1, 1, 99999.999, 1, 1, 1, 1, 999999999999999.99, 5, 5),
        (8, 1, 1, -99999.999, 1, 1, 1, 1, -999999999999999.99, 6, 6);
    INSERT INTO numbers SELECT seq + 100, seq / 7e0, seq / 3e0, seq / 7, seq / 3, seq / 7, seq / 9e0, seq / 7, seq / 3, seq, seq
        FROM seq_1_to_500;
    CREATE TABLE times (id INT PRIMARY KEY, t TIMESTAMP NULL,
        u TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), d DATETIME(3), y YEAR, c TIME(6));
    INSERT INTO times VALUES
        (1, '2024-10-27 00:30:00', '2024-10-27 01:30:00.123456', '2024-03-31 02:30:00.001', 0, '-838:59:59.999999'),
        (2, '2024-10-27 01:30:00', '2024-03-31 00:59:59.999999', '0000-00-00', 1901, '-00:00:00.000001'),
        (3, NULL, '2024-03-31 01:00:00', '2024-02-31', 2155, '838:59:59.999999'),
        (4, '0000-00-00', '2038-01-19 03:14:07.999999', '9999-12-31 23:59:59.999', NULL, NULL),
        (5, '1970-01-01 00:00:01', '1970-01-01 00:00:01', '0000-01-00', 2000, 0);
    CREATE TABLE others (id INT PRIMARY KEY, j JSON, i6 INET6, i4 INET4, u UUID, b1 BIT(1), b64 BIT(64), g GEOMETRY,
        cc VARCHAR(5000) COMPRESSED, cb LONGBLOB COMPRESSED);
    INSERT INTO others VALUES
        (1, '{"a":"\\n\\\\"}', '::1', '1.2.3.4', '123e4567-e89b-12d3-a456-426655440000', b'1', 0x095C0A004E5C0900,
            ST_GeomFromText('POINT(1 2)', 4326), REPEAT('a\t\\\n', 900), REPEAT(x'00095c0a', 1000)),
        (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (3, '[]', '::', '0.0.0.0', '00000000-0000-0000-0000-000000000000', b'0', 0,
            ST_GeomFromText('GEOMETRYCOLLECTION EMPTY'), '', '');
"#;

const TEXTS: &str = r"
    CREATE DATABASE studio; USE studio;
    CREATE TABLE empties (id INT PRIMARY KEY, a VARCHAR(10), b CHAR(5), c BLOB, d VARBINARY(9), e BINARY(4));
    INSERT INTO empties VALUES (1, NULL, NULL, NULL, NULL, NULL), (2, '', '', '', '', ''),
        (3, '\\N', '\\N', '\\N', '\\N', '\\N'), (4, 'a\\', 'b  ', 'c\\\\', 'd  ', 'e '), (5, '\\', '\\', '\\', '\\', '\\'),
        (6, '  ', ' x', ' ', ' ', ' '), (7, 'NULL', 'NULL', x'00', x'1a00', x'0000005c');
    CREATE TABLE only_null (a INT NULL); INSERT INTO only_null VALUES (NULL), (NULL);
    CREATE TABLE only_empty (a VARCHAR(10) NOT NULL); INSERT INTO only_empty VALUES (''), ('a'), ('');
    CREATE TABLE wide (id INT PRIMARY KEY, u16 VARCHAR(40) CHARACTER SET utf16, t16 TEXT CHARACTER SET utf16,
        c16 CHAR(8) CHARACTER SET utf16, u2 VARCHAR(40) CHARACTER SET ucs2, c2 CHAR(8) CHARACTER SET ucs2,
        u32 VARCHAR(40) CHARACTER SET utf32, c32 CHAR(8) CHARACTER SET utf32, le VARCHAR(40) CHARACTER SET utf16le,
        g VARCHAR(40) CHARACTER SET gbk, s VARCHAR(40) CHARACTER SET sjis, b VARCHAR(40) CHARACTER SET big5,
        e ENUM ('a', 'été', '東') CHARACTER SET utf16, st SET ('x', 'ü', '東') CHARACTER SET utf16);
    INSERT INTO wide VALUES
        (1, _utf16 x'0009000A005C000D0000001A', _utf16 x'0A095C0A09005C5C000A', _utf16 x'5C5C09090A0A',
            _ucs2 x'0A0A09095C5C00005C4E', _ucs2 x'5C4E', _utf32 x'0000000A000009090000005C00005C5C00010A5C',
            _utf32 x'00005C4E', _utf16le x'0A000900095C5C005C5C', _gbk x'815C815C', _sjis x'835C955C5C',
            _big5 x'A55CB35C', 'été', 'x,東'),
        (2, '', '', '', '', '', '', '', '', '', '', '', 'a', ''),
        (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (4, '😀 x ', '😀', '😀 ', 'ab ', 'ab', '😀 ', '😀', '😀', 'a', 'b', 'c', '東', 'ü,東');
    CREATE TABLE key16 (k VARCHAR(20) CHARACTER SET utf16 PRIMARY KEY, v INT);
    INSERT INTO key16 VALUES ('a', 1), (_utf16 x'0A0A', 2), ('', 3), (_utf16 x'005C004E', 4);
    CREATE TABLE keysjis (k VARCHAR(20) CHARACTER SET sjis PRIMARY KEY, v INT);
    INSERT INTO keysjis VALUES (_sjis x'835C', 1), ('', 3);
";

const SHAPES: &str = r"
    CREATE DATABASE studio; USE studio; SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO';
    CREATE TABLE zero (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, t TEXT) AUTO_INCREMENT = 77;
    INSERT INTO zero VALUES (0, 'zero'), (5, 'five');
    CREATE TABLE untouched (id INT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 500;
    CREATE TABLE computed (id INT PRIMARY KEY, a INT INVISIBLE DEFAULT 3, v INT AS (a * 2) VIRTUAL,
        s VARCHAR(40) AS (CONCAT('x', a)) STORED, e VARCHAR(60) DEFAULT (CONCAT('a', UUID())),
        w INT AS (id + 1) VIRTUAL INVISIBLE, UNIQUE KEY (v), KEY (s));
    INSERT INTO computed (id, a) VALUES (1, 1), (2, 2), (3, NULL);
    CREATE TABLE old_rules (id INT PRIMARY KEY, n INT CHECK (n > 0), CONSTRAINT below CHECK (n < 10), KEY (n));
    SET check_constraint_checks = 0; INSERT INTO old_rules VALUES (1, -5), (2, 50), (3, 5); SET check_constraint_checks = 1;
    CREATE TABLE parent (id INT PRIMARY KEY);
    CREATE TABLE orphan (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id));
    SET foreign_key_checks = 0; INSERT INTO orphan VALUES (1, 99); SET foreign_key_checks = 1;
    CREATE TABLE hashed (id INT, d DATE, PRIMARY KEY (id, d)) PARTITION BY HASH (id) PARTITIONS 4;
    INSERT INTO hashed SELECT seq, '2020-01-01' FROM seq_1_to_50;
    CREATE TABLE listed (id INT NULL, s VARCHAR(5))
        PARTITION BY LIST COLUMNS (s) (PARTITION a VALUES IN ('a', NULL), PARTITION b VALUES IN ('b'));
    INSERT INTO listed VALUES (1, 'a'), (2, 'b'), (NULL, NULL);
    CREATE TABLE `T` (a INT PRIMARY KEY); CREATE TABLE `t` (b INT PRIMARY KEY, c INT);
    INSERT INTO T VALUES (1); INSERT INTO t VALUES (2, 3);
    CREATE TABLE in_memory (id INT PRIMARY KEY, a VARCHAR(9)) ENGINE = MEMORY; INSERT INTO in_memory VALUES (1, 'a');
    CREATE TABLE in_csv (id INT NOT NULL, a VARCHAR(9) NOT NULL) ENGINE = CSV;
    INSERT INTO in_csv VALUES (1, 'a'), (2, '\\,\n');
    CREATE TABLE twice (id INT NOT NULL, KEY (id)) ENGINE = MyISAM; INSERT INTO twice VALUES (1), (1);
    CREATE TABLE counted (g INT NOT NULL, id INT NOT NULL AUTO_INCREMENT, PRIMARY KEY (g, id)) ENGINE = MyISAM;
    INSERT INTO counted (g) VALUES (1), (1), (2);
    CREATE TABLE unique_only (a INT NOT NULL, b INT NULL, UNIQUE KEY (b), UNIQUE KEY (a)); INSERT INTO unique_only VALUES (2, NULL), (1, NULL);
    CREATE TABLE long_unique (t TEXT, UNIQUE KEY (t)); INSERT INTO long_unique VALUES (REPEAT('a', 5000)), (NULL);
    CREATE TABLE period (id INT, a DATE, b DATE, PERIOD FOR p (a, b), PRIMARY KEY (id, p WITHOUT OVERLAPS));
    INSERT INTO period VALUES (1, '2020-01-01', '2021-01-01'), (1, '2021-01-01', '2022-01-01');
";
