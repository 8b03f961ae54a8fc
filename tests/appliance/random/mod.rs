//! Random databases come back: made from seeds, saved, restored under another name and in place
//! of what was damaged, and compared value by value.
//!
//! `SNAP_TEST_CASES` says how many (200), `SNAP_TEST_SEED` which is the first. A database that
//! does not come back is taken apart until what is left is all needed, and printed.

mod dice;
mod text;
mod script;
mod columns;
mod case;
mod programs;
mod compare;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::ops::Range;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;

use crate::place::Output;
use crate::place::Place;
use crate::random::script::Script;
use crate::server::Server;

/// How many databases are made where nobody says otherwise.
const CASES: u64 = 200;

/// How many work side by side.
const WORKERS: usize = 2;

/// How often a database that fails is made again with less in it.
const SHRINKINGS: usize = 200;

#[test]
fn random_databases_come_back_value_by_value() {
    let place = Place::with_options(&["--max-connections=60"]);
    let told = place.server.sql(
        "SELECT collation_name FROM information_schema.collation_character_set_applicability
         WHERE collation_name NOT LIKE '%uca1400%' ORDER BY 1",
    );
    let collations: Vec<_> = told.lines().collect();
    let first = number("SNAP_TEST_SEED", 1);
    let next = AtomicU64::new(first);
    let last = first + number("SNAP_TEST_CASES", CASES);
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (place, next, collations) = (&place, &next, &collations);
            scope.spawn(move || {
                let bench = Bench::new(place, worker, collations);
                while let Some(seed) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < last)
                {
                    if let Err(why) = bench.try_all(&bench.script(seed)) {
                        bench.report(seed, &why);
                    }
                }
            });
        }
    });
}

/// Where one worker makes databases, one at a time.
struct Bench<'a> {
    place: &'a Place,
    collations: &'a [&'a str],
    database: String,
    copy: String,
    flags: Vec<String>,
}

