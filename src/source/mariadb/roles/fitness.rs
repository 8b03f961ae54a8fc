//! Whether tables that hold roles can be made other ones at all: seen from the definitions of a
//! snapshot, before anything is written.

use crate::base::error::Result;
use crate::source::mariadb::definition::Definition;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::foreign_keys;
use crate::source::mariadb::roles::rows;
use crate::source::mariadb::roles::rows::Linking;
use crate::source::mariadb::roles::rows::Named;
use crate::source::mariadb::roles::rows::refused;
use crate::source::mariadb::schema;

/// Fails with [`Kind::Refused`](crate::base::error::Kind) where a saved database holds roles in a way
/// that no change can be made to; `merged` are rows of `roles` that would go.
pub fn demand_fit(schema: &[u8], merged: usize) -> Result<()> {
    let definition = schema::unpack(schema)?;
    for table in definition.tables.iter().filter(|it| rows::tables().any(|name| name == it.name)) {
        if table.is_versioned() {
            return Err(refused(&format!("{:?} keeps the rows that were", table.name)));
        }
    }
    for linking in Linking::TO_TENANTS {
        let table = definition.tables.iter().find(|table| table.name == linking.table());
        if table.is_some_and(|table| has_other_key(table, linking)) {
            let [holder, tenant] = linking.columns();
            let what =
                format!("the primary key of {:?} is to be {holder}, {tenant}", linking.table());
            return Err(refused(&format!("{what}, and it has another one")));
        }
    }
    match pointing_at_roles(&definition)? {
        Some(table) if merged > 0 => Err(refused(&format!(
            "{table:?} points to rows of \"roles\" of which several would become one"
        ))),
        _ => Ok(()),
    }
}

fn has_other_key(table: &Table, linking: Linking) -> bool {
    let columns = linking.columns();
    let is_of_it = |column: &String| columns.contains(&column.as_str());
    let is_own = table.primary.len() == columns.len() && table.primary.iter().all(is_of_it);
    !(table.primary.is_empty() || is_own)
}

/// Returns a table with a foreign key to `roles` that is none of the links that are changed with it.
fn pointing_at_roles(definition: &Definition) -> Result<Option<&str>> {
    let changed = [Linking::UsersRoles, Linking::GroupsRoles].map(Linking::table);
    for table in definition.tables.iter().filter(|it| !changed.contains(&it.name.as_str())) {
        let parents = foreign_keys::parents(&table.create)?;
        if parents.iter().any(|parent| parent == Named::Roles.table()) {
            return Ok(Some(&table.name));
        }
    }
    Ok(None)
}
