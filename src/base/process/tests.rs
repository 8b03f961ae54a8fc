//! Real programs, and what becomes of them.

use std::fs;
use std::future::ready;
use std::sync::Mutex;

use tokio::sync::Notify;

use crate::base::error::Kind;

use super::*;

const LONG: Duration = Duration::from_secs(30);

fn nobody(_: &str) {}

async fn run(command: &str) -> Ended {
    Process::shell(command, LONG).run(&nobody, pending()).await.unwrap()
}

/// Returns once the process of this line is gone, or nothing but its remains are left.
async fn is_gone(process: &str) {
    let path = format!("/proc/{}/stat", process.parse::<u32>().expect("a process id"));
    let lives = || fs::read_to_string(&path).is_ok_and(|stat| !stat.contains(") Z "));
    let gone = async {
        while lives() {
            sleep(LOOK).await;
        }
    };
    timeout(LONG, gone).await.expect("it runs on");
}

/// Runs the command until it has told a line, then stops it; returns the line.
async fn stopped(command: &str) -> (Error, String) {
    let (notify, said) = (Notify::new(), Mutex::new(String::new()));
    let tell = |line: &str| {
        // A shell may tell of what it ended, after that.
        let mut said = said.lock().unwrap();
        if said.is_empty() {
            line.clone_into(&mut said);
        }
        notify.notify_one();
    };
    let stop = async {
        notify.notified().await;
        Error::new(Kind::Interrupted, "interrupted by Ctrl-C")
    };
    let error = Process::shell(command, LONG).run(&tell, stop).await.expect_err("it was stopped");
    (error, said.into_inner().unwrap())
}

#[tokio::test]
async fn both_streams_are_told_in_the_order_in_which_they_were_printed() {
    let told = Mutex::new(Vec::new());
    let tell = |line: &str| told.lock().unwrap().push(line.to_owned());
    let process = Process::shell("echo one; echo two >&2; echo three; exit 3", LONG);
    let ended = process.run(&tell, pending()).await.unwrap();
    assert_eq!(told.into_inner().unwrap(), ["one", "two", "three"]);
    assert_eq!(ended.output, ["one", "two", "three"]);
    assert_eq!((ended.end, ended.is_success()), (End::Exit(3), false));
}

#[tokio::test]
async fn an_end_is_told_as_it_was() {
    assert!(run("true").await.is_success());
    assert_eq!(run("kill -9 $$").await.end, End::Signal(9));
    assert_eq!(run("kill -9 $$").await.end.to_string(), "was ended by signal 9");
    assert!(run("no-such-program-anywhere").await.end.is_absent());
    let program = Process::program("no-such-program-anywhere", ["--flag"], LONG);
    assert!(program.run(&nobody, pending()).await.unwrap().end.is_absent());
}

#[tokio::test]
async fn a_program_is_given_its_arguments_and_its_environment_and_nothing_to_read() {
    let script = "printf '%s\\n' \"$@\"; echo $SNAP_VERB; umask; cat";
    let process = Process::program("sh", ["-c", script, "sh", "a b", "$HOME"], LONG);
    let ended = process.with("SNAP_VERB", "create").run(&nobody, pending()).await.unwrap();
    assert_eq!(ended.output, ["a b", "$HOME", "create", "0022"]);
}

#[tokio::test]
async fn an_answer_is_standard_output_alone_and_all_of_it() {
    let command = "echo complaint >&2; seq 1 5000";
    let ended = Process::shell(command, LONG).answer().await.unwrap();
    assert_eq!((ended.output.len(), ended.omitted), (5000, 0));
    assert_eq!(ended.output[0], "1");
}

#[tokio::test]
async fn of_an_output_without_measure_the_last_lines_are_kept() {
    let ended = run("seq 1 5000").await;
    assert_eq!((ended.output.len(), ended.omitted), (KEPT_LINES, 5000 - KEPT_LINES));
    assert_eq!(ended.output.last().unwrap(), "5000");
}

#[tokio::test]
async fn a_time_limit_ends_all_that_was_started() {
    let command = "sleep 1000 & echo $!; wait";
    let limit = Duration::from_millis(300);
    let ended = Process::shell(command, limit).run(&nobody, pending()).await.unwrap();
    assert_eq!(ended.end, End::Overtime(limit));
    is_gone(&ended.output[0]).await;
}

#[tokio::test]
async fn what_does_not_end_when_it_is_told_is_killed() {
    let command = "trap '' TERM; (trap '' TERM; sleep 1000) & echo $!; sleep 1000";
    let (error, process) = stopped(command).await;
    assert_eq!(error.kind(), Kind::Interrupted);
    is_gone(&process).await;
}

#[tokio::test]
async fn a_stop_tells_it_to_end_and_waits_until_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidied");
    let tidy = format!("trap 'sleep 0.1; touch {}; exit' TERM", file.display());
    let (error, process) = stopped(&format!("{tidy}; echo $$; while :; do sleep 0.01; done")).await;
    assert_eq!(error.chain(), "interrupted by Ctrl-C");
    is_gone(&process).await;
    assert!(file.exists());
}

#[tokio::test]
async fn a_stop_that_came_before_lets_nothing_run_on() {
    let process = Process::shell("sleep 1000", LONG);
    let stop = ready(Error::new(Kind::Terminated, "terminated"));
    assert_eq!(process.run(&nobody, stop).await.unwrap_err().kind(), Kind::Terminated);
}

#[tokio::test]
async fn dropped_it_is_ended() {
    let (notify, said) = (Notify::new(), Mutex::new(String::new()));
    let tell = |line: &str| {
        line.clone_into(&mut said.lock().unwrap());
        notify.notify_one();
    };
    let process = Process::shell("trap '' TERM; echo $$; sleep 1000", LONG);
    tokio::select! {
        _ = process.run(&tell, pending()) => panic!("it sleeps"),
        () = notify.notified() => {}
    }
    is_gone(&said.into_inner().unwrap()).await;
}

#[tokio::test]
async fn what_it_leaves_running_keeps_nobody_waiting_and_runs_on() {
    let ended = run("sleep 1000 & echo $!").await;
    assert!(ended.is_success());
    let left = Pid::from_raw(ended.output[0].parse().unwrap()).unwrap();
    rustix::process::kill_process(left, Signal::KILL).expect("it runs on");
}

#[test]
fn messages_name_the_program_alone() {
    let name = |command: &str| Process::shell(command, LONG).name().to_owned();
    assert_eq!(name("PASSWORD=secret /usr/bin/mysql -psecret"), "mysql");
    assert_eq!(name("systemctl stop x"), "systemctl");
}
