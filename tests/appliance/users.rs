//! Accounts and grants: saved with a database, restored on another server when asked.

use std::process::Command;

use serde_json::Value;

use crate::place::Output;
use crate::place::Place;

/// One of everything that an account can be or have.
const ACCOUNTS: &str = "
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
    CREATE USER `o'dd ``@ \\\\`@'h\\_%'; CREATE USER ''@localhost; CREATE USER public@localhost;
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
    GRANT LOCK TABLES, SELECT ON centreon_studio.* TO subject@'%', ''@localhost, public@localhost, invalid@localhost;
    CREATE DEFINER = owner@localhost PROCEDURE centreon_studio.owned() SELECT 1;
    CREATE USER stranger@localhost; GRANT idle TO stranger@localhost; GRANT ALL ON test_.* TO stranger@localhost;";

const USERS: &[&str] = &[
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
    "''@localhost",
    "public@localhost",
    "owner@localhost",
    "invalid@localhost",
];

const ROLES: &[&str] = &["readers", "writers", "`odd ``role`", "idle", "PUBLIC"];

const SOURCE: &str = "[[profiles.studio.sources]]\nname = 'database'\nkind = 'database'\n\
    database = 'centreon_studio'\nusers = true\n";

impl Place {
    /// Returns a place with the fixture's database, whose profile saves its accounts.
    fn with_accounts(accounts: &str) -> Self {
        let place = Self::without_accounts();
        place.server.load_fixture();
        place.server.sql(accounts);
        place
    }

    /// Returns a place for accounts to come to.
    fn without_accounts() -> Self {
        let place = Self::with_options(&["--plugin-load-add=auth_ed25519"]);
        place.configure(SOURCE);
        place
    }

    /// Runs a `snap` on the repository of another place.
    fn snap_on(&self, other: &Self, arguments: &[&str]) -> Output {
        let repository = format!("--repository={}", other.repository().display());
        self.snap(&[arguments, &[&repository]].concat())
    }

    /// Returns what the server says of these accounts, in the order of their names.
    fn accounts(&self, users: &[&str], roles: &[&str]) -> String {
        let shown =
            users.iter().map(|user| format!("SHOW CREATE USER {user}; SHOW GRANTS FOR {user};"));
        let granted = roles.iter().map(|role| format!("SHOW GRANTS FOR {role};"));
        shown.chain(granted).map(|statements| self.server.sql(&statements)).collect()
    }

    /// Returns who has which role, those aside whom the server brings along.
    fn members(&self) -> String {
        self.server.sql(
            "SELECT * FROM mysql.roles_mapping WHERE User <> 'stranger' ORDER BY Role, User, Host",
        )
    }

    /// Returns what somebody who logs in with a password gets as an answer.
    fn ask_as(&self, user: &str, password: &str, question: &str) -> String {
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
fn assert_same(one: &str, other: &str) {
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
    restored.succeeded();
    assert_same(&away.accounts(USERS, ROLES), &home.accounts(USERS, ROLES));
    assert_eq!(away.members(), home.members());
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

    away.snap_on(&home, &flags).succeeded();
    let once = away.accounts(USERS, ROLES);
    let again = away.snap_on(&home, &[&flags[..], &["--json"]].concat());
    for (account, action, grants) in planned(&again) {
        assert_eq!((action.as_str(), grants), ("keep", 0), "{account}");
    }
    assert_same(&away.accounts(USERS, ROLES), &once);
    assert_eq!(away.members(), home.members());
}
