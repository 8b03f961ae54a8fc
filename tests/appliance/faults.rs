//! Death at every durable step: the process is killed at each fault point that a verb comes to, one
//! after the other, and what it leaves is looked at from outside.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::faults_in_place::IN_PLACE;
use crate::faults_in_place::use_oddly;
use crate::place::CERTIFICATES;
use crate::place::Output;
use crate::place::Place;
use crate::place::SECURITY_FILE;
use crate::tally;
use crate::tree;

/// What can be replaced.
#[derive(PartialEq)]
pub(crate) struct Live {
    /// The database with its programs, empty where there is none.
    dump: String,
    parts: Parts,
}

/// What is swapped one after the other, each at once: the rows of the database, empty where it has no
/// tables, the certificates, and the security file.
type Parts = [String; 3];

/// A verb at work, again and again.
struct Scenario {
    name: &'static str,
    /// Brings the place to where the verb begins; returns what the verb is to make of it.
    prepare: fn(&Place) -> Live,
    command: &'static [&'static str],
}

/// A restore of what differs: some tables stay where they are.
const RESTORE: &[&str] = &["restore", "before", "--force", "--restore-certificates"];
/// A restore of everything: no table stays.
const FULL: &[&str] = &["restore", "before", "--force", "--restore-certificates", "--full"];
pub(crate) const RESUME: &[&str] = &["restore", "--resume"];

/// A restore of everything with an account that is not there.
const WITH_USERS: &[&str] =
    &["restore", "with-users", "--force", "--restore-certificates", "--full", "--restore-users"];

/// A profile that saves the accounts of its database.
const SAVING_USERS: &str = "
    [[profiles.studio.sources]]
    name = 'database'
    kind = 'database'
    database = 'centreon_studio'
    users = true
    [[profiles.studio.sources]]
    name = 'certificates'
    kind = 'files'
    path = '/etc/cloudify/ssl'
    certificates = true
    [[profiles.studio.sources]]
    name = 'users'
    kind = 'files'
    path = '/opt/manager/rest-security.conf'
";

/// Where a restore of everything is killed before it is resumed.
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
    Scenario { name: "prune", prepare: Place::all, command: &["prune", "--grace", "0s"] },
    Scenario { name: "restore in place", prepare: use_oddly, command: IN_PLACE },
];

/// Puts back what was saved; returns it.
fn restore(place: &Place) -> Live {
    place.snap(&[RESTORE, &["--no-safety-snapshot"]].concat()).succeeded();
    place.all()
}

