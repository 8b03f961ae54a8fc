//! Watches the server while rows are read for a snapshot: readers wait while others keep it too busy,
//! and the user hears of it when the old versions of rows, which the snapshot keeps, pile up.
//!
//! The readers keep their snapshots while they wait, so that the moment stays the same. That is why
//! they do not wait for ever: what they keep makes a busy server slower still.

use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;
use tokio::time::sleep;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::base::pace::Pace;
use crate::source::mariadb::connection::Connection;

/// How often the server is asked, where readers wait for it and where they do not.
const OFTEN: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(10);

/// How long readers wait at a stretch: less than the server waits for a reader
/// (`net_write_timeout`), to which a pause looks like a process that is stopped.
const PATIENCE: Duration = Duration::from_secs(300);

/// Transactions whose old versions wait to be purged, beyond those at the beginning, before it is
/// told. Servers are said to become slower from about here on.
const MANY_TRANSACTIONS: u64 = 1_000_000;

/// How busy a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Business {
    /// The threads of others that run.
    threads: u32,
    /// The transactions whose old versions wait to be purged, where the server tells.
    unpurged: Option<u64>,
}

/// Somebody who watches a server, for readers that keep a pace.
pub(super) struct Watch<'a> {
    observer: &'a mut Connection,
    pace: Pace,
    /// The connections whose work is ours.
    ours: Vec<u32>,
    monitor: &'a dyn Monitor,
    patience: Duration,
    /// Since when readers wait, and how long they were kept waiting before that.
    since: Option<Instant>,
    paused: Duration,
    /// The transactions that waited to be purged at first, until it is told that they pile up.
    unpurged: Option<u64>,
}

impl<'a> Watch<'a> {
    /// Returns who watches by a connection that is free meanwhile.
    pub(super) fn new(
        observer: &'a mut Connection,
        readers: &[Connection],
        pace: &Pace,
        monitor: &'a dyn Monitor,
    ) -> Self {
        let mut ours: Vec<u32> = readers.iter().map(Connection::id).collect();
        ours.push(observer.id());
        Self {
            observer,
            pace: pace.clone(),
            ours,
            monitor,
            patience: PATIENCE,
            since: None,
            paused: Duration::ZERO,
            unpurged: None,
        }
    }

    /// Returns what comes of reading while the server is watched. Fails with [`Kind::Busy`] where
    /// readers would have to wait for too long.
    pub(super) async fn over<T>(mut self, reading: impl Future<Output = Result<T>>) -> Result<T> {
        let outcome = self.watch(reading).await;
        // Others of the same verb may read later.
        self.go_on();
        if self.paused >= Duration::from_secs(1) {
            let seconds = self.paused.as_secs();
            self.monitor.note(&format!("paused for {seconds} s in all while the server was busy"));
        }
        outcome
    }

    async fn watch<T>(&mut self, reading: impl Future<Output = Result<T>>) -> Result<T> {
        let mut reading = pin!(reading);
        let is_limited = self.pace.limits().threads_running.is_some();
        let interval = if is_limited { OFTEN } else { SELDOM };
        loop {
            let (business, outcome) = {
                let mut asking = pin!(self.observer.read_business(&self.ours));
                tokio::select! {
                    business = &mut asking => (business, None),
                    // Its connection would take the answer for that to the next question.
                    outcome = &mut reading => (asking.await, Some(outcome)),
                }
            };
            if let Some(outcome) = outcome {
                return outcome;
            }
            self.consider(business?)?;
            tokio::select! {
                outcome = &mut reading => return outcome,
                () = sleep(interval) => {}
            }
        }
    }

    fn consider(&mut self, business: Business) -> Result<()> {
        match (self.unpurged, business.unpurged) {
            (None, first) => self.unpurged = first,
            (Some(first), Some(now)) if has_piled_up(first, now) => {
                self.monitor.note(PILED_UP);
                self.unpurged = Some(u64::MAX);
            }
            _ => {}
        }
        match self.pace.limits().threads_running {
            Some(limit) if business.threads > limit => self.pause(business.threads, limit),
            _ => {
                self.go_on();
                Ok(())
            }
        }
    }

    /// Keeps the readers waiting, where they have not waited for too long.
    fn pause(&mut self, threads: u32, limit: u32) -> Result<()> {
        let Some(since) = self.since else {
            self.since = Some(Instant::now());
            self.pace.hold();
            let why = format!("paused: {threads} threads of others run, more than {limit}");
            self.monitor.waits(Some(&why));
            return Ok(());
        };
        if since.elapsed() < self.patience {
            return Ok(());
        }
        let seconds = self.patience.as_secs();
        let text = format!(
            "cannot read on: the server was too busy for {seconds} s, with {threads} threads of others"
        );
        Err(Error::new(Kind::Busy, text)
            .hint("try again when it is less busy, or allow more by --max-threads-running"))
    }

