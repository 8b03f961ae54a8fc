//! Statistics that `ANALYZE TABLE … PERSISTENT` keeps apart from the engines, histograms among them.
//!
//! They are no part of a table, and plans of queries hang on them: a restored table that had some
//! gets new ones of the same rows.

use std::collections::HashSet;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::failure;
use crate::source::mariadb::quote;

/// The server's answers where the account may not read the statistics, or there are none at all.
const UNSEEN: &[u16] = &[1142, 1143, 1146];

/// Returns the names of the tables with statistics of their own, as far as the account may see.
pub(super) async fn analyzed(
    connection: &mut Connection,
    database: &str,
) -> Result<HashSet<String>> {
    let sql = "SELECT table_name FROM mysql.table_stats WHERE {}";
    let sql = sql.replace("{}", &quote::is_database("db_name", database));
    match connection.rows("cannot list the statistics of tables", &sql).await {
        Ok(tables) => Ok(tables.into_iter().collect()),
        Err(error) if failure::server_code(&error).is_some_and(|code| UNSEEN.contains(&code)) => {
            Ok(HashSet::new())
        }
        Err(error) => Err(error),
    }
}

impl Connection {
    /// Makes statistics of the rows of a table of the selected database.
    pub(super) async fn analyze(&mut self, table: &str) -> Result<()> {
        let sql = format!("ANALYZE TABLE {} PERSISTENT FOR ALL", quote::identifier(table));
        let doing = format!("cannot make statistics of table {table:?}");
        let told: Vec<(String, String, String, String)> = self.rows(&doing, &sql).await?;
        match told.into_iter().find(|(_, _, kind, _)| kind == "Error") {
            Some((_, _, _, text)) => Err(Error::failed(format!("{doing}: {text}"))),
            None => Ok(()),
        }
    }
}
