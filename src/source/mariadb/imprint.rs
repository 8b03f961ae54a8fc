//! What the rows of a chunk looked like on their way from the server, by which the next snapshot sees
//! that they are as they were without writing a line.
//!
//! Equal packets of columns that are described equally are equal lines. Whoever writes to the database
//! chooses what is in the packets, and could hide a change behind an equal digest: so it is a
//! cryptographic one. BLAKE3 takes a third of the time of SHA-256 for packets that come together.

use blake3::Hasher;
use mysql_async::Column;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use crate::base::digest::RowsDigest;

/// Names the form of the lines too: another one must be written, whatever the packets are.
const ALGORITHM: &str = "blake3-of-packets-as-tsv-1:";

/// What is noted of a chunk beside its lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Imprint {
    /// The digest of the packets and of their columns.
    sent: String,
    /// The size of the packets with their headers, in bytes.
    pub(super) sent_bytes: u64,
    /// The digest of the lines.
    rows_digest: String,
}

impl Imprint {
    /// Returns what was noted of a chunk; `None` where nothing was, or nothing that is understood.
    pub(super) fn parse(noted: &Value) -> Option<Self> {
        serde_json::from_value(noted.clone()).ok()
    }

    /// Returns what [`parse`](Self::parse) takes.
    pub(super) fn to_note(&self) -> Value {
        serde_json::to_value(self).expect("strings and a number are JSON")
    }

    /// Returns the digest of the lines, of which there are so many; `None` where it is of a kind that is
    /// not made any more.
    pub(super) fn rows_digest(&self, rows: u64) -> Option<RowsDigest> {
        let digest = RowsDigest::parse(&self.rows_digest, rows).ok()?;
        (digest.emptied() == RowsDigest::default()).then_some(digest)
    }

    /// Returns whether packets that were traced are those of this chunk.
    pub(super) fn is_of(&self, packets: &PacketsHash, columns: &ColumnsHash) -> bool {
        packets.bytes == self.sent_bytes && packets.digest(columns) == self.sent
    }
}

/// The hash of what describes the columns of a result, as far as it says what their values mean.
pub(super) struct ColumnsHash([u8; blake3::OUT_LEN]);

impl ColumnsHash {
    /// Returns the hash for a result of these columns.
    pub(super) fn of(columns: &[Column]) -> Self {
        let mut hasher = Hasher::new();
        for column in columns {
            hasher.update(&[column.column_type() as u8, column.decimals()]);
            hasher.update(&column.flags().bits().to_le_bytes());
            hasher.update(&column.character_set().to_le_bytes());
            hasher.update(&column.column_length().to_le_bytes());
        }
        Self(*hasher.finalize().as_bytes())
    }
}

/// The hash of packets that went by, and their size.
#[derive(Clone, Default)]
pub(super) struct PacketsHash {
    hasher: Box<Hasher>,
    bytes: u64,
}

impl PacketsHash {
    /// Adds packets with their headers.
    pub(super) fn add(&mut self, frames: &[u8]) {
        self.hasher.update(frames);
        self.bytes += frames.len() as u64;
    }

    /// Returns how many bytes were added.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    fn digest(&self, columns: &ColumnsHash) -> String {
        let mut hasher = Hasher::new();
        hasher.update(&columns.0).update(self.hasher.finalize().as_bytes());
        format!("{ALGORITHM}{}", hasher.finalize().to_hex())
    }
}

/// What is noted of the rows of a piece while they pass.
#[derive(Clone, Default)]
pub(super) struct Trace {
    rows: RowsDigest,
    packets: PacketsHash,
    is_blind: bool,
}

impl Trace {
    /// Adds a row by the hash of its line.
    pub(super) fn add_row(&mut self, hash: u128) {
        self.rows.add_hash(hash);
    }

    /// Adds packets with their headers; `None` for rows whose packets were not seen, without which there
    /// is no imprint.
    pub(super) fn add_packets(&mut self, frames: Option<&[u8]>) {
        match frames {
            Some(frames) => self.packets.add(frames),
            None => self.is_blind = true,
        }
    }

