//! The tables that hold roles as a state, and the tables that a [`RowPlan`] makes of them.
//!
//! Rows name each other by id, a state by name: whatever the ids are, two databases with the same
//! state give everybody the same rights.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::profile::roles::rows::RowPlan;
use crate::profile::roles::state::Holder;
use crate::profile::roles::state::NewRights;
use crate::profile::roles::state::NewState;
use crate::profile::roles::state::OldRights;
use crate::profile::roles::state::OldState;
use crate::source::mariadb::roles::rows::Link;
use crate::source::mariadb::roles::rows::Linking;
use crate::source::mariadb::roles::rows::Named;
use crate::source::mariadb::roles::rows::RoleTables;

/// Returns who holds which roles where tenants have none. Fails with [`Kind::Refused`] where a link
/// leads to nobody, or two holders have one name.
pub fn old_state(tables: &RoleTables) -> Result<OldState> {
    let directory = Directory::of(tables)?;
    let mut rights: BTreeMap<Holder, OldRights> = directory.without_rights();
    for (linking, link) in links(tables) {
        let rights = directory.rights(&mut rights, linking, link)?;
        match linking {
            Linking::UsersRoles | Linking::GroupsRoles => {
                rights.system.push(directory.name(Named::Roles, link.to, linking)?);
            }
            Linking::UsersTenants | Linking::GroupsTenants => {
                rights.tenants.push(directory.name(Named::Tenants, link.to, linking)?);
            }
        }
    }
    Ok(OldState { tenants: directory.tenants(), holders: rights })
}

/// Returns who holds which roles where tenants have them. Fails where a link leads to nobody.
pub fn new_state(tables: &RoleTables) -> Result<NewState> {
    let directory = Directory::of(tables)?;
    let mut rights: BTreeMap<Holder, NewRights> = directory.without_rights();
    for (linking, link) in links(tables) {
        let rights = directory.rights(&mut rights, linking, link)?;
        match linking {
            Linking::UsersRoles | Linking::GroupsRoles => {
                rights.system.insert(directory.name(Named::Roles, link.to, linking)?);
            }
            Linking::UsersTenants | Linking::GroupsTenants => {
                let tenant = directory.name(Named::Tenants, link.to, linking)?;
                let role = link.role.ok_or_else(|| unsound(linking, "has a row without a role"))?;
                rights.tenants.insert(tenant, directory.name(Named::Roles, role, linking)?);
            }
        }
    }
    Ok(NewState { tenants: directory.tenants(), holders: rights })
}

/// Returns the tables that a plan makes of these: every link stands once, and those to tenants have
/// their role.
pub fn changed(mut tables: RoleTables, plan: &RowPlan) -> RoleTables {
    for (linking, links) in &mut tables.links {
        let change = |mut link: Link| {
            match linking {
                Linking::UsersRoles | Linking::GroupsRoles => {
                    link.to = *plan.merged.get(&link.to).unwrap_or(&link.to);
                }
                Linking::UsersTenants | Linking::GroupsTenants => {
                    link.role = Some(plan.tenant_role);
                }
            }
            link
        };
        let once: BTreeSet<Link> = links.drain(..).map(change).collect();
        links.extend(once);
    }
    let roles = tables.names.entry(Named::Roles).or_default();
    roles.retain(|id, _| !plan.merged.contains_key(id));
    roles.extend(plan.renamed.clone());
    roles.extend(plan.added.clone());
    tables
}

/// Returns the names of the roles by id.
pub fn roles(tables: &RoleTables) -> BTreeMap<u64, String> {
    tables.names.get(&Named::Roles).cloned().unwrap_or_default()
}

/// The names that links lead to.
struct Directory<'a> {
    tables: &'a RoleTables,
    holders: BTreeMap<(Named, u64), Holder>,
}

impl<'a> Directory<'a> {
    fn of(tables: &'a RoleTables) -> Result<Self> {
        let mut holders = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (table, kind) in
            [(Named::Users, Holder::User as fn(_) -> _), (Named::Groups, Holder::Group)]
        {
            for (id, name) in tables.names.get(&table).into_iter().flatten() {
                let holder = kind(name.clone());
                if !seen.insert(holder.clone()) {
                    return Err(refused(&format!("{:?} has two rows of {holder}", table.table())));
                }
                holders.insert((table, *id), holder);
            }
        }
        Ok(Self { tables, holders })
    }

