//! Names and attribute values as the kernel has them: any bytes, kept losslessly as JSON text.
//!
//! Printable UTF-8 stands as it is, a backslash is doubled, every other byte is `\xHH`. Each
//! string has one spelling, so that equal lists are equal text, and a name in a message cannot
//! steer a terminal.

use std::ffi::OsStr;
use std::fmt;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de;

/// Bytes without a promise of UTF-8; ordered as bytes.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ByteString(Vec<u8>);

impl ByteString {
    /// Returns the bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes as the operating system takes them.
    pub(super) fn os(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }

    /// Returns the string that `text` spells, or nothing where this is not its one spelling.
    fn from_text(text: &str) -> Option<Self> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, escape)) = rest.split_once('\\') {
            bytes.extend_from_slice(before.as_bytes());
            if let Some(after) = escape.strip_prefix('\\') {
                bytes.push(b'\\');
                rest = after;
            } else {
                let digits = escape.strip_prefix('x')?.get(..2)?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &escape[3..];
            }
        }
        bytes.extend_from_slice(rest.as_bytes());
        let string = Self(bytes);
        (string.to_string() == text).then_some(string)
    }
}

impl From<&[u8]> for ByteString {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&OsStr> for ByteString {
    fn from(name: &OsStr) -> Self {
        Self(name.as_bytes().to_vec())
    }
}

impl fmt::Display for ByteString {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for letter in chunk.valid().chars() {
                match letter {
                    '\\' => formatter.write_str("\\\\")?,
                    _ if letter.is_control() => {
                        escape(formatter, letter.encode_utf8(&mut [0; 4]).as_bytes())?;
                    }
                    _ => formatter.write_char(letter)?,
                }
            }
            escape(formatter, chunk.invalid())?;
        }
        Ok(())
    }
}

fn escape(formatter: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(formatter, "\\x{byte:02x}"))
}

impl fmt::Debug for ByteString {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{self}\"")
    }
}

impl Serialize for ByteString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_text(&text)
            .ok_or_else(|| de::Error::custom(format!("`{text}` is no escaped byte string")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn printable_text_stands_as_it_is_and_the_rest_is_escaped() {
        let cases: [(&[u8], &str); 4] = [
            ("straße".as_bytes(), "straße"),
            (b"a\\x0a", "a\\\\x0a"),
            (b"two\nlines\x1b[2J", "two\\x0alines\\x1b[2J"),
            (b"\xff\xc3", "\\xff\\xc3"),
        ];
        for (bytes, text) in cases {
            assert_eq!(ByteString::from(bytes).to_string(), text);
            assert_eq!(ByteString::from_text(text), Some(ByteString::from(bytes)));
        }
    }

    #[test]
    fn a_second_spelling_of_the_same_bytes_is_refused() {
        for text in ["\\x61", "\\x0A", "\n", "\\", "\\x", "\\x0", "\\n", "\\xé"] {
            assert_eq!(ByteString::from_text(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_from_their_text(bytes: Vec<u8>) {
            let string = ByteString::from(&bytes[..]);
            prop_assert_eq!(ByteString::from_text(&string.to_string()), Some(string));
        }
    }
}
