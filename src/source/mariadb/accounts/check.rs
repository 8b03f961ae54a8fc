//! Refuses accounts that no server has: an archive may say anything.
//!
//! A server drops the blanks at the end of a name, and takes an empty host for `%`. A name in such
//! a spelling would pass every comparison here, and mean another account there.

use crate::base::error::Error;
use crate::base::error::Result;
use crate::source::mariadb::accounts::Account;
use crate::source::mariadb::accounts::Accounts;
use crate::source::mariadb::accounts::Grantee;
use crate::source::mariadb::grants::Grant;
use crate::source::mariadb::grants::Scope;

/// The longest name of a user or role, in characters.
const LONGEST_NAME: usize = 128;

/// The longest name of a host.
const LONGEST_HOST: usize = 255;

/// The longest pattern: a name of 64 characters, all of them escaped.
const LONGEST_PATTERN: usize = 128;

/// Fails where a name could mean another one to a server, or where something is said twice.
pub(super) fn check(saved: &Accounts) -> Result<()> {
    let everyone = || saved.accounts.iter().chain(&saved.of_the_server);
    for (position, account) in everyone().enumerate() {
        check_account(account)?;
        if everyone().skip(position + 1).any(|other| other.name.is(&account.name)) {
            return Err(damaged("account", &account.name.quoted(), "stands there twice"));
        }
    }
    Ok(())
}

fn check_account(account: &Account) -> Result<()> {
    check_name(&account.name)?;
    let roles = account.roles.iter().map(|has| &has.role);
    roles.chain(&account.default_role).try_for_each(|role| check_role(role))?;
    for (position, grant) in account.grants.iter().enumerate() {
        check_pattern(grant)?;
        if account.grants[position + 1..].iter().any(|other| other.scope == grant.scope) {
            let name = account.name.quoted();
            return Err(damaged("account", &name, "has two grants on the same"));
        }
    }
    Ok(())
}

/// Fails where a server would read this name as another one.
pub(super) fn check_name(name: &Grantee) -> Result<()> {
    match name {
        Grantee::Public => Ok(()),
        Grantee::Role(role) => check_role(role),
        Grantee::User { user, host } => {
            check_spelling("user", user, LONGEST_NAME)?;
            check_spelling("host", host, LONGEST_HOST)?;
            if host.is_empty() {
                return Err(damaged("user", user, "has no host"));
            }
            Ok(())
        }
    }
}

fn check_role(role: &str) -> Result<()> {
    check_spelling("role", role, LONGEST_NAME)?;
    if role.is_empty() || role.eq_ignore_ascii_case("public") {
        return Err(damaged("role", role, "is none"));
    }
    Ok(())
}

fn check_spelling(what: &str, name: &str, longest: usize) -> Result<()> {
    if name.ends_with(char::is_whitespace) || name.contains('\0') {
        return Err(damaged(what, name, "is spelled as no server keeps it"));
    }
    if name.chars().count() > longest {
        let start: String = name.chars().take(longest).collect();
        return Err(damaged(what, &start, "is longer than a name can be"));
    }
    Ok(())
}

fn check_pattern(grant: &Grant) -> Result<()> {
    match &grant.scope {
        Scope::Databases(pattern) => check_spelling("pattern", pattern, LONGEST_PATTERN),
        _ => Ok(()),
    }
}

fn damaged(what: &str, name: &str, why: &str) -> Error {
    Error::damaged(format!("cannot trust the saved accounts: {what} {name:?} {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(accounts: &str) -> Result<()> {
        let json = format!(r#"{{"accounts": [{accounts}], "of_the_server": []}}"#);
        check(&serde_json::from_str(&json).unwrap())
    }

    fn user(user: &str, host: &str) -> String {
        format!(r#"{{"name": {{"user": {{"user": "{user}", "host": "{host}"}}}}}}"#)
    }

    #[test]
    fn names_that_a_server_would_read_as_others_are_damage() {
        let long = "x".repeat(129);
        for accounts in [
            user("root ", "%"),
            user("snap", ""),
            user("snap", "localhost "),
            user("a\\u0000", "h"),
            user(&long, "h"),
            user("a", &"h".repeat(256)),
            r#"{"name": {"role": "r "}}"#.to_owned(),
            r#"{"name": {"role": ""}}"#.to_owned(),
            r#"{"name": {"role": "Public"}}"#.to_owned(),
            r#"{"name": {"role": "a"}, "roles": [{"role": "PUBLIC"}]}"#.to_owned(),
            r#"{"name": {"role": "a"}, "roles": [{"role": "b "}]}"#.to_owned(),
            r#"{"name": {"role": "a"}, "default_role": "b "}"#.to_owned(),
            format!(
                r#"{{"name": "public", "grants": [{{"rights": [], "scope": {{"databases": "{}"}}}}]}}"#,
                "%".repeat(129)
            ),
            r#"{"name": "public", "grants": [{"rights": [], "scope": "server"},
                {"rights": ["SELECT"], "scope": "server"}]}"#
                .to_owned(),
            [user("a", "Ä.de"), user("a", "ä.DE")].join(","),
        ] {
            let error = checked(&accounts).expect_err(&accounts);
            assert!(error.to_string().starts_with("cannot trust the saved accounts"), "{error}");
        }
        for accounts in [
            user("", "%"),
            user("o'dd `@ \\\\", "h\\\\_%"),
            user("public", "localhost"),
            [user("a", "h"), user("A", "h"), user("a", "%")].join(","),
        ] {
            assert!(checked(&accounts).is_ok(), "{accounts}");
        }
    }
}
