//! Keeps partitioned tables from exchanging their partitions between the moment and their reading.
//!
//! `EXCHANGE PARTITION` leaves no trace that a snapshot would fail on: definition and time of
//! creation stay, and the rows that come in may be older than the moment. So a connection of its own
//! holds the definitions of these tables from before the moment until all is read. Whoever wants to
//! change one waits for it, with everybody else behind; so the tables are tried all the time, and
//! the snapshot gives way where they can no longer be had.

use std::time::Duration;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::definition::Definition;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::moment;
use crate::source::mariadb::quote;
use crate::source::mariadb::scan;

/// How often the held tables are tried, and seconds until that is in vain: twice this long is the
/// longest that a change waits for us.
const PAUSE: Duration = Duration::from_secs(1);
const PATIENCE_SECONDS: u32 = 1;

/// The partitioned tables of a database, which nobody redefines as long as this lives.
pub(super) struct Partitioned {
    database: String,
    tables: Vec<String>,
    /// Where the definitions are held.
    _holder: Connection,
    /// What tries the tables as everybody else does.
    trier: Connection,
}

impl Partitioned {
    /// Holds the definitions of the partitioned tables that belong to a moment; `None` where there
    /// are none.
    pub(super) async fn hold(login: &Login, definition: &Definition) -> Result<Option<Self>> {
        let database = definition.database.name.clone();
        let is_held = |table: &&Table| table.is_transactional && is_partitioned(table);
        let held = definition.tables.iter().filter(is_held);
        let tables: Vec<_> = held.map(|table| table.name.clone()).collect();
        if tables.is_empty() {
            return Ok(None);
        }
        // A reader gives way: a table that is being changed is not waited for any longer.
        let mut holder = moment::reader(login).await?;
        holder.execute("cannot hold the partitioned tables", "START TRANSACTION").await?;
        for table in &tables {
            holder.touch(&database, table).await.map_err(moment::given_way)?;
        }
        let mut trier = connect(login).await?;
        trier.prepare_reading().await?;
        trier.wait_for_locks_at_most(PATIENCE_SECONDS).await?;
        Ok(Some(Self { database, tables, _holder: holder, trier }))
    }

    /// Returns only where somebody wants to redefine one of the tables, or the server is lost.
    pub(super) async fn is_wanted(&mut self) -> Error {
        loop {
            for table in &self.tables {
                match self.trier.touch(&self.database, table).await {
                    Err(error) if error.kind() == Kind::Busy => {
                        return moment::disturbed(&format!("somebody changes {table:?} meanwhile"));
                    }
                    Err(error) => return error,
                    Ok(()) => {}
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn is_partitioned(table: &Table) -> bool {
    scan::outside_quotes(&table.create).contains(" PARTITION BY ")
}

impl Connection {
    /// Looks at a table without reading it: its definition stays until the transaction ends.
    async fn touch(&mut self, database: &str, table: &str) -> Result<()> {
        let sql = format!("SELECT 1 FROM {} LIMIT 0", quote::qualified(database, table));
        self.execute(&format!("cannot hold table {table:?}"), &sql).await
    }
}
