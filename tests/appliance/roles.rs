//! Roles of a manager up to 4.1 become those of 4.2 and above when they are restored there: over the
//! tables of real versions, `fixtures/roles`, in a real database.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::place::Output;
use crate::place::Place;

/// A manager whose only source is its database, which holds the roles.
const PROFILE: &str = "
    [profiles.studio]
    rules = 'cloudify-manager'
    [profiles.studio.roles]
    database = 'database'
    [[profiles.studio.sources]]
    name = 'database'
    kind = 'database'
    database = 'centreon_studio'
";

/// A column that holds roles beside the tables.
const COLUMN: &str = "
    [[profiles.studio.roles.columns]]
    source = 'database'
    table = 'app'
    column = 'role'
";

const RESTORE: &[&str] = &["restore", "before", "--force", "--no-safety-snapshot"];
const ONTO_5_0: &[&str] =
    &["restore", "before", "--force", "--no-safety-snapshot", "--to-version", "5.0"];

/// The tables as Cloudify Manager makes them; in those of links nothing stands in the way of a link
/// that stands twice.
const TABLES: &str = "
    CREATE TABLE roles (id INT NOT NULL AUTO_INCREMENT, name VARCHAR(255) NOT NULL,
        description TEXT, PRIMARY KEY (id), UNIQUE KEY roles_name_key (name)) AUTO_INCREMENT = 40;
    CREATE TABLE users (id INT NOT NULL AUTO_INCREMENT, username VARCHAR(255), active BOOL,
        password VARCHAR(255), PRIMARY KEY (id), UNIQUE KEY users_username_key (username));
    CREATE TABLE `groups` (id INT NOT NULL AUTO_INCREMENT, name VARCHAR(255) NOT NULL,
        ldap_dn TEXT, PRIMARY KEY (id), UNIQUE KEY groups_name_key (name));
    CREATE TABLE tenants (id INT NOT NULL AUTO_INCREMENT, name VARCHAR(255), PRIMARY KEY (id));
    CREATE TABLE users_roles (user_id INT, role_id INT,
        CONSTRAINT users_roles_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id),
        CONSTRAINT users_roles_role_id_fkey FOREIGN KEY (role_id) REFERENCES roles (id));
    CREATE TABLE groups_roles (group_id INT, role_id INT,
        CONSTRAINT groups_roles_group_id_fkey FOREIGN KEY (group_id) REFERENCES `groups` (id),
        CONSTRAINT groups_roles_role_id_fkey FOREIGN KEY (role_id) REFERENCES roles (id));
    CREATE TABLE users_groups (user_id INT, group_id INT,
        CONSTRAINT users_groups_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id),
        CONSTRAINT users_groups_group_id_fkey FOREIGN KEY (group_id) REFERENCES `groups` (id));";

/// The links to tenants up to 4.1.
const WITHOUT_ROLES: &str = "
    CREATE TABLE users_tenants (user_id INT, tenant_id INT,
        CONSTRAINT users_tenants_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id),
        CONSTRAINT users_tenants_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id));
    CREATE TABLE groups_tenants (group_id INT, tenant_id INT,
        CONSTRAINT groups_tenants_group_id_fkey FOREIGN KEY (group_id) REFERENCES `groups` (id),
        CONSTRAINT groups_tenants_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id));";

/// The same since 4.2, as a restore makes them of those.
const WITH_ROLES: &str = "
    CREATE TABLE users_tenants (user_id INT NOT NULL, tenant_id INT NOT NULL,
        role_id INT NOT NULL, PRIMARY KEY (user_id, tenant_id),
        KEY users_tenants_user_id_fkey (user_id), KEY users_tenants_tenant_id_fkey (tenant_id), KEY users_tenants_role_id_fkey (role_id),
        CONSTRAINT users_tenants_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id),
        CONSTRAINT users_tenants_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id),
        CONSTRAINT users_tenants_role_id_fkey FOREIGN KEY (role_id) REFERENCES roles (id));
    CREATE TABLE groups_tenants (group_id INT NOT NULL, tenant_id INT NOT NULL,
        role_id INT NOT NULL, PRIMARY KEY (group_id, tenant_id),
        KEY groups_tenants_group_id_fkey (group_id), KEY groups_tenants_tenant_id_fkey (tenant_id), KEY groups_tenants_role_id_fkey (role_id),
        CONSTRAINT groups_tenants_group_id_fkey FOREIGN KEY (group_id) REFERENCES `groups` (id),
        CONSTRAINT groups_tenants_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id),
        CONSTRAINT groups_tenants_role_id_fkey FOREIGN KEY (role_id) REFERENCES roles (id));";

