//! What a database is made of beside plain tables comes back as it was, and works: sequences, views, programs,
//! foreign keys, odd names. What cannot be saved is refused by name.

use std::fs;

use crate::place::Place;

impl Place {
    /// Makes `snap` save this database alone.
    pub(crate) fn save_only(&self, database: &str) {
        // A JSON string is a TOML string.
        let name = serde_json::to_string(database).expect("a name is JSON");
        let profile = format!(
            "profile = 'one'\n[[profiles.one.sources]]\nname = 'database'\nkind = 'database'\ndatabase = {name}\n"
        );
        fs::write(self.path("snap.toml"), profile).expect("write snap.toml");
    }

    /// Returns all of a database: its dump, and the server's own checksum of every stored row.
    /// A name with quotes or a backslash, which `mariadb-dump` cannot open, has its tables shown.
    pub(crate) fn all_of(&self, database: &str) -> String {
        let tables = self.server.sql(&format!(
            "SELECT CONCAT('`', REPLACE(table_name, '`', '``'), '`') FROM information_schema.tables
             WHERE BINARY table_schema = '{}' AND table_type = 'BASE TABLE' ORDER BY BINARY table_name",
            database.replace('\\', "\\\\").replace('\'', "''")
        ));
        let tables: Vec<_> = tables.lines().collect();
        let name = database.replace('`', "``");
        let sums = self.server.sql(&format!("USE `{name}`; CHECKSUM TABLE {}", tables.join(", ")));
        let sums = sums.lines().filter_map(|line| line.rsplit_once('\t'));
        let sums: Vec<_> =
            tables.iter().zip(sums).map(|(table, (_, sum))| format!("{table} {sum}\n")).collect();
        assert_eq!(sums.len(), tables.len());
        let shown = if database.contains(['\'', '"', '\\']) {
            let show = |table: &&str| format!("SHOW CREATE TABLE `{name}`.{table};");
            self.server.sql(&tables.iter().map(show).collect::<String>())
        } else {
            self.server.dump(database)
        };
        format!("{}{shown}", sums.concat())
    }

    /// Checks that a database comes back from a snapshot, under another name and in its own place.
    /// What its definitions name by database and name has to name the copy there.
    #[track_caller]
    pub(crate) fn assert_comes_back(&self, database: &str, named_in_full: &[&str]) {
        self.save_only(database);
        let before = self.all_of(database);
        self.snap(&["create", "before"]).succeeded();
        self.snap(&["restore", "before", "--database", "copy"]).succeeded();
        let expected = named_in_full.iter().fold(before.clone(), |text, name| {
            text.replace(&format!("`{database}`.`{name}`"), &format!("`copy`.`{name}`"))
        });
        assert_same(&expected, &self.all_of("copy"));
        self.snap(&["restore", "before", "--force", "--full"]).succeeded();
        assert_same(&before, &self.all_of(database));
        assert_eq!(self.beside().len(), 1, "{:?}", self.beside());
        // There and back again: what was live before the restore was the same.
        for _ in 0..2 {
            self.snap(&["rollback"]).succeeded();
            assert_same(&before, &self.all_of(database));
            assert_eq!(self.beside().len(), 1, "{:?}", self.beside());
        }
    }
}

/// Compares two texts; only the first line that differs is shown.
#[track_caller]
pub(crate) fn assert_same(before: &str, after: &str) {
    let mut lines = before.lines().zip(after.lines());
    if let Some((old, new)) = lines.find(|(old, new)| old != new) {
        let start = |line: &str| line.chars().take(300).collect::<String>();
        panic!("it came back otherwise:\n{}\n{}", start(old), start(new));
    }
    assert_eq!(before.lines().count(), after.lines().count());
}

