//! Text that tools stumble over: names, comments, and values in any character set.

use crate::random::dice::Dice;
use crate::random::dice::hex;

/// Names that need their quotes.
const NAMES: &[&str] = &[
    "plain",
    "UPPER",
    "with space",
    "back`tick",
    "quo'te",
    "dou\"ble",
    "dot.ted",
    "per%cent",
    "select",
    "é東ü",
    "back\\slash",
    "a@b",
    "semi;colon",
    "--dash",
    "/*c*/",
    "new\nline",
    "tab\there",
    "checksum",
    "$dollar",
    "1e5",
    "PRIMARY KEY (",
    "AUTO_INCREMENT=5",
    "x,y",
    ")",
    "#hash",
    "null",
];

/// Text as people and machines leave it.
const TEXTS: &[&str] = &[
    "",
    "a",
    " ",
    "a ",
    "A",
    "\\N",
    "\\",
    "it's",
    "\"q\"",
    "a\tb",
    "a\nb",
    "a\r\nb",
    "\0",
    "\u{1a}",
    "NULL",
    "é",
    "東京",
    "😀",
    "a😀\\",
    "``",
    "100%",
    "x'00'",
    " lead",
    "ß",
    "ſ",
    "ı",
    "Ⅷ",
    "e\u{301}",
    "\u{fffd}",
    "0",
    "00",
    "a long line of text that is longer than most columns are wide, to be cut where it has to be cut",
];

/// Comments that look like something else.
const COMMENTS: &[&str] = &[
    "it's",
    "new\nline",
    "😀",
    "back\\slash",
    " AUTO_INCREMENT=7",
    ") ENGINE=MyISAM",
    "a, KEY `k` (`x`)",
    "`",
    "-- no",
    "/*!50000 no */",
    "CONSTRAINT `x` FOREIGN KEY (",
    "\"",
    "",
    "é東",
    "tab\t",
    " DEFAULT nextval(`a`.`b`)",
];

/// Bytes that are characters in their set, and hold those that a line of TSV ends or parts with.
const BYTES: &[(&str, &[&str])] = &[
    ("utf16", &["0009000a005c0000", "0a095c0a09005c5c", "d83dde00"]),
    ("utf16le", &["09000a005c00", "095c0a5c"]),
    ("ucs2", &["0a0a09095c5c00005c4e", "5c4e"]),
    ("utf32", &["0000000a000009090000005c00005c4e"]),
    ("sjis", &["835c955c5c", "b1b2", "5c"]),
    ("cp932", &["835c955c", "fa5c", "fc4b"]),
    ("gbk", &["815c815c", "d25c"]),
    ("big5", &["a55cb35c", "a440"]),
    ("ujis", &["a4a2", "8fb0a1", "8eb1"]),
    ("eucjpms", &["a4a2", "8fb0a1"]),
    ("euckr", &["b0a1"]),
    ("gb2312", &["b0a1"]),
    ("latin1", &["e9", "80", "81", "ff5c09"]),
    ("binary", &["00095c0a", "ff"]),
];

/// Returns an odd name, quoted, that no other name with another number has.
pub(super) fn name(dice: &mut Dice, number: usize) -> String {
    format!("`{} {number}`", dice.pick(NAMES).replace('`', "``"))
}

/// Returns a comment or another text in quotes.
pub(super) fn quoted(dice: &mut Dice) -> String {
    let text = dice.pick(COMMENTS);
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Returns a value for a column of a character set.
pub(super) fn literal(dice: &mut Dice, charset: &str) -> String {
    let own = BYTES.iter().find(|(name, _)| *name == charset);
    match own {
        Some((_, choices)) if dice.chance(40) => format!("_{charset} x'{}'", dice.pick(choices)),
        _ => {
            let text = dice.pick(TEXTS).repeat(1 + dice.below(3) * dice.below(20));
            format!("CONVERT(_utf8mb4 x'{}' USING utf8mb4)", hex(text.as_bytes()))
        }
    }
}
