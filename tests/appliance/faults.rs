//! Death at every durable step: the process is killed at each fault point that a verb comes to, one
//! after the other, and what it leaves is looked at from outside.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::io::Write;
use std::path::Path;

use crate::place::Output;
use crate::place::Place;
use crate::place::SECURITY_FILE;

/// What can be replaced: the dump of the database, empty where there is none, and the files.
type Live = (String, String);

/// A verb at work, again and again.
struct Scenario {
    name: &'static str,
    place: fn() -> Place,
    /// Brings the place to where the verb begins; returns what the verb is to make of it.
    prepare: fn(&Place) -> Live,
    command: &'static [&'static str],
}

const RESTORE: &[&str] = &["restore", "before", "--force", "--restore-certificates"];
const RESTORE_CERTIFICATES: &[&str] =
    &["restore", "before", "--only", "certificates", "--restore-certificates"];
const RESUME: &[&str] = &["restore", "--resume"];

/// A profile that saves the accounts of its database.
const SAVING_USERS: &str = "[[profiles.studio.sources]]\nname = 'database'\nkind = 'database'\n\
    database = 'centreon_studio'\nusers = true\n";

/// Where a restore is killed before it is resumed.
const INTERRUPTED: &[&str] = &[
    "journal.staged",
    "database.triggers-dropped",
    "database.moved",
    "swap.part",
    "journal.swapped",
];

const SCENARIOS: &[Scenario] = &[
    Scenario { name: "restore", place: Place::used_studio, prepare: use_again, command: RESTORE },
    Scenario {
        name: "restore onto nothing",
        place: Place::used_studio,
        prepare: remove_all,
        command: RESTORE,
    },
    Scenario {
        name: "rollback",
        place: Place::used_studio,
        prepare: restore_used,
        command: &["rollback"],
    },
    Scenario {
        name: "rollback to nothing",
        place: Place::used_studio,
        prepare: restore_removed,
        command: &["rollback"],
    },
    Scenario {
        name: "create",
        place: Place::used_studio,
        prepare: without_new,
        command: &["create", "new"],
    },
    Scenario {
        name: "delete",
        place: Place::used_studio,
        prepare: with_new,
        command: &["delete", "new"],
    },
    Scenario {
        name: "upload",
        place: Place::used_studio,
        prepare: without_new,
        command: &["upload", "FILE", "-s", "new"],
    },
    Scenario {
        name: "prune",
        place: Place::used_studio,
        prepare: Place::all,
        command: &["prune", "--grace", "0s"],
    },
    Scenario {
        name: "restore onto a mount point",
        place: Place::mounted_studio,
        prepare: use_certificates_again,
        command: RESTORE_CERTIFICATES,
    },
    Scenario {
        name: "rollback of a mount point",
        place: Place::mounted_studio,
        prepare: restore_used_certificates,
        command: &["rollback"],
    },
];

/// Puts back what was saved; returns it.
fn restore(place: &Place) -> Live {
    place.snap(&[RESTORE, &["--no-safety-snapshot"]].concat()).succeeded();
    place.all()
}

fn use_again(place: &Place) -> Live {
    let saved = restore(place);
    place.use_on();
    saved
}

fn remove_all(place: &Place) -> Live {
    let saved = restore(place);
    place.snap(&["restore", "--discard-previous"]).succeeded();
    place.server.sql("DROP DATABASE centreon_studio");
    fs::remove_file(place.root().join(SECURITY_FILE)).expect("remove the security file");
    place.overwrite_certificates();
    saved
}

fn restore_used(place: &Place) -> Live {
    use_again(place);
    let used = place.all();
    restore(place);
    used
}

fn restore_removed(place: &Place) -> Live {
    remove_all(place);
    let removed = place.all();
    restore(place);
    removed
}

fn use_certificates_again(place: &Place) -> Live {
    place.snap(RESTORE_CERTIFICATES).succeeded();
    let saved = place.all();
    place.overwrite_certificates();
    saved
}

fn restore_used_certificates(place: &Place) -> Live {
    use_certificates_again(place);
    let used = place.all();
    place.snap(RESTORE_CERTIFICATES).succeeded();
    used
}

fn with_new(place: &Place) -> Live {
    if !place.ids().lines().any(|id| id == "new") {
        place.snap(&["create", "new"]).succeeded();
    }
    place.all()
}

fn without_new(place: &Place) -> Live {
    if place.ids().lines().any(|id| id == "new") {
        place.snap(&["delete", "new"]).succeeded();
    }
    place.all()
}