#[test]
fn sequences_go_on_where_they_were_and_feed_their_columns_under_any_name() {
    let place = Place::empty();
    place.server.sql(
        "CREATE DATABASE studio; USE studio;
         CREATE SEQUENCE number START WITH 10 COMMENT = 'it''s, ENGINE=CONNECT;';
         CREATE SEQUENCE used_up MAXVALUE 3 NOCACHE; DO NEXTVAL(used_up), NEXTVAL(used_up), NEXTVAL(used_up);
         CREATE SEQUENCE down START WITH -5 INCREMENT BY -2 MINVALUE -100 MAXVALUE -1 CACHE 3; DO NEXTVAL(down);
         CREATE SEQUENCE circle MAXVALUE 3 CYCLE NOCACHE;
         DO NEXTVAL(circle), NEXTVAL(circle), NEXTVAL(circle), NEXTVAL(circle), NEXTVAL(circle);
         CREATE TABLE plain (id INT PRIMARY KEY DEFAULT NEXTVAL(number), name TEXT);
         CREATE TABLE computed (id INT PRIMARY KEY DEFAULT (NEXTVAL(number) * 2 + 1), name TEXT);
         CREATE TABLE quoted (id INT PRIMARY KEY,
             code VARCHAR(90) DEFAULT (CONCAT('DEFAULT nextval(`studio`.`other`)', NEXTVAL(number)))
             COMMENT ' DEFAULT nextval(`studio`.`other`)');
         INSERT INTO plain (name) VALUES ('a'), ('b'); INSERT INTO computed (name) VALUES ('c')",
    );
    place.assert_comes_back("studio", &["number"]);
    let next = |database: &str| {
        place.server.sql(&format!(
            "USE {database}; INSERT INTO plain (name) VALUES ('new'); INSERT INTO computed (name) VALUES ('new');
             SELECT id FROM plain WHERE name = 'new' UNION ALL SELECT id FROM computed WHERE name = 'new';
             SELECT NEXTVAL(down), NEXTVAL(circle), NEXTVAL(circle)"
        ))
    };
    // Cached numbers are skipped, none comes twice.
    let expected = "1010\n2023\n-11\t3\t1\n";
    assert_eq!(next("studio"), expected);
    place.server.sql("DROP DATABASE studio");
    assert_eq!(next("copy"), expected, "the copy lives by the original");
    let used_up =
        place.server.sql("SET @@sql_mode = ''; SELECT next_not_cached_value FROM copy.used_up");
    assert_eq!(used_up, "4\n");
}

#[test]
fn views_triggers_routines_and_events_come_back_as_they_were_written() {
    let place = Place::empty();
    place.server.sql(PROGRAMS);
    place.assert_comes_back("studio", &["f1"]);
    let order = "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = 'copy'
                 ORDER BY action_order";
    assert_eq!(place.server.sql(order), "second\né `third`%'\nfirst\n");
    let events = "SELECT event_name, status, time_zone FROM information_schema.events
                  WHERE event_schema = 'studio' ORDER BY event_name";
    let expected = "commented\tENABLED\t+05:30\nelsewhere\tSLAVESIDE_DISABLED\t+05:30\nonce ENABLE é\tENABLED\t+05:30\nrepeated\tENABLED\tSYSTEM\n";
    assert_eq!(place.server.sql(events), expected);
    let oracle = "USE copy; SET sql_mode = ORACLE; SELECT pack.one()";
    assert_eq!(place.server.sql(oracle), "5\n");
    assert_eq!(place.server.sql("SELECT r, z FROM copy.through"), "12\té12\n");
}

