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

/// The type of the values of a column, by the protocol's number for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::source::mariadb) enum BulkType {
    /// One byte.
    Int8 = 0x01,
    /// Two bytes.
    Int16 = 0x02,
    /// Four bytes.
    Int32 = 0x03,
    /// Eight bytes of a number that need not be whole.
    Double = 0x05,
    /// As many bytes as it takes, their number before them; and those that follow.
    Timestamp = 0x07,
    /// Eight bytes.
    Int64 = 0x08,
    /// A date without a time.
    Date = 0x0a,
    /// A time that may be negative, and longer than a day.
    Time = 0x0b,
    /// A date with a time.
    DateTime = 0x0c,
    /// Text, read as the session reads it.
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
    /// The columns of which a number is negative.
    negative: Vec<bool>,
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
        let negative = vec![false; (head - types_at) / 2];
        Self { bytes, types: types_at, head, negative }
    }

    /// Takes back all rows.
    pub(in crate::source::mariadb) fn clear(&mut self) {
        self.bytes.truncate(self.head);
        self.bytes[self.types..].chunks_mut(2).for_each(|of_column| of_column[1] = 0);
        self.negative.fill(false);
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

    /// Adds a value in its bytes.
    #[inline]
    pub(in crate::source::mariadb) fn add(&mut self, value: &[u8]) {
        self.bytes.push(VALUE);
        // Most are numbers: those of a known size are moved at once.
        if let Ok(eight) = <&[u8; 8]>::try_from(value) {
            self.bytes.extend_from_slice(eight);
        } else if let Ok(four) = <&[u8; 4]>::try_from(value) {
            self.bytes.extend_from_slice(four);
        } else {
            self.bytes.extend_from_slice(value);
        }
    }

    /// Adds a text of less than 251 bytes.
    pub(in crate::source::mariadb) fn add_short_text(&mut self, text: &[u8]) {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 251);
        self.add(&[length.expect("it is the text of a number")]);
        self.bytes.extend_from_slice(text);
    }

    /// Says that the numbers of a column in this bulk have no sign; `None` where one is negative.
    pub(in crate::source::mariadb) fn mark_unsigned(&mut self, column: usize) -> Option<()> {
        self.bytes[self.types + column * 2 + 1] = UNSIGNED;
        self.is_of_one_sign(column)
    }

    /// Says that a number of a column in this bulk is negative; `None` where they have no sign.
    pub(in crate::source::mariadb) fn mark_negative(&mut self, column: usize) -> Option<()> {
        self.negative[column] = true;
        self.is_of_one_sign(column)
    }

    fn is_of_one_sign(&self, column: usize) -> Option<()> {
        let is_unsigned = self.bytes[self.types + column * 2 + 1] == UNSIGNED;
        (!is_unsigned || !self.negative[column]).then_some(())
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
