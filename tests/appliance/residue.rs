//! Files that a server forgot when it died: what `snap` can get rid of it does, and the rest keeps
//! nobody from anything.

use std::fs;
use std::path::PathBuf;

use crate::place::Output;
use crate::place::Place;

const RESTORE: &[&str] = &["restore", "before", "--force", "--only", "database"];

/// What a broken restore left, and what an earlier one kept.
const STAGING: &str = "centreon_studio__snap_staging_AAAAAA";
const PREVIOUS: &str = "centreon_studio__snap_previous_AAAAAA";

/// A file whose name no table can have: a part of one.
const PART: &str = "t#P#p0.ibd";

#[test]
fn files_that_a_dead_server_forgot_go_with_the_next_restore() {
    let place = Place::with_options(&["--log-bin"]);
    place.server.load_fixture();
    place.snap(&["create", "before"]).succeeded();
    place.server.sql("ALTER TABLE centreon_studio.view ADD later INT");
    for schema in [STAGING, PREVIOUS] {
        place.server.sql(&format!(
            "CREATE DATABASE {schema}; USE {schema};
             CREATE TABLE texts (t TEXT, FULLTEXT (t)); CREATE TABLE `odd ä.n-a$me` (id INT);
             CREATE TABLE parts (id INT) PARTITION BY HASH (id) PARTITIONS 2;
             CREATE TRIGGER `of ä.pa$rt` BEFORE INSERT ON parts FOR EACH ROW SET NEW.id = 1"
        ));
        place.forget_files(schema);
    }
    let restored = place.snap(RESTORE);
    restored.succeeded();
    assert!(restored.stderr.contains(&format!("{STAGING}: it is dropped")), "{restored:#?}");
    let beside = place.beside();
    assert!(!beside.iter().any(|name| name.ends_with("AAAAAA")), "{beside:?} after {restored:#?}");
    // A replica has no such files, and need not have the schema.
    let log = place.server.sql("SHOW BINLOG EVENTS");
    assert!(log.contains("DROP DATABASE") && !log.contains("nameless"), "{log}");
}

#[test]
fn a_schema_that_the_server_cannot_drop_keeps_nobody_from_anything_and_goes_when_it_can() {
    let place = Place::empty();
    place.server.load_fixture();
    place.snap(&["create", "before"]).succeeded();
    let before = place.server.dump("centreon_studio");
    place.server.sql(&format!("CREATE DATABASE {STAGING}; CREATE DATABASE {PREVIOUS}"));
    let parts = [STAGING, PREVIOUS].map(|schema| place.folder_of(schema).join(PART));
    for part in &parts {
        fs::write(part, "a part of a table").expect("write a file that is forgotten");
    }
    place.server.sql("ALTER TABLE centreon_studio.view ADD later INT");
    let changed = place.server.dump("centreon_studio");
    let restored = place.snap(RESTORE);
    place.assert_told(&restored, &[STAGING, PREVIOUS]);
    assert!(place.server.dump("centreon_studio") == before, "it is not what was saved");
    place.snap(&["create", "after"]).succeeded();
    place.snap(&["rollback"]).succeeded();
    assert!(place.server.dump("centreon_studio") == changed, "it is not what was live before");
    let discarded = place.snap(&["restore", "--discard-previous"]);
    place.assert_told(&discarded, &[PREVIOUS]);
    assert!(!discarded.stdout.contains(PREVIOUS), "{discarded:#?}");
    // They are tried again each time.
    for part in &parts {
        fs::remove_file(part).expect("remove a file that was forgotten");
    }
    place.snap(RESTORE).succeeded();
    let beside = place.beside();
    assert!(!beside.iter().any(|name| name.ends_with("AAAAAA")), "{beside:?}");
}

#[cfg(feature = "fault-points")]
#[test]
fn a_resume_comes_to_its_end_beside_schemas_that_the_server_cannot_drop() {
    let place = Place::empty();
    place.server.load_fixture();
    place.snap(&["create", "before"]).succeeded();
    let before = place.server.dump("centreon_studio");
    place.server.sql("ALTER TABLE centreon_studio.view ADD later INT");
    let changed = place.server.dump("centreon_studio");
    let mut parts = Vec::new();
    for (point, resumed) in [("staging.created", &changed), ("database.moved", &before)] {
        place.kill_at(point, 1, RESTORE);
        let is_new = |name: &String| {
            name.contains("_staging_") && !parts.contains(&place.folder_of(name).join(PART))
        };
        let new = place.beside().into_iter().find(is_new).expect("it was staging");
        let part = place.folder_of(&new).join(PART);
        fs::write(&part, "a part of a table").expect("write a file that is forgotten");
        let output = place.snap(&["restore", "--resume"]);
        place.assert_told(&output, &[&new]);
        assert!(place.server.dump("centreon_studio") == *resumed, "{point}: {output:#?}");
        parts.push(part);
    }
    for part in parts {
        fs::remove_file(part).expect("remove a file that was forgotten");
    }
    place.snap(RESTORE).succeeded();
    let beside = place.beside();
    assert!(beside.iter().all(|name| name.contains("previous")), "{beside:?}");
}

