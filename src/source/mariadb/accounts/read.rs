//! Reads accounts from a server: those that a snapshot takes, and those that a restore finds.

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
    let everyone = found.into_iter().map(|Found { account, lost }| {
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
        account.grants.retain(|grant| {
            let is_kept = is_on_something(grant, definition);
            if !is_kept {
                let what = statements::scope(&grant.scope);
                monitor.note(&format!("rights of {quoted} on {what} are left out: it is gone"));
            }
            is_kept
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
}

/// Returns those accounts of the server that have one of these names.
pub(super) async fn named(
    connection: &mut Connection,
    names: &[Grantee],
    database: &str,
) -> Result<There> {
    let mut there = There { accounts: Vec::new(), ignored: Vec::new() };
    for (name, stored) in connection.stored_accounts().await? {
        if !names.iter().any(|wanted| wanted.is(&name)) {
            continue;
        }
        match connection.read_stored_account(&name, &stored, database).await? {
            Some(found) => there.accounts.push(found.account),
            None => there.ignored.push(name),
        }
    }
    Ok(there)
}

/// An account, and what of it we have no place for.
struct Found {
    account: Account,
    lost: Vec<String>,
}

fn definer(program: &Program) -> Option<Grantee> {
    let (user, host) = program.definer.rsplit_once('@')?;
    // A role has no host.
    Some(Grantee::stored(user.to_owned(), host.to_owned(), host.is_empty()))
}

/// Returns whether what a grant is for was saved: grants outlive tables and columns.
fn is_on_something(grant: &Grant, definition: &Definition) -> bool {
    let is_program = |kind: ProgramKind, name: &str| {
        let mut programs = definition.programs.iter();
        // Names of programs and columns have no case.
        programs.any(|it| it.kind == kind && it.name.to_lowercase() == name.to_lowercase())
    };
    match &grant.scope {
        Scope::Server | Scope::Databases(_) => true,
        Scope::Table { table, .. } => {
            if let Some(saved) = definition.tables.iter().find(|saved| saved.name == *table) {
                let has = |name: &String| {
                    let mut columns = saved.columns.iter();
                    columns.any(|column| column.name.to_lowercase() == name.to_lowercase())
                };
                return grant.columns.values().flatten().all(has);
            }
            definition.sequences.iter().any(|saved| saved.name == *table)
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
            is_program(kind, routine)
        }
    }
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
        let mut lost: Vec<String> = unknown.collect();
        let is_user = matches!(name, Grantee::User { .. });
        let mut account = Account {
            name: name.clone(),
            properties: is_user.then(|| stored.properties()),
            default_role: stored.default_role(),
            roles: Vec::new(),
            grants: Vec::new(),
        };
        for line in &lines {
            match said(line, &quoted) {
                Some(Said::Grant(grant)) => account.grants.push(grant),
                Some(Said::Role(membership)) => account.roles.push(membership),
                Some(Said::Proxy(of)) => lost.push(format!("its right to act as {of} (PROXY)")),
                None => {}
            }
        }
        account.grants.retain(|grant| reach::concerns(grant, database) && !grant.is_empty());
        Ok(Some(Found { account, lost }))
    }
}

/// What one line of `SHOW GRANTS` says of an account.
enum Said {
    Grant(Grant),
    Role(Membership),
    Proxy(String),
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
    let grant = Grant::parse(line)?;
    Some(Said::Grant(Grant { grantee: String::new(), ..grant }))
}