impl Place {
    /// Runs `snap` with these variables too.
    fn snap_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
        let file = self.path("file").display().to_string();
        let arguments: Vec<_> = arguments
            .iter()
            .map(|word| if *word == "FILE" { file.as_str() } else { word })
            .collect();
        let mut command = self.command(&arguments);
        command.envs(variables.iter().copied());
        Output::of(command.output().expect("start snap"))
    }

    /// Returns the points that a run comes to, in order; it must succeed.
    fn points(&self, arguments: &[&str]) -> Vec<String> {
        let trace = self.path("trace");
        let variable = trace.display().to_string();
        let output = self.snap_with(&[("SNAP_FAULT_TRACE", &variable)], arguments);
        output.succeeded();
        let points = fs::read_to_string(&trace).unwrap_or_default();
        // There is none where a run comes to no point.
        fs::remove_file(&trace).ok();
        points.lines().map(str::to_owned).collect()
    }

    /// Kills a run at the n-th time that it comes to a point.
    fn kill_at(&self, point: &str, time: usize, arguments: &[&str]) {
        let how = format!(
            "{point}={}return",
            if time == 1 { String::new() } else { format!("{}*off->", time - 1) }
        );
        let output = self.snap_with(&[("FAILPOINTS", &how)], arguments);
        assert_eq!(output.code, -1, "{how}: it was not killed: {output:#?}");
    }

    /// Writes the archive that is uploaded.
    fn prepare_upload(&self) {
        let file = self.path("file").display().to_string();
        self.snap(&["download", "before", "-o", &file]).succeeded();
    }

    /// Returns all that can be replaced.
    fn all(&self) -> Live {
        let there = self.server.sql("SHOW DATABASES LIKE 'centreon_studio'");
        let dump =
            if there.is_empty() { String::new() } else { self.server.dump("centreon_studio") };
        (dump, self.tree())
    }

    /// Checks that all that can be replaced is as it was before, or as it was to be, and that
    /// nothing is left beside it but what it replaced.
    fn assert_old_or_new(&self, old: &Live, new: &Live, at: &str) {
        let live = self.all();
        assert!(live == *old || live == *new, "{at}: what is live is neither old nor new");
        let beside = self.beside();
        assert!(beside.iter().all(|name| name.contains("previous")), "{at}: {beside:?}");
    }

    /// Checks what holds whatever was killed: every snapshot is listed and sound.
    fn assert_repository_is_whole(&self, at: &str) {
        let ids = self.ids();
        assert!(ids.lines().any(|id| id == "before"), "{at}: {ids}");
        let verified = self.snap(&["verify"]);
        assert_eq!(verified.code, 0, "{at}: {verified:#?}");
    }
}

/// Returns each point, and the how manieth time it is that it is come to.
fn counted(points: &[String]) -> Vec<(&str, usize)> {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    let mut counted = Vec::new();
    for point in points {
        let time = times.entry(point).or_default();
        *time += 1;
        counted.push((point.as_str(), *time));
    }
    counted
}

/// Kills at every point of a scenario.
fn walk(scenario: &Scenario) {
    let Scenario { name, place, prepare, command } = scenario;
    let place = place();
    place.prepare_upload();
    prepare(&place);
    let points = place.points(command);
    for (point, time) in counted(&points) {
        let at = format!("{name}, at {point} the {time}. time");
        let new = prepare(&place);
        let old = place.all();
        place.kill_at(point, time, command);
        place.assert_repository_is_whole(&at);
        place.snap(RESUME).succeeded();
        place.assert_old_or_new(&old, &new, &at);
    }
    restore(&place);
    let said = format!("fault points: {name}: killed at {} of {}\n", points.len(), points.len());
    io::stderr().write_all(said.as_bytes()).expect("say so");
}

/// Kills a resume at each of its points, after a scenario was killed in the middle: `interrupt` does
/// that at one of the points, and leaves what is to be resumed.
fn walk_resume(scenario: &Scenario, points: &[&str], interrupt: fn(&Place, &str, &[&str])) {
    let Scenario { name, place, prepare, command } = scenario;
    let place = place();
    let mut kills = 0;
    for first in points {
        prepare(&place);
        interrupt(&place, first, command);
        let points = place.points(RESUME);
        for (point, time) in counted(&points) {
            let at = format!("resume of {name} after {first}, at {point} the {time}. time");
            let new = prepare(&place);
            let old = place.all();
            interrupt(&place, first, command);
            place.kill_at(point, time, RESUME);
            place.snap(RESUME).succeeded();
            place.assert_old_or_new(&old, &new, &at);
        }
        kills += points.len();
    }
    let said = format!("fault points: resume of {name}: killed at {kills} of {kills}\n");
    io::stderr().write_all(said.as_bytes()).expect("say so");
}

fn kill(place: &Place, point: &str, command: &[&str]) {
    place.kill_at(point, 1, command);
}

/// Kills a restore onto a mount point when two entries are in, and takes one away that is not.
fn kill_and_lose(place: &Place, point: &str, command: &[&str]) {
    place.kill_at(point, 2, command);
    let staging = place.beside().into_iter().find(|name| name.contains(".snap-staging-"));
    let staging = staging.expect("what comes in is there");
    let waiting = fs::read_dir(staging).expect("list what comes in");
    let waiting = waiting.map(|entry| entry.expect("read what comes in").path()).max();
    fs::remove_file(waiting.expect("something waits")).expect("remove it");
}

