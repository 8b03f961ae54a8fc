//! What there is to do for the loaders of a staging, and who does it.
//!
//! Rows of a table go in by any number of hands, and so do its parts come back; its indexes are built by
//! one. All are done soonest where nobody is left with a long table in the end: whoever is free goes on with
//! the table that has the longest way before it, which a hand more makes shorter for as long as rows go in.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use tokio::sync::watch;

use crate::snapshot::restore::job::Job;
use crate::source::mariadb::load::Part;
use crate::source::mariadb::proof::Filled;
use crate::source::mariadb::proof::ReadBack;
use crate::source::mariadb::staging::Filling;

/// What an entry of an index takes, as bytes of rows that are loaded meanwhile: 0.8 µs, where a byte takes
/// 26 ns (MariaDB 10.11, the tables of `benches/studio.sql`).
const INDEX_ENTRY: u64 = 30;

/// How many bytes are read back while one is loaded.
const READ_BACK: u64 = 7;

/// Where a loader takes the chunks of a table from: each has neighbours of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    First,
    Last,
}

/// What there is to do next.
pub(super) enum Task {
    /// Load chunks of a table from one of its ends.
    Load(Arc<Job>, End),
    /// Build the indexes of a table that is full.
    Index(Arc<Job>),
    /// Read a part of a table back.
    ReadBack(Arc<Job>, Part),
    /// Wait until others have found something to do.
    Wait,
    /// Nothing more.
    Rest,
}

/// How far a table is.
struct Table {
    job: Arc<Job>,
    /// The entries of its indexes.
    entries: u64,
    /// Whether several loaders may fill it.
    is_shared: bool,
    state: State,
    /// How many loaders are at work on it.
    hands: usize,
    filled: Filled,
    back: ReadBack,
}

/// What is left to do of a table.
enum State {
    /// Everything.
    Untouched,
    /// To load the chunks that nobody has taken yet.
    Filling(Range<usize>),
    /// To build its indexes.
    Full,
    /// To read the parts back that nobody has taken yet; none before the indexes are built.
    Proving(VecDeque<Part>),
}

impl Table {
    fn new(job: Job, filling: Filling) -> Self {
        Self {
            entries: job.expected.digest.rows().saturating_mul(filling.indexes as u64),
            // Rows without an order of their own lie as they come: in the order of one hand.
            is_shared: filling.has_neighbours && job.has_order(),
            state: State::Untouched,
            hands: 0,
            filled: Filled::nothing_of(&job.expected),
            back: ReadBack::default(),
            job: Arc::new(job),
        }
    }

    /// Returns whether there is something to do for one more hand.
    fn is_open(&self) -> bool {
        match &self.state {
            State::Untouched | State::Full => true,
            State::Filling(chunks) => !chunks.is_empty() && self.is_shared,
            State::Proving(parts) => !parts.is_empty(),
        }
    }

    /// Returns the way that is before the table with one more hand, as bytes that are loaded meanwhile.
    fn way(&self) -> u64 {
        let bytes = self.job.expected.raw_bytes;
        let hands = self.hands as u64 + 1;
        let indexing = self.entries.saturating_mul(INDEX_ENTRY);
        let proving = bytes / READ_BACK;
        let loading = |chunks: usize| {
            let all = self.job.chunks.len().max(1) as u64;
            bytes / all * chunks as u64 / hands
        };
        match &self.state {
            State::Untouched => bytes.saturating_add(indexing).saturating_add(proving),
            State::Filling(chunks) => {
                loading(chunks.len()).saturating_add(indexing).saturating_add(proving)
            }
            State::Full => indexing.saturating_add(proving),
            State::Proving(_) => proving / hands,
        }
    }

    /// Takes the next task of a table that is open.
    fn take(&mut self) -> Task {
        let job = Arc::clone(&self.job);
        self.hands += 1;
        match &mut self.state {
            State::Untouched => {
                self.state = State::Filling(0..job.chunks.len());
                Task::Load(job, End::First)
            }
            State::Filling(_) => Task::Load(job, End::Last),
            State::Full => {
                self.state = State::Proving(VecDeque::new());
                Task::Index(job)
            }
            State::Proving(parts) => {
                let part = parts.pop_front().expect("it is open");
                Task::ReadBack(job, part)
            }
        }
    }

