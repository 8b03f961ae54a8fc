//! What an operator does between a snapshot and a restore: verify, delete, prune, doctor.

use std::fs;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::SystemTime;

use crate::place::Place;
use crate::server::assert_succeeds;
use crate::stored;

#[test]
fn verify_names_the_snapshot_and_the_table_that_a_disk_has_hurt() {
    let place = Place::studio();
    place.snap(&["create", "first"]).succeeded();
    let archive = place.path("first.tar").display().to_string();
    place.snap(&["download", "first", "-o", &archive]).succeeded();
    place.server.sql("DELETE FROM centreon_studio.metric WHERE id = 1");
    place.snap(&["create", "second"]).succeeded();
    place.snap(&["verify", "--read-data"]).succeeded();

    let hurt = stored::chunk(&place, "first", "metric");
    let name = hurt.file_name().expect("a blob has a name").to_string_lossy().into_owned();
    stored::flip_a_bit(&hurt);
    // Its size is right: only reading it tells.
    place.snap(&["verify"]).succeeded();
    let found = place.snap(&["verify", "--read-data", "-q"]);
    let why = "has another content than its name says";
    assert_eq!(found.stdout, format!("first: database.metric: blob sha256:{name} {why}\n"));
    let said = "error: cannot rely on first\n\
        hint: the next `snap create` stores anew what is still as it was, \
        and `snap upload` what a downloaded copy holds\n";
    assert_eq!((found.code, found.stderr.as_str()), (13, said));
    place.snap(&["verify", "second", "--read-data"]).succeeded();

    let damaged = fs::read(&hurt).expect("read a blob");
    fs::remove_file(&hurt).expect("remove a blob");
    let found = place.snap(&["verify", "-q"]);
    assert_eq!(found.code, 13);
    assert_eq!(found.stdout, format!("first: database.metric: blob sha256:{name} is absent\n"));

    let before = place.server.dump("centreon_studio");
    let restored = place.snap(&["restore", "first", "--force"]);
    assert_eq!(restored.code, 13, "{restored:#?}");
    assert!(restored.stderr.contains(&name), "{}", restored.stderr);
    assert!(place.server.dump("centreon_studio") == before, "the live database changed");

    // The hint holds: an upload writes it anew, whether it is gone or damaged in its place.
    fs::write(&hurt, damaged).expect("put the damaged blob back");
    place.snap(&["upload", &archive, "-s", "again"]).succeeded();
    place.snap(&["verify", "--read-data"]).succeeded();
}

#[test]
fn what_a_disk_has_hurt_is_whole_again_once_it_was_found_and_saved_again() {
    let place = Place::studio();
    place.snap(&["create", "first"]).succeeded();
    for table in ["metric", "element"] {
        stored::flip_a_bit(&stored::chunk(&place, "first", table));
    }
    // Nobody has read it yet.
    place.snap(&["create", "second"]).succeeded();
    let found = place.snap(&["verify", "--read-data", "-q"]);
    let lines = |id: &str| found.stdout.lines().filter(|line| line.starts_with(id)).count();
    assert_eq!((found.code, lines("first: "), lines("second: ")), (13, 2, 2), "{found:#?}");

    let created = place.snap(&["create", "third"]);
    created.succeeded();
    let said = "damaged blobs of earlier snapshots: 2; what is still as it was is stored anew";
    assert!(created.stderr.contains(said), "{created:#?}");
    place.snap(&["verify", "--read-data"]).succeeded();
    let before = place.server.dump("centreon_studio");
    place.server.sql("DELETE FROM centreon_studio.metric");
    place.snap(&["restore", "first", "--force"]).succeeded();
    assert!(place.server.dump("centreon_studio") == before, "the first snapshot is not whole");
}

#[test]
fn a_delete_with_an_unknown_id_deletes_nothing() {
    let place = Place::empty();
    place.save_security_file_only();
    for id in ["a", "b", "c"] {
        place.snap(&["create", id]).succeeded();
    }
    let output = place.snap(&["delete", "a", "none", "b"]);
    let said = "error: cannot find snapshot none\n\
        hint: nothing was deleted; `snap list` shows all ids\n";
    assert_eq!((output.code, output.stderr.as_str()), (10, said));
    assert_eq!(place.ids(), "a\nb\nc");
    place.snap(&["delete", "a", "c"]).succeeded();
    assert_eq!(place.ids(), "b");
}

#[test]
fn a_pinned_snapshot_is_listed_so_and_not_deleted_until_it_is_unpinned() {
    let place = Place::empty();
    place.save_security_file_only();
    for id in ["a", "b"] {
        place.snap(&["create", id]).succeeded();
    }
    place.snap(&["pin", "none"]).failed(10, &["cannot find snapshot none"]);
    for _ in 0..2 {
        assert_eq!(place.snap(&["pin", "a"]).succeeded(), "pinned a");
    }
    let list = place.snap(&["list"]);
    let states: Vec<bool> =
        list.succeeded().lines().skip(1).map(|line| line.contains(" complete, pinned ")).collect();
    assert_eq!(states, [true, false], "{list:#?}");
    let json = place.snap(&["list", "--json"]).json();
    assert_eq!(
        (&json["snapshots"][0]["pinned"], &json["snapshots"][1]["pinned"]),
        (&true.into(), &false.into())
    );
    let hint = "hint: nothing was deleted; `snap unpin a` lets it go";
    place.snap(&["delete", "b", "a"]).failed(14, &["cannot delete snapshot a: it is pinned", hint]);
    assert_eq!(place.ids(), "a\nb");
    place.snap(&["unpin", "a"]).succeeded();
    place.snap(&["delete", "b", "a"]).succeeded();
    // The next one of that name is another snapshot.
    place.snap(&["create", "a"]).succeeded();
    assert_eq!(place.snap(&["list", "--json"]).json()["snapshots"][0]["pinned"], false);
}

