//! What an account that exists lacks on a database, compared with the saved one.

use serde::Deserialize;
use serde::Serialize;

use crate::source::mariadb::accounts::reach;
use crate::source::mariadb::accounts::statements;
use crate::source::mariadb::grants;
use crate::source::mariadb::grants::ALL;
use crate::source::mariadb::grants::Grant;
use crate::source::mariadb::grants::NONE;
use crate::source::mariadb::grants::Scope;

/// A grant that is missing, and what there is for the same scope already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Addition {
    pub(super) grant: Grant,
    pub(super) before: Option<Grant>,
}

/// Returns what an account that is new to a server gets: its rights on the database, which was
/// saved as `from` and is restored as `to`. Of several patterns the one that counts becomes the
/// name; the name itself keeps its spelling, since who granted it will revoke it so.
pub(super) fn for_new(saved: &[Grant], from: &str, to: &str) -> Vec<Grant> {
    let on_database = grants::deciding(saved, from).into_iter().take(1);
    let on_objects = saved
        .iter()
        .filter(|grant| matches!(grant.scope, Scope::Table { .. } | Scope::Routine { .. }));
    let moved = |grant: &Grant| Grant { scope: moved(&grant.scope, from, to), ..grant.clone() };
    on_database.chain(on_objects).map(moved).collect()
}

/// Returns what an account lacks on the database `to` that it had on `from`. Its rights on the
/// server are not compared: they are not the database's.
pub(super) fn for_existing(saved: &[Grant], live: &[Grant], from: &str, to: &str) -> Vec<Addition> {
    let mut additions = Vec::new();
    if let Some(saved) = grants::deciding(saved, from).first() {
        additions.extend(on_database(saved, live, from, to));
    }
    for saved in saved {
        if matches!(saved.scope, Scope::Table { .. } | Scope::Routine { .. }) {
            additions.extend(on_object(saved, live, to));
        }
    }
    additions
}

/// A new pattern that is more specific than the one that counts so far would take away what that
/// one gives: it is given along.
fn on_database(saved: &Grant, live: &[Grant], from: &str, to: &str) -> Option<Addition> {
    let server = live.iter().find(|grant| grant.scope == Scope::Server);
    let counts = grants::deciding(live, to).first().copied();
    let there = || [server, counts].into_iter().flatten();
    let is_there = |right: &str| there().any(|grant| grant.allows(right));
    let is_missing =
        |right: &&String| *right != NONE && !reach::meaning(right).into_iter().all(is_there);
    let mut grant = Grant {
        rights: saved.rights.iter().filter(is_missing).cloned().collect(),
        is_grantable: saved.is_grantable && !there().any(|grant| grant.is_grantable),
        scope: Scope::Databases(grants::escaped(to)),
        ..saved.clone()
    };
    if grant.is_empty() {
        return None;
    }
    match counts {
        Some(counts) if is_name(&counts.scope, to) => grant.scope = counts.scope.clone(),
        Some(counts) => {
            grant.rights.extend(counts.rights.iter().cloned());
            grant.is_grantable |= counts.is_grantable;
        }
        None => grant.scope = moved(&saved.scope, from, to),
    }
    Some(with_before(grant, live))
}

fn on_object(saved: &Grant, live: &[Grant], to: &str) -> Option<Addition> {
    let scope = statements::moved(&saved.scope, to);
    let there = live.iter().find(|grant| grant.scope == scope);
    let mut grant = Grant { scope, ..saved.clone() };
    if let Some(there) = there {
        grant.is_grantable &= !there.is_grantable;
        grant.rights.retain(|right| right != NONE && !there.allows(right));
        grant.columns.retain(|right, columns| {
            columns.retain(|column| {
                !there.columns.get(right).is_some_and(|granted| granted.contains(column))
            });
            !columns.is_empty() && !there.allows(right)
        });
    }
    (!grant.is_empty()).then(|| with_before(grant, live))
}

/// Returns a scope in the restored database. Its very name keeps its spelling.
fn moved(scope: &Scope, from: &str, to: &str) -> Scope {
    if from == to && is_name(scope, from) { scope.clone() } else { statements::moved(scope, to) }
}

/// Returns whether a pattern is meant for this database alone.
fn is_name(scope: &Scope, database: &str) -> bool {
    matches!(scope, Scope::Databases(pattern)
        if pattern == database || *pattern == grants::escaped(database))
}

