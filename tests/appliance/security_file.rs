//! What a restore makes of the security file: roles of another version, keys of a newer target, and
//! otherwise every byte as it was.

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use crate::place::Output;
use crate::place::Place;
use crate::place::SECURITY_FILE;
use crate::tree;

/// A profile of the security file alone: such a `snap` needs no server.
const PROFILE: &str = "
    [profiles.studio.roles]
    security-file = 'users'
    [[profiles.studio.sources]]
    name = 'users'
    kind = 'files'
    path = '/opt/manager/rest-security.conf'
    optional = true
";

/// What the roles of 3.x are to become.
const MAPPED: [&str; 6] = [
    "--map-role",
    "administrator=sys_admin",
    "--map-role",
    "deployer=default",
    "--map-role",
    "viewer=default",
];

fn golden(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/roles").join(name);
    fs::read_to_string(path).expect("read a golden file")
}

/// Returns a place that has saved this security file as `before`, of this version where one is given.
fn saved(file: &str, version: Option<&str>) -> Place {
    let place = Place::empty();
    place.configure(PROFILE);
    place.write_security_file(file);
    let version: Vec<_> = version.iter().flat_map(|version| ["--from-version", version]).collect();
    place.snap(&[&["create", "before"][..], &version].concat()).succeeded();
    place
}

impl Place {
    fn security_file(&self) -> PathBuf {
        self.root().join(SECURITY_FILE)
    }

    fn write_security_file(&self, text: &str) {
        let file = self.security_file();
        fs::create_dir_all(file.parent().expect("it has a folder")).expect("create its folder");
        fs::write(&file, text).expect("write the security file");
        fs::set_permissions(&file, Permissions::from_mode(0o640)).expect("set its mode");
    }

    fn read_security_file(&self) -> String {
        fs::read_to_string(self.security_file()).expect("read the security file")
    }

    /// Restores with these flags and wants it done.
    fn restored(&self, flags: &[&str]) -> Output {
        let output = self.snap(&[&["restore", "before"][..], flags].concat());
        assert_eq!(output.code, 0, "{output:#?}");
        output
    }
}

/// Returns what is said of the security file's source in an answer in JSON.
fn source(output: &Output) -> Value {
    let answer: Value = serde_json::from_str(&output.stdout).expect("read JSON");
    answer["restore"]["sources"][0].clone()
}

/// Returns the value of this key in a text of JSON.
fn value(text: &str, key: &str) -> String {
    let parsed: Value = serde_json::from_str(text).expect("read JSON");
    parsed[key].as_str().expect("it has the key").to_owned()
}

#[test]
fn the_roles_of_a_user_store_change_in_their_own_bytes_and_nothing_else_does() {
    for (before, after) in [
        ("3.4/rest-security.conf", "3.4/rest-security.after.conf"),
        ("3.4/userstore.yaml", "3.4/userstore.after.yaml"),
    ] {
        let (before, after) = (golden(before), golden(after));
        let place = saved(&before, Some("3.4.2"));
        let saved = place.security_file().metadata().expect("look at it");
        place.write_security_file("{}");
        let flags = [&["--to-version", "4.2"][..], &MAPPED].concat();

        let plan = place.restored(&[&flags[..], &["--dry-run"]].concat());
        assert!(plan.stdout.contains("deployer") && plan.stdout.contains("default"), "{plan:#?}");
        assert_eq!(place.read_security_file(), "{}");

        let done = place.restored(&[&flags[..], &["--json"]].concat());
        assert_eq!(place.read_security_file(), after);
        let roles = &source(&done)["roles"];
        let of_group = json!({ "group": "cfy_admins" });
        let line = roles.as_array().expect("roles").iter().find(|it| it["holder"] == of_group);
        let line = line.expect("the group is named");
        assert_eq!(
            (&line["before"], &line["after"]),
            (&json!("administrator"), &json!("sys_admin"))
        );
        let restored = place.security_file().metadata().expect("look at it");
        assert_eq!((restored.mode(), restored.mtime_nsec()), (saved.mode(), saved.mtime_nsec()));

        let again = place.restored(&[&flags[..], &["--json"]].concat());
        assert_eq!(source(&again)["action"], "keep", "{again:#?}");
        assert_eq!(source(&again)["reason"], "it is identical already");
        place.restored(&[&flags[..], &["--full"]].concat());
        assert_eq!(place.read_security_file(), after);
        // The rollback of a rollback brings back the remapped file: nothing is remapped on the way.
        place.snap(&["rollback"]).succeeded();
        place.snap(&["rollback"]).succeeded();
        assert_eq!(place.read_security_file(), after);
    }
}