    /// Returns the imprint of all that was added; `None` where some of it was not seen, or its packets take
    /// more than `longest` bytes: who reads them again holds them until they are known.
    pub(super) fn imprint(&self, columns: &ColumnsHash, longest: u64) -> Option<Imprint> {
        let is_short = self.packets.bytes <= longest;
        (is_short && !self.is_blind).then(|| Imprint {
            sent: self.packets.digest(columns),
            sent_bytes: self.packets.bytes,
            rows_digest: self.rows.to_text(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use mysql_async::consts::ColumnFlags;
    use mysql_async::consts::ColumnType;

    use super::*;

    const LONGEST: u64 = 4;

    fn number() -> Column {
        Column::new(ColumnType::MYSQL_TYPE_LONG)
    }

    fn trace(pieces: &[&[u8]]) -> Trace {
        let mut trace = Trace::default();
        for piece in pieces {
            trace.add_packets(Some(piece));
            trace.add_row(7);
        }
        trace
    }

    fn packets(bytes: &[u8]) -> PacketsHash {
        let mut packets = PacketsHash::default();
        packets.add(bytes);
        packets
    }

    #[test]
    fn the_same_packets_are_known_however_they_arrive() {
        let columns = ColumnsHash::of(&[number()]);
        let imprint = trace(&[b"abc", b"d"]).imprint(&columns, LONGEST).unwrap();
        assert!(imprint.is_of(&packets(b"abcd"), &columns));
        assert_eq!(Imprint::parse(&imprint.to_note()), Some(imprint.clone()));
        assert_eq!(imprint.rows_digest(2).unwrap().rows(), 2);
        for other in [&b"abce"[..], b"abc", b"abcd\0"] {
            assert!(!imprint.is_of(&packets(other), &columns), "{other:?}");
        }
    }

    #[test]
    fn equal_bytes_of_other_columns_are_other_rows() {
        let all = [
            number(),
            number().with_flags(ColumnFlags::UNSIGNED_FLAG),
            number().with_decimals(3),
            number().with_character_set(33),
            number().with_column_length(9),
            Column::new(ColumnType::MYSQL_TYPE_FLOAT),
        ];
        for (position, column) in all.iter().enumerate() {
            let imprint = trace(&[b"abcd"])
                .imprint(&ColumnsHash::of(slice::from_ref(column)), LONGEST)
                .unwrap();
            for (other, of_other) in all.iter().enumerate() {
                let is_known =
                    imprint.is_of(&packets(b"abcd"), &ColumnsHash::of(slice::from_ref(of_other)));
                assert_eq!(is_known, position == other);
            }
        }
    }

    #[test]
    fn rows_that_were_not_seen_leave_no_imprint() {
        let columns = ColumnsHash::of(&[number()]);
        let mut blind = trace(&[b"abc"]);
        blind.add_packets(None);
        assert_eq!(blind.imprint(&columns, LONGEST), None);
    }

    #[test]
    fn rows_whose_packets_are_much_longer_than_their_lines_leave_no_imprint() {
        let columns = ColumnsHash::of(&[number()]);
        assert!(trace(&[b"abcd"]).imprint(&columns, LONGEST).is_some());
        assert_eq!(trace(&[b"abcd", b"e"]).imprint(&columns, LONGEST), None);
    }

    #[test]
    fn what_is_not_understood_is_no_imprint() {
        let of_before = serde_json::json!({
            "sent": "", "sent_bytes": 1, "rows_digest": "sum128-sha256:00000000000000000000000000000000",
        });
        assert_eq!(Imprint::parse(&of_before).unwrap().rows_digest(1), None);
        for noted in [Value::Null, serde_json::json!({ "sent": 5 }), serde_json::json!([])] {
            assert_eq!(Imprint::parse(&noted), None, "{noted}");
        }
    }
}
