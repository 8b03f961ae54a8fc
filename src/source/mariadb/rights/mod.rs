//! What the account may do, and the `GRANT` statements for what it may not.
//!
//! The question is asked before any work, because much of what a right hides is not refused but
//! simply absent: without `TRIGGER` a database seems to have no triggers, without `EVENT` no
//! events, without a right on routines no routines. A snapshot taken so would lack them in silence.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::grants;
use crate::source::mariadb::grants::Grant;
use crate::source::mariadb::grants::Scope;
use crate::source::mariadb::names;
use crate::source::mariadb::quote;
use crate::source::mariadb::server::ServerFacts;

pub mod granting;

/// A right, and what it is for.
type Need = (&'static str, &'static str);

const TO_CREATE: &[Need] = &[
    ("SELECT", "read tables"),
    ("SHOW VIEW", "read views"),
    ("TRIGGER", "see triggers"),
    ("EVENT", "see events"),
];

/// `RENAME TABLE` takes `ALTER` and `DROP` on the one side, `CREATE` and `INSERT` on the other; a
/// view that calls a function takes `EXECUTE`.
const TO_RESTORE: &[Need] = &[
    ("SELECT", "prove tables"),
    ("INSERT", "load rows"),
    ("CREATE", "make tables"),
    ("DROP", "swap tables"),
    ("ALTER", "add indexes and swap tables"),
    ("CREATE VIEW", "make views"),
    ("SHOW VIEW", "prove views"),
    ("TRIGGER", "make triggers"),
    ("CREATE ROUTINE", "make procedures and functions"),
    ("ALTER ROUTINE", "replace procedures and functions"),
    ("EXECUTE", "make views that call functions"),
    ("EVENT", "make events"),
    ("LOCK TABLES", "hold the live tables for the swap"),
];

/// Each of these makes the routines of a database visible, though not their bodies.
const SHOW_ROUTINES: &[&str] = &["EXECUTE", "CREATE ROUTINE", "ALTER ROUTINE"];

/// The release since which `SHOW CREATE ROUTINE` exists; before, `ALL` does not show bodies.
const BODIES_HAVE_A_RIGHT: (u16, u16, u16) = (11, 3, 0);

/// The release since which `SUPER` alone does not let write to a server that is read-only.
const SUPER_WRITES_NO_MORE: (u16, u16, u16) = (10, 11, 0);

/// The rights of the account of a connection, those of its enabled roles and of `PUBLIC` included.
#[derive(Debug, Clone)]
pub struct Rights {
    account: String,
    grants: Vec<Grant>,
    release: (u16, u16, u16),
}

/// A statement that would give the account what it lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The statement, ready to paste.
    pub grant: String,
    /// What it is for.
    pub why: String,
    /// Whether only some databases need it: those with such objects, or with much writing.
    pub optional: bool,
}

impl Connection {
    /// Returns what the account may do.
    pub async fn read_rights(&mut self) -> Result<Rights> {
        let lines: Vec<(String,)> =
            self.rows("cannot read the account's rights", "SHOW GRANTS").await?;
        let grants = lines.iter().filter_map(|(line,)| Grant::parse(line)).collect();
        let release = self.raw().server_version();
        Ok(Rights { account: self.account().to_owned(), grants, release })
    }
}

impl Rights {
    /// Returns what the account lacks to take a snapshot of the database.
    pub fn missing_for_create(&self, database: &str) -> Vec<Missing> {
        let mut missing = Vec::new();
        missing.extend(self.missing_on(database, &grants::escaped(database), TO_CREATE));
        missing.extend(self.missing_on_routines(database));
        if !self.allows_everywhere("RELOAD") {
            let why = "bring all connections to one moment while others write";
            missing.push(self.missing_everywhere("RELOAD", why));
        }
        let lock: &[Need] = &[("LOCK TABLES", "read tables that InnoDB does not keep")];
        let lock = self.missing_on(database, &grants::escaped(database), lock);
        missing.extend(lock.map(|lock| Missing { optional: true, ..lock }));
        missing
    }

    /// Returns what the account lacks to restore the database, and to build it beside the live one.
    pub fn missing_for_restore(&self, database: &str, server: &ServerFacts) -> Vec<Missing> {
        let mut missing = Vec::new();
        missing.extend(self.missing_on(database, &grants::escaped(database), TO_RESTORE));
        let (staging, previous) = (names::staging(database, ""), names::previous(database, ""));
        let pattern = format!("{}%", grants::escaped(&common_start(&staging, &previous)));
        let beside = self.missing_on(&staging, &pattern, TO_RESTORE);
        missing.extend(beside.or_else(|| self.missing_on(&previous, &pattern, TO_RESTORE)));
        missing.extend(self.missing_on_routines(database));
        if !self.allows_everywhere("SET USER") && !self.allows_everywhere("SUPER") {
            let why = "make views, triggers, routines and events that belong to other accounts";
            missing.push(self.missing_everywhere("SET USER", why));
        }
        if server.log_bin && !server.trusts_function_creators && !self.allows_everywhere("SUPER") {
            let why = "make functions and triggers while the binary log is on; \
                SET GLOBAL log_bin_trust_function_creators = 1 does as well";
            missing.push(self.missing_everywhere("SUPER", why));
        }
        missing
    }

