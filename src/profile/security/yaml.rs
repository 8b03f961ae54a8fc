//! YAML, read with the place of every value.

use saphyr_parser::Event;
use saphyr_parser::Parser;
use saphyr_parser::ScalarStyle;
use saphyr_parser::Span;
use saphyr_parser::StrInput;

use crate::profile::security::tree::Count;
use crate::profile::security::tree::Node;
use crate::profile::security::tree::Value;

/// Returns what this YAML says; `None` where it is not YAML, more than one document,
/// too deep or too much.
pub(super) fn parse(text: &str) -> Option<Node> {
    let mut offsets: Vec<usize> = text.char_indices().map(|(offset, _)| offset).collect();
    offsets.push(text.len());
    let mut reader =
        Reader { text, parser: Parser::new_from_str(text), offsets, count: Count::default() };
    reader.expect(|event| matches!(event, Event::StreamStart))?;
    reader.expect(|event| matches!(event, Event::DocumentStart(_)))?;
    let first = reader.next()?;
    let root = reader.node(first, 0)?;
    reader.expect(|event| matches!(event, Event::DocumentEnd))?;
    reader.expect(|event| matches!(event, Event::StreamEnd))?;
    Some(root)
}

struct Reader<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    /// The byte at which each character begins: the parser counts characters.
    offsets: Vec<usize>,
    count: Count,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        self.parser.next()?.ok()
    }

    fn expect(&mut self, is_expected: impl Fn(&Event<'a>) -> bool) -> Option<()> {
        is_expected(&self.next()?.0).then_some(())
    }

    /// Returns the value that begins with this event.
    fn node(&mut self, (event, span): (Event<'a>, Span), depth: usize) -> Option<Node> {
        self.count.add(depth)?;
        let start = self.offset(span.start.index())?;
        let (value, end) = match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) => (Value::Word(text.into_owned()), span),
            Event::Scalar(text, ..) => (Value::Text(text.into_owned()), span),
            Event::Alias(_) => (Value::Alias, span),
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.table(depth)?,
            _ => return None,
        };
        let end = self.offset(end.end.index())?.max(start);
        let end = start + without_what_follows(self.text.get(start..end)?, &value).len();
        Some(Node { span: start..end, value })
    }

    fn list(&mut self, depth: usize) -> Option<(Value, Span)> {
        let mut list = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, end) => return Some((Value::List(list), end)),
                first => list.push(self.node(first, depth + 1)?),
            }
        }
    }

    fn table(&mut self, depth: usize) -> Option<(Value, Span)> {
        let mut entries = Vec::new();
        loop {
            match self.next()? {
                (Event::MappingEnd, end) => return Some((Value::Table(entries), end)),
                first => {
                    let key = self.node(first, depth + 1)?;
                    let first = self.next()?;
                    entries.push((key, self.node(first, depth + 1)?));
                }
            }
        }
    }

    fn offset(&self, character: usize) -> Option<usize> {
        self.offsets.get(character).copied()
    }
}

/// Returns a text without the blanks and the comment behind it, which the parser counts to it.
fn without_what_follows<'a>(text: &'a str, value: &Value) -> &'a str {
    let (Value::Text(_), Some(quote @ ('"' | '\''))) = (value, text.chars().next()) else {
        return text;
    };
    let mut rest = text.char_indices().skip(1).peekable();
    while let Some((offset, c)) = rest.next() {
        let doubled = quote == '\'' && c == quote && rest.peek().is_some_and(|(_, c)| *c == quote);
        if doubled || (quote == '"' && c == '\\') {
            rest.next();
        } else if c == quote {
            return &text[..=offset];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the bytes of each word and text in the order of the file.
    fn shown<'a>(text: &'a str, node: &Node, shown: &mut Vec<&'a str>) {
        match &node.value {
            Value::Text(_) | Value::Word(_) | Value::Alias => shown.push(&text[node.span.clone()]),
            Value::List(list) => list.iter().for_each(|node| self::shown(text, node, shown)),
            Value::Table(entries) => entries.iter().for_each(|(key, value)| {
                self::shown(text, key, shown);
                self::shown(text, value, shown);
            }),
        }
    }

    #[test]
    fn every_value_stands_where_it_is_said_to_stand() {
        for text in [
            "# é ☃ 🦀\nb: 'ü'\na:\n- \"x\" # comment\n- y\n- *a\n",
            "# é\r\nb: 'ü'\r\na:\r\n- \"x\"\r\n- y\r\n- *a\r\n",
            "{b: 'ü', a: [\"x\", y, *a]}",
            "{ b : 'ü'  , a : [ \"x\"  # comment\n , y\t, *a ] }",
            "--- {b: 'ü', a: [\"x\", y, *a]}\n...\n",
            "\u{feff}b: 'ü'\na: [\"x\", y, *a]",
        ] {
            // The alias needs its anchor, which belongs to the bytes of the value after it.
            let text = text.replace('y', "&a y");
            let root = parse(&text).unwrap_or_else(|| panic!("{text}"));
            let mut found = Vec::new();
            shown(&text, &root, &mut found);
            assert_eq!(found, ["b", "'ü'", "a", "\"x\"", "&a y", "*a"], "{text}");
        }
    }

    #[test]
    fn what_is_not_one_document_is_none() {
        for text in ["", "a: [", "a: b\n---\nc: d\n", "a: *nobody", "a:\tb\n b: c", "\0"] {
            assert!(parse(text).is_none(), "{text}");
        }
        for depth in [100, 10_000] {
            assert!(parse(&("[".repeat(depth) + &"]".repeat(depth))).is_none());
        }
        let list = |length: usize| format!("[{}0]", "0,".repeat(length));
        assert!(parse(&list(99_998)).is_some() && parse(&list(99_999)).is_none());
        assert!(parse("a: b\na: c\n").unwrap().get("a").is_some_and(|a| a.text() == Some("c")));
    }
}
