//! `snap restore`, as an operator runs it: a bad upgrade undone, plans that touch nothing, parts alone.

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::chown;
use std::path::Path;

use serde_json::Value;

use crate::place::CERTIFICATES;
use crate::place::Output;
use crate::place::Place;
use crate::place::SECURITY_FILE;

/// What a failed upgrade does to a studio's database.
const BAD_UPGRADE: &str = "
    USE centreon_studio;
    DROP VIEW active_overview, overview;
    DROP VIEW zone;
    CREATE VIEW zone AS SELECT 1 AS not_a_zone;
    DROP TRIGGER element_double_type;
    DROP TRIGGER element_audit_update;
    CREATE TRIGGER upgraded BEFORE DELETE ON element FOR EACH ROW SET @upgraded = OLD.id;
    DROP FUNCTION tag_of;
    DROP PROCEDURE synchronise;
    CREATE PROCEDURE synchronise() SELECT 'upgraded';
    DROP EVENT rebuild_cache;
    ALTER EVENT purge_event_log DISABLE;
    CREATE EVENT upgraded ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01' DO DO 1;
    DROP SEQUENCE audit_number;
    CREATE SEQUENCE upgraded_number;
    SET foreign_key_checks = 0;
    DROP TABLE container, data, event_log;
    ALTER TABLE element ADD upgraded INT DEFAULT 7, DROP is_template;
    ALTER TABLE `legacy label` CONVERT TO CHARACTER SET utf8mb4, COMMENT 'upgraded';
    ALTER TABLE metric AUTO_INCREMENT = 5000, DROP CONSTRAINT metric_code;
    UPDATE metric SET warning = warning + 1;
    UPDATE element_property SET value = 'upgraded' WHERE element_id < 3000;
    DELETE FROM users WHERE id > 2;
    TRUNCATE TABLE translation;
    INSERT INTO session_cache (token) VALUES ('upgraded');
    CREATE TABLE upgraded (id INT PRIMARY KEY) SELECT 1 AS id;
    ALTER DATABASE centreon_studio CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;";

/// A studio that is restored in a fraction of a second, and still has one of everything.
const SMALL_STUDIO: &str = "
    CREATE DATABASE centreon_studio; USE centreon_studio;
    CREATE TABLE users (id INT PRIMARY KEY, username VARCHAR(20)); INSERT INTO users VALUES (1, 'admin'), (2, 'bob');
    CREATE TABLE element (id BIGINT PRIMARY KEY, name VARCHAR(40), KEY (name));
    INSERT INTO element SELECT seq, SHA1(seq) FROM seq_1_to_3000;
    CREATE TABLE property (id BIGINT PRIMARY KEY, FOREIGN KEY (id) REFERENCES element (id));
    INSERT INTO property SELECT seq FROM seq_1_to_500;
    CREATE VIEW names AS SELECT name FROM element;
    CREATE TRIGGER checked BEFORE INSERT ON element FOR EACH ROW SET NEW.name = TRIM(NEW.name);
    CREATE PROCEDURE listed() SELECT * FROM names;
    CREATE EVENT daily ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01' DO DO 1;
    CREATE SEQUENCE number";

/// What is not as it was after a while.
const USE: &str = "
    USE centreon_studio; UPDATE element SET name = CONCAT('used ', id); CREATE TABLE used (id INT PRIMARY KEY);
    DROP TRIGGER checked; CREATE TRIGGER used BEFORE DELETE ON element FOR EACH ROW SET @used = 1";

impl Place {
    /// Returns a place with all kinds of things that a studio has, few of each.
    pub(crate) fn small_studio() -> Self {
        let place = Self::empty();
        place.make_small_studio();
        place
    }

    fn make_small_studio(&self) {
        self.server.sql(SMALL_STUDIO);
        self.make_certificates();
        self.make_security_file();
    }

