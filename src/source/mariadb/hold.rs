//! Holds others off for the blink in which several connections open their snapshots.
//!
//! Whoever waits for us here waits for the whole service, so that everything is bounded: how long a
//! hold may be asked for, since new writers queue behind it; how long it may last; and, should this
//! process be stopped meanwhile, how long the server itself lets it last.
//!
//! The server may be far away, so that it is asked for all of a hold at once. The readers ask before,
//! and wait for their turn by a lock of our own; the guard passes it on when others are held off, and
//! lets these go on as soon as it has the turn again. A reader that began outside of the hold finds
//! the guard's other lock gone.

use std::time::Duration;

use futures_util::future::join;
use futures_util::future::join_all;
use tokio::time::Instant;
use tokio::time::sleep;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::failure;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::quote;

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

/// How long a reader waits for its turn, in seconds: for all that comes before it.
const TURN_SECONDS: u32 = if cfg!(test) { 5 } else { 10 };

/// How long the guard looks for readers that wait, and how often at most.
const LATEST: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(1);

const BEGIN: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

/// A way to hold others off: what leads to it, what does it, and what ends it.
pub(super) struct Hold {
    approach: &'static str,
    begin: &'static str,
    end: &'static str,
}

/// Holds commits, and lets running statements go on.
pub(super) const COMMITS: Hold = Hold {
    approach: "BACKUP STAGE START; BACKUP STAGE FLUSH; BACKUP STAGE BLOCK_DDL",
    begin: "BACKUP STAGE BLOCK_COMMIT",
    end: "BACKUP STAGE END",
};

/// Holds every write, and waits for those that run: for servers whose backup stages are taken.
pub(super) const WRITES: Hold =
    Hold { approach: "", begin: "FLUSH TABLES WITH READ LOCK", end: "UNLOCK TABLES" };

/// Opens the snapshots of all `readers` while others are held off, first by a connection that may be
/// there already.
pub(super) async fn open_snapshots(
    readers: &mut [Connection],
    mut guard: Option<Connection>,
    login: &Login,
    hold: &Hold,
) -> Result<()> {
    let mut outcome = Ok(());
    for _ in 0..TRIES {
        outcome = open_once(readers, guard.take(), login, hold).await;
        match &outcome {
            Err(error) if error.kind() == Kind::Busy => sleep(PAUSE).await,
            _ => break,
        }
    }
    outcome
}

async fn open_once(
    readers: &mut [Connection],
    guard: Option<Connection>,
    login: &Login,
    hold: &Hold,
) -> Result<()> {
    let mut guard = match guard {
        Some(guard) => guard,
        None => connect(login).await?,
    };
    // Where this fails, dropping the connection ends what has been reached.
    let turns = Turns::of(&guard);
    guard.approach(hold, &turns).await?;
    let ids: Vec<u32> = readers.iter().map(Connection::id).collect();
    let beginning = join_all(readers.iter_mut().map(|reader| reader.begin_in_turn(&turns)));
    let holding = async {
        guard.wait_for_readers(&ids).await?;
        let outcome = guard.hold(hold, &turns).await;
        // Readers that still wait for their turn get it.
        guard.close().await;
        outcome
    };
    let (begun, outcome) = join(beginning, holding).await;
    // Where the server has ended the hold by itself, this fails, and so did the hold.
    outcome?;
    let is_in_time = begun.into_iter().collect::<Result<Vec<bool>>>()?;
    if is_in_time.contains(&false) {
        let text = format!("cannot open all snapshots within {} ms", LONGEST.as_millis());
        return Err(Error::new(Kind::Busy, text));
    }
    Ok(())
}

/// Locks of our own, which keep nobody else waiting, as SQL texts.
struct Turns {
    /// Who has this one may begin: the guard while it approaches, and then one reader after the other.
    turn: String,
    /// The guard has this one until it lets others go on.
    held: String,
    guard: u32,
}

impl Turns {
    fn of(guard: &Connection) -> Self {
        let guard = guard.id();
        let name = |what: &str| quote::text(&format!("snap {what} {guard}"));
        Self { turn: name("turn"), held: name("held"), guard }
    }
}

impl Connection {
    /// Opens this connection's own snapshot; REPEATABLE READ is set for the session already.
    pub(super) async fn begin_snapshot(&mut self) -> Result<()> {
        self.execute("cannot open a snapshot", BEGIN).await
    }

    /// Opens this connection's own snapshot when it has its turn; returns whether others were held
    /// off until then.
    async fn begin_in_turn(&mut self, turns: &Turns) -> Result<bool> {
        const TOO_LATE: u16 = 1644;
        let Turns { turn, held, guard } = turns;
        // One statement: what is asked one after the other takes the network's time each.
        // Who gave up waiting for its turn may have begun before anybody was held off.
        let statement = format!(
            "BEGIN NOT ATOMIC SET @has_turn = GET_LOCK({turn}, {TURN_SECONDS}); {BEGIN}; \
             SET @is_held = COALESCE(@has_turn, 0) AND IS_USED_LOCK({held}) <=> {guard}; \
             DO RELEASE_LOCK({turn}); \
             IF NOT @is_held THEN SIGNAL SQLSTATE '45000'; END IF; END"
        );
        match self.execute("cannot open a snapshot", &statement).await {
            Err(error) if failure::server_code(&error) == Some(TOO_LATE) => Ok(false),
            begun => begun.map(|()| true),
        }
    }

