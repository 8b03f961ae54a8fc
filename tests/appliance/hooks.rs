//! Hooks: what a profile runs around a verb runs in its order, whatever comes of the verb.

use std::fs;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;
use serde_json::Value;

use crate::place::Place;
use crate::place::SECURITY_FILE;
use crate::restore_failures::WAITING;
use crate::restore_failures::finished;
use crate::server::until;

/// What the hooks of a test write down of themselves.
const TOLD: &str = "$SNAP_WHEN $SNAP_VERB $SNAP_STATUS";

impl Place {
    /// Returns a place whose profile saves the security file alone, with these hooks.
    fn with_hooks(hooks: &[(&str, &str)]) -> Self {
        let place = Self::empty();
        place.make_security_file();
        place.configure_hooks(
            &format!(
                "[[profiles.studio.sources]]\nname = 'users'\nkind = 'files'\npath = '/{SECURITY_FILE}'\n"
            ),
            hooks,
        );
        place
    }

    /// Writes a profile with these hooks, each a word and a command that finds the log as `$LOG`.
    fn configure_hooks(&self, profile: &str, hooks: &[(&str, &str)]) {
        let log = self.path("log").display().to_string();
        let tables = hooks.iter().map(|(when, command)| {
            let command = command.replace("$LOG", &log);
            format!(
                "[[profiles.studio.hooks]]\nwhen = '{when}'\nverbs = ['create', 'restore']\n\
                 seconds = 30\ncommand = '''{command}'''\n"
            )
        });
        self.configure(&format!("{profile}{}", tables.collect::<String>()));
    }

    /// Returns what the hooks wrote so far, and begins anew.
    fn log(&self) -> String {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        fs::write(self.path("log"), "").expect("empty the log");
        log
    }

    /// Returns the execution that ran last.
    fn latest(&self) -> Value {
        self.executions().pop().expect("one has run")
    }
}

/// Hooks of every kind that write down what they are told.
fn telling() -> Vec<(&'static str, String)> {
    ["finally", "failed", "after", "before"]
        .map(|when| (when, format!("echo {TOLD} >>$LOG")))
        .to_vec()
}

fn borrowed<'a>(hooks: &'a [(&'a str, String)]) -> Vec<(&'a str, &'a str)> {
    hooks.iter().map(|(when, command)| (*when, command.as_str())).collect()
}

#[test]
fn hooks_run_around_a_verb_in_their_order_and_what_they_print_is_kept() {
    let mut hooks = telling();
    hooks.push(("before", "echo second >>$LOG; echo a word; echo another >&2".to_owned()));
    let place = Place::with_hooks(&borrowed(&hooks));
    let created = place.snap(&["create", "one"]);
    created.succeeded();
    assert!(!created.stderr.contains("a word"), "{created:#?}");
    let around = "before create started\nsecond\nafter create done\nfinally create done\n";
    assert_eq!(place.log(), around);
    let execution = place.latest();
    let ran: Vec<_> = execution["hooks"].as_array().expect("a list").iter().collect();
    assert_eq!(ran.len(), 4, "{execution:#}");
    assert_eq!(ran[1]["output"], serde_json::json!(["a word", "another"]));
    assert_eq!(ran[1]["end"], "ended with exit code 0");
    let shown = place.snap(&["executions", "get", execution["id"].as_str().expect("an id")]);
    assert!(shown.succeeded().contains("| another"), "{shown:#?}");
    let created = place.snap(&["create", "two", "-v"]);
    assert!(created.stderr.contains("echo: a word\necho: another\n"), "{created:#?}");
    place.log();
    fs::write(place.root().join(SECURITY_FILE), "{}").expect("change the file");
    place.snap(&["restore", "one", "--dry-run"]).succeeded();
    assert_eq!(place.log(), "");
    place.snap(&["restore", "one"]).succeeded();
    assert_eq!(place.log(), around.replace("create", "restore"));
}

#[test]
fn a_hook_is_told_what_runs_and_no_password() {
    let told = "env | grep ^SNAP_ | sort >>$LOG; umask >>$LOG";
    let place = Place::with_hooks(&[("after", told), ("failed", told)]);
    let run = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.env("SNAP_DATABASE_PASSWORD", "sesame-open");
        command.output().expect("start snap")
    };
    run(&["create", "one"]);
    let id = |execution: &Value| execution["id"].as_str().expect("an id").to_owned();
    let repository = place.repository().display().to_string();
    let config = place.path("snap.toml").display().to_string();
    let expected = |when: &str, status: &str, code: &str, error: &str| {
        format!(
            "SNAP_CONFIG={config}\nSNAP_ERROR={error}\nSNAP_EXECUTION={}\nSNAP_EXIT_CODE={code}\n\
             SNAP_PROFILE=studio\nSNAP_REPOSITORY={repository}\nSNAP_SNAPSHOT_ID=one\n\
             SNAP_STATUS={status}\nSNAP_VERB=create\nSNAP_WHEN={when}\n0022\n",
            id(&place.latest()),
        )
    };
    assert_eq!(place.log(), expected("after", "done", "", ""));
    run(&["create", "one"]);
    let error = "snapshot one exists already";
    assert_eq!(place.log(), expected("failed", "failed", "14", error));
}

