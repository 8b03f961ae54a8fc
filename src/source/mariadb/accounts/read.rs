//! Reads accounts from a server: those that a snapshot takes, and those that a restore finds.

use std::collections::BTreeSet;

use mysql_async::Error as ClientError;
use mysql_async::prelude::Queryable as _;

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::source::mariadb::accounts::Account;
use crate::source::mariadb::accounts::Accounts;
use crate::source::mariadb::accounts::Grantee;
use crate::source::mariadb::accounts::Membership;
use crate::source::mariadb::accounts::properties::Stored;
use crate::source::mariadb::accounts::reach;
use crate::source::mariadb::accounts::statements;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::definition::Definition;
use crate::source::mariadb::definition::Program;
use crate::source::mariadb::definition::ProgramKind;
use crate::source::mariadb::grants;
use crate::source::mariadb::grants::Grant;
use crate::source::mariadb::grants::RoutineKind;
use crate::source::mariadb::grants::Scope;
use crate::source::mariadb::quote;

/// Returns the accounts that reach a database. What of them cannot be saved is warned of.
pub(in crate::source::mariadb) async fn accounts(
    connection: &mut Connection,
    definition: &Definition,
    monitor: &dyn Monitor,
) -> Result<Accounts> {
    let database = &definition.database.name;
    let mut found = Vec::new();
    for (name, stored) in connection.stored_accounts().await? {
        match connection.read_stored_account(&name, &stored, database).await? {
            Some(account) => found.push(account),
            None if name.is_of_the_server() => {}
            None => monitor.note(&format!(
                "account {} is left out: the server ignores it (skip-name-resolve)",
                name.quoted()
            )),
        }
    }
    let definers: Vec<_> = definition.programs.iter().filter_map(definer).collect();
    let mut unsaved = Vec::new();
    let everyone = found.into_iter().map(|Found { account, lost, .. }| {
        if !lost.is_empty() {
            unsaved.push((account.name.clone(), lost));
        }
        account
    });
    let mut accounts = reach::reaching(everyone.collect(), &definers);
    for account in &mut accounts.accounts {
        let quoted = account.name.quoted();
        let lost = unsaved.iter().filter(|(name, _)| *name == account.name);
        for what in lost.flat_map(|(_, lost)| lost) {
            monitor.warn(&format!("account {quoted} is not saved in full: {what}"));
        }
        account.grants.retain_mut(|grant| {
            let left_out = leave_out_absent(grant, definition);
            if let Some(why) = &left_out {
                let what = statements::scope(&grant.scope);
                monitor.note(&format!("rights of {quoted} on {what} are left out: {why}"));
            }
            left_out.is_none() || (is_on_something(grant, definition) && !grant.is_empty())
        });
    }
    Ok(accounts)
}

/// `There is no such grant defined for user`.
const NO_SUCH_GRANT: u16 = 1141;

/// Accounts that a restore finds.
pub(super) struct There {
    /// Those that are known to the server, with what concerns a database.
    pub(super) accounts: Vec<Account>,
    /// Those that only stand in its tables.
    pub(super) ignored: Vec<Grantee>,
    /// Those that may do something beyond the database, by grants of their own.
    pub(super) beyond: BTreeSet<Grantee>,
}

impl There {
    /// Takes out accounts that will be gone, and their membership in others with them.
    pub(super) fn forget(&mut self, gone: &[Grantee]) {
        let is_gone = |name: &Grantee| gone.iter().any(|gone| gone.is(name));
        self.accounts.retain(|account| !is_gone(&account.name));
        for account in &mut self.accounts {
            account.roles.retain(|has| !is_gone(&Grantee::Role(has.role.clone())));
        }
    }
}

/// Returns those accounts of the server that have one of these names, and all roles.
pub(super) async fn named(
    connection: &mut Connection,
    names: &[Grantee],
    database: &str,
) -> Result<There> {
    let mut there = There { accounts: Vec::new(), ignored: Vec::new(), beyond: BTreeSet::new() };
    for (name, stored) in connection.stored_accounts().await? {
        if !stored.is_role && !names.iter().any(|wanted| wanted.is(&name)) {
            continue;
        }
        match connection.read_stored_account(&name, &stored, database).await? {
            Some(found) => {
                if found.is_beyond {
                    there.beyond.insert(name);
                }
                there.accounts.push(found.account);
            }
            None => there.ignored.push(name),
        }
    }
    Ok(there)
}

/// An account, and what of it we have no place for.
struct Found {
    account: Account,
    lost: Vec<String>,
    /// Whether it may do something beyond the database, or something that we do not know.
    is_beyond: bool,
}

fn definer(program: &Program) -> Option<Grantee> {
    let (user, host) = program.definer.rsplit_once('@')?;
    // A role has no host.
    Some(Grantee::stored(user.to_owned(), host.to_owned(), host.is_empty()))
}

/// Leaves out of a grant what was not saved: grants outlive tables and columns. Returns what it is.
fn leave_out_absent(grant: &mut Grant, definition: &Definition) -> Option<String> {
    if !is_on_something(grant, definition) {
        return Some("the snapshot holds nothing of this name".to_owned());
    }
    let Scope::Table { table, .. } = &grant.scope else { return None };
    let saved = definition.tables.iter().find(|saved| saved.name == *table)?;
    let mut absent = BTreeSet::new();
    for columns in grant.columns.values_mut() {
        columns.retain(|name| {
            let is_saved = saved.columns.iter().any(|column| is_same_word(&column.name, name));
            if !is_saved {
                absent.insert(quote::identifier(name));
            }
            is_saved
        });
    }
    grant.columns.retain(|_, columns| !columns.is_empty());
    let absent = absent.into_iter().collect::<Vec<_>>().join(", ");
    (!absent.is_empty()).then(|| format!("it has no column {absent}"))
}

