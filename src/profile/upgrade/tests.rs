//! Tests of the version rules: the documented paths of the built-in products, and what holds for
//! every pair of versions.

use proptest::prelude::Strategy;
use proptest::proptest;
use proptest::sample::select;

use super::*;
use crate::profile::upgrade::plan::Hop;
use crate::profile::upgrade::plan::Situation;
use crate::profile::upgrade::plan::Step;
use crate::profile::upgrade::plan::UpgradePlan;
use crate::profile::upgrade::when::Move;
use crate::profile::upgrade::when::Users;

fn rules(product: &str) -> VersionRules {
    VersionRules::built_in(product).unwrap()
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn planned(product: &str, from: &str, to: &str, situation: &Situation) -> Result<UpgradePlan> {
    rules(product).plan(&version(from), &version(to), situation)
}

fn plan(product: &str, from: &str, to: &str) -> UpgradePlan {
    planned(product, from, to, &Situation::default()).unwrap()
}

/// Returns why there is no such path.
fn refusal(product: &str, from: &str, to: &str, situation: &Situation) -> String {
    let error = planned(product, from, to, situation).expect_err("no path");
    assert_eq!(error.kind(), Kind::Refused);
    error.to_string()
}

fn path(plan: &UpgradePlan) -> Vec<String> {
    plan.hops.iter().map(|hop| format!("{} -> {}", hop.from, hop.to)).collect()
}

fn commands(hop: &Hop) -> Vec<&str> {
    hop.steps.iter().filter_map(|step| step.command.as_deref()).collect()
}

/// Returns the texts that hold this word.
fn texts<'a>(hop: &'a Hop, word: &str) -> Vec<&'a Step> {
    hop.steps.iter().filter(|step| step.text.contains(word)).collect()
}

#[test]
fn every_built_in_product_has_rules_whose_texts_are_filled_in() {
    assert!(VersionRules::built_in("nothing").is_none());
    for (product, text) in BUILT_IN {
        let rules = VersionRules::parse(text).unwrap_or_else(|error| panic!("{error}"));
        for (from, to) in [("4.0.0", "4.0.1"), ("4.0.1", "20.04.3"), ("20.04", "24.10")] {
            for hop in rules.plan(&version(from), &version(to), &Situation::default()).unwrap().hops
            {
                assert!(hop.steps.iter().any(|step| step.kind == StepKind::Backup), "{product}");
                let said =
                    hop.steps.iter().flat_map(|step| [Some(&step.text), step.command.as_ref()]);
                for text in said.flatten() {
                    assert!(!text.contains('{') && !text.ends_with('.'), "{product}: {text}");
                }
            }
        }
    }
}

#[test]
fn a_rule_with_a_word_that_is_not_known_is_refused() {
    for (from, to) in [("title", "name"), ("crosses", "across"), ("\"backup\"", "\"save\"")] {
        let text = BUILT_IN[0].1.replacen(from, to, 1);
        assert_eq!(VersionRules::parse(&text).expect_err(to).kind(), Kind::Usage);
    }
}

#[test]
fn a_map_server_of_4_0_is_installed_and_run_in_4_1_before_anything_later() {
    let plan = plan("centreon-map", "4.0.7", "20.04.3");
    assert_eq!(path(&plan), ["4.0.7 -> 4.1.X", "4.1.X -> 20.04.3"]);
    let [first, second] = plan.hops.as_slice() else { panic!("{plan:?}") };
    assert!(first.reason.as_deref().unwrap().contains("started there"));
    assert_eq!(second.reason, None);
    assert_eq!(
        commands(first),
        [
            "snap create",
            "systemctl stop tomcat",
            "yum update centreon-map-server",
            "systemctl start tomcat",
            "yum update centreon-map-web-client"
        ]
    );
    assert_eq!(
        commands(second),
        [
            "snap create",
            "systemctl stop tomcat",
            "systemctl disable tomcat",
            "yum update centreon-map-server",
            "systemctl enable --now centreon-map",
            "yum update centreon-map-web-client",
            "yum remove tomcat"
        ]
    );
    assert_eq!(path(&self::plan("centreon-map", "4.0.7", "4.1.2")), ["4.0.7 -> 4.1.2"]);
    assert_eq!(path(&self::plan("centreon-map", "4.1.0", "4.4.1")), ["4.1.0 -> 4.4.1"]);
    assert_eq!(path(&self::plan("centreon-map", "4.10", "19.10")), ["4.10 -> 19.10"]);
}

