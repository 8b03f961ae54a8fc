//! `snap upgrade`: a real database and real files, with scripts in place of systemd, rpm and the upgrade.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Child;
use std::process::Stdio;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process_group;

use crate::disk::Disk;
use crate::place::CERTIFICATES;
use crate::place::Output;
use crate::place::Place;
use crate::place::SECURITY_FILE;
use crate::place::run_by;
use crate::restore_failures::finished;
use crate::server::until;
use crate::stopped::signal;
use crate::stored;
use crate::upgraded_host::SYSTEMCTL;
use crate::upgraded_host::UpgradedHost;

/// The version that is installed, and that of the upgrade.
const OLD: &str = "20.04.8-1.el8";
const NEW: &str = "20.10.3-1.el8";
/// Where the version that is installed stands.
const VERSION: &str = "packages/centreon-map-server";

const DNF: &str = r#"
echo 'ID     | Command line             | Date and time    | Action(s)      | Altered'
echo '-------------------------------------------------------------------------------'
if [ "$(cat "$PLACE/packages/centreon-map-server")" = NEW ]; then echo '    12 | update                   | 2026-01-01 00:00 | Upgrade        |    1'; fi
echo '    11 | install                  | 2026-01-01 00:00 | Install        |    1'
"#;

/// An upgrade: it changes packages, database and files, and then does what it is told.
const UPGRADE: &str = r#"
echo "upgrading to NEW"
echo NEW >"$PLACE/packages/centreon-map-server"
mariadb --defaults-file="$PLACE/my.cnf" centreon_studio -e '
  UPDATE element SET name = CONCAT("new ", id); CREATE TABLE upgraded (id INT PRIMARY KEY); DROP TRIGGER checked'
echo '{"upgraded": true}' >"$PLACE/root/opt/manager/rest-security.conf"
rm -f "$PLACE"/root/etc/cloudify/ssl/cloudify_external_cert.pem
case $1 in
fails) echo "there is no room left" >&2; exit 3 ;;
breaks) touch "$PLACE/unwell" ;;
waits) touch "$PLACE/waiting"; sleep 1000 ;;
esac
echo "complete"
"#;

const UNDO: &str = r#"
if [ -e "$PLACE/no-undo" ]; then echo "no such package" >&2; exit 4; fi
echo OLD >"$PLACE/packages/centreon-map-server"
rm -f "$PLACE/unwell"
echo undone >>"$PLACE/undone"
"#;

const PCS: &str = r"printf '  * centreon_map\t(systemd:centreon-map):\t Started node-1\n'";

/// What stands for a dnf that brings back what it has changed.
const DNF_UNDO: &str = r#"
if [ "$*" = "-y history undo 12" ]; then
  if [ -e "$PLACE/no-undo" ]; then echo "No package centreon-map-server-20.04.8 available" >&2; exit 1; fi
  echo OLD >"$PLACE/packages/centreon-map-server"
  rm -f "$PLACE/unwell"
fi
"#;

/// A studio whose server is a unit of systemd, with packages and a health check by HTTP.
impl UpgradedHost {
    fn map() -> Self {
        let map = Self::around(Place::small_studio(), "map");
        for (name, text) in [("dnf", DNF), ("upgrade-map", UPGRADE), ("undo-map", UNDO)] {
            map.script(name, &text.replace("OLD", OLD).replace("NEW", NEW));
        }
        map.write(VERSION, OLD);
        map.write("units/centreon-map", "active");
        map.write("units/centreon-gateway", "active");
        map.write("units/centreon-idle", "inactive");
        map.configure("");
        map
    }

    fn configure(&self, more: &str) {
        let url = format!("{}/health", self.address);
        // What is stated of them counts instead.
        let rules = if more.contains("rules = ") { "" } else { "rules = 'centreon-map'" };
        self.place.configure(&format!(
            "[profiles.map]
             extends = 'studio'
             {rules}
             units = ['centreon-map', 'centreon-gateway', 'centreon-idle', 'centreon-absent']
             packages = ['centreon-map*']
             {more}
             [[profiles.map.versions]]
             rpm = 'centreon-map-server'
             [[profiles.map.health]]
             url = '{url}'
             contains = 'UP'
             seconds = 1
             "
        ));
    }

    /// Runs an upgrade that does this at its end.
    fn upgrade(&self, flags: &[&str], end: &str) -> Output {
        let words = [&["upgrade"], flags, &["--", "upgrade-map", end]].concat();
        self.snap(&words)
    }

    /// Starts an upgrade that waits in its command; returns when it does.
    fn waiting(&self, flags: &[&str]) -> Child {
        let words = [&["upgrade"], flags, &["--", "upgrade-map", "waits"]].concat();
        let mut command = self.command(&words);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start");
        until("the command waits", || self.place.path("waiting").exists());
        child
    }

    /// Returns the process group of the command that an upgrade runs.
    fn group(&self) -> Pid {
        let id = self.executions().last().expect("an execution")["id"]
            .as_str()
            .expect("an id")
            .to_owned();
        let line = self.read(&format!("state/executions/{id}.process"));
        let id = line.split(' ').next().expect("a number").parse().expect("a number");
        Pid::from_raw(id).expect("a number")
    }

