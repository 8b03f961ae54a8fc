//! Tests of security files: golden ones of real versions, and what holds for every file.

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::Just;
use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::prelude::prop_oneof;
use proptest::proptest;
use proptest::sample::select;

use super::*;
use crate::profile::roles::RoleRule;
use crate::profile::roles::mapping::UnknownRole;
use crate::profile::roles::state::Holder;
use crate::profile::security::assemble::Assembled;
use crate::profile::security::assemble::Target;
use crate::profile::security::assemble::assemble;
use crate::profile::security::finding::Finding;

const SALTED: &str = r#"{"hash_salt": "s+/=", "secret_key": "k"}"#;

fn golden(file: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/roles");
    fs::read(root.join(file)).unwrap()
}

fn mapping(overrides: &[&str], unknown: UnknownRole) -> Mapping {
    let overrides: Vec<_> = overrides.iter().map(|text| text.parse().unwrap()).collect();
    Mapping::new(RoleRule::built_in(), &overrides, unknown).unwrap()
}

/// Returns the mapping that an operator gives for the roles of 3.x.
fn for_3_x() -> Mapping {
    let overrides = ["administrator=sys_admin", "deployer=default", "viewer=default"];
    mapping(&overrides, UnknownRole::Refuse)
}

/// Returns the file with its roles remapped.
fn remapped(file: &str, mapping: &Mapping) -> Result<String> {
    let file = SecurityFile::parse(file.as_bytes()).expect(file);
    file.with_roles(&file.plan_roles(mapping).expect("all roles are known"))
}

fn merged(snapshot: &str, target: &str) -> Assembled {
    let target = Target { bytes: Some(target.as_bytes()), is_newer: true };
    assemble(snapshot.as_bytes(), None, target).unwrap()
}

fn text(assembled: &Assembled) -> &str {
    str::from_utf8(&assembled.bytes).unwrap()
}

#[test]
fn the_user_store_of_3_4_gets_its_roles_and_keeps_every_other_byte() {
    for (before, after) in [
        ("3.4/rest-security.conf", "3.4/rest-security.after.conf"),
        ("3.4/userstore.yaml", "3.4/userstore.after.yaml"),
    ] {
        let bytes = golden(before);
        let file = SecurityFile::parse(&bytes).unwrap();
        let plan = file.plan_roles(&for_3_x()).unwrap();
        let nowhere = Target { bytes: None, is_newer: true };
        let assembled = assemble(&bytes, Some(&plan), nowhere).unwrap();
        assert_eq!(text(&assembled), str::from_utf8(&golden(after)).unwrap());
        assert_eq!(assembled.findings, [], "{before}");
        let again = golden(after);
        let again = SecurityFile::parse(&again).unwrap();
        let plan = again.plan_roles(&for_3_x()).unwrap();
        assert!(plan.lines.iter().all(|line| !line.is_change()));
        assert_eq!(again.with_roles(&plan).unwrap(), again.text);
    }
}

#[test]
fn the_roles_of_3_4_are_refused_with_everybody_who_has_them() {
    let bytes = golden("3.4/rest-security.conf");
    let file = SecurityFile::parse(&bytes).unwrap();
    let unknown = file.plan_roles(&mapping(&[], UnknownRole::Refuse)).unwrap_err();
    assert_eq!(
        Error::from(unknown).to_string(),
        "cannot remap roles that are not known: \
         \"administrator\" (user \"deployer\", group \"cfy_admins\"), \
         \"deployer\" (user \"deployer\", group \"cfy_deployers\"), \"viewer\" (user \"alice\")"
    );
    let kept = file.plan_roles(&mapping(&[], UnknownRole::Keep)).unwrap();
    assert_eq!(file.with_roles(&kept).unwrap().as_bytes(), bytes);
}

#[test]
fn the_files_of_4_0_and_later_have_no_roles_and_come_back_byte_for_byte() {
    for version in ["4.0", "4.1", "4.2", "5.0"] {
        let bytes = golden(&format!("{version}/rest-security.conf"));
        let file = SecurityFile::parse(&bytes).unwrap();
        assert_eq!(file.roles(), [""; 0], "{version}");
        let plan = file.plan_roles(&mapping(&[], UnknownRole::Refuse)).unwrap();
        let same_age = Target { bytes: Some(SALTED.as_bytes()), is_newer: false };
        let assembled = assemble(&bytes, Some(&plan), same_age).unwrap();
        assert_eq!(
            assembled,
            Assembled { bytes, kept_keys: vec![], findings: vec![] },
            "{version}"
        );
    }
}

