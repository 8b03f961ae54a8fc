//! Where loaders take their tasks from: which table and which of its chunks comes next, and who is at
//! work on what.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::Mutex;

use tokio::sync::watch;

use crate::repository::catalog::Chunk;
use crate::source::mariadb::load::Part;
use crate::source::mariadb::proof::Expected;
use crate::source::mariadb::proof::Filled;
use crate::source::mariadb::proof::ReadBack;
use crate::source::mariadb::range::KnownChunk;

/// The raw bytes of the smallest table that is filled in one transaction: a tenth of a second is spared.
const WORTH_A_TRANSACTION: u64 = 64 << 20;

/// A table that is to be filled.
pub(super) struct Job {
    pub(super) position: usize,
    pub(super) chunks: Vec<Chunk>,
    pub(super) expected: Expected,
}

impl Job {
    /// Returns the job of the table at a position.
    pub(super) const fn new(position: usize, chunks: Vec<Chunk>, expected: Expected) -> Self {
        Self { position, chunks, expected }
    }

    /// Returns how much there is to do: every byte goes in once, and comes back once to be proven.
    pub(super) const fn bytes(&self) -> u64 {
        self.expected.raw_bytes * 2
    }

    /// Returns whether its rows have an order of their own, whatever order they come in: others lie as they
    /// come, and would be other chunks for the next snapshot.
    fn has_order(&self) -> bool {
        self.chunks.last().is_some_and(|chunk| !chunk.from.is_null())
    }

    /// Returns whether it takes less time to fill it in one transaction than what belongs to that takes,
    /// which is some statements; a single chunk has a transaction of its own anyway.
    const fn is_worth_a_transaction(&self) -> bool {
        self.chunks.len() > 1 && self.expected.raw_bytes >= WORTH_A_TRANSACTION
    }

    /// Returns its chunks as they tell in which parts it is read back.
    pub(super) fn known(&self) -> Vec<KnownChunk> {
        let known = |Chunk { blob, from, .. }: &Chunk| KnownChunk {
            from: from.clone(),
            raw_bytes: blob.raw_bytes,
            content: None,
        };
        self.chunks.iter().map(known).collect()
    }
}

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
    /// Read a part of a table back.
    ReadBack(Arc<Job>, Part),
    /// Wait until others have found something to do.
    Wait,
    /// Nothing more.
    Rest,
}

/// Whether one loader fills a table in one transaction, to which nobody else can add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alone {
    No,
    Yes,
    /// Others wait for it to end.
    Awaited,
}

/// How far a table is.
struct Table {
    job: Arc<Job>,
    /// The chunks that nobody has taken yet.
    chunks: Range<usize>,
    /// The parts that nobody has taken yet; none before the indexes are built.
    parts: VecDeque<Part>,
    /// How many loaders are at work on it.
    hands: usize,
    /// Whether several may be.
    is_shared: bool,
    is_begun: bool,
    alone: Alone,
    /// How many of its first chunks have been told of.
    told: usize,
    filled: Filled,
    back: ReadBack,
}

/// Where loaders take their tasks from.
pub(super) struct Desk {
    tables: Mutex<Vec<Table>>,
    pub(super) changed: watch::Sender<()>,
}

impl Desk {
    /// Returns a desk with these jobs; some of their tables take several loaders at once.
    pub(super) fn new(mut jobs: Vec<Job>, takes_several: impl Fn(&Job) -> bool) -> Self {
        jobs.sort_by_key(|job| std::cmp::Reverse(job.expected.raw_bytes));
        let table = |job: Job| Table {
            chunks: 0..job.chunks.len(),
            parts: VecDeque::new(),
            hands: 0,
            is_shared: job.has_order() && takes_several(&job),
            is_begun: false,
            alone: Alone::No,
            told: 0,
            filled: Filled::nothing_of(&job.expected),
            back: ReadBack::default(),
            job: Arc::new(job),
        };
        let tables = Mutex::new(jobs.into_iter().map(table).collect());
        Self { tables, changed: watch::Sender::new(()) }
    }

