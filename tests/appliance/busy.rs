//! A `create` beside the work of others: at a rate, paused while the server is busy, and ended by those
//! who end what runs for long.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::process::Child;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

use crate::place::Place;
use crate::restore_failures::finished;
use crate::server::until;
use crate::session::Session;
use crate::stopped::has_ended;
use crate::stopped::listed;

/// Rows of 3 MB in all.
const ROWS: &str = "CREATE DATABASE centreon_studio; USE centreon_studio;
    CREATE TABLE t (id INT PRIMARY KEY, filler VARCHAR(1000) NOT NULL);
    INSERT INTO t SELECT seq, REPEAT('x', 1000) FROM seq_1_to_3000;";

/// Returns a place whose database has 3 MB of rows, and nothing beside it.
fn filled() -> Place {
    let place = Place::empty();
    place.server.sql(ROWS);
    place.save_database_only();
    place
}

impl Place {
    /// Makes the database all that the profile names.
    fn save_database_only(&self) {
        let source = "name = 'database'\nkind = 'database'\ndatabase = 'centreon_studio'\n";
        self.configure(&format!("[[profiles.studio.sources]]\n{source}"));
    }
}

/// Keeps so many threads of the server running until they are dropped.
fn busy(place: &Place, threads: usize) -> Vec<Session> {
    let mut sessions: Vec<Session> = (0..threads).map(|_| place.server.session()).collect();
    for session in &mut sessions {
        session.begin("DO SLEEP(1000)");
    }
    place.wait_for(&format!(
        "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'DO SLEEP%' HAVING COUNT(*) >= {threads}"
    ));
    sessions
}

/// Returns a create that talks of all it does, once it pauses.
fn paused(place: &Place, arguments: &[&str]) -> (Child, BufReader<impl Read + use<>>) {
    let mut command = place.command(&[&["create", "-v"], arguments].concat());
    let mut create =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start snap");
    let mut talk = BufReader::new(create.stderr.take().expect("its talk is piped"));
    let mut line = String::new();
    while !line.starts_with("paused: ") {
        line.clear();
        assert!(talk.read_line(&mut line).expect("read the talk") > 0, "it ended without a pause");
    }
    (create, talk)
}

fn stages(json: &str) -> Vec<(String, f64, u64)> {
    let answer: Value = serde_json::from_str(json).expect("one object");
    let stage = |stage: &Value| {
        let name = stage["stage"].as_str().expect("a name").to_owned();
        let seconds = stage["seconds"].as_f64().expect("seconds");
        (name, seconds, stage["bytes"].as_u64().expect("bytes"))
    };
    answer["stages"].as_array().expect("stages").iter().map(stage).collect()
}

fn names(stages: &[(String, f64, u64)]) -> Vec<&str> {
    stages.iter().map(|(name, ..)| name.as_str()).collect()
}

#[test]
fn a_rate_bounds_what_create_and_restore_move_in_a_second() {
    let place = filled();
    let rate = ["--max-rate", "2M"];
    let began = Instant::now();
    place.snap(&[&["create", "slow"], &rate[..]].concat()).succeeded();
    let create = began.elapsed();
    // Two connections share the rate; a tenth of a second is given.
    let least = Duration::from_millis(1300);
    assert!(create >= least, "{create:?}");
    let began = Instant::now();
    let arguments = ["restore", "slow", "--full", "--force", "--no-safety-snapshot"];
    place.snap(&[&arguments[..], &rate].concat()).succeeded();
    // In, and back to be proven.
    let restore = began.elapsed();
    assert!(restore >= 2 * least, "{restore:?}");
    place.configure("max-rate = '1K'");
    let refused = place.snap(&["create", "x"]);
    assert_eq!(refused.code, 2, "{refused:#?}");
}

