//! JSON, read with the place of every value.
//!
//! `serde_json` hands out the raw text of a value as a part of the text that it reads, which tells
//! where that value stands. It checks all of the text first, so the parts are JSON too.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::value::RawValue;

use crate::profile::security::tree::Count;
use crate::profile::security::tree::Node;
use crate::profile::security::tree::Value;

/// Returns what this JSON says; `None` where it is not JSON, too deep or too much.
pub(super) fn parse(text: &str) -> Option<Node> {
    node(text, serde_json::from_str(text).ok()?, 0, &mut Count::default())
}

fn node(text: &str, raw: &RawValue, depth: usize, count: &mut Count) -> Option<Node> {
    count.add(depth)?;
    let part = raw.get();
    let value = match part.as_bytes().first()? {
        b'{' => {
            let Entries(entries) = serde_json::from_str(part).ok()?;
            let mut below = |raw| node(text, raw, depth + 1, count);
            let entry = |(key, value)| Some((below(key)?, below(value)?));
            Value::Table(entries.into_iter().map(entry).collect::<Option<_>>()?)
        }
        b'[' => {
            let list: Vec<&RawValue> = serde_json::from_str(part).ok()?;
            let nodes = list.into_iter().map(|raw| node(text, raw, depth + 1, count));
            Value::List(nodes.collect::<Option<_>>()?)
        }
        b'"' => Value::Text(serde_json::from_str(part).ok()?),
        _ => Value::Word(part.to_owned()),
    };
    Some(Node { span: place(text, part), value })
}

/// Returns where this part of the text stands in it.
fn place(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - text.as_ptr().addr();
    start..start + part.len()
}

/// The entries of an object in their order, with keys that stand twice.
struct Entries<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'a> Deserialize<'a> for Entries<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'a> Visitor<'a> for EntriesVisitor {
    type Value = Entries<'a>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_stands_where_it_is_said_to_stand() {
        let text = " {\"a\" : [1, \"\\u0061dmin\"],\t\"a\":{}, \"ö\": \"é\"}\n";
        let root = parse(text).unwrap();
        let [(first, list), (again, _), (_, accent)] = root.entries() else { panic!("{root:?}") };
        assert_eq!(&text[first.span.clone()], "\"a\"");
        assert_eq!((first.text(), again.text()), (Some("a"), Some("a")));
        assert_eq!(&text[list.list()[1].span.clone()], "\"\\u0061dmin\"");
        assert_eq!(list.list()[1].text(), Some("admin"));
        assert_eq!(&text[accent.span.clone()], "\"é\"");
        assert_eq!(&text[root.span.clone()], text.trim());
    }

    #[test]
    fn what_is_not_json_is_none() {
        for text in ["", "{", "{\"a\": 1,}", "{\"a\": 1} x", "a: b", "{\"a\": \"\\ud800\"}"] {
            assert!(parse(text).is_none(), "{text}");
        }
        assert!(parse(&("[".repeat(60) + &"]".repeat(60))).is_some());
        for depth in [100, 100_000] {
            assert!(parse(&("[".repeat(depth) + &"]".repeat(depth))).is_none());
        }
        let list = |length: usize| format!("[{}0]", "0,".repeat(length));
        assert!(parse(&list(99_998)).is_some() && parse(&list(99_999)).is_none());
    }
}
