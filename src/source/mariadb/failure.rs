//! Turns what goes wrong between us and a server into errors: the one place that knows its codes.
//!
//! An error keeps the server's own text as its cause. The kind says whether the server is out of
//! reach, refuses the account, or simply failed; the hint is a statement to paste where one helps.

use std::io;
use std::io::ErrorKind;

use mysql_async::DriverError;
use mysql_async::Error as ClientError;
use mysql_async::IoError;
use mysql_async::ServerError;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::source::mariadb::login::Address;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::quote;

const ASK_DOCTOR: &str = "`snap doctor` prints the GRANT statements for all that is missing";
const LOGIN_HINT: &str = "give user and password in the [client] group of ~/.my.cnf or of the file \
    that --defaults-file names; SNAP_DATABASE_PASSWORD gives the password alone";
const LOST_HINT: &str = "the server or the network ended the connection: the server's error log \
    may say why";

const FULL_HINT: &str = "the server has no room: see the disks of its datadir and its tmpdir";

const FULL: &[&str] = &["No space left on device", "No more room in record file"];

/// The login is refused (password, plugin, host, expired, locked), or a right is missing.
const REFUSED: &[u16] = &[
    1045, 1129, 1130, 1251, 1275, 1698, 1820, 1862, 4151, // logins
    1044, 1142, 1143, 1227, 1370, 1410, 1419, // rights
];

/// A lock was waited for in vain, or would have been for ever. Only statements that wait for a lock
/// have a time of their own (1969).
const LOCKED: &[u16] = &[1205, 1213, 1969];

/// No connection is left, or this one is gone.
const LOST: &[u16] = &[1040, 1053, 1158, 1159, 1160, 1161, 1203, 1226, 1927, 2006, 2013];

/// Returns whether the server, by an error of this code, has ended the connection too.
pub(super) fn ends_connection(code: u16) -> bool {
    LOST.contains(&code)
}

/// Whom a connection talks to as whom: what its errors name. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// The server's address, as a reader would write it.
    pub(super) server: String,
    /// The account, quoted as in a `GRANT`.
    pub(super) account: String,
}

impl Peer {
    /// Returns the error of a statement; `doing` says `cannot {do} {thing}`.
    pub(super) fn error(&self, doing: &str, cause: ClientError) -> Error {
        let kind = kind(&cause);
        let message = match kind {
            Kind::Denied => format!("{doing} as {}", self.account),
            Kind::Unreachable => format!("{doing}: lost the database server at {}", self.server),
            _ => doing.to_owned(),
        };
        let hint = match &cause {
            ClientError::Server(answer) => self.advice(answer),
            _ => (kind == Kind::Unreachable).then(|| LOST_HINT.to_owned()),
        };
        finish(Error::new(kind, message), cause, hint)
    }

    /// Returns what to do about somebody who ends what we ask: no setting of a session keeps them from it.
    fn killed(&self) -> String {
        format!(
            "somebody ended it on the server (KILL QUERY), such as pt-kill or another watchdog of long \
             queries: let it spare the account {}",
            self.account
        )
    }

    fn advice(&self, answer: &ServerError) -> Option<String> {
        let grant =
            |right: &str, scope: &str| format!("GRANT {right} ON {scope} TO {};", self.account);
        Some(match answer.code {
            1142 => match denied_on_table(&answer.message) {
                Some((right, table)) => format!("{} ({ASK_DOCTOR})", grant(right, table)),
                None => ASK_DOCTOR.to_owned(),
            },
            1227 => match denied_globally(&answer.message) {
                Some(right) => grant(right, "*.*"),
                None => ASK_DOCTOR.to_owned(),
            },
            1419 => format!(
                "{} or, for all accounts, SET GLOBAL log_bin_trust_function_creators = 1;",
                grant("SUPER", "*.*")
            ),
            1044 | 1143 | 1370 | 1410 => ASK_DOCTOR.to_owned(),
            1193 => "snap works with MariaDB 10.4 and later".to_owned(),
            1290 => {
                "the server runs with an option that forbids this, such as read_only".to_owned()
            }
            1317 | 1927 => self.killed(),
            1053 | 2006 | 2013 => LOST_HINT.to_owned(),
            1021 | 1114 => FULL_HINT.to_owned(),
            // The server puts what its system or an engine said behind many codes of its own.
            _ if FULL.iter().any(|words| answer.message.contains(words)) => FULL_HINT.to_owned(),
            _ => return None,
        })
    }
}