    /// Fails with [`Kind::Denied`] and the statements that help, where a right is missing that
    /// `doing` something with the database cannot do without.
    pub fn demand(&self, missing: &[Missing], doing: &str, database: &str) -> Result<()> {
        let needed: Vec<_> = missing.iter().filter(|missing| !missing.optional).collect();
        if needed.is_empty() {
            return Ok(());
        }
        let why: Vec<_> = needed.iter().map(|missing| missing.why.as_str()).collect();
        let grants: Vec<_> = needed.iter().map(|missing| missing.grant.as_str()).collect();
        let (account, why) = (&self.account, why.join(", "));
        let text = format!("cannot {doing} database {database:?} as {account}: it lacks {why}");
        Err(Error::new(Kind::Denied, text).hint(grants.join(" ")))
    }

    /// Returns whether the account may write to a server that is read-only.
    pub fn may_write_read_only(&self) -> bool {
        self.allows_everywhere("READ_ONLY ADMIN")
            || (self.release < SUPER_WRITES_NO_MORE && self.allows_everywhere("SUPER"))
    }

    /// Returns the statement for the needs that are not met on one database.
    fn missing_on(&self, database: &str, pattern: &str, needs: &[Need]) -> Option<Missing> {
        let unmet = needs.iter().filter(|(right, _)| !self.allows_on(database, right));
        let unmet: Vec<&Need> = unmet.collect();
        if unmet.is_empty() {
            return None;
        }
        let mut rights: BTreeSet<&str> = unmet.iter().map(|(right, _)| *right).collect();
        let (pattern, kept) = self.safe_pattern(database, pattern);
        rights.extend(kept);
        let why = unmet.iter().map(|(right, what)| format!("{right} to {what}"));
        Some(Missing {
            grant: self.statement(&rights, &format!("{}.*", quote::identifier(pattern))),
            why: why.collect::<Vec<_>>().join(", "),
            optional: false,
        })
    }

    /// Returns the pattern to grant on, and the rights to repeat: a new pattern, more specific than
    /// the one that counted so far, would take away all that the old one gave.
    fn safe_pattern<'a>(&'a self, database: &str, pattern: &'a str) -> (&'a str, Vec<&'a str>) {
        let deciding = grants::deciding(&self.grants, database);
        let own = deciding.into_iter().find(|grant| grant.grantee == self.account);
        let Some(Grant { scope: Scope::Databases(old), rights, .. }) = own else {
            return (pattern, Vec::new());
        };
        // The name itself, its wildcards escaped or not, is meant for this database.
        if old == pattern || old == database {
            return (old, Vec::new());
        }
        (pattern, rights.iter().map(String::as_str).collect())
    }

    /// Returns the statement for the routines' bodies, which only `mysql.proc` shows to all.
    fn missing_on_routines(&self, database: &str) -> Option<Missing> {
        let is_met = (self.release >= BODIES_HAVE_A_RIGHT
            && self.allows_on(database, "SHOW CREATE ROUTINE"))
            || self.allows_on("mysql", "SELECT")
            || self.allows_on_table("mysql", "proc", "SELECT");
        let is_seen = SHOW_ROUTINES.iter().any(|right| self.allows_on(database, right));
        (!is_met).then(|| Missing {
            grant: self.statement(&BTreeSet::from(["SELECT"]), "`mysql`.`proc`"),
            why: "SELECT to read procedures and functions of other accounts".to_owned(),
            optional: is_seen,
        })
    }

    fn missing_everywhere(&self, right: &str, what: &str) -> Missing {
        let grant = self.statement(&BTreeSet::from([right]), "*.*");
        Missing { grant, why: format!("{right} to {what}"), optional: true }
    }

    fn statement(&self, rights: &BTreeSet<&str>, scope: &str) -> String {
        let rights = rights.iter().copied().collect::<Vec<_>>().join(", ");
        format!("GRANT {rights} ON {scope} TO {};", self.account)
    }

    fn allows_everywhere(&self, right: &str) -> bool {
        self.grants.iter().any(|grant| grant.scope == Scope::Server && grant.allows(right))
    }

    fn allows_on(&self, database: &str, right: &str) -> bool {
        let mut deciding = grants::deciding(&self.grants, database).into_iter();
        self.allows_everywhere(right) || deciding.any(|grant| grant.allows(right))
    }

    fn allows_on_table(&self, database: &str, table: &str, right: &str) -> bool {
        let table = Scope::Table { database: database.to_owned(), table: table.to_owned() };
        self.grants.iter().any(|grant| grant.scope == table && grant.allows(right))
    }
}

/// Returns what two names begin with alike.
fn common_start(one: &str, other: &str) -> String {
    let pairs = one.chars().zip(other.chars());
    pairs.take_while(|(one, other)| one == other).map(|(both, _)| both).collect()
}

#[cfg(test)]
mod tests;