    /// Returns a small studio with a snapshot `before`, which has been used since.
    pub(crate) fn used_studio() -> Self {
        Self::empty().into_used_studio()
    }

    /// Makes an empty place one.
    pub(crate) fn into_used_studio(self) -> Self {
        self.make_small_studio();
        self.snap(&["create", "before"]).succeeded();
        self.use_on();
        self
    }

    /// Changes database, certificates and security file of a small studio.
    pub(crate) fn use_on(&self) {
        self.server.sql(USE);
        self.overwrite_files();
    }

    /// Does to the database and the files what a failed upgrade does.
    pub(crate) fn upgrade_badly(&self) {
        self.server.sql(BAD_UPGRADE);
        self.overwrite_files();
    }

    fn overwrite_files(&self) {
        self.overwrite_certificates();
        let file = self.root().join(SECURITY_FILE);
        fs::write(&file, "").expect("truncate the security file");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("set a mode");
        // Only root may give a file away.
        chown(&file, Some(12), Some(34)).ok();
    }

    pub(crate) fn overwrite_certificates(&self) {
        let certificates = self.root().join(CERTIFICATES);
        let key = certificates.join("cloudify_internal_key.pem");
        fs::write(&key, "not a key").expect("overwrite a key");
        // After the first time there is none, and no link, and a folder.
        xattr::remove(&key, "user.issued-by").ok();
        fs::set_permissions(&key, Permissions::from_mode(0o666)).expect("set a mode");
        fs::remove_file(certificates.join("current.pem")).ok();
        fs::create_dir_all(certificates.join("upgraded")).expect("make a folder");
    }

    /// Returns the names of all that restores keep or build beside what is live: schemas and paths.
    pub(crate) fn beside(&self) -> Vec<String> {
        let schemas = "SELECT schema_name FROM information_schema.schemata
                       WHERE schema_name LIKE '%\\_\\_snap\\_%' ORDER BY 1";
        let mut names: Vec<_> = self.server.sql(schemas).lines().map(str::to_owned).collect();
        let targets = [CERTIFICATES, SECURITY_FILE].map(Path::new);
        let folders = targets.map(|target| target.parent().expect("a target has a folder"));
        for folder in folders.into_iter().chain([Path::new(CERTIFICATES)]) {
            let Ok(entries) = fs::read_dir(self.root().join(folder)) else { continue };
            let entries = entries.map(|entry| entry.expect("read a folder").path());
            let hidden = entries.filter(|path| path.to_string_lossy().contains(".snap-"));
            names.extend(hidden.map(|path| path.display().to_string()));
        }
        names
    }

    /// Returns all that a restore may replace: the database's dump and the files.
    pub(crate) fn live(&self) -> (String, String) {
        (self.server.dump("centreon_studio"), self.tree())
    }
}

impl Output {
    /// Returns the object that a `snap --json` printed.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Checks exit code and standard error of a `snap` that must have failed.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{self:#?}");
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in {self:#?}");
        }
    }
}

#[test]
fn a_bad_upgrade_is_undone_to_the_last_byte_and_twice() {
    let place = Place::studio();
    let before = place.live();
    place.snap(&["create", "before"]).succeeded();
    for round in 0..2 {
        place.upgrade_badly();
        assert_ne!(place.live(), before);
        let restored = place.snap(&["restore", "before", "--force", "--restore-certificates"]);
        restored.succeeded();
        assert!(place.live() == before, "round {round} differs");
        let kept = place.beside();
        assert_eq!(kept.len(), 3, "one previous state, and no staging: {kept:?}");
        for name in &kept {
            assert!(name.contains("previous"), "{name}");
            assert!(restored.stdout.contains(name), "{name} is not in {restored:#?}");
        }
    }
}

