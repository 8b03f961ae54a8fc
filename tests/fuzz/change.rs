//! Changes inputs: as bytes, and as JSON where they are JSON, so that more of them is still read.

use serde_json::Value;
use serde_json::json;

use crate::dice::Dice;

/// Words that mean something to a reader.
const WORDS: &[&str] = &[
    "`",
    "'",
    "\"",
    "\\",
    "/*",
    "*/",
    "/*!",
    "-- ",
    "#",
    ";",
    "(",
    ")",
    ",",
    "\0",
    "\n",
    "..",
    "/",
    " SELECT ",
    " UNION=(",
    " ENGINE=",
    " DATA DIRECTORY=",
    " CONNECTION=",
    " REFERENCES `",
    " AUTO_INCREMENT",
    " DEFAULT (",
    " PARTITION BY ",
    "CONSTRAINT `",
    "FOREIGN KEY (",
    "sha256:",
    "{",
    "}",
    "[",
    "]",
    "18446744073709551615",
    "-1",
    "1e999",
    "\u{ff}\u{fe}",
    "é",
];

/// Returns an input of the corpus after a few changes.
pub(crate) fn change(corpus: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let chosen = corpus[dice.below(corpus.len())].clone();
    let other = &corpus[dice.below(corpus.len())];
    changed(&chosen, other, dice)
}

/// Returns `input` after a few changes, in which pieces of `other` may appear.
pub(crate) fn changed(input: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    if dice.chance(70)
        && let Ok(mut value) = serde_json::from_slice::<Value>(input)
    {
        for _ in 0..=dice.below(3) {
            change_value(&mut value, dice);
        }
        return value.to_string().into_bytes();
    }
    let mut bytes = input.to_vec();
    for _ in 0..=dice.below(4) {
        change_bytes(&mut bytes, other, dice);
    }
    bytes
}

fn change_bytes(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    let at = dice.below(bytes.len() + 1);
    let end = (at + dice.below(40)).min(bytes.len());
    match dice.below(8) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => {
            let piece = bytes[at..end].to_vec();
            let times = dice.below(20);
            bytes.splice(at..at, piece.repeat(times));
        }
        3 => {
            let from = dice.below(other.len() + 1);
            let until = (from + dice.below(200)).min(other.len());
            bytes.splice(at..end, other[from..until].iter().copied());
        }
        4 => drop(bytes.splice(at..at, dice.pick(WORDS).bytes())),
        5 => drop(bytes.splice(at..end, dice.pick(WORDS).bytes())),
        6 => bytes[at..end].iter_mut().for_each(|byte| *byte = 0xff),
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
    }
}

fn change_value(value: &mut Value, dice: &mut Dice) {
    let is_entered = !dice.chance(15);
    match value {
        Value::Array(values) if is_entered && !values.is_empty() => {
            let at = dice.below(values.len());
            match dice.below(8) {
                0 => drop(values.remove(at)),
                1 => values.insert(at, values[at].clone()),
                2 => values.swap(0, at),
                _ => change_value(&mut values[at], dice),
            }
        }
        Value::Object(fields) if is_entered && !fields.is_empty() => {
            let key = fields.keys().nth(dice.below(fields.len())).cloned().unwrap_or_default();
            if dice.chance(8) {
                fields.remove(&key);
            } else if let Some(field) = fields.get_mut(&key) {
                change_value(field, dice);
            }
        }
        Value::String(text) if is_entered => {
            let mut bytes = std::mem::take(text).into_bytes();
            change_bytes(&mut bytes, b"../../etc/passwd", dice);
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        _ => *value = odd_value(dice),
    }
}

fn odd_value(dice: &mut Dice) -> Value {
    let number = dice.below(1000);
    match dice.below(12) {
        0 => Value::Null,
        1 => json!(0),
        2 => json!(u64::MAX),
        3 => json!(-1),
        4 => json!(1.5e300),
        5 => json!(number),
        6 => json!(dice.pick(WORDS)),
        7 => json!("x".repeat(number)),
        8 => json!([]),
        9 => json!({}),
        10 => json!(true),
        _ => (0..number % 200).fold(json!([]), |inner, _| json!([inner])),
    }
}
