//! Tests of remapping over the tables of real versions: `fixtures/roles`.
//!
//! The tables are changed here row by row, as a database would, and must end in the golden ones
//! and in the state that was planned.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::profile::roles::RoleRule;
use crate::profile::roles::mapping::Mapping;
use crate::profile::roles::mapping::UnknownRole;
use crate::profile::roles::remap::Line;
use crate::profile::roles::remap::remap;
use crate::profile::roles::rows::RowPlan;
use crate::profile::roles::rows::plan_rows;
use crate::profile::roles::state::Holder;
use crate::profile::roles::state::NewRights;
use crate::profile::roles::state::NewState;
use crate::profile::roles::state::OldRights;
use crate::profile::roles::state::OldState;
use crate::profile::roles::state::RoleState;

type Names = BTreeMap<u64, String>;
type Links = Vec<Vec<u64>>;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    roles: Vec<(u64, String)>,
    users: Vec<(u64, String)>,
    groups: Vec<(u64, String)>,
    tenants: Vec<(u64, String)>,
    users_roles: Links,
    groups_roles: Links,
    users_groups: Links,
    users_tenants: Links,
    groups_tenants: Links,
}

impl Tables {
    fn read(file: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/roles");
        toml::from_str(&fs::read_to_string(root.join(file)).unwrap()).unwrap()
    }

    /// Returns holder by holder: id, name, links to roles, links to tenants.
    fn holders(&self) -> impl Iterator<Item = (u64, Holder, &Links, &Links)> {
        let users = self.users.iter().map(|(id, name)| {
            (*id, Holder::User(name.clone()), &self.users_roles, &self.users_tenants)
        });
        let groups = self.groups.iter().map(|(id, name)| {
            (*id, Holder::Group(name.clone()), &self.groups_roles, &self.groups_tenants)
        });
        users.chain(groups)
    }

    fn old_state(&self) -> OldState {
        let (roles, tenants) = (named(&self.roles), named(&self.tenants));
        let rights = |(id, holder, of_roles, of_tenants): (u64, Holder, &Links, &Links)| {
            let system = linked(of_roles, id).map(|link| roles[&link[1]].clone()).collect();
            let tenants = linked(of_tenants, id).map(|link| tenants[&link[1]].clone()).collect();
            (holder, OldRights { system, tenants })
        };
        OldState {
            tenants: tenants.values().cloned().collect(),
            holders: self.holders().map(rights).collect(),
        }
    }

    fn new_state(&self) -> NewState {
        let (roles, tenants) = (named(&self.roles), named(&self.tenants));
        let rights = |(id, holder, of_roles, of_tenants): (u64, Holder, &Links, &Links)| {
            let system = linked(of_roles, id).map(|link| roles[&link[1]].clone()).collect();
            let in_tenant = |link: &Vec<u64>| (tenants[&link[1]].clone(), roles[&link[2]].clone());
            (holder, NewRights { system, tenants: linked(of_tenants, id).map(in_tenant).collect() })
        };
        NewState {
            tenants: tenants.values().cloned().collect(),
            holders: self.holders().map(rights).collect(),
        }
    }

    /// Does what the plan says, and gives each link to a tenant its role.
    fn change(mut self, plan: &RowPlan) -> Self {
        for link in self.users_roles.iter_mut().chain(&mut self.groups_roles) {
            link[1] = *plan.merged.get(&link[1]).unwrap_or(&link[1]);
        }
        self.roles.retain(|(id, _)| !plan.merged.contains_key(id));
        for (id, name) in &mut self.roles {
            *name = plan.renamed.get(id).unwrap_or(name).clone();
        }
        self.roles.extend(plan.added.clone());
        for link in self.users_tenants.iter_mut().chain(&mut self.groups_tenants) {
            link.push(plan.tenant_role);
        }
        for links in [&mut self.users_roles, &mut self.users_tenants, &mut self.groups_tenants] {
            *links = links.drain(..).collect::<BTreeSet<_>>().into_iter().collect();
        }
        self
    }
}

fn named(rows: &[(u64, String)]) -> Names {
    rows.iter().cloned().collect()
}

fn linked(links: &Links, id: u64) -> impl Iterator<Item = &Vec<u64>> {
    links.iter().filter(move |link| link[0] == id)
}

fn strict() -> Mapping {
    Mapping::new(RoleRule::built_in(), &[], UnknownRole::Refuse).unwrap()
}

#[test]
fn the_tables_of_4_0_and_4_1_become_the_golden_ones() {
    for version in ["4.0", "4.1"] {
        let tables = Tables::read(&format!("{version}/tables.toml"));
        let golden = Tables::read(&format!("{version}/tables.after.toml"));
        let mapping = strict();
        let remapped = remap(RoleState::UpTo41(tables.old_state()), &mapping).unwrap();
        let changed = tables.clone().change(&plan_rows(&named(&tables.roles), &mapping));
        assert_eq!(changed, golden, "{version}");
        assert_eq!(changed.new_state(), remapped.state, "{version}");
        let again = remap(RoleState::From42(golden.new_state()), &mapping).unwrap();
        assert_eq!(again.state, remapped.state, "{version}");
    }
}

#[test]
fn who_changes_in_4_1_is_said_line_by_line() {
    let tables = Tables::read("4.1/tables.toml");
    let remapped = remap(RoleState::UpTo41(tables.old_state()), &strict()).unwrap();
    let said: Vec<_> = remapped
        .lines
        .iter()
        .map(|line| {
            let tenant = line.tenant.as_deref().map(|tenant| format!(" in {tenant:?}"));
            let (tenant, before) =
                (tenant.unwrap_or_default(), line.before.as_deref().unwrap_or("-"));
            format!("{}{tenant}: {before} -> {}", line.holder, line.after)
        })
        .collect();
    assert_eq!(
        said,
        [
            "user \"admin\": admin -> sys_admin",
            "user \"admin\" in \"default_tenant\": - -> user",
            "user \"alice\": user -> default",
            "user \"alice\" in \"T1\": - -> user",
            "user \"alice\" in \"user\": - -> user",
            "user \"bob\": user -> default",
            "user \"carol\": admin -> sys_admin",
            "user \"carol\": user -> default",
            "user \"carol\" in \"T1\": - -> user",
            "user \"user\": user -> default",
            "user \"user\" in \"default_tenant\": - -> user",
            "group \"operators\" in \"T1\": - -> user",
            "group \"user\" in \"default_tenant\": - -> user",
            "group \"user\" in \"user\": - -> user",
        ]
    );
    assert!(remapped.lines.iter().all(Line::is_change));
    assert_eq!(remapped.with_several_system_roles(), [&Holder::User("carol".to_owned())]);
}

#[test]
fn the_states_of_4_2_and_5_0_come_back_as_they_are() {
    for version in ["4.2", "5.0"] {
        let state = Tables::read(&format!("{version}/tables.toml")).new_state();
        let remapped = remap(RoleState::From42(state.clone()), &strict()).unwrap();
        assert_eq!(remapped.state, state, "{version}");
        assert!(remapped.lines.is_empty());
    }
}
