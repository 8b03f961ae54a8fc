//! Reads the rows of all tables and counts them: jobs shared among connections, and tables read again whole where
//! the ranges of the last snapshot did not fit.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;

use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::source::RawChunk;
use crate::source::mariadb::chunking;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::cut::Sizes;
use crate::source::mariadb::definition::Definition;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::failure;
use crate::source::mariadb::lines::Totals;
use crate::source::mariadb::range;
use crate::source::mariadb::range::Job;
use crate::source::mariadb::range::KnownChunks;

/// What is known of the tables' rows so far.
pub(super) struct Reading<'a> {
    definition: Arc<Definition>,
    known: &'a KnownChunks,
    sizes: Sizes,
    sender: Sender<RawChunk>,
    totals: Vec<Totals>,
}

/// What a connection does in one go.
enum Task {
    Read(Job),
    /// Counts the rows of a table that is read in several ranges.
    Count(usize),
}

/// What a task came to, for the table at a position.
enum Outcome {
    /// The rows of a job, unless its ranges could not be read.
    Read(usize, Option<Totals>),
    Counted(usize, u64),
}

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
        let tasks = self.tasks(|table| !table.is_transactional);
        let outcomes = self.desk(tasks).work(connection).await?;
        let again = self.settle(outcomes);
        let outcomes = self.desk(again).work(connection).await?;
        self.settle(outcomes);
        Ok(())
    }

    /// Reads the tables with transactions on connections that share a moment.
    pub(super) async fn read_shared(&mut self, readers: &mut Vec<Connection>) -> Result<()> {
        let tasks = self.tasks(|table| table.is_transactional);
        let outcomes = self.read_in_parallel(tasks, readers).await?;
        let again = self.settle(outcomes);
        let outcomes = self.read_in_parallel(again, readers).await?;
        self.settle(outcomes);
        Ok(())
    }

    /// Returns what proves each table.
    pub(super) fn finish(self) -> Vec<Totals> {
        self.totals
    }

    /// Returns what there is to read, and what to count then. The tables that are read in several ranges
    /// are counted in the same moment: a range that compares otherwise than the key is ordered would lose
    /// rows or give them twice.
    fn tasks(&self, is_wanted: fn(&Table) -> bool) -> VecDeque<Task> {
        let tables = self.definition.tables.iter().enumerate();
        let jobs = range::jobs(tables.filter(|(_, table)| is_wanted(table)), self.known);
        let mut counts = Vec::new();
        for job in jobs.iter().filter(|job| job.is_part()) {
            if !counts.contains(&job.table) {
                counts.push(job.table);
            }
        }
        jobs.into_iter().map(Task::Read).chain(counts.into_iter().map(Task::Count)).collect()
    }

    fn desk(&self, tasks: VecDeque<Task>) -> Desk {
        Desk {
            definition: Arc::clone(&self.definition),
            tasks: Arc::new(Mutex::new(tasks)),
            sizes: self.sizes,
            sender: self.sender.clone(),
        }
    }

    /// Shares the tasks among as many readers as memory allows.
    async fn read_in_parallel(
        &self,
        tasks: VecDeque<Task>,
        readers: &mut Vec<Connection>,
    ) -> Result<Vec<Outcome>> {
        let desk = self.desk(tasks);
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

    /// Adds what was read, and returns what reads some tables again, whole: those of which a range could
    /// not be read, or that have other rows than were counted.
    fn settle(&mut self, outcomes: Vec<Outcome>) -> VecDeque<Task> {
        let mut again = BTreeSet::new();
        let mut counted = Vec::new();
        for outcome in outcomes {
            match outcome {
                Outcome::Read(position, Some(read)) => self.totals[position].merge(&read),
                Outcome::Read(position, None) => drop(again.insert(position)),
                Outcome::Counted(position, rows) => counted.push((position, rows)),
            }
        }
        let differs =
            |&(position, rows): &(usize, u64)| self.totals[position].stored.rows() != rows;
        again.extend(counted.iter().filter(|it| differs(it)).map(|(position, _)| *position));
        for &position in &again {
            self.totals[position] = Totals::default();
        }
        let job = |position| Job::again(position, &self.definition.tables[position]);
        again.into_iter().map(job).map(Task::Read).collect()
    }
}