/// What stands in the tables: ids and names, and links between ids.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    roles: Vec<(u64, String)>,
    users: Vec<(u64, String)>,
    groups: Vec<(u64, String)>,
    tenants: Vec<(u64, String)>,
    users_roles: Vec<Vec<u64>>,
    groups_roles: Vec<Vec<u64>>,
    users_groups: Vec<Vec<u64>>,
    users_tenants: Vec<Vec<u64>>,
    groups_tenants: Vec<Vec<u64>>,
}

impl Tables {
    /// Returns those of a file of `fixtures/roles`.
    fn of(file: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/roles");
        let text = fs::read_to_string(folder.join(file)).expect("read the tables");
        toml::from_str(&text).expect("understand the tables")
    }

    /// Returns those that stand in the live database.
    fn live(place: &Place) -> Self {
        let rows = |sql: &str| place.server.sql(&format!("USE centreon_studio; {sql}"));
        let names = |table: &str, column: &str| {
            let listed = rows(&format!("SELECT id, {column} FROM `{table}`"));
            let named = |line: &str| {
                let (id, name) = line.split_once('\t').expect("two columns");
                (id.parse().expect("an id"), name.to_owned())
            };
            listed.lines().map(named).collect()
        };
        let links = |table: &str| {
            let number = |text: &str| text.parse().expect("an id");
            let listed = rows(&format!("SELECT * FROM {table}"));
            listed.lines().map(|line| line.split('\t').map(number).collect()).collect()
        };
        Self {
            roles: names("roles", "name"),
            users: names("users", "username"),
            groups: names("groups", "name"),
            tenants: names("tenants", "name"),
            users_roles: links("users_roles"),
            groups_roles: links("groups_roles"),
            users_groups: links("users_groups"),
            users_tenants: links("users_tenants"),
            groups_tenants: links("groups_tenants"),
        }
        .sorted()
    }

    /// Returns the same, rows that have no order in one.
    fn sorted(mut self) -> Self {
        for names in [&mut self.roles, &mut self.users, &mut self.groups, &mut self.tenants] {
            names.sort();
        }
        let links = [
            &mut self.users_roles,
            &mut self.groups_roles,
            &mut self.users_groups,
            &mut self.users_tenants,
            &mut self.groups_tenants,
        ];
        for links in links {
            links.sort();
        }
        self
    }

    /// Returns the statements that add the rows to empty tables.
    fn inserts(&self) -> String {
        let names = [
            ("roles", "name", &self.roles),
            ("users", "username", &self.users),
            ("`groups`", "name", &self.groups),
            ("tenants", "name", &self.tenants),
        ];
        let links = [
            ("users_roles", &self.users_roles),
            ("groups_roles", &self.groups_roles),
            ("users_groups", &self.users_groups),
            ("users_tenants", &self.users_tenants),
            ("groups_tenants", &self.groups_tenants),
        ];
        let mut sql = "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO';".to_owned();
        for (table, column, rows) in names {
            for (id, name) in rows {
                let row = format!("VALUES ({id}, '{name}')");
                sql.extend(["INSERT INTO ", table, " (id, ", column, ") ", &row, ";"]);
            }
        }
        for (table, rows) in links {
            for ids in rows {
                let ids = ids.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
                sql.extend(["INSERT INTO ", table, " VALUES (", &ids, ");"]);
            }
        }
        sql
    }
}

impl Place {
    /// Returns a place with a manager whose database is this one.
    fn manager(tables: &Tables, links: &str) -> Self {
        Self::empty().with_manager(tables, links)
    }

    fn with_manager(self, tables: &Tables, links: &str) -> Self {
        let place = self;
        place.configure(PROFILE);
        place.make_manager(tables, links);
        place
    }