#[test]
fn a_map_server_is_not_upgraded_past_4_1_at_once_nor_restored_there() {
    let rules = rules("centreon-map");
    let (old, new) = (version("4.0.7"), version("20.04.3"));
    let error = rules.single_hop(&old, &new, &Situation::default()).unwrap_err();
    assert!(error.to_string().contains("from 4.0.7 to 20.04.3 at once"), "{error}");
    assert!(error.advice().unwrap().contains("4.1.X first"));
    let error = rules.check_restore(&old, &new).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.advice().unwrap().contains("4.1.X"));
    let hop = rules.single_hop(&version("4.1.7"), &new, &Situation::default()).unwrap();
    assert_eq!(hop.unwrap().to.to_string(), "20.04.3");
    assert!(rules.single_hop(&new, &new, &Situation::default()).unwrap().is_none());
    for (snapshot, target) in [("4.0.7", "4.0.9"), ("4.0.7", "4.1.3"), ("4.1", "24.10")] {
        rules.check_restore(&version(snapshot), &version(target)).unwrap();
    }
}

#[test]
fn a_new_series_needs_a_new_repository_and_the_same_series_does_not() {
    let asks =
        |from, to| !texts(&plan("centreon-map", from, to).hops[0], "package repository").is_empty();
    assert!(asks("20.04.3", "20.10.1") && asks("20.10.1", "21.10"));
    assert!(!asks("20.04.3", "20.04.9"));
    let plan = plan("centreon-map", "20.04.3", "20.10.1");
    assert!(texts(&plan.hops[0], "repository of 20.10,")[0].text.contains("Centreon Support"));
}

#[test]
fn a_map_server_and_its_central_are_of_one_major_version() {
    let with =
        |central: &str| Situation { central: Some(version(central)), ..Situation::default() };
    let text = refusal("centreon-map", "20.04", "20.10.1", &with("20.04.7"));
    assert!(text.contains("bring the central to 20.10 first"), "{text}");
    assert!(planned("centreon-map", "20.04", "20.10.1", &with("20.10.7")).is_ok());
    // Before 18.10 the two were numbered apart.
    assert!(planned("centreon-map", "4.0", "4.4", &with("2.8.1")).is_ok());
}

#[test]
fn the_map_server_ends_with_24_10() {
    assert!(planned("centreon-map", "24.04", "24.10.9", &Situation::default()).is_ok());
    let text = refusal("centreon-map", "24.04", "25.10", &Situation::default());
    assert!(text.contains("MAP Engine"), "{text}");
}

#[test]
fn a_poller_is_updated_in_its_series_and_upgraded_to_the_last_one() {
    let update = plan("centreon-poller", "23.10.1", "23.10.9");
    assert_eq!(texts(&update.hops[0], "updates to the last minor version of 23.10").len(), 1);
    let upgrade = plan("centreon-poller", "23.04.2", "23.10.9");
    assert_eq!(path(&upgrade), ["23.04.2 -> 23.10.9"]);
    let [step] = texts(&upgrade.hops[0], "upgrades to")[..] else { panic!("{upgrade:?}") };
    assert!(step.text.contains("of 23.10, not to that of the poller's own 23.04"));
    let [deploy, restart] = upgrade.hops[0].steps.as_slice().last_chunk().unwrap();
    assert!(deploy.text.contains("method Restart") && deploy.by == Doer::Person);
    assert_eq!(restart.command.as_deref(), Some("systemctl restart gorgoned"));
    let situation = Situation { latest: Some(version("23.10.9")), ..Situation::default() };
    let text = refusal("centreon-poller", "23.04.2", "23.04.8", &situation);
    assert!(text.contains("last minor version of the last major version, which is 23.10.9"));
}

#[test]
fn cloudify_manager_is_upgraded_from_4_0_0_on_and_never_goes_back() {
    let situation = Situation::default();
    let text = refusal("cloudify-manager", "3.4.2", "4.2", &situation);
    assert!(text.ends_with("supported from 4.0.0 on: ask Cloudify Support for any older one"));
    assert!(refusal("cloudify-manager", "4.10", "4.2", &situation).contains("that is older"));
    let rules = rules("cloudify-manager");
    let error = rules.check_restore(&version("4.10"), &version("4.2")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot restore a newer manager's snapshot on this manager [4.10 > 4.2]"
    );
    assert_eq!(error.kind(), Kind::Refused);
    for (snapshot, target) in [("3.4.2", "4.2"), ("4.2", "4.2.0"), ("4.1.1.1", "7.0.5")] {
        rules.check_restore(&version(snapshot), &version(target)).unwrap();
    }
    let error = self::rules("centreon-map").check_restore(&version("20.10"), &version("20.04"));
    let text = error.unwrap_err().to_string();
    assert_eq!(text, "cannot restore Centreon MAP server 20.10 onto an older one, 20.04");
}

