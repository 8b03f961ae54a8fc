//! Reads the lines of `SHOW GRANTS`, and answers as the server would what they allow.
//!
//! Two rules of the server are easily missed. A database's name in a grant is a pattern: `_` and
//! `%` are wildcards unless a backslash stands before them. And the patterns of one grantee do not
//! add up: the most specific one that matches counts alone, whatever the others allow.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::source::mariadb::scan;
use serde::Deserialize;
use serde::Serialize;

/// The right that stands for all of its scope.
pub(super) const ALL: &str = "ALL PRIVILEGES";

/// The word for no right at all.
pub(super) const NONE: &str = "USAGE";

/// Names of columns by right.
pub(super) type Columns = BTreeMap<String, BTreeSet<String>>;

/// What one line grants. A line may name the account, an enabled role of it, or `PUBLIC`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grant {
    /// Who got it, quoted as the server writes it; a stored grant stands with its account.
    #[serde(skip)]
    pub(super) grantee: String,
    /// The rights, in capitals; those on single columns aside.
    pub(super) rights: BTreeSet<String>,
    /// The columns of each right that is for single columns only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) columns: Columns,
    /// What they are for.
    pub(super) scope: Scope,
    /// Whether they may be passed on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_grantable: bool,
}

/// What a grant is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Scope {
    /// The whole server.
    Server,
    /// All databases that a pattern matches.
    Databases(String),
    /// One table or view.
    Table {
        /// Its database.
        database: String,
        /// Its name.
        table: String,
    },
    /// One procedure, function or package.
    Routine {
        /// What it is, in the words of a grant.
        kind: RoutineKind,
        /// Its database.
        database: String,
        /// Its name.
        routine: String,
    },
}

/// The kinds of routines that a grant can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RoutineKind {
    /// `PROCEDURE`.
    Procedure,
    /// `FUNCTION`.
    Function,
    /// `PACKAGE`.
    Package,
    /// `PACKAGE BODY`.
    PackageBody,
}

impl RoutineKind {
    /// All kinds; one whose words begin with another's comes first.
    const EVERY: [Self; 4] = [Self::PackageBody, Self::Package, Self::Function, Self::Procedure];

    /// Returns the words for the kind.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Procedure => "PROCEDURE",
            Self::Function => "FUNCTION",
            Self::Package => "PACKAGE",
            Self::PackageBody => "PACKAGE BODY",
        }
    }
}

impl Grant {
    /// Returns what a line of `SHOW GRANTS` grants; `None` for roles and proxies.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (list, rest) = split_outside(line.strip_prefix("GRANT ")?, " ON ")?;
        let (scope, rest) = split_outside(rest, " TO ")?;
        let (grantee, options) = split_outside(rest, " ").unwrap_or((rest, ""));
        // A hash or a subject of a certificate may say anything.
        let options: String = scan::unquoted(options).map(|(_, byte)| char::from(byte)).collect();
        let (rights, columns) = rights(list)?;
        Some(Self {
            grantee: grantee.to_owned(),
            rights,
            columns,
            scope: Scope::parse(scope)?,
            is_grantable: options.contains("WITH GRANT OPTION"),
        })
    }

    /// Returns whether the grant says no more than that somebody is there.
    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty()
            && !self.is_grantable
            && self.rights.iter().all(|right| right == NONE)
    }

    /// Returns whether the line grants the right; a database's `ALL` is all that a database has.
    pub(super) fn allows(&self, right: &str) -> bool {
        self.rights.contains(right) || self.rights.contains(ALL)
    }
}

impl Scope {
    fn parse(text: &str) -> Option<Self> {
        if text == "*.*" {
            return Some(Self::Server);
        }
        for kind in RoutineKind::EVERY {
            let Some(name) = text.strip_prefix(kind.words()) else { continue };
            let (database, routine) = split_outside(name.strip_prefix(' ')?, ".")?;
            let (database, routine) = (unquoted(database)?, unquoted(routine)?);
            return Some(Self::Routine { kind, database, routine });
        }
        let (database, table) = split_outside(text, ".")?;
        let database = unquoted(database)?;
        Some(match table {
            "*" => Self::Databases(database),
            table => Self::Table { database, table: unquoted(table)? },
        })
    }
}