    fn units(&self) -> [String; 3] {
        ["map", "gateway", "idle"].map(|unit| self.read(&format!("units/centreon-{unit}")))
    }

    /// Returns all that an upgrade may change, but for the units.
    fn all(&self) -> (String, String, String) {
        let (dump, files) = self.place.live();
        (dump, files, self.read(VERSION))
    }

    #[track_caller]
    fn assert_is(&self, before: &(String, String, String), units: [&str; 3]) {
        let now = self.all();
        assert_eq!(now.2, before.2, "the packages");
        assert!(now.0 == before.0, "the database differs");
        assert_eq!(now.1, before.1, "the files");
        assert_eq!(self.units(), units);
    }

    #[track_caller]
    fn assert_is_upgraded(&self) {
        assert_eq!(self.read(VERSION), NEW);
        assert_eq!(self.place.server.sql("SELECT COUNT(*) FROM centreon_studio.upgraded"), "0\n");
        assert_eq!(self.units(), RUNNING);
    }
}

const RUNNING: [&str; 3] = ["active", "active", "inactive"];
const STOPPED: [&str; 3] = ["inactive", "inactive", "inactive"];

const UNDOING: &[&str] = &["--undo", "undo-map"];

#[test]
fn an_upgrade_that_works_leaves_the_new_version_its_snapshot_and_what_a_person_must_do() {
    let map = UpgradedHost::map();
    let done = map.upgrade(&["--to-version", "20.10.3"], "works");
    done.succeeded();
    map.assert_is_upgraded();
    for words in
        ["upgraded in", "20.04.8 -> 20.10.3", "upgrade-map works", "On the central, update"]
    {
        assert!(done.stdout.contains(words), "{words}: {done:#?}");
    }
    assert!(done.stderr.contains("  | upgrading to"), "{done:#?}");
    let execution = map.last_upgrade();
    assert_eq!(execution["status"], "terminated");
    let steps = ["started", "saved", "stopping", "running", "starting", "upgraded", "done"];
    let reached = execution["steps"].as_array().expect("steps").iter().map(|it| &it["step"]);
    assert_eq!(reached.collect::<Vec<_>>(), steps);
    let upgrade = &execution["upgrade"];
    assert_eq!((&upgrade["from"], &upgrade["found"]), (&"20.04.8".into(), &"20.10.3".into()));
    assert_eq!(upgrade["installed"]["packages"][0]["version"], OLD);
    assert_eq!(upgrade["units"], serde_json::json!(["centreon-map", "centreon-gateway"]));
    let id = execution["id"].as_str().expect("an id");
    let log = PathBuf::from(format!("state/executions/{id}.log"));
    let kept = map.read(log.to_str().expect("UTF-8"));
    assert_eq!(
        kept,
        format!("# upgrade-map works\nupgrading to {NEW}\ncomplete\n[ended with exit code 0]")
    );
    let mode = fs::metadata(map.place.path("").join(log)).expect("the log").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The units are stopped in the reverse of the order in which they are started.
    let asked = map.read("asked");
    let controls = asked.lines().filter(|line| line.starts_with("sto") || line.starts_with("sta"));
    let controls: Vec<_> = controls.filter(|line| !line.ends_with("idle")).collect();
    let expected = [
        "stop centreon-gateway",
        "stop centreon-map",
        "start centreon-map",
        "start centreon-gateway",
    ];
    assert_eq!(controls, expected);
    let shown = map.snap(&["show", execution["snapshot"].as_str().expect("a snapshot"), "--json"]);
    assert!(shown.succeeded().contains("\"product_version\": \"20.04.8\""), "{shown:#?}");
}

#[test]
fn a_command_that_fails_is_undone_with_packages_database_and_files() {
    let map = UpgradedHost::map();
    let before = map.all();
    let failed = map.upgrade(&[UNDOING, &["--to-version", "20.10.3"]].concat(), "fails");
    let execution = map.last_upgrade();
    let id = execution["id"].as_str().expect("an id");
    failed.failed(40, &["upgrade-map ended with exit code 3", "all is as it was before", id]);
    assert!(failed.stdout.contains("| there is no room left"), "{failed:#?}");
    map.assert_is(&before, RUNNING);
    assert_eq!((&execution["status"], &execution["step"]), (&"failed".into(), &"failed".into()));
    assert_eq!(map.read("undone"), "undone");
    // What the upgrade made of it is kept aside, to be looked at.
    let kept = map.place.beside();
    assert_eq!(kept.iter().filter(|name| name.contains("previous")).count(), 3, "{kept:?}");
    let schema = kept.iter().find(|name| name.starts_with("centreon")).expect("a schema");
    assert_eq!(map.place.server.sql(&format!("SELECT COUNT(*) FROM {schema}.upgraded")), "0\n");
    let again = map.upgrade(&["--to-version", "20.10.3"], "works");
    again.succeeded();
    map.assert_is_upgraded();
}

