//! All tables of a snapshot are of one moment, whoever writes meanwhile and however the server is set up.

use std::fs;

use serde_json::Value;

use crate::place::Place;
use crate::session::Session;

/// Accounts whose sum never changes, in tables that different connections read, and orders with as many lines as
/// they say. The work itself is kept in a database of its own, which is in no snapshot.
const BANK: &str = "
    CREATE DATABASE work; CREATE TABLE work.stop (id INT);
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
        END WHILE;
    END //
    DELIMITER ;
    DO 0";

/// What is wrong with a snapshot of the bank that is of several moments: no rows where it is of one.
const CONTRADICTIONS: &str = "
    SELECT 'the sum is', total FROM (SELECT (SELECT SUM(balance) FROM account_1) + (SELECT SUM(balance) FROM account_2)
        + (SELECT SUM(balance) FROM account_3) AS total) AS sums WHERE total <> 30000
    UNION ALL SELECT 'no purchase of line', line.purchase FROM line LEFT JOIN purchase ON purchase.id = line.purchase
        WHERE purchase.id IS NULL
    UNION ALL SELECT 'not all lines of', id FROM purchase
        WHERE line_count <> (SELECT COUNT(*) FROM line WHERE line.purchase = purchase.id)";

const ROUNDS: usize = 5;
const WRITERS: usize = 3;

/// A bank with writers at work.
struct Bank {
    place: Place,
    rounds: usize,
}

impl Bank {
    fn open(options: &[&str]) -> Self {
        let place = Place::with_options(options);
        place.server.session().run(BANK);
        // An account that may read, and neither hold commits nor lock tables.
        place.server.sql(
            "CREATE USER reader; GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE ON centreon_studio.* TO reader;
             GRANT SELECT ON mysql.proc TO reader",
        );
        let reader = format!("[client]\nuser=reader\nsocket={}\n", place.server.socket().display());
        fs::write(place.path("reader.cnf"), reader).expect("write reader.cnf");
        Self { place, rounds: 0 }
    }

    /// Takes snapshots by these means while others write, and fails where one of them contradicts itself.
    fn prove(&mut self, defaults: &str, writers_first: &str, method: &str) {
        let place = &self.place;
        let mut writers: Vec<Session> = (0..WRITERS).map(|_| place.server.session()).collect();
        for writer in &mut writers {
            // No gap is locked, so that writers do not stop each other.
            let own = "USE centreon_studio; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
            writer.begin(&format!("{own}; {writers_first}; CALL work.go_on()"));
        }
        let defaults = format!("--defaults-file={}", place.path(defaults).display());
        let first = self.rounds;
        self.rounds += ROUNDS;
        for round in first..self.rounds {
            let arguments = ["create", &format!("round-{round}"), "--connections", "4", &defaults];
            place.snap(&arguments).succeeded();
        }
        place.server.sql("INSERT INTO work.stop VALUES (1)");
        for writer in &mut writers {
            writer.finish();
        }
        place.server.sql("DELETE FROM work.stop");
        for round in first..self.rounds {
            let (id, copy) = (format!("round-{round}"), format!("copy_{round}"));
            let shown = place.snap(&["show", &id, "--json"]);
            let shown: Value = serde_json::from_str(shown.succeeded()).expect("one object");
            let moment = &shown["catalog"]["sources"][0]["detail"]["moment"];
            assert_eq!(moment["method"], method, "{moment}");
            let has_log = place.server.sql("SELECT @@log_bin") == "1\n";
            assert_eq!(moment["position"].is_string(), has_log, "{moment}");
            place.snap(&["restore", &id, "--database", &copy]).succeeded();
            let wrong = place.server.sql(&format!("USE {copy}; {CONTRADICTIONS}"));
            assert_eq!(wrong, "", "{id}, by {method}");
        }
        let ids = place.server.sql(&format!(
            "SELECT COUNT(*) FROM (SELECT MAX(id) AS id FROM copy_{first}.purchase UNION SELECT MAX(id) FROM copy_{}.purchase) AS ids",
            self.rounds - 1,
        ));
        assert_eq!(ids, "2\n", "nobody wrote meanwhile");
    }
}

#[test]
fn with_the_binary_log_a_snapshot_is_of_one_moment() {
    let mut bank = Bank::open(&["--log-bin"]);
    bank.prove("my.cnf", "DO 0", "backup-stage");
    bank.prove("my.cnf", "SET sql_log_bin = 0", "backup-stage");
    bank.prove("reader.cnf", "DO 0", "binary-log");
}

#[test]
fn without_the_binary_log_a_snapshot_is_of_one_moment() {
    let mut bank = Bank::open(&[]);
    bank.prove("my.cnf", "DO 0", "backup-stage");
    bank.place.server.sql("SET GLOBAL TRANSACTION ISOLATION LEVEL READ COMMITTED");
    bank.prove("my.cnf", "DO 0", "backup-stage");
    bank.prove("reader.cnf", "DO 0", "one-connection");
}
