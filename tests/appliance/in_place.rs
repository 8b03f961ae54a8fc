//! `snap restore --in-place`: where the disk does not hold both states, table by table, with a proven
//! snapshot as the only way back.

use std::fs;
use std::os::unix::net::UnixListener;

use serde_json::Value;

use crate::place::CERTIFICATES;
use crate::place::Output;
use crate::place::Place;
use crate::stored;

const IN_PLACE: &[&str] = &["restore", "before", "--force", "--restore-certificates", "--in-place"];

/// Counters, and who may run what: a dump does not show them all.
const BESIDE_THE_DUMP: &str = "SELECT table_name, auto_increment FROM information_schema.tables
     WHERE table_schema = 'centreon_studio' ORDER BY 1;
     SELECT user, routine_name, proc_priv FROM mysql.procs_priv WHERE db = 'centreon_studio' ORDER BY 1, 2";

impl Output {
    /// Returns the safety snapshot of a restore that is done or has failed.
    pub(crate) fn safety(&self) -> String {
        let line = self.stderr.lines().find_map(|line| line.split_once("replaced is saved as "));
        line.unwrap_or_else(|| panic!("no safety snapshot: {self:#?}")).1.trim().to_owned()
    }
}

impl Place {
    /// Returns the execution that is remembered last.
    fn last_execution(&self) -> Value {
        let listed = self.snap(&["executions", "list", "--json"]).json();
        listed["executions"].as_array().and_then(|all| all.last()).expect("an execution").clone()
    }
}

#[test]
fn in_place_a_bad_upgrade_is_undone_to_the_last_byte_and_nothing_is_left_beside() {
    let place = Place::studio();
    place.server.sql(
        "CREATE USER reader; GRANT EXECUTE ON PROCEDURE centreon_studio.synchronise TO reader",
    );
    let beside_the_dump = place.server.sql(BESIDE_THE_DUMP);
    place.snap(&["create", "before"]).succeeded();
    let saved = place.live();
    place.upgrade_badly();
    place.server.sql("GRANT EXECUTE ON PROCEDURE centreon_studio.synchronise TO reader");
    let upgraded = place.live();
    let restored = place.snap(IN_PLACE);
    restored.succeeded();
    assert!(place.live() == saved, "it is not what was saved");
    assert_eq!(place.server.sql(BESIDE_THE_DUMP), beside_the_dump);
    assert_eq!(place.beside(), [""; 0]);
    let safety = restored.safety();
    for words in [
        "restored before in place; the live database was a mixture for ",
        "there is no rollback: `snap restore ",
        &format!("saved before: {safety}"),
    ] {
        assert!(restored.stdout.contains(words), "{words}: {restored:#?}");
    }
    let back = format!(
        "`snap restore {safety} --in-place --force --profile studio --restore-certificates`"
    );
    place.snap(&["rollback"]).failed(14, &["was in place, and kept nothing", &back]);
    place
        .snap(&["restore", &safety, "--force", "--restore-certificates", "--in-place"])
        .succeeded();
    assert!(place.live() == upgraded, "it is not what was before the restore");
    place.snap(IN_PLACE).succeeded();
    assert!(place.live() == saved, "it is not what was saved, the second time");
    let again = place.snap(IN_PLACE);
    assert!(again.succeeded().starts_with("nothing to restore from before"), "{again:#?}");
}

