//! Tests of remapping over the tables of real versions: `fixtures/roles`.
//!
//! They must end in the golden ones, and in the state that was planned.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::profile::roles::RoleRule;
use crate::profile::roles::mapping::Mapping;
use crate::profile::roles::mapping::UnknownRole;
use crate::profile::roles::remap::Line;
use crate::profile::roles::remap::remap;
use crate::profile::roles::rows::plan_rows;
use crate::profile::roles::state::Holder;
use crate::profile::roles::state::RoleState;
use crate::profile::roles::tables;
use crate::source::mariadb::roles::rows::Link;
use crate::source::mariadb::roles::rows::Linking;
use crate::source::mariadb::roles::rows::Named;
use crate::source::mariadb::roles::rows::RoleTables;

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

    fn rows(self) -> RoleTables {
        let names = [
            (Named::Roles, self.roles),
            (Named::Users, self.users),
            (Named::Groups, self.groups),
            (Named::Tenants, self.tenants),
        ];
        let links = [
            (Linking::UsersRoles, self.users_roles),
            (Linking::GroupsRoles, self.groups_roles),
            (Linking::UsersTenants, self.users_tenants),
            (Linking::GroupsTenants, self.groups_tenants),
        ];
        let link = |ids: Vec<u64>| Link { holder: ids[0], to: ids[1], role: ids.get(2).copied() };
        RoleTables {
            names: names.map(|(table, rows)| (table, rows.into_iter().collect())).into(),
            links: links.map(|(table, rows)| (table, rows.into_iter().map(link).collect())).into(),
        }
        .sorted()
    }
}

fn strict() -> Mapping {
    Mapping::new(RoleRule::built_in(), &[], UnknownRole::Refuse).unwrap()
}

#[test]
fn the_tables_of_4_0_and_4_1_become_the_golden_ones() {
    for version in ["4.0", "4.1"] {
        let rows = Tables::read(&format!("{version}/tables.toml")).rows();
        let golden = Tables::read(&format!("{version}/tables.after.toml")).rows();
        let mapping = strict();
        let old = tables::old_state(&rows).unwrap();
        let remapped = remap(RoleState::UpTo41(old), &mapping).unwrap();
        let plan = plan_rows(&tables::roles(&rows), &mapping);
        let changed = tables::changed(rows, &plan).sorted();
        assert_eq!(changed, golden, "{version}");
        assert_eq!(tables::new_state(&changed).unwrap(), remapped.state, "{version}");
        let golden = tables::new_state(&golden).unwrap();
        let again = remap(RoleState::From42(golden), &mapping).unwrap();
        assert_eq!(again.state, remapped.state, "{version}");
    }
}

#[test]
fn who_changes_in_4_1_is_said_line_by_line() {
    let rows = Tables::read("4.1/tables.toml").rows();
    let old = tables::old_state(&rows).unwrap();
    let remapped = remap(RoleState::UpTo41(old), &strict()).unwrap();
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
        let rows = Tables::read(&format!("{version}/tables.toml")).rows();
        let state = tables::new_state(&rows).unwrap();
        let remapped = remap(RoleState::From42(state.clone()), &strict()).unwrap();
        assert_eq!(remapped.state, state, "{version}");
        assert!(remapped.lines.is_empty());
    }
}
