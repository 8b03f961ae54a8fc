//! Reads the rows of all tables: jobs shared among connections, and tables read again whole where
//! the ranges of the last snapshot did not fit.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;

use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::RawChunk;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::cut::Sizes;
use crate::source::mariadb::definition::Definition;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::range;
use crate::source::mariadb::range::Job;
use crate::source::mariadb::range::KnownChunks;
use crate::source::mariadb::rows;
use crate::source::mariadb::rows::Totals;

/// What is known of the tables' rows so far.
pub(super) struct Reading<'a> {
    definition: Arc<Definition>,
    known: &'a KnownChunks,
    sizes: Sizes,
    sender: Sender<RawChunk>,
    totals: Vec<Totals>,
}

/// What a job came to: the table, and its rows unless the ranges could not be read.
type Outcome = (usize, Option<Totals>);

impl<'a> Reading<'a> {
    /// Returns a reading that has read nothing yet; `known` are the chunks of the last snapshot.
    pub(super) fn new(
        definition: Arc<Definition>,
        known: &'a KnownChunks,
        sizes: Sizes,
        sender: Sender<RawChunk>,
    ) -> Self {
        let totals = vec![Totals::default(); definition.tables.len()];
        Self { definition, known, sizes, sender, totals }
    }

    /// Reads the tables without transactions on the connection that locks them.
    pub(super) async fn read_locked(&mut self, connection: &mut Connection) -> Result<()> {
        let jobs = self.jobs(|table| !table.is_transactional);
        let split = tables_in_parts(&jobs);
        let outcomes = self.desk(jobs).work(connection).await?;
        let again = self.settle(connection, split, outcomes).await?;
        let outcomes = self.desk(again).work(connection).await?;
        self.add(outcomes);
        Ok(())
    }

    /// Reads the tables with transactions on connections that share a moment.
    pub(super) async fn read_shared(&mut self, readers: &mut Vec<Connection>) -> Result<()> {
        let jobs = self.jobs(|table| table.is_transactional);
        let split = tables_in_parts(&jobs);
        let outcomes = self.read_in_parallel(jobs, readers).await?;
        let again = self.settle(&mut readers[0], split, outcomes).await?;
        let outcomes = self.read_in_parallel(again, readers).await?;
        self.add(outcomes);
        Ok(())
    }

    /// Returns what proves each table.
    pub(super) fn finish(self) -> Vec<Totals> {
        self.totals
    }

    fn jobs(&self, is_wanted: fn(&Table) -> bool) -> Vec<Job> {
        let tables = self.definition.tables.iter().enumerate();
        range::jobs(tables.filter(|(_, table)| is_wanted(table)), self.known)
    }

    fn desk(&self, jobs: Vec<Job>) -> Desk {
        Desk {
            definition: Arc::clone(&self.definition),
            jobs: Arc::new(Mutex::new(jobs.into())),
            sizes: self.sizes,
            sender: self.sender.clone(),
        }
    }

    /// Shares the jobs among as many readers as memory allows.
    async fn read_in_parallel(
        &self,
        jobs: Vec<Job>,
        readers: &mut Vec<Connection>,
    ) -> Result<Vec<Outcome>> {
        let desk = self.desk(jobs);
        let mut workers = JoinSet::new();
        let at_once = readers.len().min(self.sizes.readers());
        for mut reader in readers.drain(..at_once) {
            let desk = desk.clone();
            workers.spawn(async move {
                let outcomes = desk.work(&mut reader).await?;
                Ok::<_, Error>((reader, outcomes))
            });
        }
        let mut all = Vec::new();
        while let Some(worker) = workers.join_next().await {
            let (reader, outcomes) = worker.expect("a reader neither panics nor is cancelled")?;
            readers.push(reader);
            all.extend(outcomes);
        }
        Ok(all)
    }

    /// Adds what was read, and returns the jobs that read some tables again. The tables that were
    /// read in several ranges are counted in the same moment: a range that compares otherwise than
    /// the key is ordered would lose rows or give them twice.
    async fn settle(
        &mut self,
        connection: &mut Connection,
        split: BTreeSet<usize>,
        outcomes: Vec<Outcome>,
    ) -> Result<Vec<Job>> {
        let mut again: BTreeSet<usize> = outcomes
            .iter()
            .filter(|(_, read)| read.is_none())
            .map(|(position, _)| *position)
            .collect();
        self.add(outcomes);
        let database = &self.definition.database.name;
        for position in split {
            let table = &self.definition.tables[position];
            let counted = connection.count_rows(database, table).await?;
            if counted != self.totals[position].stored.rows() {
                again.insert(position);
            }
        }
        for &position in &again {
            self.totals[position] = Totals::default();
        }
        let job = |position| Job::again(position, &self.definition.tables[position]);
        Ok(again.into_iter().map(job).collect())
    }

    fn add(&mut self, outcomes: Vec<Outcome>) {
        for (position, read) in outcomes {
            if let Some(read) = read {
                self.totals[position].merge(&read);
            }
        }
    }
}