/// Views in reverse alphabetical order, and every kind of program in settings of its own.
const PROGRAMS: &str = r#"
    CREATE DATABASE studio CHARACTER SET latin1 COLLATE latin1_bin COMMENT 'it''s "the" \\ studio é'; USE studio;
    CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a INT, b VARCHAR(20)); INSERT INTO t VALUES (1, 1, 'x');
    CREATE VIEW zz AS SELECT id, a FROM t; CREATE VIEW yy AS SELECT * FROM zz;
    CREATE VIEW xx AS SELECT * FROM yy; CREATE VIEW aa AS SELECT * FROM xx;
    CREATE VIEW `it's % ``named``` AS
        SELECT studio.t.id, studio.t.b AS `be``e.f'%` FROM studio.t WHERE studio.t.b <> '`studio`.`t`';
    CREATE FUNCTION f1(x INT) RETURNS INT DETERMINISTIC RETURN x + 10 + (SELECT COUNT(*) FROM t);
    CREATE FUNCTION `f``2 é%'`(x INT) RETURNS VARCHAR(40) RETURN CONCAT('é', f1(x));
    CREATE VIEW through AS SELECT f1(id) AS q, studio.f1(a) AS r, `f``2 é%'`(1) AS z FROM t;
    CREATE TRIGGER first BEFORE INSERT ON t FOR EACH ROW SET NEW.a = NEW.a + 1;
    CREATE TRIGGER second BEFORE INSERT ON t FOR EACH ROW PRECEDES first SET NEW.a = NEW.a * 2;
    CREATE TRIGGER `é ``third``%'` BEFORE INSERT ON t FOR EACH ROW FOLLOWS second SET NEW.b = CONCAT(NEW.b, 'é');
    CREATE EVENT repeated ON SCHEDULE EVERY 1 HOUR STARTS '2037-01-01' ENABLE DO INSERT INTO t (a) VALUES (1);
    SET time_zone = '+05:30';
    CREATE EVENT `once ENABLE é` ON SCHEDULE AT '2037-01-01' ON COMPLETION PRESERVE ENABLE COMMENT ' ENABLE '
        DO SELECT ' ENABLE ';
    CREATE EVENT elsewhere ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01' DISABLE ON SLAVE DO SELECT 1;
    DELIMITER //
    CREATE AGGREGATE FUNCTION total(x INT) RETURNS INT BEGIN
        DECLARE s INT DEFAULT 0; DECLARE CONTINUE HANDLER FOR NOT FOUND RETURN s;
        LOOP FETCH GROUP NEXT ROW; SET s = s + x; END LOOP;
    END //
    SET sql_mode = ORACLE //
    CREATE PACKAGE pack AS FUNCTION one RETURN INT; PROCEDURE two(x INT); END; //
    CREATE PACKAGE BODY pack AS
        y INT := 5; FUNCTION one RETURN INT AS BEGIN RETURN y; END; PROCEDURE two(x INT) AS BEGIN SELECT x; END;
    END; //
    CREATE PROCEDURE oracle(x IN INT) AS BEGIN IF x > 1 THEN SELECT 'a' || 'b'; END IF; END; //
    SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES' //
    CREATE PROCEDURE "ansi"() SELECT "id", 'back\' FROM "t" //
    CREATE PROCEDURE commented() COMMENT 'back\slash''s "\n" é' SELECT 'back\' //
    CREATE EVENT commented ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01' COMMENT 'back\slash''s "\n" é' DO SELECT 'back\' //
    SET sql_mode = '' //
    SET NAMES latin1 //
    CREATE PROCEDURE written_in_latin1() SELECT 'cafÃ©', _utf8mb4'x' //
    CREATE VIEW seen_in_latin1 AS SELECT 'cafÃ©' AS c, id AS `cafÃ©` FROM t //
"#;

