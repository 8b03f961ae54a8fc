//! Sources that a command saves and another command restores: a stand-in for `pg_dump` and
//! `pg_restore`, which keeps its database in a folder.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process_group;

use crate::place::Output;
use crate::place::Place;
use crate::server::until;
use crate::stopped::signal;

/// What the stand-in holds when it is saved.
const SAVED: &str = "saved rows\n";
/// What it holds before it is restored.
const LIVE: &str = "live rows\n";

/// A place with a file, and a database that only commands can save and restore.
struct Commands {
    place: Place,
}

impl Commands {
    fn new() -> Self {
        let commands = Self { place: Place::empty() };
        commands.configure(&commands.save(), &commands.load());
        commands.set(SAVED, "saved file\n");
        commands
    }

    /// Returns the database.
    fn database(&self) -> PathBuf {
        self.place.path("database")
    }

    fn file(&self) -> PathBuf {
        self.place.root().join("etc/map.conf")
    }

    fn save(&self) -> String {
        format!("cat {}", self.database().display())
    }

    /// Returns a command that takes what it is given for the database, and tells what it was told.
    fn load(&self) -> String {
        let told = self.place.path("told");
        let (database, told) = (self.database(), told.display());
        format!("echo $SNAP_SOURCE $SNAP_SNAPSHOT_ID >> {told}; cat > {}", database.display())
    }

    fn configure(&self, save: &str, load: &str) {
        self.place.configure(&format!(
            "[[profiles.studio.sources]]\nname = 'postgres'\nkind = 'command'\nseconds = 20\n\
             save = '''{save}'''\nload = '''{load}'''\n\
             [[profiles.studio.sources]]\nname = 'conf'\nkind = 'files'\npath = '/etc/map.conf'\n"
        ));
    }

    fn set(&self, database: &str, file: &str) {
        fs::write(self.database(), database).expect("write the database");
        fs::create_dir_all(self.file().parent().expect("it has a folder")).expect("make it");
        fs::write(self.file(), file).expect("write the file");
    }

    /// Returns what is in the database and in the file.
    fn live(&self) -> [String; 2] {
        [self.database(), self.file()].map(|path| fs::read_to_string(path).expect("read"))
    }

    fn snap(&self, arguments: &[&str]) -> Output {
        self.place.snap(arguments)
    }

    /// Returns the ids of the safety snapshots.
    fn safety(&self) -> Vec<String> {
        let ids = self.place.ids();
        ids.lines().filter(|id| *id != "before").map(str::to_owned).collect()
    }
}

#[test]
fn what_a_command_printed_is_given_to_the_other_and_a_rollback_gives_back_what_was_there() {
    let commands = Commands::new();
    commands.snap(&["create", "before"]).succeeded();
    commands.set(LIVE, "live file\n");
    let planned = commands.snap(&["restore", "before", "--dry-run"]);
    let says = planned.succeeded();
    assert!(says.contains("what is there is saved by cat\n"), "{says}");
    assert!(says.contains("echo is given what was saved"), "{says}");
    assert!(!says.contains("SNAP_SOURCE"), "a command may hold a password: {says}");
    assert_eq!(commands.live(), [LIVE, "live file\n"], "a dry run runs no command");
    assert!(commands.safety().is_empty());
    commands.snap(&["restore", "before"]).succeeded();
    assert_eq!(commands.live(), [SAVED, "saved file\n"]);
    let told = fs::read_to_string(commands.place.path("told")).expect("what the command was told");
    assert_eq!(told, "postgres before\n");
    for round in 0..2 {
        let planned = commands.snap(&["rollback", "--dry-run"]);
        let says = planned.succeeded();
        assert!(says.contains("postgres is not renamed back: echo is given"), "{says}");
        assert!(!says.contains("SNAP_SOURCE"), "a command may hold a password: {says}");
        commands.snap(&["rollback"]).succeeded();
        assert_eq!(commands.live(), [LIVE, "live file\n"], "round {round}");
        commands.snap(&["rollback"]).succeeded();
        assert_eq!(commands.live(), [SAVED, "saved file\n"], "round {round}");
    }
    commands.snap(&["verify", "--read-data"]).succeeded();
}

#[test]
fn a_save_command_that_fails_or_prints_nothing_or_takes_too_long_lists_nothing() {
    let commands = Commands::new();
    for (save, complaint) in [
        ("echo half; echo no such table >&2; exit 3", "ended with exit code 3: no such table"),
        ("false | cat; echo x | false | cat", "ended with exit code 1"),
        ("true", "has printed nothing"),
        ("echo half; kill -9 $$", "was ended by signal 9"),
    ] {
        commands.configure(save, "cat > /dev/null");
        let failed = commands.snap(&["create", "a"]);
        failed.failed(1, &["cannot save postgres: its command ", complaint, "hint: "]);
        assert_eq!(commands.place.ids(), "", "{save}");
    }
    let text = fs::read_to_string(commands.place.path("snap.toml")).expect("read snap.toml");
    let slow = text.replace("echo half; kill -9 $$", "echo half; sleep 60");
    commands.place.configure(&slow.replace("seconds = 20", "seconds = 1"));
    let failed = commands.snap(&["create", "a"]);
    failed.failed(1, &["took more than 1 s and was ended"]);
    assert_eq!(commands.place.ids(), "");
}