#[test]
fn the_path_of_cloudify_4_0_1_begins_with_update_3() {
    let first = |from| plan("cloudify-manager", from, "4.3").hops[0].steps[0].text.clone();
    assert!(first("4.0.1").contains("update-3") && first("4.0.1.1").contains("update-3"));
    assert!(!first("4.0.0").contains("update-3") && !first("4.1").contains("update-3"));
}

#[test]
fn several_users_of_4_1_and_below_need_the_user_database() {
    let steps = |from: &str, users| {
        let situation = Situation { users, ..Situation::default() };
        let plan = planned("cloudify-manager", from, "4.3", &situation).unwrap();
        texts(&plan.hops[0], "several users").len()
    };
    for from in ["4.0.0", "4.1", "4.1.1.1"] {
        assert_eq!(steps(from, Users::Several), 2, "{from}");
        assert_eq!(steps(from, Users::Unknown), 2, "{from}");
        assert_eq!(steps(from, Users::One), 0, "{from}");
    }
    assert_eq!(steps("4.2", Users::Several), 0);
}

#[test]
fn in_place_and_migration_have_the_documented_steps() {
    let hop = |from: &str, place| {
        let situation = Situation { place, ..Situation::default() };
        planned("cloudify-manager", from, "4.3.1", &situation).unwrap().hops.remove(0)
    };
    let in_place = hop("4.0.0", Move::InPlace);
    assert_eq!(
        commands(&in_place),
        [
            "snap create",
            "sudo bash cfy_teardown_4_0_0.sh -f",
            "snap restore ID --to-version 4.3.1",
            "cfy agents install --all-tenants"
        ]
    );
    assert_eq!(texts(&in_place, "/etc/cloudify/ssl").len(), 2);
    let teardown = hop("4.1", Move::InPlace);
    assert!(commands(&teardown).contains(&"cfy teardown -f"));
    assert!(texts(&teardown, "/etc/cloudify/ssl").is_empty());
    assert_eq!(texts(&teardown, "role user has become default").len(), 1);
    let migration = hop("4.0.1", Move::NewHost);
    assert_eq!(
        commands(&migration),
        [
            "snap create",
            "snap restore ID --restore-certificates --to-version 4.3.1",
            "cfy agents install --all-tenants"
        ]
    );
    assert_eq!(texts(&migration, "new host").len(), 1);
    assert!(migration.steps.last().unwrap().text.contains("auto-heal"));
    assert!(texts(&hop("4.2", Move::InPlace), "has become default").is_empty());
}

#[test]
fn a_plan_is_written_as_json() {
    let json = serde_json::to_value(plan("centreon-map", "4.0.7", "20.04.3")).unwrap();
    assert_eq!(
        (&json["hops"][0]["from"], &json["hops"][0]["to"]),
        (&"4.0.7".into(), &"4.1.X".into())
    );
    let step = &json["hops"][0]["steps"][1];
    assert_eq!((&step["kind"], &step["by"]), (&"backup".into(), &"snap".into()));
}

#[test]
fn rules_with_stops_in_a_circle_still_end() {
    let stop =
        |from: &str, at: &str| Stop { from: version(from), at: version(at), text: String::new() };
    let mut rules = rules("centreon-poller");
    rules.stops = vec![stop("4", "4.2"), stop("4", "4.1"), stop("4.1", "4.0"), stop("4.2", "4.2")];
    let plan = rules.plan(&version("4.0"), &version("5.0"), &Situation::default()).unwrap();
    assert_eq!(path(&plan), ["4.0 -> 4.2.X", "4.2.X -> 5.0"]);
}

fn any_version() -> impl Strategy<Value = Version> {
    let versions = ["3.4", "4.0.0", "4.0.1", "4.0.7", "4.1", "4.1.1.1", "4.2", "4.10", "5.0.5"];
    let later = ["18.10", "19.10.2", "20.04", "20.10.3", "22.10", "24.04.1", "24.10.2", "25.10"];
    select([versions.as_slice(), later.as_slice()].concat()).prop_map(version)
}

proptest! {
    #[test]
    fn every_path_goes_up_from_hop_to_hop_and_ends_at_the_wanted_version(
        product in select(vec!["centreon-map", "centreon-poller", "cloudify-manager"]),
        from in any_version(), to in any_version(),
    ) {
        let rules = rules(product);
        let Ok(plan) = rules.plan(&from, &to, &Situation::default()) else { return Ok(()) };
        let mut here = from.clone();
        for hop in &plan.hops {
            assert_eq!(hop.from.version(), &here);
            assert!(hop.to.version() > &here);
            // No hop of a path is one that would not be allowed by itself.
            let alone = rules.single_hop(&here, hop.to.version(), &Situation::default()).unwrap();
            assert_eq!(alone.unwrap().steps.len(), hop.steps.len());
            here = hop.to.version().clone();
        }
        assert_eq!(here, to);
    }
}