#[test]
fn a_before_that_fails_stops_the_verb_before_anything_is_done() {
    let mut hooks = telling();
    hooks.push(("before", "echo no room; exit 7".to_owned()));
    hooks.push(("before", "echo third >>$LOG".to_owned()));
    let place = Place::with_hooks(&borrowed(&hooks));
    let words = ["the hook echo before create ended with exit code 7: no room"];
    place.snap(&["create", "one"]).failed(40, &words);
    assert_eq!(place.log(), "before create started\nfailed create failed\nfinally create failed\n");
    assert!(!place.repository().exists(), "the repository was made");
    assert_eq!(place.latest()["status"], "failed");
    let shown = place.snap(&["executions", "get", place.latest()["id"].as_str().expect("an id")]);
    assert!(shown.succeeded().contains("| no room"), "{shown:#?}");
    place.snap(&["restore", "one", "--force"]).failed(40, &[]);
}

#[test]
fn a_hook_that_takes_too_long_is_ended_and_has_failed() {
    let place = Place::with_hooks(&[("before", "sleep 1000 & echo $! >>$LOG; wait")]);
    let config = fs::read_to_string(place.path("snap.toml")).expect("read the configuration");
    place.configure(&config.replace("seconds = 30", "seconds = 1"));
    place.snap(&["create", "one"]).failed(40, &["sleep before create took more than 1 s"]);
    let process = place.log();
    let stat = format!("/proc/{}/stat", process.trim());
    until("the hook is gone", || fs::read_to_string(&stat).map_or(true, |it| it.contains(") Z ")));
}

#[test]
fn a_hook_that_fails_after_the_verb_is_a_warning_and_keeps_no_other_from_running() {
    let mut hooks = vec![("after", "exit 1".to_owned()), ("finally", "kill -9 $$".to_owned())];
    hooks.extend(telling());
    let place = Place::with_hooks(&borrowed(&hooks));
    let created = place.snap(&["create", "one"]);
    let words = ["after create ended with exit code 1", "finally create was ended by signal 9"];
    created.failed(3, &words);
    assert_eq!(place.ids(), "one");
    assert_eq!(place.log(), "before create started\nafter create done\nfinally create done\n");
    // The error of the verb stays the error.
    place.snap(&["create", "one"]).failed(14, &["exists already", words[1]]);
}

#[test]
fn what_fails_before_the_verb_has_begun_its_work_is_told_too() {
    let place = Place::with_hooks(&borrowed(&telling()));
    place.snap(&["restore", "one"]).failed(10, &[]);
    assert_eq!(
        place.log(),
        "before restore started\nfailed restore failed\nfinally restore failed\n"
    );
}

#[test]
fn of_two_verbs_the_one_that_has_to_wait_runs_no_hooks() {
    let mut hooks = telling();
    hooks.push(("before", "until test -e $LOG.go; do sleep 0.05; done".to_owned()));
    let place = Place::with_hooks(&borrowed(&hooks));
    let first = place.start(&["create", "one"]);
    until("the first has begun", || place.path("log").exists());
    place.snap(&["create", "two"]).failed(11, &["create"]);
    fs::write(place.path("log.go"), "").expect("let the first go on");
    finished(first).succeeded();
    let log = place.log();
    assert_eq!(log, "before create started\nafter create done\nfinally create done\n");
}

#[test]
fn ctrl_c_ends_the_hook_that_runs_before_and_finally_runs_all_the_same() {
    let mut hooks = telling();
    hooks.push(("before", "echo $$ >>$LOG; sleep 1000".to_owned()));
    let place = Place::with_hooks(&borrowed(&hooks));
    let create = place.start(&["create", "one"]);
    let log = || fs::read_to_string(place.path("log")).unwrap_or_default();
    until("the hook runs", || log().lines().count() == 2);
    let process = log().lines().nth(1).expect("a process id").to_owned();
    kill_process(Pid::from_child(&create), Signal::INT).expect("tell snap to end");
    assert_eq!(finished(create).code, 130);
    let ended = format!(
        "before create started\n{process}\nfailed create cancelled\nfinally create cancelled\n"
    );
    assert_eq!(place.log(), ended);
    let stat = format!("/proc/{process}/stat");
    assert!(fs::read_to_string(&stat).map_or(true, |it| it.contains(") Z ")), "it runs on");
    assert_eq!(place.latest()["status"], "cancelled");
}

#[test]
fn ctrl_c_ends_the_verb_and_finally_runs_all_the_same() {
    let place = Place::used_studio();
    place.configure_hooks("[profiles.studio]\nextends = 'studio'\n", &borrowed(&telling()));
    for (verb, arguments) in
        [("create", &["create"][..]), ("restore", &["restore", "before", "--force"][..])]
    {
        let writer = place.session("LOCK TABLES centreon_studio.element WRITE");
        let child = place.start(arguments);
        place.wait_for(WAITING);
        kill_process(Pid::from_child(&child), Signal::TERM).expect("tell snap to end");
        assert_eq!(finished(child).code, 143);
        drop(writer);
        let ended = "before VERB started\nfailed VERB cancelled\nfinally VERB cancelled\n";
        assert_eq!(place.log(), ended.replace("VERB", verb));
    }
}

#[test]
fn who_finishes_a_killed_restore_runs_no_hooks() {
    let place = Place::used_studio();
    place.configure_hooks("[profiles.studio]\nextends = 'studio'\n", &borrowed(&telling()));
    place.kill_a_restore_at_its_swap();
    assert_eq!(place.log(), "before restore started\n");
    let resumed = place.snap(&["restore", "--resume"]);
    assert!(resumed.succeeded().starts_with("finished: restore"), "{resumed:#?}");
    assert_eq!(place.log(), "");
}
