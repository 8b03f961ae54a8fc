//! Servers whose settings, neighbours or tables are not what one expects: all comes back all the same,
//! or is refused by name before anything is written.

use std::fs;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use crate::place::Place;

/// Settings that change what is stored, read or computed, unless a session has its own.
const STRICT: &[&str] = &[
    "--sql-mode=TRADITIONAL,ANSI,NO_BACKSLASH_ESCAPES,NO_UNSIGNED_SUBTRACTION",
    "--default-time-zone=+12:45",
    "--explicit-defaults-for-timestamp=OFF",
    "--auto-increment-increment=7",
    "--auto-increment-offset=3",
    "--innodb-strict-mode=ON",
    "--innodb-default-row-format=COMPACT",
    "--character-set-server=utf16",
    "--collation-server=utf16_bin",
    "--old-mode=",
    "--max-statement-time=1",
    "--net-write-timeout=1",
    "--idle-transaction-timeout=1",
    "--lc-messages=fr_FR",
    "--default-week-format=3",
    "--div-precision-increment=1",
    "--completion-type=CHAIN",
    "--autocommit=OFF",
    "--transaction-isolation=READ-UNCOMMITTED",
];

/// What a server with those settings refuses or changes where a session leaves them as they are.
const LAX_TABLES: &str = r"
    SET autocommit = 1, sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', innodb_strict_mode = 0,
        explicit_defaults_for_timestamp = 1, time_zone = '+00:00', max_statement_time = 0;
    CREATE DATABASE studio; USE studio;
    CREATE TABLE dates (id INT AUTO_INCREMENT PRIMARY KEY, d DATE NOT NULL, t TIMESTAMP NULL, u TIMESTAMP NOT NULL DEFAULT '0000-00-00',
        n TIMESTAMP NULL DEFAULT NULL, o TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP);
    INSERT INTO dates VALUES (0, '0000-00-00', NULL, '0000-00-00', NULL, '2024-10-27 00:30:00'),
        (1, '2024-02-31', '2024-10-27 01:30:00', '1970-01-01 00:00:01', NULL, '2024-03-31 01:00:00'),
        (9, '2024-00-00', '2038-01-19 03:14:07', '2024-03-31 02:30:00', NULL, '2024-10-27 01:30:00');
    ALTER TABLE dates AUTO_INCREMENT = 4711;
    CREATE TABLE zeroes (id INT NOT NULL PRIMARY KEY, d DATETIME DEFAULT '0000-00-00 00:00:00', y DATE DEFAULT '2024-02-31');
    INSERT INTO zeroes (id) VALUES (0), (1);
    CREATE TABLE too_wide (id INT PRIMARY KEY, a VARCHAR(9000), b CHAR(255), c CHAR(255), d CHAR(255), e CHAR(255), f CHAR(255), g CHAR(255),
        h CHAR(255), i CHAR(255), j CHAR(255), k CHAR(255), l CHAR(255), m CHAR(255), n CHAR(255), o CHAR(255), p CHAR(255), q CHAR(255),
        r CHAR(255), s CHAR(255), t CHAR(255), u CHAR(255), v CHAR(255), w CHAR(255), x CHAR(255), y CHAR(255), z CHAR(255), aa CHAR(255),
        bb CHAR(255), cc CHAR(255), dd CHAR(255), ee CHAR(255), ff CHAR(255), gg CHAR(255), hh CHAR(255), ii CHAR(255), jj CHAR(255))
        CHARACTER SET latin1 ROW_FORMAT = COMPACT;
    INSERT INTO too_wide (id, b) VALUES (1, 'x');
    CREATE TABLE redundant (id INT PRIMARY KEY, t TEXT) CHARACTER SET utf8mb4 ROW_FORMAT = REDUNDANT; INSERT INTO redundant VALUES (1, 'é\\');
    CREATE TABLE packed (id INT PRIMARY KEY, t TEXT) ROW_FORMAT = COMPRESSED KEY_BLOCK_SIZE = 16; INSERT INTO packed VALUES (1, 'x');
    CREATE TABLE paged (id INT PRIMARY KEY, t TEXT) PAGE_COMPRESSED = 1; INSERT INTO paged VALUES (1, 'x');
    CREATE TABLE quotient (id INT PRIMARY KEY, q DECIMAL(20,10) AS (id / 7) VIRTUAL, w DECIMAL(20,10) AS (id / 7) STORED, c CHAR(3) DEFAULT 'é');
    INSERT INTO quotient (id) VALUES (1), (2);
    CREATE PROCEDURE plain() SELECT 'back\\slash', 1 || 0;
    CREATE EVENT begun ON SCHEDULE EVERY 1 MONTH STARTS '2001-02-03 04:05:06' ON COMPLETION PRESERVE DO DO 1;
    CREATE EVENT ended ON SCHEDULE EVERY 1 YEAR STARTS '2001-01-01' ENDS '2002-01-01' ON COMPLETION PRESERVE DISABLE DO DO 1;
