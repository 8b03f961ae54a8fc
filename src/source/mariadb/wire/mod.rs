//! A connection that carries rows: it reads them where they lie in their packets, and sends them in
//! packets that are made of lines at once.
//!
//! The client that the other connections use makes a value of every field, with memory of its own,
//! before anybody sees it: more work than all that is done with the rows otherwise. This speaks as
//! much of the protocol as rows need: a login by the socket or a password, on this host or by TCP and
//! TLS; statements without parameters, the file of a `LOAD DATA LOCAL`, prepared queries, bulks. What
//! else a login may take (other proofs of who we are) is left to the client.

pub(super) mod bulk;
mod far;
mod login;
pub(super) mod packets;

use std::sync::Arc;

use futures_util::StreamExt as _;
use mysql_async::Column;
use mysql_async::Error as ClientError;
use mysql_async::Row;
use mysql_async::ServerError;
use mysql_async::consts::CapabilityFlags;
use mysql_async::consts::StatusFlags;
use mysql_async::prelude::GlobalHandler as _;
use mysql_common::io::ParseBuf;
use mysql_common::packets::CommonOkPacket;
use mysql_common::packets::ErrPacket;
use mysql_common::packets::OkPacketDeserializer;
use mysql_common::packets::OldEofPacket;
use mysql_common::proto::Text;
use mysql_common::row::RowDeserializer;
use mysql_common::value::ServerSide;

use crate::source::mariadb::infile::Offer;
use crate::source::mariadb::wire::packets::Batch;
use crate::source::mariadb::wire::packets::Packets;
use crate::source::mariadb::wire::packets::malformed;

/// What we can do, of what the server can. Results end in `EOF` packets without more of it. A client
/// that does not say `CLIENT_LONG_PASSWORD` is one of MariaDB, and asked what else it can.
const CAPABILITIES: CapabilityFlags = CapabilityFlags::CLIENT_PROTOCOL_41
    .union(CapabilityFlags::CLIENT_SECURE_CONNECTION)
    .union(CapabilityFlags::CLIENT_LOCAL_FILES)
    .union(CapabilityFlags::CLIENT_TRANSACTIONS)
    .union(CapabilityFlags::CLIENT_MULTI_STATEMENTS)
    .union(CapabilityFlags::CLIENT_MULTI_RESULTS)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH);

/// The commands of the protocol that are used.
const QUIT: u8 = 0x01;
const QUERY: u8 = 0x03;
const PREPARE: u8 = 0x16;
const EXECUTE: u8 = 0x17;
const CLOSE: u8 = 0x19;

/// What stands for the number of the statement that was prepared last.
const LAST_PREPARED: u32 = u32::MAX;

/// The longest query that is sent ahead. The server takes it in when it has sent all rows before it,
/// and we take none of these while it is sent: until then it has to lie in between.
const LONGEST_AHEAD: usize = 16 << 10;

/// What the first byte of a packet says.
const OK: u8 = 0x00;
const END: u8 = 0xfe;
const ERROR: u8 = 0xff;
const FILE_WANTED: u8 = 0xfb;

/// The longest packet that can be an `EOF`: anything longer that begins as one is a row.
const LONGEST_END: usize = 8;

type Result<T> = std::result::Result<T, ClientError>;

/// A connection that is logged in.
pub(super) struct Wire {
    packets: Packets,
    id: u32,
    /// The prepared query whose rows are being read.
    query: Option<u32>,
    /// The query that was sent ahead, and is answered next.
    ahead: Option<String>,
    /// The one file that the server may ask for.
    offer: Offer,
    takes_bulks: bool,
    outcome: Outcome,
}

/// What the server said of the last statement that it ran to its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The rows that it changed.
    pub(super) affected_rows: u64,
    /// How often it has something to say against it.
    pub(super) warnings: u16,
}

impl Wire {
    /// Returns the number by which the server knows the connection.
    pub(super) const fn id(&self) -> u32 {
        self.id
    }

    /// Returns what the server said of the last statement.
    pub(super) const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Runs statements that return nothing.
    pub(super) async fn execute(&mut self, statement: &str) -> Result<()> {
        self.rows(statement).await.map(drop)
    }

    /// Returns all rows of a small result: of the first one, where there are several statements.
    pub(super) async fn rows(&mut self, statement: &str) -> Result<Vec<Row>> {
        let mut answers = self.results(statement).await?.into_iter();
        Ok(answers.next().flatten().unwrap_or_default())
    }

    /// Returns the rows of each small result of several statements.
    pub(super) async fn answers(&mut self, statements: &str) -> Result<Vec<Vec<Row>>> {
        Ok(self.results(statements).await?.into_iter().flatten().collect())
    }

