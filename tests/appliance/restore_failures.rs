//! A restore that fails says what, where and why, and leaves the live database and files as they were.

use std::fs;
use std::process::Child;
use std::process::Stdio;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use studio_snap::repository::Repository;
use studio_snap::repository::catalog::Catalog;
use studio_snap::repository::catalog::Index;
use studio_snap::repository::contents::Contents;
use studio_snap::repository::lock::Holder;

use crate::place::Output;
use crate::place::Place;
use crate::place::SECURITY_FILE;
use crate::server::until;
use crate::tally;

/// A client whose session lives until this is dropped.
pub(crate) struct Session(Child);

impl Drop for Session {
    fn drop(&mut self) {
        // An error means that it has ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Place {
    /// Runs statements in a session that goes on; returns when the last of them sleeps.
    pub(crate) fn session(&self, statements: &str) -> Session {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        // Of an earlier session the server may not know yet that its client is gone.
        let sleep = format!("DO SLEEP(3600), {}", COUNT.fetch_add(1, Ordering::Relaxed));
        let session = Session(self.server.spawn(&format!("{statements}; {sleep}")));
        self.wait_for(&format!(
            "SELECT 1 FROM information_schema.processlist WHERE info = '{sleep}'"
        ));
        session
    }

    /// Waits until a query returns a row.
    pub(crate) fn wait_for(&self, query: &str) {
        until(query, || !self.server.sql(query).is_empty());
    }

    /// Checks that `snap` fails in this way and that nothing of what is live is another, nor anything beside it.
    #[track_caller]
    pub(crate) fn assert_fails_harmlessly(&self, arguments: &[&str], code: i32, words: &[&str]) {
        let live = self.live();
        self.snap(arguments).failed(code, words);
        assert!(self.live() == live, "something was touched");
        assert_eq!(self.beside(), [""; 0]);
    }

    /// Lists a second snapshot, `forged`, whose table `users` holds other rows than were saved: all else is sound.
    fn forge(&self, change: impl FnOnce(&mut Catalog, &mut Index, &mut Vec<u8>)) {
        self.forge_table("users", change);
    }

    /// The same for another table.
    pub(crate) fn forge_table(
        &self,
        table: &str,
        change: impl FnOnce(&mut Catalog, &mut Index, &mut Vec<u8>),
    ) {
        let runtime = tokio::runtime::Runtime::new().expect("start a runtime");
        runtime.block_on(async {
            let now = "2026-01-01T00:00:00Z".parse().expect("a time");
            let holder =
                Holder { verb: "create".into(), process: 1, host: "test".into(), since: now };
            let location = self.repository();
            let location = location.to_str().expect("a path in UTF-8");
            let repository = Repository::open(location, holder).await.expect("open the repository");
            let before = "before".parse().expect("an id");
            let Contents { mut catalog, mut indexes } =
                repository.contents(&before).await.expect("read a snapshot");
            catalog.id = "forged".into();
            let index = indexes[0].as_mut().expect("the database has an index");
            let position = index.items.iter().position(|item| item.name == table);
            let position = position.expect("the table was saved");
            let chunk = index.items[position].chunks[0].blob.clone();
            let mut rows = repository.read_blob(&chunk).await.expect("read a chunk");
            change(&mut catalog, index, &mut rows);
            let writer = repository.writer([]).await.expect("open a writer");
            let blob = writer.write(rows).await.expect("write a chunk");
            catalog.sources[0].items[position].raw_bytes = blob.raw_bytes;
            index.items[position].chunks[0].blob = blob;
            catalog.sources[0].index =
                Some(writer.write_index(index).await.expect("write an index"));
            writer.commit(catalog).await.expect("list a snapshot");
        });
    }
}

const FORGED: &[&str] = &["restore", "forged", "--force", "--full", "--restore-certificates"];

#[test]
fn a_damaged_chunk_is_found_before_anything_is_touched() {
    let place = Place::used_studio();
    let largest = fs::read_dir(place.repository().join("blobs/sha256"))
        .expect("list the blobs")
        .map(|entry| entry.expect("read an entry").path())
        .max_by_key(|path| fs::metadata(path).expect("read its size").len())
        .expect("there are blobs");
    let mut bytes = fs::read(&largest).expect("read a blob");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&largest, bytes).expect("damage a blob");
    let name = largest.file_name().expect("a blob has a name").to_string_lossy().into_owned();
    place.assert_fails_harmlessly(&["restore", "before", "--force"], 13, &["database", &name]);
    fs::remove_file(&largest).expect("remove a blob");
    place.assert_fails_harmlessly(&["restore", "before", "--force"], 13, &["database", &name]);
}

#[test]
fn a_warning_of_the_server_while_rows_are_loaded_is_a_failure_that_names_table_and_chunk() {
    let place = Place::used_studio();
    let too_long = format!("1\t{}", "x".repeat(200));
    place.forge(|_, _, rows| {
        assert!(rows.starts_with(b"1\tadmin"), "{}", String::from_utf8_lossy(rows));
        rows.splice(..b"1\tadmin".len(), too_long.bytes());
    });
    let words =
        ["database", "table \"users\", chunk 1", "Data truncated for column 'username' at row 1"];
    place.assert_fails_harmlessly(FORGED, 22, &words);
}

#[test]
fn rows_that_are_not_the_saved_ones_are_a_failure_that_names_the_table() {
    let place = Place::used_studio();
    place.forge(|_, _, rows| rows[b"1\t".len()] = b'b');
    place.assert_fails_harmlessly(FORGED, 22, &["table \"users\" came out otherwise", "digest"]);
}