";

#[test]
fn a_server_of_strict_and_odd_settings_changes_nothing() {
    let place = Place::with_options(STRICT);
    assert_eq!(place.server.try_script(LAX_TABLES), "");
    assert_eq!(place.server.sql("SELECT COUNT(*) FROM studio.dates WHERE d = 0 OR u = 0"), "1\n");
    place.assert_comes_back("studio", &[]);
    let counter = "USE studio; SET sql_mode = '', autocommit = 1; INSERT INTO dates (d) VALUES ('2024-01-01');
        SELECT MIN(id), MAX(id) >= 4711 FROM dates";
    assert_eq!(place.server.sql(counter), "0\t1\n");
}

#[test]
fn a_snapshot_of_a_usual_server_comes_back_on_one_of_odd_settings() {
    let (one, other) = (Place::empty(), Place::with_options(STRICT));
    assert_eq!(one.server.try_script(LAX_TABLES), "");
    one.save_only("studio");
    let before = one.all_of("studio");
    one.snap(&["create", "before"]).succeeded();
    other.save_only("studio");
    let repository = format!("--repository={}", one.repository().display());
    other.snap(&["restore", "before", &repository]).succeeded();
    assert_eq!(other.all_of("studio"), before);
}

#[test]
fn foreign_keys_in_circles_and_upon_themselves_come_back_and_hold() {
    let place = Place::empty();
    place.server.sql(
        "CREATE DATABASE studio; USE studio; SET foreign_key_checks = 0;
         CREATE TABLE a (id INT PRIMARY KEY, b INT, self INT, CONSTRAINT to_b FOREIGN KEY (b) REFERENCES b (id) ON DELETE CASCADE,
             CONSTRAINT to_self FOREIGN KEY (self) REFERENCES a (id) ON UPDATE CASCADE);
         CREATE TABLE b (id INT PRIMARY KEY, c INT, d INT, KEY (c, d), CONSTRAINT to_c FOREIGN KEY (c, d) REFERENCES c (id, d));
         CREATE TABLE c (id INT, d INT, a INT, PRIMARY KEY (id, d), CONSTRAINT to_a FOREIGN KEY (a) REFERENCES a (id) ON DELETE SET NULL);
         INSERT INTO a VALUES (1, 1, 2), (2, NULL, 2); INSERT INTO b VALUES (1, 1, 1); INSERT INTO c VALUES (1, 1, 1)",
    );
    place.assert_comes_back("studio", &[]);
    for database in ["studio", "copy"] {
        for wrong in [
            "INSERT INTO a VALUES (3, 9, 1)",
            "INSERT INTO a VALUES (3, 1, 9)",
            "INSERT INTO c VALUES (2, 2, 9)",
        ] {
            let refused = place.server.fails(&format!("USE {database}; {wrong}"));
            assert!(refused.contains("foreign key constraint fails"), "{refused}");
        }
    }
}

#[test]
fn tables_whose_files_lie_elsewhere_are_refused_by_name() {
    let place = Place::empty();
    place.save_only("studio");
    let folder = place.path("elsewhere");
    fs::create_dir(&folder).expect("make a folder");
    let own = format!("DATA DIRECTORY = '{}'", folder.display());
    for columns in [
        format!("id INT PRIMARY KEY) {own}"),
        format!("id INT) PARTITION BY HASH (id) (PARTITION a {own}, PARTITION b)"),
        format!("id INT) ENGINE = MyISAM {own}"),
    ] {
        place.server.sql(&format!("CREATE DATABASE studio; CREATE TABLE studio.far ({columns}"));
        let failed = place.snap(&["create", "never"]);
        failed.failed(1, &["cannot save table \"far\"", "folder"]);
        place.server.sql("DROP DATABASE studio");
    }
    place
        .server
        .sql("CREATE DATABASE studio; CREATE TABLE studio.near (id INT COMMENT ' DATA DIRECTORY')");
    place.snap(&["create", "near"]).succeeded();
}

