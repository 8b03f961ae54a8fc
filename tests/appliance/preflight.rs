//! What is found out before anything is written: refusals with their reasons, alike in a dry run.

use std::fs;

use crate::disk::Disk;
use crate::place::Place;
use crate::stored;

impl Place {
    /// Checks that a restore and its dry run are refused alike, and that nothing was written by either.
    #[track_caller]
    fn assert_refused(&self, arguments: &[&str], code: i32, words: &[&str]) {
        let live = self.live();
        self.server.sql("SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log; SET GLOBAL general_log = 1");
        self.snap(arguments).failed(code, words);
        self.snap(&[arguments, &["--dry-run"]].concat()).failed(code, words);
        let written = self.server.sql(
            "SET GLOBAL general_log = 0; SELECT argument FROM mysql.general_log
             WHERE command_type = 'Query' AND argument RLIKE '^(CREATE|DROP|ALTER|LOAD|INSERT|RENAME|LOCK)'",
        );
        assert_eq!(written, "");
        assert!(self.live() == live, "something was touched");
        assert_eq!(self.beside(), [""; 0]);
    }
}

#[test]
fn a_blob_that_is_gone_or_cut_is_found_before_anything_is_written() {
    let place = Place::used_studio();
    let restore = ["restore", "before", "--force", "--restore-certificates"];
    let blobs: Vec<_> = fs::read_dir(place.repository().join("blobs/sha256"))
        .expect("list the blobs")
        .map(|entry| entry.expect("read an entry").path())
        .collect();
    for blob in &blobs {
        let bytes = fs::read(blob).expect("read a blob");
        let name = blob.file_name().expect("it has a name").to_string_lossy().into_owned();
        fs::write(blob, &bytes[1..]).expect("cut a blob");
        place.assert_refused(&restore, 13, &[&name]);
        fs::remove_file(blob).expect("remove a blob");
        place.assert_refused(&restore, 13, &[&name]);
        fs::write(blob, bytes).expect("put a blob back");
    }
    // A source that is not restored needs none of its blobs.
    let chunk = stored::chunk(&place, "before", "/etc/cloudify/ssl");
    fs::remove_file(chunk).expect("remove a blob");
    place.snap(&["restore", "before", "--force", "--only", "database"]).succeeded();
}

#[test]
fn a_server_that_stands_in_the_way_is_told_by_a_dry_run_too() {
    let place = Place::used_studio();
    let restore = ["restore", "before", "--force"];
    place.server.sql("SET GLOBAL local_infile = 0");
    place.assert_refused(&restore, 14, &["hint: SET GLOBAL local_infile = 1"]);
    place.server.sql("SET GLOBAL local_infile = 1, read_only = 1");
    place.assert_refused(&restore, 14, &["read-only", "hint: SET GLOBAL read_only = 0"]);
    place.server.sql("SET GLOBAL read_only = 0");
    place.assert_refused(&["restore", "before"], 14, &["6 tables and views", "hint: --force"]);
    let json = place.snap(&["restore", "before", "--dry-run", "--json"]).json();
    assert_eq!(json["error"]["exit_code"], 14);
    assert_eq!(json["restore"]["sources"][0]["parts"][0]["fate"], "replace", "the plan comes too");
}

#[test]
fn names_that_the_server_would_write_otherwise_are_refused_before_anything_is_written() {
    let place = Place::empty();
    place
        .server
        .sql("CREATE DATABASE centreon_studio; CREATE TABLE centreon_studio.Upper (id INT)");
    place.make_security_file();
    place.make_certificates();
    place.snap(&["create", "before"]).succeeded();
    let other = Place::with_options(&["--lower-case-table-names=1"]);
    other.server.sql("CREATE DATABASE centreon_studio");
    let repository = format!("--repository={}", place.repository().display());
    let restore = ["restore", "before", "--only", "database", &repository];
    other.assert_refused(&restore, 14, &["Upper", "lower_case_table_names"]);
}

#[test]
fn a_disk_without_room_is_refused_before_anything_is_written() {
    let place = Place::used_studio();
    let restore = ["restore", "before", "--force"];
    // Seen from snap, the server's disk is a small one.
    let disk = Disk::mount(place.path("server/data"), 8 << 20);
    let live = place.live();
    for arguments in [&restore[..], &["restore", "before", "--force", "--dry-run"]] {
        disk.leave(100 << 10);
        let refused = disk.snap(&place, arguments);
        refused.failed(
            14,
            &["on the disk of", "server/data", "MiB", "are free", "hint: free as much"],
        );
    }
    assert!(place.live() == live, "something was touched");
    assert_eq!(place.beside(), [""; 0]);
    disk.leave(u64::MAX);
    disk.snap(&place, &restore).succeeded();
    // What stays takes no room.
    place.snap(&["restore", "--discard-previous"]).succeeded();
    place.server.sql("UPDATE centreon_studio.users SET username = 'x'");
    disk.leave(600 << 10);
    disk.snap(&place, &restore).succeeded();
    disk.snap(&place, &["restore", "before", "--force", "--full"]).failed(14, &["MiB"]);
}

#[test]
fn a_row_that_no_client_could_write_is_restored_and_noted() {
    let place = Place::small_studio();
    place.server.sql(
        "SET GLOBAL max_allowed_packet = 64 << 20; USE centreon_studio;
         CREATE TABLE big (id INT PRIMARY KEY, b LONGBLOB)",
    );
    place.server.sql("INSERT INTO centreon_studio.big VALUES (1, REPEAT('x', 5 << 20))");
    let before = place.server.sql("SELECT MD5(b) FROM centreon_studio.big");
    place.snap(&["create", "before"]).succeeded();
    place.server.sql("SET GLOBAL max_allowed_packet = 1 << 20; DROP TABLE centreon_studio.big");
    let restored = place.snap(&["restore", "before", "--force"]);
    restored.succeeded();
    assert!(restored.stderr.contains("table \"big\" has a row of 5242"), "{restored:#?}");
    assert!(restored.stderr.contains("max_allowed_packet of 1048576"), "{restored:#?}");
    assert_eq!(place.server.sql("SELECT MD5(b) FROM centreon_studio.big"), before);
}
