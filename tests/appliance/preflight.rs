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
    place.server.sql("SET GLOBAL local_infile = 1");
    place.assert_refused(&["restore", "before"], 14, &["6 tables and views", "hint: --force"]);
    let json = place.snap(&["restore", "before", "--dry-run", "--json"]).json();
    assert_eq!(json["error"]["exit_code"], 14);
    assert_eq!(json["restore"]["sources"][0]["parts"][0]["fate"], "replace", "the plan comes too");
}

#[test]
fn a_server_that_is_read_only_is_refused_unless_the_account_may_write_to_it() {
    let place = Place::used_studio();
    let before = place.server.sql(
        "CREATE USER plain@localhost; GRANT ALL ON *.* TO plain@localhost;
         REVOKE READ_ONLY ADMIN ON *.* FROM plain@localhost; SET GLOBAL read_only = 1;
         SELECT COUNT(*) FROM centreon_studio.users",
    );
    let hint =
        "hint: SET GLOBAL read_only = 0; or GRANT READ_ONLY ADMIN ON *.* TO `plain`@`localhost`;";
    let restore = ["restore", "before", "--force", "--user", "plain"];
    place.assert_refused(&restore, 14, &["cannot restore: the server is read-only", hint]);
    let note = "the server is read-only: `root`@`localhost` may write all the same";
    let planned = place.snap(&["restore", "before", "--force", "--dry-run"]);
    assert!(planned.succeeded().contains(&format!("\nnote: {note}\n")), "{planned:#?}");
    let restored = place.snap(&["restore", "before", "--force", "--json"]);
    restored.succeeded();
    assert_eq!(restored.json()["restore"]["sources"][0]["notes"][0], note);
    place.snap(&["rollback", "--user", "plain"]).failed(14, &["read-only", hint]);
    assert_eq!(place.server.sql("SELECT COUNT(*) FROM centreon_studio.users"), before);
    place.snap(&["rollback"]).succeeded();
}

#[test]
fn keeping_replicas_out_takes_a_right_that_is_named_before_anything_is_written() {
    let place = Place::used_studio();
    place.server.sql(
        "CREATE USER plain@localhost; GRANT ALL ON *.* TO plain@localhost;
         REVOKE BINLOG ADMIN, SUPER ON *.* FROM plain@localhost",
    );
    let restore = ["restore", "before", "--force", "--binlog", "off", "--user", "plain"];
    let hint = "hint: GRANT BINLOG ADMIN ON *.* TO `plain`@`localhost`;";
    place.assert_refused(&restore, 14, &["cannot keep changes out of the binary log", hint]);
    assert_eq!(place.ids(), "before", "a safety snapshot was taken for nothing");
    place.server.sql("GRANT BINLOG ADMIN ON *.* TO plain@localhost");
    place.snap(&restore).succeeded();
}

#[test]
fn foreign_keys_of_other_databases_refuse_only_what_they_point_to() {
    let place = Place::used_studio();
    place.server.sql(
        "CREATE DATABASE elsewhere; CREATE TABLE elsewhere.pinned (id INT, gone INT,
         CONSTRAINT pin FOREIGN KEY (id) REFERENCES centreon_studio.users (id))",
    );
    let restore = ["restore", "before", "--force"];
    let full = ["restore", "before", "--force", "--full"];
    let refused = "point to what would be replaced: elsewhere.pinned (pin) to \"users\"";
    place.assert_refused(&full, 14, &[refused, "hint: they would follow"]);
    let json = place.snap(&[&full[..], &["--dry-run", "--json"]].concat()).json();
    assert_eq!(json["restore"]["sources"][0]["pins"][0], "elsewhere.pinned (pin) to \"users\"");
    // What is not in the snapshot goes too.
    place.server.sql(
        "ALTER TABLE elsewhere.pinned ADD CONSTRAINT late FOREIGN KEY (gone) REFERENCES centreon_studio.used (id)",
    );
    place.assert_refused(&restore, 14, &["replaced: elsewhere.pinned (late) to \"used\""]);
    assert_eq!(place.ids(), "before", "a safety snapshot was taken for nothing");
    // `users` stays, and so does what points to it, even when the restore is undone.
    place.server.sql("ALTER TABLE elsewhere.pinned DROP FOREIGN KEY late");
    let definition = || place.server.sql("SHOW CREATE TABLE elsewhere.pinned");
    let pinned = definition();
    place.snap(&restore).succeeded();
    assert_eq!(definition(), pinned);
    place.snap(&["rollback"]).succeeded();
    assert_eq!(definition(), pinned);
    place.snap(&restore).succeeded();
    // A rollback would move `element`.
    place.server.sql(
        "CREATE TABLE elsewhere.later (id BIGINT, CONSTRAINT later FOREIGN KEY (id) REFERENCES centreon_studio.element (id))",
    );
    let (live, beside) = (place.live(), place.beside());
    place.snap(&["rollback"]).failed(14, &["elsewhere.later (later) to \"element\""]);
    assert!(place.live() == live, "something was touched");
    assert_eq!(place.beside(), beside);
}

