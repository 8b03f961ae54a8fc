//! Foreign keys that cross databases.
//!
//! A key follows the table that it points to when both move, and when either does. But one whose
//! table is gone stays a name: moved to another database, it still names the table of the first,
//! and would bind itself to whatever comes in its place.

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::names;
use crate::source::mariadb::quote;
use crate::source::mariadb::scan;
use crate::source::mariadb::statement;
use crate::source::mariadb::statement::CreateTable;
use crate::source::mariadb::tables;

/// A foreign key of another database that points into this one: it would follow a table that is
/// replaced, away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pin {
    /// The table that it points to.
    pub(super) table: String,
    /// The key, as `database.table (constraint)`.
    key: String,
}

/// Returns the foreign keys of other databases that point into this one. Those of a killed swap
/// do not count: it moved their tables, and they come home when these are put back.
pub(super) async fn from_elsewhere(
    connection: &mut Connection,
    database: &str,
) -> Result<Vec<Pin>> {
    let sql = "SELECT DISTINCT TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, REFERENCED_TABLE_NAME \
               FROM information_schema.KEY_COLUMN_USAGE \
               WHERE {} AND NOT {}";
    let pointing = quote::is_database("REFERENCED_TABLE_SCHEMA", database);
    let own = quote::is_database("TABLE_SCHEMA", database);
    let sql = sql.replacen("{}", &pointing, 1).replacen("{}", &own, 1);
    let rows: Vec<(String, String, String, String)> =
        connection.rows("cannot look for foreign keys of other databases", &sql).await?;
    let beside = [names::previous(database, ""), names::staging(database, "")];
    let is_foreign = |db: &str| !beside.iter().any(|start| db.starts_with(start));
    let rows = rows.into_iter().filter(|(db, ..)| is_foreign(db));
    let pin =
        |(db, table, name, parent)| Pin { table: parent, key: format!("{db}.{table} ({name})") };
    Ok(rows.map(pin).collect())
}

impl Pin {
    /// Returns the key and its table, for people.
    pub(super) fn describe(&self) -> String {
        format!("{} to {:?}", self.key, self.table)
    }
}

/// Fails with [`Kind::Refused`] where there is such a key, in words for people.
pub fn refuse(pins: &[String]) -> Result<()> {
    if pins.is_empty() {
        return Ok(());
    }
    let text = format!(
        "cannot restore: foreign keys of other databases point to what would be replaced: {}",
        pins.join(", ")
    );
    Err(Error::new(Kind::Refused, text)
        .hint("they would follow the replaced tables: drop them, and add them afterwards"))
}

/// Returns the foreign keys among the tables of a database, as table and parent, which may be gone.
pub(super) async fn within(
    connection: &mut Connection,
    database: &str,
) -> Result<Vec<(String, String)>> {
    let sql = "SELECT DISTINCT TABLE_NAME, REFERENCED_TABLE_NAME \
               FROM information_schema.KEY_COLUMN_USAGE WHERE {} AND {}";
    let own = quote::is_database("TABLE_SCHEMA", database);
    let pointing = quote::is_database("REFERENCED_TABLE_SCHEMA", database);
    let sql = sql.replacen("{}", &own, 1).replacen("{}", &pointing, 1);
    connection.rows("cannot look for foreign keys", &sql).await
}

/// Drops the foreign keys that these tables of the selected database have.
pub(super) async fn drop_all_of(
    connection: &mut Connection,
    database: &str,
    tables: &[String],
) -> Result<()> {
    let sql = "SELECT TABLE_NAME, CONSTRAINT_NAME FROM information_schema.TABLE_CONSTRAINTS \
               WHERE {} AND CONSTRAINT_TYPE = 'FOREIGN KEY' ORDER BY 1, 2";
    let sql = sql.replace("{}", &quote::is_database("TABLE_SCHEMA", database));
    let keys: Vec<(String, String)> = connection.rows("cannot look for foreign keys", &sql).await?;
    for of_one in keys.chunk_by(|one, other| one.0 == other.0) {
        let table = &of_one[0].0;
        let drop =
            |(_, key): &(String, String)| format!("DROP FOREIGN KEY {}", quote::identifier(key));
        if tables.contains(table) {
            let clauses: Vec<_> = of_one.iter().map(drop).collect();
            connection.alter_table(table, &clauses).await?;
        }
    }
    Ok(())
}

/// Returns the tables of its own database that the keys of a table point to.
pub(super) fn parents(create: &str) -> Result<Vec<String>> {
    const WORD: &str = " REFERENCES ";
    let keys = CreateTable::parse(create)?.staged().last;
    let parent = |key: &String| {
        let target = &key[scan::find(key, WORD)? + WORD.len()..];
        let name = scan::quoted_name(target)?;
        // Behind a dot stands the table of another database.
        let is_own = !target[name.len()..].starts_with('.');
        is_own.then(|| name[1..name.len() - 1].replace("``", "`"))
    };
    Ok(keys.iter().filter_map(parent).collect())
}

/// Makes the keys of the selected database that name tables of the database `left`, which its own
/// tables came from, name tables of its own.
pub(super) async fn bring_home(
    connection: &mut Connection,
    database: &str,
    left: &str,
) -> Result<()> {
    let sql = "SELECT DISTINCT TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE \
               WHERE {} AND {}";
    let own = quote::is_database("TABLE_SCHEMA", database);
    let pointing = quote::is_database("REFERENCED_TABLE_SCHEMA", left);
    let sql = sql.replacen("{}", &own, 1).replacen("{}", &pointing, 1);
    let tables: Vec<String> =
        connection.rows("cannot look for foreign keys of moved tables", &sql).await?;
    for table in tables {
        let create = tables::show_create_table(connection, database, &table).await?;
        let (mut dropped, mut added) = (Vec::new(), Vec::new());
        let parsed = CreateTable::parse(&create)?;
        for (name, key) in parsed.foreign_keys_into(left) {
            dropped.push(format!("DROP FOREIGN KEY {name}"));
            added.push(format!("ADD {}", statement::requalified(key, left, database)));
        }
        added.extend(parsed.hashes_again());
        connection.alter_table(&table, &dropped).await?;
        connection.alter_table(&table, &added).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_that_keys_point_to_are_those_of_the_own_database() {
        let create = "CREATE TABLE `t` (\n  `a REFERENCES ``x` int(11) COMMENT ' FOREIGN KEY ( REFERENCES `c`',\n  \
            CONSTRAINT `k` FOREIGN KEY (`a REFERENCES ``x`) REFERENCES `p``q` (`id`),\n  \
            CONSTRAINT `l` FOREIGN KEY (`a`) REFERENCES `elsewhere`.`p` (`id`) ON DELETE CASCADE\n\
            ) ENGINE=InnoDB";
        assert_eq!(parents(create).unwrap(), ["p`q"]);
    }
}