#[test]
fn what_came_with_a_failed_upgrade_stays_and_is_named_by_all_that_tell_of_the_end() {
    let map = UpgradedHost::map();
    map.configure(
        "[[profiles.map.sources]]
         name = 'late'
         kind = 'database'
         database = 'late_studio'
         optional = true",
    );
    let file = map.place.root().join(SECURITY_FILE);
    fs::remove_file(&file).expect("remove the security file");
    let create = "mariadb --defaults-file=\"$PLACE/my.cnf\" -e 'CREATE DATABASE late_studio'";
    map.script("upgrade-late", &format!("{create}\nupgrade-map fails"));
    let words = [&["upgrade"], UNDOING, &["--", "upgrade-late"]].concat();
    let place = file.canonicalize().unwrap_or_else(|_| file.clone());
    let came = format!("users ({}) and late (late_studio), which came since", place.display());
    let failed = map.snap(&words);
    let told =
        format!("all is as it was before, but for {came} and stays, and the service is well");
    failed.failed(40, &["late was absent when saved, and is there now: late_studio stays", &told]);
    assert!(failed.stdout.starts_with("not upgraded: after "), "{failed:#?}");
    assert!(failed.stdout.contains(&told), "{failed:#?}");
    let error = map.last_upgrade()["error"].as_str().expect("an error").to_owned();
    assert!(error.ends_with(&told), "{error}");
    assert_eq!(fs::read_to_string(&file).expect("it stays"), "{\"upgraded\": true}\n");
    assert_eq!(map.place.server.sql("SHOW DATABASES LIKE 'late%'"), "late_studio\n");

    // Whoever restores the same snapshot is told, and lacks nothing.
    let id = map.last_upgrade()["snapshot"].as_str().expect("a snapshot").to_owned();
    let restored = map.snap(&["restore", &id, "--force"]);
    restored.succeeded();
    assert!(restored.stderr.contains("note: users was absent when saved"), "{restored:#?}");
    assert!(restored.stdout.contains("what is there stays"), "{restored:#?}");
}

#[test]
fn a_secret_in_a_command_is_kept_nowhere() {
    let map = UpgradedHost::map();
    let undo = "undo-map --token hunter2";
    let command = ["upgrade-map", "fails", "https://snap:hunter2@host/", "--password=hunter2"];
    let words = [&["upgrade", "--undo", undo, "--"][..], &command].concat();
    let failed = map.snap(&words);
    failed.failed(40, &["all is as it was before"]);
    assert_eq!(map.read("undone"), "undone");
    let shown = "upgrade-map fails https://snap:***@host/ --password=***";
    assert!(failed.stdout.contains(shown), "{failed:#?}");
    assert!(!format!("{failed:?}").contains("hunter2"), "{failed:#?}");
    let mut folders = vec![map.place.path("state"), map.place.repository()];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("list a folder") {
            let path = entry.expect("read a folder").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).expect("read a file");
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("hunter2"), "{}: {text}", path.display());
            read += usize::from(text.contains("--password=***"));
        }
    }
    assert!(read >= 2, "the command stands in {read} files: the journal and the snapshot's note");
}

#[test]
fn a_service_that_does_not_become_well_goes_back_and_says_so_in_json_too() {
    let map = UpgradedHost::map();
    let before = map.all();
    let failed = map.upgrade(&[UNDOING, &["--json"]].concat(), "breaks");
    failed.failed(40, &["all is as it was before, and the service is well"]);
    map.assert_is(&before, RUNNING);
    let json = failed.json();
    assert_eq!(
        (&json["upgrade"]["state"], &json["error"]["exit_code"]),
        (&"returned".into(), &40.into())
    );
    assert_eq!(json["upgrade"]["execution"], map.last_upgrade()["id"]);
    // What the way back replaced is of the version that failed.
    map.snap(&["rollback"]).failed(14, &["went back from upgrade"]);
    map.assert_is(&before, RUNNING);
}

#[test]
fn without_an_undo_the_data_is_restored_and_the_units_stay_stopped_beside_the_ways_back() {
    let map = UpgradedHost::map();
    let before = map.all();
    let failed = map.upgrade(&[], "breaks");
    failed.failed(40, &["the data is as it was before, and the units stay stopped"]);
    let changed = (before.0, before.1, NEW.to_owned());
    map.assert_is(&changed, STOPPED);
    let ways = ["# dnf history undo 12", "# systemctl start centreon-map", OLD];
    for words in ways {
        assert!(failed.stdout.contains(words), "{words}: {failed:#?}");
    }
    // It is over: the next one begins anew.
    assert_eq!(map.last_upgrade()["status"], "failed");
    assert_eq!(map.snap(&["upgrade", "--resume"]).succeeded(), "no upgrade is unfinished");
}

