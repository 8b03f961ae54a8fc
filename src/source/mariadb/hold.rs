//! Holds others off for the blink in which several connections open their snapshots.
//!
//! Whoever waits for us here waits for the whole service, so that everything is bounded: how long a
//! hold may be asked for, since new writers queue behind it; how long it may last; and, should this
//! process be stopped meanwhile, how long the server itself lets it last.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::login::Login;

/// How often a hold is tried, with a pause in which others get on.
const TRIES: u32 = 12;
const PAUSE: Duration = Duration::from_millis(50);

/// How long a hold may last. With [`IMPATIENCE`] nobody waits longer than 50 ms.
const LONGEST: Duration = Duration::from_millis(30);

/// The server ends a session that is idle for so many seconds, and with it the hold.
const LONGEST_IDLE: u32 = 1;

/// How long may be waited, in seconds, where nobody waits behind us who writes to tables of engines
/// with transactions; and where everybody does.
const PATIENCE: &str = "2";
const IMPATIENCE: &str = "0.02";

/// A way to hold others off: what leads to it, what does it, and what ends it.
pub(super) struct Hold {
    approach: &'static [&'static str],
    begin: &'static str,
    end: &'static str,
}

/// Holds commits, and lets running statements go on.
pub(super) const COMMITS: Hold = Hold {
    approach: &["BACKUP STAGE START", "BACKUP STAGE FLUSH", "BACKUP STAGE BLOCK_DDL"],
    begin: "BACKUP STAGE BLOCK_COMMIT",
    end: "BACKUP STAGE END",
};

/// Holds every write, and waits for those that run: for servers whose backup stages are taken.
pub(super) const WRITES: Hold =
    Hold { approach: &[], begin: "FLUSH TABLES WITH READ LOCK", end: "UNLOCK TABLES" };

/// Opens the snapshots of all `readers` while others are held off.
pub(super) async fn open_snapshots(
    readers: &mut [Connection],
    login: &Login,
    hold: &Hold,
) -> Result<()> {
    let mut outcome = Ok(());
    for _ in 0..TRIES {
        outcome = open_once(readers, login, hold).await;
        match &outcome {
            Err(error) if error.kind() == Kind::Busy => sleep(PAUSE).await,
            _ => break,
        }
    }
    outcome
}

async fn open_once(readers: &mut [Connection], login: &Login, hold: &Hold) -> Result<()> {
    let mut guard = connect(login).await?;
    // Where this fails, dropping the connection ends what has been reached.
    guard.approach(hold).await?;
    guard.wait_at_most(IMPATIENCE).await?;
    guard.execute("cannot hold others off", hold.begin).await?;
    let mut begun = pin!(join_all(readers.iter_mut().map(Connection::begin_snapshot)));
    let in_time = timeout(LONGEST, &mut begun).await;
    // Where the server has ended the hold by itself, this fails, and so did the hold.
    let ended = guard.execute("cannot let others go on", hold.end).await;
    guard.close().await;
    // Whatever failed, every answer is taken before a reader asks again.
    let is_late = in_time.is_err();
    let begun = match in_time {
        Ok(begun) => begun,
        Err(_) => begun.await,
    };
    ended?;
    if is_late {
        let text = format!("cannot open all snapshots within {} ms", LONGEST.as_millis());
        return Err(Error::new(Kind::Busy, text));
    }
    begun.into_iter().collect()
}

impl Connection {
    /// Opens this connection's own snapshot; REPEATABLE READ is set for the session already.
    pub(super) async fn begin_snapshot(&mut self) -> Result<()> {
        let statement = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
        self.execute("cannot open a snapshot", statement).await
    }

    async fn approach(&mut self, hold: &Hold) -> Result<()> {
        let bound = format!("SET SESSION wait_timeout = {LONGEST_IDLE}");
        self.execute("cannot bound how long others are held off", &bound).await?;
        self.wait_at_most(PATIENCE).await?;
        for stage in hold.approach {
            let reached = self.execute("cannot prepare to hold others off", stage).await;
            // Who waited as long as this need not try again.
            reached.map_err(|error| match error.kind() {
                Kind::Busy => Error::failed("cannot prepare to hold others off").caused_by(error),
                _ => error,
            })?;
        }
        Ok(())
    }

    async fn wait_at_most(&mut self, seconds: &str) -> Result<()> {
        let bound = format!("SET SESSION max_statement_time = {seconds}");
        self.execute("cannot bound how long others wait", &bound).await
    }
}
