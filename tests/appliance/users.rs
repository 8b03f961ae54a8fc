//! Accounts and grants: saved with a database, restored on another server when asked.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::place::Output;
use crate::place::Place;
use crate::restore_failures::WAITING;
use crate::restore_failures::finished;

/// One of everything that an account can be or have.
pub(crate) const ACCOUNTS: &str = "
    CREATE ROLE readers; CREATE ROLE writers; CREATE ROLE `odd ``role`; CREATE ROLE idle;
    CREATE USER studio@localhost IDENTIFIED BY 'sesame' WITH MAX_QUERIES_PER_HOUR 500
      MAX_UPDATES_PER_HOUR 400 MAX_CONNECTIONS_PER_HOUR 300 MAX_USER_CONNECTIONS 3 MAX_STATEMENT_TIME 1.5;
    CREATE USER editor@'10.0.%' IDENTIFIED VIA ed25519 USING PASSWORD('geheim') OR unix_socket
      OR mysql_native_password USING PASSWORD('zweit');
    CREATE USER native@localhost IDENTIFIED VIA ed25519 USING PASSWORD('drei');
    CREATE USER socket@localhost IDENTIFIED VIA unix_socket USING 'somebody \\\\ ''else';
    CREATE USER locked@localhost IDENTIFIED BY 'x' ACCOUNT LOCK PASSWORD EXPIRE INTERVAL 30 DAY;
    CREATE USER expired@localhost IDENTIFIED BY 'x' PASSWORD EXPIRE;
    ALTER USER expired@localhost PASSWORD EXPIRE INTERVAL 7 DAY;
    CREATE USER never@localhost IDENTIFIED BY 'x' PASSWORD EXPIRE NEVER;
    CREATE USER secure@'%' IDENTIFIED BY 'x' REQUIRE SSL;
    CREATE USER certified@'%' REQUIRE X509;
    CREATE USER subject@'%' REQUIRE SUBJECT '/CN=it''s' AND ISSUER '/C=x' AND CIPHER 'AES';
    CREATE USER `o'dd ``@ \\\\`@'h\\_%'; CREATE USER public@localhost;
    CREATE USER owner@localhost IDENTIFIED BY 'x'; CREATE USER invalid@localhost
      IDENTIFIED VIA mysql_native_password USING 'invalid';
    GRANT SELECT ON centreon_studio.* TO PUBLIC;
    GRANT SELECT ON `centreon\\_studio`.* TO readers;
    GRANT readers TO writers; GRANT INSERT, UPDATE ON centreon_studio.* TO writers WITH GRANT OPTION;
    GRANT DELETE ON `centreon%`.* TO `odd ``role`; GRANT SHOW DATABASES ON *.* TO idle;
    GRANT writers TO editor@'10.0.%' WITH ADMIN OPTION;
    GRANT readers TO studio@localhost; GRANT idle TO studio@localhost;
    SET DEFAULT ROLE readers FOR studio@localhost;
    GRANT `odd ``role` TO `o'dd ``@ \\\\`@'h\\_%';
    GRANT ALL ON centreon_studio.* TO native@localhost; GRANT RELOAD, SET USER, SELECT ON *.* TO socket@localhost;
    GRANT ALL ON *.* TO locked@localhost WITH GRANT OPTION;
    GRANT SELECT (id, type), UPDATE (type), DELETE ON centreon_studio.element TO expired@localhost;
    GRANT SELECT ON centreon_studio.overview TO expired@localhost WITH GRANT OPTION;
    GRANT EXECUTE ON PROCEDURE centreon_studio.synchronise TO never@localhost;
    GRANT EXECUTE, ALTER ROUTINE ON FUNCTION centreon_studio.tag_of TO readers WITH GRANT OPTION;
    GRANT INSERT ON `%`.* TO secure@'%'; GRANT SELECT ON `centreon_studi_`.* TO certified@'%';
    GRANT LOCK TABLES, SELECT ON centreon_studio.* TO subject@'%', public@localhost, invalid@localhost;
    CREATE DEFINER = owner@localhost PROCEDURE centreon_studio.owned() SELECT 1;
    CREATE USER stranger@localhost; GRANT idle TO stranger@localhost; GRANT ALL ON test_.* TO stranger@localhost;";

