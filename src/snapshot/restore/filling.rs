//! Fills and proves the tables of a staging on several connections: the largest tables first, each on a
//! connection of its own for as long as there are others, and what is left of the last ones on all.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join_all;
use tokio::sync::mpsc;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::base::rooms;
use crate::repository::Repository;
use crate::repository::catalog::Chunk;
use crate::snapshot::restore::desk::Desk;
use crate::snapshot::restore::desk::End;
use crate::snapshot::restore::desk::Job;
use crate::snapshot::restore::desk::Task;
use crate::source::mariadb::load::Loader;
use crate::source::mariadb::load::Part;
use crate::source::mariadb::staging::Staging;

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
        let is_first = end == End::First && desk.is_alone(job);
        let mut is_alone = is_first && self.loader.begin_alone(job.position).await?;
        if is_first && !is_alone {
            desk.share(job);
        }
        let mut fetched = fetch().await?;
        while let Some((number, bytes)) = fetched {
            let (Chunk { blob, rows, .. }, so_far) = (&job.chunks[number], desk.filled(job));
            let loading = self.loader.load(job.position, number + 1, *rows, bytes.clone(), &so_far);
            let (filled, next) = tokio::try_join!(loading, fetch())?;
            rooms::give_back(Vec::from(bytes));
            fetched = if let Some(filled) = filled {
                if desk.add(job, number, &filled) {
                    self.tell(Told::Bytes(blob.raw_bytes));
                }
                next
            } else {
                desk.start_over(job, number);
                fetch().await?
            };
            if is_alone && (desk.is_awaited(job) || !self.loader.is_alone()) {
                self.loader.end_alone(job.position).await?;
                desk.share(job);
                is_alone = false;
            }
        }
        self.loader.end_alone(job.position).await?;
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
