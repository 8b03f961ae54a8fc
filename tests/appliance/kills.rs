//! `snap restore` killed at random times: what is live is old or new, whole, and the next command
//! makes the rest whole.
//!
//! `SNAP_TEST_LONG` kills five times as often; `SNAP_TEST_SEED` repeats a run.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::env;
use std::fmt::Debug;
use std::fs;
use std::process::Child;
use std::thread;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use rustix::process::Signal;

use crate::aim::Aim;
use crate::place::CERTIFICATES;
use crate::place::Output;
use crate::place::Place;
use crate::place::SECURITY_FILE;
use crate::random::dice::Dice;
use crate::random::number;
use crate::restore_failures::finished;
use crate::stopped::has_ended;
use crate::stopped::listed;
use crate::stopped::signal;
use crate::tally;
use crate::tree;

/// How many restores are killed; five times as many in a long run.
const KILLS: usize = 20;

/// How many times as many are killed where none came in time for each phase.
pub(crate) const PATIENCE: usize = 5;

/// How long after the swap began half of the kills come at most, at first: about as long as it takes.
pub(crate) const SWAP: Duration = Duration::from_millis(500);

/// Tables that make a restore take a second or two, one of them held by the other.
const BULK: &str = "
    USE centreon_studio;
    CREATE TABLE bulk (id INT PRIMARY KEY, note VARCHAR(300), number INT, KEY (number), KEY (note));
    INSERT INTO bulk SELECT seq, REPEAT(SHA1(seq), 5), seq * 7 MOD 1000 FROM seq_1_to_20000;
    CREATE TABLE bulk_detail (id INT PRIMARY KEY, bulk INT, note VARCHAR(300), FOREIGN KEY (bulk) REFERENCES bulk (id));
    INSERT INTO bulk_detail SELECT id, id, note FROM bulk;";

/// What else a failed upgrade does to them.
const UPGRADE: &str = "
    USE centreon_studio; UPDATE bulk SET number = number + 1; UPDATE bulk_detail SET note = MD5(id);
    CREATE TRIGGER bulk_upgraded BEFORE INSERT ON bulk FOR EACH ROW SET NEW.number = 0;";

/// How far a restore had come when it was killed, as its traces tell from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Planning,
    Staging,
    Swap,
    Ended,
}

/// All that a restore may replace, as others than `snap` read it.
#[derive(PartialEq)]
pub(crate) struct Live {
    dump: String,
    files: Files,
}

/// The file trees, each of which is swapped at once.
#[derive(PartialEq)]
struct Files {
    certificates: String,
    security_file: String,
}

/// A studio with the snapshots `before` and `upgraded`, which differ in everything; each round
/// restores the one that is not live.
pub(crate) struct Studio {
    pub(crate) place: Place,
    pub(crate) live: [Live; 2],
    tables: [String; 2],
    /// Which of the snapshots is live.
    pub(crate) current: usize,
    /// The phases that kills landed in.
    phases: BTreeMap<Phase, usize>,
    pub(crate) seed: u64,
    pub(crate) dice: Dice,
}

pub(crate) const IDS: [&str; 2] = ["before", "upgraded"];

/// Returns how many times to do something that a long run does five times as often.
pub(crate) fn times(usual: usize) -> usize {
    if env::var_os("SNAP_TEST_LONG").is_some_and(|value| value != "0") { usual * 5 } else { usual }
}

impl Studio {
    /// Returns a studio whose server has these options, and in which these statements were run first.
    pub(crate) fn new(options: &[&str], statements: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        let seed = number("SNAP_TEST_SEED", u64::from(now.subsec_nanos()));
        tally::say(&format!("SNAP_TEST_SEED={seed} throws the same dice"));
        let place = Place::with_options(options);
        place.server.load_fixture();
        place.make_certificates();
        place.make_security_file();
        place.server.sql(BULK);
        place.server.sql(statements);
        let read = |place: &Place| (Live::of(place), tables(place));
        place.snap(&["create", IDS[0]]).succeeded();
        let before = read(&place);
        place.upgrade_badly();
        place.server.sql(UPGRADE);
        place.snap(&["create", IDS[1]]).succeeded();
        let upgraded = read(&place);
        Self {
            place,
            live: [before.0, upgraded.0],
            tables: [before.1, upgraded.1],
            current: 1,
            phases: BTreeMap::new(),
            seed,
            dice: Dice::new(seed),
        }
    }

