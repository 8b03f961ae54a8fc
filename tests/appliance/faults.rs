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
    /// Brings the place to where the verb begins; returns what the verb is to make of it.
    prepare: fn(&Place) -> Live,
    command: &'static [&'static str],
}

const RESTORE: &[&str] = &["restore", "before", "--force", "--restore-certificates"];
const IN_PLACE: &[&str] = &["restore", "before", "--force", "--restore-certificates", "--in-place"];
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
    Scenario { name: "restore", prepare: use_again, command: RESTORE },
    Scenario { name: "restore onto nothing", prepare: remove_all, command: RESTORE },
    Scenario { name: "rollback", prepare: restore_used, command: &["rollback"] },
    Scenario { name: "rollback to nothing", prepare: restore_removed, command: &["rollback"] },
    Scenario { name: "create", prepare: without_new, command: &["create", "new"] },
    Scenario { name: "delete", prepare: with_new, command: &["delete", "new"] },
    Scenario { name: "upload", prepare: without_new, command: &["upload", "FILE", "-s", "new"] },
    Scenario { name: "restore in place", prepare: use_oddly, command: IN_PLACE },
    Scenario { name: "prune", prepare: Place::all, command: &["prune", "--grace", "0s"] },
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

/// Has something of all that is replaced in place.
fn use_oddly(place: &Place) -> Live {
    let saved = use_again(place);
    place.snap(&["restore", "--discard-previous"]).succeeded();
    place.server.sql("DO NEXTVAL(centreon_studio.number)");
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

    /// Returns the safety snapshot of the execution that is unfinished, where it has one.
    fn safety_of_unfinished(&self) -> Option<String> {
        let listed = self.snap(&["executions", "list", "--json"]).json();
        let executions = listed["executions"].as_array().expect("a list");
        let last = executions.iter().rfind(|one| one["status"] == "started")?;
        Some(last["safety_snapshot"].as_str()?.to_owned())
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
    let Scenario { name, prepare, command } = scenario;
    let place = Place::used_studio();
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

/// Kills a resume at each of its points, after a restore was killed in the middle.
fn walk_resume(scenario: &Scenario, interrupted: &[&str]) {
    let Scenario { name, prepare, command } = scenario;
    let place = Place::used_studio();
    let mut kills = 0;
    for first in interrupted {
        prepare(&place);
        place.kill_at(first, 1, command);
        let points = place.points(RESUME);
        for (point, time) in counted(&points) {
            let at = format!("resume of {name} after {first}, at {point} the {time}. time");
            let new = prepare(&place);
            let old = place.all();
            place.kill_at(first, 1, command);
            place.kill_at(point, time, RESUME);
            place.snap(RESUME).succeeded();
            place.assert_old_or_new(&old, &new, &at);
        }
        kills += points.len();
    }
    let said = format!("fault points: resume of {name}: killed at {kills} of {kills}\n");
    io::stderr().write_all(said.as_bytes()).expect("say so");
}

/// Kills a restore in place at each of its points, and goes back; goes back again where even that is
/// killed in the middle.
fn walk_back() {
    let place = Place::used_studio();
    use_oddly(&place);
    let points = place.points(IN_PLACE);
    let mut kills = 0;
    for (point, time) in counted(&points) {
        let at = format!("going back, at {point} the {time}. time");
        use_oddly(&place);
        let old = place.all();
        place.kill_at(point, time, IN_PLACE);
        let Some(safety) = place.safety_of_unfinished() else { continue };
        let back = ["restore", &safety, "--force", "--restore-certificates", "--in-place"];
        let is_mixed = place.all() != old;
        if is_mixed && kills % 4 == 0 {
            place.kill_at("in-place.proven", 1, &back);
            let mixture = place.snap(&["rollback"]);
            mixture.failed(11, &["neither what it was nor what was saved"]);
            // The last one counts: it was on its way back.
            place.snap(RESUME).succeeded();
            assert!(place.all() == old, "{at}: a resume went elsewhere");
            assert_eq!(place.snap(RESUME).succeeded(), "nothing is unfinished", "{at}");
        } else {
            place.snap(&back).succeeded();
        }
        assert!(place.all() == old, "{at}: what is live is not as it was before");
        assert_eq!(place.snap(RESUME).succeeded(), "nothing is unfinished", "{at}");
        assert_eq!(place.beside(), [""; 0], "{at}");
        kills += 1;
    }
    assert!(kills > 20, "only {kills} were unfinished");
    let said = format!("fault points: back from in place: killed at {kills} of {kills}\n");
    io::stderr().write_all(said.as_bytes()).expect("say so");
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
    walk(&SCENARIOS[8]);
}

#[test]
fn a_restore_in_place_that_is_killed_at_any_fault_point_is_finished_by_a_resume() {
    walk(&SCENARIOS[7]);
}

#[test]
fn a_restore_in_place_that_is_killed_at_any_fault_point_goes_back_by_its_safety_snapshot() {
    walk_back();
}

#[test]
fn a_resume_that_is_killed_at_any_fault_point_loses_nothing() {
    walk_resume(&SCENARIOS[0], INTERRUPTED);
}

#[test]
fn a_resume_in_place_that_is_killed_at_any_fault_point_loses_nothing() {
    walk_resume(&SCENARIOS[7], &["in-place.moved"]);
}

#[test]
fn every_fault_point_is_come_to() {
    let place = Place::used_studio();
    place.prepare_upload();
    let mut seen = BTreeSet::new();
    for Scenario { prepare, command, .. } in SCENARIOS {
        restore(&place);
        prepare(&place);
        seen.extend(place.points(command));
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