#[test]
fn a_load_command_that_fails_takes_everything_back() {
    let commands = Commands::new();
    commands.snap(&["create", "before"]).succeeded();
    commands.set(LIVE, "live file\n");
    // It destroys what was there, and fails unless it is given that back.
    let load = format!("{}; grep -q live {}", commands.load(), commands.database().display());
    commands.configure(&commands.save(), &load);
    let failed = commands.snap(&["restore", "before"]);
    failed.failed(1, &["cannot load postgres: its command ", "ended with exit code 1"]);
    assert!(failed.stderr.contains("what a command replaced is loaded again"), "{failed:#?}");
    assert_eq!(commands.live(), [LIVE, "live file\n"]);
    assert!(commands.safety().is_empty(), "nothing was replaced: {failed:#?}");
    assert_eq!(commands.snap(&["restore", "--resume"]).succeeded(), "nothing is unfinished");
    commands.snap(&["rollback"]).failed(14, &["no restore of profile studio"]);
}

#[test]
fn what_cannot_be_taken_back_stays_unfinished_until_a_resume_takes_it_back() {
    let commands = Commands::new();
    commands.snap(&["create", "before"]).succeeded();
    commands.set(LIVE, "live file\n");
    commands.configure(&commands.save(), &format!("{}; false", commands.load()));
    commands.snap(&["restore", "before"]).failed(1, &["; and then: cannot load postgres"]);
    commands.snap(&["restore", "before"]).failed(11, &["is unfinished"]);
    commands.configure(&commands.save(), &commands.load());
    let resumed = commands.snap(&["restore", "--resume"]);
    assert!(resumed.succeeded().starts_with("undone: restore execution_"), "{resumed:#?}");
    assert_eq!(commands.live(), [LIVE, "live file\n"]);
    commands.snap(&["restore", "before"]).succeeded();
    assert_eq!(commands.live(), [SAVED, "saved file\n"]);
}

/// Returns the points that a restore by a command comes to.
#[cfg(feature = "fault-points")]
pub(crate) fn points() -> Vec<String> {
    let commands = Commands::new();
    commands.snap(&["create", "before"]).succeeded();
    commands.place.points(&["restore", "before"])
}

#[test]
#[cfg(feature = "fault-points")]
fn a_restore_that_is_killed_when_the_command_had_begun_is_taken_back_by_a_resume() {
    let commands = Commands::new();
    commands.snap(&["create", "before"]).succeeded();
    for point in ["command.begun", "command.loaded"] {
        let older = commands.safety();
        commands.set(LIVE, "live file\n");
        let mut killed = commands.place.command(&["restore", "before"]);
        let killed = killed.env("FAILPOINTS", format!("{point}=return")).output();
        assert_eq!(Output::of(killed.expect("start snap")).code, -1, "{point}");
        let own = commands.safety().into_iter().find(|id| !older.contains(id));
        let own = own.expect("what was there is saved");
        commands.snap(&["delete", &own]).failed(11, &["is unfinished"]);
        commands.snap(&["restore", "--resume"]).succeeded();
        assert_eq!(commands.live(), [LIVE, "live file\n"], "{point}");
    }
}

#[test]
fn a_restore_whose_command_is_at_work_still_is_resumed_once_that_has_ended() {
    let commands = Commands::new();
    commands.snap(&["create", "before"]).succeeded();
    commands.set(LIVE, "live file\n");
    let begun = commands.place.path("begun");
    commands.configure(&commands.save(), &format!("touch {}; sleep 1000", begun.display()));
    let mut restore = commands.place.command(&["restore", "before"]);
    let mut restore = restore.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start");
    until("the command has begun", || begun.exists());
    signal(&mut restore, Signal::KILL);
    restore.wait().expect("it has ended");
    commands.configure(&commands.save(), &commands.load());
    let busy = commands.snap(&["restore", "--resume"]);
    busy.failed(11, &["cannot resume execution_", "its command is at work still", "kill -- -"]);
    assert_eq!(commands.live(), [LIVE, "saved file\n"]);
    let (_, group) = busy.stderr.split_once("as process ").expect("it is named");
    let group: String = group.chars().take_while(char::is_ascii_digit).collect();
    let group = Pid::from_raw(group.parse().expect("a number")).expect("a process");
    kill_process_group(group, Signal::KILL).expect("end the command");
    until("the command has ended", || kill_process_group(group, Signal::KILL).is_err());
    commands.snap(&["restore", "--resume"]).succeeded();
    assert_eq!(commands.live(), [LIVE, "live file\n"]);
}

