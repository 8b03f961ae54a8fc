//! Digests: SHA-256 of stored bytes, BLAKE3 of raw bytes, and the order-independent digest of a table's
//! rows.
//!
//! All are kept as strings that name their algorithm, so that another one can come later: it did for the
//! rows and for raw bytes, and a digest of before is still compared as it was made.

use sha2::Digest as _;
use sha2::Sha256;
use twox_hash::XxHash3_128;

use crate::base::error::Error;
use crate::base::error::Result;

const ALGORITHM: &str = "sha256:";

/// Returns the digest of bytes as `sha256:<64 hex digits>`, as OCI writes it.
pub fn sha256(bytes: &[u8]) -> String {
    format!("{ALGORITHM}{}", hex(&Sha256::digest(bytes)))
}

/// Returns the 64 hex digits of a well-formed `sha256:` digest.
pub fn sha256_hex(digest: &str) -> Option<&str> {
    let hex = digest.strip_prefix(ALGORITHM)?;
    is_hex(hex, 64).then_some(hex)
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
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

const RAW_ALGORITHM: &str = "blake3:";

/// Returns the digest of raw bytes as `blake3:<64 hex digits>`. OCI asks for SHA-256 of stored bytes
/// alone; raw ones are three times as many, and BLAKE3 takes a third of the time.
pub fn of_raw(bytes: &[u8]) -> String {
    let mut hasher = RawHasher::Blake3(Box::default());
    hasher.update(bytes);
    hasher.finish()
}

/// Hashes raw bytes piece by piece, as a digest of them was made.
pub enum RawHasher {
    /// What raw bytes were named by before there was another.
    Sha256(Hasher),
    /// What [`of_raw`] names them by.
    Blake3(Box<blake3::Hasher>),
}

impl RawHasher {
    /// Returns what hashes as a digest was made.
    ///
    /// Fails with [`Kind::Damaged`](crate::base::error::Kind) for what is no digest of raw bytes.
    pub fn like(digest: &str) -> Result<Self> {
        if sha256_hex(digest).is_some() {
            return Ok(Self::Sha256(Hasher::default()));
        }
        match digest.strip_prefix(RAW_ALGORITHM) {
            Some(digits) if is_hex(digits, 64) => Ok(Self::Blake3(Box::default())),
            _ => Err(Error::damaged(format!("{digest:?} is no digest of raw bytes"))),
        }
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Blake3(hasher) => drop(hasher.update(bytes)),
        }
    }

    /// Returns the digest of all bytes, with the name of its algorithm.
    pub fn finish(self) -> String {
        match self {
            Self::Sha256(hasher) => hasher.finish(),
            Self::Blake3(hasher) => format!("{RAW_ALGORITHM}{}", hasher.finalize().to_hex()),
        }
    }
}

/// How a row is hashed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum RowHash {
    /// The first 128 bits of SHA-256: what snapshots had before there was another.
    Sha256,
    /// The 128 bits of XXH3 without a seed, for lines of a hundred bytes six times as fast.
    #[default]
    Xxh3,
}

impl RowHash {
    const ALL: [Self; 2] = [Self::Sha256, Self::Xxh3];

    const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sum128-sha256",
            Self::Xxh3 => "sum128-xxh3",
        }
    }

    fn of(self, line: &[u8]) -> u128 {
        match self {
            Self::Sha256 => {
                let mut half = [0; 16];
                half.copy_from_slice(&Sha256::digest(line)[..16]);
                u128::from_be_bytes(half)
            }
            Self::Xxh3 => XxHash3_128::oneshot(line),
        }
    }
}

/// The digest of a set of rows that does not depend on their order: the number of rows, and the
/// sum modulo 2^128 of a hash of each row's line, its newline left out.
///
/// A restored table is proven by it without the chunks, on any server version, in any order: where a
/// loader or a server gave a value back as another one, the sums differ. It is no proof against
/// malice, and no hash would make it one: whoever may choose the rows finds some whose hashes have
/// any sum that is wanted, far sooner than a collision (Wagner, "A Generalized Birthday Problem",
/// 2002). That proof is the SHA-256 by which chunks and blobs are named. So the hash of a row has
/// only to be fast and well spread, and new digests are made with XXH3.
///
/// The text names the hash, and a digest is compared with rows that were hashed in its own way:
/// [`emptied`](Self::emptied) is where their digest begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowsDigest {
    hash: RowHash,
    rows: u64,
    sum: u128,
}

