//! Executions: what ran is remembered with its end, and what was killed is finished or undone.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;
use serde_json::Value;

use crate::place::Place;
use crate::restore_failures::WAITING;
use crate::restore_failures::finished;

impl Place {
    /// Returns the executions that are remembered, the oldest first.
    pub(crate) fn executions(&self) -> Vec<Value> {
        let listed = self.snap(&["executions", "list", "--include-system-workflows", "--json"]);
        assert_eq!(listed.code, 0, "{listed:#?}");
        listed.json()["executions"].as_array().expect("a list").clone()
    }

    /// Returns verb, status and step of each execution.
    fn ran(&self) -> Vec<String> {
        let word =
            |execution: &Value, key: &str| execution[key].as_str().expect("a word").to_owned();
        let line = |one: &Value| ["verb", "status", "step"].map(|key| word(one, key)).join(" ");
        self.executions().iter().map(line).collect()
    }

    /// Kills a restore of everything that waits for a table, just before it swaps.
    pub(crate) fn kill_a_restore_at_its_swap(&self) {
        let reader = self.session("USE centreon_studio; BEGIN; SELECT COUNT(*) FROM element");
        let arguments = ["restore", "before", "--force", "--full", "--restore-certificates"];
        let restore = self.start(&arguments);
        self.wait_for(WAITING);
        kill_process(Pid::from_child(&restore), Signal::KILL).expect("kill snap");
        assert_eq!(finished(restore).code, -1);
        drop(reader);
    }
}

#[test]
fn every_verb_that_changes_something_is_an_execution_with_its_end() {
    let place = Place::used_studio();
    place.snap(&["restore", "before", "--force", "--dry-run"]).succeeded();
    place.snap(&["restore", "before", "--force"]).succeeded();
    place.snap(&["rollback"]).succeeded();
    place.snap(&["restore", "before"]).failed(14, &["--force"]);
    place
        .snap(&["download", "before", "-o", place.path("file").to_str().expect("UTF-8")])
        .succeeded();
    place.snap(&["upload", place.path("file").to_str().expect("UTF-8"), "-s", "other"]).succeeded();
    place.snap(&["delete", "other"]).succeeded();
    place.snap(&["delete", "other"]).failed(10, &["other"]);
    place.snap(&["prune"]).succeeded();
    let expected = [
        "create terminated done",
        "restore terminated done",
        "rollback terminated done",
        "restore failed failed",
        "upload terminated done",
        "delete terminated done",
        "delete failed failed",
        "prune terminated done",
    ];
    assert_eq!(place.ran(), expected);
    let steps = ["started", "planned", "staged", "verified", "swapping", "swapped", "done"];
    let restore = &place.executions()[1];
    let reached =
        restore["steps"].as_array().expect("steps").iter().map(|reached| &reached["step"]);
    assert_eq!(reached.collect::<Vec<_>>(), steps);
    assert_eq!(restore["snapshot"], "before");
    let id = restore["id"].as_str().expect("an id");
    let shown = place.snap(&["executions", "get", id]);
    assert!(shown.succeeded().starts_with(id) && shown.stdout.contains("swapping"), "{shown:#?}");
    place.snap(&["executions", "get", "execution_NO"]).failed(10, &["execution_NO"]);
}

#[test]
fn journals_are_for_their_owner_alone_and_hold_no_secret() {
    let place = Place::used_studio();
    place.server.sql("SET PASSWORD FOR root@localhost = PASSWORD('sesame-open')");
    let socket = place.server.socket();
    let defaults =
        format!("[client]\nuser=root\npassword=sesame-open\nsocket={}\n", socket.display());
    fs::write(place.path("my.cnf"), defaults).expect("write my.cnf");
    place.snap(&["create"]).succeeded();
    let folder = place.path("state/executions");
    let mode = |path: &std::path::Path| {
        fs::metadata(path).expect("read a mode").permissions().mode() & 0o777
    };
    assert_eq!(mode(&folder), 0o700);
    for entry in fs::read_dir(&folder).expect("list the journals") {
        let path = entry.expect("read the folder").path();
        assert_eq!(mode(&path), 0o600, "{path:?}");
        let text = fs::read_to_string(&path).expect("read a journal");
        assert!(!text.contains("sesame"), "{text}");
        assert!(path.extension().is_some_and(|end| end == "json"), "{path:?} is left");
    }
}

#[test]
fn an_unfinished_restore_stops_what_would_lose_it_and_is_resumed() {
    let place = Place::used_studio();
    let used = place.live();
    place.kill_a_restore_at_its_swap();
    let resume = "`snap restore --resume --profile studio`";
    place.snap(&["restore", "before", "--force"]).failed(11, &["unfinished", resume]);
    place.snap(&["restore", "--discard-previous"]).failed(11, &["unfinished", resume]);
    place.snap(&["rollback"]).failed(11, &["unfinished", resume]);
    place.snap(&["prune"]).failed(11, &["unfinished", resume]);
    let created = place.snap(&["create", "meanwhile"]);
    assert!(created.stderr.contains("is unfinished"), "{created:#?}");
    assert_eq!(created.code, 0);
    let resumed = place.snap(&["restore", "--resume"]);
    assert!(resumed.succeeded().starts_with("finished: restore execution_"), "{resumed:#?}");
    assert!(place.live() != used, "nothing was restored");
    place.snap(&["rollback"]).succeeded();
    assert!(place.live() == used, "it is not what was live before");
    assert_eq!(place.snap(&["restore", "--resume"]).succeeded(), "nothing is unfinished");
}

