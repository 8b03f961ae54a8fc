//! Which roles somebody may be given: those that lead to the database and to nothing else.
//!
//! An archive says which account had which role, and what the role allowed there. What a role of
//! that name allows here only this server knows.

use std::collections::BTreeSet;

use crate::source::mariadb::accounts::Account;
use crate::source::mariadb::accounts::Grantee;
use crate::source::mariadb::accounts::read::There;

/// Returns whether a role of this server, with the roles that it has, allows nothing beyond the
/// database.
pub(super) fn is_confined_here(role: &str, there: &There) -> bool {
    let live = |role: &str| find(&there.accounts, role);
    below(role, live)
        .iter()
        .all(|role| live(role).is_some_and(|account| !there.beyond.contains(&account.name)))
}

/// Returns the role and all roles that it has, and so on; names of roles that are not found too.
pub(super) fn below<'a>(
    role: &'a str,
    find: impl Fn(&str) -> Option<&'a Account>,
) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![role];
    while let Some(role) = waiting.pop() {
        if found.insert(role)
            && let Some(account) = find(role)
        {
            waiting.extend(account.roles.iter().map(|has| has.role.as_str()));
        }
    }
    found
}

/// Returns the role of this name.
pub(super) fn find<'a>(accounts: &'a [Account], role: &str) -> Option<&'a Account> {
    accounts.iter().find(|account| matches!(&account.name, Grantee::Role(name) if name == role))
}