#[test]
fn what_belongs_to_accounts_that_the_server_lacks_comes_back_and_works_once_they_are_there() {
    let place = Place::empty();
    let account = "CREATE USER ghost@localhost; GRANT ALL ON studio.* TO ghost@localhost;";
    place.server.sql(&format!(
        "{account} CREATE DATABASE studio; USE studio;
         CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1);
         CREATE DEFINER = ghost@localhost FUNCTION f() RETURNS INT RETURN 5;
         CREATE DEFINER = ghost@localhost VIEW zz AS SELECT id FROM t;
         CREATE DEFINER = ghost@localhost VIEW yy AS SELECT * FROM zz;
         CREATE DEFINER = ghost@localhost VIEW aa AS SELECT id, f() AS f FROM yy;
         CREATE DEFINER = ghost@localhost TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id + f();
         CREATE DEFINER = ghost@localhost EVENT ev ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01' DO DELETE FROM t"
    ));
    place.save_only("studio");
    let before = place.all_of("studio");
    place.snap(&["create", "before"]).succeeded();
    place.server.sql("DROP USER ghost@localhost; DROP DATABASE studio");
    place.snap(&["restore", "before"]).succeeded();
    // Again, over views that their own server cannot open any more.
    place.snap(&["restore", "before", "--force", "--full"]).succeeded();
    place.server.sql(account);
    assert_same(&before, &place.all_of("studio"));
    assert_eq!(place.server.sql("SELECT * FROM studio.aa"), "1\t5\n");
}

#[test]
fn rights_that_others_have_on_tables_and_routines_stay() {
    let place = Place::empty();
    place.server.sql(
        "CREATE USER app@localhost; CREATE DATABASE studio; USE studio; CREATE TABLE t (id INT PRIMARY KEY);
         CREATE PROCEDURE p() SELECT 1; CREATE FUNCTION f() RETURNS INT RETURN 1; CREATE VIEW v AS SELECT id FROM t;
         GRANT SELECT ON studio.t TO app@localhost; GRANT SELECT ON studio.v TO app@localhost;
         GRANT EXECUTE ON PROCEDURE studio.p TO app@localhost; GRANT EXECUTE ON FUNCTION studio.f TO app@localhost",
    );
    let grants = place.server.sql("SHOW GRANTS FOR app@localhost");
    place.save_only("studio");
    place.snap(&["create", "before"]).succeeded();
    place.server.sql("DROP VIEW studio.v; CREATE OR REPLACE PROCEDURE studio.p() SELECT 2");
    place.snap(&["restore", "before", "--force", "--full"]).succeeded();
    assert_eq!(place.server.sql("SHOW GRANTS FOR app@localhost"), grants);
}

#[test]
fn a_broken_view_is_told_at_both_ends_and_keeps_nothing_else_away() {
    let place = Place::empty();
    place.server.sql(
        "CREATE DATABASE studio; USE studio; CREATE TABLE t (id INT PRIMARY KEY); CREATE TABLE gone (x INT);
         CREATE VIEW broken AS SELECT x FROM gone; CREATE VIEW on_it AS SELECT * FROM broken;
         CREATE VIEW sound AS SELECT id FROM t; DROP TABLE gone",
    );
    place.save_only("studio");
    let created = place.snap(&["create", "before"]);
    created.succeeded();
    for view in ["broken", "on_it"] {
        assert!(created.stderr.contains(&format!("note: view {view:?} is broken")), "{created:#?}");
    }
    let restored = place.snap(&["restore", "before", "--force", "--full"]);
    restored
        .failed(3, &["warning: view \"broken\" was broken", "warning: view \"on_it\" was broken"]);
    assert_eq!(place.server.sql("SHOW TABLES FROM studio"), "sound\nt\n");
    assert_eq!(place.beside().len(), 1);
}

#[test]
fn a_foreign_key_whose_table_is_gone_names_its_own_database_again() {
    let place = Place::empty();
    place.server.sql(
        "CREATE DATABASE studio; USE studio; CREATE TABLE parent (id INT PRIMARY KEY);
         CREATE TABLE child (id INT PRIMARY KEY, p INT, CONSTRAINT `to ``p``` FOREIGN KEY (p) REFERENCES parent (id));
         SET foreign_key_checks = 0; INSERT INTO child VALUES (1, 99); DROP TABLE parent",
    );
    place.assert_comes_back("studio", &[]);
    // The parent comes back in another way: the key that is kept aside must not bind itself to it.
    place.server.sql("CREATE TABLE studio.parent (id INT PRIMARY KEY); INSERT INTO studio.parent VALUES (1), (99)");
    let previous = place.beside().remove(0);
    for database in ["studio", &previous] {
        let refused = place.server.fails(&format!("INSERT INTO `{database}`.child VALUES (2, 7)"));
        assert!(refused.contains("REFERENCES `parent`"), "{refused}");
    }
    place.server.sql("DELETE FROM studio.child; DELETE FROM studio.parent");
}