/// Where readers take their tasks from.
#[derive(Clone)]
struct Desk {
    definition: Arc<Definition>,
    tasks: Arc<Mutex<VecDeque<Task>>>,
    sizes: Sizes,
    sender: Sender<RawChunk>,
}

impl Desk {
    /// Does one task after the other until none is left.
    async fn work(&self, connection: &mut Connection) -> Result<Vec<Outcome>> {
        let database = &self.definition.database.name;
        let mut outcomes = Vec::new();
        while let Some(task) = self.next() {
            outcomes.push(match task {
                Task::Read(job) => {
                    let read = self.read(connection, database, &job).await?;
                    Outcome::Read(job.table, read)
                }
                Task::Count(position) => {
                    let table = &self.definition.tables[position];
                    Outcome::Counted(position, connection.count_rows(database, table).await?)
                }
            });
        }
        Ok(outcomes)
    }

    async fn read(
        &self,
        connection: &mut Connection,
        database: &str,
        job: &Job,
    ) -> Result<Option<Totals>> {
        let table = &self.definition.tables[job.table];
        let read =
            chunking::read_job(connection, database, table, job, self.sizes, &self.sender).await;
        match read {
            // A boundary may be no value of its column any more.
            Err(error) if job.is_part() && failure::is_of_the_statement(&error) => Ok(None),
            read => read.map(Some),
        }
    }