impl RowsDigest {
    /// Returns the digest of so many rows that [`to_text`](Self::to_text) wrote.
    ///
    /// Fails with [`Kind::Refused`](crate::base::error::Kind) for the hash of a later version, and with
    /// [`Kind::Damaged`](crate::base::error::Kind) for anything else that is not of this form.
    pub fn parse(text: &str, rows: u64) -> Result<Self> {
        let malformed = || Error::damaged("the digest of its rows is malformed");
        let (name, digits) = text.split_once(':').ok_or_else(malformed)?;
        let Some(hash) = RowHash::ALL.into_iter().find(|hash| hash.name() == name) else {
            return Err(if may_be_name(name) {
                Error::newer(&format!("the digest of its rows is of the kind {name:?}"))
            } else {
                malformed()
            });
        };
        if !is_hex(digits, 32) {
            return Err(malformed());
        }
        let sum = u128::from_str_radix(digits, 16).map_err(|_| malformed())?;
        Ok(Self { hash, rows, sum })
    }

    /// Returns a digest of no rows, which hashes those that are added as this one does.
    #[must_use]
    pub const fn emptied(&self) -> Self {
        Self { hash: self.hash, rows: 0, sum: 0 }
    }

    /// Adds a row by its line without the newline; returns the row's own hash.
    pub fn add(&mut self, line: &[u8]) -> u128 {
        let row = self.hash.of(line);
        self.add_hash(row);
        row
    }

    /// Adds a row by its own hash, which a digest of the same kind returned.
    pub fn add_hash(&mut self, row: u128) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(row);
    }

    /// Adds all rows of another set, which were hashed in the same way.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.hash, other.hash, "the parts of a table are hashed in one way");
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// Returns the number of rows.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns the sum with the name of its hash, as `sum128-xxh3:<32 hex digits>`.
    pub fn to_text(&self) -> String {
        format!("{}:{:032x}", self.hash.name(), self.sum)
    }
}

