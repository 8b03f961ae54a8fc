//! A connection to a MariaDB server, in a session that means the same on every server.
//!
//! A server may be set up in a hundred ways that change what a statement does: a `sql_mode`, a
//! `sql_select_limit` that cuts results in silence, `autocommit` off, messages in Greek. Every
//! connection starts by putting these right; `session` adds what reading and
//! loading need.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use mysql_async::ClientIdentity;
use mysql_async::Conn;
use mysql_async::Error as ClientError;
use mysql_async::Opts;
use mysql_async::OptsBuilder;
use mysql_async::Row;
use mysql_async::SslOpts;
use mysql_async::prelude::FromRow;
use mysql_async::prelude::Queryable as _;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::pace::Meter;
use crate::base::pace::Pace;
use crate::base::stages::Stage;
use crate::base::stages::Stages;
use crate::source::mariadb::failure;
use crate::source::mariadb::failure::Peer;
use crate::source::mariadb::infile::Offer;
use crate::source::mariadb::login::Address;
use crate::source::mariadb::login::Binlog;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::login::Secret;
use crate::source::mariadb::login::Tls;
use crate::source::mariadb::quote;
use crate::source::mariadb::wire::Wire;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// `Access denied for user`.
const ACCESS_DENIED: u16 = 1045;

/// A probe on an idle TCP connection finds a server that is gone; none of our own waits would.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(60);

/// What every session sets as `wait_timeout`.
const WAIT_SECONDS: usize = 86_400;

/// The largest packet of the protocol. A row may be larger than the packets that its server takes:
/// the server sends it, so that only the client's own limit can refuse it.
const MAX_PACKET_BYTES: usize = 1 << 30;

/// A connection that is logged in.
pub struct Connection {
    link: Link,
    is_local: bool,
    peer: Peer,
    offer: Offer,
    pace: Pace,
    stages: Stages,
}

/// Who speaks the protocol. Few connections make use of what they have in common.
pub(super) enum Link {
    /// Whatever may be asked.
    Client(Conn),
    /// Carries rows, and runs what that takes.
    Wire(Box<Wire>),
}

/// Returns a connection to the server that the login names.
pub async fn connect(login: &Login) -> Result<Connection> {
    let offer = Offer::at(login.pace.clone());
    let client = connect_within(login, &offer, CONNECT_TIMEOUT).await?;
    Box::pin(prepare(login, Link::Client(client), offer)).await
}

/// Returns a connection for many rows, to read them or to load them.
pub(super) async fn connect_for_rows(login: &Login) -> Result<Connection> {
    connect_for_rows_within(login, CONNECT_TIMEOUT).await
}

async fn connect_for_rows_within(login: &Login, limit: Duration) -> Result<Connection> {
    let offer = Offer::at(login.pace.clone());
    let wire = Wire::log_in(login, offer.clone(), MAX_PACKET_BYTES);
    match tokio::time::timeout(limit, wire).await {
        Ok(Ok(wire)) => Box::pin(prepare(login, Link::Wire(Box::new(wire)), offer)).await,
        // The client does more, and says better what is wrong.
        Ok(Err(_)) => Box::pin(connect(login)).await,
        Err(_) => Err(failure::silence(login, limit.as_secs())),
    }
}

async fn connect_within(login: &Login, offer: &Offer, limit: Duration) -> Result<Conn> {
    tokio::time::timeout(limit, log_in(login, offer))
        .await
        .map_err(|_| failure::silence(login, limit.as_secs()))?
        .map_err(|cause| failure::login_error(login, cause))
}

async fn prepare(login: &Login, link: Link, offer: Offer) -> Result<Connection> {
    let peer = Peer { server: login.server.to_string(), account: quote::identifier(&login.user) };
    let is_local = matches!(login.server, Address::Socket(_));
    let (pace, stages) = (login.pace.clone(), login.stages.clone());
    let mut connection = Connection { link, is_local, peer, offer, pace, stages };
    let greeting = connection.prepare_talking().await?;
    connection.peer.account = quote::account(&greeting.account);
    login.sessions.remember(&connection, greeting.server_started)?;
    if login.binlog == Binlog::Off {
        connection.leave_binlog().await?;
    }
    Ok(connection)
}