/// Makes of these accounts what a restore makes of them: what they may do beyond the database is withheld.
pub(crate) const CONFINED: &str = "
    REVOKE SHOW DATABASES ON *.* FROM idle; REVOKE DELETE ON `centreon%`.* FROM `odd ``role`;
    GRANT DELETE ON `centreon\\_studio`.* TO `odd ``role`;
    REVOKE RELOAD, SET USER, SELECT ON *.* FROM socket@localhost; REVOKE ALL, GRANT OPTION FROM locked@localhost;
    REVOKE INSERT ON `%`.* FROM secure@'%'; GRANT INSERT ON `centreon\\_studio`.* TO secure@'%';
    REVOKE SELECT ON `centreon_studi_`.* FROM certified@'%'; GRANT SELECT ON `centreon\\_studio`.* TO certified@'%';";

/// The statements for what is withheld of them.
pub(crate) const WITHHELD: &[&str] = &[
    "account `idle` is restored without what goes beyond the database; if it may have that here, run: \
     GRANT SHOW DATABASES ON *.* TO `idle`;",
    "run: GRANT DELETE ON `centreon%`.* TO `odd ``role`;",
    "run: GRANT RELOAD, SELECT, SET USER ON *.* TO `socket`@`localhost`;",
    "run: GRANT ALL PRIVILEGES ON *.* TO `locked`@`localhost` WITH GRANT OPTION;",
    "run: GRANT INSERT ON `%`.* TO `secure`@`%`;",
    "run: GRANT SELECT ON `centreon_studi_`.* TO `certified`@`%`;",
];

pub(crate) const USERS: &[&str] = &[
    "studio@localhost",
    "editor@'10.0.%'",
    "native@localhost",
    "socket@localhost",
    "locked@localhost",
    "expired@localhost",
    "never@localhost",
    "secure@'%'",
    "certified@'%'",
    "subject@'%'",
    "`o'dd ``@ \\\\`@'h\\_%'",
    "public@localhost",
    "owner@localhost",
    "invalid@localhost",
];

pub(crate) const ROLES: &[&str] = &["readers", "writers", "`odd ``role`", "idle", "PUBLIC"];

pub(crate) const SOURCE: &str = "[[profiles.studio.sources]]\nname = 'database'\nkind = 'database'\n\
    database = 'centreon_studio'\nusers = true\n";

impl Place {
    /// Returns a place with the fixture's database, whose profile saves its accounts.
    pub(crate) fn with_accounts(accounts: &str) -> Self {
        let place = Self::without_accounts();
        place.server.load_fixture();
        place.server.sql(accounts);
        place
    }

    /// Returns a place for accounts to come to.
    pub(crate) fn without_accounts() -> Self {
        let place = Self::with_options(&["--plugin-load-add=auth_ed25519"]);
        place.configure(SOURCE);
        place
    }

    /// Runs a `snap` on the repository of another place.
    pub(crate) fn snap_on(&self, other: &Self, arguments: &[&str]) -> Output {
        let repository = format!("--repository={}", other.repository().display());
        self.snap(&[arguments, &[&repository]].concat())
    }

    /// Returns what the server says of these accounts, in the order of their names.
    pub(crate) fn accounts(&self, users: &[&str], roles: &[&str]) -> String {
        let shown =
            users.iter().map(|user| format!("SHOW CREATE USER {user}; SHOW GRANTS FOR {user};"));
        let granted = roles.iter().map(|role| format!("SHOW GRANTS FOR {role};"));
        shown.chain(granted).map(|statements| self.server.sql(&statements)).collect()
    }