#[test]
fn a_profile_may_have_its_packages_brought_back_by_their_installer() {
    let map = UpgradedHost::map();
    map.configure("undo = 'packages'");
    map.script("dnf", &format!("{DNF_UNDO}{DNF}").replace("OLD", OLD).replace("NEW", NEW));
    let before = map.all();
    let failed = map.upgrade(&[], "breaks");
    failed.failed(40, &["all is as it was before, and the service is well"]);
    map.assert_is(&before, RUNNING);
    // Where that fails the data goes back all the same, and a person goes on.
    map.write("no-undo", "");
    let failed = map.upgrade(&[], "breaks");
    let told = "the packages could not be brought back: dnf ended with exit code 1";
    failed.failed(40, &[told, "the data is as it was before, and the units stay stopped"]);
    assert!(failed.stdout.contains("# dnf history undo 12"), "{failed:#?}");
    map.assert_is(&(before.0, before.1, NEW.to_owned()), STOPPED);
    assert_eq!(map.last_upgrade()["status"], "failed");
}

#[test]
fn where_no_package_has_changed_no_undo_is_needed() {
    let map = UpgradedHost::map();
    map.script(
        "upgrade-map",
        "mariadb --defaults-file=$PLACE/my.cnf -e 'DROP DATABASE centreon_studio'; exit 7",
    );
    let before = map.all();
    map.upgrade(&[], "fails").failed(40, &["exit code 7", "the service is well"]);
    map.assert_is(&before, RUNNING);
}

#[test]
fn a_way_back_that_fails_says_what_is_left_and_is_gone_on_with() {
    let map = UpgradedHost::map();
    let before = map.all();
    map.write("no-undo", "");
    let failed = map.upgrade(UNDOING, "breaks");
    let words = [
        "going back failed: undo-map ended with exit code 4",
        "the units are stopped",
        "snap upgrade --resume",
    ];
    failed.failed(40, &words);
    assert_eq!(map.units(), STOPPED);
    let unfinished = map.last_upgrade();
    let word = |key: &str| unfinished[key].as_str().expect("a word").to_owned();
    map.upgrade(UNDOING, "works").failed(11, &["snap upgrade --resume"]);
    map.snap(&["upgrade", "--resume"]).failed(40, &["undo-map ended with exit code 4"]);
    let elsewhere = ["upgrade", "--resume", "--host", "127.0.0.1", "--port", "1"];
    map.snap(&elsewhere).failed(14, &["it is about the database server at"]);
    // Another command may do it; the snapshot that is needed stays.
    map.snap(&["delete", &word("snapshot")]).failed(11, &["snap upgrade --resume"]);
    fs::remove_file(map.place.path("no-undo")).expect("let the undo work");
    let resumed = map.snap(&["upgrade", "--resume", "--undo", "undo-map again"]);
    resumed.succeeded();
    map.assert_is(&before, RUNNING);
    let ended = map.snap(&["executions", "get", &word("id")]);
    assert!(ended.succeeded().contains("undone"), "{ended:#?}");
}

#[test]
fn a_service_that_is_not_well_when_it_is_back_is_said_to_be_so() {
    let map = UpgradedHost::map();
    let before = map.all();
    map.script("undo-map", &format!("echo {OLD} >$PLACE/{VERSION}"));
    let failed = map.upgrade(UNDOING, "breaks");
    failed.failed(40, &["all is as it was before, but the service is not well"]);
    map.assert_is(&before, RUNNING);
}

#[test]
fn a_unit_that_cannot_be_stopped_ends_the_upgrade_and_the_others_run_again() {
    let map = UpgradedHost::map();
    let before = map.all();
    // The last one is stopped first.
    map.write("no-stop", "centreon-map");
    map.upgrade(UNDOING, "works").failed(40, &["cannot stop centreon-map", "the service is well"]);
    map.assert_is(&before, RUNNING);
}

#[test]
fn a_start_that_fails_goes_back_too() {
    let map = UpgradedHost::map();
    let before = map.all();
    map.script("upgrade-map", "touch $PLACE/no-start");
    map.script("undo-map", "rm $PLACE/no-start");
    map.upgrade(UNDOING, "works").failed(40, &["cannot start centreon-map", "the service is well"]);
    map.assert_is(&before, RUNNING);
}

#[test]
fn an_upgrade_may_put_another_unit_in_the_place_of_the_old_one() {
    let map = UpgradedHost::map();
    let profile = fs::read_to_string(map.place.path("snap.toml")).expect("read snap.toml");
    let profile = profile.replace("units = [", "units = ['tomcat', ");
    map.place.configure(&profile.replace("contains =", "unit = 'centreon-map'\ncontains ="));
    fs::remove_file(map.place.path("units/centreon-map")).expect("the old server runs in Tomcat");
    map.write("units/tomcat", "active");
    map.write("files/tomcat", "enabled");
    let upgrade = |change: &str, end: &str| {
        let text = format!("{change}\necho inactive >$PLACE/units/centreon-map\n{UPGRADE}");
        map.script("upgrade-map", &text.replace("NEW", NEW));
        map.upgrade(UNDOING, end)
    };
    let undo = "rm $PLACE/units/centreon-map; echo inactive >$PLACE/units/tomcat";
    map.script("undo-map", &format!("{undo}\n{}", UNDO.replace("OLD", OLD)));
    let before = map.all();
    let units = ["units/tomcat", "files/tomcat", "units/centreon-map", "units/centreon-gateway"];
    let states = || units.map(|unit| map.read(unit));
    // It is taken away, or turned off.
    for change in
        ["rm $PLACE/units/tomcat; echo disabled >$PLACE/files/tomcat", "systemctl disable tomcat"]
    {
        let failed = upgrade(change, "breaks");
        failed.failed(40, &["centreon-map is new, and starts, but not when the host does"]);
        let told = "all is as it was before; no health check was asked";
        assert!(failed.stderr.contains(told) && failed.stdout.contains(told), "{failed:#?}");
        assert_eq!(states(), ["active", "enabled", "", "active"], "{change}");
        assert_eq!(map.all(), before);
    }
    let done = upgrade("systemctl disable tomcat", "works");
    assert!(done.succeeded().contains(", and the service is well"), "{done:#?}");
    assert!(
        done.stderr.contains("tomcat ran before, and was taken away or turned off"),
        "{done:#?}"
    );
    assert_eq!(states(), ["inactive", "disabled", "active", "active"]);
    assert_eq!(map.read(VERSION), NEW);
}