    /// Returns whether all parts are read back, or are being read back by one last hand.
    fn is_last_hand(&self) -> bool {
        self.hands == 1 && matches!(&self.state, State::Proving(parts) if parts.is_empty())
    }
}

/// Where loaders take their tasks from.
pub(super) struct Desk {
    tables: Mutex<Vec<Table>>,
    changed: watch::Sender<()>,
}

impl Desk {
    /// Returns a desk with these jobs, of tables that are to be filled so.
    pub(super) fn new(mut jobs: Vec<Job>, filling: impl Fn(&Job) -> Filling) -> Self {
        jobs.sort_by_key(|job| std::cmp::Reverse(job.expected.raw_bytes));
        let table = |job: Job| {
            let filling = filling(&job);
            Table::new(job, filling)
        };
        let tables = Mutex::new(jobs.into_iter().map(table).collect());
        Self { tables, changed: watch::Sender::new(()) }
    }

    /// Returns what there is to do for a loader that is at work on no table.
    pub(super) fn next(&self) -> Task {
        let mut tables = self.lock();
        // Of equal ways the first one is taken.
        let open = tables.iter_mut().rev().filter(|table| table.is_open());
        if let Some(table) = open.max_by_key(|table| table.way()) {
            return table.take();
        }
        if tables.iter().any(|table| table.hands > 0) { Task::Wait } else { Task::Rest }
    }

    /// Returns what changes whenever there may be something else to do.
    pub(super) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Returns the next chunk of a table for a loader that is at work on it.
    pub(super) fn take_chunk(&self, job: &Job, end: End) -> Option<usize> {
        self.with(job, |table| match (&mut table.state, end) {
            (State::Filling(chunks), End::First) => chunks.next(),
            (State::Filling(chunks), End::Last) => chunks.next_back(),
            _ => None,
        })
    }

    /// Returns what went into a table so far.
    pub(super) fn filled(&self, job: &Job) -> Filled {
        self.with(job, |table| table.filled)
    }

    /// Adds a chunk that went into a table.
    pub(super) fn add(&self, job: &Job, filled: &Filled) {
        self.with(job, |table| table.filled.merge(filled));
    }

    /// Leaves a table of which no chunk is left: it is full when the last one leaves.
    pub(super) fn leave_full(&self, job: &Job) {
        self.with(job, |table| {
            table.hands -= 1;
            if table.hands == 0 {
                table.state = State::Full;
            }
        });
    }

    /// Adds what a loader has read back, which leaves the table; returns all of it where it was the last
    /// one, and goes on with the table.
    pub(super) fn add_back(&self, job: &Job, back: &ReadBack) -> Option<ReadBack> {
        self.with(job, |table| {
            table.back.merge(back);
            let is_last = table.is_last_hand();
            table.hands -= usize::from(!is_last);
            is_last.then_some(table.back)
        })
    }

    /// Leaves a table that is indexed to all who read its parts back; one that is proven has none.
    pub(super) fn leave(&self, job: &Job, parts: Vec<Part>) {
        self.with(job, |table| {
            table.state = State::Proving(parts.into());
            table.hands -= 1;
        });
    }