#[test]
fn roles_that_nobody_knows_refuse_the_restore_and_name_who_has_them() {
    let file = golden("3.4/rest-security.conf");
    let place = saved(&file, Some("3.4.2"));
    place.write_security_file("{\"live\": 1}");
    for flags in [&["--dry-run"][..], &[]] {
        let refused = place.snap(&[&["restore", "before", "--to-version", "4.2"], flags].concat());
        assert_eq!(refused.code, 14, "{refused:#?}");
        let named = "\"deployer\" (user \"deployer\", group \"cfy_deployers\")";
        assert!(refused.stderr.contains(named), "{refused:#?}");
        assert!(refused.stderr.contains("--map-role"), "{refused:#?}");
        assert_eq!(place.read_security_file(), "{\"live\": 1}");
    }
    place.restored(&["--to-version", "4.2", "--keep-unknown-roles"]);
    assert_eq!(
        place.read_security_file().strip_suffix(", \"live\": 1}"),
        file.strip_suffix('}'),
        "a newer target keeps its own key"
    );
}

#[test]
fn old_roles_come_back_byte_for_byte_onto_an_old_target_and_ask_where_nothing_tells() {
    let file = golden("3.4/userstore.yaml");
    let place = saved(&file, None);
    place.write_security_file("live: 1\n");
    let asked = place.snap(&["restore", "before"]);
    assert_eq!(asked.code, 2, "{asked:#?}");
    assert!(asked.stderr.contains("--to-version"), "{asked:#?}");
    assert_eq!(place.read_security_file(), "live: 1\n");
    let done = place.restored(&["--to-version", "4.1.1.1", "--json"]);
    assert_eq!(place.read_security_file(), file);
    assert_eq!(source(&done)["roles"], Value::Null);
}

#[test]
fn a_newer_target_keeps_the_keys_that_only_it_has_and_the_next_restore_finds_nothing_to_do() {
    let (old, new) = (golden("4.1/rest-security.conf"), golden("5.0/rest-security.conf"));
    let place = saved(&old, Some("4.1"));
    place.write_security_file(&new);
    let done = place.restored(&["--to-version", "5.0"]);
    assert!(done.stdout.contains("note: the target is newer"), "{done:#?}");
    assert!(done.stdout.contains("\"encryption_key\""), "{done:#?}");
    let merged = place.read_security_file();
    assert!(merged.starts_with(old.strip_suffix('}').expect("it is a table")), "{merged}");
    assert_eq!(value(&merged, "encryption_key"), value(&new, "encryption_key"));
    assert_eq!(value(&merged, "hash_salt"), value(&old, "hash_salt"));

    let again = place.restored(&["--to-version", "5.0", "--json"]);
    assert_eq!(source(&again)["action"], "keep", "{again:#?}");
    assert_eq!(place.read_security_file(), merged);
    place.snap(&["rollback"]).succeeded();
    assert_eq!(place.read_security_file(), new);
}

#[test]
fn no_other_target_changes_a_byte() {
    let (old, new) = (golden("4.1/rest-security.conf"), golden("5.0/rest-security.conf"));
    let place = saved(&old, Some("4.1"));
    let cases: [(Option<&str>, &[&str]); 6] = [
        (Some(&new), &["--to-version", "4.1"]),
        (Some(&new), &[]),
        (Some("neither: [JSON nor: YAML"), &["--to-version", "5.0"]),
        (Some(""), &["--to-version", "5.0"]),
        (Some("{\"hash_salt\": \"another\"}"), &["--to-version", "5.0"]),
        (None, &["--to-version", "5.0"]),
    ];
    for (live, flags) in cases {
        match live {
            Some(live) => place.write_security_file(live),
            None => fs::remove_file(place.security_file()).expect("remove it"),
        }
        let done = place.restored(flags);
        assert_eq!(place.read_security_file(), old, "{live:?} {flags:?}");
        let is_unreadable = live.is_some_and(|live| live.is_empty() || live.starts_with("neither"));
        let told = "note: the security file of the target is neither JSON nor YAML";
        assert_eq!(done.stdout.contains(told), is_unreadable, "{done:#?}");
    }
}

#[test]
fn an_uploaded_snapshot_is_merged_like_any_other() {
    let (old, new) = (golden("4.1/rest-security.conf"), golden("5.0/rest-security.conf"));
    let place = saved(&old, Some("4.1"));
    let archive = place.path("moved.tar");
    let archive = archive.to_str().expect("a path in UTF-8");
    place.snap(&["download", "before", "-o", archive]).succeeded();
    place.snap(&["upload", archive, "-s", "moved"]).succeeded();
    place.write_security_file(&new);
    place.snap(&["restore", "moved", "--to-version", "5.0"]).succeeded();
    let merged = place.read_security_file();
    assert_eq!(value(&merged, "encryption_key"), value(&new, "encryption_key"));
}