#[test]
fn an_upgrade_that_leaves_nothing_to_start_goes_back() {
    let map = UpgradedHost::map();
    map.script("upgrade-map", "rm $PLACE/units/*");
    let text = "for unit in map gateway idle; do echo inactive >$PLACE/units/centreon-$unit; done";
    map.script("undo-map", text);
    map.upgrade(UNDOING, "works").failed(40, &["cannot start the service", "nothing has come"]);
    assert_eq!(map.units(), RUNNING);
}

#[test]
fn what_is_not_to_be_upgraded_is_refused_before_anything_is_done() {
    let map = UpgradedHost::map();
    map.write(VERSION, "4.0.7-1.el6");
    let refused = map.upgrade(&["--to-version", "19.10"], "works");
    refused.failed(14, &["from 4.0.7 to 19.10 at once", "4.1.X first", "--plan"]);
    map.upgrade(&["--to-version", "25.10"], "works").failed(14, &["MAP Engine"]);
    map.write(VERSION, OLD);
    map.upgrade(&["--to-version", "20.04.1"], "works").failed(14, &["older"]);
    let central = &["--to-version", "20.10.3", "--central-version", "20.04.8"];
    map.upgrade(central, "works").failed(14, &["bring the central to 20.10 first"]);
    map.script("pcs", PCS);
    map.upgrade(&[], "works")
        .failed(14, &["Pacemaker runs it as centreon_map", "pcs resource disable"]);
    assert_eq!(map.units(), RUNNING);
    assert!(!map.read("asked").contains("stop"), "{}", map.read("asked"));
    assert_eq!(map.place.ids(), "");
}

#[test]
fn without_a_whole_snapshot_nothing_is_stopped() {
    let map = UpgradedHost::map();
    map.snap(&["create", "first"]).succeeded();
    // Nobody has changed this table: the next snapshot shares its chunk with the first one.
    let shared = stored::chunk(&map.place, "first", "users");
    let whole = fs::read(&shared).expect("read a blob");
    stored::flip_a_bit(&shared);
    let damaged = map.upgrade(&[], "works");
    damaged.failed(14, &["cannot upgrade", "the only way back, is damaged", "database.users"]);
    fs::write(&shared, whole).expect("repair the blob");
    let socket = map.place.root().join(CERTIFICATES).join("socket");
    let listener = UnixListener::bind(&socket).expect("make a socket");
    map.upgrade(&[], "works").failed(14, &["is partial", "socket", "nothing was touched"]);
    drop(listener);
    assert_eq!((map.read(VERSION).as_str(), map.units()), (OLD, RUNNING.map(str::to_owned)));
    assert!(!map.read("asked").contains("stop"), "{}", map.read("asked"));
    fs::remove_file(socket).expect("remove the socket");
    map.upgrade(&[], "works").succeeded();
}

#[test]
fn a_dry_run_says_all_that_would_be_done_and_touches_nothing() {
    let map = UpgradedHost::map();
    let before = map.all();
    let flags = [UNDOING, &["--to-version", "20.10.3", "--dry-run"]].concat();
    let said = map.upgrade(&flags, "works");
    let mut rest = said.succeeded();
    for words in [
        "nothing was touched",
        "systemctl stop centreon-gateway",
        "systemctl stop centreon-map",
        "# upgrade-map works",
        "systemctl start centreon-map",
        &format!("{}/health", map.address),
        "On the central",
        "where it fails",
        "# undo-map",
        "Restore exactly",
        "systemctl start centreon-map",
    ] {
        let (_, after) = rest.split_once(words).unwrap_or_else(|| panic!("{words}: {said:#?}"));
        rest = after;
    }
    map.assert_is(&before, RUNNING);
    assert!(!map.place.path("state/executions").exists());
    assert!(!map.place.repository().exists());
}