#[test]
fn what_stayed_where_it_is_may_be_written_to_once_the_restore_is_dead_and_so_that_is_undone() {
    let place = Place::used_studio();
    let reader = place.session("USE centreon_studio; BEGIN; SELECT COUNT(*) FROM element");
    let restore = place.start(&["restore", "before", "--force"]);
    place.wait_for(WAITING);
    kill_process(Pid::from_child(&restore), Signal::KILL).expect("kill snap");
    finished(restore);
    drop(reader);
    let used = place.live();
    let resumed = place.snap(&["restore", "--resume"]);
    assert!(resumed.succeeded().starts_with("undone: restore execution_"), "{resumed:#?}");
    assert!(place.live() == used, "something was touched");
    assert_eq!(place.beside(), [""; 0]);
}

#[test]
fn what_waits_in_the_server_for_a_dead_restore_is_ended_before_anything_else() {
    let place = Place::used_studio();
    let reader = place.session("USE centreon_studio; BEGIN; SELECT COUNT(*) FROM element");
    let restore = place.start(&["restore", "before", "--force", "--full"]);
    place.wait_for(WAITING);
    kill_process(Pid::from_child(&restore), Signal::KILL).expect("kill snap");
    finished(restore);
    // The reader holds the table still, so that a lock which was waited for would be waited for.
    let resume = place.start(&["restore", "--resume"]);
    place.wait_for("SELECT 1 FROM information_schema.processlist WHERE state LIKE 'Waiting for table metadata lock'");
    drop(reader);
    finished(resume).succeeded();
    assert_eq!(place.snap(&["restore", "--resume"]).succeeded(), "nothing is unfinished");
}

#[test]
fn a_killed_create_is_told_as_failed_by_the_next_command() {
    let place = Place::used_studio();
    let writer = place.session("LOCK TABLES centreon_studio.element WRITE");
    let create = place.start(&["create", "never"]);
    place.wait_for(WAITING);
    kill_process(Pid::from_child(&create), Signal::KILL).expect("kill snap");
    finished(create);
    drop(writer);
    place.snap(&["create", "next"]).succeeded();
    assert_eq!(
        place.ran(),
        ["create terminated done", "create failed failed", "create terminated done"]
    );
}

#[test]
fn a_restore_saves_what_it_replaces_and_keeps_the_last_two() {
    let place = Place::used_studio();
    let planned = place.snap(&["restore", "before", "--force", "--dry-run"]);
    assert!(planned.succeeded().contains("would be saved as a snapshot before"), "{planned:#?}");
    let used = place.live();
    let restored = place.snap(&["restore", "before", "--force", "--restore-certificates"]);
    restored.succeeded();
    let line = restored.stdout.lines().find_map(|line| line.strip_prefix("saved before: "));
    let safety = line.expect("the id of the safety snapshot").to_owned();
    assert!(restored.stderr.contains(&safety), "{restored:#?}");
    place.snap(&["restore", &safety, "--force", "--restore-certificates"]).succeeded();
    assert!(place.live() == used, "the safety snapshot is not what was replaced");
    for _ in 0..2 {
        place.snap(&["restore", "before", "--force"]).succeeded();
    }
    let listed = place.snap(&["list", "--json"]).json();
    let tagged = listed["snapshots"].as_array().expect("a list").iter();
    assert_eq!(tagged.filter(|one| one["tags"][0] == "safety").count(), 2, "{listed:#}");
    place.snap(&["restore", "before", "--force", "--no-safety-snapshot"]).succeeded();
    assert_eq!(place.snap(&["list", "--json"]).json(), listed);
}

