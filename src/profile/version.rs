//! The version of a product, compared number by number.
//!
//! As text, `4.10` would stand before `4.2`, and a restore would give a new studio the roles of an
//! old one. So the numbers decide: 4.1.1.1 is below 4.2, 4.10 above it, and a number that is not
//! written is 0. What a packager adds (`-2.el7`, `~rc1`) is shown and never compared.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;
use serde::Serializer;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;

/// A longer text is not a version, whatever wrote it.
const MAX_LENGTH: usize = 64;

/// A version such as `4.1.1.1` or `20.04.8-2.el7`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Version {
    text: String,
    /// The numbers as they are written; at least one.
    numbers: Vec<u64>,
}

impl Version {
    /// Returns the `A.B` of `A.B.x`, as it is written: what has a package repository of its own,
    /// and what the servers of one platform must have in common.
    pub fn series(&self) -> String {
        let end = self.text.find(['-', '~', '+']).unwrap_or(self.text.len());
        self.text[..end].split('.').take(2).collect::<Vec<_>>().join(".")
    }

    /// Returns whether both are of one `A.B.x`.
    pub fn is_of_series_of(&self, other: &Self) -> bool {
        self.first_two() == other.first_two()
    }

    /// Returns whether this version begins with all the numbers of `start`, as 4.0.7 with 4.0.
    pub fn begins_with(&self, start: &Self) -> bool {
        (0..start.numbers.len()).all(|place| self.number(place) == start.number(place))
    }

    fn first_two(&self) -> [u64; 2] {
        [self.number(0), self.number(1)]
    }

    fn number(&self, place: usize) -> u64 {
        self.numbers.get(place).copied().unwrap_or(0)
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        read(text).ok_or_else(|| {
            let shown: String = text.chars().take(MAX_LENGTH).collect();
            Error::new(Kind::Usage, format!("cannot understand version {shown:?}"))
                .hint("a version is numbers with dots between them, such as 4.2 or 4.1.1.1")
        })
    }
}

/// Returns the version in this text: numbers, and after them what a packager may add.
fn read(text: &str) -> Option<Version> {
    let end = text.find(['-', '~', '+']).unwrap_or(text.len());
    let (written, addition) = text.split_at(end);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-~+._".contains(c);
    if text.len() > MAX_LENGTH || !addition.chars().all(is_plain) {
        return None;
    }
    let number = |part: &str| {
        let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse().ok()).flatten()
    };
    let numbers = written.split('.').map(number).collect::<Option<_>>()?;
    Some(Version { text: text.to_owned(), numbers })
}

impl TryFrom<String> for Version {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let places = self.numbers.len().max(other.numbers.len());
        (0..places)
            .map(|place| self.number(place))
            .cmp((0..places).map(|place| other.number(place)))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::any;
    use proptest::proptest;

    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn versions_are_compared_number_by_number() {
        let rising = ["3.4.2", "4.0", "4.0.1", "4.1", "4.1.1", "4.1.1.1", "4.2", "4.10", "18.10"];
        for pair in rising.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
        assert!(version("20.04.9") < version("20.4.10"));
    }

    #[test]
    fn a_number_that_is_not_written_is_zero_and_what_a_packager_adds_is_not_compared() {
        assert_eq!(version("4.2"), version("4.2.0.0"));
        assert_eq!(version("4.2.0-ga"), version("4.2"));
        assert_eq!(version("20.04.8-2.el7"), version("20.4.8~rc1+git"));
        assert_eq!(version("20.04.8-2.el7").to_string(), "20.04.8-2.el7");
    }

    #[test]
    fn a_series_is_the_first_two_numbers() {
        assert_eq!(version("20.04.8-2.el7").series(), "20.04");
        assert_eq!(version("4.1.1.1").series(), "4.1");
        assert!(version("4.0.7").is_of_series_of(&version("4.0")));
        assert!(!version("4.10.1").is_of_series_of(&version("4.1.1")));
    }

    #[test]
    fn a_version_begins_with_the_numbers_that_are_written() {
        assert!(version("4.0.7").begins_with(&version("4.0")));
        assert!(version("4.0").begins_with(&version("4.0.0")));
        assert!(!version("4.0.7").begins_with(&version("4.0.0")));
        assert!(!version("4.10").begins_with(&version("4.1")));
    }

    #[test]
    fn what_is_no_version_is_refused_with_an_example() {
        let long = "1.".repeat(40);
        for text in [
            "",
            ".",
            "4.",
            ".2",
            "4..2",
            "v4.2",
            "4.2rc1",
            "4,2",
            " 4.2",
            "4.2-a b",
            "+1",
            "latest",
            "-1",
            "99999999999999999999.1",
            "4.2-\u{1b}[0m",
            "٤.٢",
            &long,
        ] {
            let error = text.parse::<Version>().expect_err(text);
            assert_eq!(error.kind(), Kind::Usage, "{text:?}");
            assert!(error.advice().unwrap().contains("4.1.1.1"));
        }
    }

    proptest! {
        #[test]
        fn numbers_order_versions_as_they_order_themselves(
            one in vec(any::<u32>(), 1..5), other in vec(any::<u32>(), 1..5),
        ) {
            let written = |numbers: &[u32]| {
                version(&numbers.iter().map(u32::to_string).collect::<Vec<_>>().join("."))
            };
            let padded = |numbers: &[u32]| {
                let mut numbers = numbers.to_vec();
                numbers.resize(5, 0);
                numbers
            };
            assert_eq!(written(&one).cmp(&written(&other)), padded(&one).cmp(&padded(&other)));
        }

        #[test]
        fn no_text_breaks_the_reader(text in "\\PC*") {
            if let Ok(version) = text.parse::<Version>() {
                assert_eq!(version.to_string(), text);
            }
        }
    }
}