/// Returns the error of a login that failed.
pub(super) fn login_error(login: &Login, cause: ClientError) -> Error {
    let kind = match kind(&cause) {
        Kind::Failed if proposes_another_way(&cause) => Kind::Denied,
        // The server has not even answered as a server of this kind does.
        Kind::Failed if !matches!(cause, ClientError::Server(_)) => Kind::Unreachable,
        kind => kind,
    };
    let server = &login.server;
    let message = match kind {
        Kind::Denied => {
            let user = quote::identifier(&login.user);
            format!("cannot log in to the database server at {server} as {user}")
        }
        _ => format!("cannot connect to the database server at {server}"),
    };
    let hint = login_advice(login, &cause);
    finish(Error::new(kind, message), cause, hint)
}

/// Returns the error of a server that did not answer in time.
pub(super) fn silence(login: &Login, seconds: u64) -> Error {
    let server = &login.server;
    let message = format!("cannot connect to the database server at {server}");
    Error::new(Kind::Unreachable, format!("{message}: no answer within {seconds} s"))
        .hint("a firewall may drop the packets, or the server may be stuck")
}

fn login_advice(login: &Login, cause: &ClientError) -> Option<String> {
    Some(match cause {
        ClientError::Server(answer) => return refusal_advice(login, answer),
        ClientError::Io(IoError::Tls(_)) => tls_advice(),
        ClientError::Io(IoError::Io(error)) => io_advice(login, error),
        ClientError::Driver(DriverError::NoClientSslFlagFromServer) => {
            "the server offers no TLS: give it a certificate, or set `skip-ssl`".to_owned()
        }
        ClientError::Driver(
            DriverError::UnknownAuthPlugin { .. }
            | DriverError::CleartextPluginDisabled
            | DriverError::MysqlOldPasswordDisabled,
        ) => "use an account of unix_socket, mysql_native_password, ed25519 or parsec".to_owned(),
        _ if proposes_another_way(cause) => {
            format!("the password is wrong for the first way to log in: {LOGIN_HINT}")
        }
        _ => "is it a MariaDB server that listens there?".to_owned(),
    })
}

/// Returns whether the server proposes a second plugin: an account such as `VIA ed25519 … OR
/// mysql_native_password …` does when the first one refuses, and the client tries one only.
fn proposes_another_way(cause: &ClientError) -> bool {
    matches!(cause, ClientError::Driver(DriverError::UnexpectedPacket { payload })
        if payload.first() == Some(&0xfe))
}

fn refusal_advice(login: &Login, answer: &ServerError) -> Option<String> {
    let user = &login.user;
    Some(match answer.code {
        // A server that wants encryption says no more than this either.
        1045 if matches!(login.server, Address::Tcp { .. }) && login.tls.is_none() => {
            format!("{}; or the account needs encryption: set `ssl-ca`", password_advice(login))
        }
        1045 => password_advice(login),
        1698 => format!("such an account has no password: run snap as the system's user {user}"),
        1130 => {
            "no account of that server may come from this host: CREATE USER makes one".to_owned()
        }
        1129 => "FLUSH HOSTS; on the server lets this host in again".to_owned(),
        1040 | 1203 | 1226 => "fewer connections may do: see --connections".to_owned(),
        1820 | 1862 => "the account's password has expired: ALTER USER sets a new one".to_owned(),
        _ => return None,
    })
}

fn password_advice(login: &Login) -> String {
    let problem = match login.password {
        None => "no password was given",
        Some(_) => "the password is wrong, or there is no such account",
    };
    format!("{problem}: {LOGIN_HINT}")
}