/// Returns the grant to each grantee that decides for a database: of several patterns the one
/// whose first wildcard comes last, and one without any before all.
pub(super) fn deciding<'a>(grants: &'a [Grant], database: &str) -> Vec<&'a Grant> {
    let mut deciding: Vec<(usize, &Grant)> = Vec::new();
    for grant in grants {
        let Scope::Databases(pattern) = &grant.scope else { continue };
        if !matches(pattern, database) {
            continue;
        }
        let specific = specificity(pattern);
        match deciding.iter_mut().find(|(_, other)| other.grantee == grant.grantee) {
            Some(best) if best.0 < specific => *best = (specific, grant),
            Some(_) => {}
            None => deciding.push((specific, grant)),
        }
    }
    deciding.into_iter().map(|(_, grant)| grant).collect()
}

/// Returns the pattern that matches this name alone.
pub(super) fn escaped(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    for character in name.chars() {
        if matches!(character, '\\' | '%' | '_') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// Returns whether a pattern matches a name, as the server compares them.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('%') => {
            let mut ends = name.char_indices().map(|(position, _)| position).chain([name.len()]);
            ends.any(|position| matches(rest.as_str(), &name[position..]))
        }
        Some(first) => {
            let mut wanted = Some(first);
            if first == '\\' && !rest.as_str().is_empty() {
                wanted = rest.next();
            } else if first == '_' {
                wanted = None;
            }
            let mut name = name.chars();
            let found = name.next();
            found.is_some()
                && wanted.is_none_or(|wanted| Some(wanted) == found)
                && matches(rest.as_str(), name.as_str())
        }
    }
}

/// Returns what the server sorts patterns by: the place of the first wildcard, 128 without any.
fn specificity(pattern: &str) -> usize {
    let mut is_escaped = false;
    for (position, byte) in pattern.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if position + 1 < pattern.len() => is_escaped = true,
            b'%' | b'_' => return (position + 1).min(127),
            _ => {}
        }
    }
    128
}

/// Returns the rights of a list, and those for single columns, such as ``SELECT (`a`, `b`)``.
fn rights(mut list: &str) -> Option<(BTreeSet<String>, Columns)> {
    let mut rights = BTreeSet::new();
    let mut columns = BTreeMap::new();
    while !list.is_empty() {
        let (right, rest) = split_outside(list, ", ").unwrap_or((list, ""));
        match right.split_once(" (") {
            Some((right, names)) => {
                columns.insert(right.to_ascii_uppercase(), names_of(names.strip_suffix(')')?)?);
            }
            None => drop(rights.insert(right.to_ascii_uppercase())),
        }
        list = rest;
    }
    Some((rights, columns))
}

/// Returns the names of a list in backticks.
fn names_of(mut list: &str) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    while !list.is_empty() {
        let (name, rest) = split_outside(list, ", ").unwrap_or((list, ""));
        names.insert(unquoted(name)?);
        list = rest;
    }
    Some(names)
}

/// Splits a text at the first separator that stands outside of backticks and brackets.
pub(super) fn split_outside<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let mut is_quoted = false;
    let mut is_bracketed = false;
    for (position, character) in text.char_indices() {
        match character {
            '`' => is_quoted = !is_quoted,
            '(' | ')' if !is_quoted => is_bracketed = character == '(',
            _ if is_quoted || is_bracketed => {}
            _ if text[position..].starts_with(separator) => {
                return Some((&text[..position], &text[position + separator.len()..]));
            }
            _ => {}
        }
    }
    None
}