#[test]
fn what_was_replaced_is_whole_beside_and_its_events_do_not_run() {
    let place = Place::studio();
    place.snap(&["create", "before"]).succeeded();
    place.server.sql("USE centreon_studio; CREATE TABLE upgraded (id INT); ALTER EVENT purge_event_log COMMENT 'kept'");
    let replaced = place.server.dump("centreon_studio");
    place.snap(&["restore", "before", "--force", "--full"]).succeeded();
    let previous = place.beside().remove(0);
    let asleep =
        replaced.replacen("PRESERVE ENABLE COMMENT 'kept'", "PRESERVE DISABLE COMMENT 'kept'", 1);
    assert_ne!(asleep, replaced);
    assert!(place.server.dump(&previous) == asleep, "{previous} is not what was replaced");
    let events = "SELECT event_schema, status FROM information_schema.events
                  WHERE event_name = 'purge_event_log' ORDER BY 1";
    let expected = format!("centreon_studio\tENABLED\n{previous}\tDISABLED\n");
    assert_eq!(place.server.sql(events), expected);
    place.snap(&["restore", "--discard-previous"]).succeeded();
    assert_eq!(place.beside(), [""; 0]);
}

#[test]
fn without_the_flag_certificates_stay_and_the_answer_says_so() {
    let place = Place::small_studio();
    let before = place.server.dump("centreon_studio");
    place.snap(&["create", "before"]).succeeded();
    place.use_on();
    let upgraded = place.tree();
    let restored = place.snap(&["restore", "before", "--force"]);
    let words = "certificates stay as they are without --restore-certificates";
    assert!(restored.succeeded().contains(words), "{restored:#?}");
    assert!(place.server.dump("centreon_studio") == before, "the database differs");
    let certificates = |tree: &str| tree.lines().filter(|line| line.contains(".pem")).count();
    assert_eq!(certificates(&place.tree()), certificates(&upgraded));
    assert!(place.tree().contains("./upgraded"), "the certificates were touched");
}

#[test]
fn a_database_with_tables_is_refused_without_force_and_nothing_is_touched() {
    let place = Place::small_studio();
    place.snap(&["create", "before"]).succeeded();
    place.use_on();
    let upgraded = place.live();
    let refused = place.snap(&["restore", "before", "--restore-certificates"]);
    refused.failed(14, &["centreon_studio has 6 tables and views", "--force"]);
    assert!(place.live() == upgraded, "something was touched");
    assert_eq!(place.beside(), [""; 0]);
}

#[test]
fn an_absent_and_an_empty_database_need_no_force() {
    let place = Place::studio();
    let before = place.server.dump("centreon_studio");
    place.snap(&["create", "before"]).succeeded();
    place.server.sql("DROP DATABASE centreon_studio");
    // Where there is no database, nothing tells which roles the target uses.
    let onto_nothing = ["restore", "before", "--to-version", "4.1"];
    place.snap(&onto_nothing).succeeded();
    assert!(place.server.dump("centreon_studio") == before, "onto nothing: it differs");
    assert_eq!(place.beside(), [""; 0]);
    place
        .server
        .sql("DROP DATABASE centreon_studio; CREATE DATABASE centreon_studio COLLATE latin1_bin");
    place.snap(&onto_nothing).succeeded();
    assert!(place.server.dump("centreon_studio") == before, "onto an empty one: it differs");
}

#[test]
fn a_copy_under_another_name_leaves_the_live_database_alone() {
    let place = Place::studio();
    let before = place.live();
    place.snap(&["create", "before"]).succeeded();
    place.server.sql("UPDATE centreon_studio.element SET type = type + 1");
    let changed = place.live();
    let only = ["restore", "before", "--only", "database", "--database", "copy"];
    place.snap(&only).succeeded();
    assert!(place.live() == changed, "what is live was touched");
    assert!(place.server.dump("copy") == before.0, "the copy differs");
    assert_eq!(place.beside(), [""; 0]);
    place.snap(&only).failed(14, &["copy has 3", "--force"]);
}

