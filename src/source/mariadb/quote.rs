//! Writes names and values as SQL: the one place where anything is quoted.
//!
//! Values are written in hex, which no `sql_mode` and no character set of the connection reads in
//! another way; a quoted string would depend on `NO_BACKSLASH_ESCAPES` and on `ANSI_QUOTES`.

use crate::base::digest::hex;
use crate::base::error::Error;
use crate::base::error::Result;

/// Returns a name as an identifier, in backticks.
pub fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Returns the name of a table or program in its database.
pub(super) fn qualified(database: &str, name: &str) -> String {
    format!("{}.{}", identifier(database), identifier(name))
}

/// Returns a name of MariaDB's own, such as a character set or a collation, which no quotes may
/// stand around; fails on anything else.
pub(super) fn word(name: &str) -> Result<&str> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !name.is_empty() && name.bytes().all(is_word) {
        return Ok(name);
    }
    Err(Error::damaged(format!("{name:?} is no name of a character set or collation")))
}

/// Returns bytes as a literal of a character set under a collation.
pub(super) fn text_in(charset: &str, collation: &str, value: &[u8]) -> Result<String> {
    Ok(format!("_{} {} COLLATE {}", word(charset)?, bytes(value), word(collation)?))
}

/// Returns a text literal that people can read, for a session whose `sql_mode` leaves backslash
/// and quotes their usual meaning.
pub(super) fn string(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

/// Returns an account, such as `snap@localhost` of `CURRENT_USER()`, as a statement names it.
pub fn account(current_user: &str) -> String {
    match current_user.rsplit_once('@') {
        Some((user, host)) => format!("{}@{}", identifier(user), identifier(host)),
        None => identifier(current_user),
    }
}

/// Returns a text literal.
pub fn text(value: &str) -> String {
    format!("_utf8mb4 {}", bytes(value.as_bytes()))
}

/// Returns SQL that is true where a column of `information_schema` names exactly this database.
/// The column's collation alone would take `É` for `e`; a server that ignores case ignores it here.
pub(super) fn is_database(column: &str, name: &str) -> String {
    let (text, bytes) = (text(name), bytes(name.as_bytes()));
    format!("({column} = {text} AND (@@lower_case_table_names > 0 OR BINARY {column} = {bytes}))")
}

/// Returns a literal of bytes, without a character set.
pub fn bytes(value: &[u8]) -> String {
    format!("x'{}'", hex(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads one identifier as the server does; `None` unless it ends where the text ends.
    fn read_identifier(quoted: &str) -> Option<String> {
        let inner = quoted.strip_prefix('`')?.strip_suffix('`')?;
        let name = inner.replace("``", "\u{0}");
        (!name.contains('`')).then(|| name.replace('\u{0}', "`"))
    }

    proptest! {
        #[test]
        fn an_identifier_ends_only_where_it_should(name in "[^\u{0}]{0,40}") {
            prop_assert_eq!(read_identifier(&identifier(&name)), Some(name));
        }

        #[test]
        fn a_literal_holds_nothing_but_hex_digits(value in any::<String>()) {
            let literal = text(&value);
            let digits = literal.strip_prefix("_utf8mb4 x'").and_then(|rest| rest.strip_suffix('\''));
            let digits = digits.expect("a literal has its frame");
            prop_assert!(digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
            prop_assert_eq!(digits.len(), value.len() * 2);
        }
    }

    #[test]
    fn an_account_is_split_at_its_last_at_sign() {
        assert_eq!(account("o`snap@work@10.0.%"), "`o``snap@work`@`10.0.%`");
        assert_eq!(account("@localhost"), "``@`localhost`");
    }
}