#[test]
fn an_upgrade_that_is_told_to_end_goes_back_and_its_command_is_gone() {
    let map = UpgradedHost::map();
    let before = map.all();
    for (told, code, words) in
        [(Signal::INT, 130, "interrupted by Ctrl-C"), (Signal::TERM, 143, "terminated by SIGTERM")]
    {
        let mut upgrade = map.waiting(UNDOING);
        let group = map.group();
        signal(&mut upgrade, told);
        finished(upgrade)
            .failed(code, &[words, "all is as it was before, and the service is well"]);
        let is_gone = kill_process_group(group, Signal::KILL).is_err();
        assert!(is_gone, "the command is at work still");
        map.assert_is(&before, RUNNING);
        assert_eq!(map.last_upgrade()["status"], "cancelled");
        fs::remove_file(map.place.path("waiting")).expect("it has waited");
    }
    // What is not as it was counts more than why.
    let mut upgrade = map.waiting(&[]);
    signal(&mut upgrade, Signal::INT);
    finished(upgrade).failed(40, &["interrupted by Ctrl-C", "the units stay stopped"]);
}

#[test]
fn an_upgrade_that_is_killed_goes_back_once_its_command_has_ended() {
    let map = UpgradedHost::map();
    let before = map.all();
    let mut upgrade = map.waiting(UNDOING);
    let group = map.group();
    signal(&mut upgrade, Signal::KILL);
    finished(upgrade);
    map.snap(&["upgrade", "--resume"]).failed(11, &["at work still", "kill -- -"]);
    assert_eq!(map.read(VERSION), NEW);
    let created = map.snap(&["create"]);
    created.succeeded();
    assert!(created.stderr.contains("snap upgrade --resume --profile map"), "{created:#?}");
    let restored = map.snap(&["restore", "--resume"]);
    assert_eq!(restored.succeeded(), "nothing is unfinished");
    assert!(restored.stderr.contains("snap upgrade --resume"), "{restored:#?}");
    kill_process_group(group, Signal::KILL).expect("end the command");
    until("the command has ended", || kill_process_group(group, Signal::KILL).is_err());
    map.upgrade(UNDOING, "works")
        .failed(11, &["was killed when it was running", "snap upgrade --resume"]);
    let resumed = map.snap(&["upgrade", "--resume"]);
    assert!(resumed.succeeded().contains("all is as it was before"), "{resumed:#?}");
    map.assert_is(&before, RUNNING);
    assert_eq!(map.snap(&["upgrade", "--resume"]).succeeded(), "no upgrade is unfinished");
}

#[test]
fn an_upgrade_that_was_put_right_by_hand_is_ended_as_it_is() {
    let map = UpgradedHost::map();
    let mut upgrade = map.waiting(UNDOING);
    let group = map.group();
    signal(&mut upgrade, Signal::KILL);
    finished(upgrade);
    let as_it_is = ["upgrade", "--resume", "--as-it-is"];
    map.snap(&as_it_is).failed(11, &["at work still", "kill -- -"]);
    kill_process_group(group, Signal::KILL).expect("end the command");
    until("the command has ended", || kill_process_group(group, Signal::KILL).is_err());
    let snapshot = map.last_upgrade()["snapshot"].as_str().expect("a snapshot").to_owned();
    // What is restored over it would be replaced by who goes back; what lies beside it would not.
    let refused = map.snap(&["restore", &snapshot, "--force"]);
    refused.failed(11, &["was killed when it was running", "--resume", "--resume --as-it-is"]);
    let planned = map.snap(&["restore", &snapshot, "--force", "--dry-run"]);
    planned.failed(11, &["cannot restore: upgrade execution_"]);
    map.snap(&["restore", &snapshot, "--only", "database", "--database", "beside"]).succeeded();
    map.snap(&["upgrade", "--as-it-is"]).failed(2, &["--resume"]);
    map.write("units/centreon-map", "active");
    let (before, asked) = (map.all(), map.read("asked"));
    let ended = map.snap(&as_it_is);
    assert!(ended.succeeded().contains("all is left as it is, nothing was touched"), "{ended:#?}");
    assert!(map.all() == before && map.read("asked") == asked, "something was done");
    let execution = map.last_upgrade();
    assert_eq!(execution["status"], "failed");
    let told = "its process was killed when it was running; all is left as it is, by the operator";
    assert_eq!(execution["error"], told);
    assert_eq!(map.snap(&as_it_is).succeeded(), "no upgrade is unfinished");
    map.snap(&["restore", &snapshot, "--force"]).succeeded();
}

#[test]
fn without_room_to_go_back_nothing_is_stopped() {
    let place = Place::empty();
    let disk = Disk::mount(place.root().join("srv"), 3 << 20);
    let seen = disk.seen();
    fs::create_dir(seen.join("tree")).expect("make a tree");
    fs::write(seen.join("tree/file"), vec![b'x'; 1000 << 10]).expect("fill it");
    let map = UpgradedHost::around(place, "map");
    map.script("upgrade-map", "echo upgraded >$PLACE/root/srv/tree/file");
    map.write("units/centreon-map", "active");
    map.place.configure(
        "[profiles.map]
         units = ['centreon-map']
         [[profiles.map.sources]]
         name = 'tree'
         kind = 'files'
         path = '/srv/tree'
        ",
    );
    let upgrade = || {
        let words = disk.words();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let command = map.command(&["upgrade", "--", "upgrade-map"]);
        Output::of(run_by(&words, &command).output().expect("start nsenter, of util-linux"))
    };
    disk.leave(1 << 19);
    let refused = upgrade();
    let words =
        ["cannot upgrade: there would be no going back", "it takes about 1 MiB on the disk"];
    refused.failed(14, &words);
    assert!(refused.stderr.contains("hint: nothing was touched"), "{refused:#?}");
    assert!(!map.read("asked").contains("stop"), "{}", map.read("asked"));
    disk.leave(3 << 19);
    let upgraded = upgrade();
    assert!(upgraded.succeeded().contains("no health check was asked"), "{upgraded:#?}");
    assert_eq!(fs::read(seen.join("tree/file")).expect("read"), b"upgraded\n");
}

