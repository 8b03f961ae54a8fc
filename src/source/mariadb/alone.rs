//! Fills an empty table in one transaction, for which the server keeps no undo log.
//!
//! For every row that goes in, InnoDB notes how to take it out again: a twentieth of what the row costs it,
//! and a quarter of what it writes to the redo log for it. Where a transaction begins with a table that
//! is empty, in a session that checks neither unique nor foreign keys, it notes once that the table was
//! empty (MDEV-515, and MDEV-24818 for all statements of the transaction). Whatever fails then takes all
//! rows out again, and nobody else can write to the table meanwhile.
//!
//! The server counts the rows of a table for its statistics when many are new. Of one that is filled like
//! this it cannot, and tries again without a pause, which keeps a processor busy (seen in 10.11.19): it is
//! told not to, and has them counted in the end.

use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::quote;

/// How a loader fills the table that it is at work on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Alone {
    /// Each chunk in a transaction of its own, perhaps beside other loaders.
    #[default]
    No,
    /// In one transaction; so many times in a row the server did not say whether it keeps an undo log.
    Yes {
        /// How many times.
        unseen: u32,
    },
}

/// How many times in a row a server need not say whether it keeps an undo log: it makes its list of
/// transactions ten times a second at most, and has ours in the next one.
pub(super) const UNSEEN: u32 = 3;

/// The first releases of which no defect is known that concerns such transactions (MDEV-34703).
const SOUND: [[u32; 3]; 3] = [[10, 11, 11], [11, 4, 5], [11, 7, 2]];

/// Returns whether a release fills tables like this, and is known to do it well.
fn is_sound([major, minor, patch]: [u32; 3]) -> bool {
    let [.., newest] = SOUND;
    let of_series = SOUND.iter().find(|it| it[..2] == [major, minor]);
    of_series.map_or([major, minor, 0] > newest, |it| patch >= it[2])
}

impl Connection {
    /// Readies an empty table of the selected database to be filled in one transaction; returns whether
    /// the server may do that. What goes to a binary log or to other nodes goes there in one piece: it
    /// stays as small as chunks are.
    pub(super) async fn begin_alone(&mut self, table: &str) -> Result<bool> {
        let is_at_a_rate = self.offer().pace().limits().rate.is_some();
        if is_at_a_rate
            || !is_sound(self.read_facts().await?.release)
            || self.writes_binlog().await?
            || self.read_galera().await?.is_node()
        {
            return Ok(false);
        }
        self.count_by_itself(table, "0").await?;
        Ok(true)
    }

    /// Returns whether the server keeps an undo log for the transaction that this connection is in, and
    /// that filled a table with more than one row; `None` where that is not seen.
    pub(super) async fn keeps_undo(&mut self) -> Option<bool> {
        let sql = "SELECT trx_rows_modified FROM information_schema.INNODB_TRX \
            WHERE trx_mysql_thread_id = CONNECTION_ID()";
        // It needs the right PROCESS, and nothing depends on it.
        let noted = self.first::<u64>("cannot look at the transaction", sql).await.ok().flatten();
        noted.map(|records| records > 1)
    }

    /// Makes a table that was filled in one transaction like any other.
    pub(super) async fn end_alone(&mut self, table: &str) -> Result<()> {
        self.count_by_itself(table, "DEFAULT").await?;
        let name = quote::identifier(table);
        // Those of the engine alone: others are made where there were some.
        let sql = format!("SET STATEMENT use_stat_tables = 'never' FOR ANALYZE LOCAL TABLE {name}");
        self.execute(&format!("cannot count the rows of table {table:?}"), &sql).await
    }