    /// Returns the rows of each statement; `None` for one without a result.
    async fn results(&mut self, statements: &str) -> Result<Vec<Option<Vec<Row>>>> {
        self.command(QUERY, statements.as_bytes()).await?;
        let mut results = Vec::new();
        loop {
            let (rows, goes_on) = self.result().await?;
            results.push(rows);
            if !goes_on {
                return Ok(results);
            }
        }
    }

    /// Returns the rows of one result, and whether another one follows.
    async fn result(&mut self) -> Result<(Option<Vec<Row>>, bool)> {
        let mut packet = answered(self.packets.next().await?)?;
        if packet.first() == Some(&FILE_WANTED) {
            let name = packet[1..].to_vec();
            self.send_file(&name).await?;
            packet = self.packets.current();
        }
        if packet.first() == Some(&OK) {
            let status;
            (self.outcome, status) = outcome(packet)?;
            return Ok((None, goes_on(status)));
        }
        let mut rows = Vec::new();
        let count = count(packet)?;
        let columns: Arc<[Column]> = self.columns(count).await?.into();
        loop {
            let packet = answered(self.packets.next().await?)?;
            if is_end(packet) {
                let end: OkPacketDeserializer<'_, OldEofPacket> =
                    ParseBuf(packet).parse(CAPABILITIES)?;
                let end = end.into_inner();
                self.outcome = Outcome { affected_rows: 0, warnings: end.warnings() };
                return Ok((Some(rows), goes_on(end.status_flags())));
            }
            let row =
                ParseBuf(packet).parse::<RowDeserializer<ServerSide, Text>>(columns.clone())?;
            rows.push(row.into_inner());
        }
    }

    /// Sends the file that a server asks for, and waits for what it has to say. One that was not
    /// offered ends the connection: the server would take for it whatever it is sent next.
    async fn send_file(&mut self, name: &[u8]) -> Result<()> {
        let mut pieces = match self.offer.handle(name).await {
            Ok(pieces) => pieces,
            Err(refused) => {
                self.packets.shut().await;
                return Err(refused.into());
            }
        };
        while let Some(piece) = pieces.next().await {
            self.packets.send(&piece?).await?;
        }
        self.packets.send(&[]).await?;
        answered(self.packets.next().await?).map(drop)
    }

    /// Prepares a statement; returns the number by which the server knows it.
    async fn prepare(&mut self, statement: &str) -> Result<u32> {
        self.command(PREPARE, statement.as_bytes()).await?;
        self.prepared().await
    }

    async fn prepared(&mut self) -> Result<u32> {
        let packet = answered(self.packets.next().await?)?;
        let &[OK, a, b, c, d, low, high, of_low, of_high, ..] = packet else {
            return Err(malformed("a prepared statement is cut short").into());
        };
        self.columns(u16::from_le_bytes([of_low, of_high]).into()).await?;
        self.columns(u16::from_le_bytes([low, high]).into()).await?;
        Ok(u32::from_le_bytes([a, b, c, d]))
    }

    async fn close(&mut self, statement: u32) -> Result<()> {
        Ok(self.packets.send_command(&[&[CLOSE], &statement.to_le_bytes()[..]].concat()).await?)
    }

    /// Begins a query whose rows come in the binary form; returns its columns. It is prepared and run
    /// in one go: a server that is far away takes as long for each as for both.
    pub(super) async fn query(&mut self, statement: &str) -> Result<Vec<Column>> {
        if self.ahead.as_deref() == Some(statement) {
            self.pass_over().await?;
            self.ahead = None;
        } else {
            self.command(PREPARE, statement.as_bytes()).await?;
            self.packets.send_ahead(&run_last_prepared()).await?;
        }
        self.begun().await
    }

    /// Begins a query, returns its columns, and sends the next one ahead, unless it is too long: the server
    /// goes on with it at once.
    pub(super) async fn query_before(
        &mut self,
        statement: &str,
        next: Option<&str>,
    ) -> Result<Vec<Column>> {
        let columns = self.query(statement).await?;
        if let Some(next) = next.filter(|next| next.len() <= LONGEST_AHEAD) {
            self.packets.send_ahead(&[&[PREPARE], next.as_bytes()].concat()).await?;
            self.packets.send_ahead(&run_last_prepared()).await?;
            self.ahead = Some(next.to_owned());
        }
        Ok(columns)
    }

    /// Returns the columns of the query that was prepared and run.
    async fn begun(&mut self) -> Result<Vec<Column>> {
        self.packets.expect_answer();
        let id = match self.prepared().await {
            Err(ClientError::Server(refused)) => {
                return Err(self.refused_twice(refused).await);
            }
            prepared => prepared?,
        };
        self.packets.expect_answer();
        match self.running().await {
            Ok(columns) => {
                self.query = Some(id);
                Ok(columns)
            }
            Err(cause) => {
                // Whoever is gone has closed it.
                self.close(id).await.ok();
                Err(cause)
            }
        }
    }

    async fn running(&mut self) -> Result<Vec<Column>> {
        let count = count(answered(self.packets.next().await?)?)?;
        self.columns(count).await
    }