    fn go_on(&mut self) {
        let Some(since) = self.since.take() else { return };
        self.paused += since.elapsed();
        self.pace.release();
        self.monitor.waits(None);
        self.monitor.detail("reading goes on");
    }
}

const PILED_UP: &str = "the server keeps the old versions of what changes until the rows are read \
    (Innodb_history_list_length has grown by a million): read faster, or when less is written";

const fn has_piled_up(first: u64, now: u64) -> bool {
    now.saturating_sub(first) >= MANY_TRANSACTIONS
}

impl Connection {
    /// Returns how busy the server is with what is not the work of these connections.
    async fn read_business(&mut self, ours: &[u32]) -> Result<Business> {
        let ours: Vec<_> = ours.iter().map(u32::to_string).collect();
        let sql = format!(
            "SELECT (SELECT CAST(VARIABLE_VALUE AS UNSIGNED) FROM information_schema.GLOBAL_STATUS \
                     WHERE VARIABLE_NAME = 'THREADS_RUNNING'), \
                    (SELECT COUNT(*) FROM information_schema.PROCESSLIST \
                     WHERE ID IN ({}) AND COMMAND <> 'Sleep'), \
                    (SELECT CAST(VARIABLE_VALUE AS UNSIGNED) FROM information_schema.GLOBAL_STATUS \
                     WHERE VARIABLE_NAME = 'INNODB_HISTORY_LIST_LENGTH')",
            ours.join(", ")
        );
        let row = self.first("cannot ask how busy the server is", &sql).await?;
        let (running, own, unpurged): (u32, u32, Option<u64>) =
            row.expect("this SELECT has one row");
        Ok(Business { threads: running.saturating_sub(own), unpurged })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use crate::base::pace::Limits;
    use crate::source::mariadb::throwaway::server;

    use super::*;

    /// Keeps what it was told to wait for.
    #[derive(Default)]
    struct Waiting(Mutex<Vec<Option<String>>>);

    impl Monitor for Waiting {
        fn step(&self, _: &str, _: Option<u64>) {}
        fn advance(&self, _: u64) {}
        fn note(&self, _: &str) {}
        fn warn(&self, _: &str) {}
        fn waits(&self, why: Option<&str>) {
            self.0.lock().unwrap().push(why.map(str::to_owned));
        }
    }

    fn at_most(threads: u32) -> Pace {
        Pace::of(Limits { threads_running: Some(threads), ..Limits::default() })
    }

    /// Begins a statement that runs until the connection is dropped.
    async fn busy(connection: &mut Connection) -> u32 {
        let id = connection.id();
        tokio::select! {
            biased;
            ended = connection.execute("cannot sleep", "DO SLEEP(1000)") => panic!("{ended:?}"),
            () = until_it_runs(id) => id,
        }
    }

    async fn until_it_runs(id: u32) {
        let mut observer = server().connection().await;
        let sql = format!(
            "SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = {id} AND INFO LIKE 'DO %'"
        );
        while observer.first::<u32>("cannot look", &sql).await.unwrap().is_none() {}
    }

    #[tokio::test]
    async fn what_our_own_connections_run_does_not_count() {
        let (mut observer, mut reader) = (server().connection().await, server().connection().await);
        let own = busy(&mut reader).await;
        let ours = [observer.id(), own];
        let threads = async |observer: &mut Connection, ours: &[u32]| {
            observer.read_business(ours).await.unwrap().threads
        };
        // Tests beside this one run statements too; the least of many looks is what goes on.
        let mut least = [u32::MAX; 2];
        for _ in 0..200 {
            least[0] = least[0].min(threads(&mut observer, &ours).await);
            least[1] = least[1].min(threads(&mut observer, &ours[..1]).await);
        }
        assert!(least[0] < least[1], "{least:?}");
        server().run(&format!("KILL {own}"));
    }

    #[tokio::test]
    async fn readers_that_wait_for_too_long_fail_with_the_way_out() {
        let (mut observer, mut other) = (server().connection().await, server().connection().await);
        let other = busy(&mut other).await;
        let (pace, monitor) = (at_most(0), Waiting::default());
        let watch =
            Watch { patience: Duration::ZERO, ..Watch::new(&mut observer, &[], &pace, &monitor) };
        let error = watch.over(std::future::pending::<Result<()>>()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Busy);
        assert!(error.advice().unwrap().contains("--max-threads-running"));
        let told = monitor.0.lock().unwrap().clone();
        assert!(told[0].as_ref().unwrap().contains("more than 0"), "{told:?}");
        assert_eq!(told.last(), Some(&None), "{told:?}");
        pace.spend(1).await;
        server().run(&format!("KILL {other}"));
    }

    #[test]
    fn old_versions_pile_up_beyond_what_was_there_at_first() {
        assert!(has_piled_up(5, 5 + MANY_TRANSACTIONS));
        assert!(!has_piled_up(5, 4 + MANY_TRANSACTIONS));
        assert!(!has_piled_up(MANY_TRANSACTIONS, 5));
    }
}