    fn next(&self) -> Option<Task> {
        self.tasks.lock().expect("no reader panics while it takes a task").pop_front()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::Value;
    use serde_json::json;

    use super::*;
    use crate::base::monitor::Silent;
    use crate::source::Content;
    use crate::source::mariadb::dump::Dump;
    use crate::source::mariadb::dump::Dumped;
    use crate::source::mariadb::range::KnownChunk;
    use crate::source::mariadb::range::KnownContent;
    use crate::source::mariadb::range::KnownTable;
    use crate::source::mariadb::throwaway::server;

    /// Dumps a database of one table `t`, of which the last snapshot is said to have had these chunks.
    async fn dump_knowing(database: &str, chunks: Vec<KnownChunk>) -> (Dumped, Vec<RawChunk>) {
        let login = server().login(server().superuser(), None);
        let dump = Dump::open(&login, database, 2, &Silent).await.unwrap().unwrap();
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

    /// The same where the last snapshot is said to have begun its chunks here.
    async fn dump(database: &str, begins: &[Value]) -> (Dumped, Vec<RawChunk>) {
        let chunk =
            |from: &Value| KnownChunk { from: from.clone(), raw_bytes: 1 << 30, content: None };
        dump_knowing(database, begins.iter().map(chunk).collect()).await
    }

    /// Returns chunks as the next create knows them; their place stands for their digest.
    fn remembered(chunks: &[RawChunk]) -> Vec<KnownChunk> {
        let remembered = |(place, chunk): (usize, &RawChunk)| KnownChunk {
            from: chunk.from.clone(),
            raw_bytes: chunk.content.raw().len() as u64,
            content: Some(KnownContent {
                raw_digest: place.to_string(),
                rows: chunk.rows,
                noted: chunk.noted.clone(),
            }),
        };
        chunks.iter().enumerate().map(remembered).collect()
    }

    /// Returns the text of each chunk, or the place of the one that it was known as.
    fn contents(chunks: &mut [RawChunk]) -> Vec<String> {
        chunks.sort_by_key(|chunk| chunk.order);
        let content = |chunk: &RawChunk| match &chunk.content {
            Content::Raw(bytes) => String::from_utf8(bytes.clone()).unwrap(),
            Content::Known(place) => place.clone(),
        };
        chunks.iter().map(content).collect()
    }

    #[tokio::test]
    async fn chunks_that_are_as_they_were_are_known_and_all_others_are_written_down() {
        server().run(
            "CREATE DATABASE known; USE known;
             CREATE TABLE t (id INT PRIMARY KEY, v INT) ENGINE = InnoDB;
             INSERT INTO t VALUES (1, 1), (2, 2), (5, 5), (6, 6), (9, 9)",
        );
        let begins = [Value::Null, json!(["5"]), json!(["9"])];
        let (_, mut first) = dump("known", &begins).await;
        assert_eq!(contents(&mut first), ["1\t1\n2\t2\n", "5\t5\n6\t6\n", "9\t9\n"]);
        for (change, expected) in [
            ("DO 0", ["0", "1", "2"]),
            ("UPDATE t SET v = 7 WHERE id = 6", ["0", "5\t5\n6\t7\n", "2"]),
            ("UPDATE t SET v = 6 WHERE id = 6", ["0", "1", "2"]),
            ("UPDATE t SET v = NULL WHERE id = 9", ["0", "1", "9\t\\N\n"]),
            ("INSERT INTO t VALUES (10, 1)", ["0", "1", "9\t\\N\n10\t1\n"]),
            ("DELETE FROM t WHERE id = 9", ["0", "1", "10\t1\n"]),
            ("UPDATE t SET id = 9, v = 9 WHERE id = 10", ["0", "1", "2"]),
            ("UPDATE t SET v = id + IF(id < 3, 2, 0)", ["1\t3\n2\t4\n", "1", "2"]),
            ("UPDATE t SET v = id", ["0", "1", "2"]),
            // The same bytes mean the same rows only as long as their columns do.
            ("ALTER TABLE t MODIFY v INT UNSIGNED", ["1\t1\n2\t2\n", "5\t5\n6\t6\n", "9\t9\n"]),
        ] {
            server().run(&format!("USE known; {change}"));
            let (dumped, mut chunks) = dump_knowing("known", remembered(&first)).await;
            assert_eq!(contents(&mut chunks), expected, "{change}");
            // What proves the table is what a dump finds that knows nothing.
            let (anew, mut all) = dump("known", &begins).await;
            assert_eq!(dumped.totals, anew.totals, "{change}");
            contents(&mut all);
            for (chunk, anew) in chunks.iter().zip(&all) {
                assert_eq!((chunk.rows, &chunk.noted), (anew.rows, &anew.noted), "{change}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_not_proven_by_its_lines_alone_is_always_written_down() {
        for (database, column, option) in [
            ("known_generated", "v INT AS (id + 1)", ""),
            ("known_history", "v INT", "WITH SYSTEM VERSIONING"),
        ] {
            server().run(&format!(
                "CREATE DATABASE {database}; USE {database};
                 CREATE TABLE t (id INT PRIMARY KEY, {column}) ENGINE = InnoDB {option};
                 INSERT INTO t (id) VALUES (1)"
            ));
            let (_, first) = dump(database, &[]).await;
            assert_eq!(first[0].noted, Value::Null, "{database}");
            let (_, mut second) = dump_knowing(database, remembered(&first)).await;
            assert!(contents(&mut second)[0].starts_with('1'), "{database}");
        }
    }

    /// Returns number and text of the rows of the last attempt, which the totals must agree with.
    fn rows((dumped, mut chunks): (Dumped, Vec<RawChunk>)) -> (u32, String) {
        let last = chunks.iter().map(|chunk| chunk.attempt).max().unwrap();
        chunks.retain(|chunk| chunk.attempt == last);
        chunks.sort_by_key(|chunk| chunk.order);
        assert_eq!(chunks.iter().map(|chunk| chunk.rows).sum::<u64>(), dumped.totals[0].rows);
        let bytes = chunks.iter().flat_map(|chunk| chunk.content.raw().to_vec()).collect();
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
