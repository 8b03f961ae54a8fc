//! All tables of a snapshot are of one moment, whoever writes meanwhile and however the server is set up.

use std::collections::BTreeMap;
use std::fs;

use crate::place::Place;
use crate::server::until;
use crate::session::Session;

/// Accounts whose sum never changes, in tables that different connections read, and orders with as many lines as
/// they say. The work itself is kept in a database of its own, which is in no snapshot.
const BANK: &str = "
    CREATE DATABASE work; CREATE TABLE work.stop (id INT);
    CREATE TABLE work.pause (seconds DOUBLE); INSERT INTO work.pause VALUES (0);
    CREATE DATABASE centreon_studio; USE centreon_studio;
    CREATE TABLE account_1 (id INT PRIMARY KEY, balance INT NOT NULL);
    INSERT INTO account_1 SELECT seq, 1000 FROM seq_0_to_9;
    CREATE TABLE account_2 LIKE account_1; INSERT INTO account_2 SELECT * FROM account_1;
    CREATE TABLE account_3 LIKE account_1; INSERT INTO account_3 SELECT * FROM account_1;
    CREATE TABLE purchase (id INT AUTO_INCREMENT PRIMARY KEY, line_count INT NOT NULL);
    CREATE TABLE line (purchase INT NOT NULL, number INT NOT NULL, PRIMARY KEY (purchase, number),
        FOREIGN KEY (purchase) REFERENCES purchase (id) ON DELETE CASCADE);
    DELIMITER //
    CREATE PROCEDURE work.go_on() BEGIN
        WHILE NOT EXISTS (SELECT 1 FROM work.stop) DO
            START TRANSACTION;
            UPDATE centreon_studio.account_1 SET balance = balance - 1 WHERE id = CONNECTION_ID() MOD 10;
            UPDATE centreon_studio.account_2 SET balance = balance - 1 WHERE id = CONNECTION_ID() MOD 10;
            UPDATE centreon_studio.account_3 SET balance = balance + 2 WHERE id = CONNECTION_ID() MOD 10;
            INSERT INTO centreon_studio.purchase (line_count) VALUES (2);
            SET @purchase = CAST(LAST_INSERT_ID() AS SIGNED);
            INSERT INTO centreon_studio.line VALUES (@purchase, 1), (@purchase, 2);
            DELETE FROM centreon_studio.purchase WHERE id = @purchase - 500;
            COMMIT;
            DO SLEEP((SELECT seconds FROM work.pause));
        END WHILE;
    END //
    DELIMITER ;
    DO 0";

/// How often each way is proven, and the one that nearly everybody uses.
const ROUNDS: usize = 5;
/// Positions told wrongly made every twentieth snapshot or so a torn one.
const POSITION_ROUNDS: usize = 25;
const MANY_ROUNDS: usize = 50;
const WRITERS: usize = 4;

/// How often more a way is tried that was too narrow: on some machines four connections do not meet
/// between the writes of others, who then write a little slower each time.
const MISSES: usize = 20;
const SLOWER: &str = "UPDATE work.pause SET seconds = seconds * 2 + 0.0002";

/// What grows with every purchase.
const NEWEST: &str = "SELECT COALESCE(MAX(id), 0) FROM centreon_studio.purchase";

/// A bank with writers at work.
struct Bank {
    place: Place,
    rounds: usize,
}

impl Place {
    /// Makes `reader.cnf` the way of an account that may read, and neither hold commits nor lock tables.
    pub(crate) fn admit_reader(&self) {
        self.server.sql(
            "CREATE USER reader; GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE ON centreon_studio.* TO reader;
             GRANT SELECT ON mysql.proc TO reader",
        );
        let reader = format!("[client]\nuser=reader\nsocket={}\n", self.server.socket().display());
        fs::write(self.path("reader.cnf"), reader).expect("write reader.cnf");
    }
}

impl Bank {
    fn open(options: &[&str]) -> Self {
        let place = Place::with_options(options);
        place.server.session().run(BANK);
        place.admit_reader();
        Self { place, rounds: 0 }
    }

    /// Takes snapshots by these means while others write, and fails where one of them contradicts itself.
    fn prove(&mut self, rounds: usize, defaults: &str, writers_first: &str, method: &str) {
        let place = &self.place;
        let mut writers: Vec<Session> = (0..WRITERS).map(|_| place.server.session()).collect();
        for writer in &mut writers {
            // No gap is locked, so that writers do not stop each other.
            let own = "USE centreon_studio; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
            writer.begin(&format!("{own}; {writers_first}; CALL work.go_on()"));
        }
        let defaults = format!("--defaults-file={}", place.path(defaults).display());
        let (mut ids, mut missed) = (Vec::new(), Vec::new());
        while ids.len() < rounds {
            assert!(missed.len() < MISSES, "not by {method}, but by {missed:?}");
            let newest = place.server.sql(NEWEST);
            until("somebody buys", || place.server.sql(NEWEST) != newest);
            let id = format!("round-{}", self.rounds);
            self.rounds += 1;
            place.snap(&["create", &id, "--connections", "4", &defaults]).succeeded();
            let by = &place.moment(&id)["method"];
            if by == method {
                ids.push(id);
            } else {
                // That way is proven in its own turn, among writers that it can be proven among.
                missed.push(by.to_string());
                place.server.sql(SLOWER);
            }
        }
        place.server.sql("INSERT INTO work.stop VALUES (1)");
        for writer in &mut writers {
            writer.finish();
        }
        place.server.sql("DELETE FROM work.stop; UPDATE work.pause SET seconds = 0");
        self.examine(&ids);
    }