    /// Returns what there is to do for a loader that is at work on no table: what is nearest to its end
    /// comes first, and a table that somebody else fills last.
    pub(super) fn next(&self) -> Task {
        let mut tables = self.lock();
        if let Some(table) = tables.iter_mut().find(|table| !table.parts.is_empty())
            && let Some(part) = table.parts.pop_front()
        {
            table.hands += 1;
            return Task::ReadBack(Arc::clone(&table.job), part);
        }
        if let Some(table) = tables.iter_mut().find(|table| !table.is_begun) {
            table.is_begun = true;
            table.hands += 1;
            if table.job.is_worth_a_transaction() {
                table.alone = Alone::Yes;
            }
            return Task::Load(Arc::clone(&table.job), End::First);
        }
        let shared = tables.iter_mut().filter(|table| table.is_shared);
        let longest = shared.max_by_key(|table| table.chunks.len());
        if let Some(table) = longest.filter(|table| !table.chunks.is_empty()) {
            if table.alone != Alone::No {
                table.alone = Alone::Awaited;
                return Task::Wait;
            }
            table.hands += 1;
            return Task::Load(Arc::clone(&table.job), End::Last);
        }
        if tables.iter().any(|table| table.hands > 0) { Task::Wait } else { Task::Rest }
    }

    /// Returns the next chunk of a table for a loader that is at work on it.
    pub(super) fn take_chunk(&self, job: &Job, end: End) -> Option<usize> {
        self.with(job, |table| match end {
            End::First => table.chunks.next(),
            End::Last => table.chunks.next_back(),
        })
    }

    /// Returns whether a table is to be filled in one transaction, for as long as nobody waits for it.
    pub(super) fn is_alone(&self, job: &Job) -> bool {
        self.with(job, |table| table.alone != Alone::No)
    }

    /// Returns whether others wait to load chunks of a table too.
    pub(super) fn is_awaited(&self, job: &Job) -> bool {
        self.with(job, |table| table.alone == Alone::Awaited)
    }

    /// Lets others at a table that was filled by one loader alone.
    pub(super) fn share(&self, job: &Job) {
        self.with(job, |table| table.alone = Alone::No);
    }

    /// Begins a table again that is empty again, of which chunks before this one had gone in.
    pub(super) fn start_over(&self, job: &Job, number: usize) {
        self.with(job, |table| {
            table.chunks = 0..job.chunks.len();
            table.filled = Filled::nothing_of(&job.expected);
            table.told = table.told.max(number);
        });
    }

    /// Returns what went into a table so far.
    pub(super) fn filled(&self, job: &Job) -> Filled {
        self.with(job, |table| table.filled)
    }

    /// Adds a chunk that went into a table; returns whether that is to be told.
    pub(super) fn add(&self, job: &Job, number: usize, filled: &Filled) -> bool {
        self.with(job, |table| {
            table.filled.merge(filled);
            number >= table.told
        })
    }

    /// Leaves a table of which no chunk is left, unless nobody else is at work on it; returns whether that
    /// is so, and the caller has to go on with it.
    pub(super) fn leave_full(&self, job: &Job) -> bool {
        self.with(job, |table| {
            let is_last = table.hands == 1;
            table.hands -= usize::from(!is_last);
            is_last
        })
    }

    /// Adds what a loader has read back, which leaves the table; returns all of it where it was the last
    /// one, and goes on with the table.
    pub(super) fn add_back(&self, job: &Job, back: &ReadBack) -> Option<ReadBack> {
        self.with(job, |table| {
            table.back.merge(back);
            let is_last = table.hands == 1 && table.parts.is_empty();
            table.hands -= usize::from(!is_last);
            is_last.then_some(table.back)
        })
    }