fn io_advice(login: &Login, error: &io::Error) -> String {
    let text = match (&login.server, error.kind()) {
        // rustls speaks through an I/O error during the handshake.
        (Address::Tcp { .. }, ErrorKind::InvalidData) => return tls_advice(),
        (Address::Socket(_), ErrorKind::NotFound) => {
            "is the server running? --socket, or `socket` in an option file, names another place"
        }
        (Address::Socket(_), ErrorKind::PermissionDenied) => {
            "run snap as a user who may open the socket, such as root"
        }
        (_, ErrorKind::ConnectionRefused) => "is the server running, and does it listen there?",
        (Address::Tcp { .. }, _) => "check --host and --port, and that the server listens there",
        (Address::Socket(_), _) => "is it the socket of a MariaDB server?",
    };
    text.to_owned()
}

fn tls_advice() -> String {
    "`ssl-ca` names the certificate of the server's authority; the server's own certificate has to \
     carry the host's name as subjectAltName"
        .to_owned()
}

/// Adds cause and hint. The server's answer is kept without the words the client puts around it.
fn finish(error: Error, cause: ClientError, hint: Option<String>) -> Error {
    let error = match cause {
        ClientError::Server(answer) => error.caused_by(answer),
        ClientError::Io(IoError::Io(cause)) => error.caused_by(cause),
        ClientError::Driver(cause) => error.caused_by(cause),
        other => error.caused_by(other),
    };
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Returns the server's code for an error that it answered with.
pub(super) fn server_code(error: &Error) -> Option<u16> {
    std::error::Error::source(error)?.downcast_ref::<ServerError>().map(|answer| answer.code)
}

/// Returns whether there is no such table, or not even its database.
pub(super) fn is_of_absent_table(error: &Error) -> bool {
    const ABSENT: [u16; 2] = [1049, 1146];
    server_code(error).is_some_and(|code| ABSENT.contains(&code))
}

/// Returns whether a trigger could not be created because its name alone is left of an earlier one.
pub(super) fn is_of_forgotten_trigger(error: &Error) -> bool {
    const NO_SUCH_TRIGGER: u16 = 1360;
    server_code(error) == Some(NO_SUCH_TRIGGER)
}

/// Returns whether a database could not be dropped for no other reason than that its folder is not
/// empty.
pub(super) fn keeps_folder(error: &Error) -> bool {
    const NOT_REMOVED: u16 = 1010;
    const NOT_EMPTY: &str = "errno: 39 ";
    let answer = std::error::Error::source(error).and_then(|it| it.downcast_ref::<ServerError>());
    answer.is_some_and(|it| it.code == NOT_REMOVED && it.message.contains(NOT_EMPTY))
}

fn kind(error: &ClientError) -> Kind {
    match error {
        ClientError::Io(IoError::Io(cause)) if is_too_large(cause) => Kind::Failed,
        ClientError::Io(_) | ClientError::Driver(DriverError::ConnectionClosed) => {
            Kind::Unreachable
        }
        ClientError::Driver(
            DriverError::UnknownAuthPlugin { .. }
            | DriverError::CleartextPluginDisabled
            | DriverError::MysqlOldPasswordDisabled,
        ) => Kind::Denied,
        ClientError::Server(answer) if REFUSED.contains(&answer.code) => Kind::Denied,
        ClientError::Server(answer) if LOCKED.contains(&answer.code) => Kind::Busy,
        ClientError::Server(answer) if LOST.contains(&answer.code) => Kind::Unreachable,
        _ => Kind::Failed,
    }
}

/// Returns whether the client refused a packet; its own type for that is hidden.
fn is_too_large(error: &io::Error) -> bool {
    let cause = error.get_ref();
    cause.is_some_and(|cause| cause.to_string().contains("larger than max_allowed_packet"))
}

/// Returns right and table of ``SELECT command denied to user … for table `a`.`b` ``.
///
/// A table's name is exact in a `GRANT`; a database's name would be a pattern, which may take the
/// place of the account's other rights.
fn denied_on_table(message: &str) -> Option<(&str, &str)> {
    let (right, rest) = message.split_once(" command denied to user ")?;
    let (_, table) = rest.rsplit_once(" for table ")?;
    table.starts_with('`').then_some((right, table))
}

/// Returns the right of `… you need (at least one of) the SUPER, SET USER privilege(s) for …`: the
/// last one, which allows the least; `None` for rights that are better given for one database.
fn denied_globally(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("(at least one of) the ")?;
    let (rights, _) = rest.split_once(" privilege(s)")?;
    let right = rights.rsplit(", ").next()?;
    (!matches!(right, "TRIGGER" | "EVENT" | "SELECT" | "SHOW VIEW")).then_some(right)
}

/// Returns whether a query failed by what it asks for, such as a boundary that is no value of its column
/// any more, and another one may not.
pub(super) fn is_of_the_statement(error: &Error) -> bool {
    matches!(error.kind(), Kind::Failed | Kind::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, message: &str) -> ClientError {
        let state = "42000".to_owned();
        ClientError::Server(ServerError { code, message: message.to_owned(), state })
    }

    fn error(code: u16, message: &str) -> Error {
        let account = "`snap`@`localhost`".to_owned();
        Peer { server: "socket /s".to_owned(), account }
            .error("cannot read `t`", answer(code, message))
    }

    #[test]
    fn a_missing_right_names_the_account_and_the_grant() {
        let denied = "SELECT command denied to user 'snap'@'localhost' for table `a_b`.`t`";
        let error = error(1142, denied);
        assert_eq!(error.kind(), Kind::Denied);
        assert_eq!(
            error.chain(),
            format!("cannot read `t` as `snap`@`localhost`: ERROR 1142 (42000): {denied}")
        );
        let hint = error.advice().unwrap();
        assert!(hint.starts_with("GRANT SELECT ON `a_b`.`t` TO `snap`@`localhost`;"), "{hint}");
    }

    #[test]
    fn of_several_rights_the_least_is_asked_for() {
        let need = |rights: &str| {
            let text = format!(
                "Access denied; you need (at least one of) the {rights} privilege(s) for this operation"
            );
            error(1227, &text).advice().unwrap().to_owned()
        };
        assert_eq!(need("SUPER, SET USER"), "GRANT SET USER ON *.* TO `snap`@`localhost`;");
        assert_eq!(need("RELOAD"), "GRANT RELOAD ON *.* TO `snap`@`localhost`;");
        assert_eq!(need("TRIGGER"), ASK_DOCTOR);
    }

    #[test]
    fn a_lost_connection_is_no_failure_of_the_statement() {
        let error = error(1927, "Connection was killed");
        assert_eq!(error.kind(), Kind::Unreachable);
        assert!(error.to_string().contains("socket /s"), "{error}");
    }

    #[test]
    fn what_somebody_ended_on_the_server_names_the_account_to_spare() {
        for code in [1317, 1927] {
            let error = error(code, "Query execution was interrupted");
            assert!(error.advice().unwrap().ends_with("spare the account `snap`@`localhost`"));
        }
    }

    #[test]
    fn a_packet_that_the_client_refuses_is_no_lost_connection() {
        let refused = io::Error::other("Packet is larger than max_allowed_packet");
        assert_eq!(kind(&ClientError::from(refused)), Kind::Failed);
        assert_eq!(kind(&ClientError::from(io::Error::other("reset"))), Kind::Unreachable);
    }

    #[test]
    fn a_server_without_room_has_a_hint_whatever_its_code() {
        for (code, text) in [
            (1114, "The table 't' is full"),
            (3, "Error writing file './a/t.frm' (Errcode: 28 \"No space left on device\")"),
        ] {
            assert_eq!(error(code, text).advice(), Some(FULL_HINT));
        }
    }

    #[test]
    fn other_answers_keep_the_words_of_the_server() {
        let error = error(1050, "Table 't' already exists");
        assert_eq!(error.kind(), Kind::Failed);
        assert!(error.chain().ends_with("Table 't' already exists"));
    }

    #[test]
    fn a_lock_that_others_hold_is_told_apart() {
        let error = error(1205, "Lock wait timeout exceeded; try restarting transaction");
        assert_eq!(error.kind(), Kind::Busy);
    }
}
