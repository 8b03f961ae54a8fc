//! Tests of remapping: what becomes of a state, and what holds for every state.

use std::collections::BTreeSet;

use proptest::collection::btree_map;
use proptest::collection::btree_set;
use proptest::collection::vec;
use proptest::prelude::Just;
use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::proptest;
use proptest::sample::select;

use super::*;
use crate::profile::roles::RoleRule;
use crate::profile::roles::mapping::UnknownRole;

fn mapping(overrides: &[&str], unknown: UnknownRole) -> Mapping {
    let overrides: Vec<_> = overrides.iter().map(|text| text.parse().unwrap()).collect();
    Mapping::new(RoleRule::built_in(), &overrides, unknown).unwrap()
}

fn strict() -> Mapping {
    mapping(&[], UnknownRole::Refuse)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn user(name: &str) -> Holder {
    Holder::User(name.to_owned())
}

fn old(holders: &[(Holder, &[&str], &[&str])]) -> OldState {
    let rights = |(holder, system, tenants): &(Holder, &[&str], &[&str])| {
        (holder.clone(), OldRights { system: names(system), tenants: names(tenants) })
    };
    OldState {
        tenants: BTreeSet::from(["default_tenant".to_owned(), "T1".to_owned()]),
        holders: holders.iter().map(rights).collect(),
    }
}

#[test]
fn users_and_groups_get_the_tenant_role_in_each_of_their_tenants() {
    let group = Holder::Group("ops".to_owned());
    let state = old(&[
        (user("admin"), &["admin"], &["default_tenant"]),
        (user("bob"), &["user"], &["T1", "default_tenant", "T1"]),
        (user("through the group"), &["user"], &[]),
        (user("nobody"), &[], &[]),
        (group.clone(), &[], &["T1"]),
    ]);
    let remapped = remap(RoleState::UpTo41(state.clone()), &strict()).unwrap();
    let rights = |holder: &Holder| {
        let rights = &remapped.state.holders[holder];
        let tenants = rights.tenants.iter().map(|(tenant, role)| format!("{tenant}:{role}"));
        (rights.system.iter().cloned().collect::<Vec<_>>(), tenants.collect::<Vec<_>>())
    };
    assert_eq!(rights(&user("admin")), (names(&["sys_admin"]), names(&["default_tenant:user"])));
    let both = names(&["T1:user", "default_tenant:user"]);
    assert_eq!(rights(&user("bob")), (names(&["default"]), both));
    assert_eq!(rights(&user("through the group")), (names(&["default"]), vec![]));
    assert_eq!(rights(&user("nobody")), (vec![], vec![]));
    assert_eq!(rights(&group), (vec![], names(&["T1:user"])));
    assert_eq!(remapped.state.tenants, state.tenants);
}

#[test]
fn the_lines_say_who_changes_from_what_to_what_and_how_many_rows_there_were() {
    let state = old(&[(user("bob"), &["user", "sys_admin"], &["T1", "T1"])]);
    let remapped = remap(RoleState::UpTo41(state), &strict()).unwrap();
    let said = remapped.lines.iter().map(|line| {
        let tenant = line.tenant.as_deref().unwrap_or("-");
        let before = line.before.as_deref().unwrap_or("-");
        (tenant, before, line.after.as_str(), line.rows, line.is_change())
    });
    let said: Vec<_> = said.collect();
    assert_eq!(
        said,
        [
            ("-", "sys_admin", "sys_admin", 1, false),
            ("-", "user", "default", 1, true),
            ("T1", "-", "user", 2, true),
        ]
    );
    assert_eq!(remapped.with_several_system_roles(), [&user("bob")]);
}

#[test]
fn a_state_with_the_new_roles_is_not_touched_though_its_names_look_old() {
    let rights = NewRights {
        system: BTreeSet::from(["default".to_owned()]),
        tenants: BTreeMap::from([
            ("T1".to_owned(), "viewer".to_owned()),
            ("T2".to_owned(), "user".to_owned()),
        ]),
    };
    let state =
        NewState { holders: BTreeMap::from([(user("user"), rights)]), ..NewState::default() };
    let remapped = remap(RoleState::From42(state.clone()), &strict()).unwrap();
    assert_eq!(remapped, Remapped { state, lines: vec![] });
}

#[test]
fn roles_that_nobody_has_a_rule_for_are_refused_all_at_once() {
    let state = old(&[
        (user("alice"), &["administrator", "user"], &[]),
        (user("bob"), &["administrator", "viewer"], &["T1"]),
    ]);
    let refusal = |mapping: &Mapping| {
        let unknown = remap(RoleState::UpTo41(state.clone()), mapping).unwrap_err();
        unknown.0.into_iter().map(|(role, who)| format!("{role} {}", who.len())).collect::<Vec<_>>()
    };
    assert_eq!(refusal(&strict()), ["administrator 2", "viewer 1"]);
    // `viewer` is a tenant role in the new version: kept, it would give bob another role.
    assert_eq!(refusal(&mapping(&[], UnknownRole::Keep)), ["viewer 1"]);
    let told = mapping(&["administrator=sys_admin", "viewer=default"], UnknownRole::Refuse);
    assert!(remap(RoleState::UpTo41(state.clone()), &told).is_ok());
}

const ROLES: [&str; 8] =
    ["admin", "user", "default", "sys_admin", "viewer", "deployer", "custom", "Admin"];

fn any_rights() -> impl Strategy<Value = OldRights> {
    let system = vec(select(ROLES.as_slice()), 0..4);
    let tenants = vec(select(["T1", "T2", "user", "admin"].as_slice()), 0..5);
    (system, tenants).prop_map(|(system, tenants)| OldRights {
        system: names(&system),
        tenants: names(&tenants),
    })
}

fn any_state() -> impl Strategy<Value = OldState> {
    let holder = (any::<bool>(), "[a-z]{0,3}")
        .prop_map(|(is_user, name)| if is_user { Holder::User(name) } else { Holder::Group(name) });
    (btree_set("[a-z]{1,2}", 0..3), btree_map(holder, any_rights(), 0..6))
        .prop_map(|(tenants, holders)| OldState { tenants, holders })
}

fn any_mapping() -> impl Strategy<Value = Mapping> {
    let overrides = select(vec![
        vec![],
        vec!["deployer=default"],
        vec!["viewer=default", "custom=sys_admin"],
        vec!["user=sys_admin", "admin=default"],
    ]);
    (overrides, any::<bool>()).prop_map(|(overrides, keeps)| {
        mapping(&overrides, if keeps { UnknownRole::Keep } else { UnknownRole::Refuse })
    })
}

/// Returns a state together with one that differs in the order of its links alone.
fn any_two_orders() -> impl Strategy<Value = (OldState, OldState)> {
    any_state().prop_flat_map(|state| {
        let shuffled = state.holders.clone().into_iter().map(|(holder, rights)| {
            let orders = (Just(rights.system).prop_shuffle(), Just(rights.tenants).prop_shuffle());
            orders
                .prop_map(move |(system, tenants)| (holder.clone(), OldRights { system, tenants }))
        });
        let tenants = state.tenants.clone();
        let shuffled = shuffled.collect::<Vec<_>>().prop_map(move |holders| OldState {
            tenants: tenants.clone(),
            holders: holders.into_iter().collect(),
        });
        (Just(state), shuffled)
    })
}

proptest! {
    #[test]
    fn every_state_is_remapped_or_refused_for_exactly_the_roles_without_a_rule(
        state in any_state(), mapping in any_mapping(),
    ) {
        let has_rule = |role: &&str| mapping.stored_system_role(role).is_some();
        let held = state.holders.values().flat_map(|rights| &rights.system).map(String::as_str);
        let without_rule: BTreeSet<&str> =
            held.filter(|role| !has_rule(role)).collect();
        match remap(RoleState::UpTo41(state.clone()), &mapping) {
            Ok(_) => assert!(without_rule.is_empty()),
            Err(unknown) => {
                assert_eq!(unknown.0.keys().map(String::as_str).collect::<BTreeSet<_>>(), without_rule);
                for (role, holders) in &unknown.0 {
                    let has_it = |holder: &Holder| state.holders[holder].system.contains(role);
                    assert_eq!(holders.len(), state.holders.keys().filter(|who| has_it(who)).count());
                }
            }
        }
    }

    #[test]
    fn everybody_keeps_who_they_are_and_the_tenants_they_had(
        state in any_state(), mapping in any_mapping(),
    ) {
        let Ok(remapped) = remap(RoleState::UpTo41(state.clone()), &mapping) else { return Ok(()) };
        assert!(remapped.state.holders.keys().eq(state.holders.keys()));
        for (holder, rights) in &remapped.state.holders {
            let before = &state.holders[holder];
            let tenants: BTreeSet<_> = before.tenants.iter().collect();
            assert!(rights.tenants.keys().eq(tenants));
            assert!(rights.tenants.values().all(|role| role == "user"));
            let system = before.system.iter().filter_map(|role| mapping.system_role(role));
            assert!(rights.system.iter().map(String::as_str).eq(system.collect::<BTreeSet<_>>()));
            assert!(rights.system.iter().all(|role| !mapping.rule().is_tenant_role(role)));
        }
    }

    #[test]
    fn remapping_twice_is_remapping_once(state in any_state(), mapping in any_mapping()) {
        let Ok(once) = remap(RoleState::UpTo41(state), &mapping) else { return Ok(()) };
        let twice = remap(RoleState::From42(once.state.clone()), &mapping).unwrap();
        assert_eq!(twice.state, once.state);
        for role in ROLES {
            let new = mapping.system_role(role).unwrap_or(role);
            assert_eq!(mapping.system_role(new).unwrap_or(new), new);
        }
    }

    #[test]
    fn the_order_of_links_and_of_overrides_changes_nothing((one, other) in any_two_orders()) {
        let forth = mapping(&["deployer=default", "custom=sys_admin"], UnknownRole::Refuse);
        let back = mapping(&["custom=sys_admin", "deployer=default"], UnknownRole::Refuse);
        assert_eq!(remap(RoleState::UpTo41(one), &forth), remap(RoleState::UpTo41(other), &back));
    }
}