#[test]
fn keys_come_back_in_their_order_whatever_the_counter_needs() {
    let place = Place::empty();
    place.server.sql(
        "CREATE DATABASE studio; USE studio;
         CREATE TABLE late (a INT NOT NULL AUTO_INCREMENT, b INT PRIMARY KEY, c INT, KEY k1 (c), KEY k2 (a), KEY k3 (b));
         CREATE TABLE twice (a INT NOT NULL AUTO_INCREMENT, b INT PRIMARY KEY, c INT, UNIQUE u1 (c), UNIQUE u2 (a));
         CREATE TABLE mixed (a INT PRIMARY KEY AUTO_INCREMENT, c INT, g POINT NOT NULL, t TEXT, KEY k0 (a, c),
             FULLTEXT f1 (t), SPATIAL KEY sp (g), KEY kk (c), FULLTEXT f2 (t), KEY kl (c, a));
         CREATE TABLE grouped (g INT NOT NULL, id INT NOT NULL AUTO_INCREMENT, c INT, KEY kc (c), KEY kk (g, id)) ENGINE = MyISAM;
         CREATE SEQUENCE s; CREATE SEQUENCE z;
         CREATE TABLE hashed (a INT DEFAULT NEXTVAL(s), b VARCHAR(9) UNIQUE KEY, c INT DEFAULT (NEXTVAL(z) + 1), t TEXT, FULLTEXT KEY f (t),
             UNIQUE KEY h (b) USING HASH, UNIQUE KEY i (c) USING HASH, UNIQUE KEY l (t), KEY k (b) USING HASH);
         CREATE TABLE pointing (a INT NOT NULL, b INT, UNIQUE KEY h (a) USING HASH, KEY k (b), CONSTRAINT x FOREIGN KEY (b) REFERENCES late (b));
         INSERT INTO hashed (b, t) VALUES ('x', 'one'), ('y', 'two'), (NULL, NULL); INSERT INTO pointing VALUES (1, NULL);
         INSERT INTO late (b, c) VALUES (1, 2), (2, 1); INSERT INTO twice (b, c) VALUES (1, 2), (2, 1);
         INSERT INTO mixed (c, g, t) VALUES (1, POINT(1, 2), 'text'); INSERT INTO grouped (g) VALUES (1), (1), (2)",
    );
    place.assert_comes_back("studio", &["s", "z"]);
    for key in ["INSERT INTO hashed (b) VALUES ('x')", "INSERT INTO hashed (c) VALUES (2)"] {
        let refused = place.server.fails(&format!("USE copy; {key}"));
        assert!(refused.contains("Duplicate entry"), "{refused}");
    }
}

#[test]
fn tables_that_had_statistics_of_their_own_have_them_again_and_others_have_none() {
    let place = Place::empty();
    place.server.sql(
        "CREATE DATABASE studio; USE studio; CREATE SEQUENCE s;
         CREATE TABLE known (id INT PRIMARY KEY DEFAULT NEXTVAL(s), city VARCHAR(20), KEY (city)); CREATE TABLE plain (id INT PRIMARY KEY);
         INSERT INTO known (city) SELECT IF(seq % 10, 'Paris', 'Köln') FROM seq_1_to_1000; INSERT INTO plain SELECT seq FROM seq_1_to_9;
         ALTER TABLE known ADD COLUMN other INT, ADD FOREIGN KEY (other) REFERENCES plain (id); ANALYZE TABLE known PERSISTENT FOR ALL",
    );
    let statistics = |database: &str| {
        place.server.sql(&format!(
            "SELECT table_name, cardinality FROM mysql.table_stats WHERE db_name = '{database}';
             SELECT table_name, column_name, min_value, max_value, nulls_ratio, avg_frequency, hist_size, hist_type, HEX(histogram)
             FROM mysql.column_stats WHERE db_name = '{database}' ORDER BY 1, 2;
             SELECT table_name, index_name, prefix_arity, avg_frequency FROM mysql.index_stats WHERE db_name = '{database}' ORDER BY 1, 2, 3"
        ))
    };
    let before = statistics("studio");
    assert!(before.contains("known\t1000") && !before.contains("plain"), "{before}");
    place.assert_comes_back("studio", &["s"]);
    assert_same(&before, &statistics("copy"));
    assert_same(&before, &statistics("studio"));
}