#[test]
fn tables_that_are_not_the_servers_own_or_broken_are_refused_by_name() {
    let place = Place::empty();
    place.save_only("studio");
    place.server.sql("INSTALL SONAME 'ha_federatedx'");
    let refused = |statement: &str, table: &str, word: &str| {
        place.server.sql(&format!("CREATE DATABASE studio; USE studio; {statement}"));
        if table == "crashed" {
            place.server.sql("FLUSH TABLES");
            let file = place.path("server/data/studio/crashed.MYI");
            let file = OpenOptions::new().write(true).open(file).expect("open an index file");
            file.write_all_at(b"broken", 0).expect("break it");
        }
        let failed = place.snap(&["create", "never"]);
        failed.failed(1, &[&format!("cannot save table {table:?}"), word]);
        assert_eq!(place.ids(), "");
        place.server.sql("DROP DATABASE studio");
    };
    place.server.sql(&format!(
        "CREATE DATABASE other; CREATE TABLE other.near (id INT);
         CREATE SERVER here FOREIGN DATA WRAPPER mysql
             OPTIONS (HOST 'localhost', SOCKET '{}', USER 'root', DATABASE 'other')",
        place.server.socket().display()
    ));
    let remote = "CREATE TABLE far (id INT) ENGINE = FEDERATED CONNECTION = 'here/near'";
    refused(remote, "far", "FEDERATED");
    refused(
        "CREATE TABLE crashed (id INT) ENGINE = MyISAM; INSERT INTO crashed VALUES (1)",
        "crashed",
        "crashed",
    );
}

#[test]
fn a_server_that_tells_no_case_apart_takes_no_two_tables_of_one_name() {
    let (one, other) = (Place::empty(), Place::with_options(&["--lower-case-table-names=1"]));
    one.server.sql("CREATE DATABASE studio; USE studio; CREATE TABLE Zone (id INT PRIMARY KEY); CREATE TABLE zone (id INT PRIMARY KEY)");
    one.save_only("studio");
    one.snap(&["create", "before"]).succeeded();
    other.save_only("studio");
    let repository = format!("--repository={}", one.repository().display());
    let refused = other.snap(&["restore", "before", &repository]);
    refused.failed(14, &["cannot restore \"Zone\"", "lower case"]);
    assert_eq!(other.server.sql("SHOW DATABASES LIKE '%studio%'"), "");
}

#[test]
fn a_value_larger_than_the_packets_of_another_server_comes_back() {
    let place = Place::with_options(&["--max-allowed-packet=64M"]);
    place.server.sql(
        "CREATE DATABASE studio; USE studio; CREATE TABLE big (id INT PRIMARY KEY, content LONGBLOB);
         INSERT INTO big VALUES (1, 'x'), (2, REPEAT('0123456789abcdef', 1000000))",
    );
    place.save_only("studio");
    place.snap(&["create", "before"]).succeeded();
    place.server.sql("SET GLOBAL max_allowed_packet = 8 * 1024 * 1024");
    place.snap(&["restore", "before", "--database", "copy"]).succeeded();
    let sum = |database: &str| place.server.sql(&format!("CHECKSUM TABLE {database}.big"));
    assert_eq!(sum("copy").replace("copy", "studio"), sum("studio"));
}

#[test]
fn a_restore_is_in_the_binary_log_for_others_to_follow() {
    for format in ["MIXED", "ROW", "STATEMENT"] {
        let place = Place::with_options(&["--log-bin=log"]);
        place.server.load_fixture();
        place.server.sql(&format!("SET GLOBAL binlog_format = {format}"));
        let before = place.server.dump("centreon_studio");
        place.save_only("centreon_studio");
        place.snap(&["create", "before"]).succeeded();
        place.server.sql("FLUSH BINARY LOGS");
        place.snap(&["restore", "before", "--database", "copy"]).succeeded();
        assert!(place.server.dump("copy") == before, "{format}: the copy differs");
        let log = place.server.sql("SHOW BINLOG EVENTS IN 'log.000002'");
        assert!(log.contains("RENAME TABLE"), "{format}: {log}");
    }
}

#[test]
fn a_node_of_a_galera_cluster_is_saved_and_restored() {
    let provider = "/usr/lib/galera/libgalera_smm.so";
    let provider = format!("--wsrep-provider={provider}");
    let place = Place::with_options(&[
        "--wsrep-on=ON",
        &provider,
        "--wsrep-cluster-address=gcomm://",
        "--wsrep-new-cluster",
        "--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:0",
        "--wsrep-node-address=127.0.0.1",
        "--binlog-format=ROW",
        "--innodb-autoinc-lock-mode=2",
        "--wsrep-sst-method=rsync",
    ]);
    assert_eq!(place.server.sql("SELECT @@wsrep_on"), "1\n");
    place.server.sql(
        "CREATE DATABASE studio; USE studio; 
         CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, n INT, b LONGBLOB, KEY (n));
         INSERT INTO t (b) SELECT REPEAT(SHA2(seq, 512), 800) FROM seq_1_to_400;
         CREATE TABLE child (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES t (id));
         CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.n = 1; CREATE VIEW v AS SELECT id FROM t",
    );
    place.assert_comes_back("studio", &[]);
}