/// Returns whether a later version could call an algorithm so: anything else is no digest.
fn may_be_name(text: &str) -> bool {
    let is_of_one = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=32).contains(&text.len()) && text.bytes().all(is_of_one)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::error::Kind;

    const NO_ROWS_OF_SHA256: &str = "sum128-sha256:00000000000000000000000000000000";

    /// Returns the digest of rows that are hashed as another digest's are.
    fn digest(like: RowsDigest, lines: &[&[u8]]) -> RowsDigest {
        let mut digest = like.emptied();
        for line in lines {
            digest.add(line);
        }
        digest
    }

    fn of_sha256() -> RowsDigest {
        RowsDigest::parse(NO_ROWS_OF_SHA256, 7).unwrap()
    }

    #[test]
    fn the_digest_of_nothing_is_the_published_one() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(b""), empty);
        assert_eq!(sha256_hex(empty).map(str::len), Some(64));
    }

    #[test]
    fn raw_bytes_are_hashed_as_their_digest_was_made() {
        let empty = "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(of_raw(b""), empty);
        for digest in [of_raw(b"abc"), sha256(b"abc")] {
            let mut hasher = RawHasher::like(&digest).unwrap();
            hasher.update(b"a");
            hasher.update(b"bc");
            assert_eq!(hasher.finish(), digest);
        }
        for digest in ["blake3:00", "blake4:", "", "md5:d41d8cd98f00b204e9800998ecf8427e"] {
            assert!(RawHasher::like(digest).is_err(), "{digest}");
        }
    }

    #[test]
    fn a_malformed_digest_has_no_hex() {
        for digest in ["sha256:abc", "md5:00", "sha256:../../../../etc/passwd", ""] {
            assert_eq!(sha256_hex(digest), None, "{digest}");
        }
    }

    #[test]
    fn rows_in_any_order_and_any_split_have_one_digest() {
        for like in [RowsDigest::default(), of_sha256()] {
            let forward = digest(like, &[b"1\ta", b"2\tb"]);
            let mut backward = digest(like, &[b"2\tb"]);
            backward.merge(&digest(like, &[b"1\ta"]));
            assert_eq!(forward, backward);
            assert_eq!(forward.rows(), 2);
        }
    }

    /// The vectors by which `xxhsum` checks itself, one or more for each way in which lines of different
    /// lengths are hashed, and two words.
    #[test]
    fn a_row_is_hashed_as_the_makers_of_xxh3_publish() {
        let mut state: u64 = 2_654_435_761;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            let byte = state.to_be_bytes()[0];
            state = state.wrapping_mul(11_400_714_785_074_694_797);
            byte
        })
        .take(512)
        .collect();
        for (line, expected) in [
            (&bytes[..0], "99aa06d3014798d86001c324468d497f"),
            (&bytes[..1], "a6cd5e9392000f6ac44bdff4074eecdb"),
            (&bytes[..6], "082afe0b8162d12a3e7039bdda43cfc6"),
            (&bytes[..12], "6e3efd8fc7802b18061a192713f69ad9"),
            (&bytes[..24], "0ce966e4678d37611e7044d28b1b901d"),
            (&bytes[..48], "a002ac4e5478227ef942219aed80f67b"),
            (&bytes[..81], "4952f58181ab00425e8bafb9f95fb803"),
            (&bytes[..222], "337e09641b948717f1aebd597cec6b3a"),
            (&bytes[..403], "1b6de21e332dd73dcdeb804d65c6dea4"),
            (&bytes[..512], "18d2d110dcc9bca1617e49599013cb6b"),
            (b"abc", "06b05ab6733a618578af5f94892f3950"),
            (b"hello world", "df8d09e93f874900a99b8775cc15b6c7"),
        ] {
            let text = digest(RowsDigest::default(), &[line]).to_text();
            assert_eq!(text, format!("sum128-xxh3:{expected}"), "{} bytes", line.len());
        }
    }

    #[test]
    fn a_digest_of_before_goes_on_as_it_was_made() {
        let one = digest(of_sha256(), &[b""]);
        assert_eq!(one.to_text(), "sum128-sha256:e3b0c44298fc1c149afbf4c8996fb924");
        // SHA-256 of "abc" begins with ba7816bf8f01cfea414140de5dae2223: the sum goes round.
        let two = digest(of_sha256(), &[b"", b"abc"]);
        assert_eq!(two.to_text(), "sum128-sha256:9e28db0227fdebfedc3d35a6f71ddb47");
        assert_eq!(RowsDigest::parse(&two.to_text(), 2).unwrap(), two);
        assert_ne!(RowsDigest::parse(&two.to_text(), 3).unwrap(), two);
    }

    #[test]
    fn digests_of_two_hashes_differ_even_where_their_sums_do_not() {
        let new = RowsDigest::default();
        assert_ne!(new, of_sha256().emptied());
        assert_ne!(digest(new, &[b"1"]), digest(of_sha256(), &[b"1"]));
    }

    #[test]
    fn the_hash_of_a_later_version_is_refused_and_anything_else_is_damage() {
        let zeros = "0".repeat(32);
        for (text, kind) in [
            (format!("sum128-blake3:{zeros}"), Kind::Refused),
            ("sum256-keyed:?".to_owned(), Kind::Refused),
            (format!("sum128-xxh3:{}", "F".repeat(32)), Kind::Damaged),
            (format!("sum128-xxh3:+{}", "0".repeat(31)), Kind::Damaged),
            (format!("sum128-xxh3:{zeros}0"), Kind::Damaged),
            (format!("sum128-sha256:{}", &zeros[1..]), Kind::Damaged),
            (format!("sum128-sha256: {zeros}"), Kind::Damaged),
            (format!("SUM128-SHA256:{zeros}"), Kind::Damaged),
            (format!("{}:{zeros}", "x".repeat(33)), Kind::Damaged),
            (format!(":{zeros}"), Kind::Damaged),
            (zeros, Kind::Damaged),
            (String::new(), Kind::Damaged),
        ] {
            let error = RowsDigest::parse(&text, 1).expect_err(&text);
            assert_eq!(error.kind(), kind, "{text}");
            assert_eq!(error.advice().is_some(), kind == Kind::Refused, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_for_a_digest_of_rows_is_written_as_it_was(
            text in r"(sum128-(xxh3|sha256))?:?([0-9a-f]{32}|\PC*)",
            rows: u64,
        ) {
            if let Ok(digest) = RowsDigest::parse(&text, rows) {
                prop_assert_eq!((digest.to_text(), digest.rows()), (text, rows));
            }
        }
    }
}