#[test]
fn rights_on_what_is_replaced_or_dropped_are_told_with_what_becomes_of_them() {
    let place = Place::used_studio();
    place.server.sql(
        "USE centreon_studio; CREATE FUNCTION later() RETURNS INT RETURN 1; CREATE VIEW late AS SELECT 1 AS one;
         CREATE USER reader@localhost; CREATE ROLE readers;
         GRANT SELECT ON element TO reader@localhost; GRANT SELECT (id) ON element TO readers;
         GRANT SELECT ON users TO reader@localhost; GRANT SELECT ON used TO reader@localhost;
         GRANT SELECT ON late TO readers; GRANT EXECUTE ON PROCEDURE listed TO readers;
         GRANT EXECUTE ON FUNCTION later TO reader@localhost, readers",
    );
    let on_tables = || {
        place.server.sql("SELECT User, Table_name, Table_priv, Column_priv FROM mysql.tables_priv WHERE Db = 'centreon_studio' ORDER BY 1, 2")
    };
    let on_routines = || place.server.sql("SELECT User, Routine_name FROM mysql.procs_priv");
    let before = on_tables();
    let planned = place.snap(&["restore", "before", "--force", "--dry-run", "--json"]);
    planned.succeeded();
    let notes = [
        "rights on table \"used\" outlive it, and hold for whatever gets its name: `reader`@`localhost`",
        "rights on function \"later\" go with it, and no rollback brings them back: `reader`@`localhost`, `readers`",
        "rights on view \"late\" outlive it, and hold for whatever gets its name: `readers`",
        "rights on single tables hang on names, and hold for what is restored: \"element\" (`reader`@`localhost`, `readers`)",
    ];
    assert_eq!(planned.json()["restore"]["sources"][0]["notes"], serde_json::json!(notes));
    // Who may not see the rights of others says so.
    place.server.sql(
        "CREATE USER less@localhost; GRANT SET USER ON *.* TO less@localhost;
         GRANT ALL ON `centreon\\_studio%`.* TO less@localhost; GRANT SELECT ON mysql.proc TO less@localhost",
    );
    let unseen = place.snap(&["restore", "before", "--force", "--dry-run", "--user", "less"]);
    assert!(
        unseen.succeeded().contains("\nnote: rights on what is dropped cannot be seen"),
        "{unseen:#?}"
    );
    let restored = place.snap(&["restore", "before", "--force"]);
    let text = notes.map(|note| format!("note: {note}\n")).concat();
    assert!(restored.succeeded().contains(&text), "{restored:#?}");
    // And so it is.
    assert_eq!(on_tables(), before);
    assert_eq!(on_routines(), "readers\tlisted\n");
    place.snap(&["rollback"]).succeeded();
    assert_eq!(place.server.sql("SELECT centreon_studio.later()"), "1\n");
    assert_eq!(on_routines(), "readers\tlisted\n");
    assert_eq!(on_tables(), before);
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
