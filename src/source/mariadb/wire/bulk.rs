//! Rows in bulk: one prepared statement that runs for many rows, which come in one packet.

use crate::source::mariadb::wire::OK;
use crate::source::mariadb::wire::Outcome;
use crate::source::mariadb::wire::Result;
use crate::source::mariadb::wire::Wire;
use crate::source::mariadb::wire::answered;
use crate::source::mariadb::wire::outcome;
use crate::source::mariadb::wire::packets;
use crate::source::mariadb::wire::packets::malformed;

/// The command, and that it says of which types the values are.
const BULK_EXECUTE: u8 = 0xfa;
const WITH_TYPES: u16 = 128;

/// What stands before a value, or in its place.
const VALUE: u8 = 0;
const NULL: u8 = 1;

/// Texts up to this length have one byte for it, longer ones three or four.
const SHORT: usize = 250;

/// The type of all values of a column, by the protocol's number for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::source::mariadb) enum BulkType {
    /// A double.
    Double = 0x05,
    /// A number of eight bytes, with a sign.
    Integer = 0x08,
    /// Bytes, read as the session reads text.
    Text = 0xfd,
}

/// The packet of one bulk, before it is sent.
#[derive(Debug)]
pub(in crate::source::mariadb) struct Bulk {
    bytes: Vec<u8>,
    /// Where the types begin, two bytes each.
    types: usize,
    /// Where the rows begin.
    head: usize,
}

/// What the second byte of a type says of numbers that have no sign.
const UNSIGNED: u8 = 0x80;

impl Bulk {
    /// Returns a bulk of no rows of a prepared statement, whose parameters have these types.
    pub(in crate::source::mariadb) fn new(
        statement: u32,
        types: impl Iterator<Item = BulkType>,
    ) -> Self {
        let mut bytes = vec![0; packets::HEADER_BYTES];
        bytes.push(BULK_EXECUTE);
        bytes.extend_from_slice(&statement.to_le_bytes());
        bytes.extend_from_slice(&WITH_TYPES.to_le_bytes());
        let types_at = bytes.len();
        bytes.extend(types.flat_map(|it| [it as u8, 0]));
        let head = bytes.len();
        Self { bytes, types: types_at, head }
    }

    /// Takes back all rows.
    pub(in crate::source::mariadb) fn clear(&mut self) {
        self.bytes.truncate(self.head);
        self.bytes[self.types..].chunks_mut(2).for_each(|of_column| of_column[1] = 0);
    }

    /// Returns the size of the rows as they are sent.
    pub(in crate::source::mariadb) fn len(&self) -> usize {
        self.bytes.len() - self.head
    }

    /// Takes back what was added since it had this size.
    pub(in crate::source::mariadb) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(self.head + len);
    }

    /// Adds a value that is none.
    pub(in crate::source::mariadb) fn add_null(&mut self) {
        self.bytes.push(NULL);
    }

    /// Adds a number with a sign.
    pub(in crate::source::mariadb) fn add_integer(&mut self, number: i64) {
        self.add_number(number.to_le_bytes());
    }

    /// Adds a number that is too large for one with a sign: those of its column in this bulk have
    /// none. Of the same column are no negative ones.
    pub(in crate::source::mariadb) fn add_large(&mut self, column: usize, number: u64) {
        self.bytes[self.types + column * 2 + 1] = UNSIGNED;
        self.add_number(number.to_le_bytes());
    }

    /// Adds a number that need not be whole.
    pub(in crate::source::mariadb) fn add_double(&mut self, number: f64) {
        self.add_number(number.to_le_bytes());
    }

    fn add_number(&mut self, number: [u8; 8]) {
        self.bytes.push(VALUE);
        self.bytes.extend_from_slice(&number);
    }

    /// Adds a text; `None` where it is longer than any packet of ours.
    pub(in crate::source::mariadb) fn add_text(&mut self, text: &[u8]) -> Option<()> {
        match text.len() {
            short @ ..=SHORT => {
                self.bytes.extend_from_slice(&[VALUE, u8::try_from(short).ok()?]);
            }
            length => {
                let [low, middle, high, 0] = u32::try_from(length).ok()?.to_le_bytes() else {
                    return None;
                };
                self.bytes.extend_from_slice(&[VALUE, 0xfd, low, middle, high]);
            }
        }
        self.bytes.extend_from_slice(text);
        Some(())
    }
}

impl Wire {
    /// Prepares a statement for bulks; `None` where the server takes none.
    pub(in crate::source::mariadb) async fn prepare_bulks(
        &mut self,
        statement: &str,
    ) -> Result<Option<u32>> {
        if self.takes_bulks { self.prepare(statement).await.map(Some) } else { Ok(None) }
    }

    /// Sends a bulk, and does not wait for what the server says of it.
    pub(in crate::source::mariadb) async fn send_bulk(&mut self, bulk: &mut Bulk) -> Result<()> {
        Ok(self.packets.send_framed(&mut bulk.bytes).await?)
    }

    /// Waits for what the server says of the bulk that was sent first.
    pub(in crate::source::mariadb) async fn finish_bulk(&mut self) -> Result<Outcome> {
        self.packets.expect_answer();
        let packet = answered(self.packets.next().await?)?;
        if packet.first() != Some(&OK) {
            return Err(malformed("a bulk is answered by no outcome").into());
        }
        Ok(outcome(packet)?.0)
    }

    /// Forgets a statement that was prepared for bulks.
    pub(in crate::source::mariadb) async fn forget_bulks(&mut self, statement: u32) -> Result<()> {
        self.close(statement).await
    }
}