    /// Says whether the server counts the rows of a table by itself.
    async fn count_by_itself(&mut self, table: &str, value: &str) -> Result<()> {
        self.alter_table(table, &[format!("STATS_AUTO_RECALC = {value}")]).await
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::time::Duration;

    use tokio::time::sleep;

    use crate::base::digest::RowsDigest;
    use crate::base::pace::Limits;
    use crate::base::pace::Pace;
    use crate::source::mariadb::bulk::Insertion;
    use crate::source::mariadb::bulk::Transaction;
    use crate::source::mariadb::connection::connect_for_rows;
    use crate::source::mariadb::login::Login;
    use crate::source::mariadb::tables;
    use crate::source::mariadb::throwaway::server;

    use super::*;

    /// Returns a connection to a database of this name with an empty table `t`, and how rows go into it.
    async fn prepared(login: &Login, database: &str) -> (Connection, Insertion) {
        server().run(&format!(
            "CREATE OR REPLACE DATABASE {database}; USE {database}; \
             CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL)"
        ));
        let mut connection = connect_for_rows(login).await.unwrap();
        connection.prepare_loading().await.unwrap();
        // That server has a binary log.
        connection.leave_binlog().await.unwrap();
        connection.select_database(database).await.unwrap();
        let mut reader = server().connection().await;
        let listed = tables::listed(&mut reader, database).await.unwrap();
        let tables = tables::tables(&mut reader, database, &listed).await.unwrap();
        (connection, Insertion::into(&tables[0]).unwrap())
    }

    /// Inserts rows by the transaction that fills their table; returns whether they were taken.
    async fn insert(connection: &mut Connection, insertion: &Insertion, chunk: &str) -> bool {
        let (like, transaction) = (RowsDigest::default(), Transaction::OfTable);
        let packet = 16 << 20;
        let inserting = connection.insert(
            "cannot insert",
            insertion,
            chunk.as_bytes(),
            packet,
            &like,
            transaction,
        );
        inserting.await.unwrap().is_some()
    }

    /// Returns whether the server keeps an undo log, by a list of transactions that is made now.
    async fn keeps_undo(connection: &mut Connection) -> Option<bool> {
        for _ in 0..100 {
            // The list is not made anew for as long as others look at it.
            sleep(Duration::from_millis(150)).await;
            if let Some(seen) = connection.keeps_undo().await {
                return Some(seen);
            }
        }
        None
    }

    fn lines(ids: std::ops::Range<u32>) -> String {
        ids.fold(String::new(), |mut lines, id| {
            writeln!(lines, "{id}\tname").unwrap();
            lines
        })
    }

    async fn rows(database: &str) -> u64 {
        let sql = format!("SELECT COUNT(*) FROM {database}.t");
        server().connection().await.first("cannot count", &sql).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn an_empty_table_is_filled_without_an_undo_log_and_counted_in_the_end() {
        let login = server().login(server().superuser(), None);
        let (mut connection, insertion) = prepared(&login, "alone").await;
        let definition = "SHOW CREATE TABLE t";
        let before: Option<(String, String)> = connection.first("", definition).await.unwrap();
        assert!(connection.begin_alone("t").await.unwrap());
        for ids in [0..5000, 5000..10_000, 10_000..15_000] {
            assert!(insert(&mut connection, &insertion, &lines(ids)).await);
            assert_eq!(keeps_undo(&mut connection).await, Some(false));
        }
        assert_eq!(rows("alone").await, 0, "it is one transaction");
        connection.commit("cannot commit").await.unwrap();
        connection.end_alone("t").await.unwrap();
        assert_eq!(rows("alone").await, 15_000);
        let after: Option<(String, String)> = connection.first("", definition).await.unwrap();
        assert_eq!(after, before);
        let counted = "SELECT n_rows FROM mysql.innodb_table_stats \
            WHERE database_name = 'alone' AND table_name = 't'";
        let counted: Option<u64> = connection.first("cannot look", counted).await.unwrap();
        assert!((14_000..16_000).contains(&counted.unwrap()), "{counted:?}");
        let session = "SELECT @@autocommit AND @@unique_checks";
        assert_eq!(connection.first("cannot look", session).await.unwrap(), Some(1));
    }

    #[tokio::test]
    async fn who_may_not_look_at_transactions_loses_no_row_by_it() {
        server().run(
            "CREATE USER unseeing@localhost; GRANT BINLOG ADMIN ON *.* TO unseeing@localhost; \
             GRANT ALL ON alone_unseen.* TO unseeing@localhost",
        );
        let login = server().login("unseeing", None);
        let (mut connection, insertion) = prepared(&login, "alone_unseen").await;
        assert!(connection.begin_alone("t").await.unwrap());
        for ids in [0..5000, 5000..10_000] {
            assert!(insert(&mut connection, &insertion, &lines(ids)).await);
            assert_eq!(connection.keeps_undo().await, None);
        }
        connection.commit("cannot commit").await.unwrap();
        connection.end_alone("t").await.unwrap();
        assert_eq!(rows("alone_unseen").await, 10_000);
    }

    #[tokio::test]
    async fn whatever_fails_takes_all_rows_of_the_table_back() {
        let login = server().login(server().superuser(), None);
        let (mut connection, insertion) = prepared(&login, "alone_failing").await;
        assert!(connection.begin_alone("t").await.unwrap());
        assert!(insert(&mut connection, &insertion, &lines(0..5000)).await);
        assert!(!insert(&mut connection, &insertion, &lines(4999..5010)).await, "one is twice");
        assert_eq!(rows("alone_failing").await, 0);
        connection.end_alone("t").await.unwrap();
        let own = Transaction::Own;
        let (chunk, like) = (lines(0..10), RowsDigest::default());
        let again = connection.insert("", &insertion, chunk.as_bytes(), 16 << 20, &like, own);
        assert!(again.await.unwrap().is_some());
        assert_eq!(rows("alone_failing").await, 10);
    }

    #[tokio::test]
    async fn a_table_with_rows_is_seen_to_have_an_undo_log() {
        let login = server().login(server().superuser(), None);
        let (mut connection, insertion) = prepared(&login, "alone_too_late").await;
        server().run("INSERT INTO alone_too_late.t VALUES (1000000, 'first')");
        assert!(connection.begin_alone("t").await.unwrap());
        assert!(insert(&mut connection, &insertion, &lines(0..5000)).await);
        assert_eq!(keeps_undo(&mut connection).await, Some(true));
        connection.commit("cannot commit").await.unwrap();
        connection.end_alone("t").await.unwrap();
        assert_eq!(rows("alone_too_late").await, 5001);
    }

    #[tokio::test]
    async fn rows_at_a_rate_and_those_that_go_to_a_binary_log_go_in_chunk_by_chunk() {
        let mut login = server().login(server().superuser(), None);
        let rate = Some("100M".parse().unwrap());
        login.pace = Pace::of(Limits { rate, ..Limits::default() });
        let (mut connection, _) = prepared(&login, "alone_at_a_rate").await;
        assert!(!connection.begin_alone("t").await.unwrap());
        let login = server().login(server().superuser(), None);
        let (mut connection, _) = prepared(&login, "alone_in_the_log").await;
        connection.return_to_binlog().await.unwrap();
        assert!(!connection.begin_alone("t").await.unwrap());
    }

    #[test]
    fn releases_with_known_defects_keep_an_undo_log() {
        for (release, expected) in [
            ([10, 6, 22], false),
            ([10, 11, 10], false),
            ([10, 11, 11], true),
            ([11, 4, 4], false),
            ([11, 4, 5], true),
            ([11, 5, 9], false),
            ([11, 7, 1], false),
            ([11, 7, 2], true),
            ([11, 8, 0], true),
            ([12, 0, 1], true),
        ] {
            assert_eq!(is_sound(release), expected, "{release:?}");
        }
    }
}