    /// Makes the live database this one.
    fn make_manager(&self, tables: &Tables, links: &str) {
        self.server.sql(&format!(
            "DROP DATABASE IF EXISTS centreon_studio; CREATE DATABASE centreon_studio; \
             USE centreon_studio; {TABLES} {links} {}
             UPDATE users SET password = CONCAT('hash of ', username);
             CREATE VIEW who AS SELECT username, name FROM users
                 JOIN users_roles ON users.id = user_id JOIN roles ON roles.id = role_id;
             CREATE TABLE app (id INT PRIMARY KEY, role VARCHAR(20),
                 changed TIMESTAMP NOT NULL DEFAULT '2017-01-02 03:04:05' ON UPDATE CURRENT_TIMESTAMP);
             ANALYZE TABLE users_tenants PERSISTENT FOR ALL;",
            tables.inserts()
        ));
    }

    /// Returns a place with a manager 4.1 that is saved as `before`.
    fn saved_manager() -> Self {
        let place = Self::manager(&Tables::of("4.1/tables.toml"), WITHOUT_ROLES);
        place.snap(&["create", "before"]).succeeded();
        place
    }

    fn all_of_it(&self) -> String {
        self.server.dump("centreon_studio")
    }

    fn drop_manager(&self) {
        self.server.sql("DROP DATABASE centreon_studio");
    }

    /// Runs a `snap` that ends with this code and leaves the live database alone.
    fn refused(&self, code: i32, arguments: &[&str]) -> Output {
        let (before, beside) = (self.all_of_it(), self.beside());
        let output = self.snap(arguments);
        assert_eq!(output.code, code, "{output:#?}");
        assert_eq!(self.all_of_it(), before, "something was touched");
        assert_eq!(self.beside(), beside, "something is left");
        output
    }
}

#[test]
fn the_roles_of_4_0_and_4_1_become_those_of_the_golden_tables() {
    for version in ["4.0", "4.1"] {
        let old = Tables::of(&format!("{version}/tables.toml"));
        let golden = Tables::of(&format!("{version}/tables.after.toml")).sorted();
        let place = Place::manager(&old, WITHOUT_ROLES);
        place.snap(&["create", "before", "--from-version", version]).succeeded();
        // All of it is live already, and becomes another all the same.
        place.snap(ONTO_5_0).succeeded();
        assert_eq!(Tables::live(&place), golden, "{version}");
    }
}

#[test]
fn roles_become_those_of_the_golden_tables_on_the_next_release_too() {
    let place = Place::of_release("11.8", &[]);
    let place = place.with_manager(&Tables::of("4.1/tables.toml"), WITHOUT_ROLES);
    place.snap(&["create", "before"]).succeeded();
    place.snap(ONTO_5_0).succeeded();
    assert_eq!(Tables::live(&place), Tables::of("4.1/tables.after.toml").sorted());
    place.snap(&["rollback"]).succeeded();
    assert_eq!(Tables::live(&place), Tables::of("4.1/tables.toml").sorted());
}

#[test]
fn a_remapping_that_comes_out_otherwise_is_found_before_anything_is_swapped() {
    let place = Place::manager(&Tables::of("4.1/tables.toml"), WITHOUT_ROLES);
    // No room for `sys_admin`, which would be cut off.
    place.server.sql("ALTER TABLE centreon_studio.roles MODIFY name VARCHAR(8) NOT NULL");
    place.snap(&["create", "before"]).succeeded();
    let output = place.refused(22, ONTO_5_0);
    assert!(output.stderr.contains("came out otherwise"), "{output:#?}");
}

#[test]
fn tables_that_no_primary_key_can_be_given_refuse_a_restore() {
    let place = Place::manager(&Tables::of("4.1/tables.toml"), WITHOUT_ROLES);
    place
        .server
        .sql("ALTER TABLE centreon_studio.users_tenants ADD id INT AUTO_INCREMENT PRIMARY KEY");
    place.snap(&["create", "before"]).succeeded();
    let output = place.refused(14, ONTO_5_0);
    let text = "the primary key of \"users_tenants\" is to be user_id, tenant_id";
    assert!(output.stderr.contains(text), "{output:#?}");
}