/// Definitions that need each other, and names that mean another thing now.
const ODD: &str = "
    CREATE DATABASE centreon_studio; USE centreon_studio;
    CREATE SEQUENCE number START WITH 5 NOCACHE; DO NEXT VALUE FOR number;
    CREATE SEQUENCE other;
    CREATE TABLE egg (id INT AUTO_INCREMENT PRIMARY KEY, hen INT, KEY (hen)) AUTO_INCREMENT = 77;
    CREATE TABLE hen (id INT PRIMARY KEY, egg INT, mother INT, KEY (egg), KEY (mother),
        CONSTRAINT mother FOREIGN KEY (mother) REFERENCES hen (id) ON DELETE SET NULL);
    INSERT INTO egg VALUES (1, 1), (2, 1); INSERT INTO hen VALUES (1, 1, NULL), (2, 2, 1);
    ALTER TABLE egg ADD CONSTRAINT layer FOREIGN KEY (hen) REFERENCES hen (id) ON DELETE CASCADE;
    ALTER TABLE hen ADD CONSTRAINT shell FOREIGN KEY (egg) REFERENCES egg (id);
    CREATE TABLE numbered (id INT PRIMARY KEY DEFAULT (NEXT VALUE FOR number), v VARCHAR(9));
    INSERT INTO numbered (v) VALUES ('a'), ('b');
    CREATE TABLE hashed (id INT PRIMARY KEY, t TEXT, e INT, UNIQUE KEY (t), KEY (e),
        CONSTRAINT e FOREIGN KEY (e) REFERENCES egg (id));
    INSERT INTO hashed VALUES (1, REPEAT('x', 5000), 1), (2, 'y', 2);
    CREATE TABLE thing (id INT PRIMARY KEY); INSERT INTO thing VALUES (1);
    CREATE VIEW seen AS SELECT id FROM egg FORCE INDEX (hen) WHERE hen = 1;
    CREATE VIEW whole AS SELECT seen.id, thing.id AS thing FROM seen JOIN thing;
    CREATE TABLE log (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(20));
    INSERT INTO log (what) VALUES ('one');
    CREATE TABLE stays (id INT PRIMARY KEY, v INT); INSERT INTO stays VALUES (1, 1);
    CREATE TRIGGER staying BEFORE INSERT ON stays FOR EACH ROW SET NEW.v = 1;
    CREATE TRIGGER first AFTER INSERT ON egg FOR EACH ROW INSERT INTO log (what) VALUES ('first');
    CREATE TRIGGER second AFTER INSERT ON egg FOR EACH ROW INSERT INTO log (what) VALUES ('second');
    CREATE FUNCTION eggs() RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM egg);
    CREATE EVENT yearly ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01' DO DELETE FROM log;";

const ODDLY_USED: &str = "
    USE centreon_studio;
    DROP VIEW seen; CREATE TABLE seen (id INT PRIMARY KEY); INSERT INTO seen VALUES (9);
    SET foreign_key_checks = 0;
    ALTER TABLE hashed DROP FOREIGN KEY e; DROP TABLE thing;
    CREATE VIEW thing AS SELECT id FROM hen; DROP SEQUENCE other; CREATE TABLE other (id INT PRIMARY KEY);
    DO SETVAL(number, 500);
    ALTER TABLE hen DROP FOREIGN KEY mother, MODIFY egg BIGINT, DROP FOREIGN KEY shell;
    ALTER TABLE egg DROP FOREIGN KEY layer; ALTER TABLE egg MODIFY id BIGINT AUTO_INCREMENT;
    CREATE TABLE chick (id INT PRIMARY KEY, hen INT, e BIGINT, KEY (hen), KEY (e),
        FOREIGN KEY (hen) REFERENCES hen (id), FOREIGN KEY (e) REFERENCES egg (id));
    INSERT INTO chick VALUES (1, 1, 1);
    ALTER TABLE hen ADD CONSTRAINT shell FOREIGN KEY (egg) REFERENCES egg (id);
    UPDATE numbered SET v = 'used'; DROP TRIGGER staying;
    INSERT INTO log (what) VALUES ('used');
    CREATE OR REPLACE TRIGGER first BEFORE UPDATE ON egg FOR EACH ROW SET NEW.hen = 2;
    CREATE EVENT busy ON SCHEDULE EVERY 1 SECOND DO INSERT INTO log (what) VALUES ('busy');
    CREATE FUNCTION unwanted() RETURNS INT RETURN 1";

#[test]
fn in_place_keys_sequences_views_and_programs_that_need_each_other_come_out_right() {
    restore_oddly(&Place::empty());
}