    fn with<T>(&self, job: &Job, change: impl FnOnce(&mut Table) -> T) -> T {
        let mut tables = self.lock();
        let table = tables.iter_mut().find(|table| table.job.position == job.position);
        let changed = change(table.expect("jobs are of tables of this desk"));
        drop(tables);
        self.changed.send_replace(());
        changed
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Table>> {
        self.tables.lock().expect("no loader panics while it takes a task")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::*;
    use crate::base::digest::RowsDigest;
    use crate::repository::catalog::BlobRef;
    use crate::repository::catalog::Chunk;
    use crate::source::mariadb::proof::Expected;

    const PLAIN: Filling = Filling { indexes: 0, has_neighbours: true };

    /// Returns a job of so many chunks, which begin at keys or lie as they come.
    fn job(position: usize, chunks: u64, is_ordered: bool) -> Job {
        let (digest, raw_digest) = (String::new(), String::new());
        let blob = BlobRef { digest, size: 1, raw_digest, raw_bytes: 1, base: None };
        let chunk = |number: u64| Chunk {
            blob: blob.clone(),
            rows: 1,
            from: if number > 0 && is_ordered { json!([number.to_string()]) } else { Value::Null },
            noted: Value::Null,
        };
        let expected = Expected {
            digest: RowsDigest::parse(&format!("sum128-xxh3:{:032x}", 0), 100).unwrap(),
            current_rows: None,
            generated_digest: None,
            raw_bytes: chunks * 7_000,
        };
        Job::new(position, (0..chunks).map(chunk).collect(), expected)
    }

    fn load(desk: &Desk) -> (Arc<Job>, End) {
        match desk.next() {
            Task::Load(job, end) => (job, end),
            _ => panic!("there is nothing to load"),
        }
    }

    /// Loads what is left of the job from that end.
    fn load_all(desk: &Desk, job: &Job, end: End) {
        while desk.take_chunk(job, end).is_some() {}
        desk.leave_full(job);
    }

    fn index(desk: &Desk) -> Arc<Job> {
        match desk.next() {
            Task::Index(job) => job,
            _ => panic!("there is nothing to index"),
        }
    }

    #[test]
    fn a_free_hand_goes_where_the_way_is_longest() {
        let desk = Desk::new(vec![job(0, 1, true), job(1, 6, true), job(2, 8, true)], |_| PLAIN);
        let (long, other, shared, last) = (load(&desk), load(&desk), load(&desk), load(&desk));
        assert_eq!((long.0.position, long.1), (2, End::First), "the longest comes first");
        assert_eq!((other.0.position, other.1), (1, End::First), "half of the longest is less");
        assert_eq!((shared.0.position, shared.1), (2, End::Last), "half of it is longest now");
        assert_eq!(
            (last.0.position, last.1),
            (1, End::Last),
            "a third of it is less than half of the other"
        );
        assert_eq!(desk.take_chunk(&long.0, End::First), Some(0));
        assert_eq!(desk.take_chunk(&shared.0, End::Last), Some(7));
    }

    #[test]
    fn a_table_is_full_when_the_last_hand_leaves_it_and_proven_when_all_parts_are() {
        let desk = Desk::new(vec![job(0, 4, true)], |_| Filling { indexes: 1, ..PLAIN });
        let (first, last) = (load(&desk), load(&desk));
        load_all(&desk, &first.0, End::First);
        assert!(matches!(desk.next(), Task::Wait), "somebody loads a chunk of it");
        load_all(&desk, &last.0, End::Last);
        let full = index(&desk);
        assert!(matches!(desk.next(), Task::Wait), "what comes next is not known yet");
        desk.leave(&full, Vec::new());
        assert!(matches!(desk.next(), Task::Rest));
    }

    #[test]
    fn indexes_wait_while_another_table_has_a_longer_way() {
        for (indexes, waits) in [(0, true), (6, true), (7, false)] {
            let filling = |job: &Job| match job.position {
                0 => Filling { indexes, ..PLAIN },
                _ => PLAIN,
            };
            let desk = Desk::new(vec![job(0, 4, true), job(1, 5, true)], filling);
            let (one, other) = (load(&desk), load(&desk));
            let (full, filling) = if one.0.position == 0 { (one, other) } else { (other, one) };
            assert_eq!(filling.0.position, 1);
            load_all(&desk, &full.0, End::First);
            match desk.next() {
                Task::Load(job, End::Last) => assert!(waits && job.position == 1, "{indexes}"),
                Task::Index(job) => assert!(!waits && job.position == 0, "{indexes}"),
                _ => panic!("there is something to do"),
            }
        }
    }

    #[test]
    fn an_empty_table_is_begun_too() {
        let desk = Desk::new(vec![job(0, 0, false)], |_| PLAIN);
        let (empty, end) = load(&desk);
        assert_eq!(desk.take_chunk(&empty, end), None);
        desk.leave_full(&empty);
        assert_eq!(index(&desk).position, 0);
    }

    #[test]
    fn rows_without_an_order_of_their_own_or_neighbours_are_loaded_by_one_hand() {
        let lonely = Filling { has_neighbours: false, ..PLAIN };
        for (job, filling) in [(job(0, 4, false), PLAIN), (job(0, 4, true), lonely)] {
            let desk = Desk::new(vec![job], |_| filling);
            let (alone, _) = load(&desk);
            assert_eq!(desk.take_chunk(&alone, End::First), Some(0));
            assert!(matches!(desk.next(), Task::Wait));
        }
    }
}