#[test]
fn roles_that_would_be_one_and_that_others_point_to_refuse_a_restore() {
    let place = Place::manager(&odd_manager(), WITHOUT_ROLES);
    place.server.sql(
        "USE centreon_studio; CREATE TABLE permissions (role INT, what TEXT,
             FOREIGN KEY (role) REFERENCES roles (id) ON DELETE CASCADE);
         INSERT INTO permissions VALUES (3, 'deploys')",
    );
    place.snap(&["create", "before"]).succeeded();
    let output = place.refused(14, &[ONTO_5_0, MAPPED].concat());
    assert!(output.stderr.contains("\"permissions\" points to rows of \"roles\""), "{output:#?}");
}

#[test]
fn a_key_that_is_there_already_stays_and_names_are_read_in_any_character_set() {
    let place = Place::manager(&Tables::of("4.1/tables.after.toml"), WITH_ROLES);
    place.make_manager(&Tables::of("4.0/tables.toml"), WITHOUT_ROLES);
    place.server.sql(
        "USE centreon_studio; ALTER TABLE users_tenants ADD PRIMARY KEY (tenant_id, user_id);
         ALTER TABLE roles MODIFY name VARCHAR(20) CHARACTER SET utf16;
         UPDATE users SET username = 'andr\u{e9}\tand \\\\ more' WHERE id = 0",
    );
    place.snap(&["create", "before"]).succeeded();
    place.snap(ONTO_5_0).succeeded();
    let live = Tables::live(&place);
    let golden = Tables::of("4.0/tables.after.toml").sorted();
    assert_eq!(
        [&live.users_tenants, &live.users_roles],
        [&golden.users_tenants, &golden.users_roles]
    );
    assert_eq!(live.roles, golden.roles);
    let key = place.server.sql("SHOW CREATE TABLE centreon_studio.users_tenants");
    assert!(key.contains("PRIMARY KEY (`tenant_id`,`user_id`)"), "{key}");
}

#[test]
fn the_database_is_defined_as_that_of_4_2_and_nothing_else_changes() {
    let place = Place::saved_manager();
    place.snap(ONTO_5_0).succeeded();
    let restored = place.all_of_it();
    let passwords = place.server.sql("SELECT GROUP_CONCAT(password) FROM centreon_studio.users");
    assert!(passwords.contains("hash of admin,hash of alice"), "{passwords}");
    let roles = place.server.sql("SHOW CREATE TABLE centreon_studio.roles");
    assert!(roles.contains("AUTO_INCREMENT=40 "), "{roles}");
    let statistics = "SELECT column_name FROM mysql.column_stats WHERE db_name = 'centreon_studio'
        AND table_name = 'users_tenants' ORDER BY 1";
    assert_eq!(place.server.sql(statistics), "role_id\ntenant_id\nuser_id\n");
    let refused = "INSERT INTO centreon_studio.users_tenants VALUES (2, 1, 99)";
    assert!(place.server.fails(refused).contains("foreign key constraint fails"));

    place.make_manager(&Tables::of("4.1/tables.after.toml"), WITH_ROLES);
    place.server.sql("ALTER TABLE centreon_studio.roles AUTO_INCREMENT = 40");
    let made = place.all_of_it();
    let differing = restored.lines().zip(made.lines()).find(|(one, other)| one != other);
    assert!(restored == made, "{differing:?}");
}

#[test]
fn a_snapshot_that_is_restored_twice_gives_the_same_twice() {
    let place = Place::saved_manager();
    place.snap(ONTO_5_0).succeeded();
    let once = place.all_of_it();
    place.snap(ONTO_5_0).succeeded();
    assert_eq!(place.all_of_it(), once);
    // What is live is in the new shape by now, and tells by itself.
    place.snap(RESTORE).succeeded();
    assert_eq!(place.all_of_it(), once);
}

#[test]
fn the_roles_of_4_2_and_5_0_come_back_as_they_were() {
    for version in ["4.2", "5.0"] {
        let tables = Tables::of(&format!("{version}/tables.toml"));
        let place = Place::manager(&tables, WITH_ROLES);
        let saved = place.all_of_it();
        place.snap(&["create", "before", "--from-version", version]).succeeded();
        place.snap(ONTO_5_0).succeeded();
        assert_eq!(place.all_of_it(), saved);
        place.drop_manager();
        // Nothing has to tell.
        place.snap(RESTORE).succeeded();
        assert_eq!(place.all_of_it(), saved);
    }
}