/// Logs in. One salt in 256 ends in a zero byte, which the client takes for an end: then it gives
/// a wrong answer for `ed25519` and panics for `parsec`. Another attempt gets another salt.
async fn log_in(login: &Login, offer: &Offer) -> std::result::Result<Conn, ClientError> {
    let attempt = || Conn::new(options(login, offer));
    match AssertUnwindSafe(attempt()).catch_unwind().await {
        Ok(Err(ClientError::Server(refusal))) if refusal.code != ACCESS_DENIED => {
            Err(ClientError::Server(refusal))
        }
        Err(_) | Ok(Err(ClientError::Server(_))) => attempt().await,
        Ok(attempted) => attempted,
    }
}

impl Connection {
    /// Returns the account that the server took us for, quoted as in a `GRANT`.
    pub fn account(&self) -> &str {
        &self.peer.account
    }

    /// Returns whether the server runs on this host.
    pub(super) const fn is_local(&self) -> bool {
        self.is_local
    }

    /// Tells the server goodbye. Without, the server finds out by itself, later.
    pub async fn close(self) {
        // Whatever was asked of the server is answered by now; a lost goodbye changes nothing.
        if let Link::Client(client) = self.link {
            client.disconnect().await.ok();
        }
    }

    /// Returns the client's connection, for what only that can do.
    pub(super) fn raw(&mut self) -> &mut Conn {
        match &mut self.link {
            Link::Client(client) => client,
            Link::Wire(_) => {
                unreachable!("a connection that carries rows is asked for nothing else")
            }
        }
    }

    /// Returns who speaks the protocol, for rows that are streamed.
    pub(super) const fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// Returns the number by which the server knows the connection.
    pub(super) fn id(&self) -> u32 {
        match &self.link {
            Link::Client(client) => client.id(),
            Link::Wire(wire) => wire.id(),
        }
    }

    /// Returns the bytes that a statement may load.
    pub(super) const fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Returns what counts the rows that this connection reads.
    pub(super) fn meter(&self, stage: Stage) -> Meter {
        self.pace.meter(self.stages.begin(), stage)
    }

    /// Returns where the time goes.
    pub(super) const fn stages(&self) -> &Stages {
        &self.stages
    }

    /// Returns who explains the errors of [`raw`](Self::raw).
    pub(super) fn peer(&self) -> Peer {
        self.peer.clone()
    }

    /// Returns the rows that the last statement changed.
    pub(super) fn affected_rows(&self) -> u64 {
        match &self.link {
            Link::Client(client) => client.affected_rows(),
            Link::Wire(wire) => wire.outcome().affected_rows,
        }
    }

    /// Returns how often the server has something to say against the last statement.
    pub(super) fn warning_count(&self) -> u16 {
        match &self.link {
            Link::Client(client) => client.get_warnings(),
            Link::Wire(wire) => wire.outcome().warnings,
        }
    }

    /// Runs a statement that returns nothing; `doing` says `cannot {do} {thing}`.
    pub(super) async fn execute(&mut self, doing: &str, statement: &str) -> Result<()> {
        self.try_execute(statement).await.map_err(|cause| self.peer.error(doing, cause))
    }

    /// Runs a statement that returns nothing, whose errors the caller tells apart.
    pub(super) async fn try_execute(
        &mut self,
        statement: &str,
    ) -> std::result::Result<(), ClientError> {
        match &mut self.link {
            Link::Client(client) => client.query_drop(statement).await,
            Link::Wire(wire) => wire.execute(statement).await,
        }
    }

    /// Returns all rows of a small result; `doing` says `cannot {do} {thing}`.
    pub(super) async fn rows<T: FromRow>(
        &mut self,
        doing: &str,
        statement: &str,
    ) -> Result<Vec<T>> {
        let rows: std::result::Result<Vec<Row>, _> = match &mut self.link {
            Link::Client(client) => client.query(statement).await,
            Link::Wire(wire) => wire.rows(statement).await,
        };
        typed(doing, rows.map_err(|cause| self.peer.error(doing, cause))?)
    }