#[test]
fn in_place_they_come_out_right_on_mariadb_11_8_too() {
    restore_oddly(&Place::of_release("11.8", &[]));
}

fn restore_oddly(place: &Place) {
    place.make_security_file();
    place.server.sql(ODD);
    place.snap(&["create", "before"]).succeeded();
    let saved = place.live();
    // An event that is at work would write to the tables that are in.
    place.server.sql(ODDLY_USED);
    place.server.sql("SET GLOBAL event_scheduler = ON");
    place.snap(&["restore", "before", "--force", "--database", "normal"]).succeeded();
    let restored = place.snap(IN_PLACE);
    restored.succeeded();
    assert!(place.live() == saved, "it is not what was saved:\n{}", place.live().0);
    let normal = place.server.dump("normal");
    assert_eq!(
        normal.replace("normal", "centreon_studio"),
        saved.0.replace("normal", "centreon_studio")
    );
    place.server.sql(
        "USE centreon_studio; INSERT INTO numbered (v) VALUES ('c'); INSERT INTO egg (hen) VALUES (2);
         DELETE FROM hen WHERE id = 2",
    );
    let used = "SELECT MAX(id) FROM centreon_studio.numbered; SELECT GROUP_CONCAT(id) FROM centreon_studio.egg;
                SELECT GROUP_CONCAT(what ORDER BY id) FROM centreon_studio.log";
    assert_eq!(place.server.sql(used), "8\n1,2\none,first,second\n");
    assert!(place.server.try_sql("INSERT INTO centreon_studio.hen VALUES (3, 99, NULL)").is_err());
    assert_eq!(place.beside(), [""; 0]);
}

#[test]
fn in_place_onto_nothing_is_a_restore_too() {
    let place = Place::used_studio();
    place.snap(&["restore", "before", "--force", "--restore-certificates"]).succeeded();
    let saved = place.live();
    place.server.sql("DROP DATABASE centreon_studio");
    place.snap(&["restore", "before", "--in-place"]).succeeded();
    assert!(place.live() == saved, "it is not what was saved");
}

#[test]
fn what_a_restore_in_place_gives_up_is_said_before() {
    let place = Place::used_studio();
    let live = place.live();
    let planned = place.snap(&[IN_PLACE, &["--dry-run"]].concat());
    for words in [
        "a mixture that nobody should use",
        "there is no rollback",
        "every blob of that snapshot is read before",
    ] {
        assert!(planned.succeeded().contains(words), "{planned:#?}");
    }
    assert_eq!(
        place.snap(&[IN_PLACE, &["--dry-run", "--json"]].concat()).json()["restore"]["in_place"],
        true
    );
    let help = place.snap(&["restore", "--help"]);
    assert!(help.succeeded().contains("The way back is the safety snapshot"), "{help:#?}");
    for other in ["--no-safety-snapshot", "--resume", "--discard-previous"] {
        place.snap(&["restore", "--in-place", other]).failed(2, &["--in-place", other]);
    }
    place.snap(&["restore", "before", "--in-place"]).failed(14, &["--force"]);
    assert!(place.live() == live, "something was touched");
}

#[test]
fn without_a_whole_safety_snapshot_nothing_is_replaced_in_place() {
    let place = Place::used_studio();
    // Nobody has changed this table: the safety snapshot shares its chunk with the first one.
    let shared = stored::chunk(&place, "before", "users");
    let whole = fs::read(&shared).expect("read a blob");
    stored::flip_a_bit(&shared);
    place.assert_fails_harmlessly(
        IN_PLACE,
        14,
        &["the only way back, is damaged", "database.users"],
    );
    fs::write(&shared, whole).expect("repair the blob");
    place.server.sql("CREATE TABLE centreon_studio.odd (id INT) ENGINE=MERGE");
    let refused = place.snap(IN_PLACE);
    refused.failed(14, &["no safety snapshot could be taken", "odd", "hint: "]);
    assert_eq!(place.beside(), [""; 0]);
    place.server.sql("DROP TABLE centreon_studio.odd");
    let socket = place.root().join(CERTIFICATES).join("socket");
    let listener = UnixListener::bind(&socket).expect("make a socket");
    place.snap(IN_PLACE).failed(14, &["the only way back, is partial", "socket", "hint: `--only`"]);
    drop(listener);
    fs::remove_file(socket).expect("remove the socket");
    place.snap(IN_PLACE).succeeded();
}