pub(crate) fn use_again(place: &Place) -> Live {
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
    pub(crate) fn points(&self, arguments: &[&str]) -> Vec<String> {
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
    pub(crate) fn kill_at(&self, point: &str, time: usize, arguments: &[&str]) {
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

    /// Saves what is live with an account as `with-users`, and drops the account.
    fn save_users(&self) {
        restore(self);
        self.server.sql("CREATE USER somebody; GRANT SELECT ON centreon_studio.* TO somebody");
        self.configure(SAVING_USERS);
        self.snap(&["create", "with-users"]).succeeded();
        self.server.sql("DROP USER somebody");
    }

    /// Returns all that can be replaced.
    pub(crate) fn all(&self) -> Live {
        let there = self.server.sql("SHOW DATABASES LIKE 'centreon_studio'");
        let dump =
            if there.is_empty() { String::new() } else { self.server.dump("centreon_studio") };
        Live { dump, parts: self.parts() }
    }

    /// Returns the parts, as they are at any moment.
    fn parts(&self) -> Parts {
        let names = self.server.sql(
            "SELECT table_name FROM information_schema.tables
             WHERE table_schema = 'centreon_studio' AND table_type = 'BASE TABLE' ORDER BY 1",
        );
        let rows = match names.as_str() {
            "" => String::new(),
            names => self.server.dump_rows("centreon_studio", names.lines()),
        };
        let file = |path: &str| tree::describe(&self.root().join(path));
        [rows, file(CERTIFICATES), file(SECURITY_FILE)]
    }

    /// Checks that each part is as it was before, or as it was to be, right after a kill.
    fn assert_parts_are_whole(&self, old: &Parts, new: &Parts, at: &str) {
        // The server ends by itself what it was told last.
        self.wait_until_alone();
        for (part, (old, new)) in self.parts().iter().zip(old.iter().zip(new)) {
            assert!(part == old || part == new, "{at}: a part is neither old nor new:\n{part}");
        }
    }

    /// Checks that all that can be replaced is as it was before, or as it was to be, and that
    /// nothing is left beside it but what it replaced.
    pub(crate) fn assert_old_or_new(&self, old: &Live, new: &Live, at: &str) {
        let live = self.all();
        assert!(live == *old || live == *new, "{at}: what is live is neither old nor new");
        let beside = self.beside();
        assert!(beside.iter().all(|name| name.contains("previous")), "{at}: {beside:?}");
    }

    /// Checks what holds whatever was killed: every snapshot is listed and sound.
    pub(crate) fn assert_repository_is_whole(&self, at: &str) {
        let ids = self.ids();
        assert!(ids.lines().any(|id| id == "before"), "{at}: {ids}");
        let verified = self.snap(&["verify"]);
        assert_eq!(verified.code, 0, "{at}: {verified:#?}");
    }
}

/// Returns each point, and the how manieth time it is that it is come to.
pub(crate) fn counted(points: &[String]) -> Vec<(&str, usize)> {
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
        place.assert_parts_are_whole(&old.parts, &new.parts, &at);
        place.assert_repository_is_whole(&at);
        place.snap(RESUME).succeeded();
        place.assert_old_or_new(&old, &new, &at);
    }
    restore(&place);
    tally::tell(points.len(), "kills", &format!("of {name}, one at each fault point it comes to"));
}

/// Kills a resume at each of its points, after `command` was killed at `first`; returns how often.
fn walk_resume(place: &Place, command: &[&str], first: &str) -> usize {
    use_again(place);
    place.kill_at(first, 1, command);
    let points = place.points(RESUME);
    for (point, time) in counted(&points) {
        let at = format!("resume after {first}, at {point} the {time}. time");
        let new = use_again(place);
        let old = place.all();
        place.kill_at(first, 1, command);
        place.kill_at(point, time, RESUME);
        place.assert_parts_are_whole(&old.parts, &new.parts, &at);
        place.snap(RESUME).succeeded();
        place.assert_old_or_new(&old, &new, &at);
    }
    points.len()
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
    let place = Place::used_studio();
    let kills = INTERRUPTED.iter().map(|first| walk_resume(&place, FULL, first)).sum();
    tally::tell(
        kills,
        "kills",
        "of restore --resume that goes on, one at each fault point it comes to",
    );
}

#[test]
fn a_resume_that_puts_back_and_is_killed_at_any_fault_point_loses_nothing() {
    let place = Place::used_studio();
    place.save_users();
    // Nobody can complete the accounts of another process: that restore goes back.
    let kills = walk_resume(&place, WITH_USERS, "database.moved")
        + walk_resume(&place, WITH_USERS, "database.complete");
    assert_eq!(place.server.sql("SELECT User FROM mysql.global_priv WHERE User = 'somebody'"), "");
    tally::tell(
        kills,
        "kills",
        "of restore --resume that goes back, one at each fault point it comes to",
    );
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
        place.kill_at(first, 1, FULL);
        seen.extend(place.points(RESUME));
    }
    place.save_users();
    use_again(&place);
    let old = place.all();
    place.kill_at("database.moved", 1, WITH_USERS);
    seen.extend(place.points(RESUME));
    assert!(place.all() == old, "it did not go back");
    seen.extend(place.points(WITH_USERS));
    let written = written(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    let missed: Vec<_> = written.iter().filter(|point| !seen.contains(*point)).collect();
    assert!(missed.is_empty(), "no scenario comes to these points: {missed:?}");
    tally::tell(seen.len(), "points", "where a process can be killed, each come to by a verb");
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