#[test]
fn a_create_pauses_while_others_keep_the_server_busy_and_keeps_its_moment() {
    let place = filled();
    let sessions = busy(&place, 3);
    let limit = ["a", "--max-threads-running", "2"];
    let (create, mut talk) = paused(&place, &limit);
    // The moment was before the pause, and stays.
    place.server.sql("UPDATE centreon_studio.t SET filler = 'later'");
    drop(sessions);
    let kill = "SELECT GROUP_CONCAT('KILL ', id SEPARATOR ';') FROM information_schema.processlist
                WHERE info LIKE 'DO SLEEP%'";
    place.server.try_sql(place.server.sql(kill).trim()).ok();
    let mut said = String::new();
    talk.read_to_string(&mut said).expect("read the talk");
    let created = finished(create);
    assert_eq!(created.code, 0, "{said}");
    for words in ["reading goes on", "note: paused for ", "\npaused "] {
        assert!(said.contains(words), "{words}: {said}");
    }
    place.snap(&["restore", "a", "--force", "--no-safety-snapshot"]).succeeded();
    let later = "SELECT COUNT(*) FROM centreon_studio.t WHERE filler = 'later'";
    assert_eq!(place.server.sql(later).trim(), "0");
}

#[test]
fn threads_of_its_own_keep_no_create_waiting() {
    let place = filled();
    place.snap(&["create", "a", "--max-threads-running", "1", "--connections", "4"]).succeeded();
}

#[test]
fn each_stage_of_a_create_and_of_a_restore_has_its_seconds_and_its_bytes() {
    let place = filled();
    let created = place.snap(&["create", "a", "-v", "--json"]);
    let created = stages(created.succeeded());
    let expected = ["moment", "reading", "hashing", "compressing", "writing", "catalog"];
    assert_eq!(names(&created), expected);
    let bytes = |name: &str| created.iter().find(|(stage, ..)| stage == name).map(|it| it.2);
    assert!((3_000_000..3_100_000).contains(&bytes("reading").unwrap_or_default()), "{created:?}");
    assert!(bytes("hashing") > bytes("reading"), "with schema and index: {created:?}");
    place.server.sql("DROP TABLE centreon_studio.t");
    let restored = place.snap(&["restore", "a", "-v", "--force", "--no-safety-snapshot"]);
    restored.succeeded();
    for stage in ["STAGE ", "preflight ", "loading ", "verifying ", "swap "] {
        assert!(restored.stderr.lines().any(|line| line.starts_with(stage)), "{restored:#?}");
    }
    let silent = place.snap(&["create", "b"]);
    assert!(!silent.stderr.contains("STAGE"), "{silent:#?}");
}

/// Ends the reading of rows as `pt-kill` does, again and again, until the process has ended.
fn kill_queries(place: &Place, create: &mut Child) {
    let find = "SELECT GROUP_CONCAT('KILL QUERY ', id SEPARATOR ';')
                FROM information_schema.processlist WHERE info LIKE 'SELECT%`filler`%`t`%' AND id <> CONNECTION_ID()";
    until("the create has ended", || {
        let kill = place.server.sql(find);
        if kill.trim() != "NULL" {
            // It may have ended by itself.
            place.server.try_sql(kill.trim()).ok();
        }
        has_ended(create)
    });
}

#[test]
fn a_create_whose_queries_are_killed_says_who_may_do_so_and_lists_nothing() {
    let place = filled();
    let mut create = place.start(&["create", "a", "--max-rate", "256K"]);
    kill_queries(&place, &mut create);
    let output = finished(create);
    assert_eq!(output.code, 1, "{output:#?}");
    for words in ["KILL QUERY", "pt-kill", "cannot read table \"t\""] {
        assert!(output.stderr.contains(words), "{words}: {output:#?}");
    }
    assert!(listed(&place).is_empty());
}

#[test]
fn timeouts_of_a_server_that_ends_what_is_idle_or_long_end_no_create() {
    let place = Place::with_options(&[
        "--max-statement-time=0.2",
        "--wait-timeout=1",
        "--net-write-timeout=1",
        "--net-read-timeout=1",
        "--idle-transaction-timeout=1",
        "--idle-readonly-transaction-timeout=1",
        "--idle-write-transaction-timeout=1",
    ]);
    // Of the account too, which no setting of the server's changes.
    place.server.sql(&format!(
        "SET max_statement_time = 0; {ROWS}
         CREATE USER brief@localhost WITH MAX_STATEMENT_TIME 0.1;
         GRANT ALL ON *.* TO brief@localhost WITH GRANT OPTION"
    ));
    let as_brief = ["--user", "brief", "--max-rate", "2M"];
    place.save_database_only();
    place.snap(&[&["create", "a"], &as_brief[..]].concat()).succeeded();
    let arguments = ["restore", "a", "--full", "--force", "--no-safety-snapshot"];
    place.snap(&[&arguments[..], &as_brief].concat()).succeeded();
}