    /// Waits for a time that chance chooses.
    pub(crate) fn wait(&mut self, aim: &Aim) {
        let micros = usize::try_from(aim.most().as_micros()).expect("a short time");
        thread::sleep(Duration::from_micros(self.dice.below(micros.max(1)) as u64));
    }

    /// Starts the restore of the snapshot that is not live.
    pub(crate) fn start_restore(&self) -> Child {
        self.place.start(&restore(IDS[1 - self.current]))
    }

    /// Restores the one that is not live; returns how long it took.
    pub(crate) fn restore_whole(&mut self) -> Duration {
        let started = Instant::now();
        self.place.snap(&restore(IDS[1 - self.current])).succeeded();
        self.current = 1 - self.current;
        started.elapsed()
    }

    /// Returns the schemas and paths beside what is live.
    pub(crate) fn previous_schemas(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.place.server.databases()).expect("list the databases");
        let names = entries
            .map(|entry| entry.expect("read a name").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.contains("__snap_previous_")).collect()
    }

    /// Waits until the swap of a restore begins, or until it has ended.
    pub(crate) fn wait_for_swap(&self, restore: &mut Child, earlier: &BTreeSet<String>) {
        while self.previous_schemas().is_subset(earlier) && !has_ended(restore) {
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// Returns whether a kill landed in each of these phases.
    pub(crate) fn has_met(&self, phases: &[Phase]) -> bool {
        phases.iter().all(|phase| self.phases.contains_key(phase))
    }

    /// Checks all that must hold at once after a kill: each part of what is live is whole, old or
    /// new; the snapshots are there. `earlier` is what lay beside before.
    #[track_caller]
    pub(crate) fn check_at_once(&mut self, output: &Output, earlier: &BTreeSet<String>) -> Phase {
        let (old, new) = (&self.live[self.current], &self.live[1 - self.current]);
        let files = Files::of(&self.place);
        let one_of = |what: &str, part: fn(&Files) -> &String| {
            let is_one = [old, new].iter().any(|state| part(&state.files) == part(&files));
            assert!(is_one, "{what}: neither old nor new:\n{}", part(&files));
        };
        one_of("certificates", |files| &files.certificates);
        one_of("security file", |files| &files.security_file);
        let beside = self.place.beside();
        let is_swapping = !self.previous_schemas().is_subset(earlier);
        let phase = if output.code == 0 {
            assert!(
                Live::of(&self.place) == *new,
                "it says that all is done, and it is not: {output:#?}"
            );
            Phase::Ended
        } else if is_swapping {
            // One statement moves the tables, and the programs follow: views may be broken here.
            let tables = tables(&self.place);
            assert!(self.tables.contains(&tables), "tables of two states: {beside:?}");
            Phase::Swap
        } else {
            assert!(
                Live::of(&self.place) == *old,
                "something was touched before the swap: {output:#?}"
            );
            let is_staging = beside.iter().any(|name| name.contains("staging"));
            if is_staging { Phase::Staging } else { Phase::Planning }
        };
        *self.phases.entry(phase).or_default() += 1;
        let listed = listed(&self.place);
        assert!(IDS.iter().all(|id| listed.iter().any(|listed| listed == id)), "{listed:?}");
        self.place.snap(&["verify", "--read-data"]).succeeded();
        phase
    }

    /// Lets the next command end what a kill left, and checks that all is of one state then; and
    /// that the restore that was wanted comes to its end, and leaves nothing of staging.
    #[track_caller]
    pub(crate) fn check_after_next(&mut self) {
        let resumed = finish(&self.place);
        let live = Live::of(&self.place);
        let state = self.live.iter().position(|state| *state == live);
        let state = state.unwrap_or_else(|| {
            let [old, new] = [self.current, 1 - self.current].map(|it| live.but(&self.live[it]));
            panic!("after the next command it is of two states; not old:\n{old}\nnot new:\n{new}")
        });
        if state == self.current {
            self.restore_whole();
            assert!(Live::of(&self.place) == self.live[self.current], "it is not what was saved");
        } else {
            self.current = state;
        }
        let beside = self.place.beside();
        let is_clear = beside.iter().all(|name| name.contains("previous"));
        assert!(is_clear, "{beside:?} is left after {resumed:#?}");
    }

    /// Tells what was killed and when.
    pub(crate) fn tell(&self, of: &str) {
        let phases = self.phases.iter().map(|(phase, count)| format!("{count} in {phase:?}"));
        let phases = phases.collect::<Vec<_>>().join(", ").to_lowercase();
        let count = self.phases.values().sum();
        tally::tell(count, "kills", &format!("of {of}: {phases} (SNAP_TEST_SEED={})", self.seed));
    }
}

impl Live {
    /// Returns the lines that another one does not have.
    fn but(&self, other: &Self) -> String {
        let text = |live: &Self| {
            format!("{}{}{}", live.dump, live.files.certificates, live.files.security_file)
        };
        let there = text(other);
        let there: BTreeSet<&str> = there.lines().collect();
        let own = text(self);
        let lines = own.lines().filter(|line| !there.contains(line)).take(20);
        lines.map(|line| format!("{line:.300}")).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn of(place: &Place) -> Self {
        Self { dump: place.server.dump("centreon_studio"), files: Files::of(place) }
    }
}

impl Files {
    fn of(place: &Place) -> Self {
        let describe = |path: &str| tree::describe(&place.root().join(path));
        Self { certificates: describe(CERTIFICATES), security_file: describe(SECURITY_FILE) }
    }
}

/// Returns all rows of all tables of the live database, as `mariadb-dump` sees them.
fn tables(place: &Place) -> String {
    let names = place.server.sql(
        "SELECT table_name FROM information_schema.tables
         WHERE table_schema = 'centreon_studio' AND table_type = 'BASE TABLE' ORDER BY 1",
    );
    place.server.dump_rows("centreon_studio", names.lines())
}

/// Returns the arguments that restore all of a snapshot.
fn restore(id: &str) -> [&str; 4] {
    ["restore", id, "--force", "--restore-certificates"]
}

/// Runs the command that comes next after a restore was killed.
#[track_caller]
fn finish(place: &Place) -> Output {
    let output = place.snap(&["restore", "--resume"]);
    output.succeeded();
    output
}

#[test]
fn a_restore_killed_at_any_time_leaves_each_part_whole_and_the_next_command_all_of_one_state() {
    let mut studio = Studio::new(&[], "DO 0");
    studio.restore_whole();
    let mut aims = [Aim::new(studio.restore_whole()), Aim::new(SWAP)];
    let mut round = 0;
    while round < times(KILLS) || !studio.has_met(&[Phase::Staging, Phase::Swap]) {
        let seed = studio.seed;
        assert!(round < PATIENCE * times(KILLS), "{:?} (SNAP_TEST_SEED={seed})", studio.phases);
        let earlier = studio.previous_schemas();
        let mut restore = studio.start_restore();
        if round % 2 == 1 {
            studio.wait_for_swap(&mut restore, &earlier);
        }
        studio.wait(&aims[round % 2]);
        signal(&mut restore, Signal::KILL);
        let output = finished(restore);
        studio.place.wait_until_alone();
        let phase = studio.check_at_once(&output, &earlier);
        aims[round % 2].learn(phase == Phase::Ended);
        studio.check_after_next();
        round += 1;
    }
    studio.tell("snap restore");
}