    /// Returns the rows of each small result of several statements, which are asked in one go: however
    /// far the server is, they take the time of one. A statement without a result has no place.
    pub(super) async fn answers<T: FromRow>(
        &mut self,
        doing: &str,
        statements: &str,
    ) -> Result<Vec<Vec<T>>> {
        let answers = match &mut self.link {
            Link::Client(client) => answers(client, statements).await,
            Link::Wire(wire) => wire.answers(statements).await,
        };
        let answers = answers.map_err(|cause| self.peer.error(doing, cause))?;
        answers.into_iter().map(|rows| typed(doing, rows)).collect()
    }

    /// Returns the first row of a small result; `doing` says `cannot {do} {thing}`.
    pub(super) async fn first<T: FromRow>(
        &mut self,
        doing: &str,
        statement: &str,
    ) -> Result<Option<T>> {
        Ok(self.rows(doing, statement).await?.into_iter().next())
    }

    /// Runs one statement in the character set of its own session; `doing` as everywhere.
    ///
    /// It is prepared, so that a second statement behind a semicolon is refused.
    pub(super) async fn execute_bytes(&mut self, doing: &str, statement: Vec<u8>) -> Result<()> {
        let outcome = self.raw().exec_drop(statement, ()).await;
        outcome.map_err(|cause| self.peer.error(doing, cause))
    }
}

/// Returns the rows of each result that the client reads.
async fn answers(
    client: &mut Conn,
    statements: &str,
) -> std::result::Result<Vec<Vec<Row>>, ClientError> {
    let mut result = client.query_iter(statements).await?;
    let mut answers = Vec::new();
    loop {
        let has_rows = !result.columns_ref().is_empty();
        let rows = result.collect().await?;
        if has_rows {
            answers.push(rows);
        }
        if result.is_empty() {
            // Where a statement failed, there is nothing more but the failure.
            return result.drop_result().await.map(|()| answers);
        }
    }
}

/// Returns rows as values of some type; `doing` as everywhere.
pub(super) fn typed<T: FromRow>(doing: &str, rows: Vec<Row>) -> Result<Vec<T>> {
    let typed = rows.into_iter().map(T::from_row_opt).collect::<std::result::Result<_, _>>();
    typed.map_err(|_| Error::failed(format!("{doing}: the server answers in an unknown form")))
}

fn options(login: &Login, offer: &Offer) -> Opts {
    let options = OptsBuilder::default()
        .user(Some(login.user.as_str()))
        .pass(login.password.as_ref().map(Secret::reveal))
        // A statement that was prepared belongs to the database that was selected then.
        .stmt_cache_size(Some(0))
        // The client would ask for it; the session sets it anyway.
        .wait_timeout(Some(WAIT_SECONDS))
        .max_allowed_packet(Some(MAX_PACKET_BYTES))
        .local_infile_handler(Some(offer.clone()))
        // The client would leave TCP for a socket that the server names: not what was asked for.
        .prefer_socket(false);
    match &login.server {
        // The client breaks the login where it asks for TLS over a socket; it needs none there.
        Address::Socket(path) => options.socket(Some(path.to_string_lossy())).into(),
        Address::Tcp { host, port } => options
            .ip_or_hostname(host)
            .tcp_port(*port)
            .tcp_keepalive(Some(KEEPALIVE))
            .ssl_opts(login.tls.as_ref().map(encryption))
            .into(),
    }
}

fn encryption(tls: &Tls) -> SslOpts {
    let identity = tls.certificate.clone().zip(tls.key.clone());
    let identity = identity.map(|(chain, key)| ClientIdentity::new(chain.into(), key.into()));
    SslOpts::default()
        .with_client_identity(identity)
        // Whoever names an authority wants no other asked.
        .with_disable_built_in_roots(tls.authority.is_some())
        .with_root_certs(tls.authority.clone().map(Into::into).into_iter().collect())
        .with_danger_accept_invalid_certs(!tls.is_verified())
}

#[cfg(test)]
mod tests;