#[cfg(feature = "fault-points")]
#[test]
fn triggers_whose_names_a_dead_server_kept_come_back() {
    let place = Place::empty();
    place.server.load_fixture();
    let saved = place.server.dump("centreon_studio");
    place.snap(&["create", "before"]).succeeded();
    place.server.sql("ALTER TABLE centreon_studio.element ADD later INT");
    let live = place.server.dump("centreon_studio");
    let names = || {
        let files = fs::read_dir(place.folder_of("centreon_studio")).expect("list files");
        let paths = files.map(|file| file.expect("read a name").path());
        let names = paths.filter(|path| path.extension().is_some_and(|kind| kind == "TRN"));
        names.map(|path| (fs::read(&path).expect("read a file"), path)).collect::<Vec<_>>()
    };
    let kept = names();
    assert!(kept.len() > 1, "the fixture has {} triggers", kept.len());
    let forget = || {
        assert_eq!(names().len(), 0, "triggers are there still");
        for (bytes, path) in &kept {
            fs::write(path, bytes).expect("write a file that is forgotten");
        }
        let create = "CREATE OR REPLACE TRIGGER centreon_studio.element_no_negative_type
            BEFORE INSERT ON centreon_studio.element FOR EACH ROW SET @seen = 1";
        let refused = place.server.fails(create);
        assert!(refused.contains("ERROR 1360"), "{refused}");
    };
    // Where what was live is put back.
    place.kill_at("database.triggers-dropped", 1, RESTORE);
    place.wait_until_alone();
    forget();
    let resumed = place.snap(&["restore", "--resume"]);
    resumed.succeeded();
    assert!(place.server.dump("centreon_studio") == live, "it is not what was live: {resumed:#?}");
    // Where a snapshot comes in.
    let triggers = "SELECT CONCAT('DROP TRIGGER centreon_studio.', trigger_name, ';')
        FROM information_schema.triggers WHERE trigger_schema = 'centreon_studio'";
    place.server.sql(&place.server.sql(triggers));
    forget();
    let restored = place.snap(RESTORE);
    restored.succeeded();
    assert!(place.server.dump("centreon_studio") == saved, "it is not what was saved");
}

impl Place {
    fn folder_of(&self, schema: &str) -> PathBuf {
        self.server.databases().join(schema)
    }

    /// Drops the tables of a schema, but leaves the files whose names tables can have.
    fn forget_files(&self, schema: &str) {
        let files = fs::read_dir(self.folder_of(schema)).expect("list a schema's files");
        let paths = files.map(|file| file.expect("read a name").path());
        let is_forgotten = |path: &PathBuf| {
            path.extension().is_some_and(|kind| kind == "ibd" || kind == "par" || kind == "TRN")
                && !path.to_string_lossy().contains("#P#")
        };
        let forgotten: Vec<_> = paths
            .filter(is_forgotten)
            .map(|path| (fs::read(&path).expect("read a file"), path))
            .collect();
        assert!(forgotten.len() > 10, "{schema} has {} files", forgotten.len());
        self.server.sql(&format!("USE {schema}; DROP TABLE texts, `odd ä.n-a$me`, parts"));
        for (bytes, path) in forgotten {
            fs::write(path, bytes).expect("write a file that is forgotten");
        }
        let refused = self.server.fails(&format!("DROP DATABASE {schema}"));
        assert!(refused.contains("ERROR 1010"), "{refused}");
    }

    /// Checks that a command came to its end, and told of the empty schemas that stay.
    #[track_caller]
    fn assert_told(&self, output: &Output, schemas: &[&str]) {
        output.succeeded();
        for schema in schemas {
            let notes = output.stderr.lines().filter(|line| line.starts_with("note: "));
            let note = notes.filter(|line| line.contains(&format!("drop database `{schema}`")));
            let note = note.collect::<Vec<_>>().join("\n");
            for words in [
                "it holds nothing any more, and nothing is lost",
                &format!("{} may be removed while the server is", self.folder_of(schema).display()),
            ] {
                assert!(note.contains(words), "{words}: {output:#?}");
            }
            let tables = format!(
                "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '{schema}'"
            );
            assert_eq!(self.server.sql(&tables), "0\n");
        }
    }
}