/// Returns whether what a grant is for was saved.
fn is_on_something(grant: &Grant, definition: &Definition) -> bool {
    match &grant.scope {
        Scope::Server | Scope::Databases(_) => true,
        Scope::Table { table, .. } => {
            definition.tables.iter().any(|saved| saved.name == *table)
                || definition.sequences.iter().any(|saved| saved.name == *table)
                || definition.programs.iter().any(|program| {
                    program.kind == ProgramKind::View
                        && program.name == *table
                        && !program.is_broken
                })
        }
        Scope::Routine { kind, routine, .. } => {
            let kind = match kind {
                RoutineKind::Procedure => ProgramKind::Procedure,
                RoutineKind::Function => ProgramKind::Function,
                RoutineKind::Package => ProgramKind::Package,
                RoutineKind::PackageBody => ProgramKind::PackageBody,
            };
            let mut programs = definition.programs.iter();
            programs.any(|it| it.kind == kind && is_same_word(&it.name, routine))
        }
    }
}

/// Returns whether two names of columns or programs, which have no case, are the same.
fn is_same_word(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

impl Connection {
    /// Returns all accounts of the server with what is kept of them.
    async fn stored_accounts(&mut self) -> Result<Vec<(Grantee, Stored)>> {
        let sql = "SELECT User, Host, Priv FROM mysql.global_priv ORDER BY User, Host";
        let rows: Vec<(String, String, String)> =
            self.rows("cannot read the server's accounts", sql).await?;
        let account = |(user, host, json): (String, String, String)| {
            let stored = Stored::parse(&json, &format!("{user}@{host}"))?;
            Ok((Grantee::stored(user, host, stored.is_role), stored))
        };
        rows.into_iter().map(account).collect()
    }

    /// Returns an account with its roles, and with its grants that concern a database; `None` for one
    /// that stands in the server's tables and that it does not load.
    async fn read_stored_account(
        &mut self,
        name: &Grantee,
        stored: &Stored,
        database: &str,
    ) -> Result<Option<Found>> {
        let quoted = name.quoted();
        let lines: Vec<String> = match self.raw().query(format!("SHOW GRANTS FOR {quoted}")).await {
            Err(ClientError::Server(answer)) if answer.code == NO_SUCH_GRANT => return Ok(None),
            lines => lines.map_err(|cause| {
                self.peer().error(&format!("cannot read the rights of account {quoted}"), cause)
            })?,
        };
        let unknown = stored.unknown().into_iter().map(|key| format!("{key} is not known yet"));
        let mut lost = Vec::new();
        let is_user = matches!(name, Grantee::User { .. });
        let mut account = Account {
            name: name.clone(),
            properties: is_user.then(|| stored.properties()),
            password_changed: stored.password_changed(),
            default_role: stored.default_role(),
            roles: Vec::new(),
            grants: Vec::new(),
        };
        for line in &lines {
            match said(line, &quoted) {
                Some(Said::Grant(grant)) => account.grants.push(grant),
                Some(Said::Role(membership)) => account.roles.push(membership),
                Some(Said::Proxy(of)) => lost.push(format!("its right to act as {of} (PROXY)")),
                Some(Said::Unknown(what)) => lost.push(format!("{what} is not known yet")),
                None => {}
            }
        }
        let mut grants = account.grants.iter();
        let is_beyond = !lost.is_empty() || grants.any(|grant| reach::is_beyond(grant, database));
        account.grants.retain(|grant| reach::concerns(grant, database) && !grant.is_empty());
        lost.extend(unknown);
        Ok(Some(Found { account, lost, is_beyond }))
    }
}

/// What one line of `SHOW GRANTS` says of an account.
enum Said {
    Grant(Grant),
    Role(Membership),
    Proxy(String),
    /// Something of a newer server: what stands before the name, where no password can be.
    Unknown(String),
}

/// Returns what a line says of the account of this quoted name: lines of its roles stand among its
/// own.
fn said(line: &str, quoted: &str) -> Option<Said> {
    let (what, rest) = grants::split_outside(line.strip_prefix("GRANT ")?, " TO ")?;
    let (grantee, options) = grants::split_outside(rest, " ").unwrap_or((rest, ""));
    if grantee != quoted {
        return None;
    }
    if let Some(proxied) = what.strip_prefix("PROXY ON ") {
        return Some(Said::Proxy(proxied.to_owned()));
    }
    if let Some(role) = grants::unquoted(what) {
        return Some(Said::Role(Membership { role, is_admin: options == "WITH ADMIN OPTION" }));
    }
    Some(match Grant::parse(line) {
        Some(grant) => Said::Grant(Grant { grantee: String::new(), ..grant }),
        None => Said::Unknown(what.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_that_is_not_understood_is_named_without_what_stands_behind_it() {
        let unknown = |line: &str| match said(line, "`a`@`h`") {
            Some(Said::Unknown(what)) => Some(what),
            _ => None,
        };
        let line = "GRANT SELECT ON CATALOG `c` TO `a`@`h` IDENTIFIED BY PASSWORD '*AB'";
        assert_eq!(unknown(line).as_deref(), Some("SELECT ON CATALOG `c`"));
        assert_eq!(unknown("GRANT SELECT ON CATALOG `c` TO `b`@`h`"), None);
        assert_eq!(unknown("GRANT SELECT ON `c`.* TO `a`@`h`"), None);
    }
}