fn with_before(mut grant: Grant, live: &[Grant]) -> Addition {
    if grant.rights.contains(ALL) {
        grant.rights.retain(|right| right == ALL);
    }
    let before = live.iter().find(|there| there.scope == grant.scope).cloned();
    Addition { grant, before }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(lines: &[&str]) -> Vec<Grant> {
        let parse = |line: &&str| Grant::parse(&format!("GRANT {line} TO `a`@`h`")).unwrap();
        let with_option = |line: &&str| match line.strip_suffix('!') {
            Some(line) => Grant { is_grantable: true, ..parse(&line) },
            None => parse(line),
        };
        lines.iter().map(with_option).collect()
    }

    fn missing(saved: &[&str], live: &[&str], to: &str) -> Vec<String> {
        let to_text = |addition: Addition| {
            let option = if addition.grant.is_grantable { "!" } else { "" };
            let before = if addition.before.is_some() { " more" } else { "" };
            let role = crate::source::mariadb::accounts::Grantee::Public;
            let sql = statements::grant(&addition.grant, &role);
            let end = sql.find(" TO PUBLIC").unwrap();
            format!("{}{option}{before}", &sql["GRANT ".len()..end])
        };
        let additions = for_existing(&parsed(saved), &parsed(live), "d", to);
        additions.into_iter().map(to_text).collect()
    }

    #[test]
    fn what_is_there_is_not_missing_however_it_is_granted() {
        for (saved, live) in [
            ("SELECT ON `d`.*", "SELECT, INSERT ON `d`.*"),
            ("SELECT ON `d%`.*", "SELECT ON `d`.*"),
            ("SELECT ON `d`.*", "SELECT ON *.*"),
            ("SELECT ON `d`.*", "ALL PRIVILEGES ON `%`.*"),
            ("ALL PRIVILEGES ON `d`.*", "ALL PRIVILEGES ON *.*!"),
            ("SELECT ON `d`.*!", "SELECT ON `d`.*!"),
            ("SELECT (`a`) ON `d`.`t`", "SELECT (`a`, `b`) ON `d`.`t`"),
            ("SELECT (`a`) ON `d`.`t`", "SELECT ON `d`.`t`"),
            ("EXECUTE ON FUNCTION `d`.`f`", "EXECUTE, ALTER ROUTINE ON FUNCTION `d`.`f`"),
            ("RELOAD ON *.*", "USAGE ON *.*"),
        ] {
            assert_eq!(missing(&[saved], &[live], "d"), [""; 0], "{saved} of {live}");
        }
    }

    #[test]
    fn what_is_missing_is_added_and_takes_nothing_away() {
        for (saved, live, added) in [
            ("SELECT, INSERT ON `d`.*", "SELECT ON `d`.*", "INSERT ON `d`.* more"),
            ("SELECT ON `d`.*!", "SELECT ON `d`.*", "USAGE ON `d`.*! more"),
            ("SELECT ON `d`.*", "DROP ON `d%`.*!", "DROP, SELECT ON `d`.*!"),
            ("SELECT ON `d`.*", "ALL PRIVILEGES ON `e`.*", "SELECT ON `d`.*"),
            ("ALL PRIVILEGES ON `d`.*", "SELECT ON `%`.*", "ALL PRIVILEGES ON `d`.*"),
            (
                "UPDATE, SELECT (`a`) ON `d`.`t`",
                "UPDATE ON `d`.`t`",
                "SELECT (`a`) ON `d`.`t` more",
            ),
            (
                "EXECUTE ON FUNCTION `d`.`f`",
                "EXECUTE ON PROCEDURE `d`.`f`",
                "EXECUTE ON FUNCTION `d`.`f`",
            ),
        ] {
            assert_eq!(missing(&[saved], &[live], "d"), [added], "{saved} of {live}");
        }
    }

    #[test]
    fn a_new_account_gets_what_counted_on_the_database_and_nothing_beyond() {
        let saved = ["SELECT ON `%`.*", "INSERT ON `d%`.*", "DROP ON `d`.`t`", "RELOAD ON *.*"];
        let granted = |saved: &[&str], to: &str| {
            let moved = for_new(&parsed(saved), "d_", to);
            let to_text = |grant: &Grant| {
                let sql =
                    statements::grant(grant, &crate::source::mariadb::accounts::Grantee::Public);
                sql["GRANT ".len()..sql.find(" TO PUBLIC").unwrap()].to_owned()
            };
            moved.iter().map(to_text).collect::<Vec<_>>()
        };
        assert_eq!(granted(&saved, "n_w"), [r"INSERT ON `n\_w`.*", "DROP ON `n_w`.`t`"]);
        assert_eq!(granted(&saved, "d_"), [r"INSERT ON `d\_`.*", "DROP ON `d_`.`t`"]);
        assert_eq!(granted(&["DROP ON `d_`.*"], "d_"), ["DROP ON `d_`.*"]);
        assert_eq!(granted(&[r"DROP ON `d\_`.*"], "d_"), [r"DROP ON `d\_`.*"]);
        assert_eq!(missing(&["SELECT ON `d%`.*"], &[], "n_w"), [r"SELECT ON `n\_w`.*"]);
    }
}
