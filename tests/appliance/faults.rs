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

/// A verb at work, again and again.
struct Scenario {
    name: &'static str,
    /// Brings the place to where the verb begins.
    prepare: fn(&Place),
    command: &'static [&'static str],
    /// The points that no run of it comes to, because only a resume does.
    resumes: bool,
}

const RESTORE: &[&str] = &["restore", "before", "--force", "--restore-certificates"];
const RESUME: &[&str] = &["restore", "--resume"];

const SCENARIOS: &[Scenario] = &[
    Scenario { name: "restore", prepare: Place::use_on, command: RESTORE, resumes: true },
    Scenario { name: "restore onto nothing", prepare: remove_all, command: RESTORE, resumes: true },
    Scenario { name: "rollback", prepare: restore, command: &["rollback"], resumes: true },
    Scenario {
        name: "rollback to nothing",
        prepare: restore_onto_nothing,
        command: &["rollback"],
        resumes: true,
    },
    Scenario { name: "create", prepare: |_| {}, command: &["create", "new"], resumes: false },
    Scenario { name: "delete", prepare: create_new, command: &["delete", "new"], resumes: false },
    Scenario {
        name: "upload",
        prepare: |_| {},
        command: &["upload", "FILE", "-s", "new"],
        resumes: false,
    },
    Scenario {
        name: "prune",
        prepare: |_| {},
        command: &["prune", "--grace", "0s"],
        resumes: false,
    },
];

fn remove_all(place: &Place) {
    place.snap(&["restore", "--discard-previous"]).succeeded();
    place.server.sql("DROP DATABASE IF EXISTS centreon_studio");
    let file = place.root().join(SECURITY_FILE);
    if file.exists() {
        fs::remove_file(&file).expect("remove the security file");
    }
    place.overwrite_certificates();
}

fn restore(place: &Place) {
    place.snap(RESTORE).succeeded();
    place.use_on();
    place.snap(&[RESTORE, &["--no-safety-snapshot"]].concat()).succeeded();
}

fn restore_onto_nothing(place: &Place) {
    remove_all(place);
    place.snap(RESTORE).succeeded();
}

fn create_new(place: &Place) {
    if !place.ids().lines().any(|id| id == "new") {
        place.snap(&["create", "new"]).succeeded();
    }
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
        fs::remove_file(&trace).expect("remove the trace");
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

    /// Checks what holds whatever was killed: every snapshot is listed and sound.
    fn assert_repository_is_whole(&self, at: &str) {
        let ids = self.ids();
        assert!(ids.lines().any(|id| id == "before"), "{at}: {ids}");
        let verified = self.snap(&["verify"]);
        assert_eq!(verified.code, 0, "{at}: {verified:#?}");
    }
}

/// Kills at every point of a scenario; returns how many times, and the points.
fn walk(scenario: &Scenario) -> (usize, BTreeSet<String>) {
    let place = Place::used_studio();
    let file = place.path("file").display().to_string();
    place.snap(&["download", "before", "-o", &file]).succeeded();
    (scenario.prepare)(&place);
    let old = place.live();
    let points = place.points(scenario.command);
    let new = place.live();
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    let mut kills = 0;
    let mut seen: BTreeSet<String> = points.iter().cloned().collect();
    for point in &points {
        let time = times.entry(point).or_default();
        *time += 1;
        let at = format!("{}, at {point} the {time}. time", scenario.name);
        if scenario.name == "create" || scenario.name == "upload" {
            // It may have come to its end before.
            place.snap(&["delete", "new"]);
        }
        (scenario.prepare)(&place);
        assert!(place.live() == old, "{at}: the place is not as it was at first");
        place.kill_at(point, *time, scenario.command);
        kills += 1;
        place.assert_repository_is_whole(&at);
        if scenario.resumes {
            let resuming = place.points(RESUME);
            // A resume dies too, once at each of its own points, where it is new.
            seen.extend(resuming.iter().cloned());
        } else {
            place.snap(RESUME).succeeded();
        }
        let live = place.live();
        assert!(live == old || live == new, "{at}: what is live is neither old nor new");
        let beside = place.beside();
        assert!(beside.iter().all(|name| name.contains("previous")), "{at}: {beside:?}");
        place.snap(RESTORE).succeeded();
    }
    let said = format!(
        "fault points: {}: killed {kills} times at {} points\n",
        scenario.name,
        times.len()
    );
    io::stderr().write_all(said.as_bytes()).expect("say so");
    (kills, seen)
}

/// Kills a resume at each of its points, after a restore was killed in the middle of its swap.
fn walk_resume() -> (usize, BTreeSet<String>) {
    let place = Place::used_studio();
    let old = place.live();
    let mut seen = BTreeSet::new();
    let mut kills = 0;
    for first in ["journal.staged", "database.moved", "swap.part", "files.swap", "journal.swapped"]
    {
        place.use_on();
        place.kill_at(first, 1, RESTORE);
        let points = place.points(RESUME);
        let new = place.live();
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for point in &points {
            let time = times.entry(point).or_default();
            *time += 1;
            let at = format!("resume after {first}, at {point} the {time}. time");
            place.snap(RESTORE).succeeded();
            place.use_on();
            place.kill_at(first, 1, RESTORE);
            place.kill_at(point, *time, RESUME);
            kills += 1;
            place.snap(RESUME).succeeded();
            let live = place.live();
            assert!(live == old || live == new, "{at}: what is live is neither old nor new");
            let beside = place.beside();
            assert!(beside.iter().all(|name| name.contains("previous")), "{at}: {beside:?}");
        }
        seen.extend(points);
    }
    let said = format!("fault points: resume: killed {kills} times\n");
    io::stderr().write_all(said.as_bytes()).expect("say so");
    (kills, seen)
}

#[test]
fn a_process_that_is_killed_at_any_fault_point_loses_nothing() {
    let walks: Vec<_> = std::thread::scope(|scope| {
        let (one, other) = SCENARIOS.split_at(2);
        let first = scope.spawn(|| one.iter().map(walk).collect::<Vec<_>>());
        let second =
            scope.spawn(|| other.iter().map(walk).chain([walk_resume()]).collect::<Vec<_>>());
        [first, second]
            .into_iter()
            .flat_map(|walk| walk.join().expect("a walk that holds"))
            .collect()
    });
    let kills: usize = walks.iter().map(|(kills, _)| kills).sum();
    let seen: BTreeSet<String> = walks.into_iter().flat_map(|(_, seen)| seen).collect();
    let written = written(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    let missed: Vec<_> = written.iter().filter(|point| !seen.contains(*point)).collect();
    assert!(missed.is_empty(), "no scenario comes to these points: {missed:?}");
    let said = format!(
        "fault points: killed {kills} times in all, at {} points of {}\n",
        seen.len(),
        seen.len()
    );
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