#[test]
fn a_restore_that_is_killed_at_any_fault_point_loses_nothing() {
    walk(&SCENARIOS[0]);
}

#[test]
fn a_restore_onto_nothing_that_is_killed_at_any_fault_point_loses_nothing() {
    walk(&SCENARIOS[1]);
}

#[test]
fn a_rollback_that_is_killed_at_any_fault_point_loses_nothing() {
    walk(&SCENARIOS[2]);
}

#[test]
fn a_rollback_to_nothing_that_is_killed_at_any_fault_point_loses_nothing() {
    walk(&SCENARIOS[3]);
}

#[test]
fn a_create_that_is_killed_at_any_fault_point_loses_nothing() {
    walk(&SCENARIOS[4]);
}

#[test]
fn a_delete_that_is_killed_at_any_fault_point_loses_nothing() {
    walk(&SCENARIOS[5]);
}

#[test]
fn an_upload_that_is_killed_at_any_fault_point_loses_nothing() {
    walk(&SCENARIOS[6]);
}

#[test]
fn a_prune_that_is_killed_at_any_fault_point_loses_nothing() {
    walk(&SCENARIOS[7]);
}

#[test]
fn a_resume_that_is_killed_at_any_fault_point_loses_nothing() {
    walk_resume(&SCENARIOS[0], INTERRUPTED, kill);
}

#[test]
fn a_restore_onto_a_mount_point_that_is_killed_at_any_fault_point_loses_nothing() {
    walk(&SCENARIOS[8]);
}

#[test]
fn a_rollback_of_a_mount_point_that_is_killed_at_any_fault_point_loses_nothing() {
    walk(&SCENARIOS[9]);
}

#[test]
fn a_resume_onto_a_mount_point_that_is_killed_at_any_fault_point_loses_nothing() {
    walk_resume(&SCENARIOS[8], &["inside.in", "inside.exchanged"], kill);
    walk_resume(&SCENARIOS[8], &["inside.in"], kill_and_lose);
}

#[test]
fn without_its_mount_a_killed_restore_is_not_resumed_and_with_it_it_is() {
    let place = Place::mounted_studio();
    let new = use_certificates_again(&place);
    place.kill_at("inside.in", 2, RESTORE_CERTIFICATES);
    let unmounted = place.unmounted_command(RESUME).output().expect("start snap");
    Output::of(unmounted)
        .failed(14, &["ssl is not the folder that it was", "hint: mount what was mounted"]);
    place.snap(&["rollback"]).failed(11, &["--resume"]);
    place.snap(RESUME).succeeded();
    assert!(place.all() == new, "it was not finished");
}

#[test]
fn every_fault_point_is_come_to() {
    let place = Place::used_studio();
    place.prepare_upload();
    let mut seen = BTreeSet::new();
    let (mounted, others): (Vec<_>, Vec<_>) =
        SCENARIOS.iter().partition(|it| it.name.contains("mount point"));
    for Scenario { prepare, command, .. } in others {
        restore(&place);
        prepare(&place);
        seen.extend(place.points(command));
    }
    for Scenario { place, prepare, command, .. } in mounted {
        let place = place();
        prepare(&place);
        seen.extend(place.points(command));
        use_certificates_again(&place);
        kill_and_lose(&place, "inside.in", RESTORE_CERTIFICATES);
        seen.extend(place.points(RESUME));
    }
    for first in INTERRUPTED {
        use_again(&place);
        place.kill_at(first, 1, RESTORE);
        seen.extend(place.points(RESUME));
    }
    // Nobody can complete the accounts of another process: that restore goes back.
    place.server.sql("CREATE USER somebody; GRANT SELECT ON centreon_studio.* TO somebody");
    place.configure(SAVING_USERS);
    place.snap(&["create", "with-users"]).succeeded();
    place.server.sql("DROP USER somebody");
    let users = ["restore", "with-users", "--force", "--restore-users"];
    let old = place.all();
    assert!(!old.0.is_empty(), "there is a database");
    place.kill_at("database.moved", 1, &users);
    let resumed = place.points(RESUME);
    seen.extend(resumed);
    assert!(place.all() == old, "it did not go back");
    seen.extend(place.points(&users));
    let written = written(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    let missed: Vec<_> = written.iter().filter(|point| !seen.contains(*point)).collect();
    assert!(missed.is_empty(), "no scenario comes to these points: {missed:?}");
    let said = format!("fault points: {} in all, each is come to\n", seen.len());
    io::stderr().write_all(said.as_bytes()).expect("say so");
}

/// Returns the points that are written in the sources by their whole name.
fn written(folder: &Path) -> BTreeSet<String> {
    let mut points = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("list the sources") {
        let path = entry.expect("read the sources").path();
        if path.is_dir() {
            points.extend(written(&path));
        } else {
            let text = fs::read_to_string(&path).expect("read a source");
            let names =
                text.split("fault::point(\"").skip(1).filter_map(|rest| rest.split('"').next());
            points.extend(names.map(str::to_owned));
        }
    }
    points
}
