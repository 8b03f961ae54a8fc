//! The name of a snapshot, which is a file name in a repository and a tag in a registry.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;

const MAX_LENGTH: usize = 128;
const GENERATED_PREFIX: &str = "snapshot_";
const GENERATED_LENGTH: usize = 6;
const GENERATED_LETTERS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// A well-formed id: letters, digits, `-`, `.` and `_`, first a letter, at most 128.
///
/// Whoever holds one may put it into a path: it has no separator and is never `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotId(String);

impl SnapshotId {
    /// Returns `snapshot_` and six random letters and digits, as the Cloudify Manager names them.
    pub fn generate() -> Result<Self> {
        Ok(Self(format!("{GENERATED_PREFIX}{}", letters()?)))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns six random letters and digits, which tell one thing from others of its kind.
pub fn letters() -> Result<String> {
    let mut letters = String::new();
    let mut byte = [0];
    while letters.len() < GENERATED_LENGTH {
        getrandom::fill(&mut byte).context(|| "cannot draw a random id".to_owned())?;
        // 252 is the last multiple of 36 in a byte: above it some letters would come up more.
        if byte[0] < 252 {
            letters.push(char::from(GENERATED_LETTERS[usize::from(byte[0]) % 36]));
        }
    }
    Ok(letters)
}

impl FromStr for SnapshotId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let begins_well = text.starts_with(|first: char| first.is_ascii_alphabetic());
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if begins_well && text.len() <= MAX_LENGTH && text.bytes().all(is_allowed) {
            return Ok(Self(text.to_owned()));
        }
        let shown: String = text.chars().take(MAX_LENGTH).collect();
        Err(Error::new(Kind::Usage, format!("cannot use {shown:?} as the id of a snapshot"))
            .hint("an id has letters, digits, `-`, `.` and `_`, first a letter, at most 128"))
    }
}

impl TryFrom<String> for SnapshotId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<SnapshotId> for String {
    fn from(id: SnapshotId) -> Self {
        id.0
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_id_is_a_usage_error() {
        let long = "a".repeat(129);
        for id in ["", "1a", "-a", ".a", "a/b", "a b", "..", "a\n", "ä", "a#1", long.as_str()] {
            let error = id.parse::<SnapshotId>().unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{id:?}");
        }
    }

    #[test]
    fn a_well_formed_id_is_kept_as_it_is() {
        for id in ["a", "before-5.1_upgrade", "snapshot_ABC123", "a..b"] {
            assert_eq!(id.parse::<SnapshotId>().unwrap().as_str(), id);
        }
    }

    #[test]
    fn a_generated_id_is_well_formed_and_new_each_time() {
        let first = SnapshotId::generate().unwrap();
        assert_eq!(first.as_str().parse::<SnapshotId>().unwrap(), first);
        let letters = first.as_str().strip_prefix("snapshot_").unwrap();
        assert_eq!(letters.len(), 6);
        assert!(letters.bytes().all(|byte| GENERATED_LETTERS.contains(&byte)), "{letters}");
        assert_ne!(first, SnapshotId::generate().unwrap());
    }
}