#[test]
fn what_calls_a_function_of_a_library_that_the_server_lacks_is_named_before_anything_is_replaced() {
    let place = Place::with_options(&["--plugin-load-add=auth_ed25519"]);
    place.server.sql(
        "CREATE FUNCTION ed25519_password RETURNS STRING SONAME 'auth_ed25519.so';
         CREATE DATABASE studio; USE studio; CREATE TABLE t (id INT PRIMARY KEY, word VARCHAR(99)); INSERT INTO t VALUES (1, 'x');
         CREATE VIEW hashed AS SELECT id, ed25519_password(word) AS hash FROM t",
    );
    place.assert_comes_back("studio", &[]);
    place.server.sql(
        "DROP DATABASE copy; DROP FUNCTION ed25519_password; UPDATE studio.t SET word = 'live'",
    );
    let beside = place.beside();
    for arguments in
        [&["restore", "before", "--force"][..], &["restore", "before", "--database", "copy"]]
    {
        let failed = place.snap(arguments);
        assert_ne!(failed.code, 0, "{failed:#?}");
        assert!(
            failed.stderr.contains("\"hashed\"") && failed.stderr.contains("ed25519_password"),
            "{failed:#?}"
        );
        assert_eq!(
            place.server.sql("SELECT word FROM studio.t; SHOW DATABASES LIKE 'copy'"),
            "live\n"
        );
        assert_eq!(place.beside(), beside);
    }
}

#[test]
fn options_that_an_engine_makes_no_use_of_come_back() {
    let place = Place::empty();
    place.server.sql(
        "CREATE DATABASE studio; USE studio; SET sql_mode = 'IGNORE_BAD_TABLE_OPTIONS';
         CREATE TABLE plain (id INT) ENGINE = MyISAM TRANSACTIONAL = 0; CREATE TABLE kept (id INT) ENGINE = MEMORY TRANSACTIONAL = 1;
         CREATE TABLE `/* TRANSACTIONAL=1 */` (id INT `odd_one` = 'it''s */', t TEXT, KEY k (id) `slow` = 'yes') ENGINE = InnoDB `foo` = '3' COMMENT ' /* TRANSACTIONAL=1 */';
         INSERT INTO plain VALUES (1); INSERT INTO `/* TRANSACTIONAL=1 */` VALUES (1, 'x')",
    );
    let remarks = place
        .server
        .sql("SHOW CREATE TABLE studio.plain; SHOW CREATE TABLE studio.`/* TRANSACTIONAL=1 */`");
    for remark in ["/* TRANSACTIONAL=0 */", "/* `foo`='3' */", "/* `slow`='yes' */"] {
        assert!(remarks.contains(remark), "{remarks}");
    }
    place.assert_comes_back("studio", &[]);
}

