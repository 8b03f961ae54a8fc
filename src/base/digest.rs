//! Digests: SHA-256 of bytes, and the order-independent digest of a table's rows.
//!
//! Both are kept as strings that name their algorithm, so that a keyed one can come later.

use sha2::Digest as _;
use sha2::Sha256;

const ALGORITHM: &str = "sha256:";
const ROWS_ALGORITHM: &str = "sum128-sha256:";

/// Returns the digest of bytes as `sha256:<64 hex digits>`, as OCI writes it.
pub fn sha256(bytes: &[u8]) -> String {
    format!("{ALGORITHM}{}", hex(&Sha256::digest(bytes)))
}

/// Returns the 64 hex digits of a well-formed `sha256:` digest.
pub fn sha256_hex(digest: &str) -> Option<&str> {
    let hex = digest.strip_prefix(ALGORITHM)?;
    let is_hex = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (hex.len() == 64 && is_hex).then_some(hex)
}

/// Returns bytes as lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Hashes a stream of bytes piece by piece.
#[derive(Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the digest of all bytes, as `sha256:<hex>`.
    pub fn finish(self) -> String {
        format!("{ALGORITHM}{}", hex(&self.0.finalize()))
    }
}

/// The digest of a set of rows that does not depend on their order: the number of rows, and the
/// sum modulo 2^128 of the first 128 bits of SHA-256 of each row's line, its newline left out.
///
/// A restored table is proven by it without the chunks, on any server version, in any order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowsDigest {
    rows: u64,
    sum: u128,
}

impl RowsDigest {
    /// Adds a row by its line without the newline; returns the row's own hash.
    pub fn add(&mut self, line: &[u8]) -> u128 {
        let hash = Sha256::digest(line);
        let mut half = [0; 16];
        half.copy_from_slice(&hash[..16]);
        let row = u128::from_be_bytes(half);
        self.rows += 1;
        self.sum = self.sum.wrapping_add(row);
        row
    }

    /// Adds all rows of another set.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// Returns the number of rows.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns the sum as `sum128-sha256:<32 hex digits>`.
    pub fn to_text(&self) -> String {
        format!("{ROWS_ALGORITHM}{:032x}", self.sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_nothing_is_the_published_one() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(b""), empty);
        assert_eq!(sha256_hex(empty).map(str::len), Some(64));
    }

    #[test]
    fn a_malformed_digest_has_no_hex() {
        for digest in ["sha256:abc", "md5:00", "sha256:../../../../etc/passwd", ""] {
            assert_eq!(sha256_hex(digest), None, "{digest}");
        }
    }

    #[test]
    fn rows_in_any_order_and_any_split_have_one_digest() {
        let mut forward = RowsDigest::default();
        forward.add(b"1\ta");
        forward.add(b"2\tb");
        let mut backward = RowsDigest::default();
        backward.add(b"2\tb");
        let mut rest = RowsDigest::default();
        rest.add(b"1\ta");
        backward.merge(&rest);
        assert_eq!(forward, backward);
        assert_eq!(forward.rows(), 2);
    }
}