    fn examine(&self, ids: &[String]) {
        let has_log = self.place.server.sql("SELECT @@log_bin") == "1\n";
        let mut purchases = Vec::new();
        for id in ids {
            let moment = self.place.moment(id);
            for told in ["position", "gtid"] {
                assert_eq!(moment[told].is_string(), has_log, "{id}: {moment}");
            }
            purchases.push(self.last_purchase(id));
        }
        assert!(purchases.windows(2).all(|pair| pair[0] < pair[1]), "nobody wrote: {purchases:?}");
    }

    /// Returns the last purchase of a snapshot, which must not contradict itself.
    fn last_purchase(&self, id: &str) -> i64 {
        let balances = ["account_1", "account_2", "account_3"]
            .map(|table| self.place.numbers(id, table).iter().map(|row| row[1]).sum::<i64>());
        assert_eq!(balances.iter().sum::<i64>(), 30_000, "{id}: {balances:?}");
        let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
        for line in self.place.numbers(id, "line") {
            *counts.entry(line[0]).or_default() += 1;
        }
        let purchases = self.place.numbers(id, "purchase");
        let last = purchases.last().expect("there are purchases")[0];
        for purchase in purchases {
            let count = counts.remove(&purchase[0]).unwrap_or_default();
            assert_eq!(count, purchase[1], "{id}: {purchase:?}");
        }
        assert!(counts.is_empty(), "{id}: lines without a purchase: {counts:?}");
        last
    }
}

#[test]
fn fifty_snapshots_among_four_writers_are_each_of_one_moment() {
    Bank::open(&["--log-bin"]).prove(MANY_ROUNDS, "my.cnf", "DO 0", "backup-stage");
}

#[test]
fn with_the_binary_log_each_way_to_a_moment_is_sound() {
    let mut bank = Bank::open(&["--log-bin"]);
    for _ in ["REPEATABLE READ", "READ COMMITTED"] {
        bank.prove(ROUNDS, "my.cnf", "SET sql_log_bin = 0", "backup-stage");
        bank.prove(POSITION_ROUNDS, "reader.cnf", "DO 0", "binary-log");
        bank.prove_global_read_lock();
        bank.place.server.sql("SET GLOBAL TRANSACTION ISOLATION LEVEL READ COMMITTED");
    }
}

#[test]
fn without_the_binary_log_each_way_to_a_moment_is_sound() {
    let mut bank = Bank::open(&[]);
    for _ in ["REPEATABLE READ", "READ COMMITTED"] {
        bank.prove(ROUNDS, "my.cnf", "DO 0", "backup-stage");
        bank.prove(ROUNDS, "reader.cnf", "DO 0", "one-connection");
        bank.prove_global_read_lock();
        bank.place.server.sql("SET GLOBAL TRANSACTION ISOLATION LEVEL READ COMMITTED");
    }
}

impl Bank {
    /// The same while another backup has taken the server's stages.
    fn prove_global_read_lock(&mut self) {
        let mut backup = self.place.server.session();
        backup.run("BACKUP STAGE START");
        self.prove(2, "my.cnf", "DO 0", "global-read-lock");
    }
}

/// Engines without transactions: `BACKUP STAGE BLOCK_DDL` stops writes to the first alone.
const ENGINES: [&str; 3] = ["MyISAM", "MEMORY", "Aria"];

#[test]
fn tables_without_transactions_are_of_the_same_moment_as_the_others() {
    let place = Place::empty();
    let mut writer = place.server.session();
    writer.run(
        "CREATE DATABASE work; CREATE TABLE work.stop (id INT); CREATE DATABASE centreon_studio;
         USE centreon_studio; CREATE TABLE last (id INT PRIMARY KEY); INSERT INTO last VALUES (0)",
    );
    let steps =
        ENGINES.map(|engine| format!("INSERT INTO centreon_studio.{engine} VALUES (number);"));
    let steps = steps.join(" ");
    for engine in ENGINES {
        writer.run(&format!("CREATE TABLE {engine} (id INT PRIMARY KEY) ENGINE = {engine}"));
        writer.run(&format!("INSERT INTO {engine} SELECT -seq FROM seq_1_to_20000"));
    }
    writer.run(&format!(
        "DELIMITER //
         CREATE PROCEDURE work.go_on() BEGIN
             DECLARE number INT DEFAULT 0;
             WHILE NOT EXISTS (SELECT 1 FROM work.stop) DO
                 SET number = number + 1; {steps} UPDATE centreon_studio.last SET id = number;
             END WHILE;
         END //
         DELIMITER ;
         DO 0"
    ));
    writer.begin("CALL work.go_on()");
    let last = "SELECT id FROM centreon_studio.last";
    for round in 0..10 {
        let before = place.server.sql(last);
        until("somebody writes", || place.server.sql(last) != before);
        let id = format!("round-{round}");
        let created = place.snap(&["create", &id]);
        created.succeeded();
        assert!(created.stderr.contains("read: Aria, MEMORY, MyISAM"), "{created:#?}");
        let last = place.numbers(&id, "last")[0][0];
        for engine in ENGINES {
            let rows = place.numbers(&id, engine);
            let highest = rows.iter().map(|row| row[0]).max().expect("there are rows");
            // It is written before the other, once a round.
            assert!((last..=last + 1).contains(&highest), "{id}, {engine}: {highest}, {last}");
        }
        assert!(last > 0, "nobody wrote meanwhile");
    }
    place.server.sql("INSERT INTO work.stop VALUES (1)");
    writer.finish();
}