#[test]
fn what_was_live_before_comes_back_with_its_own_roles() {
    let place = Place::saved_manager();
    let old = place.all_of_it();
    place.snap(ONTO_5_0).succeeded();
    place.snap(&["rollback"]).succeeded();
    assert_eq!(place.all_of_it(), old);
}

#[test]
fn a_target_that_nothing_is_known_of_is_asked_for() {
    let place = Place::saved_manager();
    place.drop_manager();
    for extra in [&[][..], &["--dry-run"]] {
        let output = place.snap(&[RESTORE, extra].concat());
        assert_eq!(output.code, 2, "{output:#?}");
        assert!(output.stderr.contains("--to-version"), "{output:#?}");
    }
    place.snap(&[RESTORE, &["--to-version", "4.1.1.1"]].concat()).succeeded();
    assert_eq!(Tables::live(&place), Tables::of("4.1/tables.toml").sorted());
    place.drop_manager();
    place.snap(&[RESTORE, &["--to-version", "4.10"]].concat()).succeeded();
    assert_eq!(Tables::live(&place), Tables::of("4.1/tables.after.toml").sorted());
}

#[test]
fn the_shape_of_the_live_database_decides_where_no_version_is_known() {
    let place = Place::saved_manager();
    place.server.sql("UPDATE centreon_studio.users SET active = 1");
    let output = place.snap(RESTORE);
    assert!(output.succeeded().contains("note: roles come back as they were saved"), "{output:#?}");
    assert_eq!(Tables::live(&place), Tables::of("4.1/tables.toml").sorted());

    place.make_manager(&Tables::of("4.2/tables.toml"), WITH_ROLES);
    let output = place.snap(RESTORE);
    assert!(output.succeeded().contains("for the live database has such ones"), "{output:#?}");
    assert_eq!(Tables::live(&place), Tables::of("4.1/tables.after.toml").sorted());

    // A name of its own leads to the same target.
    place.snap(&["restore", "before", "--database", "look"]).succeeded();
    assert_eq!(place.server.sql("SELECT DISTINCT role_id FROM look.users_tenants"), "4\n");
}

#[test]
fn old_tables_of_a_snapshot_that_is_said_to_be_newer_are_left_alone() {
    let place = Place::manager(&Tables::of("4.1/tables.toml"), WITHOUT_ROLES);
    place.snap(&["create", "before", "--from-version", "4.2"]).succeeded();
    place.server.sql("UPDATE centreon_studio.users SET active = 1");
    let output = place.snap(ONTO_5_0);
    assert!(output.succeeded().contains("says that it is of a later version"), "{output:#?}");
    assert_eq!(Tables::live(&place), Tables::of("4.1/tables.toml").sorted());
}

#[test]
fn a_snapshot_of_a_newer_manager_is_refused() {
    let place = Place::manager(&Tables::of("5.0/tables.toml"), WITH_ROLES);
    place.snap(&["create", "before", "--from-version", "5.0.5"]).succeeded();
    for extra in [&[][..], &["--dry-run"]] {
        let arguments = [RESTORE, &["--to-version", "5.0"], extra].concat();
        let output = place.refused(14, &arguments);
        let text = "cannot restore a newer manager's snapshot on this manager [5.0.5 > 5.0]";
        assert!(output.stderr.contains(text), "{output:#?}");
    }
}

/// What the roles of an odd manager become.
const MAPPED: &[&str] = &["--map-role", "deployer=default", "--map-role", "viewer=sys_admin"];

/// A manager 4.1 with a role of its own, and one that is called as a tenant role since.
fn odd_manager() -> Tables {
    let mut odd = Tables::of("4.1/tables.toml");
    odd.roles.extend([(3, "deployer".to_owned()), (7, "viewer".to_owned())]);
    odd.users_roles.push(vec![2, 3]);
    odd.groups_roles.push(vec![1, 7]);
    odd
}