#[test]
fn hooks_run_around_an_upgrade_and_one_before_it_that_fails_stops_it() {
    let map = UpgradedHost::map();
    let hook = |when: &str, end: &str| {
        let file = map.place.path("hooks");
        format!(
            "[[profiles.map.hooks]]
             when = '{when}'
             verbs = ['upgrade']
             command = 'echo {when} $SNAP_STATUS $(cat {}) >>{}; {end}'
             ",
            map.place.path(VERSION).display(),
            file.display()
        )
    };
    let hooks = ["before", "after", "failed", "finally"].map(|when| hook(when, "true")).concat();
    map.configure(&hooks);
    let before = map.all();
    map.upgrade(UNDOING, "breaks").failed(40, &["all is as it was before"]);
    map.assert_is(&before, RUNNING);
    let expected = format!("before started {OLD}\nfailed failed {OLD}\nfinally failed {OLD}");
    assert_eq!(map.read("hooks"), expected);
    map.write("hooks", "");
    let said = map.upgrade(&["--dry-run"], "works");
    assert!(said.succeeded().contains("Run the profile's hook, finally"), "{said:#?}");
    map.upgrade(&[], "works").succeeded();
    let expected = format!("before started {OLD}\nafter done {NEW}\nfinally done {NEW}");
    assert_eq!(map.read("hooks").trim_start(), expected);
    map.configure(&(hook("before", "exit 9") + &hook("finally", "true")));
    let snapshots = map.place.ids();
    map.upgrade(&[], "works").failed(40, &["ended with exit code 9", "nothing else was done"]);
    assert_eq!(map.place.ids(), snapshots);
    assert!(map.read("hooks").contains("finally failed"), "{}", map.read("hooks"));
}

#[test]
fn what_follows_is_done_where_it_is_for_snap_and_named_where_it_is_not() {
    let map = UpgradedHost::map();
    let follow_up = |text: &str, command: &str| {
        format!("[[profiles.map.follow-ups]]\ntext = '{text}'\ncommand = '{command}'\n")
    };
    let own = follow_up("Restart Gorgone", "systemctl restart gorgoned")
        + "by = 'snap'\n"
        + &follow_up("Tell the others", "mail others");
    map.configure(&format!("rules = 'centreon-poller'\n{own}"));
    let done = map.upgrade(&["--to-version", "20.10.3"], "works");
    let text = done.succeeded();
    for words in
        ["you     On the central, deploy", "done    Where the poller", "you     Tell the others"]
    {
        assert!(text.contains(words), "{words}: {done:#?}");
    }
    assert!(!text.contains("Restart Gorgone"), "it is said twice: {done:#?}");
    assert_eq!(map.read("asked").matches("restart gorgoned").count(), 1);
    map.write(VERSION, OLD);
    map.place.server.sql("DROP TABLE centreon_studio.upgraded; CREATE TRIGGER centreon_studio.checked BEFORE DELETE ON centreon_studio.element FOR EACH ROW SET @x = 1");
    let script = SYSTEMCTL.replace("restart) echo", "restart) exit 1; echo");
    map.script("systemctl", &script);
    let done = map.upgrade(&[], "works");
    assert_eq!(done.code, 3, "{done:#?}");
    assert!(done.stderr.contains("`systemctl restart gorgoned` is still to be done"), "{done:#?}");
    assert!(done.stdout.contains("FAILED  Restart Gorgone"), "{done:#?}");
}

#[test]
fn going_back_remaps_no_roles_whatever_version_is_installed_then() {
    let map = UpgradedHost::map();
    map.configure(
        "[[profiles.map.roles.columns]]
         source = 'database'
         table = 'account'
         column = 'role'
        ",
    );
    map.write(VERSION, "4.1.0-1.el7");
    map.place.server.sql(
        "USE centreon_studio; CREATE TABLE account (id INT PRIMARY KEY, role VARCHAR(20));
         INSERT INTO account VALUES (1, 'user'), (2, 'admin')",
    );
    let before = map.all();
    map.upgrade(&[], "breaks").failed(40, &["the units stay stopped"]);
    map.assert_is(&(before.0, before.1, NEW.to_owned()), STOPPED);
    // A restore of its own would: that is what the versions are for.
    let snapshot = map.last_upgrade()["snapshot"].as_str().expect("a snapshot").to_owned();
    map.place.server.sql("UPDATE centreon_studio.account SET role = 'x'");
    map.snap(&["restore", &snapshot, "--force"]).succeeded();
    let roles = map.place.server.sql("SELECT role FROM centreon_studio.account ORDER BY id");
    assert_eq!(roles, "default\nsys_admin\n");
}

