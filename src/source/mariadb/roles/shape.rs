//! Whether a database holds roles as Cloudify Manager does, and whether tenants have roles in it.
//!
//! A database that lacks one of the tables, or one of their columns, is not such a database: that of
//! Centreon MAP has none of them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::definition::Definition;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::quote;
use crate::source::mariadb::schema;

/// The tables that every such database has, with the columns that roles are read from.
const REQUIRED: [(&str, &[&str]); 5] = [
    ("roles", &["id", "name"]),
    ("users", &["id", "username"]),
    ("tenants", &["id", "name"]),
    ("users_roles", &["user_id", "role_id"]),
    ("users_tenants", &["user_id", "tenant_id"]),
];

/// The table, and the column in it, that tenants have roles by.
pub(super) const TENANT_ROLES: (&str, &str) = ("users_tenants", "role_id");

/// Returns whether tenants have roles in a saved database; `None` where it does not hold roles.
pub fn has_tenant_roles(schema: &[u8]) -> Result<Option<bool>> {
    Ok(tenant_roles_in(&columns_of(&schema::unpack(schema)?)))
}

/// Returns whether tenants have roles in a live database; `None` where it does not hold roles, or
/// there is no such database.
pub async fn has_live_tenant_roles(login: &Login, database: &str) -> Result<Option<bool>> {
    let mut connection = connect(login).await?;
    let columns = connection.columns_of_roles(database).await?;
    connection.close().await;
    Ok(tenant_roles_in(&columns))
}

/// Table by table the names of its columns.
type Columns = BTreeMap<String, BTreeSet<String>>;

fn tenant_roles_in(columns: &Columns) -> Option<bool> {
    let has = |table: &str, column: &str| columns.get(table).is_some_and(|it| it.contains(column));
    let is_there = |(table, columns): &(&str, &[&str])| columns.iter().all(|it| has(table, it));
    REQUIRED.iter().all(is_there).then(|| has(TENANT_ROLES.0, TENANT_ROLES.1))
}

fn columns_of(definition: &Definition) -> Columns {
    let columns = definition.tables.iter().map(|table| {
        let names = table.columns.iter().map(|column| column.name.clone());
        (table.name.clone(), names.collect())
    });
    columns.collect()
}

impl Connection {
    /// Returns the columns of the tables of a database that may hold roles.
    async fn columns_of_roles(&mut self, database: &str) -> Result<Columns> {
        let names = REQUIRED.map(|(table, _)| quote::string(table)).join(", ");
        let sql = format!(
            "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS \
             WHERE {} AND TABLE_NAME IN ({names})",
            quote::is_database("TABLE_SCHEMA", database)
        );
        let rows: Vec<(String, String)> = self.rows("cannot look for roles", &sql).await?;
        let mut columns = Columns::new();
        for (table, column) in rows {
            columns.entry(table).or_default().insert(column);
        }
        Ok(columns)
    }
}