#[test]
fn prune_removes_what_nobody_names_once_its_grace_is_over() {
    let place = Place::empty();
    place.save_security_file_only();
    place.snap(&["create", "kept"]).succeeded();
    fs::write(place.root().join(crate::place::SECURITY_FILE), "other").expect("change the file");
    place.snap(&["create", "deleted"]).succeeded();
    let blobs = || {
        let blobs = fs::read_dir(place.repository().join("blobs/sha256")).expect("list the blobs");
        blobs.map(|entry| entry.expect("read the blobs' folder").path()).collect::<Vec<_>>()
    };
    place.snap(&["delete", "deleted"]).succeeded();
    let all = blobs().len();

    let output = place.snap(&["prune"]);
    let (own, kept) = (4, all - 4);
    assert_eq!(kept, 4, "a snapshot of one file has a manifest, a catalog, an index and a chunk");
    let nothing =
        "removed 0 blobs and 0 unfinished files, 0 B\nkept 4 blobs younger than the grace period";
    assert_eq!(output.succeeded(), nothing);
    assert_eq!(blobs().len(), all);

    let yesterday = SystemTime::now() - Duration::from_hours(25);
    for blob in blobs() {
        let file = fs::File::options().append(true).open(blob).expect("open a blob");
        file.set_modified(yesterday).expect("make a blob old");
    }
    let output = place.snap(&["prune", "--dry-run"]);
    assert!(
        output.succeeded().starts_with(&format!("would remove {own} blobs")),
        "{}",
        output.stdout
    );
    assert_eq!(blobs().len(), all);
    let output = place.snap(&["prune"]);
    assert!(output.succeeded().starts_with(&format!("removed {own} blobs")), "{}", output.stdout);
    assert_eq!(blobs().len(), kept);
    place.snap(&["verify", "--read-data"]).succeeded();
}

#[test]
fn doctor_says_what_is_wrong_and_how_to_mend_it() {
    let place = Place::empty();
    place.snap(&["doctor"]).succeeded();
    fs::create_dir(place.repository()).expect("create a folder");
    fs::write(place.repository().join("diary.txt"), "dear diary").expect("write a file");
    place.configure(
        "[[profiles.studio.sources]]\nname = 'users'\nkind = 'files'\npath = '/opt/none'\n",
    );
    let output = place.snap(&["doctor"]);
    let lines: Vec<&str> = output.stdout.lines().collect();
    let repository = place.repository().display().to_string();
    let root = place.root().display().to_string();
    assert_eq!(
        lines[1..],
        [
            format!(
                "bad      repository  cannot open repository {repository}: it is something else"
            ),
            format!("bad      users       {root}/opt/none: No such file or directory (os error 2)"),
            "fix for repository: `snap create` makes a repository in an absent or empty folder; \
             --repository or SNAP_REPOSITORY says where"
                .to_owned(),
            "fix for users: correct the profile, or create the path".to_owned(),
        ]
    );
    let said = "error: cannot vouch for this host: 2 checks ended badly\n\
        hint: each of them names its fix above\n";
    assert_eq!((output.code, output.stderr.as_str()), (1, said));
}

#[test]
fn the_grants_that_doctor_prints_are_all_that_create_and_restore_need() {
    let place = Place::studio();
    place.server.sql("CREATE USER snap@localhost IDENTIFIED BY 'secret'");
    let socket = place.server.socket();
    let options = format!("[client]\nuser=snap\npassword=secret\nsocket={}\n", socket.display());
    let defaults = place.path("snap.cnf");
    fs::write(&defaults, options).expect("write an option file");
    let defaults = defaults.display().to_string();
    let snap =
        |arguments: &[&str]| place.snap(&[arguments, &["--defaults-file", &defaults]].concat());

    let sick = snap(&["doctor"]);
    assert_eq!(sick.code, 1, "{sick:#?}");
    let grants: Vec<&str> =
        sick.stdout.lines().filter(|line| line.trim_start().starts_with("GRANT ")).collect();
    assert!(grants.len() > 4, "{}", sick.stdout);
    place.server.sql(&grants.join("\n"));
    let well = snap(&["doctor"]);
    let states = well.succeeded().lines().filter(|line| line.contains("rights"));
    assert!(
        states.clone().count() == 2 && states.clone().all(|line| line.starts_with("good ")),
        "{}",
        well.stdout
    );

    let before = place.server.dump("centreon_studio");
    snap(&["create", "before"]).succeeded();
    place.server.sql("DROP TABLE centreon_studio.metric; DROP VIEW centreon_studio.overview");
    snap(&["restore", "before", "--force"]).succeeded();
    assert!(place.server.dump("centreon_studio") == before, "the database differs");
    snap(&["restore", "--discard-previous"]).succeeded();
}

#[test]
fn bash_reads_its_completions() {
    let place = Place::empty();
    let completions = place.path("completions");
    fs::write(&completions, place.snap(&["completions", "bash"]).succeeded()).expect("write");
    let script = format!(
        ". {} && COMP_WORDS=(snap restore --restore-c) COMP_CWORD=2 && \
         _snap snap --restore-c restore && echo \"${{COMPREPLY[@]}}\"",
        completions.display()
    );
    let bash = Command::new("bash").args(["--norc", "-c", &script]).stdin(Stdio::null()).output();
    let answer = assert_succeeds(&bash.expect("start bash"), "complete a flag");
    assert_eq!(answer, "--restore-certificates\n");
}
