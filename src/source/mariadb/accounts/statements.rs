//! Writes `GRANT` and `REVOKE`: names quoted, rights only in words that the server itself lists.

use crate::source::mariadb::accounts::Grantee;
use crate::source::mariadb::grants;
use crate::source::mariadb::grants::Grant;
use crate::source::mariadb::grants::NONE;
use crate::source::mariadb::grants::Scope;
use crate::source::mariadb::quote;

/// Returns the statement that gives a grant to somebody.
pub(super) fn grant(grant: &Grant, to: &Grantee) -> String {
    let option = if grant.is_grantable { " WITH GRANT OPTION" } else { "" };
    format!("GRANT {} ON {} TO {}{option}", rights(grant), scope(&grant.scope), to.quoted())
}

/// Returns the statements that take a grant from somebody again.
pub(super) fn revoke(grant: &Grant, from: &Grantee) -> Vec<String> {
    let (scope, from) = (scope(&grant.scope), from.quoted());
    let mut statements = vec![format!("REVOKE {} ON {scope} FROM {from}", rights(grant))];
    if grant.is_grantable {
        statements.push(format!("REVOKE GRANT OPTION ON {scope} FROM {from}"));
    }
    statements
}

/// Returns the statement that gives a role to somebody.
pub(super) fn join(role: &str, member: &Grantee, is_admin: bool) -> String {
    let option = if is_admin { " WITH ADMIN OPTION" } else { "" };
    format!("GRANT {} TO {}{option}", quote::identifier(role), member.quoted())
}

/// Returns the statement that makes a role the one that a user has from its login on.
pub(super) fn default_role(role: &str, user: &Grantee) -> String {
    format!("SET DEFAULT ROLE {} FOR {}", quote::identifier(role), user.quoted())
}

/// Returns what a grant is for, as SQL.
pub(super) fn scope(scope: &Scope) -> String {
    match scope {
        Scope::Server => "*.*".to_owned(),
        Scope::Databases(pattern) => format!("{}.*", quote::identifier(pattern)),
        Scope::Table { database, table } => quote::qualified(database, table),
        Scope::Routine { kind, database, routine } => {
            format!("{} {}", kind.words(), quote::qualified(database, routine))
        }
    }
}

/// Returns the scope in another database; patterns become its very name.
pub(super) fn moved(scope: &Scope, to: &str) -> Scope {
    match scope.clone() {
        Scope::Server => Scope::Server,
        Scope::Databases(_) => Scope::Databases(grants::escaped(to)),
        Scope::Table { table, .. } => Scope::Table { database: to.to_owned(), table },
        Scope::Routine { kind, routine, .. } => {
            Scope::Routine { kind, database: to.to_owned(), routine }
        }
    }
}

fn rights(grant: &Grant) -> String {
    let whole = grant.rights.iter().cloned();
    let parts = grant.columns.iter().map(|(right, columns)| {
        let columns: Vec<_> = columns.iter().map(|column| quote::identifier(column)).collect();
        format!("{right} ({})", columns.join(", "))
    });
    let mut rights: Vec<String> = whole.chain(parts).collect();
    if rights.len() > 1 {
        // MariaDB takes this word alone.
        rights.retain(|right| right != NONE);
    }
    if rights.is_empty() { NONE.to_owned() } else { rights.join(", ") }
}
