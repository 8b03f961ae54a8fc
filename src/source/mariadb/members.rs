//! Members of ENUM and SET columns: a chunk has their text, and a text must name one of them alone.
//!
//! A lax server takes members that are equal, or equal but for their case; once loaded, each would
//! be the first of them.

use crate::base::error::Error;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::definition::Column;
use crate::source::mariadb::definition::NO_MEMBER;
use crate::source::mariadb::quote;
use crate::source::mariadb::scan;

/// Fails where a text of a column stands for more than one of its values. `full_type` is the type
/// as the server shows it, such as `enum('a','b')`.
pub(super) async fn demand_distinct(
    connection: &mut Connection,
    table: &str,
    column: &Column,
    full_type: &str,
    collation: Option<&str>,
) -> Result<()> {
    let mut members = scan::members(full_type);
    let kind = column.data_type.to_uppercase();
    let name = &column.name;
    let refused = |reason: &str| {
        let text = format!("cannot save table {table:?}: {reason} of {kind} {name:?}");
        Err(Error::failed(text).hint("ALTER TABLE can give each member a text of its own"))
    };
    if !connection.are_distinct(&members, collation).await? {
        return refused("two equal members");
    }
    // With it or without, the text of the value is the same.
    if column.data_type == "set" && members.contains(&"''") {
        return refused("an empty member");
    }
    let no_member = format!("'{NO_MEMBER}'");
    members.push(&no_member);
    if column.has_members() && !connection.are_distinct(&members, collation).await? {
        return refused(&format!("{NO_MEMBER}, which stands for none, is a member"));
    }
    Ok(())
}

impl Connection {
    /// Returns whether these literals differ as a column compares them; bytes have no collation.
    async fn are_distinct(&mut self, literals: &[&str], collation: Option<&str>) -> Result<bool> {
        let charset = collation.and_then(|collation| collation.split('_').next());
        let like_column = match (charset, collation) {
            (Some(charset), Some(collation)) if charset != collation => {
                format!(" USING {}) COLLATE {}", quote::word(charset)?, quote::word(collation)?)
            }
            _ => " USING binary)".to_owned(),
        };
        let select = |literal: &&str| format!("SELECT CONVERT({literal}{like_column} AS m");
        let selects: Vec<_> = literals.iter().map(select).collect();
        let sql = format!(
            "SELECT COUNT(*) = COUNT(DISTINCT m) FROM ({}) AS members",
            selects.join(" UNION ALL ")
        );
        let distinct: Option<bool> = self.first("cannot compare members", &sql).await?;
        Ok(distinct == Some(true))
    }
}
