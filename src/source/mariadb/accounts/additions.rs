//! What an account that exists lacks on a database, compared with the saved one.

use crate::source::mariadb::accounts::reach;
use crate::source::mariadb::accounts::statements;
use crate::source::mariadb::grants;
use crate::source::mariadb::grants::ALL;
use crate::source::mariadb::grants::Grant;
use crate::source::mariadb::grants::NONE;
use crate::source::mariadb::grants::Scope;

/// A grant that is missing, and what there is for the same scope already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addition {
    pub(super) grant: Grant,
    pub(super) before: Option<Grant>,
}

/// Returns all grants of an account that is new to a server; `from` was saved, `to` is restored.
///
/// Another name gets what counted for the old one: of several patterns the most specific.
pub(super) fn for_new(saved: &[Grant], from: &str, to: &str) -> Vec<Grant> {
    if from == to {
        return saved.to_vec();
    }
    let deciding = grants::deciding(saved, from);
    let counts = saved.iter().filter(|grant| match grant.scope {
        Scope::Databases(_) => deciding.contains(grant),
        _ => true,
    });
    counts
        .map(|grant| Grant { scope: statements::moved(&grant.scope, to), ..grant.clone() })
        .collect()
}

/// Returns what an account lacks on the database `to` that it had on `from`. Its rights on the
/// server are not compared: they are not the database's.
pub(super) fn for_existing(saved: &[Grant], live: &[Grant], from: &str, to: &str) -> Vec<Addition> {
    let mut additions = Vec::new();
    if let Some(saved) = grants::deciding(saved, from).first() {
        additions.extend(on_database(saved, live, to));
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
fn on_database(saved: &Grant, live: &[Grant], to: &str) -> Option<Addition> {
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
        None => {}
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
    fn grants_follow_a_new_name_and_patterns_become_it() {
        let saved = ["SELECT ON `%`.*", "INSERT ON `d%`.*", "DROP ON `d`.`t`", "RELOAD ON *.*"];
        let moved = for_new(&parsed(&saved), "d", "n_w");
        let to_text = |grant: &Grant| {
            statements::grant(grant, &crate::source::mariadb::accounts::Grantee::Public)
        };
        let expected = [
            r"GRANT INSERT ON `n\_w`.* TO PUBLIC",
            "GRANT DROP ON `n_w`.`t` TO PUBLIC",
            "GRANT RELOAD ON *.* TO PUBLIC",
        ];
        assert_eq!(moved.iter().map(to_text).collect::<Vec<_>>(), expected);
        assert_eq!(missing(&["SELECT ON `d%`.*"], &[], "n_w"), [r"SELECT ON `n\_w`.*"]);
    }
}
