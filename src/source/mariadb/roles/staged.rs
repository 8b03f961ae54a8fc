//! Reads the tables that hold roles in staging, and makes them other ones.
//!
//! They are filled and proven by then, their foreign keys stand and are heeded, and no trigger is
//! there yet that would act on a change. Rows are changed where they stand, so that all that is beside
//! the names and the ids stays with them.

use std::collections::BTreeMap;

use crate::base::error::Result;
use crate::base::fault;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::foreign_keys;
use crate::source::mariadb::quote;
use crate::source::mariadb::roles::rows::Link;
use crate::source::mariadb::roles::rows::Linking;
use crate::source::mariadb::roles::rows::Named;
use crate::source::mariadb::roles::rows::RoleTables;
use crate::source::mariadb::roles::shape::TENANT_ROLES;
use crate::source::mariadb::staging::Staging;

/// Whether tenants have roles yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// They have none.
    Old,
    /// They have.
    New,
}

impl Staging {
    /// Returns what stands in the tables that hold roles.
    pub async fn read_roles(&mut self, age: Age) -> Result<RoleTables> {
        let mut tables = RoleTables::default();
        for named in Named::ALL {
            if self.table(named.table()).is_some() {
                self.connection.read_names(named, &mut tables).await?;
            }
        }
        for linking in Linking::ALL {
            if self.table(linking.table()).is_some() {
                self.connection.read_links(linking, age, &mut tables).await?;
            }
        }
        Ok(tables)
    }

    /// Makes the tables that hold roles those that are wanted, and gives tenants roles. Users, groups
    /// and tenants stay who they are, and all links to tenants get the same role.
    pub async fn write_roles(
        &mut self,
        before: &RoleTables,
        wanted: &RoleTables,
        tenant_role: u64,
    ) -> Result<()> {
        self.connection.heed_foreign_keys().await?;
        for linking in Linking::ALL {
            let links = |tables: &RoleTables| tables.links.get(&linking).cloned();
            let (old, new) = (links(before).unwrap_or_default(), links(wanted).unwrap_or_default());
            self.connection.change_links(linking, &old, &new).await?;
        }
        fault::point("staging.roles-linked");
        let roles = |tables: &RoleTables| tables.names.get(&Named::Roles).cloned();
        let (old, new) = (roles(before).unwrap_or_default(), roles(wanted).unwrap_or_default());
        self.connection.change_roles(&old, &new).await?;
        fault::point("staging.roles-renamed");
        for linking in Linking::TO_TENANTS {
            self.add_tenant_role(linking, tenant_role).await?;
            fault::point("staging.tenants-have-roles");
        }
        self.connection.ignore_foreign_keys().await?;
        let changed = Linking::ALL.map(Linking::table).into_iter().chain([Named::Roles.table()]);
        for table in changed {
            self.analyze_again(table).await?;
        }
        Ok(())
    }

    /// Makes new statistics of a table that had some and whose rows are others now.
    pub(super) async fn analyze_again(&mut self, table: &str) -> Result<()> {
        if self.table(table).is_some_and(|table| table.is_analyzed) {
            self.connection.analyze(table).await?;
        }
        Ok(())
    }

    /// Returns the definition that a table was built from.
    pub(super) fn table(&self, name: &str) -> Option<&Table> {
        self.plan.definition().tables.iter().find(|table| table.name == name)
    }

    /// Gives a table of links to tenants its column of roles, and its primary key.
    async fn add_tenant_role(&mut self, linking: Linking, role: u64) -> Result<()> {
        let (name, schema) = (linking.table(), self.plan.schema().to_owned());
        let Some(table) = self.table(name) else { return Ok(()) };
        let has_key = !table.primary.is_empty();
        let links_by_key = match self.table(Linking::UsersRoles.table()) {
            Some(links) => {
                foreign_keys::parents(&links.create)?.iter().any(|it| it == Named::Roles.table())
            }
            None => false,
        };
        let id_type = self.connection.type_of_role_ids(&schema).await?;
        let column = quote::identifier(TENANT_ROLES.1);
        let [holder, tenant] = linking.columns().map(quote::identifier);
        // The default is there for the rows that are; whoever adds one later has to say its role.
        let mut clauses = vec![format!("ADD COLUMN {column} {id_type} NOT NULL DEFAULT {role}")];
        clauses.extend((!has_key).then(|| format!("ADD PRIMARY KEY ({holder}, {tenant})")));
        self.connection.alter_table(name, &clauses).await?;
        let mut clauses = vec![format!("ALTER COLUMN {column} DROP DEFAULT")];
        if links_by_key {
            let key = quote::identifier(&format!("{name}_{}_fkey", TENANT_ROLES.1));
            clauses.push(format!(
                "ADD CONSTRAINT {key} FOREIGN KEY ({column}) REFERENCES {} (`id`)",
                quote::identifier(Named::Roles.table())
            ));
        }
        self.connection.alter_table(name, &clauses).await
    }
}

impl Connection {
    async fn read_names(&mut self, named: Named, into: &mut RoleTables) -> Result<()> {
        let (table, column) = (quote::identifier(named.table()), quote::identifier(named.column()));
        let doing = format!("cannot read the names in {table}");
        let sql = format!("SELECT `id`, {column} FROM {table}");
        let rows: Vec<(Option<u64>, Option<String>)> = self.rows(&doing, &sql).await?;
        rows.into_iter().try_for_each(|(id, name)| into.add_name(named, id, name))
    }