#[test]
fn a_newer_target_keeps_its_own_keys_behind_those_of_the_snapshot() {
    let bytes = golden("4.1/rest-security.conf");
    let target = golden("5.0/rest-security.conf");
    let newer = Target { bytes: Some(&target), is_newer: true };
    let assembled = assemble(&bytes, None, newer).unwrap();
    let saved = str::from_utf8(&bytes).unwrap().strip_suffix('}').unwrap();
    let added = text(&assembled).strip_prefix(saved).unwrap();
    assert!(added.starts_with(", \"encryption_key\": \"") && added.ends_with("\"}"), "{added}");
    assert_eq!(assembled.kept_keys, ["encryption_key"]);
    assert_eq!(assembled.findings, []);
    let again = Target { bytes: Some(&assembled.bytes), is_newer: true };
    assert_eq!(assemble(&bytes, None, again).unwrap().bytes, assembled.bytes);
}

#[test]
fn only_the_bytes_of_roles_change_in_whatever_way_the_file_is_written() {
    for (before, after) in [
        (
            "{\"users\":[{\"username\":\"admin\",\"roles\":[\"admin\" ,\"user\"],\"x\":1.0}],\n\"a\":1,\"a\":2e3}",
            "{\"users\":[{\"username\":\"admin\",\"roles\":[\"sys_admin\" ,\"default\"],\"x\":1.0}],\n\"a\":1,\"a\":2e3}",
        ),
        // A role escaped, one without a list, one of a nameless user, keys that stand twice.
        (
            "{\"users\": [{\"roles\": [\"\\u0061dmin\"], \"roles\": \"user\"}], \"users\": [{\"roles\": [\"user\"]}]}",
            "{\"users\": [{\"roles\": [\"sys_admin\"], \"roles\": \"default\"}], \"users\": [{\"roles\": [\"default\"]}]}",
        ),
        (
            "users:\r\n- {username: ö, roles: [admin]} # é\r\n",
            "users:\r\n- {username: ö, roles: [sys_admin]} # é\r\n",
        ),
        ("users:\n- roles:\n  - >-\n    admin", "users:\n- roles:\n  - >-\n    sys_admin"),
        (
            "users: [{roles: ['user', \"admin\", user]}]",
            "users: [{roles: ['default', \"sys_admin\", default]}]",
        ),
        (
            "groups:\n  - name: a\n    roles: admin\nroles: [admin]\n",
            "groups:\n  - name: a\n    roles: sys_admin\nroles: [admin]\n",
        ),
        (
            "users: [{roles: [~, null, user]}, {roles:}, 7]\n",
            "users: [{roles: [~, null, default]}, {roles:}, 7]\n",
        ),
    ] {
        assert_eq!(remapped(before, &mapping(&[], UnknownRole::Refuse)).unwrap(), after);
    }
}

#[test]
fn the_roles_of_users_and_groups_are_said_with_their_names() {
    let file = "users: [{username: a, roles: [user]}, {name: b, roles: [default]}]\n\
        groups: [{name: g, roles: [admin]}]\nother: [{name: x, roles: [admin]}]\n";
    let file = SecurityFile::parse(file.as_bytes()).unwrap();
    let plan = file.plan_roles(&mapping(&[], UnknownRole::Refuse)).unwrap();
    let said = plan.lines.iter().map(|line| (&line.holder, line.before.as_deref(), &*line.after));
    let user = |name: &str| Holder::User(name.to_owned());
    assert_eq!(
        said.collect::<Vec<_>>(),
        [
            (&user("a"), Some("user"), "default"),
            (&user("b"), Some("default"), "default"),
            (&Holder::Group("g".to_owned()), Some("admin"), "sys_admin"),
        ]
    );
}

#[test]
fn what_cannot_be_changed_alone_is_refused_with_its_line() {
    for (file, complaint) in [
        ("a: &x admin\nusers: [{roles: [admin, *x]}]", "line 2: an alias"),
        ("users:\n- roles:\n  - &x admin", "line 3: a role is not written as a plain text"),
        ("users:\n- roles:\n  - !!str admin", "line 3: a role is not written as a plain text"),
    ] {
        match remapped(file, &mapping(&[], UnknownRole::Refuse)) {
            Ok(text) => panic!("{file}\nbecame\n{text}"),
            Err(error) => {
                assert!(error.to_string().contains(complaint), "{error}");
                assert_eq!(error.kind(), Kind::Refused);
            }
        }
    }
}