/// Returns the name that an identifier in backticks stands for.
pub(super) fn unquoted(identifier: &str) -> Option<String> {
    Some(identifier.strip_prefix('`')?.strip_suffix('`')?.replace("``", "`"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Real lines of MariaDB 10.11, and what they say.
    #[test]
    fn the_lines_of_a_server_are_understood() {
        let cases = [
            (
                "GRANT USAGE ON *.* TO `snap`@`localhost` IDENTIFIED VIA ed25519 USING 'Gv2JI8' OR \
              unix_socket REQUIRE SSL WITH MAX_QUERIES_PER_HOUR 5",
                "`snap`@`localhost`: USAGE on Server",
            ),
            (
                "GRANT SELECT, BINLOG ADMIN, SET USER, CREATE TEMPORARY TABLES ON *.* TO `big`@`10.%` \
              IDENTIFIED BY PASSWORD '*B69' WITH MAX_USER_CONNECTIONS 3",
                "`big`@`10.%`: BINLOG ADMIN,CREATE TEMPORARY TABLES,SELECT,SET USER on Server",
            ),
            (
                r"GRANT ALL PRIVILEGES ON `a\_b\%`.* TO `snap`@`localhost` WITH GRANT OPTION",
                r#"`snap`@`localhost`: ALL PRIVILEGES on Databases("a\\_b\\%")!"#,
            ),
            (
                "GRANT INSERT ON `we``ird TO `.* TO `s ON p`@`%`",
                "`s ON p`@`%`: INSERT on Databases(\"we`ird TO \")",
            ),
            (
                "GRANT SELECT ON `mysql`.`proc` TO PUBLIC",
                "PUBLIC: SELECT on Table { database: \"mysql\", table: \"proc\" }",
            ),
            (
                "GRANT SELECT (`a, b`, `c)`), UPDATE, INSERT (`a`) ON `d`.`t.u` TO `r1`",
                "`r1`: UPDATE,INSERT(a),SELECT(a, b+c)) on Table { database: \"d\", table: \"t.u\" }",
            ),
            (
                "GRANT EXECUTE ON PACKAGE BODY `d`.`p.q` TO `a`@`b.c` WITH GRANT OPTION",
                "`a`@`b.c`: EXECUTE on Routine { kind: PackageBody, database: \"d\", \
                 routine: \"p.q\" }!",
            ),
            (
                "GRANT USAGE ON *.* TO `a`@`b` IDENTIFIED VIA pam USING 'x` \\' WITH GRANT OPTION' \
                 REQUIRE ISSUER ' WITH GRANT OPTION'",
                "`a`@`b`: USAGE on Server",
            ),
            (
                "GRANT USAGE ON *.* TO `a`@`b` REQUIRE SSL WITH GRANT OPTION MAX_USER_CONNECTIONS 1",
                "`a`@`b`: USAGE on Server!",
            ),
        ];
        for (line, meaning) in cases {
            let Grant { grantee, rights, columns, scope, is_grantable } =
                Grant::parse(line).unwrap();
            let columns = columns.into_iter().map(|(right, columns)| {
                format!("{right}({})", columns.into_iter().collect::<Vec<_>>().join("+"))
            });
            let rights = rights.into_iter().chain(columns).collect::<Vec<_>>().join(",");
            let option = if is_grantable { "!" } else { "" };
            assert_eq!(format!("{grantee}: {rights} on {scope:?}{option}"), meaning);
        }
        for line in [
            "GRANT `r1` TO `role_user`@`localhost`",
            "GRANT `r1` TO `root`@`localhost` WITH ADMIN OPTION",
            "GRANT PROXY ON ``@`%` TO `root`@`localhost` WITH GRANT OPTION",
            "SET DEFAULT ROLE `r1` FOR `role_user`@`localhost`",
        ] {
            assert_eq!(Grant::parse(line), None, "{line}");
        }
    }

    #[test]
    fn only_the_most_specific_pattern_of_a_grantee_counts() {
        let parse = |line: &&str| Grant::parse(line).unwrap();
        let grants: Vec<Grant> = [
            "GRANT SELECT ON `%`.* TO `a`@`%`",
            r"GRANT INSERT ON `my\_db`.* TO `a`@`%`",
            "GRANT UPDATE ON `my_db`.* TO `a`@`%`",
            "GRANT DELETE ON `%`.* TO `role`",
            "GRANT DROP ON `other`.* TO `b`@`%`",
        ]
        .iter()
        .map(parse)
        .collect();
        let rights = |database: &str| {
            let deciding = deciding(&grants, database);
            deciding.iter().flat_map(|grant| grant.rights.clone()).collect::<Vec<_>>()
        };
        assert_eq!(rights("my_db"), ["INSERT", "DELETE"]);
        assert_eq!(rights("my1db"), ["UPDATE", "DELETE"]);
        assert_eq!(rights("another"), ["SELECT", "DELETE"]);
    }

    proptest! {
        #[test]
        fn an_escaped_name_matches_itself_and_nothing_else(
            name in r"[ab\\%_]{0,8}", other in r"[ab\\%_]{0,8}"
        ) {
            prop_assert!(matches(&escaped(&name), &name));
            prop_assert_eq!(matches(&escaped(&name), &other), name == other);
            prop_assert_eq!(specificity(&escaped(&name)), 128);
        }

        #[test]
        fn any_line_is_read_without_a_panic(line in "GRANT [A-Z`,.*() ]{0,40}") {
            drop(Grant::parse(&line));
        }
    }
}
