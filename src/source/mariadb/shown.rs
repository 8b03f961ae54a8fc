//! Reads `SHOW CREATE TABLE`: of one table, or of many in one go, since a server that is far away takes
//! as long for one as for all.

use std::collections::VecDeque;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::quote;

/// Definitions that are asked for in one go.
const SHOWN_AT_ONCE: usize = 100;

/// Returns a table's `SHOW CREATE TABLE`.
pub(super) async fn show_create_table(
    connection: &mut Connection,
    database: &str,
    table: &str,
) -> Result<String> {
    let doing = format!("cannot read the definition of table {table:?}");
    let sql = format!("SHOW CREATE TABLE {}", quote::qualified(database, table));
    let row: Option<(String, Vec<u8>)> = connection.first(&doing, &sql).await?;
    let (_, create) = row.ok_or_else(|| Error::failed(doing))?;
    text_of(table, create)
}

/// Returns the answers to `SHOW CREATE TABLE` of each table, many of which are asked for in one go; none
/// where one of them cannot be had, since it takes a question of its own to tell which.
pub(super) async fn show_create_tables(
    connection: &mut Connection,
    database: &str,
    tables: &[&str],
) -> Result<VecDeque<(String, Vec<u8>)>> {
    let mut created = VecDeque::new();
    for tables in tables.chunks(SHOWN_AT_ONCE) {
        let show =
            |table: &&str| format!("SHOW CREATE TABLE {}", quote::qualified(database, table));
        let shows = tables.iter().map(show).collect::<Vec<_>>().join("; ");
        match connection.answers("cannot read the definitions of tables", &shows).await {
            Ok(answers) => created.extend(answers.into_iter().flatten()),
            Err(error) if error.kind() == Kind::Unreachable => return Err(error),
            Err(_) => return Ok(VecDeque::new()),
        }
    }
    Ok(created)
}

/// Returns what a server answered as text.
pub(super) fn text_of(table: &str, create: Vec<u8>) -> Result<String> {
    // The server prints the default of a binary column as it is, and takes it back as text only.
    String::from_utf8(create).map_err(|_| {
        let reason = "the default of a column holds bytes that are no text";
        Error::failed(format!("cannot save table {table:?}: {reason}"))
            .hint("write it as an expression, such as DEFAULT (x'ff')")
    })
}
