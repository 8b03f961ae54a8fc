//! What remapping means for the rows of the table `roles`.
//!
//! The table holds system roles and tenant roles under one unique name each, so the old `user`
//! must be gone from its name before the new one takes it. The plan goes by id: links of users
//! keep pointing at the row that they pointed at, whatever it is called by then.

use std::collections::BTreeMap;

use crate::profile::roles::mapping::Mapping;

/// The id of a row of `roles`.
pub type RoleId = u64;

/// What is done to `roles`, in this order: links move, rows go, rows are renamed, rows are added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowPlan {
    /// Rows whose role is that of another row from now on: links to the first id move to the
    /// second, and the first row goes. A holder of both has one link afterwards.
    pub merged: BTreeMap<RoleId, RoleId>,
    /// Rows that get another name.
    pub renamed: BTreeMap<RoleId, String>,
    /// Rows that are added.
    pub added: BTreeMap<RoleId, String>,
    /// The row that every association with a tenant points at.
    pub tenant_role: RoleId,
}

/// Returns what becomes of these rows. A role that nobody has a rule for keeps its name: whether
/// anybody holds it is [`remap`](crate::profile::roles::remap::remap)'s question.
pub fn plan_rows(rows: &BTreeMap<RoleId, String>, mapping: &Mapping) -> RowPlan {
    let mut plan = RowPlan::default();
    let mut by_name: BTreeMap<String, RoleId> = BTreeMap::new();
    let mut taken: Vec<_> =
        rows.iter().map(|(id, old)| (*id, old, final_name(old, mapping))).collect();
    // A row that has its name already keeps it, and others join it.
    taken.sort_by_key(|(id, old, new)| (*old != new, *id));
    for (id, old, new) in taken {
        if let Some(survivor) = by_name.get(&new) {
            plan.merged.insert(id, *survivor);
            continue;
        }
        if *old != new {
            plan.renamed.insert(id, new.clone());
        }
        by_name.insert(new, id);
    }
    add_missing(rows, &mut plan, &mut by_name, mapping);
    plan.tenant_role = by_name[&mapping.rule().tenant_role];
    plan
}

fn final_name(old: &str, mapping: &Mapping) -> String {
    mapping.system_role(old).unwrap_or(old).to_owned()
}

/// Adds the rows of the roles that the new version knows and that have none.
fn add_missing(
    rows: &BTreeMap<RoleId, String>,
    plan: &mut RowPlan,
    by_name: &mut BTreeMap<String, RoleId>,
    mapping: &Mapping,
) {
    // Behind the last one, or in the gaps where there is no number behind it.
    let last = rows.keys().next_back().copied().unwrap_or_default();
    let behind = (last..=RoleId::MAX).skip(1);
    let mut free = behind.chain((1..last).filter(|id| !rows.contains_key(id)));
    let since = &mapping.rule().since;
    for role in since.system.iter().chain(&since.tenant) {
        if !by_name.contains_key(role) {
            let id = free.next().expect("there are more numbers than rows");
            plan.added.insert(id, role.clone());
            by_name.insert(role.clone(), id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::btree_map;
    use proptest::prelude::any;
    use proptest::proptest;
    use proptest::sample::select;

    use super::*;
    use crate::profile::roles::RoleRule;
    use crate::profile::roles::mapping::UnknownRole;

    fn mapping(overrides: &[&str]) -> Mapping {
        let overrides: Vec<_> = overrides.iter().map(|text| text.parse().unwrap()).collect();
        Mapping::new(RoleRule::built_in(), &overrides, UnknownRole::Keep).unwrap()
    }

    fn rows(rows: &[(RoleId, &str)]) -> BTreeMap<RoleId, String> {
        rows.iter().map(|(id, name)| (*id, (*name).to_owned())).collect()
    }

    /// Returns the rows after the plan, done the way that a database does it: names are unique
    /// after every step.
    fn done(mut table: BTreeMap<RoleId, String>, plan: &RowPlan) -> BTreeMap<RoleId, String> {
        table.retain(|id, _| !plan.merged.contains_key(id));
        for (id, name) in plan.renamed.iter().chain(&plan.added) {
            assert!(table.values().all(|taken| taken != name), "{name} stands twice");
            table.insert(*id, name.clone());
        }
        table
    }

    #[test]
    fn behind_the_last_number_of_all_roles_are_added_in_the_gaps() {
        let old = rows(&[(1, "admin"), (3, "user"), (RoleId::MAX, "custom")]);
        let plan = plan_rows(&old, &mapping(&[]));
        assert!(plan.added.len() > 1, "{plan:?}");
        assert!(plan.added.keys().copied().eq([2, 4, 5, 6].into_iter().take(plan.added.len())));
    }

    #[test]
    fn the_rows_of_4_1_become_those_of_4_2_under_the_same_ids() {
        let old = rows(&[(1, "admin"), (2, "user")]);
        let plan = plan_rows(&old, &mapping(&[]));
        assert_eq!(plan.renamed, rows(&[(1, "sys_admin"), (2, "default")]));
        let added = rows(&[(3, "manager"), (4, "user"), (5, "operations"), (6, "viewer")]);
        assert_eq!(plan.added, added);
        assert_eq!(plan.tenant_role, 4);
        assert!(plan.merged.is_empty());
    }

    #[test]
    fn a_row_joins_the_one_that_has_its_new_name() {
        let old = rows(&[(1, "admin"), (2, "user"), (3, "deployer"), (7, "default")]);
        let plan = plan_rows(&old, &mapping(&["deployer=sys_admin"]));
        assert_eq!(plan.merged, BTreeMap::from([(2, 7), (3, 1)]));
        assert_eq!(plan.renamed, rows(&[(1, "sys_admin")]));
    }

    #[test]
    fn an_empty_table_gets_all_roles() {
        let plan = plan_rows(&BTreeMap::new(), &mapping(&[]));
        assert_eq!(plan.added.len(), 6);
        assert_eq!(plan.added[&plan.tenant_role], "user");
    }

    proptest! {
        #[test]
        fn any_table_ends_with_all_roles_once_and_the_tenant_role_is_never_an_old_row(
            names in btree_map(0u64..20, select(vec![
                "admin", "user", "default", "sys_admin", "viewer", "custom", "deployer",
            ]), 0..8),
            joins in any::<bool>(),
        ) {
            let mut seen = BTreeSet::new();
            let names = names.into_iter().filter(|(_, name)| seen.insert(*name));
            let old: BTreeMap<_, _> = names.map(|(id, name)| (id, name.to_owned())).collect();
            let mapping = mapping(if joins { &["deployer=default"] } else { &[] });
            let plan = plan_rows(&old, &mapping);
            let new = done(old.clone(), &plan);
            let since = &mapping.rule().since;
            for role in since.system.iter().chain(&since.tenant) {
                assert_eq!(new.values().filter(|name| *name == role).count(), 1, "{role}");
            }
            assert_eq!(new[&plan.tenant_role], "user");
            assert!(!old.contains_key(&plan.tenant_role));
            for (id, name) in &old {
                let place = plan.merged.get(id).unwrap_or(id);
                assert_eq!(Some(new[place].as_str()), mapping.system_role(name));
            }
        }
    }
}
