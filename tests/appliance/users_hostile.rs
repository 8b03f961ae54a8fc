//! Accounts that somebody wrote into an archive, to come to rights that are not theirs.

use std::io::Read as _;

use serde_json::Value;
use serde_json::json;
use studio_snap::repository::Repository;
use studio_snap::repository::lock::Holder;

use crate::place::Output;
use crate::place::Place;
use crate::users::small_home;

/// What the server holds before each archive comes: an account in use, one of somebody, and roles.
const LIVE: &str = "
    CREATE USER operator@localhost IDENTIFIED BY 'operator'; GRANT ALL ON *.* TO operator@localhost WITH GRANT OPTION;
    CREATE USER app@localhost IDENTIFIED BY 'app'; CREATE USER root@'%' IDENTIFIED BY 'far';
    CREATE ROLE dba; GRANT ALL ON *.* TO dba; CREATE ROLE reader; GRANT SELECT ON centreon_studio.* TO reader;
    GRANT reader TO operator@localhost WITH ADMIN OPTION;";

/// Who is there, with which rights and roles.
const STATE: &str = "
    SELECT User, Host, Priv FROM mysql.global_priv WHERE User NOT IN ('root', 'dba') OR Host = '%' ORDER BY User, Host;
    SELECT * FROM mysql.db ORDER BY Db, User; SELECT Host, User, Role, Admin_option FROM mysql.roles_mapping ORDER BY User, Role;";

impl Place {
    /// Lists a second snapshot whose saved accounts are these, and uploads its archive to another place.
    fn forge_accounts(&self, id: &str, accounts: &Value, other: &Self) {
        let runtime = tokio::runtime::Runtime::new().expect("start a runtime");
        runtime.block_on(async {
            let since = "2026-01-01T00:00:00Z".parse().expect("a time");
            let holder = Holder { verb: "create".into(), process: 1, host: "test".into(), since };
            let location = self.repository();
            let location = location.to_str().expect("a path in UTF-8");
            let repository = Repository::open(location, holder).await.expect("open the repository");
            let before = "before".parse().expect("an id");
            let mut catalog = repository.contents(&before).await.expect("read a snapshot").catalog;
            catalog.id = id.into();
            let schema = catalog.sources[0].schema.as_ref().expect("the database has a schema");
            let schema = repository.read_blob(schema).await.expect("read the schema");
            let writer = repository.writer([]).await.expect("open a writer");
            let schema = writer.write(with_accounts(&schema, accounts)).await;
            catalog.sources[0].schema = Some(schema.expect("write the schema"));
            writer.commit(catalog).await.expect("list a snapshot");
        });
        let archive = self.path(&format!("{id}.tar")).display().to_string();
        self.snap(&["download", id, "-o", &archive]).succeeded();
        other.snap(&["upload", &archive]).succeeded();
    }

    /// Restores with accounts as the operator, who may do everything.
    fn restore_as_operator(&self, id: &str) -> Output {
        let defaults = format!("--defaults-file={}", self.path("operator.cnf").display());
        self.snap(&["restore", id, "--restore-users", "--trust-definers", "--force", &defaults])
    }
}

/// Returns a schema blob that holds other accounts.
fn with_accounts(schema: &[u8], accounts: &Value) -> Vec<u8> {
    let mut packed = tar::Builder::new(Vec::new());
    for entry in tar::Archive::new(schema).entries().expect("a schema is a tar") {
        let mut entry = entry.expect("read an entry");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("read an entry");
        let path = entry.path().expect("an entry has a path").into_owned();
        if path.ends_with("definition.json") {
            let mut definition: Value = serde_json::from_slice(&bytes).expect("it is JSON");
            definition["accounts"] = json!({ "accounts": accounts, "of_the_server": [] });
            bytes = serde_json::to_vec(&definition).expect("write JSON");
        }
        let mut header = entry.header().clone();
        header.set_size(bytes.len() as u64);
        packed.append_data(&mut header, path, bytes.as_slice()).expect("pack an entry");
    }
    packed.into_inner().expect("pack a schema")
}

fn user(name: &str, host: &str) -> Value {
    json!({
        "name": { "user": { "user": name, "host": host } },
        "properties": {
            "ways": [{ "plugin": "mysql_native_password", "hash": "*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29" }]
        }
    })
}

/// Returns an account with one more member.
fn with(mut account: Value, key: &str, value: Value) -> Value {
    account[key] = value;
    account
}

fn role(name: &str) -> Value {
    json!({ "name": { "role": name } })
}

fn grants(scope: &Value) -> Value {
    json!([{ "rights": ["ALL PRIVILEGES"], "scope": scope, "is_grantable": true }])
}

fn has(role: &str) -> Value {
    json!([{ "role": role, "is_admin": true }])
}

/// Returns a grant of all rights on the whole server.
fn everything() -> Value {
    grants(&json!("server"))
}

/// Returns a grant of all rights on the databases that a pattern matches.
fn any(pattern: &str) -> Value {
    grants(&json!({ "databases": pattern }))
}

