//! Fills and proves the tables of a staging on several connections: the largest tables first, each on a
//! connection of its own for as long as there are others, and what is left of the last ones on all.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::Mutex;

use bytes::Bytes;
use futures_util::future::try_join_all;
use tokio::sync::mpsc;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::base::rooms;
use crate::repository::Repository;
use crate::repository::catalog::Chunk;
use crate::source::mariadb::load::Expected;
use crate::source::mariadb::load::Filled;
use crate::source::mariadb::load::Loader;
use crate::source::mariadb::load::Part;
use crate::source::mariadb::load::ReadBack;
use crate::source::mariadb::range::KnownChunk;
use crate::source::mariadb::staging::Staging;

/// A table that is to be filled.
pub(super) struct Job {
    pub(super) position: usize,
    chunks: Vec<Chunk>,
    expected: Expected,
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

    /// Returns its chunks as they tell in which parts it is read back.
    fn known(&self) -> Vec<KnownChunk> {
        let known = |Chunk { blob, from, .. }: &Chunk| KnownChunk {
            from: from.clone(),
            raw_bytes: blob.raw_bytes,
            content: None,
        };
        self.chunks.iter().map(known).collect()
    }
}

/// What a loader tells while it is at work.
enum Told {
    /// So many bytes have been loaded or proven.
    Bytes(u64),
    /// Something that the reader should know.
    Note(String),
}

/// Fills and proves all tables.
pub(super) async fn fill(
    repository: &Repository,
    jobs: Vec<Job>,
    staging: &mut Staging,
    connections: usize,
    monitor: &dyn Monitor,
) -> Result<()> {
    let desk = Arc::new(Desk::new(jobs, |job| staging.takes_several_loaders(job.position)));
    let (sender, progress) = mpsc::unbounded_channel();
    // All before any is at work: one that fails would leave the others behind, in the midst of it.
    let loaders = try_join_all((0..connections).map(|_| staging.loader())).await?;
    let mut workers = JoinSet::new();
    for loader in loaders {
        let (desk, progress) = (Arc::clone(&desk), sender.clone());
        let worker = Worker { repository: repository.clone(), loader, desk, progress };
        workers.spawn(worker.work());
    }
    drop(sender);
    staging.write_redo_during(watch_over(workers, progress, monitor)).await
}

/// Waits until all loaders are done, and passes on what they tell; the first error ends all.
async fn watch_over(
    mut workers: JoinSet<Result<()>>,
    mut progress: UnboundedReceiver<Told>,
    monitor: &dyn Monitor,
) -> Result<()> {
    loop {
        tokio::select! {
            Some(told) = progress.recv() => match told {
                Told::Bytes(bytes) => monitor.advance(bytes),
                Told::Note(note) => monitor.note(&note),
            },
            Some(worker) = workers.join_next() => {
                if let Err(error) = worker.expect("a loader neither panics nor is cancelled") {
                    // Their connections must be gone before their tables can be dropped.
                    workers.shutdown().await;
                    return Err(error);
                }
            }
            else => return Ok(()),
        }
    }
}

/// Where a loader takes the chunks of a table from: each has neighbours of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    Last,
}

/// What there is to do next.
enum Task {
    /// Load chunks of a table from one of its ends.
    Load(Arc<Job>, End),
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
    /// The chunks that nobody has taken yet.
    chunks: Range<usize>,
    /// The parts that nobody has taken yet; none before the indexes are built.
    parts: VecDeque<Part>,
    /// How many loaders are at work on it.
    hands: usize,
    /// Whether several may be.
    is_shared: bool,
    is_begun: bool,
    filled: Filled,
    back: ReadBack,
}

/// Where loaders take their tasks from.
struct Desk {
    tables: Mutex<Vec<Table>>,
    changed: watch::Sender<()>,
}

impl Desk {
    /// Returns a desk with these jobs; some of their tables take several loaders at once.
    fn new(mut jobs: Vec<Job>, takes_several: impl Fn(&Job) -> bool) -> Self {
        jobs.sort_by_key(|job| std::cmp::Reverse(job.expected.raw_bytes));
        let table = |job: Job| Table {
            chunks: 0..job.chunks.len(),
            parts: VecDeque::new(),
            hands: 0,
            is_shared: job.has_order() && takes_several(&job),
            is_begun: false,
            filled: Filled::nothing_of(&job.expected),
            back: ReadBack::default(),
            job: Arc::new(job),
        };
        let tables = Mutex::new(jobs.into_iter().map(table).collect());
        Self { tables, changed: watch::Sender::new(()) }
    }

