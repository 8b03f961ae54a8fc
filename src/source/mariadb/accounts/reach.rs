//! Which accounts reach a database: by a grant, as a definer, or by a role that does.
//!
//! With them go the roles they have: a default role that reaches nothing here is theirs all the
//! same. Members of such a role who have no business with the database stay out.

use std::collections::BTreeSet;

use crate::source::mariadb::accounts::Account;
use crate::source::mariadb::accounts::Accounts;
use crate::source::mariadb::accounts::Grantee;
use crate::source::mariadb::grants;
use crate::source::mariadb::grants::ALL;
use crate::source::mariadb::grants::Grant;
use crate::source::mariadb::grants::Scope;

/// The rights that a database has. One of them on the whole server reaches every database.
const OF_DATABASES: &[&str] = &[
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "CREATE",
    "DROP",
    "REFERENCES",
    "INDEX",
    "ALTER",
    "CREATE TEMPORARY TABLES",
    "LOCK TABLES",
    "EXECUTE",
    "CREATE VIEW",
    "SHOW VIEW",
    "CREATE ROUTINE",
    "ALTER ROUTINE",
    "EVENT",
    "TRIGGER",
    "DELETE HISTORY",
    "SHOW CREATE ROUTINE",
    ALL,
];

/// Returns those of all accounts of a server that reach the database; their grants are those that
/// concern it. `definers` are the owners of its programs.
pub(super) fn reaching(everyone: Vec<Account>, definers: &[Grantee]) -> Accounts {
    let mut wanted: BTreeSet<Grantee> = everyone
        .iter()
        .filter(|account| {
            account.grants.iter().any(reaches)
                || definers.iter().any(|definer| definer.is(&account.name))
        })
        .map(|account| account.name.clone())
        .collect();
    // Whoever has a role that is wanted, and then whatever roles those have.
    grow(&mut wanted, |wanted| {
        let has_one = |account: &&Account| {
            account.roles.iter().any(|has| wanted.contains(&Grantee::Role(has.role.clone())))
        };
        everyone.iter().filter(has_one).map(|account| account.name.clone()).collect()
    });
    grow(&mut wanted, |wanted| {
        let is_wanted =
            |account: &&Account| wanted.contains(&account.name) && !account.name.is_of_the_server();
        let roles = everyone.iter().filter(is_wanted).flat_map(|account| &account.roles);
        roles.map(|has| Grantee::Role(has.role.clone())).collect()
    });
    let mut accounts = Accounts { accounts: Vec::new(), of_the_server: Vec::new() };
    for mut account in everyone {
        account.roles.retain(|has| wanted.contains(&Grantee::Role(has.role.clone())));
        match (wanted.contains(&account.name), account.name.is_of_the_server()) {
            (true, false) => accounts.accounts.push(account),
            (true, true) => accounts.of_the_server.push(Account {
                name: account.name,
                properties: None,
                password_changed: None,
                default_role: None,
                roles: account.roles,
                grants: Vec::new(),
            }),
            (false, _) => {}
        }
    }
    accounts
}

/// Adds what follows from a set until nothing new does.
fn grow<T: Ord>(set: &mut BTreeSet<T>, following: impl Fn(&BTreeSet<T>) -> Vec<T>) {
    loop {
        let before = set.len();
        set.extend(following(set));
        if set.len() == before {
            return;
        }
    }
}

/// Returns whether a grant concerns a database.
pub(super) fn concerns(grant: &Grant, name: &str) -> bool {
    match &grant.scope {
        Scope::Server => true,
        Scope::Databases(pattern) => grants::matches(pattern, name),
        Scope::Table { database, .. } | Scope::Routine { database, .. } => database == name,
    }
}

/// Returns whether a grant allows anything beyond a database. A pattern that is its name is meant
/// for it alone.
pub(super) fn is_beyond(grant: &Grant, name: &str) -> bool {
    let is_outside = match &grant.scope {
        Scope::Server => true,
        Scope::Databases(pattern) => pattern != name && *pattern != grants::escaped(name),
        Scope::Table { database, .. } | Scope::Routine { database, .. } => database != name,
    };
    is_outside && !grant.is_empty()
}

/// Returns whether a grant that concerns a database allows anything in it.
fn reaches(grant: &Grant) -> bool {
    match &grant.scope {
        Scope::Server => OF_DATABASES.iter().any(|right| grant.rights.contains(*right)),
        _ => !grant.is_empty(),
    }
}

/// Returns the rights of a database that `right` stands for.
pub(super) fn meaning(right: &str) -> Vec<&str> {
    match right {
        ALL => OF_DATABASES.iter().copied().filter(|right| *right != ALL).collect(),
        right => vec![right],
    }
}

#[cfg(test)]
mod tests {
    use crate::source::mariadb::accounts::Membership;

    use super::*;

    fn account(name: &str, roles: &[&str], grants: &[&str]) -> Account {
        let membership = |role: &&str| Membership { role: (*role).to_owned(), is_admin: false };
        let name = Grantee::parse(name).unwrap();
        let line = |grant: &&str| {
            let grant = Grant::parse(&format!("GRANT {grant} TO {}", name.quoted())).unwrap();
            Grant { grantee: String::new(), ..grant }
        };
        Account {
            properties: None,
            password_changed: None,
            default_role: None,
            roles: roles.iter().map(membership).collect(),
            grants: grants.iter().map(line).collect(),
            name,
        }
    }

    fn names(accounts: &[Account]) -> Vec<String> {
        accounts.iter().map(|account| account.name.quoted()).collect()
    }

    #[test]
    fn a_role_brings_its_members_and_a_member_brings_its_roles_but_not_their_other_members() {
        let everyone = vec![
            account("`reads`", &[], &["SELECT ON `d`.*"]),
            account("`above`", &["reads"], &[]),
            account("`idle`", &["idler"], &["RELOAD ON *.*"]),
            account("`idler`", &[], &[]),
            account("`member`@`h`", &["above", "idle"], &[]),
            account("`stranger`@`h`", &["idle"], &["USAGE ON *.*"]),
            account("`root`@`h`", &["above", "idle"], &["ALL PRIVILEGES ON *.*"]),
            account("`owner`@`h`", &[], &[]),
        ];
        let owner = Grantee::parse("`owner`@`H`").unwrap();
        let accounts = reaching(everyone, &[owner]);
        let expected = ["`reads`", "`above`", "`idle`", "`idler`", "`member`@`h`", "`owner`@`h`"];
        assert_eq!(names(&accounts.accounts), expected);
        assert_eq!(names(&accounts.of_the_server), ["`root`@`h`"]);
        assert_eq!(accounts.of_the_server[0].grants, []);
    }

    #[test]
    fn a_right_on_the_server_reaches_only_where_databases_have_it() {
        let reaching_one = |grant: &str| {
            let everyone = vec![account("`a`@`h`", &[], &[grant])];
            reaching(everyone, &[]).accounts.len()
        };
        assert_eq!(reaching_one("RELOAD, PROCESS ON *.*"), 0);
        assert_eq!(reaching_one("RELOAD, SHOW VIEW ON *.*"), 1);
        assert_eq!(reaching_one("ALL PRIVILEGES ON *.*"), 1);
        assert_eq!(reaching_one("SELECT (`a`) ON `d`.`t`"), 1);
        assert_eq!(reaching_one("USAGE ON `d`.*"), 0);
    }
}
