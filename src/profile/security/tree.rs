//! What a security file says, with the bytes that say it.

use std::ops::Range;

/// Deeper nesting than this is refused: nobody writes it, and reading it would end the stack.
const MAX_DEPTH: usize = 64;

/// More values than this are refused: each takes many times its bytes, and thousands of users have
/// fewer.
const MAX_NODES: usize = 100_000;

/// Counts the values of a file.
#[derive(Default)]
pub(super) struct Count(usize);

impl Count {
    /// Takes in one more value at this depth; nothing where that is too many, or too deep.
    pub(super) const fn add(&mut self, depth: usize) -> Option<()> {
        self.0 += 1;
        if depth <= MAX_DEPTH && self.0 <= MAX_NODES { Some(()) } else { None }
    }
}

/// A value, and where it stands in the text.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// The bytes of the value: quotes and brackets, tag and anchor belong to it.
    pub(super) span: Range<usize>,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A text in quotes, or a block of text.
    Text(String),
    /// A word without quotes: a number, `true`, `null`; in YAML a text too.
    Word(String),
    List(Vec<Node>),
    /// Keys and values in their order; a key may stand here twice.
    Table(Vec<(Node, Node)>),
    /// A YAML alias, which is not followed.
    Alias,
}

impl Node {
    /// Returns the text of a text or a word that is not null.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Word(word) => (!is_null(word)).then_some(word),
            _ => None,
        }
    }

    /// Returns the keys and values of a table; none where this is no table.
    pub(super) fn entries(&self) -> &[(Self, Self)] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    /// Returns the nodes of a list; none where this is no list.
    pub(super) fn list(&self) -> &[Self] {
        match &self.value {
            Value::List(list) => list,
            _ => &[],
        }
    }

    /// Returns all values that this key has; the last is the one that programs see.
    pub(super) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Self> {
        let entries = self.entries().iter();
        entries.filter(move |(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    /// Returns the value of this key that programs see.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let is_it = |(name, _): &&(Self, Self)| name.text() == Some(key);
        self.entries().iter().rev().find(is_it).map(|(_, value)| value)
    }

    /// Returns whether both say the same, wherever it stands.
    pub(super) fn says_as(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Text(one), Value::Text(other)) | (Value::Word(one), Value::Word(other)) => {
                one == other
            }
            (Value::List(ones), Value::List(others)) => {
                ones.len() == others.len()
                    && ones.iter().zip(others).all(|(one, other)| one.says_as(other))
            }
            (Value::Table(ones), Value::Table(others)) => {
                let same =
                    |((key, value), (other_key, other_value)): (&(Self, Self), &(Self, Self))| {
                        key.says_as(other_key) && value.says_as(other_value)
                    };
                ones.len() == others.len() && ones.iter().zip(others).all(same)
            }
            _ => false,
        }
    }

    /// Returns where the first alias in this value stands.
    pub(super) fn alias(&self) -> Option<usize> {
        match &self.value {
            Value::Alias => Some(self.span.start),
            Value::List(list) => list.iter().find_map(Self::alias),
            Value::Table(entries) => {
                entries.iter().find_map(|(key, value)| key.alias().or_else(|| value.alias()))
            }
            Value::Text(_) | Value::Word(_) => None,
        }
    }
}

fn is_null(word: &str) -> bool {
    matches!(word, "" | "~" | "null" | "Null" | "NULL")
}