#[test]
fn programs_of_a_client_of_another_character_set_keep_names_comments_and_bodies() {
    let place = Place::empty();
    place.server.sql(
        "CREATE DATABASE studio; CREATE TABLE studio.`té` (`é` VARCHAR(9) CHARSET utf8mb4);
         INSERT INTO studio.`té` VALUES ('é'); CREATE USER `dé`@localhost; GRANT ALL ON *.* TO `dé`@localhost",
    );
    place.server.run_in_latin1(
        "USE studio; CREATE DEFINER = `dé`@localhost EVENT `à` ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01' COMMENT 'd''été' DO SET @a = 'é';
         CREATE DEFINER = `dé`@localhost FUNCTION `à`(`è` INT) RETURNS VARCHAR(9) CHARSET utf8mb4 COMMENT 'd''été' RETURN 'é';
         CREATE PROCEDURE p() COMMENT 'é' SELECT HEX(`é`), HEX('é'), 'é' = `é` FROM `té`;
         CREATE DEFINER = `dé`@localhost VIEW `à` AS SELECT `é` AS `è`, 'é' AS a FROM `té` WHERE `é` = 'é';
         CREATE DEFINER = `dé`@localhost TRIGGER `à` BEFORE INSERT ON `té` FOR EACH ROW SET NEW.`é` = 'é'",
    );
    let seen = || {
        place.server.sql(
            "SELECT event_name, event_comment, event_definition, definer FROM information_schema.events WHERE event_schema = 'studio';
             SELECT routine_name, routine_comment, routine_definition, definer FROM information_schema.routines WHERE routine_schema = 'studio' ORDER BY 1;
             SELECT trigger_name, action_statement, definer FROM information_schema.triggers WHERE trigger_schema = 'studio';
             SELECT table_name, view_definition, definer FROM information_schema.views WHERE table_schema = 'studio';
             CALL studio.p(); SELECT HEX(`è`), HEX(a) FROM studio.`à`",
        )
    };
    let before = seen();
    assert!(before.contains("d'été") && before.ends_with("C3A9\tE9\n"), "{before}");
    place.assert_comes_back("studio", &[]);
    assert_same(&before, &seen());
}

#[test]
fn names_of_every_kind_come_back() {
    let place = Place::empty();
    let names = [
        "studio's",
        "a `b` c",
        "per%cent",
        "dot.ted",
        "select",
        "é東 ü",
        "back\\slash",
        "UPPER",
        "\"q\"",
    ];
    for name in names {
        let quoted = name.replace('`', "``");
        place.server.sql(&format!(
            "CREATE DATABASE `{quoted}`; USE `{quoted}`; SET sql_mode = NO_BACKSLASH_ESCAPES;
             CREATE TABLE `t {quoted}` (`{quoted}` INT AUTO_INCREMENT COMMENT '{}', `x{quoted}` INT AS (`{quoted}` + 1),
                 `%` INT CHECK (`%` > 0), PRIMARY KEY (`{quoted}`), KEY `k {quoted}` (`%`),
                 CONSTRAINT `c {quoted}` CHECK (`%` < 50)) AUTO_INCREMENT = 7;
             INSERT INTO `t {quoted}` (`%`) VALUES (1), (2);
             CREATE TABLE child (id INT PRIMARY KEY, p INT,
                 CONSTRAINT `f {quoted}` FOREIGN KEY (p) REFERENCES `t {quoted}` (`{quoted}`));
             INSERT INTO child VALUES (1, 7); CREATE SEQUENCE `s {quoted}`;
             CREATE TABLE fed (id INT PRIMARY KEY DEFAULT NEXTVAL(`s {quoted}`));
             CREATE VIEW `v {quoted}` AS SELECT `{quoted}` AS `{quoted}` FROM `t {quoted}`;
             CREATE TRIGGER `r {quoted}` BEFORE INSERT ON `t {quoted}` FOR EACH ROW SET NEW.`%` = NEW.`%` + 1;
             CREATE PROCEDURE `p {quoted}`() SELECT * FROM `v {quoted}`;
             CREATE EVENT `e {quoted}` ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01' DO DO 1",
            name.replace('\'', "''")
        ));
        place.save_only(name);
        let before = place.all_of(name);
        let id = format!("n{}", name.len() * 1000 + usize::from(name.as_bytes()[0]));
        place.snap(&["create", &id]).succeeded();
        place.snap(&["restore", &id, "--force", "--full"]).succeeded();
        assert_same(&before, &place.all_of(name));
        place.snap(&["restore", "--discard-previous"]).succeeded();
    }
}