#[test]
fn the_plan_of_another_file_changes_nothing() {
    let mapping = mapping(&[], UnknownRole::Refuse);
    let other = b"users: [{username: somebody, roles: [user, admin]}]";
    let plan = SecurityFile::parse(other).unwrap().plan_roles(&mapping).unwrap();
    for file in ["a: 1", "users: [{username: another, roles: [user, user, admin]}]"] {
        let file = SecurityFile::parse(file.as_bytes()).unwrap();
        let error = file.with_roles(&plan).expect_err("the roles are not those of the plan");
        assert!(error.to_string().contains("and nothing else"), "{error}");
    }
}

#[test]
fn files_are_merged_in_whatever_way_they_are_written() {
    for (snapshot, target, result) in [
        ("{}", "{\"a\": 1}", "{\"a\": 1}"),
        (
            "{\n  \"s\": 1\n}\n",
            "{\"a\": [ 1 ],\"s\": 2, \"b\":{}}",
            "{\n  \"s\": 1, \"a\": [ 1 ], \"b\":{}\n}\n",
        ),
        ("{\"s\": 1}", "{\"a\": 1, \"a\": 2}", "{\"s\": 1, \"a\": 2}"),
        ("s: 1 # one", "a: 2 # two\ns: 3\nb:\n  - c\n", "s: 1 # one\na: 2\nb:\n  - c\n"),
        ("s: 1\n", "{\"a\": \"x\"}", "s: 1\n\"a\": \"x\"\n"),
        ("{s: 1}", "{\"a\": \"x\"}", "{s: 1, \"a\": \"x\"}"),
        ("{\"s\": 1}", "{\"s\": 2}", "{\"s\": 1}"),
    ] {
        let assembled = merged(snapshot, target);
        assert_eq!(text(&assembled), result, "{snapshot} + {target}");
    }
}

