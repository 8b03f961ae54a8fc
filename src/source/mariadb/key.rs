//! Primary keys as boundaries: what a chunk begins with, and the SQL that asks for a range.
//!
//! A boundary is data, never SQL: it may come from an archive. Text is compared under its column's
//! own collation, and a composite key by `a > ? OR (a = ? AND b >= ?)`, since MariaDB scans the
//! whole table for `(a, b) >= (?, ?)`.

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::source::mariadb::field::Field;
use crate::source::mariadb::quote;
use crate::source::mariadb::text::Text;

/// A column of a primary key whose values can be boundaries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeyColumn {
    /// The column's name.
    pub(super) name: String,
    /// How its values are compared.
    pub(super) order: Order,
}

/// How the values of a key column are written in SQL so that they compare as the key does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Order {
    /// Integers and DECIMAL.
    Number,
    /// Dates and times, in UTC.
    Time,
    /// BINARY and VARBINARY.
    Bytes,
    /// CHAR and VARCHAR under a character set and a collation.
    Text {
        /// The character set of the column.
        charset: String,
        /// The collation of the column.
        collation: String,
    },
}

/// The key at which a range begins: one value per key column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Boundary(Vec<Text>);

impl Boundary {
    /// Returns the key of a row as JSON.
    pub(super) fn of_fields<'a>(fields: impl Iterator<Item = Field<'a>>) -> Value {
        let value = |field| match field {
            Field::Bytes(bytes) => Text(bytes.to_vec()),
            other => {
                let sql = mysql_async::Value::from(other).as_sql(true);
                Text(sql.trim_matches('\'').as_bytes().to_vec())
            }
        };
        let key = Self(fields.map(value).collect());
        serde_json::to_value(key).expect("strings are JSON")
    }

    /// Returns a stored boundary; `None` where it does not fit the key's columns any more.
    pub(super) fn parse(stored: &Value, columns: &[KeyColumn]) -> Option<Self> {
        let boundary: Self = serde_json::from_value(stored.clone()).ok()?;
        let fits = boundary.0.len() == columns.len()
            && columns
                .iter()
                .zip(&boundary.0)
                .all(|(column, value)| literal(column, value).is_ok());
        fits.then_some(boundary)
    }

    /// Returns SQL that is true from this key on.
    pub(super) fn at_or_after(&self, columns: &[KeyColumn]) -> Result<String> {
        self.beyond(columns, ">", ">=")
    }

    /// Returns SQL that is true before this key.
    pub(super) fn before(&self, columns: &[KeyColumn]) -> Result<String> {
        self.beyond(columns, "<", "<")
    }

    /// Returns `a > x OR (a = x AND (b > y OR (b = y AND c >= z)))`.
    fn beyond(&self, columns: &[KeyColumn], strictly: &str, last: &str) -> Result<String> {
        let mut condition = String::new();
        for (position, (column, value)) in columns.iter().zip(&self.0).enumerate().rev() {
            let name = quote::identifier(&column.name);
            let literal = literal(column, value)?;
            condition = if position + 1 == columns.len() {
                format!("{name} {last} {literal}")
            } else {
                format!("({name} {strictly} {literal} OR ({name} = {literal} AND {condition}))")
            };
        }
        Ok(condition)
    }
}

/// Returns a key's value as SQL; fails on a value that is none of its column.
fn literal(column: &KeyColumn, value: &Text) -> Result<String> {
    let malformed = || {
        Error::damaged(format!(
            "cannot use the chunk boundary {:?} of column {:?}",
            value.lossy(),
            column.name
        ))
    };
    let bytes = &value.0;
    let only = |allowed: &[u8]| {
        let is_allowed = |byte: &u8| byte.is_ascii_digit() || allowed.contains(byte);
        let is_value = !bytes.is_empty() && bytes.iter().all(is_allowed);
        if is_value { Ok(String::from_utf8_lossy(bytes)) } else { Err(malformed()) }
    };
    match &column.order {
        Order::Number if is_number(bytes) => Ok(value.lossy()),
        Order::Number => Err(malformed()),
        Order::Time => Ok(format!("'{}'", only(b"-:. ")?)),
        Order::Bytes => Ok(quote::bytes(bytes)),
        Order::Text { charset, collation } => quote::text_in(charset, collation, bytes),
    }
}

/// Returns whether this is `-?digits(.digits)?`: two dashes would begin a comment.
fn is_number(bytes: &[u8]) -> bool {
    let unsigned = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let mut parts = unsigned.splitn(2, |byte| *byte == b'.');
    parts.all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn number(name: &str) -> KeyColumn {
        KeyColumn { name: name.to_owned(), order: Order::Number }
    }

    #[test]
    fn a_composite_key_is_compared_column_by_column() {
        let columns = [number("a"), number("b"), number("c")];
        let key = Boundary::parse(&json!(["1", "-2", "3.5"]), &columns).unwrap();
        assert_eq!(
            key.at_or_after(&columns).unwrap(),
            "(`a` > 1 OR (`a` = 1 AND (`b` > -2 OR (`b` = -2 AND `c` >= 3.5))))"
        );
        assert_eq!(
            key.before(&columns).unwrap(),
            "(`a` < 1 OR (`a` = 1 AND (`b` < -2 OR (`b` = -2 AND `c` < 3.5))))"
        );
    }

    #[test]
    fn text_is_compared_under_its_collation() {
        let order =
            Order::Text { charset: "latin1".to_owned(), collation: "latin1_swedish_ci".to_owned() };
        let columns = [KeyColumn { name: "n".to_owned(), order }];
        let stored = json!([{ "base64": "6Q==" }]);
        let key = Boundary::parse(&stored, &columns).unwrap();
        assert_eq!(
            key.at_or_after(&columns).unwrap(),
            "`n` >= _latin1 x'e9' COLLATE latin1_swedish_ci"
        );
    }

    #[test]
    fn a_boundary_that_is_no_value_of_its_column_is_dropped() {
        let time = KeyColumn { name: "t".to_owned(), order: Order::Time };
        assert!(Boundary::parse(&json!(["1 OR 1=1"]), &[number("a")]).is_none());
        assert!(Boundary::parse(&json!([""]), &[number("a")]).is_none());
        assert!(Boundary::parse(&json!(["1", "2"]), &[number("a")]).is_none());
        assert!(Boundary::parse(&json!(["2020-01-01' OR '1"]), &[time]).is_none());
        assert!(Boundary::parse(&json!("1"), &[number("a")]).is_none());
        for text in ["1--", "--1", "-", "1-2", "1.", ".5", "1.2.3", "1 ", "-.", "1e5"] {
            assert!(Boundary::parse(&json!([text]), &[number("a")]).is_none(), "{text}");
        }
        assert!(Boundary::parse(&json!(["-10.50"]), &[number("a")]).is_some());
    }
}