#[test]
fn a_dry_run_prints_the_plan_and_touches_nothing() {
    let place = Place::small_studio();
    place.snap(&["create", "before"]).succeeded();
    place.use_on();
    fs::remove_dir_all(place.path("state")).expect("remove the state folder");
    let upgraded = place.live();
    let arguments = ["restore", "before", "--dry-run", "--restore-certificates"];
    let refused = place.snap(&arguments);
    refused.failed(14, &["centreon_studio has 6 tables and views", "hint: --force"]);
    assert!(refused.stdout.starts_with("would refuse to restore before; nothing was touched\n"));
    let arguments = [&arguments[..], &["--force"]].concat();
    let text = place.snap(&arguments);
    assert!(
        text.succeeded().starts_with("would restore before; nothing was touched\n"),
        "{text:#?}"
    );
    let json = place.snap(&[&arguments[..], &["--json"]].concat()).json();
    let restore = &json["restore"];
    assert_eq!(restore["done"], false);
    assert_eq!(restore["snapshot"], "before");
    let sources = restore["sources"].as_array().expect("a list of sources");
    let plan = sources.iter().map(|source| {
        let word = |key: &str| source[key].as_str().unwrap_or_default().to_owned();
        (word("name"), word("kind"), word("action"))
    });
    let expected = [
        ("database", "mariadb", "replace"),
        ("certificates", "files", "replace"),
        ("users", "files", "replace"),
    ];
    let expected =
        expected.map(|(name, kind, action)| (name.to_owned(), kind.to_owned(), action.to_owned()));
    assert_eq!(plan.collect::<Vec<_>>(), expected);
    assert_eq!(sources[0]["target"], "centreon_studio");
    assert_eq!(sources[0]["items"], 3);
    let file = place.root().join(SECURITY_FILE);
    assert_eq!(sources[2]["target"], file.display().to_string());
    assert!(place.live() == upgraded, "something was touched");
    assert_eq!(place.beside(), [""; 0]);
    assert!(!place.path("state").exists(), "a dry run made the state folder");
}

#[test]
fn one_source_alone_is_restored() {
    let place = Place::small_studio();
    let (database, tree) = place.live();
    place.snap(&["create", "before"]).succeeded();
    place.use_on();
    let (bad_database, bad_tree) = place.live();

    place.snap(&["restore", "before", "--only", "users"]).succeeded();
    assert!(
        place.server.dump("centreon_studio") == bad_database,
        "users: the database was touched"
    );
    let file = |tree: &str| tree.lines().last().unwrap_or_default().to_owned();
    assert_eq!(file(&place.tree()), file(&tree));
    assert_ne!(file(&bad_tree), file(&tree));

    let only = ["restore", "before", "--only", "certificates"];
    place.snap(&only).succeeded();
    assert_ne!(place.tree(), tree, "certificates need their own flag");
    place.snap(&[&only[..], &["--restore-certificates"]].concat()).succeeded();
    assert_eq!(place.tree(), tree);
    assert!(
        place.server.dump("centreon_studio") == bad_database,
        "files: the database was touched"
    );

    place.snap(&["restore", "before", "--only", "database", "--force"]).succeeded();
    assert!(place.live() == (database, tree), "the database differs");
    place.snap(&["restore", "before", "--only", "userss"]).failed(2, &["userss"]);
}

#[test]
fn another_root_takes_the_files_and_the_first_stays() {
    let place = Place::small_studio();
    let tree = place.tree();
    place.snap(&["create", "before"]).succeeded();
    place.use_on();
    let upgraded = place.tree();
    let root = place.path("other");
    fs::create_dir(&root).expect("make another root");
    let flag = format!("--root={}", root.display());
    let sources = ["--only", "users", "--only", "certificates", "--restore-certificates"];
    place.snap(&[&["restore", "before", &flag][..], &sources].concat()).succeeded();
    assert_eq!(place.tree(), upgraded);
    assert_eq!(place.tree_below(&root), tree);
}