#[test]
fn unknown_roles_refuse_a_restore_and_it_is_said_who_has_them() {
    let place = Place::manager(&odd_manager(), WITHOUT_ROLES);
    place.snap(&["create", "before"]).succeeded();
    let viewer = "\"viewer\" (group \"operators\")";
    let both = format!("\"deployer\" (user \"bob\"), {viewer}");
    let keep = &["--keep-unknown-roles"][..];
    // One that is called as a tenant role cannot be kept.
    for (extra, who) in [(&[][..], both.as_str()), (&["--dry-run"], &both), (keep, viewer)] {
        let output = place.refused(14, &[ONTO_5_0, extra].concat());
        assert!(output.stderr.contains(&format!("not known: {who}\n")), "{output:#?}");
    }
    let mistaken = place.snap(&[ONTO_5_0, &["--map-role", "deployer=user"]].concat());
    assert_eq!(mistaken.code, 2, "{mistaken:#?}");
}

#[test]
fn unknown_roles_become_what_the_user_says_or_stay() {
    let place = Place::manager(&odd_manager(), WITHOUT_ROLES);
    place.snap(&["create", "before"]).succeeded();
    place.snap(&[ONTO_5_0, MAPPED].concat()).succeeded();
    let live = Tables::live(&place);
    let names: BTreeMap<_, _> = live.roles.iter().cloned().collect();
    let of_bob: Vec<_> = live.users_roles.iter().filter(|link| link[0] == 2).collect();
    assert_eq!(of_bob.len(), 1, "two roles of bob are one");
    assert_eq!(names[&of_bob[0][1]], "default");
    assert_eq!(names[&live.groups_roles[0][1]], "sys_admin");
    let mut all: Vec<_> = names.values().map(String::as_str).collect();
    all.sort_unstable();
    assert_eq!(all, ["default", "manager", "operations", "sys_admin", "user", "viewer"]);

    let kept = ["--keep-unknown-roles", "--map-role", "viewer=default"];
    place.snap(&[ONTO_5_0, &kept].concat()).succeeded();
    let live = Tables::live(&place);
    assert!(live.roles.contains(&(3, "deployer".to_owned())));
    assert!(live.users_roles.contains(&vec![2, 3]));
}

#[test]
fn links_that_lead_to_nobody_refuse_a_restore() {
    let place = Place::manager(&Tables::of("4.1/tables.toml"), WITHOUT_ROLES);
    place.server.sql(
        "USE centreon_studio; SET foreign_key_checks = 0; INSERT INTO users_roles VALUES (5, 4)",
    );
    place.snap(&["create", "before"]).succeeded();
    // The fourth role would have become one of those that are added.
    let output = place.refused(14, ONTO_5_0);
    let text = "\"users_roles\" links to 4 of \"roles\", which is not there";
    assert!(output.stderr.contains(text), "{output:#?}");
    place.snap(&[RESTORE, &["--to-version", "4.1"]].concat()).succeeded();
}

#[test]
fn a_dry_run_tells_who_changes_from_what_to_what() {
    let place = Place::saved_manager();
    let output = place.refused(0, &[ONTO_5_0, &["--dry-run"]].concat());
    let begin = output.stdout.find("database: 14 rights to change").expect("a table of rights");
    let end = output.stdout[begin..].find("\n\n").map_or(output.stdout.len(), |end| begin + end);
    assert_eq!(
        output.stdout[begin..end].lines().map(str::trim_end).collect::<Vec<_>>(),
        [
            "database: 14 rights to change",
            "  HOLDER             TENANT          BEFORE  AFTER      ROWS",
            "  user \"admin\"       -               admin   sys_admin     1",
            "  user \"admin\"       default_tenant  -       user          1",
            "  user \"alice\"       -               user    default       1",
            "  user \"alice\"       T1              -       user          3",
            "  user \"alice\"       user            -       user          1",
            "  user \"bob\"         -               user    default       2",
            "  user \"carol\"       -               admin   sys_admin     1",
            "  user \"carol\"       -               user    default       1",
            "  user \"carol\"       T1              -       user          1",
            "  user \"user\"        -               user    default       1",
            "  user \"user\"        default_tenant  -       user          1",
            "  group \"operators\"  T1              -       user          2",
            "  group \"user\"       default_tenant  -       user          1",
            "  group \"user\"       user            -       user          1",
        ]
    );
    let note = "note: user \"carol\" has several system roles";
    assert!(output.stdout.contains(note), "{output:#?}");

    let restored = place.snap(&[ONTO_5_0, &["--json"]].concat());
    let json: serde_json::Value = serde_json::from_str(restored.succeeded()).expect("read JSON");
    let lines = json["restore"]["sources"][0]["roles"].as_array().expect("rights");
    assert_eq!(lines.len(), 14);
    assert_eq!(lines[0]["holder"]["user"], "admin");
    assert_eq!([&lines[0]["before"], &lines[0]["after"]], ["admin", "sys_admin"]);
}