#[test]
fn a_program_that_the_server_refuses_is_met_before_the_first_table_is_replaced() {
    let place = Place::used_studio();
    place.server.sql(
        "USE centreon_studio; CREATE FUNCTION late() RETURNS INT DETERMINISTIC RETURN 1; SET GLOBAL log_bin_trust_function_creators = 0",
    );
    place.snap(&["create", "late"]).succeeded();
    place.server.sql("UPDATE centreon_studio.users SET username = 'x'");
    place.server.sql(
        "CREATE USER few@localhost; GRANT ALL ON *.* TO few@localhost; REVOKE SET USER, SUPER ON *.* FROM few@localhost",
    );
    let restore =
        ["restore", "late", "--force", "--in-place", "--user", "few", "--only", "database"];
    let live = place.live();
    let refused = place.snap(&restore);
    assert!(refused.code > 3, "{refused:#?}");
    assert!(place.live() == live, "something was touched: {refused:#?}");
    assert_eq!(place.beside(), [""; 0]);
    assert_ne!(place.last_execution()["status"], "started");
}

#[test]
fn somebody_who_holds_a_table_is_met_before_the_first_one_is_replaced() {
    let place = Place::used_studio();
    let reader = place.session("USE centreon_studio; BEGIN; SELECT COUNT(*) FROM element");
    place.assert_fails_harmlessly(IN_PLACE, 11, &["somebody holds \"element\"", "PROCESSLIST"]);
    drop(reader);
}