#[test]
fn a_link_to_the_security_file_stays_and_what_it_leads_to_is_merged() {
    let (old, new) = (golden("4.1/rest-security.conf"), golden("5.0/rest-security.conf"));
    let place = saved(&old, Some("4.1"));
    let elsewhere = place.root().join("srv/conf");
    fs::create_dir_all(&elsewhere).expect("create a folder");
    fs::write(elsewhere.join("security"), &new).expect("write a file");
    fs::remove_file(place.security_file()).expect("remove the file");
    symlink("/srv/conf/security", place.security_file()).expect("create a link");
    place.restored(&["--to-version", "5.0"]);
    let link = fs::read_link(place.security_file()).expect("it is a link still");
    assert_eq!(link, PathBuf::from("/srv/conf/security"));
    let merged = fs::read_to_string(elsewhere.join("security")).expect("read the file");
    assert!(merged.starts_with(old.strip_suffix('}').expect("it is a table")), "{merged}");
    assert_eq!(value(&merged, "encryption_key"), value(&new, "encryption_key"));
}

#[test]
fn what_it_means_for_logins_is_said_and_never_a_secret() {
    let secrets = ["a real password", "c2FsdA", "a-key-of-the-target", "another password"];
    let old = "{\"secret_key\": \"c2FsdA==\", \"admin_username\": \"root\", \
               \"admin_password\": \"not a real password\"}";
    let new = "{\"encryption_key\": \"a-key-of-the-target\", \"admin_username\": \"admin\", \
               \"admin_password\": \"another password\"}";
    let place = saved(old, Some("4.2"));
    let flags: [&[&str]; 4] =
        [&["--dry-run"], &["--dry-run", "-v"], &["--full", "-v"], &["--json"]];
    for flags in flags {
        place.write_security_file(new);
        let done = place.restored(&[&["--to-version", "5.0"][..], flags].concat());
        for said in ["no password salt", "log in with the name and the password of that one"] {
            assert!(done.stdout.contains(said), "{said}: {done:#?}");
        }
        let journals = tree_text(&place.path("state"));
        for secret in secrets {
            let said = format!("{}{}{journals}", done.stdout, done.stderr);
            assert!(!said.contains(secret), "{secret}: {done:#?}");
        }
    }
}

/// Returns the text of all files below a folder.
fn tree_text(folder: &std::path::Path) -> String {
    let entries = fs::read_dir(folder).expect("list a folder");
    let paths = entries.map(|entry| entry.expect("read a folder").path());
    paths.map(|path| if path.is_dir() { tree_text(&path) } else { text_of(&path) }).collect()
}

fn text_of(file: &std::path::Path) -> String {
    String::from_utf8_lossy(&fs::read(file).expect("read a file")).into_owned()
}

#[test]
fn a_snapshot_without_the_file_leaves_the_one_of_the_target_and_says_what_that_means() {
    let place = Place::empty();
    place.configure(PROFILE);
    place.snap(&["create", "before"]).succeeded();
    let silent = place.restored(&[]);
    assert!(!silent.stdout.contains("note:"), "{silent:#?}");
    place.write_security_file("{}");
    let told = place.restored(&[]);
    assert!(told.stdout.contains("note: the snapshot has no security file"), "{told:#?}");
    assert_eq!(place.read_security_file(), "{}");
}

#[test]
fn what_is_no_security_file_comes_back_as_it_was_however_it_was_made() {
    let level = |level: u32| format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1);
    let aliases = (1..30).map(level).collect::<Vec<_>>().concat();
    let bombs = [
        (format!("a0: &a0 [x]\n{aliases}users: *a29\n"), "YAML aliases"),
        ("[".repeat(900_000), "neither JSON nor YAML"),
        (format!("{{\"users\": [{}0]}}", "0,".repeat(500_000)), "more than any such file does"),
        (format!("users: [{}0]\n", "a,".repeat(500_000)), "more than any such file does"),
        (format!("{{\"users\": \"{}\"}}", "x".repeat(1 << 20)), "larger than 1 MiB"),
        ("\0".repeat(1000), "neither JSON nor YAML"),
    ];
    for (bomb, said) in bombs {
        let place = saved(&bomb, Some("4.1"));
        place.write_security_file("{\"encryption_key\": 1}");
        let done = place.restored(&["--to-version", "4.1"]);
        assert!(done.stdout.contains(said), "{said}: {done:#?}");
        assert!(place.read_security_file() == bomb, "{said}: it is not what was saved");
    }
}

#[test]
fn a_user_with_a_long_name_and_many_roles_gets_them_all() {
    let file = |role: &str, times: usize| {
        let (name, roles) = ("n".repeat(300_000), vec![role; times].join(","));
        format!("{{\"users\": [{{\"name\": \"{name}\", \"roles\": [{roles}]}}]}}")
    };
    let place = saved(&file("\"user\"", 80_000), Some("4.1"));
    let done = place.restored(&["--to-version", "4.2", "--full"]);
    assert!(place.read_security_file() == file("\"default\"", 80_000), "roles are missing");
    assert!(done.stdout.len() < 100_000, "the answer has {} bytes", done.stdout.len());
}