#[test]
fn hundreds_of_users_are_not_all_shown_unless_they_are_asked_for() {
    let mut many = Tables::of("4.0/tables.toml");
    for id in 1..300 {
        many.users.push((id, format!("u{id}")));
        many.users_roles.push(vec![id, 2]);
    }
    let place = Place::manager(&many, WITHOUT_ROLES);
    place.snap(&["create", "before"]).succeeded();
    let output = place.refused(0, &[ONTO_5_0, &["--dry-run"]].concat());
    assert!(output.stdout.contains("\nand 261 more, which -v and --json name\n"), "{output:#?}");
    let output = place.snap(&[ONTO_5_0, &["--dry-run", "-v"]].concat());
    assert!(output.succeeded().contains("user \"u299\" "), "{output:#?}");
}

#[test]
fn roles_are_not_remapped_in_place() {
    let place = Place::saved_manager();
    let output =
        place.refused(14, &["restore", "before", "--force", "--in-place", "--to-version", "5.0"]);
    assert!(output.stderr.contains("without --in-place"), "{output:#?}");
}

#[test]
fn a_column_that_the_profile_names_is_remapped_too() {
    let place = Place::manager(&Tables::of("4.1/tables.toml"), WITHOUT_ROLES);
    place.configure(&format!("{PROFILE}{COLUMN}"));
    place.server.sql(
        "INSERT INTO centreon_studio.app (id, role)
         VALUES (1, 'admin'), (2, 'user'), (3, NULL), (4, 'user'), (5, 'default')",
    );
    place.snap(&["create", "before"]).succeeded();
    let output = place.snap(ONTO_5_0);
    assert!(output.succeeded().contains("column app.role"), "{output:#?}");
    let rows = "SELECT id, role, changed FROM centreon_studio.app ORDER BY id";
    let golden = "1\tsys_admin\t2017-01-02 03:04:05\n2\tdefault\t2017-01-02 03:04:05\n\
                  3\tNULL\t2017-01-02 03:04:05\n4\tdefault\t2017-01-02 03:04:05\n\
                  5\tdefault\t2017-01-02 03:04:05\n";
    assert_eq!(place.server.sql(rows), golden);
    place.snap(ONTO_5_0).succeeded();
    assert_eq!(place.server.sql(rows), golden, "it is the same twice");

    place.make_manager(&Tables::of("4.1/tables.toml"), WITHOUT_ROLES);
    place.server.sql("INSERT INTO centreon_studio.app (id, role) VALUES (1, 'User')");
    place.snap(&["create", "odd"]).succeeded();
    let output = place.refused(14, &["restore", "odd", "--force", "--to-version", "5.0"]);
    assert!(output.stderr.contains("not known: \"User\" (column app.role)"), "{output:#?}");
}

#[test]
fn a_database_that_holds_no_roles_asks_for_nothing() {
    let place = Place::empty();
    place.configure(PROFILE);
    place
        .server
        .sql("CREATE DATABASE centreon_studio; CREATE TABLE centreon_studio.users (id INT)");
    place.snap(&["create", "before"]).succeeded();
    place.drop_manager();
    let output = place.snap(RESTORE);
    assert!(!output.succeeded().contains("roles"), "{output:#?}");
}

/// A way to find the version, in a file below the root.
const DETECTED: &str = "
    [[profiles.studio.versions]]
    file = '/opt/version'
";

