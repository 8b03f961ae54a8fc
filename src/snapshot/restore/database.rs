//! Loads a saved database into staging: the largest tables first, on several connections.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;

use tokio::sync::mpsc;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::repository::Repository;
use crate::repository::catalog::Chunk;
use crate::repository::catalog::Index;
use crate::repository::catalog::SourceRecord;
use crate::snapshot::Host;
use crate::snapshot::restore::staged::Staged;
use crate::snapshot::restore::staged::StagedDatabase;
use crate::source::mariadb::accounts::plan;
use crate::source::mariadb::accounts::plan::AccountsPlan;
use crate::source::mariadb::load::Expected;
use crate::source::mariadb::load::Loader;
use crate::source::mariadb::plan::Blueprint;
use crate::source::mariadb::staging::Staging;

/// The database that a restore replaces.
pub(super) struct Target<'a> {
    pub(super) name: &'a str,
    pub(super) suffix: &'a str,
    pub(super) accounts: Option<&'a AccountsPlan>,
}

/// What one loader does in one go.
struct Job {
    position: usize,
    chunks: Vec<Chunk>,
    expected: Expected,
    raw_bytes: u64,
}

/// Stages and proves a database; on any failure nothing of it stays.
pub(super) async fn stage(
    repository: &Repository,
    record: &SourceRecord,
    index: &Index,
    host: &Host,
    target: &Target<'_>,
    monitor: &dyn Monitor,
) -> Result<Staged> {
    let schema = match &record.schema {
        Some(blob) => repository.read_blob(blob).await?,
        None => return Err(Error::damaged("the snapshot has no schema blob")),
    };
    let blueprint = Blueprint {
        schema: &schema,
        server_version: record.detail["server"]["version"].as_str().unwrap_or_default(),
        target: target.name,
        suffix: target.suffix,
    };
    let jobs = jobs(record, index);
    // Every byte goes in once, and comes back once to be proven.
    let bytes = jobs.iter().map(|job| job.raw_bytes * 2).sum();
    let mut staging = Staging::create(&host.database, &blueprint, monitor).await?;
    monitor.step(&format!("load {}", record.name), Some(bytes));
    let built = match check_names(record, &staging) {
        Ok(()) => fill(repository, jobs, &staging, host.connections, monitor).await,
        Err(error) => Err(error),
    };
    let finished = match built {
        Ok(()) => {
            monitor.step(&format!("rehearse {}", record.name), None);
            staging.finish(monitor).await
        }
        Err(error) => Err(error),
    };
    let planned = match finished {
        // Anew: since the first plan accounts may have come, and a killed restore's have gone.
        Ok(()) if target.accounts.is_some() => {
            plan::plan(&host.database, &schema, target.name).await
        }
        finished => finished.map(|()| None),
    };
    match planned {
        Ok(accounts) => Ok(Staged::Database(Box::new(StagedDatabase {
            staging,
            suffix: target.suffix.to_owned(),
            login: host.database.clone(),
            accounts,
        }))),
        Err(error) => {
            staging.discard_noting(monitor).await;
            Err(error)
        }
    }
}

fn jobs(record: &SourceRecord, index: &Index) -> VecDeque<Job> {
    let mut jobs: Vec<Job> = record
        .items
        .iter()
        .zip(&index.items)
        .enumerate()
        .map(|(position, (item, chunks))| Job {
            position,
            chunks: chunks.chunks.clone(),
            expected: Expected {
                rows: item.rows,
                current_rows: item.current_rows,
                digest: item.digest.clone(),
                generated_digest: item.generated_digest.clone(),
            },
            raw_bytes: item.raw_bytes,
        })
        .collect();
    jobs.sort_by_key(|job| std::cmp::Reverse(job.raw_bytes));
    jobs.into()
}

/// Fails where catalog and schema blob do not speak of the same tables.
fn check_names(record: &SourceRecord, staging: &Staging) -> Result<()> {
    let names = staging.tables();
    if record.items.iter().map(|item| &item.name).eq(&names) {
        return Ok(());
    }
    Err(Error::damaged("the schema blob defines other tables than the catalog"))
}

/// Fills and proves all tables, each on one connection.
async fn fill(
    repository: &Repository,
    jobs: VecDeque<Job>,
    staging: &Staging,
    connections: usize,
    monitor: &dyn Monitor,
) -> Result<()> {
    let jobs = Arc::new(Mutex::new(jobs));
    let (progress, mut advanced) = mpsc::unbounded_channel();
    let mut workers = JoinSet::new();
    for _ in 0..connections {
        let mut loader = staging.loader().await?;
        let (jobs, repository) = (Arc::clone(&jobs), repository.clone());
        let progress = progress.clone();
        workers.spawn(async move {
            while let Some(job) = next(&jobs) {
                load(&repository, &job, &mut loader, &progress).await?;
            }
            Ok::<_, Error>(())
        });
    }
    drop(progress);
    // The first error ends all.
    loop {
        tokio::select! {
            Some(bytes) = advanced.recv() => monitor.advance(bytes),
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

fn next(jobs: &Mutex<VecDeque<Job>>) -> Option<Job> {
    jobs.lock().expect("no loader panics while it takes a job").pop_front()
}

/// Loads one table; the next chunk is fetched while one is loaded.
async fn load(
    repository: &Repository,
    job: &Job,
    loader: &mut Loader,
    progress: &UnboundedSender<u64>,
) -> Result<()> {
    let mut fetched = match job.chunks.first() {
        Some(chunk) => repository.read_blob(&chunk.blob).await?,
        None => Vec::new(),
    };
    for (chunk, number) in job.chunks.iter().zip(1..) {
        let following = async {
            match job.chunks.get(number) {
                Some(next) => repository.read_blob(&next.blob).await,
                None => Ok(Vec::new()),
            }
        };
        let loading = loader.load(job.position, number, chunk.rows, fetched);
        let ((), next) = tokio::try_join!(loading, following)?;
        fetched = next;
        // The watcher may be gone: then the verb has ended.
        progress.send(chunk.blob.raw_bytes).ok();
    }
    loader.complete(job.position, &job.expected).await?;
    progress.send(job.raw_bytes).ok();
    Ok(())
}
