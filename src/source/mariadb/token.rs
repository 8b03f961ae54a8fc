//! Cuts SQL into tokens, as the server does under `sql_mode=''`: what stands in quotes or in a
//! comment can hide nothing.

/// A piece of SQL; white space is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A keyword, a number or a bare name.
    Word(&'a [u8]),
    /// A name in backticks or double quotes, with them.
    Name(&'a [u8]),
    /// A string in single quotes.
    Text,
    /// A comment with its marks, an executable one too.
    Comment(&'a [u8]),
    /// Any other byte.
    Symbol(u8),
    /// A quote or a comment that never ends.
    Endless,
}

impl Token<'_> {
    /// Returns the name that this is, quoted or bare.
    pub(super) fn name(self) -> Option<Vec<u8>> {
        let (quote, inner) = match self {
            Self::Word(word) => return Some(word.to_vec()),
            Self::Name([quote, inner @ .., _]) => (*quote, inner),
            _ => return None,
        };
        let mut name = Vec::with_capacity(inner.len());
        let mut bytes = inner.iter();
        while let Some(byte) = bytes.next() {
            name.push(*byte);
            if *byte == quote {
                bytes.next();
            }
        }
        Some(name)
    }

    /// Returns whether this is a keyword.
    pub(super) const fn is(self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword.as_bytes()))
    }

    /// Returns whether this is one of these keywords.
    pub(super) fn is_one_of(self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is(keyword))
    }
}

/// Returns the tokens of a statement.
pub(super) fn tokens(sql: &[u8]) -> impl Iterator<Item = Token<'_>> {
    let mut rest = sql;
    std::iter::from_fn(move || {
        rest = rest.trim_ascii_start();
        let (token, length) = first(rest)?;
        rest = &rest[length..];
        Some(token)
    })
}

/// Returns the token that a text starts with, and its length.
fn first(sql: &[u8]) -> Option<(Token<'_>, usize)> {
    let found = match sql {
        [] => return None,
        [b'`' | b'"' | b'\'', ..] => quoted(sql),
        [b'/', b'*', rest @ ..] => {
            let end = memchr::memmem::find(rest, b"*/").map(|length| length + 4);
            end.map(|length| (Token::Comment(&sql[..length]), length))
        }
        [b'#', ..] | [b'-', b'-', ..] => {
            let length = memchr::memchr(b'\n', sql).unwrap_or(sql.len());
            Some((Token::Comment(&sql[..length]), length))
        }
        [byte, ..] if is_of_word(*byte) => {
            let length = sql.iter().position(|byte| !is_of_word(*byte)).unwrap_or(sql.len());
            Some((Token::Word(&sql[..length]), length))
        }
        [byte, ..] => Some((Token::Symbol(*byte), 1)),
    };
    Some(found.unwrap_or((Token::Endless, sql.len())))
}

/// Returns the quoted name or string that a text starts with, and its length.
fn quoted(sql: &[u8]) -> Option<(Token<'_>, usize)> {
    let quote = *sql.first()?;
    let mut position = 1;
    loop {
        match sql.get(position..)? {
            [] => return None,
            [byte, next, ..] if *byte == quote && *next == quote => position += 2,
            [byte, ..] if *byte == quote => break,
            [b'\\', ..] if quote != b'`' => position += 2,
            _ => position += 1,
        }
    }
    let length = position + 1;
    Some((if quote == b'\'' { Token::Text } else { Token::Name(&sql[..length]) }, length))
}

const fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_comments_end_where_the_server_ends_them() {
        let found: Vec<_> =
            tokens(b"a`b``c`'d''\\'e'/* ' */#f\n--g\n\"h\\\"\" 1.\xc3\xa9").collect();
        let expected = [
            Token::Word(b"a"),
            Token::Name(b"`b``c`"),
            Token::Text,
            Token::Comment(b"/* ' */"),
            Token::Comment(b"#f"),
            Token::Comment(b"--g"),
            Token::Name(b"\"h\\\"\""),
            Token::Word(b"1"),
            Token::Symbol(b'.'),
            Token::Word("é".as_bytes()),
        ];
        assert_eq!(found, expected);
        assert_eq!(found[1].name(), Some(b"b`c".to_vec()));
    }

    #[test]
    fn what_never_ends_is_seen() {
        for sql in ["'a", "`a``", "\"a\\\"", "/* a *", "'a\\"] {
            assert_eq!(tokens(sql.as_bytes()).collect::<Vec<_>>(), [Token::Endless], "{sql}");
        }
    }
}
