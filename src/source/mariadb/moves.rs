//! Moving tables between schemas: all of them in one statement, or none.

use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::fault;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::quote;
use crate::source::mariadb::tables;

/// A table or sequence on its way from one schema to another.
pub(super) struct Move {
    table: String,
    from: String,
    to: String,
}

/// Returns the moves of these tables.
pub(super) fn all(tables: &[String], from: &str, to: &str) -> Vec<Move> {
    let one =
        |table: &String| Move { table: table.clone(), from: from.to_owned(), to: to.to_owned() };
    tables.iter().map(one).collect()
}

/// Returns the names of the tables and sequences of a schema.
pub(super) async fn stored(connection: &mut Connection, schema: &str) -> Result<Vec<String>> {
    let listed = tables::listed(connection, schema).await?;
    let stored = listed.iter().filter(|table| table.is_stored());
    Ok(stored.map(|table| table.name().to_owned()).collect())
}

/// The name that a table has beside the one that took its place, until it is dropped.
const REPLACED: &str = "__snap_replaced";

impl Connection {
    /// Puts a table in the place of the one of its name, where there is one, which is dropped at once.
    pub(super) async fn replace_table(
        &mut self,
        table: &str,
        from: &str,
        database: &str,
    ) -> Result<()> {
        let (incoming, live) = (quote::qualified(from, table), quote::qualified(database, table));
        let replaced = quote::qualified(from, REPLACED);
        let is_there = stored(self, database).await?.iter().any(|name| name == table);
        let doing = format!("cannot replace table {table:?}");
        if is_there {
            // In one statement: at no moment is there no table of the name.
            let moves = format!("RENAME TABLE {live} TO {replaced}, {incoming} TO {live}");
            match self.execute(&doing, &moves).await {
                Ok(()) => {
                    fault::point("in-place.moved");
                    return self.drop_table(from, REPLACED).await;
                }
                Err(error) if matches!(error.kind(), Kind::Busy | Kind::Unreachable) => {
                    return Err(error);
                }
                // One that is broken, such as by a server that died when it moved, goes as it is.
                Err(_) => self.drop_table(database, table).await?,
            }
        }
        self.execute(&doing, &format!("RENAME TABLE {incoming} TO {live}")).await?;
        fault::point("in-place.moved");
        Ok(())
    }

    /// Drops a table or a sequence of a database.
    pub(super) async fn drop_table(&mut self, database: &str, table: &str) -> Result<()> {
        let name = quote::qualified(database, table);
        let doing = format!("cannot drop table {name}");
        self.execute(&doing, &format!("DROP TABLE IF EXISTS {name}")).await
    }

    /// Moves all tables, or none; fails with `Busy` where somebody holds one of them.
    pub(super) async fn rename_tables(&mut self, moves: &[Move]) -> Result<()> {
        if moves.is_empty() {
            return Ok(());
        }
        let clauses: Vec<_> = moves
            .iter()
            .map(|Move { table, from, to }| {
                format!("{} TO {}", quote::qualified(from, table), quote::qualified(to, table))
            })
            .collect();
        let statement = format!("RENAME TABLE {}", clauses.join(", "));
        self.execute("cannot swap the tables", &statement).await
    }

    /// Keeps everybody else from reading and writing these tables; fails with `Busy` where
    /// somebody holds one of them.
    pub(super) async fn lock_tables(&mut self, schema: &str, tables: &[String]) -> Result<()> {
        if tables.is_empty() {
            return Ok(());
        }
        let locks: Vec<_> = tables
            .iter()
            .map(|table| format!("{} WRITE", quote::qualified(schema, table)))
            .collect();
        let statement = format!("LOCK TABLES {}", locks.join(", "));
        self.execute("cannot lock the live tables", &statement).await
    }

    /// Lets everybody at the tables again.
    pub(super) async fn unlock_tables(&mut self) -> Result<()> {
        self.execute("cannot unlock the live tables", "UNLOCK TABLES").await
    }
}