#[test]
fn versions_are_detected_on_both_sides() {
    let place = Place::manager(&Tables::of("4.1/tables.toml"), WITHOUT_ROLES);
    place.configure(&format!("{PROFILE}{DETECTED}"));
    let install = |version: &str| {
        fs::create_dir_all(place.root().join("opt")).expect("create a folder");
        fs::write(place.root().join("opt/version"), version).expect("write the version");
    };
    install("cloudify 4.1.1");
    place.snap(&["create", "before"]).succeeded();
    let shown = place.snap(&["show", "before", "--json"]);
    assert!(shown.succeeded().contains("\"product_version\": \"4.1.1\""), "{shown:#?}");
    place.drop_manager();
    install("cloudify 4.0");
    place.snap(RESTORE).failed(14, &["on this manager [4.1.1 > 4.0]"]);
    install("cloudify 4.3");
    place.snap(RESTORE).succeeded();
    assert_eq!(Tables::live(&place), Tables::of("4.1/tables.after.toml").sorted());
    // What the user says counts.
    place.snap(&[RESTORE, &["--to-version", "4.1.1"]].concat()).succeeded();
    assert_eq!(Tables::live(&place), Tables::of("4.1/tables.toml").sorted());
    let mistaken = place.snap(&["create", "--from-version", "latest"]);
    assert_eq!(mistaken.code, 2, "{mistaken:#?}");
}

/// Returns the points that a remapping comes to.
#[cfg(feature = "fault-points")]
pub(crate) fn points() -> Vec<String> {
    Place::saved_manager().points(ONTO_5_0)
}

#[cfg(feature = "fault-points")]
#[test]
fn a_remapping_that_is_killed_leaves_nothing_and_is_done_again() {
    let place = Place::saved_manager();
    let old = place.all_of_it();
    for point in [
        "staging.roles-linked",
        "staging.roles-renamed",
        "staging.tenants-have-roles",
        "staging.remapped",
        "database.moved",
    ] {
        let killed = place.command(ONTO_5_0).env("FAILPOINTS", format!("{point}=return")).output();
        let killed = Output::of(killed.expect("start snap"));
        assert_eq!(killed.code, -1, "{point}: {killed:#?}");
        place.wait_until_alone();
        place.snap(&["restore", "--resume"]).succeeded();
        if point.starts_with("staging") {
            assert_eq!(place.all_of_it(), old, "{point}");
            place.snap(ONTO_5_0).succeeded();
        }
        let golden = Tables::of("4.1/tables.after.toml").sorted();
        assert_eq!(Tables::live(&place), golden, "{point}");
        place.snap(&["rollback"]).succeeded();
        assert_eq!(place.all_of_it(), old, "{point}");
        place.snap(&["restore", "--discard-previous"]).succeeded();
    }
}

#[cfg(feature = "fault-points")]
#[test]
fn a_restore_in_place_that_is_killed_goes_on_with_the_roles_that_it_began_with() {
    let place = Place::saved_manager();
    let old = Tables::live(&place);
    place.server.sql("UPDATE centreon_studio.users SET active = 1");
    // The live tables tell by their shape, and are gone by the time of the resume.
    let arguments = ["restore", "before", "--force", "--full", "--in-place"];
    let mut killed = place.command(&arguments);
    let killed = killed.env("FAILPOINTS", "in-place.connected=return").output();
    assert_eq!(Output::of(killed.expect("start snap")).code, -1);
    place.wait_until_alone();
    place.server.sql("DROP TABLE IF EXISTS centreon_studio.users_tenants");
    place.snap(&["restore", "--resume"]).succeeded();
    assert_eq!(Tables::live(&place), old);
}

#[test]
fn a_role_that_is_mapped_where_no_roles_become_others_is_said() {
    let place = Place::empty();
    place.make_security_file();
    place.save_security_file_only();
    place.snap(&["create", "before"]).succeeded();
    for more in [&["--dry-run"][..], &[]] {
        let words = [RESTORE, &["--map-role", "custom=default"], more].concat();
        let restored = place.snap(&words);
        restored.succeeded();
        assert!(restored.stderr.contains("note: --map-role changes nothing"), "{restored:#?}");
        let silent = place.snap(&[RESTORE, more].concat());
        assert!(!silent.stderr.contains("--map-role"), "{silent:#?}");
    }
}