    /// Waits until the server has refused to run what it has refused to prepare; returns why it did.
    /// Whoever runs something else is asked nothing more.
    async fn refused_twice(&mut self, refused: ServerError) -> ClientError {
        self.packets.expect_answer();
        if matches!(self.packets.next().await, Ok([ERROR, ..])) {
            return ClientError::Server(refused);
        }
        self.packets.shut().await;
        malformed(&format!("what was not prepared was run: {refused}")).into()
    }

    /// Returns the packets of those of the query's next rows that have arrived, one at least; `None`
    /// at the end.
    pub(super) async fn next_rows(&mut self) -> Result<Option<Batch<'_>>> {
        let Some(id) = self.query else { return Ok(None) };
        match self.packets.next().await?.first() {
            Some(&OK) => Ok(Some(self.packets.together()?)),
            Some(&END) => {
                self.query = None;
                self.close(id).await?;
                Ok(None)
            }
            _ => {
                self.query = None;
                // Whoever is gone has closed it.
                self.close(id).await.ok();
                answered(self.packets.current())?;
                Err(malformed("a row is none").into())
            }
        }
    }

    /// Sends a command. What was left of a result before is not wanted any more.
    async fn command(&mut self, command: u8, rest: &[u8]) -> Result<()> {
        self.pass_over().await?;
        if self.ahead.take().is_some() {
            unless_refused(self.begun().await.map(drop))?;
            self.pass_over().await?;
        }
        Ok(self.packets.send_command(&[&[command], rest].concat()).await?)
    }

    /// Passes over the rows of a query that nobody wants any more, and over its failure.
    async fn pass_over(&mut self) -> Result<()> {
        loop {
            match self.next_rows().await {
                Ok(Some(_)) => {}
                end => return unless_refused(end.map(drop)),
            }
        }
    }

    async fn columns(&mut self, count: usize) -> Result<Vec<Column>> {
        let mut columns = Vec::with_capacity(count);
        for _ in 0..count {
            columns.push(ParseBuf(self.packets.next().await?).parse(())?);
        }
        if count > 0 && !is_end(answered(self.packets.next().await?)?) {
            return Err(malformed("columns do not end").into());
        }
        Ok(columns)
    }
}

impl Drop for Wire {
    /// Says goodbye: whoever goes without is counted and logged by the server as cut off.
    fn drop(&mut self) {
        self.packets.try_send_command(&[QUIT]);
    }
}

/// Returns the command that runs what was prepared last: without a cursor, and once.
fn run_last_prepared() -> Vec<u8> {
    [&[EXECUTE], &LAST_PREPARED.to_le_bytes()[..], &[0], &1_u32.to_le_bytes()].concat()
}

/// Returns an error unless it is an answer of the server, which goes on then.
fn unless_refused(outcome: Result<()>) -> Result<()> {
    if matches!(outcome, Err(ClientError::Server(_))) { Ok(()) } else { outcome }
}

/// Returns a packet unless it is the server's error.
fn answered(packet: &[u8]) -> Result<&[u8]> {
    if packet.first() != Some(&ERROR) {
        return Ok(packet);
    }
    // Before a login the server does not yet send a state.
    let has_state = packet.get(3) == Some(&b'#');
    let capabilities = if has_state { CAPABILITIES } else { CapabilityFlags::empty() };
    let ErrPacket::Error(error) = ParseBuf(packet).parse(capabilities)? else {
        return Err(malformed("a report of progress was not asked for").into());
    };
    Err(ClientError::Server(ServerError {
        code: error.error_code(),
        message: error.message_str().into_owned(),
        state: error.sql_state_ref().map_or_else(String::new, |state| state.as_str().into_owned()),
    }))
}

/// Returns what a packet says of a statement that was run.
fn outcome(packet: &[u8]) -> Result<(Outcome, StatusFlags)> {
    let ok: OkPacketDeserializer<'_, CommonOkPacket> = ParseBuf(packet).parse(CAPABILITIES)?;
    let ok = ok.into_inner();
    let outcome = Outcome { affected_rows: ok.affected_rows(), warnings: ok.warnings() };
    Ok((outcome, ok.status_flags()))
}

fn goes_on(status: StatusFlags) -> bool {
    status.contains(StatusFlags::SERVER_MORE_RESULTS_EXISTS)
}

fn is_end(packet: &[u8]) -> bool {
    packet.first() == Some(&END) && packet.len() <= LONGEST_END
}

/// Returns the number of columns of a result; no server has more than 4,096.
fn count(packet: &[u8]) -> Result<usize> {
    match packet {
        [count @ 1..=0xfa] => Ok((*count).into()),
        [0xfc, low, high] => Ok(u16::from_le_bytes([*low, *high]).into()),
        _ => Err(malformed("a result has no columns").into()),
    }
}

#[cfg(test)]
mod tests;