#[test]
fn a_folder_is_no_security_file() {
    let place = Place::empty();
    place.configure(&PROFILE.replace("/rest-security.conf", ""));
    place.write_security_file("{}");
    place.snap(&["create", "before"]).succeeded();
    let before = tree::describe(&place.root());
    let refused = place.snap(&["restore", "before", "--full"]);
    assert_eq!(refused.code, 14, "{refused:#?}");
    assert!(refused.stderr.contains("it is a folder"), "{refused:#?}");
    assert_eq!(tree::describe(&place.root()), before);
}

/// What a manager up to 4.1 has in its database: a user with a role that nobody has a rule for.
const OLD_DATABASE: &str = "
    CREATE DATABASE centreon_studio; USE centreon_studio;
    CREATE TABLE roles (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(255) UNIQUE, description TEXT);
    CREATE TABLE users (id INT PRIMARY KEY, username VARCHAR(255));
    CREATE TABLE tenants (id INT PRIMARY KEY, name VARCHAR(255));
    CREATE TABLE users_roles (user_id INT, role_id INT);
    CREATE TABLE users_tenants (user_id INT, tenant_id INT);
    INSERT INTO roles (name) VALUES ('admin'), ('user'), ('auditor');
    INSERT INTO users VALUES (0, 'admin'), (1, 'bob');
    INSERT INTO tenants VALUES (0, 'default_tenant');
    INSERT INTO users_roles VALUES (0, 1), (1, 3);
    INSERT INTO users_tenants VALUES (1, 0);";

/// What makes it one of 4.2: no version is known then, and the shape of the tables tells.
const NEW_DATABASE: &str = "
    USE centreon_studio; ALTER TABLE users_tenants ADD role_id INT NOT NULL DEFAULT 3";

#[test]
fn the_file_crosses_with_the_database_and_one_refusal_names_what_both_hold() {
    let place = Place::empty();
    let database = "\n[[profiles.studio.sources]]\nname = 'database'\nkind = 'database'\n\
                    database = 'centreon_studio'\n";
    let holder = "database = 'database'\n    security-file";
    place.configure(&(PROFILE.replace("security-file", holder) + database));
    place.server.sql(OLD_DATABASE);
    place.write_security_file("hash_salt: s\nusers:\n- {username: eve, roles: [deployer]}\n");
    place.snap(&["create", "before"]).succeeded();
    place.server.sql(NEW_DATABASE);
    let live = "encryption_key: k\n";
    place.write_security_file(live);
    let refused = place.snap(&["restore", "before", "--force"]);
    assert_eq!(refused.code, 14, "{refused:#?}");
    let named = "\"auditor\" (user \"bob\"), \"deployer\" (user \"eve\")";
    assert!(refused.stderr.contains(named), "{refused:#?}");
    assert_eq!(place.read_security_file(), live);

    let mapped = ["--map-role", "auditor=default", "--map-role", "deployer=default"];
    place.restored(&[&["--force"][..], &mapped].concat());
    let crossed = "hash_salt: s\nusers:\n- {username: eve, roles: [default]}\nencryption_key: k\n";
    assert_eq!(place.read_security_file(), crossed);
    // The way back takes nothing over and changes no role.
    place.snap(&["rollback"]).succeeded();
    assert_eq!(place.read_security_file(), live);
    // Onto the database of before, all is as it was.
    place.server.sql("USE centreon_studio; ALTER TABLE users_tenants DROP role_id");
    place.restored(&["--force"]);
    let saved = crossed.replace("default", "deployer").replace("encryption_key: k\n", "");
    assert_eq!(place.read_security_file(), saved);
}

#[cfg(feature = "fault-points")]
#[test]
fn a_restore_that_is_killed_is_resumed_to_the_same_bytes_or_undone() {
    let (old, new) = (golden("4.1/rest-security.conf"), golden("5.0/rest-security.conf"));
    let place = saved(&old, Some("4.1"));
    place.write_security_file(&new);
    let arguments = ["restore", "before", "--to-version", "5.0"];
    let points = place.points(&arguments);
    let merged = place.read_security_file();
    assert!(merged != old && merged != new, "{merged}");
    let mut finished = 0;
    for (point, time) in crate::faults::counted(&points) {
        place.write_security_file(&new);
        place.kill_at(point, time, &arguments);
        place.snap(&["restore", "--resume"]).succeeded();
        let found = place.read_security_file();
        assert!(found == new || found == merged, "{point}: {found}");
        finished += usize::from(found == merged);
    }
    assert!(finished > 0, "none of {points:?} was resumed to its end");
}
