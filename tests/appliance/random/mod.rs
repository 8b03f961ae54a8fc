//! Random databases come back: made from seeds, saved, restored under another name and in place
//! of what was damaged, and compared value by value.
//!
//! `SNAP_TEST_CASES` says how many (200), `SNAP_TEST_SEED` which is the first. A database that
//! does not come back is taken apart until what is left is all needed, and printed.

pub(crate) mod dice;
mod text;
mod script;
mod columns;
mod case;
mod programs;
pub(crate) mod compare;
mod census;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::ops::Range;
use std::thread;

use crate::place::Place;
use crate::random::script::Script;
use crate::server::Server;

/// How many databases are made where nobody says otherwise.
const CASES: u64 = 200;

/// How many work side by side, each on a server of its own.
const WORKERS: u64 = 2;
const STEP: usize = 2;

const DATABASE: &str = "random one";
const COPY: &str = "copy of it";

/// What cannot be saved, in the words of `create`.
const REFUSALS: &[&str] = &["has more digits than", "end when they begin"];

/// How often a database that fails is made again with less in it.
const SHRINKINGS: usize = 200;

/// Of the collations of Unicode 14, of which there are hundreds, a few stand for all.
const COLLATIONS: &str = "SELECT full_collation_name
    FROM information_schema.collation_character_set_applicability
    WHERE full_collation_name NOT LIKE '%uca1400%' OR full_collation_name LIKE '%uca1400_ai_ci'
        OR full_collation_name LIKE '%uca1400_swedish_nopad_as_cs' ORDER BY 1";

#[test]
fn random_databases_come_back_value_by_value() {
    let first = number("SNAP_TEST_SEED", 1);
    let last = first + number("SNAP_TEST_CASES", CASES);
    let seen: BTreeSet<String> = thread::scope(|scope| {
        let work = |worker| move || Bench::new().try_seeds((first + worker..last).step_by(STEP));
        let workers: Vec<_> = (0..WORKERS).map(|worker| scope.spawn(work(worker))).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("a worker says by itself what failed"))
            .collect()
    });
    if last - first >= CASES {
        let missing = census::missing(&seen);
        assert!(missing.is_empty(), "no database had any of these: {missing:?}; but {seen:?}");
    }
}

/// A server, and what its databases are made of: one at a time.
struct Bench {
    place: Place,
    collations: Vec<String>,
}

impl Bench {
    fn new() -> Self {
        let place = Place::empty();
        place.save_only(DATABASE);
        let collations = place.server.sql(COLLATIONS).lines().map(str::to_owned).collect();
        Self { place, collations }
    }

    /// Tries the databases of seeds. Returns what they were made of.
    fn try_seeds(&self, seeds: impl Iterator<Item = u64>) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut failed = Vec::new();
        for seed in seeds {
            match self.try_text(&self.script(seed).text(&BTreeSet::new())) {
                Ok(found) => seen.extend(found),
                Err(why) => failed.push((seed, why)),
            }
        }
        self.report(&failed);
        seen
    }

    fn script(&self, seed: u64) -> Script {
        let collations: Vec<_> = self.collations.iter().map(String::as_str).collect();
        case::script(seed, DATABASE, &collations)
    }

    /// Fails the test where something did not come back, with the least of the first that does not.
    fn report(&self, failed: &[(u64, String)]) {
        let Some((seed, why)) = failed.first() else { return };
        let script = self.script(*seed);
        let left_out =
            shrink(script.parts(), |left_out| self.try_text(&script.text(left_out)).is_err());
        let text = script.text(&left_out);
        let least = self.try_text(&text).err().unwrap_or_default();
        panic!("seed {seed}: {why}\n\nThe least that fails:\n{text}\n{least}\n\nAll: {failed:#?}");
    }

    /// Makes a database, saves it, and restores it twice. Returns what it is made of.
    fn try_text(&self, text: &str) -> Result<BTreeSet<String>, String> {
        let server = &self.place.server;
        self.clear();
        server.try_script(text);
        let before = match compare::described(server, DATABASE) {
            Ok(before) if !before.is_empty() => before,
            // Some engines take what they do not give back.
            Err(words) if !words.contains("is marked as crashed") => return Err(words),
            _ => return Ok(BTreeSet::new()),
        };
        let mut seen = census::of(server, DATABASE);
        seen.extend(before.iter().filter(|line| *line == compare::PAST).cloned());
        if let Err(why) = self.snap(&["create", "before"]) {
            // Refused by name, before anything is written.
            let is_refusal = REFUSALS.iter().any(|reason| why.contains(reason));
            return if is_refusal { Ok(BTreeSet::new()) } else { Err(why) };
        }
        self.snap(&["restore", "before", "--database", COPY])?;
        same("a copy", &before, &compare::described(server, COPY)?)?;
        server.try_script(&damage(server, DATABASE));
        self.snap(&["restore", "before", "--force", "--full"])?;
        same("what was damaged", &before, &compare::described(server, DATABASE)?)?;
        Ok(seen)
    }

    fn snap(&self, arguments: &[&str]) -> Result<(), String> {
        let output = self.place.snap(arguments);
        if output.code == 0 { Ok(()) } else { Err(format!("{arguments:?}: {output:#?}")) }
    }

    /// Drops all that an earlier database left behind.
    fn clear(&self) {
        let drops = format!(
            "SELECT CONCAT('DROP DATABASE `', schema_name, '`;') FROM information_schema.schemata
             WHERE schema_name LIKE '{DATABASE}%' OR schema_name LIKE '{COPY}%'"
        );
        self.place.server.sql(&self.place.server.sql(&drops));
        fs::remove_dir_all(self.place.repository()).ok();
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
        let statement = match (kind, number % 4) {
            ("VIEW", _) => format!("DROP VIEW {name};"),
            ("SEQUENCE", _) => format!("DROP SEQUENCE {name};"),
            (_, 0) => format!("DROP TABLE {name};"),
            (_, 1) => format!("DELETE FROM {name};"),
            (_, 2) => format!("ALTER TABLE {name} ADD COLUMN damaged INT;"),
            (_, _) => format!("RENAME TABLE {name} TO `damaged {number}`;"),
        };
        statements.push_str(&statement);
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
pub(crate) fn number(variable: &str, default: u64) -> u64 {
    let text = env::var(variable).unwrap_or_default();
    if text.is_empty() {
        default
    } else {
        text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text:?}"))
    }
}