#[test]
fn what_cannot_be_merged_comes_back_as_it_was_saved_and_is_said() {
    for (snapshot, target) in [
        ("{\"s\": 1}", "a: 2\n"),
        ("{\"s\": 1}", "{a: 2}"),
        ("s: 1\n...\n", "a: 2\n"),
        ("s: 1\n", "x: &x 1\na: *x\n"),
    ] {
        let assembled = merged(snapshot, target);
        assert_eq!(text(&assembled), snapshot, "{target}");
        let said = assembled.findings.iter().map(Finding::to_string).collect::<String>();
        assert!(said.contains("what only the target's has") && said.contains("\"a\""), "{said}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_never_changed_and_never_taken_over() {
    let unreadable = merged("\u{0}not a table", SALTED);
    assert_eq!(unreadable.findings, [Finding::Unreadable]);
    assert_eq!(text(&unreadable), "\u{0}not a table");
    let kept = merged(SALTED, "[1, 2");
    assert_eq!(kept.findings, [Finding::TargetUnreadable]);
    assert_eq!(text(&kept), SALTED);
    let bytes = b"{\"a\": \"\xff\"}";
    assert!(SecurityFile::parse(bytes).is_none());
    let nowhere = Target { bytes: None, is_newer: true };
    assert_eq!(assemble(bytes, None, nowhere).unwrap().bytes, bytes);
}

#[test]
fn a_missing_salt_is_said_with_what_it_means() {
    let without = r#"{"secret_key": "k"}"#;
    let nowhere = Target { bytes: None, is_newer: true };
    let alone = assemble(without.as_bytes(), None, nowhere).unwrap();
    assert_eq!(alone.findings, [Finding::NoSalt]);
    assert!(alone.findings[0].to_string().contains("nobody can log in"));
    assert_eq!(merged(without, SALTED).findings, [Finding::SaltOfTarget]);
    assert_eq!(merged(SALTED, SALTED).findings, []);
}

#[test]
fn the_administrator_of_another_manager_is_said_without_the_password() {
    let file = |password: &str| {
        format!(
            r#"{{"hash_salt": "s", "admin_username": "admin", "admin_password": "{password}"}}"#
        )
    };
    assert_eq!(merged(&file("old secret"), &file("old secret")).findings, []);
    assert_eq!(merged(&file("old secret"), SALTED).findings, []);
    let of_snapshot = merged(&file("old secret"), &file("new secret"));
    assert_eq!(of_snapshot.findings, [Finding::AdminOfSnapshot]);
    let of_target = merged(SALTED, &file("new secret"));
    assert_eq!(of_target.findings, [Finding::AdminOfTarget]);
    assert_eq!(of_target.kept_keys, ["admin_username", "admin_password"]);
    for finding in of_snapshot.findings.iter().chain(&of_target.findings) {
        assert!(!finding.to_string().contains("secret"), "{finding}");
    }
}

#[test]
fn roles_behind_aliases_are_not_overlooked_in_silence() {
    let file = "all: &all [admin]\nusers: [{username: a, roles: *all}]\nhash_salt: s\n";
    assert_eq!(merged(file, "hash_salt: s\n").findings, [Finding::Aliases]);
}

/// Returns a file with users in any of many hands, and the same with the new roles.
fn any_file() -> impl Strategy<Value = (String, String)> {
    let role = select(vec![("admin", "sys_admin"), ("user", "default"), ("default", "default")]);
    let (quote, blanks) = (select(vec!["\"", "'", ""]), select(vec!["", " ", "  "]));
    let users = vec((role, quote, blanks, "[a-zé☃ ]{0,6}"), 0..5);
    let ends = select(vec![
        ("", ""),
        (", \"a\": 1, \"a\": [\"admin\"]", ", a: 1"),
        (", \"a\": {\"roles\": [\"user\"]}", ", a: [admin, user], a: {roles: [admin]}"),
    ]);
    let file = (users, ends, any::<bool>(), select(vec!["\n", "\r\n"]));
    file.prop_map(|(users, ends, is_json, eol)| {
        let write = |pick: fn(&(&'static str, &'static str)) -> &'static str| {
            let users = users.iter().map(|(roles, quote, blanks, name)| {
                let quote = if is_json { "\"" } else { quote };
                let role = format!("{blanks}{quote}{}{quote}{blanks}", pick(roles));
                format!("{{\"username\": \"{name}\",{blanks}\"roles\": [{role}]}}")
            });
            let users = users.collect::<Vec<_>>().join(&format!(",{eol}"));
            let end = if is_json { ends.0 } else { ends.1 };
            format!("{{\"users\": [{users}]{end}}}{eol}")
        };
        (write(|roles| roles.0), write(|roles| roles.1))
    })
}

proptest! {
    #[test]
    fn of_every_file_the_roles_change_and_nothing_else((before, after) in any_file()) {
        let mapping = mapping(&[], UnknownRole::Refuse);
        let once = remapped(&before, &mapping).unwrap();
        assert_eq!(once, after);
        assert_eq!(remapped(&once, &mapping).unwrap(), once);
    }

    #[test]
    fn no_bytes_break_the_reader_or_change_without_need(
        bytes in prop_oneof![
            vec(any::<u8>(), 0..60),
            "[\\[\\]{}:,\"'&*|>#! \n\tab-]{0,40}".prop_map(String::into_bytes),
            Just(b"users: [{roles: [x]}]".to_vec()),
        ],
        target in "[\\[\\]{}:,\"'&*|> \nab-]{0,20}",
    ) {
        let target = Target { bytes: Some(target.as_bytes()), is_newer: true };
        let assembled = assemble(&bytes, None, target).unwrap();
        if assembled.kept_keys.is_empty() {
            assert_eq!(assembled.bytes, bytes);
        }
        if let Some(file) = SecurityFile::parse(&bytes) {
            let plan = file.plan_roles(&mapping(&[], UnknownRole::Keep)).unwrap();
            assert_eq!(file.with_roles(&plan).unwrap().as_bytes(), bytes);
        }
    }
}

#[test]
fn a_target_that_is_too_large_to_be_read_counts_as_unreadable() {
    let target = format!("{{\"own\": \"{}\"}}", "x".repeat(1 << 20));
    let assembled = merged(SALTED, &target);
    assert_eq!(text(&assembled), SALTED);
    assert_eq!(assembled.findings, [Finding::TargetUnreadable]);
}

#[test]
fn what_is_kept_of_the_target_is_said_by_its_name_alone() {
    let assembled = merged(SALTED, "{\"own\\nkey\": \"secret\"}");
    assert_eq!(assembled.kept_keys, ["own\nkey"]);
    let notes = assembled.notes();
    assert_eq!(notes.len(), 1);
    assert!(notes[0].ends_with("behind what the snapshot's has: \"own\\nkey\""), "{notes:?}");
}
