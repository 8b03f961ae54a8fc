//! The table of the README that says what of MariaDB comes back by `snap`, and by what people use elsewhere.
//!
//! Every cell is from a run: a tool saves a database, the database is dropped, the tool restores it, and the
//! server is asked what differs. `SNAP_TEST_WRITE=1` writes the table into the README; else the test fails
//! where the README says otherwise.

mod case;
mod tool;
mod values;
mod shapes;
mod programs;
mod moments;
mod table;

use std::env;
use std::fs;
use std::path::Path;
use std::thread;

use crate::features::case::Case;
use crate::features::case::DATABASE;
use crate::features::table::Outcome;
use crate::features::table::Seen;
use crate::features::tool::Ended;
use crate::features::tool::Tool;
use crate::place::Place;
use crate::random::compare;
use crate::server::until;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

/// A row of 64 MB has to fit into a packet of the server that holds it, and into its log.
const OPTIONS: &[&str] = &["--max-allowed-packet=160M", "--innodb-log-file-size=768M"];

const CASES: &[&[Case]] = &[values::CASES, shapes::CASES, programs::CASES, moments::CASES];

#[test]
fn the_readme_says_what_comes_back_by_each_tool() {
    let rows = table::rows(columns());
    let written = fs::read_to_string(README).expect("read README.md");
    // Other releases of the tools may do otherwise than those that the README and the notes speak of.
    let is_comparable = is_to_write() || table::is_of_these_releases(&written);
    let tools = if is_comparable { &Tool::ALL[..] } else { &[Tool::Snap] };
    table::assert_explained(&rows, tools);
    let fresh = table::put_into(&written, &table::markdown(&rows));
    if is_to_write() {
        fs::write(README, &fresh).expect("write README.md");
    } else {
        table::assert_same(&written, &fresh);
    }
}

#[expect(clippy::disallowed_methods, reason = "a test is told by its environment what to do")]
fn is_to_write() -> bool {
    env::var("SNAP_TEST_WRITE").is_ok_and(|text| text == "1")
}

/// Returns what is seen of every case by each tool, which has a server of its own.
fn columns() -> Vec<Vec<Seen>> {
    thread::scope(|scope| {
        let columns = Tool::ALL.map(|tool| {
            scope.spawn(move || {
                let place = bench();
                CASES.iter().copied().flatten().map(|case| see(&place, case, tool)).collect()
            })
        });
        columns.map(|column| column.join().expect("a tool is tried")).into()
    })
}

/// Returns a place whose server knows local accounts alone: those of other hosts cannot log in to it, and a dump
/// of accounts fails for them.
fn bench() -> Place {
    let place = Place::with_options(OPTIONS);
    let accounts = "SELECT CONCAT('DROP USER ', QUOTE(user), '@', QUOTE(host), ';') FROM mysql.user
        WHERE host NOT IN ('localhost', '127.0.0.1', '::1', '')";
    place.server.sql(&place.server.sql(accounts));
    fs::create_dir(place.path("elsewhere")).expect("make a folder");
    place
}

/// Makes a database, saves it, drops it, restores it, and compares.
fn see(place: &Place, case: &'static Case, tool: Tool) -> Seen {
    let elsewhere = place.path("elsewhere").display().to_string();
    let script = case.script.replace("{elsewhere}", &elsewhere);
    let make = format!("CREATE DATABASE {DATABASE}; USE {DATABASE};\n{script}");
    assert_eq!(place.server.try_script(&make), "", "{}", case.name);
    let before = describe(place, case);
    let folder = place.path("saved");
    let saved = save(place, case, tool, &folder);
    tidy(place, case);
    let seen = if saved.well {
        let restored = tool.restore(place, &folder);
        let outcome = Outcome::of(&before, &describe(place, case), restored.well);
        let said = format!("{}{}", saved.said, restored.said);
        Seen { case, tool, outcome, said }
    } else {
        Seen { case, tool, outcome: Outcome::Refused, said: saved.said }
    };
    tidy(place, case);
    seen
}

/// Saves while others write, where the case says so.
fn save(place: &Place, case: &Case, tool: Tool, folder: &Path) -> Ended {
    if case.meanwhile.is_empty() {
        return tool.save(place, folder);
    }
    let mut writer = place.server.session();
    let before = place.server.sql(moments::WRITTEN);
    writer.begin(case.meanwhile);
    until("somebody writes", || place.server.sql(moments::WRITTEN) != before);
    let saved = tool.save(place, folder);
    place.server.sql(moments::STOP);
    writer.finish();
    saved
}

/// Returns all that is compared.
fn describe(place: &Place, case: &Case) -> Vec<String> {
    let mut lines = Vec::new();
    if !case.is_asked_alone {
        lines = compare::described(&place.server, DATABASE).unwrap_or_else(|why| vec![why]);
    }
    lines.extend(place.server.answer(case.asks).lines().map(str::to_owned));
    lines
}

fn tidy(place: &Place, case: &Case) {
    place.server.sql(&format!("DROP DATABASE IF EXISTS {DATABASE}; {}", case.tidies));
}
