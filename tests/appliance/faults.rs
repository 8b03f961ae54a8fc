//! Death at every durable step: the process is killed at each fault point that a verb comes to, one
//! after the other, and what it leaves is looked at from outside.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::commands;
use crate::faults_in_place::IN_PLACE;
use crate::faults_in_place::use_oddly;
use crate::place::CERTIFICATES;
use crate::place::Output;
use crate::place::Place;
use crate::place::SECURITY_FILE;
use crate::place::files_below;
use crate::roles;
use crate::stray_keys;
use crate::tally;
use crate::upgrade;

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
    place: fn() -> Place,
    /// Brings the place to where the verb begins; returns what the verb is to make of it.
    prepare: fn(&Place) -> Live,
    command: &'static [&'static str],
}

/// A restore of what differs: some tables stay where they are.
const RESTORE: &[&str] = &["restore", "before", "--force", "--restore-certificates"];
/// A restore of everything: no table stays.
const FULL: &[&str] = &["restore", "before", "--force", "--restore-certificates", "--full"];
const RESTORE_CERTIFICATES: &[&str] =
    &["restore", "before", "--only", "certificates", "--restore-certificates"];
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
    Scenario {
        name: "restore in place",
        place: Place::used_studio,
        prepare: use_oddly,
        command: IN_PLACE,
    },
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
        let file = |path: &str| files_below(&self.root(), path);
        [rows, file(CERTIFICATES), file(SECURITY_FILE)]
    }

    /// Checks that each part is as it was before, or as it was to be, right after a kill.
    fn assert_parts_are_whole(&self, old: &Parts, new: &Parts, at: &str) {
        // The server ends by itself what it was told last.
        self.wait_until_alone();
        for (part, (old, new)) in self.parts().iter().zip(old.iter().zip(new)) {
            let is_whole = part == old || part == new;
            // The entries of a mount point are swapped one after the other.
            let is_on_the_way = self.mount.is_some() && is_between(part, old, new);
            assert!(is_whole || is_on_the_way, "{at}: a part is neither old nor new:\n{part}");
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

/// Returns whether each entry of a tree is an old or a new one, and none is absent that both have.
fn is_between(tree: &str, old: &str, new: &str) -> bool {
    let lines = |tree| str::lines(tree).skip(1).collect::<BTreeSet<&str>>();
    let names = |lines: &BTreeSet<&str>| -> BTreeSet<String> {
        let name = |line: &&str| line.split(' ').next().unwrap_or_default().to_owned();
        lines.iter().map(name).collect()
    };
    let (tree, old, new) = (lines(tree), lines(old), lines(new));
    let common: BTreeSet<_> = names(&old).intersection(&names(&new)).cloned().collect();
    tree.is_subset(&(&old | &new)) && common.is_subset(&names(&tree))
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
        place.assert_parts_are_whole(&old.parts, &new.parts, &at);
        place.assert_repository_is_whole(&at);
        place.snap(RESUME).succeeded();
        place.assert_old_or_new(&old, &new, &at);
    }
    restore(&place);
    tally::tell(points.len(), "kills", &format!("of {name}, one at each fault point it comes to"));
}

/// Kills a resume at each of its points, after `interrupt` has killed what it resumes; returns how
/// often.
fn walk_resume(place: &Place, prepare: fn(&Place) -> Live, interrupt: impl Fn()) -> usize {
    prepare(place);
    interrupt();
    let points = place.points(RESUME);
    for (point, time) in counted(&points) {
        let at = format!("resume, at {point} the {time}. time");
        let new = prepare(place);
        let old = place.all();
        interrupt();
        place.kill_at(point, time, RESUME);
        place.assert_parts_are_whole(&old.parts, &new.parts, &at);
        place.snap(RESUME).succeeded();
        place.assert_old_or_new(&old, &new, &at);
    }
    points.len()
}

/// Kills a restore onto a mount point when two entries are in, and takes one away that is not: it
/// cannot go on.
fn kill_and_lose(place: &Place) {
    place.kill_at("inside.in", 2, RESTORE_CERTIFICATES);
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
    let place = Place::used_studio();
    let kills = INTERRUPTED
        .iter()
        .map(|first| walk_resume(&place, use_again, || place.kill_at(first, 1, FULL)));
    let kills = kills.sum();
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
    let kill_at = |point| place.kill_at(point, 1, WITH_USERS);
    let kills = walk_resume(&place, use_again, || kill_at("database.moved"))
        + walk_resume(&place, use_again, || kill_at("database.complete"));
    assert_eq!(place.server.sql("SELECT User FROM mysql.global_priv WHERE User = 'somebody'"), "");
    tally::tell(
        kills,
        "kills",
        "of restore --resume that goes back, one at each fault point it comes to",
    );
}

#[test]
fn what_somebody_makes_of_a_database_that_was_absent_stays_and_keeps_nobody_from_going_on() {
    let place = Place::used_studio();
    let kill_after_removal = || {
        remove_all(&place);
        place.kill_at("journal.swapping", 1, RESTORE);
    };
    // A service that starts meanwhile creates what it needs.
    kill_after_removal();
    place
        .server
        .sql("CREATE DATABASE centreon_studio; CREATE TABLE centreon_studio.element (own INT)");
    let resumed = place.snap(RESUME);
    assert!(resumed.succeeded().starts_with("undone: restore"), "{resumed:#?}");
    assert_eq!(place.server.sql("SELECT COUNT(own) FROM centreon_studio.element"), "0\n");
    assert_eq!(place.beside(), [""; 0]);
    place.snap(&["restore", "before"]).failed(14, &["--force"]);
    // So does what is dropped.
    use_again(&place);
    place.kill_at("journal.swapping", 1, FULL);
    place.server.sql("DROP DATABASE centreon_studio");
    let resumed = place.snap(RESUME);
    assert!(resumed.succeeded().starts_with("undone: restore"), "{resumed:#?}");
    let saved = restore(&place);
    assert!(!saved.dump.is_empty(), "it cannot be restored any more");
}

#[test]
fn a_server_that_has_lost_its_note_is_told_what_was_live_by_the_journal() {
    let place = Place::used_studio();
    for (command, point) in [(RESTORE, "database.triggers-dropped"), (FULL, "database.moved")] {
        let new = use_again(&place);
        let old = place.all();
        place.kill_at(point, 1, command);
        let notes = "SELECT CONCAT('DROP TABLE ', table_schema, '.__snap_undo;') FROM information_schema.tables
                     WHERE table_name = '__snap_undo'";
        place.server.sql(&place.server.sql(notes));
        place.snap(RESUME).succeeded();
        place.assert_old_or_new(&old, &new, point);
        let journals = fs::read_dir(place.path("state/executions")).expect("list the journals");
        for journal in journals {
            let text = fs::read_to_string(journal.expect("read a name").path()).expect("read it");
            assert!(!text.contains("CREATE "), "an ended execution remembers definitions: {text}");
        }
    }
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
    let place = Place::mounted_studio();
    let prepare = use_certificates_again;
    let kill_at = |point| place.kill_at(point, 1, RESTORE_CERTIFICATES);
    let kills = walk_resume(&place, prepare, || kill_at("inside.in"))
        + walk_resume(&place, prepare, || kill_at("inside.exchanged"))
        + walk_resume(&place, prepare, || kill_and_lose(&place));
    let of = "of restore --resume onto a mount point, one at each fault point it comes to";
    tally::tell(kills, "kills", of);
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
        kill_and_lose(&place);
        seen.extend(place.points(RESUME));
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
    seen.extend(roles::points());
    seen.extend(stray_keys::points());
    seen.extend(commands::points());
    seen.extend(upgrade::points());
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
