//! The tools that are compared, each run with those of its options that keep most of a database.

use std::fs;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use crate::features::case::DATABASE;
use crate::place::Place;

/// A tool that saves a database and brings it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    Snap,
    Dump,
    Mydumper,
}

/// How a tool ended, and what it said of errors.
pub(super) struct Ended {
    pub(super) well: bool,
    pub(super) said: String,
}

const DUMP: &[&str] = &[
    "--single-transaction",
    "--routines",
    "--triggers",
    "--events",
    "--hex-blob",
    "--dump-history",
    "--max-allowed-packet=1G",
    "--databases",
    DATABASE,
];
const LOAD: &[&str] = &["--max-allowed-packet=1G"];
const DUMP_USERS: &[&str] = &["--system=users", "--insert-ignore"];
const MYDUMPER: &[&str] = &["--routines", "--triggers", "--events", "--database", DATABASE];

/// `snap` saves one database, and the accounts that reach it.
const PROFILE: &str = "profile = 'one'
[[profiles.one.sources]]
name = 'database'
kind = 'database'
database = 'studio'
users = true
";

impl Tool {
    pub(super) const ALL: [Self; 3] = [Self::Snap, Self::Dump, Self::Mydumper];

    /// Returns the head of its column.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Snap => "`snap`",
            Self::Dump => "`mariadb-dump`",
            Self::Mydumper => "`mydumper`",
        }
    }

    /// Returns what is typed to save and to restore, for people.
    pub(super) fn usage(self) -> String {
        let [dump, users, load, mydumper] =
            [DUMP, DUMP_USERS, LOAD, MYDUMPER].map(|options| options.join(" "));
        match self {
            Self::Snap => "snap create saved\nsnap restore saved --restore-users\n".to_owned(),
            Self::Dump => format!(
                "mariadb-dump {dump} >database.sql\nmariadb-dump {users} >users.sql\n\
                 mariadb {load} <database.sql\nmariadb {load} <users.sql\n"
            ),
            Self::Mydumper => {
                format!("mydumper {mydumper} --outputdir saved\nmyloader --directory saved\n")
            }
        }
    }

    /// Saves the database into the folder, which is made anew.
    pub(super) fn save(self, place: &Place, folder: &Path) -> Ended {
        fs::remove_dir_all(folder).ok();
        fs::create_dir(folder).expect("create a folder to save in");
        match self {
            Self::Snap => {
                fs::remove_dir_all(place.repository()).ok();
                place.configure(PROFILE);
                snap(place, &["create", "saved"])
            }
            Self::Dump => {
                let users = dump(place, DUMP_USERS, &folder.join("users.sql"));
                users.then(|| dump(place, DUMP, &folder.join("database.sql")))
            }
            Self::Mydumper => {
                let mut command = connected("mydumper", place);
                run(command.args(MYDUMPER).arg("--outputdir").arg(folder))
            }
        }
    }

    /// Restores what was saved in the folder.
    pub(super) fn restore(self, place: &Place, folder: &Path) -> Ended {
        match self {
            Self::Snap => snap(place, &["restore", "saved", "--restore-users"]),
            Self::Dump => {
                // Grants on tables need the tables.
                let database = load(place, &folder.join("database.sql"));
                database.then(|| load(place, &folder.join("users.sql")))
            }
            Self::Mydumper => run(connected("myloader", place).arg("--directory").arg(folder)),
        }
    }
}

impl Ended {
    /// Goes on where this has ended well.
    fn then(self, next: impl FnOnce() -> Self) -> Self {
        if self.well { next() } else { self }
    }
}

/// Exit code 3 is told by `snap` where something is worth a look: the comparison decides.
fn snap(place: &Place, arguments: &[&str]) -> Ended {
    let output = place.snap(arguments);
    Ended { well: [0, 3].contains(&output.code), said: output.stderr }
}

fn dump(place: &Place, options: &[&str], file: &Path) -> Ended {
    let file = File::create(file).expect("create a file to dump to");
    run(connected("mariadb-dump", place).args(options).stdout(file))
}

fn load(place: &Place, file: &Path) -> Ended {
    let file = File::open(file).expect("open a dump");
    run(connected("mariadb", place).args(LOAD).stdin(file))
}

/// Returns a program that knows the server, and no configuration of the machine.
fn connected(program: &str, place: &Place) -> Command {
    let mut command = Command::new(program);
    command.arg(format!("--defaults-file={}", place.path("my.cnf").display()));
    command.args(["--user=root"]).arg("--socket").arg(place.server.socket());
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn run(command: &mut Command) -> Ended {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stderr(Stdio::piped()).output();
    let output = output.unwrap_or_else(|error| panic!("start {program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ended { well: output.status.success(), said }
}