#[test]
#[cfg(feature = "fault-points")]
fn without_a_way_back_the_error_and_the_journal_say_what_stays() {
    let commands = Commands::new();
    commands.snap(&["create", "before"]).succeeded();
    commands.set(LIVE, "live file\n");
    let restore = ["restore", "before", "--no-safety-snapshot"];
    let stays = "postgres stays as its command left it";
    let told = || {
        let listed = commands.snap(&["executions", "list", "--json"]).succeeded().to_owned();
        listed.matches(stays).count()
    };
    let mut killed = commands.place.command(&restore);
    let killed = killed.env("FAILPOINTS", "command.loaded=return").output();
    assert_eq!(Output::of(killed.expect("start snap")).code, -1);
    let resumed = commands.snap(&["restore", "--resume"]);
    resumed.failed(3, &[stays]);
    let rest = ", but postgres is as its command left it\n";
    assert!(resumed.stdout.ends_with(rest), "{resumed:#?}");
    assert_eq!(commands.live(), [SAVED, "live file\n"]);
    assert_eq!(told(), 1);
    commands.configure(&commands.save(), &format!("{}; false", commands.load()));
    commands.snap(&restore).failed(1, &["ended with exit code 1; ", stays]);
    assert_eq!(commands.live(), [SAVED, "live file\n"]);
    assert_eq!(told(), 2);
}

#[test]
fn without_a_snapshot_of_what_is_there_nothing_is_done_unless_that_is_wanted() {
    let commands = Commands::new();
    commands.snap(&["create", "before"]).succeeded();
    commands.set(LIVE, "live file\n");
    commands.configure("exit 1", &commands.load());
    let refused = commands.snap(&["restore", "before"]);
    refused.failed(14, &["what a command replaces could not be saved", "--no-safety-snapshot"]);
    assert_eq!(commands.live(), [LIVE, "live file\n"]);
    commands.snap(&["restore", "before", "--no-safety-snapshot"]).succeeded();
    assert_eq!(commands.live(), [SAVED, "saved file\n"]);
    let refused = commands.snap(&["rollback"]);
    refused.failed(14, &["what the command of postgres replaced was not saved"]);
    assert_eq!(commands.live(), [SAVED, "saved file\n"]);
}

#[test]
fn a_snapshot_from_elsewhere_brings_bytes_and_no_commands() {
    let commands = Commands::new();
    commands.configure(&format!("SECRET='my secret' {}", commands.save()), &commands.load());
    commands.snap(&["create", "before"]).succeeded();
    let archive = commands.place.path("before.tar");
    let archive = archive.to_str().expect("UTF-8");
    commands.snap(&["download", "before", "-o", archive]).succeeded();
    let elsewhere = Commands::new();
    elsewhere.set(LIVE, "live file\n");
    elsewhere.snap(&["upload", archive]).succeeded();
    let shown = elsewhere.snap(&["show", "before", "--json"]);
    assert!(!shown.succeeded().to_lowercase().contains("secret"), "{shown:#?}");
    // Its profile has no such source: there is nothing to run.
    elsewhere.place.configure(
        "[[profiles.studio.sources]]\nname = 'conf'\nkind = 'files'\npath = '/etc/map.conf'\n",
    );
    elsewhere.snap(&["restore", "before"]).succeeded();
    assert_eq!(elsewhere.live(), [LIVE, "saved file\n"]);
    elsewhere.configure(&elsewhere.save(), &elsewhere.load());
    let fed = "postgres would be given to echo";
    elsewhere.snap(&["restore", "before"]).failed(14, &[fed, "hint: --trust-definers"]);
    let planned = elsewhere.snap(&["restore", "before", "--dry-run"]);
    planned.failed(14, &[fed]);
    assert!(planned.stdout.contains("needs --trust-definers: what the snapshot"), "{planned:#?}");
    assert_eq!(elsewhere.live(), [LIVE, "saved file\n"]);
    elsewhere.snap(&["restore", "before", "--trust-definers"]).succeeded();
    assert_eq!(elsewhere.live(), [SAVED, "saved file\n"]);
    let refused = elsewhere.snap(&["restore", "before", "--in-place"]);
    refused.failed(14, &["cannot restore in place: postgres is restored by a command"]);
}

#[test]
fn more_than_a_chunk_comes_back_byte_by_byte_and_is_stored_once() {
    let commands = Commands::new();
    let bytes: Vec<u8> = (0..40_u32 << 18).flat_map(u32::to_le_bytes).collect();
    fs::write(commands.database(), &bytes).expect("write the database");
    commands.snap(&["create", "before"]).succeeded();
    let blobs = || fs::read_dir(commands.place.repository().join("blobs/sha256")).unwrap().count();
    let stored = blobs();
    commands.snap(&["create", "again"]).succeeded();
    assert!(blobs() - stored < 4, "its chunks are stored again");
    commands.set(LIVE, "live file\n");
    commands.snap(&["restore", "before"]).succeeded();
    assert!(fs::read(commands.database()).expect("read") == bytes, "it is not what was saved");
}