    /// Returns who has which role, those aside whom the server brings along.
    pub(crate) fn members(&self) -> String {
        self.server.sql(
            "SELECT * FROM mysql.roles_mapping WHERE User <> 'stranger' ORDER BY Role, User, Host",
        )
    }

    /// Returns what somebody who logs in with a password gets as an answer.
    pub(crate) fn ask_as(&self, user: &str, password: &str, question: &str) -> String {
        let output = Command::new("mariadb")
            .args(["--no-defaults", "--batch", "--skip-column-names", "-u", user, "-e", question])
            .arg(format!("--password={password}"))
            .arg("--socket")
            .arg(self.server.socket())
            .output()
            .expect("start mariadb");
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8(said).expect("the client prints UTF-8")
    }
}

/// Fails with the lines that two answers of a server do not share.
#[track_caller]
pub(crate) fn assert_same(one: &str, other: &str) {
    let missing = |lines: &str, other: &str| {
        let lines = lines.lines().filter(|line| !other.lines().any(|there| there == *line));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(one == other, "-{:#?}\n+{:#?}", missing(other, one), missing(one, other));
}

/// Returns action and number of grants of each account in the answer of a restore.
fn planned(output: &Output) -> Vec<(String, String, usize)> {
    let json = output.json();
    let accounts = json["restore"]["sources"][0]["accounts"].as_array().expect("accounts");
    let word = |account: &Value, key: &str| account[key].as_str().unwrap_or_default().to_owned();
    let plan = accounts.iter().map(|account| {
        let grants = account["grants"].as_array().map_or(0, Vec::len);
        (word(account, "account"), word(account, "action"), grants)
    });
    plan.collect()
}

#[test]
fn accounts_come_to_another_server_as_they_were_and_log_in() {
    let home = Place::with_accounts(ACCOUNTS);
    home.snap(&["create", "before"]).succeeded();
    let away = Place::without_accounts();
    let restored = away.snap_on(&home, &["restore", "before", "--restore-users", "--json"]);
    restored.failed(3, WITHHELD);
    let note = "the days after which a password expires begin anew: `locked`@`localhost`";
    restored.failed(3, &[note]);
    home.server.sql(CONFINED);
    assert_same(&away.accounts(USERS, ROLES), &home.accounts(USERS, ROLES));
    assert_eq!(away.members(), home.members());
    assert_eq!(away.server.sql("SHOW DATABASES LIKE '%snap%'"), "", "something is left behind");
    let users = "SELECT COUNT(*) FROM mysql.global_priv WHERE User LIKE 'stranger'";
    assert_eq!(away.server.sql(users), "0\n", "an account came along that has no business here");

    let count = "SELECT CURRENT_ROLE(), COUNT(*) > 0 FROM centreon_studio.element";
    assert_eq!(away.ask_as("studio", "sesame", count), "readers\t1\n");
    assert!(away.ask_as("studio", "Sesame", count).contains("Access denied"));
    assert_eq!(away.ask_as("native", "drei", "SELECT 1 FROM centreon_studio.roles LIMIT 1"), "1\n");
    assert!(away.ask_as("locked", "x", "SELECT 1").contains("locked"));
    assert!(away.ask_as("expired", "x", "SELECT 1").contains("SET PASSWORD"));
}

#[test]
fn accounts_are_restored_only_when_asked_and_twice_changes_nothing() {
    let home = Place::with_accounts(ACCOUNTS);
    home.snap(&["create", "before"]).succeeded();
    let away = Place::without_accounts();
    let before = away.server.sql("SELECT User, Host FROM mysql.global_priv");
    away.snap_on(&home, &["restore", "before"]).succeeded();
    assert_eq!(away.server.sql("SELECT User, Host FROM mysql.global_priv"), before);

    let flags = ["restore", "before", "--restore-users", "--force"];
    let dry = away.snap_on(&home, &[&flags[..], &["--dry-run", "--json"]].concat());
    let plan = planned(&dry);
    let created: Vec<_> = plan.iter().filter(|(_, action, _)| action == "create").collect();
    assert_eq!(created.len(), USERS.len() + ROLES.len() - 1, "{plan:#?}");
    assert_eq!(away.server.sql("SELECT User, Host FROM mysql.global_priv"), before);
    let text = away.snap_on(&home, &[&flags[..], &["--dry-run"]].concat());
    let line = "GRANT SELECT (`id`, `type`), UPDATE (`type`)";
    assert!(text.succeeded().contains("DELETE, ") || text.stdout.contains(line), "{text:#?}");

    assert!(
        text.stdout.contains("\n  withheld: GRANT SHOW DATABASES ON *.* TO `idle`;"),
        "{text:#?}"
    );
    away.snap_on(&home, &flags).failed(3, WITHHELD);
    let once = away.accounts(USERS, ROLES);
    let again = away.snap_on(&home, &[&flags[..], &["--json"]].concat());
    again.succeeded();
    for (account, action, grants) in planned(&again) {
        assert_eq!((action.as_str(), grants), ("keep", 0), "{account}");
    }
    assert_same(&away.accounts(USERS, ROLES), &once);
    assert_eq!(away.members(), home.members());
}

/// A small database, and accounts of each kind that reach it.
pub(crate) const SMALL: &str = "
    CREATE DATABASE centreon_studio; USE centreon_studio;
    CREATE TABLE t (id INT PRIMARY KEY, secret INT); INSERT INTO t VALUES (1, 2);
    CREATE USER studio@localhost IDENTIFIED BY 'sesame'; CREATE USER sleepy@localhost IDENTIFIED BY 'x';
    CREATE DEFINER = studio@localhost VIEW v AS SELECT id FROM t;
    CREATE DEFINER = studio@localhost PROCEDURE p() SELECT 7;
    CREATE ROLE readers; GRANT SELECT ON centreon_studio.* TO readers; GRANT readers TO sleepy@localhost;
    GRANT ALL ON centreon_studio.* TO studio@localhost;
    GRANT INSERT (id) ON t TO sleepy@localhost; GRANT EXECUTE ON PROCEDURE p TO sleepy@localhost;
    GRANT SELECT ON v TO PUBLIC;";

pub(crate) const SMALL_USERS: &[&str] = &["studio@localhost", "sleepy@localhost"];
pub(crate) const SMALL_ROLES: &[&str] = &["readers", "PUBLIC"];
pub(crate) const ALL_NAMES: &str = "SELECT User, Host, Priv FROM mysql.global_priv";

/// Returns a place whose snapshot `before` holds a small database and its accounts.
pub(crate) fn small_home() -> Place {
    let home = Place::without_accounts();
    home.server.sql(SMALL);
    home.snap(&["create", "before"]).succeeded();
    home
}

#[test]
fn an_account_that_exists_keeps_its_password_and_gets_what_it_lacks_on_the_database() {
    let home = small_home();
    let away = Place::without_accounts();
    away.server.sql(
        "CREATE USER studio@localhost IDENTIFIED BY 'mine'; CREATE USER sleepy@localhost IDENTIFIED BY 'x';
         GRANT SELECT ON `centreon%`.* TO studio@localhost; CREATE ROLE readers;
         GRANT DELETE ON centreon_studio.* TO readers",
    );
    let restored = away.snap_on(&home, &["restore", "before", "--restore-users"]);
    restored.succeeded();
    let words = "note: account `studio`@`localhost` stays as it is: it exists with another password or other limits\n";
    assert!(restored.stderr.contains(words), "{restored:#?}");
    assert_eq!(away.ask_as("studio", "mine", "CALL centreon_studio.p()"), "7\n");
    let grants = away.server.sql("SHOW GRANTS FOR studio@localhost");
    for line in [
        "GRANT ALL PRIVILEGES ON `centreon\\_studio`.* TO",
        "GRANT SELECT ON `centreon%`.* TO",
        "GRANT USAGE ON *.* TO",
    ] {
        assert!(grants.contains(line), "{line}: {grants}");
    }
    let sleepy = away.ask_as(
        "sleepy",
        "x",
        "SET ROLE readers; SELECT secret FROM centreon_studio.t; CALL centreon_studio.p()",
    );
    assert_eq!(sleepy, "2\n7\n");
    let readers = away.server.sql("SHOW GRANTS FOR readers");
    assert!(
        readers.contains("GRANT SELECT, DELETE ON `centreon_studio`.* TO `readers`"),
        "{readers}"
    );
}

#[test]
fn an_account_whose_plugin_is_absent_is_left_out_with_a_warning() {
    let home = Place::without_accounts();
    home.server.sql(SMALL);
    home.server.sql(
        "CREATE USER modern@localhost IDENTIFIED VIA ed25519 USING PASSWORD('drei');
         GRANT SELECT ON centreon_studio.t TO modern@localhost; GRANT readers TO modern@localhost",
    );
    home.snap(&["create", "before"]).succeeded();
    let away = Place::empty();
    let restored = away.snap_on(&home, &["restore", "before", "--restore-users"]);
    let words =
        "warning: account `modern`@`localhost` is not restored: the server has no plugin ed25519";
    restored.failed(3, &[words]);
    assert_same(&away.accounts(SMALL_USERS, SMALL_ROLES), &home.accounts(SMALL_USERS, SMALL_ROLES));
    assert_eq!(away.server.sql("SELECT 1 FROM mysql.global_priv WHERE User = 'modern'"), "");
}

#[test]
fn grants_follow_a_database_to_its_new_name() {
    let home = small_home();
    let away = Place::without_accounts();
    let copy = ["restore", "before", "--restore-users", "--database", "copy_2"];
    away.snap_on(&home, &copy).succeeded();
    let grants = away.accounts(SMALL_USERS, SMALL_ROLES);
    for line in [
        "GRANT ALL PRIVILEGES ON `copy\\_2`.* TO `studio`@`localhost`",
        "GRANT SELECT ON `copy\\_2`.* TO `readers`",
        "GRANT INSERT (`id`) ON `copy_2`.`t` TO `sleepy`@`localhost`",
        "GRANT EXECUTE ON PROCEDURE `copy_2`.`p` TO `sleepy`@`localhost`",
        "GRANT SELECT ON `copy_2`.`v` TO PUBLIC",
    ] {
        assert!(grants.contains(line), "{line}: {grants}");
    }
    assert!(!grants.contains("centreon"), "{grants}");
}

#[test]
fn accounts_that_cannot_be_created_take_everything_back() {
    let home = small_home();
    // A server that wants to see passwords takes no hashes.
    let away = Place::with_options(&[
        "--plugin-load-add=simple_password_check",
        "--plugin-load-add=auth_ed25519",
    ]);
    away.configure(SOURCE);
    let before = away.server.sql(ALL_NAMES);
    let failed = away.snap_on(&home, &["restore", "before", "--restore-users"]);
    failed.failed(1, &["cannot create account `s", "strict-password-validation"]);
    assert_eq!(away.server.sql(ALL_NAMES), before);
    assert_eq!(away.members(), "");
    assert_eq!(away.server.sql("SHOW DATABASES LIKE 'centreon%'"), "");
}

#[test]
fn accounts_that_come_out_otherwise_take_the_swapped_database_back_too() {
    let home = small_home();
    home.server.sql(
        "DROP VIEW centreon_studio.v; DROP USER studio@localhost; DROP ROLE readers; REVOKE INSERT (id) ON centreon_studio.t FROM sleepy@localhost;
         REVOKE SELECT ON centreon_studio.v FROM PUBLIC; UPDATE centreon_studio.t SET secret = 3",
    );
    let (live, names) = (home.server.dump("centreon_studio"), home.server.sql(ALL_NAMES));
    let grants = home.accounts(&["sleepy@localhost"], &[]);
    let reader = home.session("USE centreon_studio; BEGIN; SELECT COUNT(*) FROM t");
    let restore = home.start(&["restore", "before", "--restore-users", "--force"]);
    // The accounts are there now, and the swap waits for the reader.
    home.wait_for(WAITING);
    home.server.sql("DROP USER studio@localhost");
    drop(reader);
    finished(restore).failed(22, &["account `studio`@`localhost` came out otherwise"]);
    assert!(home.server.dump("centreon_studio") == live, "the database differs");
    assert_eq!(home.server.sql(ALL_NAMES), names);
    assert_same(&home.accounts(&["sleepy@localhost"], &[]), &grants);
    let everybody = home.server.sql("SELECT * FROM mysql.tables_priv WHERE User = 'PUBLIC'");
    assert_eq!(everybody, "");
}

#[test]
fn an_account_of_its_own_saves_and_restores_accounts_with_what_doctor_asks_for() {
    let home = small_home();
    let operator = |place: &Place| {
        place.server.sql("CREATE USER operator@localhost IDENTIFIED BY 'operator'");
        let socket = place.server.socket();
        let defaults =
            format!("[client]\nuser=operator\npassword=operator\nsocket={}\n", socket.display());
        fs::write(place.path("operator.cnf"), defaults).expect("write operator.cnf");
    };
    let flag = |place: &Place| format!("--defaults-file={}", place.path("operator.cnf").display());
    let grant = |place: &Place, wanted: &[&str]| {
        let doctor = place.snap(&["doctor", "--json", &flag(place)]).json();
        for check in doctor["checks"].as_array().expect("a list of checks") {
            if wanted.iter().any(|name| check["name"] == *name) {
                place.server.sql(check["fix"].as_str().expect("a fix"));
            }
        }
    };
    operator(&home);
    grant(&home, &["rights to create"]);
    let denied = home.snap(&["create", "own", &flag(&home)]);
    denied.failed(12, &["GRANT SELECT ON `mysql`.* TO `operator`@`localhost`;"]);
    grant(&home, &["rights to save users"]);
    home.snap(&["create", "own", &flag(&home)]).succeeded();

    let away = Place::without_accounts();
    operator(&away);
    grant(&away, &["rights to restore"]);
    let (repository, defaults) =
        (format!("--repository={}", home.repository().display()), flag(&away));
    let restore = ["restore", "own", "--restore-users", &repository, &defaults];
    away.snap(&restore).failed(12, &["`operator`@`localhost`"]);
    grant(&away, &["rights to save users", "rights to restore users"]);
    // A pattern, which nobody passes on who does not have that very one.
    let denied = away.snap(&restore);
    let grants = [
        "GRANT ALL PRIVILEGES, SELECT ON `centreon_studio`.* TO `operator`@`localhost` WITH GRANT OPTION;",
    ];
    denied.failed(12, &grants);
    assert_eq!(away.server.sql("SHOW DATABASES LIKE 'centreon%'"), "");
    away.server.sql("GRANT ALL ON centreon_studio.* TO operator@localhost WITH GRANT OPTION");
    let before = away.accounts(&["operator@localhost"], &[]);
    let restored = away.snap(&restore);
    restored.succeeded();
    let words = "note: account `operator`@`localhost` stays as it is: it is the one in use";
    assert!(restored.stderr.contains(words), "{restored:#?}");
    assert_same(&away.accounts(SMALL_USERS, SMALL_ROLES), &home.accounts(SMALL_USERS, SMALL_ROLES));
    let after = away.accounts(&["operator@localhost"], &[]);
    // Nobody else who came along could pass the role on.
    assert_same(
        &after.replace("GRANT `readers` TO `operator`@`localhost` WITH ADMIN OPTION\n", ""),
        &before,
    );
    assert_eq!(after.matches("WITH ADMIN OPTION").count(), 1, "{after}");
}

#[test]
fn no_hash_of_a_password_leaves_the_repository() {
    let home = small_home();
    let json = home.server.sql("SELECT Priv FROM mysql.global_priv WHERE Priv LIKE '%\"*%'");
    let hashes: Vec<_> = json.split('"').filter(|word| word.starts_with('*')).collect();
    assert_eq!(hashes.len(), 2);
    let away = Place::without_accounts();
    let mut said = vec![
        home.snap(&["create", "again", "-v"]),
        home.snap(&["create", "third", "--json"]),
        home.snap(&["show", "before", "--json"]),
        home.snap(&["show", "before"]),
        home.snap(&["verify", "--read-data", "--json"]),
        home.snap(&["doctor"]),
    ];
    let restore = ["restore", "before", "--restore-users", "--force"];
    for more in [&["--dry-run"][..], &["--dry-run", "--json"], &["-v"], &["--json"]] {
        said.push(away.snap_on(&home, &[&restore[..], more].concat()));
    }
    // What the server does not take is told without the hash.
    for output in said {
        output.succeeded();
        for hash in &hashes {
            assert!(!output.stdout.contains(hash) && !output.stderr.contains(hash), "{output:#?}");
        }
    }
    let shown = home.snap(&["show", "before", "--json"]).json();
    let counts = &shown["catalog"]["sources"][0]["detail"]["accounts"];
    assert_eq!((&counts["users"], &counts["roles"]), (&Value::from(2), &Value::from(1)));
}

#[test]
fn accounts_are_asked_of_a_snapshot_that_has_them() {
    let home = Place::without_accounts();
    home.server.sql(SMALL);
    home.configure(&SOURCE.replace("true", "false"));
    home.snap(&["create", "without"]).succeeded();
    let refused = home.snap(&["restore", "without", "--force", "--restore-users"]);
    refused.failed(14, &["cannot restore users", "users = true"]);
}

#[test]
fn definers_that_do_not_exist_and_rights_that_are_not_saved_are_named() {
    let home = Place::without_accounts();
    home.server.sql(SMALL);
    home.server.sql(
        "GRANT PROXY ON sleepy@localhost TO studio@localhost; GRANT UPDATE ON centreon_studio.t TO studio@localhost;
         GRANT CREATE, DELETE ON centreon_studio.gone TO studio@localhost;
         ALTER TABLE centreon_studio.t ADD late INT; GRANT SELECT (secret, late), UPDATE (late), DELETE ON centreon_studio.t
         TO sleepy@localhost; ALTER TABLE centreon_studio.t DROP late",
    );
    let created = home.snap(&["create", "before"]);
    let proxy = "`studio`@`localhost` is not saved in full: its right to act as `sleepy`@`localhost` (PROXY)";
    let gone = "note: rights of `studio`@`localhost` on `centreon_studio`.`gone` are left out: the snapshot holds nothing of this name";
    let column = "note: rights of `sleepy`@`localhost` on `centreon_studio`.`t` are left out: it has no column `late`";
    created.failed(3, &[proxy, gone, column]);
    let away = Place::without_accounts();
    let note = "belong to accounts that do not exist here, and fail when they are used: `studio`@`localhost`";
    let without = away.snap_on(&home, &["restore", "before"]);
    without.failed(3, &[note]);
    let with = away.snap_on(&home, &["restore", "before", "--force", "--restore-users"]);
    assert!(!with.stderr.contains("do not exist"), "{with:#?}");
    let grants = away.server.sql("SHOW GRANTS FOR sleepy@localhost");
    let line = "GRANT SELECT (`secret`), INSERT (`id`), DELETE ON `centreon_studio`.`t` TO";
    assert!(grants.contains(line), "{grants}");
}
