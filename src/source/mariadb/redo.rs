//! Has the server write its redo log out while rows go in, so that no loader has to.
//!
//! A server keeps what it logs in a buffer (`innodb_log_buffer_size`, 16 MiB unless it is set), which rows
//! at full speed fill ten times a second. Whoever finds it full writes it out and waits for the disk,
//! and so does whoever commits. Where somebody else writes it early, they find little left to wait for:
//! of a restore on two cores, these stand still for half as long.

use std::pin::pin;
use std::time::Duration;

use tokio::time::sleep;

use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;

/// How long the server is left alone between two times: what it logs meanwhile is a third of its buffer.
const PAUSE: Duration = Duration::from_millis(30);

impl Connection {
    /// Returns what comes of loading on other connections, while this one has the server write its log.
    pub(super) async fn write_redo_during<T>(&mut self, loading: impl Future<Output = T>) -> T {
        // Whoever bounds the rate wants the server to be left to others, and not the soonest end.
        if self.offer().pace().limits().rate.is_some() {
            return loading.await;
        }
        let mut loading = pin!(loading);
        loop {
            tokio::select! {
                outcome = &mut loading => return outcome,
                () = sleep(PAUSE) => {}
            }
            let (written, outcome) = {
                let mut writing = pin!(self.write_redo());
                tokio::select! {
                    written = &mut writing => (written, None),
                    // The connection would take the answer for that to its next statement.
                    outcome = &mut loading => (writing.await, Some(outcome)),
                }
            };
            match outcome {
                Some(outcome) => return outcome,
                // It needs the right RELOAD, and nothing depends on it. A connection that is lost is
                // told of by its next statement.
                None if written.is_err() => return loading.await,
                None => {}
            }
        }
    }

    /// Has the server write its redo log out, and those of other engines; neither its binary log nor
    /// other servers hear of it.
    async fn write_redo(&mut self) -> Result<()> {
        self.execute("cannot write the redo log", "FLUSH LOCAL ENGINE LOGS").await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tokio::time::timeout;

    use crate::base::pace::Limits;
    use crate::base::pace::Pace;
    use crate::source::mariadb::connection::connect;
    use crate::source::mariadb::throwaway::server;

    use super::*;

    /// Waits until a connection has begun so many statements more; fails where it does not.
    async fn until_it_began(id: u32, statements: usize) {
        let mut observer = server().connection().await;
        let sql = format!("SELECT QUERY_ID FROM information_schema.PROCESSLIST WHERE ID = {id}");
        let mut seen = BTreeSet::new();
        let began = async {
            while seen.len() <= statements {
                seen.insert(observer.first::<u64>("cannot look", &sql).await.unwrap());
            }
        };
        timeout(Duration::from_secs(60), began).await.expect("it begins none");
    }

    /// Returns how often a connection had a log written, or tried to.
    async fn times(connection: &mut Connection) -> u64 {
        let sql = "SHOW SESSION STATUS LIKE 'Com_flush'";
        connection.first::<(String, u64)>("cannot count", sql).await.unwrap().unwrap().1
    }

    #[tokio::test]
    async fn the_log_is_written_again_and_again_until_all_is_loaded() {
        let mut connection = server().connection().await;
        let loading = until_it_began(connection.id(), 2);
        connection.write_redo_during(loading).await;
        assert!(times(&mut connection).await >= 2);
    }

    #[tokio::test]
    async fn who_may_not_have_it_written_loads_without_and_asks_once() {
        server().run("CREATE USER roaming@localhost");
        let mut connection = connect(&server().login("roaming", None)).await.unwrap();
        let id = connection.id();
        let loading = async {
            until_it_began(id, 1).await;
            sleep(PAUSE * 3).await;
            "loaded"
        };
        assert_eq!(connection.write_redo_during(loading).await, "loaded");
        assert_eq!(times(&mut connection).await, 1);
    }

    #[tokio::test]
    async fn rows_at_a_rate_leave_the_log_alone() {
        let mut login = server().login(server().superuser(), None);
        let rate = Some("1M".parse().unwrap());
        login.pace = Pace::of(Limits { rate, ..Limits::default() });
        let mut connection = connect(&login).await.unwrap();
        connection.write_redo_during(sleep(PAUSE * 3)).await;
        assert_eq!(times(&mut connection).await, 0);
    }
}