#[test]
fn a_pinned_safety_snapshot_is_neither_deleted_nor_counted() {
    let place = Place::used_studio();
    let restored = || {
        place.use_on();
        let restored = place.snap(&["restore", "before", "--force", "--json"]);
        restored.succeeded();
        restored.json()["restore"]["safety_snapshot"].as_str().expect("an id").to_owned()
    };
    place.snap(&["restore", "before", "--force", "--no-safety-snapshot"]).succeeded();
    let pinned = restored();
    assert_eq!(place.snap(&["pin", &pinned]).succeeded(), format!("pinned {pinned}"));
    let ids: Vec<String> = std::iter::repeat_with(restored).take(3).collect();
    let mut expected = vec!["before", &pinned, &ids[1], &ids[2]];
    let mut listed = place.ids();
    assert_eq!(listed.lines().collect::<Vec<_>>(), expected);
    place.snap(&["unpin", &pinned]).succeeded();
    let last = restored();
    expected = vec!["before", &ids[2], &last];
    listed = place.ids();
    assert_eq!(listed.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_restore_that_replaces_nothing_leaves_no_safety_snapshot_and_pushes_none_out() {
    let place = Place::small_studio();
    place.snap(&["create", "before"]).succeeded();
    let restore = ["restore", "before", "--force"];
    for _ in 0..2 {
        place.use_on();
        place.snap(&restore).succeeded();
    }
    let listed = place.ids();
    assert_eq!(listed.lines().count(), 3, "{listed}");
    let identical = place.snap(&[&restore[..], &["--json"]].concat());
    identical.succeeded();
    assert_eq!(identical.json()["restore"].get("safety_snapshot"), None);
    assert!(identical.stderr.contains("nothing was replaced: snapshot_"), "{identical:#?}");
    assert_eq!(place.ids(), listed);
    // What fails or is stopped before the swap has replaced nothing either.
    place.use_on();
    let used = place.live();
    let writer = place.session("LOCK TABLES centreon_studio.element WRITE");
    let stopped = place.start(&restore);
    place.wait_for(WAITING);
    kill_process(Pid::from_child(&stopped), Signal::INT).expect("tell snap to end");
    assert_eq!(finished(stopped).code, 130);
    drop(writer);
    let folder = place.root().join("opt/manager");
    fs::rename(&folder, place.path("away")).expect("move the folder away");
    fs::write(&folder, "in the way").expect("put a file in its place");
    place.snap(&restore).failed(1, &["opt/manager"]);
    fs::remove_file(&folder).expect("remove the file");
    fs::rename(place.path("away"), &folder).expect("move the folder back");
    assert_eq!(place.ids(), listed);
    assert!(place.live() == used, "something was touched");
    let executions = place.executions();
    let left = executions.iter().filter(|one| one["safety_snapshot"].is_string());
    assert_eq!(left.count(), 2, "{executions:#?}");
}

#[test]
fn a_safety_snapshot_that_cannot_be_taken_is_noted_and_the_restore_goes_on() {
    let place = Place::used_studio();
    place.server.sql("USE centreon_studio; CREATE TABLE odd (id INT) ENGINE=MERGE");
    let restored = place.snap(&["restore", "before", "--force"]);
    restored.succeeded();
    assert!(
        restored.stderr.contains("no safety snapshot of what is replaced could be taken"),
        "{restored:#?}"
    );
}

#[test]
fn without_the_binary_log_replicas_hear_nothing_of_a_restore_and_its_rollback() {
    let place = Place::with_options(&["--log-bin", "--server-id=1"]);
    place.server.load_fixture();
    place.snap(&["create", "before"]).succeeded();
    let position = || place.server.sql("SHOW MASTER STATUS");
    let start = position();
    let quiet = ["restore", "before", "--force", "--full", "--only", "database", "--binlog", "off"];
    place.snap(&quiet).succeeded();
    place.snap(&["rollback"]).succeeded();
    assert_eq!(position(), start);
    place.snap(&quiet[..6]).succeeded();
    assert_ne!(position(), start);
}

#[test]
fn a_verb_that_is_told_to_end_is_cancelled_and_nothing_of_it_runs_on() {
    let place = Place::used_studio();
    let live = place.live();
    let waiters = WAITING.replace("SELECT 1", "SELECT COUNT(*)");
    for (arguments, signal, code) in [
        (&["create", "never"][..], Signal::TERM, 143),
        (&["restore", "before", "--force"][..], Signal::INT, 130),
    ] {
        let writer = place.session("LOCK TABLES centreon_studio.element WRITE");
        let verb = place.start(arguments);
        place.wait_for(WAITING);
        kill_process(Pid::from_child(&verb), signal).expect("tell snap to end");
        assert_eq!(finished(verb).code, code);
        assert_eq!(place.server.sql(&waiters), "0\n", "{arguments:?}: a statement waits on");
        drop(writer);
        place.wait_for(
            "SELECT 1 FROM (SELECT COUNT(*) AS sessions FROM information_schema.processlist
             WHERE command <> 'Daemon' AND id <> CONNECTION_ID()) AS others WHERE sessions = 0",
        );
    }
    assert!(place.live() == live, "something was touched");
    assert_eq!(place.beside(), [""; 0]);
    let ran =
        ["create terminated done", "create cancelled cancelled", "restore cancelled cancelled"];
    assert_eq!(place.ran(), ran);
}

#[test]
fn a_resume_at_another_server_is_refused() {
    let (place, other) = (Place::used_studio(), Place::empty());
    place.kill_a_restore_at_its_swap();
    let defaults = format!("--defaults-file={}", other.path("my.cnf").display());
    let socket = place.server.socket().display().to_string();
    place
        .snap(&["restore", "--resume", &defaults])
        .failed(14, &["works on the database server", &socket]);
    place.snap(&["restore", "--resume"]).succeeded();
}