#[test]
fn one_that_fails_in_the_middle_says_what_is_live_and_is_finished_or_given_up() {
    let place = Place::used_studio();
    let used = place.live();
    let chunk = stored::chunk(&place, "before", "property");
    let whole = fs::read(&chunk).expect("read a blob");
    // The safety snapshot has no use for it.
    place.server.sql("DELETE FROM centreon_studio.property WHERE id > 100");
    let used = (place.server.dump("centreon_studio"), used.1);
    stored::flip_a_bit(&chunk);
    let failed = place.snap(IN_PLACE);
    let safety = failed.safety();
    let back = format!(
        "`snap restore {safety} --in-place --force --profile studio --restore-certificates` goes back"
    );
    let mixture = "what is live is neither what it was nor what was saved";
    let finish = "`snap restore --resume --profile studio` finishes it";
    failed.failed(13, &[mixture, &back, finish]);
    let execution = place.last_execution();
    assert_eq!((&execution["step"], &execution["status"]), (&"swapping".into(), &"started".into()));
    let told = execution["error"].as_str().expect("an error").to_owned();
    assert!([mixture, &back, finish].iter().all(|words| told.contains(words)), "{told}");
    assert_eq!(execution["safety_snapshot"], *safety);

    // Nothing acts on the mixture by itself.
    let acting = "SELECT event_name FROM information_schema.events WHERE event_schema = 'centreon_studio'
                  UNION SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = 'centreon_studio'";
    assert_eq!(place.server.sql(acting), "");

    // Nothing else is let at it.
    for other in [
        &["restore", "before", "--force"][..],
        &["rollback"],
        &["prune"],
        IN_PLACE,
        &["restore", &safety, "--force", "--in-place", "--only", "database"],
    ] {
        place.snap(other).failed(11, &[mixture, &back, finish]);
    }
    for needed in ["before", safety.as_str()] {
        place.snap(&["delete", needed]).failed(11, &[mixture, &back, finish]);
    }
    let created = place.snap(&["create", "mixture"]);
    assert!(created.stderr.contains(mixture), "{created:#?}");
    place.snap(&["restore", "--resume"]).failed(13, &[mixture, &back, finish]);
    assert_eq!(place.last_execution()["verb"], "create");

    // Back, and forth again.
    place
        .snap(&["restore", &safety, "--force", "--restore-certificates", "--in-place"])
        .succeeded();
    assert!(place.live() == used, "it is not what was before");
    assert_eq!(place.snap(&["restore", "--resume"]).succeeded(), "nothing is unfinished");
    place.snap(IN_PLACE).failed(13, &[mixture]);
    fs::write(&chunk, whole).expect("repair the blob");
    let finished = place.snap(&["restore", "--resume", "--repository", "/nowhere"]);
    assert!(finished.succeeded().starts_with("finished: restore execution_"), "{finished:#?}");
    assert!(finished.stdout.contains("there is no rollback: `snap restore "), "{finished:#?}");
    place.snap(&["restore", "before", "--database", "other"]).succeeded();
    assert!(place.server.dump("other") == place.server.dump("centreon_studio"), "it differs");
    let unfinished = place.snap(&["executions", "list", "--json"]).json();
    let open = unfinished["executions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|one| one["status"] == "started");
    assert_eq!(open.count(), 0, "{unfinished:#}");
}

#[test]
fn a_table_that_broke_meanwhile_is_replaced_in_place_by_the_resume() {
    let place = Place::used_studio();
    place.server.sql(
        "CREATE TABLE centreon_studio.worn (id INT) ENGINE=MyISAM;
         INSERT INTO centreon_studio.worn VALUES (1), (2)",
    );
    place.snap(&["create", "worn"]).succeeded();
    let saved = place.live();
    place.server.sql("UPDATE centreon_studio.element SET name = 'x'");
    let chunk = stored::chunk(&place, "worn", "property");
    let whole = fs::read(&chunk).expect("read a blob");
    place.server.sql("DELETE FROM centreon_studio.property");
    stored::flip_a_bit(&chunk);
    place
        .snap(&["restore", "worn", "--force", "--in-place"])
        .failed(13, &["cannot restore database"]);
    let definition = place.server.databases().join("centreon_studio/worn.frm");
    fs::write(definition, "no definition").expect("break the table");
    place.server.sql("FLUSH TABLES");
    fs::write(&chunk, whole).expect("repair the blob");
    place.snap(&["restore", "--resume"]).succeeded();
    assert!(place.live() == saved, "it is not what was saved");
}

#[test]
fn a_disk_that_does_not_hold_both_states_holds_a_restore_in_place() {
    let (place, disk) = Place::on_disk(256 << 20);
    let place = place.into_used_studio();
    // Six tables of some 8 MiB each.
    let fill = |with: &str| {
        for number in 1..=6 {
            place.server.sql(&format!(
                "USE centreon_studio; CREATE OR REPLACE TABLE big_{number} (id INT PRIMARY KEY, t VARCHAR(900));
                 INSERT INTO big_{number} SELECT seq, REPEAT({with}, 25) FROM seq_1_to_8000"
            ));
        }
    };
    fill("MD5(seq)");
    place.snap(&["create", "large"]).succeeded();
    let saved = place.live();
    fill("MD5(-seq)");
    let used = place.live();
    let restore = ["restore", "large", "--force"];
    disk.leave(24 << 20);
    let refused = disk.snap(&place, &restore);
    refused
        .failed(14, &["MiB", "are free", "`--in-place` takes the room of the largest table alone"]);
    assert!(place.live() == used, "something was touched");
    let planned = disk.snap(&place, &["restore", "large", "--force", "--in-place", "--dry-run"]);
    planned.succeeded();
    let restored = disk.snap(&place, &["restore", "large", "--force", "--in-place"]);
    restored.succeeded();
    assert!(place.live() == saved, "it is not what was saved");
    disk.leave(u64::MAX);
    place.server.sql("UPDATE centreon_studio.big_1 SET t = 'x' WHERE id = 1");
    disk.leave(4 << 20);
    let refused = disk.snap(&place, &["restore", "large", "--force", "--in-place"]);
    refused.failed(14, &["MiB", "are free", "even in place"]);
}
