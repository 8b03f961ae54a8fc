//! Foreign keys that cross databases.
//!
//! A key follows the table that it points to when both move, and when either does. But one whose
//! table is gone stays a name: moved to another database, it still names the table of the first,
//! and would bind itself to whatever comes in its place.

use serde::Deserialize;
use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::fault;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::names;
use crate::source::mariadb::quote;
use crate::source::mariadb::scan;
use crate::source::mariadb::shown;
use crate::source::mariadb::statement;
use crate::source::mariadb::statement::CreateTable;

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

/// The keys of a table that name tables of the database which it came from. No statement both drops
/// a key and adds one of its name, so that they are gone for a moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Strayed {
    pub(super) table: String,
    /// The database that it came from.
    left: String,
    /// The quoted name of each key, and its clause.
    keys: Vec<(String, String)>,
    /// What such an `ALTER TABLE` has to build anew.
    hashes: Vec<String>,
}

/// Returns the keys of a database that name tables of the database `left`, which its own tables came
/// from.
pub(super) async fn strayed(
    connection: &mut Connection,
    database: &str,
    left: &str,
) -> Result<Vec<Strayed>> {
    let sql = "SELECT DISTINCT TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE \
               WHERE {} AND {}";
    let own = quote::is_database("TABLE_SCHEMA", database);
    let pointing = quote::is_database("REFERENCED_TABLE_SCHEMA", left);
    let sql = sql.replacen("{}", &own, 1).replacen("{}", &pointing, 1);
    let tables: Vec<String> =
        connection.rows("cannot look for foreign keys of moved tables", &sql).await?;
    let mut strayed = Vec::new();
    for table in tables {
        let create = shown::show_create_table(connection, database, &table).await?;
        let parsed = CreateTable::parse(&create)?;
        let keys = parsed.foreign_keys_into(left).into_iter();
        let keys = keys.map(|(name, key)| (name.to_owned(), key.to_owned())).collect();
        strayed.push(Strayed { left: left.to_owned(), keys, hashes: parsed.hashes_again(), table });
    }
    Ok(strayed)
}

impl Strayed {
    /// Makes the keys name tables of the selected database, which is theirs.
    pub(super) async fn bring_home(&self, connection: &mut Connection, own: &str) -> Result<()> {
        let drop = |(name, _): &(String, String)| format!("DROP FOREIGN KEY {name}");
        let dropped: Vec<_> = self.keys.iter().map(drop).collect();
        connection.alter_table(&self.table, &dropped).await?;
        fault::point("database.keys-dropped");
        self.add(connection, own, &self.keys.iter().collect::<Vec<_>>()).await
    }

    /// Adds those of the keys that are gone, where whoever dropped them died; the database that the
    /// table lies in by now is selected.
    pub(super) async fn add_gone(&self, connection: &mut Connection, own: &str) -> Result<()> {
        let create = shown::show_create_table(connection, own, &self.table).await?;
        let there = CreateTable::parse(&create)?.foreign_keys();
        let is_gone = |(name, _): &&(String, String)| !there.contains(&name.as_str());
        let gone: Vec<_> = self.keys.iter().filter(is_gone).collect();
        if gone.is_empty() { Ok(()) } else { self.add(connection, own, &gone).await }
    }

    async fn add(
        &self,
        connection: &mut Connection,
        own: &str,
        keys: &[&(String, String)],
    ) -> Result<()> {
        let add = |key: &str| format!("ADD {}", statement::requalified(key, &self.left, own));
        let mut added: Vec<_> = keys.iter().map(|(_, key)| add(key)).collect();
        added.extend_from_slice(&self.hashes);
        connection.alter_table(&self.table, &added).await
    }
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