/// Where an upgrade that fails is killed, in order.
#[cfg(feature = "fault-points")]
const POINTS: &[&str] = &[
    "journal.before-stopping",
    "journal.stopping",
    "journal.running",
    "journal.starting",
    "journal.returning",
    "upgrade.undone",
    "journal.staged",
    "database.moved",
    "swap.part",
    "upgrade.restored",
    "journal.before-failed",
];

/// Returns the points that an upgrade comes to which goes back.
#[cfg(feature = "fault-points")]
pub(crate) fn points() -> Vec<String> {
    let map = UpgradedHost::map();
    let trace = map.place.path("trace");
    let mut command =
        map.command(&["upgrade", "--undo", "undo-map", "--", "upgrade-map", "breaks"]);
    let upgraded = command.env("SNAP_FAULT_TRACE", &trace).output().expect("start snap");
    Output::of(upgraded).failed(40, &["all is as it was before"]);
    let points = fs::read_to_string(&trace).expect("the points that it came to");
    points.lines().map(str::to_owned).collect()
}

#[cfg(feature = "fault-points")]
#[test]
fn an_upgrade_that_is_killed_at_any_step_goes_back_by_the_next_command() {
    let map = UpgradedHost::map();
    let before = map.all();
    for point in POINTS {
        let mut command =
            map.command(&["upgrade", "--undo", "undo-map", "--", "upgrade-map", "breaks"]);
        command.env("FAILPOINTS", format!("{point}=return"));
        let killed = Output::of(command.output().expect("start snap"));
        assert_eq!(killed.code, -1, "{point}: {killed:#?}");
        let resumed = map.snap(&["upgrade", "--resume"]);
        resumed.succeeded();
        map.assert_is(&before, RUNNING);
        let step = map.last_upgrade()["step"].clone();
        let ended = if *point == "journal.before-stopping" { "started" } else { "undone" };
        assert!(step == ended || (step == "saved" && ended == "started"), "{point}: {step}");
    }
}

#[cfg(feature = "fault-points")]
#[test]
fn a_resume_that_is_killed_is_resumed_and_an_upgrade_that_was_well_is_ended() {
    let map = UpgradedHost::map();
    let before = map.all();
    let killed = |words: &[&str], point: &str| {
        let mut command = map.command(words);
        command.env("FAILPOINTS", format!("{point}=return"));
        assert_eq!(Output::of(command.output().expect("start snap")).code, -1, "{point}");
    };
    killed(&["upgrade", "--undo", "undo-map", "--", "upgrade-map", "breaks"], "journal.returning");
    for point in ["upgrade.undone", "database.moved", "upgrade.restored"] {
        killed(&["upgrade", "--resume"], point);
    }
    map.snap(&["upgrade", "--resume"]).succeeded();
    map.assert_is(&before, RUNNING);
    killed(
        &["upgrade", "--to-version", "20.10.3", "--", "upgrade-map", "works"],
        "journal.upgraded",
    );
    let ended = map.snap(&["upgrade", "--resume"]);
    assert!(ended.succeeded().contains("On the central"), "{ended:#?}");
    map.assert_is_upgraded();
    assert_eq!(map.last_upgrade()["step"], "done");
    assert!(fs::read(map.place.root().join(SECURITY_FILE)).is_ok());
}

#[test]
fn hooks_run_around_an_upgrade_and_are_told_that_it_went_back() {
    let map = UpgradedHost::map();
    let before = map.all();
    let log = map.place.path("hooks");
    let hook = |when: &str| {
        let told = format!("echo $SNAP_WHEN $SNAP_VERB $SNAP_STATUS $SNAP_EXIT_CODE >>{log:?}");
        format!(
            "[[profiles.map.hooks]]\nwhen = '{when}'\nverbs = ['upgrade']\ncommand = '''{told}'''\n"
        )
    };
    map.configure(&["before", "after", "failed", "finally"].map(hook).concat());
    map.upgrade(UNDOING, "fails").failed(40, &["all is as it was before"]);
    let told = "before upgrade started\nfailed upgrade failed 40\nfinally upgrade failed 40";
    assert_eq!(map.read("hooks"), told);
    fs::remove_file(&log).expect("begin anew");
    map.upgrade(&[], "works").succeeded();
    let told = "before upgrade started\nafter upgrade done\nfinally upgrade done";
    assert_eq!(map.read("hooks"), told);
    // One that fails before it stops it before anything is asked or done.
    let now = map.all();
    assert!(now != before, "nothing was upgraded");
    map.configure(&hook("before").replace("echo", "exit 5; echo"));
    map.write("asked", "");
    map.upgrade(UNDOING, "works").failed(40, &["before upgrade ended with exit code 5"]);
    assert_eq!(map.read("asked"), "");
    map.assert_is(&now, RUNNING);
}