/// Where readers take their jobs from.
#[derive(Clone)]
struct Desk {
    definition: Arc<Definition>,
    jobs: Arc<Mutex<VecDeque<Job>>>,
    sizes: Sizes,
    sender: Sender<RawChunk>,
}

impl Desk {
    /// Reads one job after the other until none is left.
    async fn work(&self, connection: &mut Connection) -> Result<Vec<Outcome>> {
        let database = &self.definition.database.name;
        let mut outcomes = Vec::new();
        while let Some(job) = self.next() {
            let table = &self.definition.tables[job.table];
            let read =
                rows::read_job(connection, database, table, &job, self.sizes, &self.sender).await;
            let read = match read {
                // A boundary may be no value of its column any more.
                Err(error) if job.is_part() && is_of_the_statement(&error) => None,
                read => Some(read?),
            };
            outcomes.push((job.table, read));
        }
        Ok(outcomes)
    }

    fn next(&self) -> Option<Job> {
        self.jobs.lock().expect("no reader panics while it takes a job").pop_front()
    }
}

fn is_of_the_statement(error: &Error) -> bool {
    matches!(error.kind(), Kind::Failed | Kind::Damaged)
}

/// Returns the positions of the tables that are read by more than one query.
fn tables_in_parts(jobs: &[Job]) -> BTreeSet<usize> {
    jobs.iter().filter(|job| job.is_part()).map(|job| job.table).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::Value;
    use serde_json::json;

    use super::*;
    use crate::base::monitor::Silent;
    use crate::source::mariadb::dump::Dump;
    use crate::source::mariadb::dump::Dumped;
    use crate::source::mariadb::range::KnownChunk;
    use crate::source::mariadb::range::KnownTable;
    use crate::source::mariadb::throwaway::server;

    /// Dumps a database of one table `t`; the last snapshot is said to have begun its chunks here.
    async fn dump(database: &str, begins: &[Value]) -> (Dumped, Vec<RawChunk>) {
        let login = server().login(server().superuser(), None);
        let dump = Dump::open(&login, database, 2, &Silent).await.unwrap().unwrap();
        let chunk = |from: &Value| KnownChunk { from: from.clone(), raw_bytes: 1 << 30 };
        let chunks = begins.iter().map(chunk).collect();
        let known = KnownTable { key: dump.keys()[0].clone(), chunks };
        let known = HashMap::from([("t".to_owned(), known)]);
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        let receive = async {
            let mut chunks = Vec::new();
            while let Some(chunk) = receiver.recv().await {
                chunks.push(chunk);
            }
            chunks
        };
        let (dumped, chunks) = tokio::join!(dump.read(&known, sender, &Silent), receive);
        (dumped.unwrap(), chunks)
    }

    /// Returns number and text of the rows of the last attempt, which the totals must agree with.
    fn rows((dumped, mut chunks): (Dumped, Vec<RawChunk>)) -> (u32, String) {
        let last = chunks.iter().map(|chunk| chunk.attempt).max().unwrap();
        chunks.retain(|chunk| chunk.attempt == last);
        chunks.sort_by_key(|chunk| chunk.order);
        assert_eq!(chunks.iter().map(|chunk| chunk.rows).sum::<u64>(), dumped.totals[0].rows);
        let bytes = chunks.into_iter().flat_map(|chunk| chunk.bytes).collect();
        (last, String::from_utf8(bytes).unwrap())
    }

    #[tokio::test]
    async fn ranges_that_lose_rows_or_give_them_twice_are_read_again_as_one() {
        for engine in ["InnoDB", "MyISAM"] {
            let database = format!("ranges_{engine}").to_lowercase();
            server().run(&format!(
                "CREATE DATABASE {database}; CREATE TABLE {database}.t (id INT PRIMARY KEY) ENGINE = {engine};
                 INSERT INTO {database}.t VALUES (1), (5), (9)"
            ));
            let all = "1\n5\n9\n".to_owned();
            let sound = dump(&database, &[Value::Null, json!(["5"]), json!(["6"])]).await;
            assert_eq!(sound.1.len(), 3);
            assert_eq!(rows(sound), (0, all.clone()));
            let crossed = dump(&database, &[Value::Null, json!(["6"]), json!(["5"])]).await;
            assert_eq!(rows(crossed), (1, all));
        }
    }

    #[tokio::test]
    async fn ranges_that_the_server_cannot_read_are_read_again_as_one() {
        server().run(
            "CREATE DATABASE unreadable; CREATE TABLE unreadable.t (id VARCHAR(9) CHARSET utf8mb4 PRIMARY KEY);
             INSERT INTO unreadable.t VALUES ('a'), ('z')",
        );
        // No character of UTF-8 begins with this byte.
        let read = dump("unreadable", &[Value::Null, json!([{ "base64": "/w==" }])]).await;
        assert_eq!(rows(read), (1, "a\nz\n".to_owned()));
    }
}