#[test]
fn a_catalog_of_other_tables_than_its_schema_is_damaged() {
    let place = Place::used_studio();
    place.forge(|catalog, index, _| {
        catalog.sources[0].items[0].name.push('x');
        index.items[0].name.push('x');
    });
    let words = ["the definitions of database", "other tables than the catalog"];
    place.assert_fails_harmlessly(FORGED, 13, &words);
    place.assert_fails_harmlessly(&[FORGED, &["--dry-run"]].concat(), 13, &words);
    assert_eq!(place.ids(), "before\nforged", "a safety snapshot was taken for nothing");
}

#[test]
fn foreign_keys_of_other_databases_refuse_the_restore_by_name() {
    let place = Place::used_studio();
    place.server.sql(
        "CREATE DATABASE elsewhere; CREATE TABLE elsewhere.pinned (id BIGINT,
         CONSTRAINT pin FOREIGN KEY (id) REFERENCES centreon_studio.element (id))",
    );
    let restore = ["restore", "before", "--force"];
    place.assert_fails_harmlessly(&restore, 14, &["elsewhere.pinned (pin)", "hint: "]);
}

#[test]
fn a_server_that_takes_no_rows_is_refused_with_the_remedy() {
    let place = Place::used_studio();
    let restore = ["restore", "before", "--force"];
    place.server.sql("SET GLOBAL local_infile = 0");
    place.assert_fails_harmlessly(&restore, 14, &["hint: SET GLOBAL local_infile = 1"]);
    place.server.sql("SET GLOBAL local_infile = 1");
    place.snap(&restore).succeeded();
}

#[test]
fn a_file_that_cannot_be_staged_keeps_the_database_as_it_was() {
    let place = Place::used_studio();
    let folder = place.root().join("opt/manager");
    fs::remove_dir_all(&folder).expect("remove the security file's folder");
    fs::write(&folder, "in the way").expect("put a file in its place");
    place.assert_fails_harmlessly(&["restore", "before", "--force"], 1, &["opt/manager"]);
}

#[test]
fn a_table_in_use_is_waited_for() {
    let place = Place::small_studio();
    let before = place.server.dump("centreon_studio");
    place.snap(&["create", "before"]).succeeded();
    place.use_on();
    for table in ["element", "property"] {
        let reader =
            place.session(&format!("USE centreon_studio; BEGIN; SELECT COUNT(*) FROM {table}"));
        let restore = place.start(&["restore", "before", "--force", "--full"]);
        place.wait_for(WAITING);
        drop(reader);
        finished(restore).succeeded();
        assert!(place.server.dump("centreon_studio") == before, "{table}: it differs");
    }
}

#[test]
fn a_table_that_stays_in_use_ends_the_restore_and_its_triggers_stay() {
    let holds = [
        "USE centreon_studio; BEGIN; SELECT COUNT(*) FROM element",
        "LOCK TABLES centreon_studio.property WRITE",
    ];
    let place = Place::used_studio();
    let live = place.live();
    for hold in holds {
        let holder = place.session(hold);
        let words = ["centreon_studio", "locked", "the live database is as it was", "hint: "];
        let restore = ["restore", "before", "--force", "--no-safety-snapshot"];
        place.snap(&restore).failed(11, &words);
        let still_held = "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'DO SLEEP%'";
        assert_ne!(place.server.sql(still_held), "", "it gave up only when it could go on");
        drop(holder);
        place.wait_until_alone();
        assert!(place.live() == live, "{hold}: something was touched");
        assert_eq!(place.beside(), [""; 0], "{hold}");
    }
    tally::tell(holds.len(), "faults", "of a table that stays locked at the swap");
    place.snap(&["restore", "before", "--force"]).succeeded();
}

#[test]
fn a_table_that_comes_while_the_swap_waits_ends_the_restore() {
    let place = Place::used_studio();
    let reader = place.session("USE centreon_studio; BEGIN; SELECT COUNT(*) FROM element");
    let restore = place.start(&["restore", "before", "--force"]);
    place.wait_for(WAITING);
    place.server.sql("CREATE TABLE centreon_studio.late (id INT PRIMARY KEY)");
    let live = place.live();
    drop(reader);
    finished(restore).failed(14, &["late", "the live database is as it was"]);
    assert!(place.live() == live, "something was touched");
    assert_eq!(place.beside(), [""; 0]);
}

#[test]
fn files_that_cannot_be_swapped_take_the_database_back_too() {
    let place = Place::used_studio();
    let live = place.live();
    let (folder, away) = (place.root().join("opt/manager"), place.root().join("opt/away"));
    let reader = place.session("USE centreon_studio; BEGIN; SELECT COUNT(*) FROM element");
    let restore = place.start(&["restore", "before", "--force", "--restore-certificates"]);
    // All is staged now, and the swap waits for the reader.
    place.wait_for(WAITING);
    fs::rename(&folder, &away).expect("move the folder away");
    drop(reader);
    finished(restore).failed(1, &["cannot replace", SECURITY_FILE]);
    fs::rename(&away, &folder).expect("move the folder back");
    for entry in fs::read_dir(&folder).expect("list the folder") {
        let path = entry.expect("read the folder").path();
        if path.to_string_lossy().contains(".snap-staging-") {
            fs::remove_file(path).expect("remove what nobody could find");
        }
    }
    assert!(place.live() == live, "something was touched");
    assert_eq!(place.beside(), [""; 0]);
}

/// True while somebody waits for a table of the live database.
pub(crate) const WAITING: &str = "SELECT 1 FROM information_schema.processlist WHERE state LIKE 'Waiting for table metadata lock'";

impl Place {
    /// Starts `snap` and goes on.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start snap")
    }
}

/// Waits for the end of `snap`.
pub(crate) fn finished(snap: Child) -> Output {
    Output::of(snap.wait_with_output().expect("wait for snap"))
}