    /// Returns what there is to do for a loader that is at work on no table: what is nearest to its end
    /// comes first, and a table that somebody else fills last.
    fn next(&self) -> Task {
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
            return Task::Load(Arc::clone(&table.job), End::First);
        }
        let shared = tables.iter_mut().filter(|table| table.is_shared);
        let longest = shared.max_by_key(|table| table.chunks.len());
        if let Some(table) = longest.filter(|table| !table.chunks.is_empty()) {
            table.hands += 1;
            return Task::Load(Arc::clone(&table.job), End::Last);
        }
        if tables.iter().any(|table| table.hands > 0) { Task::Wait } else { Task::Rest }
    }

    /// Returns the next chunk of a table for a loader that is at work on it.
    fn take_chunk(&self, job: &Job, end: End) -> Option<usize> {
        self.with(job, |table| match end {
            End::First => table.chunks.next(),
            End::Last => table.chunks.next_back(),
        })
    }

    /// Returns what went into a table so far.
    fn filled(&self, job: &Job) -> Filled {
        self.with(job, |table| table.filled)
    }

    /// Adds a chunk that went into a table.
    fn add(&self, job: &Job, filled: &Filled) {
        self.with(job, |table| table.filled.merge(filled));
    }

    /// Leaves a table of which no chunk is left, unless nobody else is at work on it; returns whether that
    /// is so, and the caller has to go on with it.
    fn leave_full(&self, job: &Job) -> bool {
        self.with(job, |table| {
            let is_last = table.hands == 1;
            table.hands -= usize::from(!is_last);
            is_last
        })
    }

    /// Adds what a loader has read back, which leaves the table; returns all of it where it was the last
    /// one, and goes on with the table.
    fn add_back(&self, job: &Job, back: &ReadBack) -> Option<ReadBack> {
        self.with(job, |table| {
            table.back.merge(back);
            let is_last = table.hands == 1 && table.parts.is_empty();
            table.hands -= usize::from(!is_last);
            is_last.then_some(table.back)
        })
    }

    /// Leaves a table to all who read its parts back.
    fn leave(&self, job: &Job, parts: Vec<Part>) {
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

/// One loader at work.
struct Worker {
    repository: Repository,
    loader: Loader,
    desk: Arc<Desk>,
    progress: UnboundedSender<Told>,
}

impl Worker {
    /// Does one task after the other until none is left.
    async fn work(mut self) -> Result<()> {
        let mut changed = self.desk.changed.subscribe();
        loop {
            changed.mark_unchanged();
            match self.desk.next() {
                Task::Load(job, end) => self.load(&job, end).await?,
                Task::ReadBack(job, part) => self.read_back(&job, &part).await?,
                // The desk is ours, and lives.
                Task::Wait => drop(changed.changed().await),
                Task::Rest => return Ok(()),
            }
        }
    }

    /// Loads chunks of a table for as long as there are any; the next one is fetched while one is
    /// loaded.
    async fn load(&mut self, job: &Job, end: End) -> Result<()> {
        let (desk, repository) = (Arc::clone(&self.desk), self.repository.clone());
        let fetch = async || match desk.take_chunk(job, end) {
            Some(number) => {
                let bytes = repository.read_rows(&job.chunks[number].blob).await?;
                Ok::<_, Error>(Some((number, Bytes::from(bytes))))
            }
            None => Ok(None),
        };
        let kept = rooms::keep();
        let mut fetched = fetch().await?;
        while let Some((number, bytes)) = fetched {
            let (Chunk { blob, rows, .. }, so_far) = (&job.chunks[number], desk.filled(job));
            let loading = self.loader.load(job.position, number + 1, *rows, bytes.clone(), &so_far);
            let (filled, next) = tokio::try_join!(loading, fetch())?;
            rooms::give_back(Vec::from(bytes));
            desk.add(job, &filled);
            self.tell(Told::Bytes(blob.raw_bytes));
            fetched = next;
        }
        // What comes next reads no chunks.
        drop(kept);
        if desk.leave_full(job) { self.index(job).await } else { Ok(()) }
    }

    /// Builds the indexes of a table of which all rows are in.
    async fn index(&mut self, job: &Job) -> Result<()> {
        self.loader.index(job.position).await?;
        let parts = self.loader.parts(job.position, &job.known());
        if parts.is_empty() || !self.desk.filled(job).is_provable(&job.expected) {
            return self.complete(job, false).await;
        }
        self.desk.leave(job, parts);
        Ok(())
    }

    /// Reads a part of a table back.
    async fn read_back(&mut self, job: &Job, part: &Part) -> Result<()> {
        let back = self.loader.read_back(job.position, part).await?;
        match self.desk.add_back(job, &back) {
            Some(back) => {
                let is_as_inserted = self.desk.filled(job).is_as_inserted(&job.expected, &back);
                self.complete(job, is_as_inserted).await
            }
            None => Ok(()),
        }
    }

    async fn complete(&mut self, job: &Job, is_as_it_was: bool) -> Result<()> {
        let note = self.loader.complete(job.position, &job.expected, is_as_it_was).await?;
        self.tell(Told::Bytes(job.expected.raw_bytes));
        if let Some(note) = note {
            self.tell(Told::Note(note));
        }
        self.desk.leave(job, Vec::new());
        Ok(())
    }

    /// The watcher may be gone: then the verb has ended.
    fn tell(&self, told: Told) {
        self.progress.send(told).ok();
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
            raw_bytes: chunks,
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