impl<'a> Bench<'a> {
    fn new(place: &'a Place, worker: usize, collations: &'a [&'a str]) -> Self {
        let config = place.path(&format!("{worker}.toml"));
        let database = format!("random {worker}");
        let source = format!("name = 'database'\nkind = 'database'\ndatabase = '{database}'\n");
        fs::write(&config, format!("profile = 'one'\n[[profiles.one.sources]]\n{source}"))
            .expect("write a configuration");
        let flag = |name: &str, path: &str| {
            format!("--{name}={}", place.path(&format!("{worker}.{path}")).display())
        };
        let flags =
            vec![flag("config", "toml"), flag("repository", "repository"), flag("state", "state")];
        Self { place, collations, copy: format!("copy of {worker}"), database, flags }
    }

    fn script(&self, seed: u64) -> Script {
        case::script(seed, &self.database, self.collations)
    }

    /// Fails the test with the least that does not come back.
    fn report(&self, seed: u64, why: &str) -> ! {
        let script = self.script(seed);
        let left_out =
            shrink(script.parts(), |left_out| self.try_text(&script.text(left_out)).is_err());
        let text = script.text(&left_out);
        let least = self.try_text(&text).err().unwrap_or_default();
        panic!("seed {seed}: {why}\n\nThe least that fails:\n{text}\n{least}");
    }

    fn try_all(&self, script: &Script) -> Result<(), String> {
        self.try_text(&script.text(&BTreeSet::new()))
    }

    /// Makes a database, saves it, and restores it twice.
    fn try_text(&self, text: &str) -> Result<(), String> {
        let server = &self.place.server;
        self.clear();
        server.try_script(text);
        let before = compare::described(server, &self.database);
        if before.is_empty() {
            return Ok(());
        }
        self.snap(&["create", "before"])?;
        self.snap(&["restore", "before", "--database", &self.copy])?;
        same("a copy", &before, &compare::described(server, &self.copy))?;
        server.try_script(&damage(server, &self.database));
        self.snap(&["restore", "before", "--force"])?;
        same("what was damaged", &before, &compare::described(server, &self.database))
    }

    fn snap(&self, arguments: &[&str]) -> Result<Output, String> {
        let flags = self.flags.iter().map(String::as_str);
        let output = self.place.snap(&flags.chain(arguments.iter().copied()).collect::<Vec<_>>());
        if output.code == 0 { Ok(output) } else { Err(format!("{arguments:?}: {output:#?}")) }
    }

    /// Drops the worker's databases and its repository.
    fn clear(&self) {
        let named =
            "SELECT CONCAT('DROP DATABASE `', schema_name, '`;') FROM information_schema.schemata
            WHERE schema_name LIKE '{}%'";
        for name in [&self.database, &self.copy] {
            let drops = self.place.server.sql(&named.replace("{}", name));
            self.place.server.sql(&drops);
        }
        for flag in &self.flags[1..] {
            let (_, folder) = flag.split_once('=').expect("a flag has a value");
            fs::remove_dir_all(folder).ok();
        }
    }
}

/// Returns statements that leave little as it was.
fn damage(server: &Server, database: &str) -> String {
    let objects = "SELECT CONCAT(table_type, '\\t', HEX(table_name)) FROM information_schema.tables
        WHERE table_schema = '{}' ORDER BY table_name";
    let told = server.sql(&objects.replace("{}", database));
    let mut statements = format!("USE `{database}`; SET foreign_key_checks = 0; ");
    for (line, number) in told.lines().zip(0..) {
        let (kind, name) = line.split_once('\t').expect("a line has two fields");
        let name = compare::identifier(name);
        statements.push_str(&match (kind, number % 4) {
            ("VIEW", _) => format!("DROP VIEW {name};"),
            ("SEQUENCE", _) => format!("DROP SEQUENCE {name};"),
            (_, 0) => format!("DROP TABLE {name};"),
            (_, 1) => format!("DELETE FROM {name};"),
            (_, 2) => format!("ALTER TABLE {name} ADD COLUMN damaged INT;"),
            (_, _) => format!("RENAME TABLE {name} TO `damaged {number}`;"),
        });
    }
    statements.push_str("CREATE TABLE damaged (id INT); CREATE PROCEDURE damaged() DO 1; CREATE VIEW `v 0` AS SELECT 1 AS damaged;");
    statements + &format!("ALTER DATABASE `{database}` COLLATE latin1_bin COMMENT 'damaged';")
}

/// Returns the largest set of parts that can be left out while the rest still fails.
fn shrink(parts: usize, fails: impl Fn(&BTreeSet<usize>) -> bool) -> BTreeSet<usize> {
    let mut left_out = BTreeSet::new();
    let mut tries = 0;
    let mut step = parts.div_ceil(2);
    while step > 0 {
        for start in (0..parts).step_by(step).rev() {
            let range: Range<usize> = start..parts.min(start + step);
            let more: BTreeSet<_> = left_out.iter().copied().chain(range).collect();
            if more.len() > left_out.len() && tries < SHRINKINGS {
                tries += 1;
                if fails(&more) {
                    left_out = more;
                }
            }
        }
        step /= 2;
    }
    left_out
}

fn same(what: &str, before: &[String], after: &[String]) -> Result<(), String> {
    if before == after {
        return Ok(());
    }
    let differing = before.iter().zip(after).find(|(old, new)| old != new);
    Err(match differing {
        Some((old, new)) => format!("{what} differs:\n{old}\n{new}"),
        None => format!("{what} has {} lines of {}", after.len(), before.len()),
    })
}

#[expect(clippy::disallowed_methods, reason = "a test is told by its environment how long to run")]
fn number(variable: &str, default: u64) -> u64 {
    let text = env::var(variable).unwrap_or_default();
    if text.is_empty() {
        default
    } else {
        text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text:?}"))
    }
}
