//! Letters beyond the first 65,536 of Unicode, such as emoji: where a server prints a literal
//! default or a member of ENUM or SET, it has `?` for them. A table created from that would differ.

use crate::base::error::Error;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::quote;
use crate::source::mariadb::scan;

/// The character sets that have such letters.
const WITH_ALL_LETTERS: &[&str] = &["utf8mb4", "utf16", "utf16le", "utf32"];

/// A column as the server prints it.
pub(super) struct Printed<'a> {
    pub(super) database: &'a str,
    pub(super) table: &'a str,
    pub(super) name: &'a str,
    pub(super) charset: Option<&'a str>,
    /// Its type, such as `enum('a','b')`.
    pub(super) full_type: &'a str,
    /// Its default: a literal in quotes, or an expression.
    pub(super) default: Option<&'a str>,
}

/// Fails where the definition `create` of its table does not tell what a column's members and
/// default are.
pub(super) async fn demand_told(
    connection: &mut Connection,
    column: &Printed<'_>,
    create: &str,
) -> Result<()> {
    if !column.charset.is_some_and(|charset| WITH_ALL_LETTERS.contains(&charset)) {
        return Ok(());
    }
    let Printed { table, name, full_type, .. } = column;
    let refused = |what: &str, hint: &str| {
        let text = format!("cannot save table {table:?}: the server prints {what} with ?");
        Err(Error::failed(text).hint(hint))
    };
    let members = scan::members(full_type).into_iter().zip(1..);
    for (_, number) in members.filter(|(member, _)| member.contains('?')) {
        let member = connection.member(column, number).await?;
        if has_unprinted(&member) {
            let what = format!("member {member:?} of column {name:?}");
            return refused(&what, "ALTER TABLE can give it letters that are printed");
        }
    }
    if !column.default.is_some_and(|default| default.starts_with('\'') && default.contains('?')) {
        return Ok(());
    }
    let default = connection.default_of(column).await?;
    let as_printed = format!(" DEFAULT {}", quote::string(&default));
    if has_unprinted(&default) && !create.contains(&as_printed) {
        let hint = format!("write it as an expression: DEFAULT ({})", quote::string(&default));
        return refused(&format!("the default {default:?} of column {name:?}"), &hint);
    }
    Ok(())
}

fn has_unprinted(text: &str) -> bool {
    text.chars().any(|letter| letter > '\u{ffff}')
}

impl Connection {
    /// Returns a member of an ENUM or SET, counted from 1: what a variable of its type reads as.
    async fn member(&mut self, column: &Printed<'_>, number: u32) -> Result<String> {
        let Printed { database, table, name, full_type, .. } = column;
        let value =
            if full_type.starts_with("set") { 1 << (number - 1) } else { u64::from(number) };
        let sql = format!(
            "BEGIN NOT ATOMIC DECLARE member TYPE OF {}.{}; SET member = {value}; \
             SELECT CONVERT(member USING utf8mb4); END",
            quote::qualified(database, table),
            quote::identifier(name)
        );
        let doing = format!("cannot read the members of column {name:?} of table {table:?}");
        let member: Option<Option<String>> = self.first(&doing, &sql).await?;
        member.flatten().ok_or_else(|| Error::failed(doing))
    }

    /// Returns a column's default, whether its table has rows or not.
    async fn default_of(&mut self, column: &Printed<'_>) -> Result<String> {
        let Printed { database, table, name, .. } = column;
        let sql = format!(
            "SELECT CONVERT(DEFAULT({}) USING utf8mb4) FROM (SELECT 1) AS one LEFT JOIN {} ON FALSE",
            quote::identifier(name),
            quote::qualified(database, table)
        );
        let doing = format!("cannot read the default of column {name:?} of table {table:?}");
        let default: Option<Option<String>> = self.first(&doing, &sql).await?;
        default.flatten().ok_or_else(|| Error::failed(doing))
    }
}
