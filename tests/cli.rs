//! The process as a script sees it: standard output, standard error and exit code.

use std::fs::OpenOptions;
use std::fs::create_dir_all;
use std::io::Write as _;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;
use serde_json::Value;
use serde_json::json;

/// Returns the program with nothing in its environment, as the worst cron starts it, but for an
/// empty configuration file in place of this machine's own.
fn snap(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snap"));
    command.args(arguments).env_clear().env("SNAP_CONFIG", "/dev/null").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    snap(arguments).output().expect("run snap")
}

fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).expect("standard output is UTF-8")
}

fn stderr(output: &Output) -> &str {
    str::from_utf8(&output.stderr).expect("standard error is UTF-8")
}

/// Returns the path of a configuration file with this text.
fn config(folder: &Path, text: &str) -> String {
    create_dir_all(folder).expect("make the folder");
    let path = folder.join("snap.toml");
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path).expect("create");
    file.write_all(text.as_bytes()).expect("write");
    path.into_os_string().into_string().expect("UTF-8")
}

#[test]
fn help_and_version_are_answers() {
    for arguments in [&["--help"][..], &["-h"], &["create", "--help"], &["help", "restore"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(stdout(&output).contains("Usage: snap"), "{arguments:?}");
        assert_eq!(stderr(&output), "", "{arguments:?}");
    }
    let version = format!("snap {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(stdout(&run(&["--version"])), version);
}

#[test]
fn a_wrong_argument_exits_with_two_and_answers_nothing() {
    for arguments in [&[][..], &["lisst"], &["list", "--jsn"], &["show"], &["list", "--port", "0"]]
    {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(stdout(&output), "", "{arguments:?}");
        assert_ne!(stderr(&output), "", "{arguments:?}");
    }
}

#[test]
fn a_wrong_argument_is_an_object_in_json() {
    let output = run(&["show", "--json"]);
    let value: Value = serde_json::from_slice(&output.stdout).expect("one object");
    let expected = json!({
        "error": {
            "kind": "usage",
            "exit_code": 2,
            "message": "the following required arguments were not provided: <ID>",
            "hint": "`snap --help` and `snap COMMAND --help` say what is allowed",
        },
        "notes": [],
        "warnings": [],
    });
    assert_eq!(value, expected);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_misspelt_key_of_the_configuration_is_named_with_its_line_and_the_right_one() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let config = config(folder.path(), "profile = \"studio\"\nrepositry = \"/srv\"\n");
    let output = run(&["list", "--config", &config]);
    let expected = format!(
        "error: cannot use {config}, line 2: unknown key `repositry`\n\
         hint: did you mean `repository`?\n"
    );
    assert_eq!(stderr(&output), expected);
    assert_eq!(stdout(&output), "");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn an_error_is_one_object_in_json_and_said_on_standard_error_too() {
    let output = run(&["list", "--config", "/nowhere/snap.toml", "--json"]);
    let value: Value = serde_json::from_slice(&output.stdout).expect("one object");
    let message = "cannot find configuration file /nowhere/snap.toml";
    assert_eq!(value["error"]["message"], message);
    assert_eq!(value["error"]["exit_code"], 2);
    assert!(stderr(&output).starts_with(&format!("error: {message}\nhint: ")));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_malformed_id_exits_with_two_before_anything_is_made() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let repository = folder.path().join("repository");
    let location = repository.to_str().expect("UTF-8");
    for arguments in [&["create", "a/b"][..], &["upload", "x.tar", "-s", "../b"], &["show", "a/b"]]
    {
        let output = snap(arguments).args(["--repository", location]).output().expect("run snap");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(!repository.exists(), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_has_read_enough_is_no_failure() {
    let (reader, writer) = std::io::pipe().expect("pipe");
    drop(reader);
    let output = snap(&["completions", "bash"]).stdout(writer).output().expect("run snap");
    assert_eq!(stderr(&output), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let full = OpenOptions::new().write(true).open("/dev/full").expect("open");
    let output = snap(&["completions", "bash"]).stdout(full).output().expect("run snap");
    assert!(stderr(&output).starts_with("error: cannot write to standard output: "));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(stdout(&output).contains("restore-certificates"), "{shell}");
    }
}

#[test]
fn an_absent_repository_exits_with_ten_from_an_empty_environment() {
    let output = run(&["list", "--repository", "/nowhere/repository"]);
    assert_eq!(output.status.code(), Some(10));
    assert!(stderr(&output).starts_with("error: "), "{}", stderr(&output));
    assert_eq!(stdout(&output), "");
}

#[test]
fn a_list_of_nothing_answers_nothing_and_says_so_beside_it() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let location = folder.path().join("repository").into_os_string().into_string().expect("UTF-8");
    make_repository(folder.path(), &location);
    let output = run(&["list", "--repository", &location]);
    assert_eq!(stdout(&output), "");
    assert_eq!(stderr(&output), format!("note: no snapshots in {location}\n"));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn an_upload_of_nothing_leaves_no_repository_behind() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let repository = folder.path().join("repository");
    let location = repository.to_str().expect("UTF-8");
    let upload = run(&["upload", "/nowhere.tar", "--repository", location]);
    assert_eq!(upload.status.code(), Some(1), "{}", stderr(&upload));
    assert!(!repository.exists());
}

#[test]
fn what_the_process_makes_is_for_its_user_alone() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let repository = folder.path().join("repository");
    let location = repository.to_str().expect("UTF-8");
    make_repository(folder.path(), location);
    let mode = |path: &Path| path.metadata().expect("look at it").permissions().mode();
    assert_eq!(mode(&repository) & 0o077, 0);
    for entry in repository.read_dir().expect("list the repository") {
        let path = entry.expect("read an entry").path();
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
}

/// Makes an empty repository: an upload of what is no archive fails when it has made one.
fn make_repository(folder: &Path, location: &str) {
    let archive = tempfile::NamedTempFile::new_in(folder).expect("make an empty file");
    let path = archive.path().to_str().expect("UTF-8");
    let upload = run(&["upload", path, "--repository", location]);
    assert_eq!(upload.status.code(), Some(13), "{}", stderr(&upload));
}

/// Returns the connection that the process makes to this server; fails when it ends without one.
fn connection_of(process: &mut Child, server: &TcpListener) -> TcpStream {
    server.set_nonblocking(true).expect("do not wait for connections");
    loop {
        if let Ok((connection, _)) = server.accept() {
            return connection;
        }
        let ended = process.try_wait().expect("look at snap");
        assert_eq!(ended, None, "snap ended before it connected");
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_signal_ends_a_verb_with_one_line_and_an_exit_code_of_its_own() {
    for (signal, line, exit_code) in [
        (Signal::INT, "error: interrupted by Ctrl-C\n", 130),
        (Signal::TERM, "error: terminated by SIGTERM\n", 143),
    ] {
        let folder = tempfile::tempdir().expect("temporary folder");
        let repository = folder.path().join("repository");
        // A server that never says a word: whoever connects to it waits.
        let server = TcpListener::bind("127.0.0.1:0").expect("listen");
        let port = server.local_addr().expect("address").port().to_string();
        let mut create = snap(&["create", "--defaults-file", "/dev/null"]);
        create.args(["--host", "127.0.0.1", "--port", &port]);
        create.arg("--repository").arg(&repository).arg("--state").arg(folder.path());
        create.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut create = create.spawn().expect("start snap");
        let connection = connection_of(&mut create, &server);
        kill_process(Pid::from_child(&create), signal).expect("send a signal to snap");
        let output = create.wait_with_output().expect("wait for snap");
        drop(connection);
        assert_eq!((stdout(&output), stderr(&output)), ("", line));
        assert_eq!(output.status.code(), Some(exit_code));
    }
}

const TWO_PROFILES: &str = r#"
[profiles.studio]
extends = "studio"
about = "ours"
[profiles.mine]
sources = [{ name = "conf", kind = "files", path = "/etc/mine" }]
"#;

#[test]
fn profiles_are_listed_with_where_they_come_from() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let config = config(folder.path(), TWO_PROFILES);
    let output = run(&["profile", "list", "--config", &config]);
    assert_eq!(stderr(&output), "");
    let expected = "\
NAME                 ORIGIN    SOURCES  ABOUT
centreon-map         built in        6  A Centreon MAP server, legacy, MAP Engine or both: databases and configuration
centreon-map-engine  built in        3  A Centreon MAP Engine server: database and configuration
centreon-poller      built in        7  A Centreon poller: what its central does not send anew
cloudify-manager     built in        6  A Cloudify Manager: its PostgreSQL, certificates, users and configuration
mine                 file            1  conf
studio               file            3  ours
";
    assert_eq!(stdout(&output), expected);
    let names = run(&["profile", "list", "-q"]);
    let expected = "studio\ncentreon-map\ncentreon-map-engine\ncentreon-poller\ncloudify-manager\n";
    assert_eq!(stdout(&names), expected);
}

#[test]
fn a_profile_that_is_shown_can_be_copied_into_a_file_and_means_the_same() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let names = run(&["profile", "list", "-q"]);
    for name in stdout(&names).lines() {
        let shown = run(&["profile", "show", name]);
        let text = stdout(&shown);
        assert!(text.contains(&format!("[profiles.{name}]\n")), "{text}");
        let copy = config(&folder.path().join(name), text);
        let again = run(&["profile", "show", name, "--config", &copy]);
        assert_eq!(stdout(&again), text, "{name}");
        assert_eq!(stderr(&again), "", "{name}");
        let checked = run(&["profile", "check", &copy]);
        assert_eq!(checked.status.code(), Some(0), "{name}");
    }
    let shown = run(&["profile", "show", "studio", "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).expect("one JSON object");
    assert_eq!(shown["profile"]["name"], "studio");
    assert_eq!(shown["profile"]["sources"][0]["database"], "centreon_studio");
}

#[test]
fn a_file_is_checked_before_it_is_used() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let right = config(&folder.path().join("right"), TWO_PROFILES);
    let output = run(&["profile", "check", &right]);
    assert_eq!(output.status.code(), Some(0));
    let expected = format!(
        "{right} is right: 2 profiles\n\nNAME    ORIGIN  SOURCES  ABOUT\n\
         mine    file          1  conf\nstudio  file          3  ours\n"
    );
    assert_eq!(stdout(&output), expected);
    for (text, complaint) in [
        ("[profiles.a]\nextends = 'b'", ", line 2: there is no profile `b`"),
        ("profile = 'b'", ": profile = \"b\": cannot find profile `b`"),
        ("hello", ", line 1: key with no value"),
    ] {
        let wrong = folder.path().join(complaint.len().to_string());
        let wrong = config(&wrong, text);
        // The configuration of this host may be as wrong as the file.
        let output = run(&["profile", "check", &wrong, "--config", &wrong]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert_eq!(stdout(&output), "", "{text}");
        let said = format!("error: cannot use {wrong}{complaint}");
        assert!(stderr(&output).starts_with(&said), "{}", stderr(&output));
    }
    let absent = run(&["profile", "check", "/nowhere/snap.toml"]);
    assert_eq!(absent.status.code(), Some(2));
    assert_eq!(stderr(&absent), "error: cannot find /nowhere/snap.toml\n");
}

#[test]
fn the_path_of_an_upgrade_is_printed_with_every_step_or_refused_with_its_reason() {
    let plan = |profile: &str, flags: &[&str]| {
        let words = ["upgrade", "--plan", "--profile", profile];
        run(&[&words[..], flags].concat())
    };
    let path = plan("centreon-map", &["--from-version", "4.0.7", "--to-version", "20.04.3"]);
    assert_eq!(path.status.code(), Some(0), "{path:?}");
    let mut rest = stdout(&path);
    for words in [
        "from 4.0.7 to 20.04.3: 2 upgrades",
        "1. 4.0.7 -> 4.1.X",
        "started there, before it goes any further",
        "backup     snap  Save the database",
        "# systemctl stop tomcat",
        "snap upgrade --profile centreon-map --to-version 4.1 -- COMMAND",
        "2. 4.1.X -> 20.04.3",
        "prepare    you   Ask Centreon Support",
        "follow up  you   On the central",
    ] {
        let (_, after) = rest.split_once(words).unwrap_or_else(|| panic!("{words}: {path:?}"));
        rest = after;
    }
    let flags = ["--from-version", "4.0.7", "--to-version", "4.1.2", "--json"];
    let json: Value = serde_json::from_str(stdout(&plan("centreon-map", &flags))).expect("JSON");
    assert_eq!(json["plan"]["from"], "4.0.7");
    assert_eq!(json["plan"]["hops"][0]["steps"][0]["by"], "person");
    let told = |profile: &str, flags: &[&str], code: i32, words: &[&str]| {
        let output = plan(profile, flags);
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {output:?}");
        for word in words {
            assert!(stderr(&output).contains(word), "{word}: {output:?}");
        }
    };
    let (from, to) = ("--from-version", "--to-version");
    told("centreon-map", &[from, "24.04", to, "25.10"], 14, &["MAP Engine"]);
    let flags = [from, "3.4.2", to, "4.2"];
    told("cloudify-manager", &flags, 14, &["supported from 4.0.0 on"]);
    let flags = [from, "20.04", to, "20.10.1", "--central-version", "20.04.7"];
    told("centreon-map", &flags, 14, &["bring the central to 20.10 first"]);
    let folder = tempfile::tempdir().expect("temporary folder");
    let source = "[[profiles.plain.sources]]\nname = 'file'\nkind = 'files'\npath = '/etc/file'";
    let config = config(folder.path(), source);
    let flags = ["--config", &config, to, "5.0"];
    told("plain", &flags, 2, &["profile plain names no version rules"]);
    told("centreon-map", &[to, "20.04"], 2, &["--from-version"]);
    told("centreon-map", &[from, "4", to, "new"], 2, &["cannot understand version"]);
    let flags = [from, "4.1", to, "4.3", "--new-host", "--one-user"];
    let moved = plan("cloudify-manager", &flags);
    assert!(stdout(&moved).contains("new host"), "{moved:?}");
    assert!(!stdout(&moved).contains("several users"), "{moved:?}");
}

#[test]
fn an_upgrade_needs_a_command_and_a_program_that_is_there() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = |name: &str| folder.path().join(name).into_os_string().into_string().expect("UTF-8");
    let (state, repository) = (path("state"), path("repository"));
    for (words, told) in [
        (&["upgrade"][..], "<COMMAND>"),
        (&["upgrade", "--plan"], "--to-version"),
        (&["upgrade", "--plan", "--to-version", "5", "--", "yum"], "cannot be used with"),
        (&["upgrade", "--", "no-such-program-anywhere"], "there is no program"),
    ] {
        let places = ["--state", &state, "--repository", &repository];
        let output = run(&[&places, words].concat());
        assert_eq!(output.status.code(), Some(2), "{words:?}: {output:?}");
        assert!(stderr(&output).contains(told), "{told}: {output:?}");
    }
}
