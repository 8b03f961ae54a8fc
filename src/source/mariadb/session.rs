//! Session settings: what reading and loading need, whatever the server's own settings are.
//!
//! A setting that a server does not have, or does not let us change, is left alone where the list
//! says so; anything else that fails is an error.

use mysql_async::Error as ClientError;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::sessions::STARTED;

/// For every connection: plain SQL, whole results, answers in UTF-8 and English, no timeouts.
const TALKING: &str = "SET NAMES utf8mb4, sql_mode = '', sql_quote_show_create = 1, \
    autocommit = 1, completion_type = 'NO_CHAIN', sql_auto_is_null = 0, sql_safe_updates = 0, \
    sql_select_limit = 18446744073709551615, sql_big_selects = 1, \
    lc_messages = 'en_US', time_zone = '+00:00', \
    wait_timeout = 86400, net_read_timeout = 86400, net_write_timeout = 86400, \
    max_statement_time = 0, idle_transaction_timeout = 0, idle_readonly_transaction_timeout = 0, \
    idle_write_transaction_timeout = 0";

/// READ COMMITTED as a server's default would make a consistent snapshot a snapshot of nothing.
/// A reader waits for a lock only behind somebody's DDL: not for ever. Nor does the server wait for
/// ever for one of our processes that is stopped, with what it has read held.
const READING: &str = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
    SET SESSION lock_wait_timeout = 600, innodb_lock_wait_timeout = 600, net_write_timeout = 600";

/// Text in each column's own character set, which the server converts otherwise.
const AS_STORED: &str = "SET character_set_results = NULL";

/// Values go in exactly as they came out: nothing is rounded, invented or left out. What was
/// allowed once is taken back without a check, because digests prove it afterwards.
const LOADING: &[&str] = &[
    "SET SESSION TRANSACTION READ WRITE",
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO,\
     NO_ENGINE_SUBSTITUTION', \
     foreign_key_checks = 0, unique_checks = 1, check_constraint_checks = 0, \
     sql_notes = 1, max_error_count = 65535, \
     lock_wait_timeout = 3600, innodb_lock_wait_timeout = 3600",
];

/// Computed values come out as they did, whatever was cut or replaced in them: not all are good
/// enough for a strict mode, and no stored value changes.
const COMPUTING: &str = "SET SESSION sql_mode = \
    'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION'";

/// As a row is read when it is saved: what the server computes of it may depend on the mode.
const READING_BACK: &str = "SET SESSION sql_mode = ''";

/// A date that no calendar has is none where a value is computed, as in most sessions.
const COMPUTING_STRICTLY: &str = "SET SESSION sql_mode = \
    'NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION'";

/// Settings of `LOADING` that some versions lack, or fix when the server starts.
const LOADING_WHERE_KNOWN: &[&str] = &[
    "character_set_collations = ''",
    "innodb_strict_mode = 0",
    "explicit_defaults_for_timestamp = 1",
    "system_versioning_insert_history = 1",
    "system_versioning_alter_history = KEEP",
];

/// `Unknown system variable`, and `is a read only variable`.
const NO_SUCH_SETTING: &[u16] = &[1193, 1238];

/// What a server tells of itself and of us.
pub(super) struct Greeting {
    /// The account that it took us for.
    pub(super) account: String,
    /// When it was started, in seconds of its own clock.
    pub(super) server_started: u64,
}

impl Connection {
    /// Readies the session for the reading of rows in one consistent snapshot.
    pub async fn prepare_reading(&mut self) -> Result<()> {
        self.execute("cannot prepare a session for reading", READING).await
    }

    /// Readies the session for the reading of rows as they are stored. So many seconds is a lock on a
    /// table waited for: everybody behind us waits as long.
    pub(super) async fn prepare_reading_rows(&mut self, lock_seconds: u32) -> Result<()> {
        let locks = format!("SET SESSION lock_wait_timeout = {lock_seconds}");
        let statements = format!("{READING}; {AS_STORED}; {locks}");
        self.execute("cannot prepare a session for reading rows", &statements).await
    }