    async fn approach(&mut self, hold: &Hold, turns: &Turns) -> Result<()> {
        let bounds = format!(
            "SET SESSION wait_timeout = {LONGEST_IDLE}, max_statement_time = {PATIENCE}; \
             DO GET_LOCK({}, 0), GET_LOCK({}, 0)",
            turns.turn, turns.held
        );
        self.execute("cannot bound how long others are held off", &bounds).await?;
        if !hold.approach.is_empty() {
            let doing = "cannot prepare to hold others off";
            let reached = self.execute(doing, hold.approach).await;
            // Who waited as long as this need not try again.
            reached.map_err(|error| match error.kind() {
                Kind::Busy => Error::failed(doing).caused_by(error),
                _ => error,
            })?;
        }
        Ok(())
    }

    /// Returns when all readers wait for their turn. Fails where they are late, or cannot be seen:
    /// the guard keeps others from changing tables meanwhile.
    async fn wait_for_readers(&mut self, ids: &[u32]) -> Result<()> {
        let list = ids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST \
             WHERE ID IN ({list}) AND STATE = 'User lock'"
        );
        let late = Instant::now() + LATEST;
        loop {
            let waiting: Option<usize> = self.first("cannot look for the readers", &sql).await?;
            if waiting == Some(ids.len()) {
                return Ok(());
            }
            if Instant::now() >= late {
                // Who waited as long as this need not try again.
                return Err(Error::failed("cannot see all readers wait for their turn"));
            }
            sleep(LOOK).await;
        }
    }

    /// Holds others off until all readers had their turn. The server is told all of it at once: nobody
    /// waits for the network.
    async fn hold(&mut self, hold: &Hold, turns: &Turns) -> Result<()> {
        let (Hold { begin, end, .. }, Turns { turn, held, .. }) = (hold, turns);
        let seconds = LONGEST.as_secs_f64();
        let statements = format!(
            "SET SESSION max_statement_time = {IMPATIENCE}; {begin}; \
             SET SESSION max_statement_time = 0; DO RELEASE_LOCK({turn}); \
             DO GET_LOCK({turn}, {seconds}); DO RELEASE_LOCK({held}); {end}"
        );
        self.execute("cannot hold others off", &statements).await
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;
    use tokio::net::UnixStream;

    use super::*;
    use crate::source::mariadb::login::Address;
    use crate::source::mariadb::moment;
    use crate::source::mariadb::throwaway::server;

    /// Returns a login by a network on which each way takes longer than a hold may last.
    async fn far_away() -> Login {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (from_client, to_client) = client.into_split();
                let server = UnixStream::connect(server().socket()).await.unwrap();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(carry(from_client, to_server));
                tokio::spawn(carry(from_server, to_client));
            }
        });
        let server_there = Address::Tcp { host: "localhost".to_owned(), port };
        let login = server().login(server().superuser(), Some("not needed"));
        Login { server: server_there, ..login }
    }

    async fn carry(
        mut from: impl tokio::io::AsyncRead + Unpin,
        mut to: impl tokio::io::AsyncWrite + Unpin,
    ) {
        let mut piece = vec![0; 1 << 16];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            sleep(LONGEST + LONGEST / 2).await;
            if to.write_all(&piece[..length]).await.is_err() {
                return;
            }
        }
    }

    #[tokio::test]
    async fn a_server_that_is_far_away_is_held_off_all_the_same() {
        let login = far_away().await;
        let mut readers = Vec::new();
        for _ in 0..3 {
            readers.push(moment::reader(&login).await.unwrap());
        }
        let guard = Some(connect(&login).await.unwrap());
        open_snapshots(&mut readers, guard, &login, &COMMITS).await.unwrap();
        for reader in &mut readers {
            let sql = "SELECT @@in_transaction";
            assert_eq!(reader.first("cannot ask", sql).await.unwrap(), Some(1));
        }
    }

    #[tokio::test]
    async fn a_reader_that_comes_after_the_hold_is_told_so() {
        let mut guard = server().connection().await;
        let mut reader = moment::reader(&server().login(server().superuser(), None)).await.unwrap();
        let turns = Turns::of(&guard);
        let take = format!("DO GET_LOCK({}, 0)", turns.held);
        guard.execute("cannot lock", &take).await.unwrap();
        assert!(reader.begin_in_turn(&turns).await.unwrap());
        let release = format!("DO RELEASE_LOCK({})", turns.held);
        guard.execute("cannot release", &release).await.unwrap();
        assert!(!reader.begin_in_turn(&turns).await.unwrap());
    }

    #[tokio::test]
    async fn a_reader_that_gives_up_waiting_for_its_turn_is_not_taken_for_one_that_had_it() {
        let mut guard = server().connection().await;
        let mut reader = moment::reader(&server().login(server().superuser(), None)).await.unwrap();
        let turns = Turns::of(&guard);
        let take = format!("DO GET_LOCK({}, 0), GET_LOCK({}, 0)", turns.turn, turns.held);
        guard.execute("cannot lock", &take).await.unwrap();
        assert!(!reader.begin_in_turn(&turns).await.unwrap());
    }
}
