//! The connections of one execution: remembered before they do anything, so that whoever comes
//! after a process that was killed can end what its statements still do in the server.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;

use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::files::durable;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::login::Login;

/// How often is asked whether the statements have ended, and how long between.
const ASKED: usize = 600;
const PAUSE: Duration = Duration::from_millis(50);

/// A clock may be read on either side of a second.
const SAME_START_SECONDS: u64 = 2;

/// Asks when the server was started, in seconds of its own clock.
pub(super) const STARTED: &str = "SELECT UNIX_TIMESTAMP() - CAST(VARIABLE_VALUE AS UNSIGNED) \
    FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'UPTIME'";

/// Where the connections of an execution are remembered; nowhere by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sessions(Option<Arc<PathBuf>>);

/// A connection, and when its server was started: another start counts its connections anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Session {
    id: u32,
    server_started: u64,
}

impl Sessions {
    /// Returns those that are remembered in a file, which need not be there yet.
    pub fn kept_in(file: PathBuf) -> Self {
        Self(Some(Arc::new(file)))
    }

    /// Remembers a connection; durable when this returns.
    pub(super) fn remember(&self, connection: &Connection, server_started: u64) -> Result<()> {
        let Some(file) = &self.0 else { return Ok(()) };
        let id = connection.id();
        durable::append(file, format!("{id} {server_started}\n").as_bytes())
    }

    /// Ends what these connections still do, and waits until they are gone. Returns how many there
    /// were.
    pub async fn end(&self, login: &Login) -> Result<usize> {
        let remembered = self.read()?;
        if remembered.is_empty() {
            return Ok(0);
        }
        let mut connection = connect(&Login { sessions: Self::default(), ..login.clone() }).await?;
        let server_started = connection.server_started().await?;
        let is_ours = |session: &Session| {
            session.server_started.abs_diff(server_started) <= SAME_START_SECONDS
        };
        let ids: HashSet<u32> = remembered
            .iter()
            .filter(|session| is_ours(session))
            .map(|session| session.id)
            .collect();
        let ended = connection.end_sessions(&ids).await?;
        connection.close().await;
        Ok(ended)
    }

    /// Returns the connections that are remembered. A line that a kill cut off names none.
    fn read(&self) -> Result<Vec<Session>> {
        let Some(file) = &self.0 else { return Ok(Vec::new()) };
        let text = match fs::read_to_string(file.as_path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            text => text.context(|| format!("cannot read {}", file.display()))?,
        };
        let session = |line: &str| {
            let (id, server_started) = line.split_once(' ')?;
            Some(Session { id: id.parse().ok()?, server_started: server_started.parse().ok()? })
        };
        Ok(text
            .split_inclusive('\n')
            .filter_map(|line| session(line.strip_suffix('\n')?))
            .collect())
    }
}

impl Connection {
    /// Returns when the server was started, in seconds of its own clock.
    async fn server_started(&mut self) -> Result<u64> {
        let started = self.first("cannot read when the server was started", STARTED).await?;
        Ok(started.unwrap_or_default())
    }

    /// Ends these connections of our own account and waits until they are gone.
    async fn end_sessions(&mut self, ids: &HashSet<u32>) -> Result<usize> {
        let doing = "cannot end the statements of a process that is gone";
        let own = self.id();
        let sql = "SELECT ID FROM information_schema.PROCESSLIST \
                   WHERE USER = SUBSTRING_INDEX(USER(), '@', 1)";
        let mut ended = 0;
        for attempt in 0..ASKED {
            let alive: Vec<u32> = self.rows(doing, sql).await?;
            let alive: Vec<u32> =
                alive.into_iter().filter(|id| *id != own && ids.contains(id)).collect();
            if alive.is_empty() {
                return Ok(ended);
            }
            if attempt == 0 {
                ended = alive.len();
                for id in alive {
                    // One that has ended by itself meanwhile cannot be killed.
                    drop(self.raw().query_drop(format!("KILL CONNECTION {id}")).await);
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Error::new(Kind::Busy, format!("{doing}: they go on"))
            .hint("SHOW FULL PROCESSLIST shows them; the server ends them when it can"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::mariadb::throwaway::server;

    #[tokio::test]
    async fn statements_of_remembered_connections_are_ended_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let sessions = Sessions::kept_in(folder.path().join("sessions"));
        let login = server().login(server().superuser(), None);
        let ours = Login { sessions: sessions.clone(), ..login.clone() };
        let (mut busy, mut other) = (connect(&ours).await.unwrap(), connect(&login).await.unwrap());
        let sleeping =
            tokio::spawn(async move { busy.execute("cannot sleep", "DO SLEEP(600)").await });
        assert_eq!(sessions.end(&login).await.unwrap(), 1);
        assert!(sleeping.await.unwrap().is_err());
        other.execute("cannot go on", "DO 1").await.unwrap();
        assert_eq!(sessions.end(&login).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_connection_of_an_earlier_start_of_the_server_is_nobody_now() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sessions");
        let login = server().login(server().superuser(), None);
        let mut other = connect(&login).await.unwrap();
        let id = other.id();
        durable::append(&file, format!("{id} 12345\n{id} 9").as_bytes()).unwrap();
        assert_eq!(Sessions::kept_in(file).end(&login).await.unwrap(), 0);
        other.execute("cannot go on", "DO 1").await.unwrap();
    }
}
