//! What a profile may say.

use std::path::Path;
use std::time::Duration;

use crate::profile::CommandPair;
use crate::profile::Profile;
use crate::profile::SourceSpec;
use crate::profile::What;
use crate::profile::config::Config;
use crate::profile::service::Check;
use crate::profile::service::Column;
use crate::profile::service::Command;
use crate::profile::service::Detection;
use crate::profile::service::FollowUp;
use crate::profile::service::Health;
use crate::profile::service::Hook;
use crate::profile::service::Remark;
use crate::profile::service::Retention;
use crate::profile::service::Roles;
use crate::profile::service::Service;
use crate::profile::service::Undo;
use crate::profile::service::Verb;
use crate::profile::service::When;
use crate::profile::upgrade::Doer;
use crate::source::files::globs::Globs;

mod refusals;

pub(super) const FILE: &str = "/etc/snap/snap.toml";

fn profile(text: &str, name: &str) -> Profile {
    let config = Config::parse(Path::new(FILE), text).expect("the text is right");
    config.profile(name).expect("the profile is there")
}

fn files(path: &str) -> What {
    What::Files { path: path.into(), certificates: false, globs: Globs::default() }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn command(text: &str, limit: u64) -> Command {
    Command { text: text.to_owned(), limit: seconds(limit) }
}

#[test]
fn every_kind_of_source_is_read_with_all_its_keys() {
    let text = r#"
        [profiles.a]
        at-least-one = true
        [[profiles.a.sources]]
        name = "data"
        kind = "database"
        database = "map"
        users = true
        optional = true
        [[profiles.a.sources]]
        name = "conf"
        kind = "files"
        path = "/etc/map"
        certificates = true
        include = ["*.conf", "ssl/**"]
        exclude = ["*.log"]
        [[profiles.a.sources]]
        name = "postgres"
        kind = "command"
        save = "pg_dump x"
        load = "pg_restore x"
        seconds = 86400
        "#;
    let globs = Globs {
        include: vec!["*.conf".to_owned(), "ssl/**".to_owned()],
        exclude: vec!["*.log".to_owned()],
    };
    let source = |name: &str, optional, what| SourceSpec { name: name.to_owned(), optional, what };
    let pair = CommandPair {
        save: "pg_dump x".to_owned(),
        load: "pg_restore x".to_owned(),
        limit: seconds(86_400),
    };
    let expected = Profile {
        name: "a".to_owned(),
        sources: vec![
            source("data", true, What::Database { database: "map".to_owned(), users: true }),
            source(
                "conf",
                false,
                What::Files { path: "/etc/map".into(), certificates: true, globs },
            ),
            source("postgres", false, What::Command(pair)),
        ],
        at_least_one: true,
        service: Service::default(),
    };
    assert_eq!(profile(text, "a"), expected);
}

pub(in crate::profile) const EVERYTHING: &str = r#"
    [profiles.b]
    about = "all there is"
    units = ["map", "map@1.service"]
    packages = ["map*", "map-[ab]"]
    rules = "centreon-map"
    sources = [
        { name = "data", kind = "database", database = "map" },
        { name = "users", kind = "files", path = "/users" },
    ]
    [profiles.b.undo]
    command = "dnf history undo last -y"
    [[profiles.b.health]]
    url = "http://localhost:8080/health"
    contains = "UP"
    unit = "map"
    [[profiles.b.health]]
    url = "https://map.example/"
    status = 302
    seconds = 1
    [[profiles.b.health]]
    command = "true"
    [[profiles.b.versions]]
    rpm = "map"
    [[profiles.b.versions]]
    dpkg = "map"
    [[profiles.b.versions]]
    file = "/etc/map/version"
    [[profiles.b.versions]]
    command = "map --version"
    seconds = 5
    [[profiles.b.hooks]]
    when = "before"
    verbs = ["create", "upgrade"]
    command = "one"
    seconds = 3
    [[profiles.b.hooks]]
    when = "finally"
    command = "two"
    [profiles.b.roles]
    database = "data"
    security-file = "users"
    [[profiles.b.roles.columns]]
    source = "data"
    table = "contact"
    column = "role"
    [profiles.b.retention]
    last = 3
    daily = 7
    weekly = 4
    monthly = 12
    [[profiles.b.follow-ups]]
    text = "restart gorgone"
    command = "systemctl restart gorgoned"
    by = "snap"
    [[profiles.b.new-host]]
    text = "ask for a license"
    "#;

fn everything() -> Service {
    let http = |url: &str, status, contains: Option<&str>| Check::Http {
        url: url.to_owned(),
        status,
        contains: contains.map(str::to_owned),
    };
    let health = |check, unit: Option<&str>, limit| Health {
        check,
        unit: unit.map(str::to_owned),
        limit: seconds(limit),
    };
    let remark = |text: &str, command: Option<&str>| Remark {
        text: text.to_owned(),
        command: command.map(str::to_owned),
    };
    let hook = |when, verbs: &[Verb], command| Hook { when, verbs: verbs.to_vec(), command };
    Service {
        about: Some("all there is".to_owned()),
        units: vec!["map".to_owned(), "map@1.service".to_owned()],
        health: vec![
            health(http("http://localhost:8080/health", 200, Some("UP")), Some("map"), 60),
            health(http("https://map.example/", 302, None), None, 1),
            health(Check::Command("true".to_owned()), None, 60),
        ],
        versions: vec![
            Detection::Rpm("map".to_owned()),
            Detection::Dpkg("map".to_owned()),
            Detection::File("/etc/map/version".into()),
            Detection::Command(command("map --version", 5)),
        ],
        packages: vec!["map*".to_owned(), "map-[ab]".to_owned()],
        undo: Some(Undo::Command(command("dnf history undo last -y", 600))),
        rules: Some("centreon-map".to_owned()),
        roles: Some(Roles {
            database: Some("data".to_owned()),
            security_file: Some("users".to_owned()),
            columns: vec![Column {
                source: "data".to_owned(),
                table: "contact".to_owned(),
                column: "role".to_owned(),
            }],
        }),
        hooks: vec![
            hook(When::Before, &[Verb::Create, Verb::Upgrade], command("one", 3)),
            hook(When::Finally, &[Verb::Create, Verb::Restore, Verb::Upgrade], command("two", 60)),
        ],
        retention: Retention { last: Some(3), daily: Some(7), weekly: Some(4), monthly: Some(12) },
        follow_ups: vec![FollowUp {
            text: "restart gorgone".to_owned(),
            command: Some("systemctl restart gorgoned".to_owned()),
            by: Doer::Snap,
        }],
        new_host: vec![remark("ask for a license", None)],
    }
}

#[test]
fn everything_that_is_known_of_a_service_is_read() {
    assert_eq!(profile(EVERYTHING, "b").service, everything());
}

#[test]
fn a_profile_that_extends_another_has_all_of_it() {
    let text = format!("{EVERYTHING}\n[profiles.child]\nextends = 'b'\n");
    let (parent, child) = (profile(&text, "b"), profile(&text, "child"));
    assert_eq!(child, Profile { name: "child".to_owned(), ..parent });
}

#[test]
fn what_a_profile_states_takes_the_place_of_what_it_extends() {
    let text = format!(
        "{EVERYTHING}
        [profiles.child]
        extends = 'b'
        about = 'changed'
        units = []
        health = []
        hooks = [{{ when = 'after', command = 'three' }}]
        undo = 'packages'
        [profiles.child.roles]
        columns = []
        [profiles.child.retention]
        daily = 1"
    );
    let child = profile(&text, "child").service;
    let hook = Hook {
        when: When::After,
        verbs: vec![Verb::Create, Verb::Restore, Verb::Upgrade],
        command: command("three", 60),
    };
    let earlier = everything();
    let expected = Service {
        about: Some("changed".to_owned()),
        units: Vec::new(),
        health: Vec::new(),
        hooks: vec![hook],
        undo: Some(Undo::Packages),
        roles: earlier.roles.map(|roles| Roles { columns: Vec::new(), ..roles }),
        retention: Retention { daily: Some(1), ..earlier.retention },
        ..everything()
    };
    assert_eq!(child, expected);
}

#[test]
fn a_source_of_the_same_name_changes_that_one_and_with_a_kind_replaces_it() {
    let text = "
        [[profiles.a.sources]]
        name = 'one'
        kind = 'files'
        path = '/one'
        certificates = true
        exclude = ['*.log']
        [[profiles.a.sources]]
        name = 'two'
        kind = 'files'
        path = '/two'
        optional = true
        [profiles.b]
        extends = 'a'
        [[profiles.b.sources]]
        name = 'three'
        kind = 'files'
        path = '/three'
        [[profiles.b.sources]]
        name = 'two'
        kind = 'database'
        database = 'two'
        [[profiles.b.sources]]
        name = 'one'
        optional = true
        exclude = []
        ";
    let what_one = What::Files { path: "/one".into(), certificates: true, globs: Globs::default() };
    let what_two = What::Database { database: "two".to_owned(), users: false };
    let expected =
        [("one", true, what_one), ("two", false, what_two), ("three", false, files("/three"))];
    let expected =
        expected.map(|(name, optional, what)| SourceSpec { name: name.to_owned(), optional, what });
    assert_eq!(profile(text, "b").sources, expected);
}

#[test]
fn a_profile_of_the_file_may_extend_the_built_in_one_of_its_own_name() {
    let text = "[profiles.studio]\nextends = 'studio'\n[[profiles.studio.sources]]\n\
                name = 'users'\noptional = false";
    let studio = profile(text, "studio");
    let names: Vec<&str> = studio.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["database", "certificates", "users"]);
    assert!(!studio.sources[2].optional);
    let child = format!("{text}\n[profiles.child]\nextends = 'studio'");
    assert_eq!(
        profile(&child, "child").sources,
        studio.sources,
        "the file's, not the built-in one"
    );
}

#[test]
fn a_profile_of_the_file_that_extends_nothing_replaces_the_built_in_one() {
    let text = "[[profiles.studio.sources]]\nname = 'db'\nkind = 'database'\ndatabase = 'other'";
    let studio = profile(text, "studio");
    let names: Vec<&str> = studio.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["db"]);
}
