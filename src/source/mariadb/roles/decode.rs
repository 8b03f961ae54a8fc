//! The text of names that stand in a chunk in the character set of their column.
//!
//! Names are compared with roles, which are ASCII, and shown to people. So what matters is that the
//! bytes of ASCII are found in every character set, and that two names never look alike: of rarer
//! ones the other bytes are written out.

use crate::source::mariadb::tsv;

/// What the bytes from `0x80` to `0x9f` are in `latin1`, which is Windows' own here.
const LATIN1_80: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Returns the text of a value; a character set that is not known is one that has ASCII in it.
pub(super) fn decoded(value: &[u8], charset: Option<&str>) -> String {
    let whole = match charset {
        Some("latin1") => Some(value.iter().map(|byte| latin1(*byte)).collect()),
        Some("ucs2" | "utf16") => utf16(value, u16::from_be_bytes),
        Some("utf16le") => utf16(value, u16::from_le_bytes),
        Some("utf32") => utf32(value),
        _ => None,
    };
    whole.unwrap_or_else(|| tsv::text(value))
}

fn latin1(byte: u8) -> char {
    match byte {
        0x80..=0x9f => LATIN1_80[usize::from(byte - 0x80)],
        byte => char::from(byte),
    }
}

fn utf16(value: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let (units, rest) = value.as_chunks();
    let units: Vec<u16> = units.iter().map(|bytes| unit(*bytes)).collect();
    String::from_utf16(&units).ok().filter(|_| rest.is_empty())
}

fn utf32(value: &[u8]) -> Option<String> {
    let (units, rest) = value.as_chunks();
    let text = units.iter().map(|bytes| char::from_u32(u32::from_be_bytes(*bytes)));
    text.collect::<Option<String>>().filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_is_found_in_every_character_set_and_other_letters_where_they_are_known() {
        let utf16: Vec<u8> = "ädmin😀".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let utf32: Vec<u8> = "admin€".chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
        for (bytes, charset, text) in [
            ("admin é".as_bytes(), "utf8mb4", "admin é"),
            (b"admin \xe9\x80", "latin1", "admin é€"),
            (&utf16, "utf16", "ädmin😀"),
            (b"a\0d\0", "utf16le", "ad"),
            (&utf32, "utf32", "admin€"),
            (b"admin \xe9", "koi8r", "admin \\xe9"),
            (b"\0a\0", "ucs2", "\0a\0"),
        ] {
            assert_eq!(decoded(bytes, Some(charset)), text, "{charset}");
        }
    }
}
