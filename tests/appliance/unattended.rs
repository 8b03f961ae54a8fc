//! `create` where nobody looks on, two at once, and somebody at a terminal.

use std::process::Command;
use std::process::Stdio;

use rustix::process::Signal;

use crate::place::Output;
use crate::place::Place;
use crate::place::run_by;
use crate::restore_failures::finished;
use crate::stopped::signal;

#[test]
fn cron_needs_no_environment_no_terminal_and_no_home() {
    let place = Place::studio();
    let mut command = place.command(&["create", "nightly"]);
    command.env_clear().arg("--repository").arg(place.repository());
    command.arg("--config").arg(place.path("snap.toml")).current_dir("/");
    // A session of its own has no terminal.
    let output = run_by(&["setsid", "--wait"], &command).output().expect("start setsid");
    assert_eq!(Output::of(output).succeeded().lines().next(), Some("nightly"));
    let unreachable = place.snap(&["list"]);
    assert!(unreachable.succeeded().contains("nightly"));
}

#[test]
fn of_two_at_once_the_second_is_told_who_the_first_is() {
    let place = Place::studio();
    let mut lock = place.server.session();
    lock.run("LOCK TABLES centreon_studio.view WRITE");
    let mut first = place.start(&["create", "first", "--connections", "1"]);
    place.server.wait_for_waiters(1);
    let second = place.snap(&["create", "second"]);
    assert_eq!((second.code, second.stdout.as_str()), (11, ""), "{second:#?}");
    let named = format!("in use by snap create (process {} on ", first.id());
    assert!(second.stderr.contains(&named), "{second:#?}");
    let since = second.stderr.split_once(", since 20").expect("it says since when").1;
    assert!(since.lines().next().is_some_and(|line| line.ends_with(" UTC)")), "{second:#?}");

    // Reading needs no turn; a killed first one leaves no lock.
    place.snap(&["list"]).succeeded();
    signal(&mut first, Signal::KILL);
    assert_eq!(finished(first).code, -1);
    lock.run("UNLOCK TABLES");
    place.snap(&["create", "second"]).succeeded();
    assert_eq!(place.snap(&["list", "-q"]).succeeded(), "second");
}

#[test]
fn a_terminal_sees_progress_and_a_pipe_sees_none() {
    let place = Place::studio();
    let seen = at_terminal(&place.command(&["create", "seen"]));
    for part in ["dump database", "read certificates", "B/s", "left", "\u{1b}["] {
        assert!(seen.contains(part), "{part}: {seen:?}");
    }
    for flag in ["--no-progress", "--json", "-q"] {
        let unseen = at_terminal(&place.command(&["create", flag]));
        assert!(
            !unseen.contains("dump database") && !unseen.contains('\u{1b}'),
            "{flag}: {unseen:?}"
        );
    }
    let piped = place.snap(&["create", "piped"]);
    assert_eq!(piped.succeeded().lines().next(), Some("piped"));
    assert!(piped.stderr.lines().all(|line| line.starts_with("note: ")), "{piped:#?}");
}

/// Returns all that a command writes to a terminal of 100 columns.
fn at_terminal(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let words = words.map(|word| format!("'{}'", word.to_str().expect("UTF-8")));
    let line = format!("stty cols 100; {}", words.collect::<Vec<_>>().join(" "));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    script.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output =
        script.env("PATH", "/usr/bin:/bin").env("TERM", "xterm").stdin(Stdio::null()).output();
    Output::of(output.expect("start script, of the package util-linux")).succeeded().to_owned()
}