/// Returns a place with accounts worth an attack.
fn attacked() -> Place {
    let away = Place::without_accounts();
    away.server.sql(LIVE);
    let socket = away.server.socket();
    let defaults =
        format!("[client]\nuser=operator\npassword=operator\nsocket={}\n", socket.display());
    std::fs::write(away.path("operator.cnf"), defaults).expect("write operator.cnf");
    away
}

#[test]
fn forged_names_of_an_uploaded_archive_are_refused_before_anything_is_done() {
    let (home, away) = (small_home(), attacked());
    let before = away.server.sql(STATE);
    let refused = [
        ("blank", json!([with(user("root ", "%"), "grants", everything())])),
        ("alias", json!([user("operator", "")])),
        ("twice", json!([user("new", "h"), user("new", "H")])),
        ("everybody", json!([with(role("PUBLIC"), "grants", any("%"))])),
        ("deep", json!([with(user("new", "h"), "grants", any(&"%".repeat(300_000)))])),
    ];
    for (id, accounts) in refused {
        home.forge_accounts(id, &accounts, &away);
        away.restore_as_operator(id).failed(13, &["cannot trust the saved accounts"]);
        assert_eq!(away.server.sql(STATE), before, "{id}");
        assert_eq!(away.server.sql("SHOW DATABASES LIKE 'centreon%'"), "", "{id}");
    }
}

#[test]
fn forged_accounts_of_an_uploaded_archive_are_restored_without_what_is_not_theirs() {
    let (home, away) = (small_home(), attacked());
    let harmless = [
        ("superuser", json!([with(user("new", "%"), "grants", everything())])),
        ("shadow", json!([user("operator", "%"), user("operator", "127.0.0.1")])),
        ("nobody", json!([user("", "localhost"), user("", "%")])),
        (
            "fresh",
            json!([
                with(role("fresh"), "grants", everything()),
                with(user("app", "localhost"), "roles", has("fresh")),
                with(user("operator", "localhost"), "roles", has("fresh")),
                with(json!({ "name": "public" }), "roles", has("fresh"))
            ]),
        ),
        (
            "dba",
            json!([
                with(role("dba"), "grants", grants(&json!({ "databases": "centreon_studio" }))),
                with(role("fresh"), "roles", has("dba")),
                with(user("app", "localhost"), "roles", has("dba")),
                with(user("new", "%"), "roles", has("dba"))
            ]),
        ),
    ];
    let created = "'new', 'fresh', 'dba'";
    let known = format!(
        "SELECT User, Host, Priv FROM mysql.global_priv WHERE User NOT IN ('root', {created}) OR User = 'root' AND Host = '%'
         ORDER BY User, Host; SELECT * FROM mysql.roles_mapping WHERE User NOT IN ('root', 'operator') AND Role IN ('dba', 'fresh')"
    );
    let unchanged = away.server.sql(&known);
    for (id, accounts) in harmless {
        home.forge_accounts(id, &accounts, &away);
        let output = away.restore_as_operator(id);
        output.failed(3, &["warning: account "]);
        assert_eq!(away.server.sql(&known), unchanged, "{id}: {output:#?}");
        let strong = "SELECT User FROM mysql.global_priv WHERE User IN ('new', 'fresh') AND JSON_VALUE(Priv, '$.access') > 0";
        assert_eq!(away.server.sql(strong), "", "{id}");
        let login = away.ask_as("operator", "operator", "SELECT CURRENT_USER()");
        assert_eq!(login, "operator@localhost\n", "{id}");
        away.server.sql("DROP USER IF EXISTS new@'%'; DROP ROLE IF EXISTS fresh");
    }
}

#[test]
fn forged_patterns_of_an_uploaded_archive_give_everybody_the_database_alone() {
    let (home, away) = (small_home(), attacked());
    // A pattern that matches nothing here, and that takes for ever where each `%` is tried everywhere.
    let long = json!([with(user("new", "%"), "grants", any(&format!("{}!", "%".repeat(60))))]);
    home.forge_accounts("long", &long, &away);
    away.restore_as_operator("long").succeeded();
    assert_eq!(away.server.sql("SELECT Db FROM mysql.db WHERE User = 'new'"), "");

    let pattern = json!([
        with(json!({ "name": "public" }), "grants", any("%")),
        with(user("app", "localhost"), "roles", has("reader")),
        with(role("reader"), "grants", any("centreon_studio"))
    ]);
    home.forge_accounts("pattern", &pattern, &away);
    let statement = "run: GRANT ALL PRIVILEGES ON `%`.* TO PUBLIC WITH GRANT OPTION;";
    away.restore_as_operator("pattern").failed(3, &[statement]);
    let everybody = away.server.sql("SHOW GRANTS FOR PUBLIC");
    assert!(!everybody.contains("`%`.*"), "{everybody}");
    let app = away.server.sql("SHOW GRANTS FOR app@localhost");
    assert!(app.contains("GRANT `reader` TO `app`@`localhost`\n"), "{app}");
}
