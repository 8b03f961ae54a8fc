//! Rights that were given on single tables, views and routines of a database.
//!
//! The server keeps those on tables by name: they outlive a table that is dropped or moved away, and
//! hold for whatever gets its name next. Those on a routine go with it. A restore changes neither
//! and says what becomes of them.

use std::collections::BTreeMap;

use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::accounts::Grantee;
use crate::source::mariadb::compare::Comparison;
use crate::source::mariadb::compare::Gone;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::quote;

/// What a right on a single table can be for, beside it.
const TABLES: &[&str] = &["table", "view", "sequence"];

/// A right on one table, view or routine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    /// What kind of routine it is for; `None` for tables, views and sequences.
    routine: Option<String>,
    name: String,
    /// Who has it, quoted.
    grantee: String,
}

/// Returns all rights on single tables and routines; `None` where the account may not see them.
pub(super) async fn read(
    connection: &mut Connection,
    database: &str,
) -> Result<Option<Vec<Given>>> {
    let own = quote::is_database("Db", database);
    let tables = format!("SELECT User, Host, '', Table_name FROM mysql.tables_priv WHERE {own}");
    let routines = format!(
        "SELECT User, Host, LOWER(Routine_type), Routine_name FROM mysql.procs_priv WHERE {own}"
    );
    let mut given = Vec::new();
    for sql in [tables, routines] {
        let rows = connection.rows("cannot read the rights on single tables", &sql).await;
        let rows: Vec<(String, String, String, String)> = match rows {
            Err(error) if error.kind() == Kind::Denied => return Ok(None),
            rows => rows?,
        };
        given.extend(rows.into_iter().map(|(user, host, kind, name)| {
            // A role has no host.
            let is_role = host.is_empty();
            let grantee = Grantee::stored(user, host, is_role).quoted();
            Given { routine: Some(kind).filter(|kind| !kind.is_empty()), name, grantee }
        }));
    }
    given.sort_by(|one, other| (&one.name, &one.grantee).cmp(&(&other.name, &other.grantee)));
    Ok(Some(given))
}

impl Given {
    fn is_on(&self, gone: &Gone) -> bool {
        match &self.routine {
            // A routine's name has no case.
            Some(kind) => {
                *kind == gone.kind && self.name.to_lowercase() == gone.name.to_lowercase()
            }
            None => TABLES.contains(&gone.kind) && self.name == gone.name,
        }
    }
}

/// Returns what becomes of these rights when `tables` are swapped in; `None` are rights that cannot
/// be seen.
pub(super) fn fates(given: Option<&[Given]>, found: &Comparison, tables: &[&str]) -> Vec<String> {
    let Some(given) = given else { return unseen(found) };
    let mut fates = Vec::new();
    for gone in &found.gone {
        let on_it = given.iter().filter(|given| given.is_on(gone));
        let grantees: Vec<_> = on_it.map(|given| given.grantee.as_str()).collect();
        if grantees.is_empty() {
            continue;
        }
        let fate = if TABLES.contains(&gone.kind) {
            "outlive it, and hold for whatever gets its name"
        } else {
            "go with it, and no rollback brings them back"
        };
        let (kind, name, grantees) = (gone.kind, &gone.name, grantees.join(", "));
        fates.push(format!("rights on {kind} {name:?} {fate}: {grantees}"));
    }
    let mut replaced: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for given in given.iter().filter(|given| given.routine.is_none()) {
        if tables.contains(&given.name.as_str()) {
            replaced.entry(&given.name).or_default().push(&given.grantee);
        }
    }
    if !replaced.is_empty() {
        let one =
            |(name, grantees): (&str, Vec<&str>)| format!("{name:?} ({})", grantees.join(", "));
        let replaced: Vec<_> = replaced.into_iter().map(one).collect();
        fates.push(format!(
            "rights on single tables hang on names, and hold for what is restored: {}",
            replaced.join(", ")
        ));
    }
    fates
}

fn unseen(found: &Comparison) -> Vec<String> {
    let gone = found.gone.iter().filter(|gone| !["trigger", "event"].contains(&gone.kind));
    if gone.count() == 0 {
        return Vec::new();
    }
    vec![
        "rights on what is dropped cannot be seen, which takes SELECT on mysql.tables_priv and \
          mysql.procs_priv: those on tables and views outlive them, those on routines do not"
            .to_owned(),
    ]
}