    /// Leaves a table to all who read its parts back.
    pub(super) fn leave(&self, job: &Job, parts: Vec<Part>) {
        self.with(job, |table| {
            table.parts.extend(parts);
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

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Table>> {
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
            digest: RowsDigest::default(),
            current_rows: None,
            generated_digest: None,
            raw_bytes: chunks * WORTH_A_TRANSACTION,
        };
        Job::new(position, (0..chunks).map(chunk).collect(), expected)
    }

    fn load(desk: &Desk) -> (Arc<Job>, End) {
        match desk.next() {
            Task::Load(job, end) => (job, end),
            _ => panic!("there is nothing to load"),
        }
    }

    #[test]
    fn a_table_is_shared_only_when_no_other_is_left() {
        let desk = Desk::new(vec![job(0, 1, true), job(1, 4, true)], |_| true);
        let (large, small) = (load(&desk), load(&desk));
        assert_eq!((large.0.position, large.1), (1, End::First), "the largest comes first");
        assert_eq!((small.0.position, small.1), (0, End::First));
        assert_eq!(desk.take_chunk(&large.0, End::First), Some(0));
        assert_eq!(desk.take_chunk(&small.0, End::First), Some(0));
        assert_eq!(desk.take_chunk(&small.0, End::First), None);
        assert!(desk.leave_full(&small.0), "nobody else is at work on it");
        desk.leave(&small.0, Vec::new());
        assert!(desk.is_alone(&large.0) && !desk.is_awaited(&large.0));
        assert!(matches!(desk.next(), Task::Wait), "somebody fills it alone");
        assert!(desk.is_awaited(&large.0));
        desk.share(&large.0);
        let helped = load(&desk);
        assert_eq!((helped.0.position, helped.1), (1, End::Last));
        assert_eq!(desk.take_chunk(&helped.0, End::Last), Some(3));
        assert_eq!(desk.take_chunk(&large.0, End::First), Some(1));
        assert_eq!(desk.take_chunk(&large.0, End::First), Some(2));
        assert_eq!(desk.take_chunk(&helped.0, End::Last), None);
        assert!(!desk.leave_full(&large.0), "somebody loads a chunk of it");
        assert!(matches!(desk.next(), Task::Wait), "what comes next is not known yet");
        assert!(desk.leave_full(&helped.0));
        desk.leave(&helped.0, Vec::new());
        assert!(matches!(desk.next(), Task::Rest));
    }

    #[test]
    fn a_table_that_is_empty_again_is_begun_again_and_told_of_once() {
        let desk = Desk::new(vec![job(0, 3, true), job(1, 1, true)], |_| true);
        let ((large, _), (small, _)) = (load(&desk), load(&desk));
        assert!(desk.is_alone(&large), "it has several chunks");
        assert!(!desk.is_alone(&small), "it has one");
        let mut slight = job(0, 3, true);
        slight.expected.raw_bytes = WORTH_A_TRANSACTION - 1;
        let slight = Desk::new(vec![slight], |_| true);
        assert!(!slight.is_alone(&load(&slight).0), "it is small");
        let nothing = Filled::nothing_of(&large.expected);
        assert_eq!(desk.take_chunk(&large, End::First), Some(0));
        assert!(desk.add(&large, 0, &nothing));
        assert_eq!(desk.take_chunk(&large, End::First), Some(1));
        assert_eq!(desk.take_chunk(&large, End::First), Some(2), "fetched ahead");
        desk.start_over(&large, 1);
        for (number, is_told) in [(0, false), (1, true), (2, true)] {
            assert_eq!(desk.take_chunk(&large, End::First), Some(number));
            assert_eq!(desk.add(&large, number, &nothing), is_told);
        }
        assert_eq!(desk.take_chunk(&large, End::First), None);
    }

    #[test]
    fn rows_without_an_order_of_their_own_or_that_lock_others_are_loaded_by_one_hand() {
        for (is_ordered, takes_several) in [(false, true), (true, false)] {
            let desk = Desk::new(vec![job(0, 4, is_ordered)], |_| takes_several);
            let (alone, _) = load(&desk);
            assert_eq!(desk.take_chunk(&alone, End::First), Some(0));
            assert!(matches!(desk.next(), Task::Wait));
        }
    }

    #[test]
    fn only_what_was_saved_is_proven_by_what_went_in() {
        let expected = job(0, 1, true).expected;
        let mut filled = Filled::nothing_of(&expected);
        assert!(filled.is_provable(&expected));
        assert!(filled.is_as_inserted(&expected, &ReadBack::default()));
        filled.merge(&Filled::nothing_of(&expected));
        assert!(filled.is_provable(&expected));
        let other = Expected {
            digest: RowsDigest::parse(&format!("sum128-xxh3:{:032x}", 1), 1).unwrap(),
            ..expected
        };
        assert!(!filled.is_provable(&other), "other rows");
        assert!(!filled.is_as_inserted(&other, &ReadBack::default()));
    }
}