#[test]
fn databases_whose_names_are_nearly_alike_stay_apart() {
    let place = Place::empty();
    let long = "l".repeat(63);
    let names = [
        "studio".to_owned(),
        "Studio".to_owned(),
        "stüdio".to_owned(),
        format!("{long}1"),
        format!("{long}2"),
    ];
    for (name, number) in names.iter().zip(1..) {
        place.server.sql(&format!(
            "CREATE DATABASE `{name}`; USE `{name}`; CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES ({number});
             CREATE TABLE only_{number} (id INT PRIMARY KEY); CREATE FUNCTION f{number}() RETURNS INT RETURN {number};
             CREATE TRIGGER r{number} BEFORE INSERT ON t FOR EACH ROW SET NEW.id = {number};
             CREATE EVENT e{number} ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01' DO DO {number}"
        ));
    }
    let before: Vec<_> = names.iter().map(|name| place.all_of(name)).collect();
    for (name, number) in names.iter().zip(1..) {
        place.save_only(name);
        let id = format!("s{number}");
        place.snap(&["create", &id]).succeeded();
        place.snap(&["restore", &id, "--force", "--full"]).succeeded();
        // What others keep aside stays.
        assert_eq!(place.beside().len(), number, "{:?}", place.beside());
    }
    for (name, before) in names.iter().zip(before) {
        assert_same(&before, &place.all_of(name));
    }
}

#[test]
fn what_cannot_be_saved_is_refused_by_name_and_nothing_is_listed() {
    let place = Place::empty();
    place.save_only("studio");
    let cases = [
        (
            "CREATE TABLE one (id INT) ENGINE = MyISAM; CREATE TABLE bad (id INT) ENGINE = MERGE UNION = (one)",
            "MRG_MyISAM",
        ),
        (
            "CREATE TABLE bad (f FLOAT(8,3) DEFAULT 99999.99, g FLOAT(8,3) DEFAULT -99999.999)",
            "the default of \"g\" has more digits than float(8,3)",
        ),
        (
            "CREATE TABLE bad (d DOUBLE(20,10) DEFAULT 9999999999.9999999999)",
            "the default of \"d\" has more digits",
        ),
        ("CREATE TABLE bad (e ENUM('a', 'b', 'a'))", "two equal members of ENUM \"e\""),
        (
            "CREATE TABLE bad (e SET('it''s)', 'it''S\\\\)') CHARACTER SET ucs2, f SET('it''s)', 'it''S)'))",
            "two equal members of SET \"f\"",
        ),
        (
            "CREATE TABLE bad (e ENUM('ß', 'ss') COLLATE utf8mb4_unicode_ci)",
            "two equal members of ENUM \"e\"",
        ),
        (
            "CREATE TABLE bad (e ENUM('b', '0000０') COLLATE utf8mb4_unicode_ci)",
            "00000, which stands for none, is a member of ENUM \"e\"",
        ),
    ];
    for (statements, word) in cases {
        place
            .server
            .sql(&format!("CREATE DATABASE studio; USE studio; SET sql_mode = ''; {statements}"));
        place.snap(&["create", "before"]).failed(1, &["cannot save table \"bad\"", word]);
        assert_eq!(place.snap(&["list", "--json"]).json()["snapshots"], serde_json::json!([]));
        place.server.sql("DROP DATABASE studio");
    }
    place.server.sql(
        "CREATE DATABASE studio; USE studio;
         CREATE TABLE good (e ENUM('a', 'A', 'ä', '') COLLATE utf8mb4_bin, s SET('ß', 'ss') COLLATE latin1_bin, b ENUM('a', 'A') CHARACTER SET binary);
         INSERT INTO good VALUES ('A', 'ss', 'A'), ('', 'ß,ss', 'a')",
    );
    place.assert_comes_back("studio", &[]);
}