    /// Readies the session for the building and the filling of tables.
    pub async fn prepare_loading(&mut self) -> Result<()> {
        for statement in LOADING {
            self.execute("cannot prepare a session for loading", statement).await?;
        }
        for setting in LOADING_WHERE_KNOWN {
            self.set_where_known(setting).await?;
        }
        Ok(())
    }

    /// Readies a session for altering tables, which computes generated columns anew and looks at
    /// every default again.
    pub(super) async fn prepare_altering(&mut self) -> Result<()> {
        self.execute("cannot prepare a session for altering tables", COMPUTING).await
    }

    /// Readies a session for computing the values of a table anew, other dates than those of
    /// [`prepare_altering`](Self::prepare_altering) being none.
    pub(super) async fn prepare_computing(&mut self) -> Result<()> {
        self.execute("cannot prepare a session for computing values", COMPUTING_STRICTLY).await
    }

    /// Readies a session for reading rows as they were read when they were saved.
    pub(super) async fn prepare_reading_back(&mut self) -> Result<()> {
        self.execute("cannot prepare a session for reading back", READING_BACK).await
    }

    /// Makes text arrive as it is stored, in each column's own character set: for rows.
    pub async fn receive_text_as_stored(&mut self) -> Result<()> {
        self.execute("cannot receive text as it is stored", AS_STORED).await
    }

    /// Makes text arrive in UTF-8, as every connection starts: for names and definitions.
    pub async fn receive_text_as_utf8(&mut self) -> Result<()> {
        let statement = "SET character_set_results = utf8mb4";
        self.execute("cannot receive text in UTF-8", statement).await
    }

    /// Readies the session for statements that mean the same on every server; all at once, because
    /// every connection begins with it.
    pub(super) async fn prepare_talking(&mut self) -> Result<Greeting> {
        let statements = format!("{TALKING}; SELECT CURRENT_USER(), ({STARTED})");
        let answers = self.answers("cannot prepare a session", &statements).await?;
        let row: Option<(String, Option<u64>)> = answers.into_iter().flatten().next();
        let (account, server_started) = row.expect("this SELECT has one row");
        Ok(Greeting { account, server_started: server_started.unwrap_or_default() })
    }

    /// Takes back the settings of a program that was created in this session.
    pub(super) async fn speak_plainly(&mut self) -> Result<()> {
        let statement = "SET character_set_client = utf8mb4, \
            collation_connection = utf8mb4_general_ci, sql_mode = '', time_zone = '+00:00'";
        self.execute("cannot take back the settings of a program", statement).await
    }

    /// Keeps what this session changes out of the binary log. Fails with [`Kind::Refused`] where the
    /// account may not, or where a cluster would come apart.
    pub(super) async fn leave_binlog(&mut self) -> Result<()> {
        let doing = "cannot keep changes out of the binary log";
        self.read_galera().await?.allow_without_binlog().map_err(|it| it.while_doing(doing))?;
        match self.execute(doing, "SET SESSION sql_log_bin = 0").await {
            Err(error) if error.kind() == Kind::Denied => {
                let hint = format!("GRANT BINLOG ADMIN ON *.* TO {};", self.account());
                Err(Error::new(Kind::Refused, error.to_string()).hint(hint))
            }
            outcome => outcome,
        }
    }

    /// Writes what this session changes to the binary log again.
    pub(super) async fn return_to_binlog(&mut self) -> Result<()> {
        self.execute("cannot return to the binary log", "SET SESSION sql_log_bin = 1").await
    }

    /// Returns whether there is a binary log that this session writes to.
    pub(super) async fn writes_binlog(&mut self) -> Result<bool> {
        let sql = "SELECT @@global.log_bin AND @@session.sql_log_bin";
        Ok(self.first("cannot ask for the binary log", sql).await?.unwrap_or(true))
    }

    async fn set_where_known(&mut self, setting: &str) -> Result<()> {
        match self.try_execute(&format!("SET SESSION {setting}")).await {
            Err(ClientError::Server(answer)) if NO_SUCH_SETTING.contains(&answer.code) => Ok(()),
            outcome => outcome.map_err(|cause| {
                self.peer().error(&format!("cannot set {setting} for loading"), cause)
            }),
        }
    }
}