    async fn read_links(
        &mut self,
        linking: Linking,
        age: Age,
        into: &mut RoleTables,
    ) -> Result<()> {
        let table = quote::identifier(linking.table());
        let [holder, to] = linking.columns().map(quote::identifier);
        let role = match age {
            Age::New if linking.is_to_tenants() => quote::identifier(TENANT_ROLES.1),
            _ => "NULL".to_owned(),
        };
        let doing = format!("cannot read the links in {table}");
        let sql = format!("SELECT {holder}, {to}, {role} FROM {table}");
        let rows: Vec<(Option<u64>, Option<u64>, Option<u64>)> = self.rows(&doing, &sql).await?;
        rows.into_iter()
            .try_for_each(|(holder, to, role)| into.add_link(linking, [holder, to], role))
    }

    /// Makes each link stand as often as it is wanted: one that is to lead elsewhere is changed, one
    /// too many goes.
    async fn change_links(&mut self, linking: Linking, old: &[Link], new: &[Link]) -> Result<()> {
        let (mut surplus, mut missing) = (counted(old), BTreeMap::new());
        for (link, wanted) in counted(new) {
            let there = surplus.remove(&link).unwrap_or_default();
            if there > wanted {
                surplus.insert(link, there - wanted);
            } else if wanted > there {
                missing.insert(link, wanted - there);
            }
        }
        for ((holder, to), number) in missing {
            for _ in 0..number {
                let from =
                    surplus.iter_mut().find(|((other, _), left)| *other == holder && **left > 0);
                let ((_, from), left) = from.expect("a wanted link comes of one of its holder");
                *left -= 1;
                self.lead_elsewhere(linking, [holder, *from], to).await?;
            }
        }
        for ((holder, to), number) in surplus.into_iter().filter(|(_, number)| *number > 0) {
            self.drop_links(linking, [holder, to], number).await?;
        }
        Ok(())
    }

    async fn lead_elsewhere(&mut self, linking: Linking, ids: [u64; 2], to: u64) -> Result<()> {
        let table = quote::identifier(linking.table());
        let column = quote::identifier(linking.columns()[1]);
        let sql = format!("UPDATE {table} SET {column} = {to} WHERE {} LIMIT 1", is(linking, ids));
        self.execute(&format!("cannot change a link in {table}"), &sql).await
    }

    async fn drop_links(&mut self, linking: Linking, ids: [u64; 2], number: usize) -> Result<()> {
        let table = quote::identifier(linking.table());
        let sql = format!("DELETE FROM {table} WHERE {} LIMIT {number}", is(linking, ids));
        self.execute(&format!("cannot drop links from {table}"), &sql).await
    }

    /// Makes the rows of `roles` those that are wanted. An old name is gone before it is given anew.
    async fn change_roles(
        &mut self,
        old: &BTreeMap<u64, String>,
        new: &BTreeMap<u64, String>,
    ) -> Result<()> {
        let doing = "cannot change the names of roles";
        for id in old.keys().filter(|id| !new.contains_key(id)) {
            self.execute(doing, &format!("DELETE FROM `roles` WHERE `id` = {id}")).await?;
        }
        for (id, name) in new {
            if old.get(id).is_some_and(|was| was != name) {
                let name = quote::text(name);
                let sql = format!("UPDATE `roles` SET `name` = {name} WHERE `id` = {id}");
                self.execute(doing, &sql).await?;
            }
        }
        for (id, name) in new.iter().filter(|(id, _)| !old.contains_key(id)) {
            let name = quote::text(name);
            let sql = format!("INSERT INTO `roles` (`id`, `name`) VALUES ({id}, {name})");
            self.execute(doing, &sql).await?;
        }
        Ok(())
    }

    async fn type_of_role_ids(&mut self, schema: &str) -> Result<String> {
        let sql = format!(
            "SELECT COLUMN_TYPE FROM information_schema.COLUMNS \
             WHERE {} AND TABLE_NAME = 'roles' AND COLUMN_NAME = 'id'",
            quote::is_database("TABLE_SCHEMA", schema)
        );
        let doing = "cannot look at the ids of roles";
        Ok(self.first(doing, &sql).await?.expect("a database that holds roles has this column"))
    }

    /// Refuses from now on what leaves a row without the one that it points to.
    pub(super) async fn heed_foreign_keys(&mut self) -> Result<()> {
        self.execute("cannot heed foreign keys", "SET SESSION foreign_key_checks = 1").await
    }

    /// Goes on as while rows are loaded.
    pub(super) async fn ignore_foreign_keys(&mut self) -> Result<()> {
        self.execute("cannot ignore foreign keys", "SET SESSION foreign_key_checks = 0").await
    }
}

/// Returns SQL that is true of a link.
fn is(linking: Linking, ids: [u64; 2]) -> String {
    let [holder, to] = linking.columns().map(quote::identifier);
    format!("{holder} = {} AND {to} = {}", ids[0], ids[1])
}

/// Returns how often each link stands there.
fn counted(links: &[Link]) -> BTreeMap<(u64, u64), usize> {
    let mut counts = BTreeMap::new();
    for link in links {
        *counts.entry((link.holder, link.to)).or_default() += 1;
    }
    counts
}