    fn without_rights<R: Default>(&self) -> BTreeMap<Holder, R> {
        self.holders.values().map(|holder| (holder.clone(), R::default())).collect()
    }

    /// Returns the rights of the holder of a link.
    fn rights<'r, R>(
        &self,
        rights: &'r mut BTreeMap<Holder, R>,
        linking: Linking,
        link: Link,
    ) -> Result<&'r mut R> {
        let table = match linking {
            Linking::UsersRoles | Linking::UsersTenants => Named::Users,
            Linking::GroupsRoles | Linking::GroupsTenants => Named::Groups,
        };
        let holder = self.holders.get(&(table, link.holder));
        let holder = holder.ok_or_else(|| nobody(linking, table, link.holder))?;
        Ok(rights.get_mut(holder).expect("every holder has rights, if none at all"))
    }

    fn name(&self, table: Named, id: u64, linking: Linking) -> Result<String> {
        let name = self.tables.names.get(&table).and_then(|names| names.get(&id));
        name.cloned().ok_or_else(|| nobody(linking, table, id))
    }

    fn tenants(&self) -> BTreeSet<String> {
        let tenants = self.tables.names.get(&Named::Tenants);
        tenants.into_iter().flat_map(BTreeMap::values).cloned().collect()
    }
}

fn links(tables: &RoleTables) -> impl Iterator<Item = (Linking, Link)> {
    tables.links.iter().flat_map(|(linking, links)| links.iter().map(|link| (*linking, *link)))
}

fn nobody(linking: Linking, table: Named, id: u64) -> Error {
    unsound(linking, &format!("links to {id} of {:?}, which is not there", table.table()))
}

fn unsound(linking: Linking, what: &str) -> Error {
    refused(&format!("{:?} {what}", linking.table()))
}

fn refused(what: &str) -> Error {
    Error::new(Kind::Refused, format!("cannot remap roles: {what}")).hint(
        "a --to-version below that of the new roles restores everything as it was saved, to be put \
         right there",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns tables with two users, a tenant and the role `user`, and these links of users.
    fn tables(users: [&str; 2], links: &[(Linking, u64, u64)]) -> RoleTables {
        let named = |names: &[&str]| (1..).zip(names.iter().map(|&it| it.to_owned())).collect();
        let mut tables = RoleTables::default();
        tables.names.insert(Named::Users, named(&users));
        tables.names.insert(Named::Roles, named(&["user"]));
        tables.names.insert(Named::Tenants, named(&["T1"]));
        for &(linking, holder, to) in links {
            tables.links.entry(linking).or_default().push(Link { holder, to, role: None });
        }
        tables
    }

    #[test]
    fn links_to_what_is_not_there_are_refused() {
        for (linking, holder, to, complaint) in [
            (Linking::UsersRoles, 3, 1, "links to 3 of \"users\""),
            (Linking::UsersRoles, 1, 2, "links to 2 of \"roles\""),
            (Linking::UsersTenants, 1, 2, "links to 2 of \"tenants\""),
            (Linking::GroupsTenants, 1, 1, "links to 1 of \"groups\""),
        ] {
            let tables = tables(["a", "b"], &[(linking, holder, to)]);
            let error = old_state(&tables).unwrap_err();
            assert_eq!(error.kind(), Kind::Refused);
            assert!(error.to_string().contains(complaint), "{error}");
        }
    }

    #[test]
    fn two_users_of_one_name_are_refused_for_one_would_get_the_rights_of_the_other() {
        let error = old_state(&tables(["a", "a"], &[])).unwrap_err();
        assert!(error.to_string().contains("has two rows of user \"a\""), "{error}");
    }

    #[test]
    fn a_link_to_a_tenant_without_a_role_is_no_state_of_4_2() {
        let tables = tables(["a", "b"], &[(Linking::UsersTenants, 1, 1)]);
        assert!(old_state(&tables).is_ok());
        let error = new_state(&tables).unwrap_err();
        assert!(error.to_string().contains("has a row without a role"), "{error}");
    }
}
