//! A new host: the database comes with its character set, and what remains for a person is told.

use serde_json::Value;
use serde_json::json;

use crate::place::Place;

/// A profile of its own that says what remains.
const PROFILE: &str = "
[[profiles.studio.sources]]
name = 'database'
kind = 'database'
database = 'centreon_studio'

[[profiles.studio.sources]]
name = 'users'
kind = 'files'
path = '/opt/manager/rest-security.conf'

[[profiles.studio.new-host]]
text = 'let the broker reach this host'
command = 'systemctl restart cbd'

[[profiles.studio.new-host]]
text = 'ask for a license'
";

const REMAINING: &str = "
what remains to be done on a new host, since no snapshot does it:
- let the broker reach this host
    systemctl restart cbd
- ask for a license
";

/// Returns a place with a snapshot of a database that has an unusual character set.
fn saved() -> Place {
    let place = Place::empty();
    place.configure(PROFILE);
    place.make_security_file();
    place.server.sql(
        "CREATE DATABASE centreon_studio CHARACTER SET koi8r COLLATE koi8r_bin;
         CREATE TABLE centreon_studio.t (id INT PRIMARY KEY, name VARCHAR(20));
         INSERT INTO centreon_studio.t VALUES (1, CONVERT(_utf8mb4 x'D0B6' USING koi8r))",
    );
    place.snap(&["create", "moved"]).succeeded();
    place
}

/// Takes the snapshot to a host that has nothing.
fn moved() -> Place {
    let (from, to) = (saved(), Place::empty());
    let file = from.path("moved.tar").display().to_string();
    from.snap(&["download", "moved", "-o", &file]).succeeded();
    to.configure(PROFILE);
    to.snap(&["upload", &file]).succeeded();
    to
}

const CHARACTER_SET: &str = "SELECT default_character_set_name, default_collation_name
    FROM information_schema.schemata WHERE schema_name = 'centreon_studio'";

#[test]
fn an_empty_host_gets_the_database_as_it_was_and_the_list_of_what_remains() {
    let place = moved();
    let planned = place.snap(&["restore", "moved", "--dry-run"]);
    assert!(planned.succeeded().contains(REMAINING.trim()), "{planned:#?}");
    let restored = place.snap(&["restore", "moved"]);
    restored.succeeded();
    assert!(restored.stdout.ends_with(REMAINING), "{restored:#?}");
    assert_eq!(place.server.sql(CHARACTER_SET), "koi8r\tkoi8r_bin\n");
    assert_eq!(place.server.sql("SELECT HEX(name) FROM centreon_studio.t"), "D6\n");
    // What is made there later has it too.
    place.server.sql("CREATE TABLE centreon_studio.later (name VARCHAR(9))");
    let made = place.server.sql("SHOW CREATE TABLE centreon_studio.later");
    assert!(made.contains("COLLATE=koi8r_bin"), "{made}");
}

#[test]
fn json_has_what_remains_and_a_host_that_had_the_database_has_nothing_of_it() {
    let place = moved();
    let remaining = |arguments: &[&str]| -> Value {
        let restored = place.snap(&[&["restore", "moved", "--json"], arguments].concat());
        restored.succeeded();
        restored.json()["restore"]["new_host"].clone()
    };
    let list = json!([
        { "text": "let the broker reach this host", "command": "systemctl restart cbd" },
        { "text": "ask for a license", "command": null },
    ]);
    assert_eq!(remaining(&["--database", "beside"]), Value::Null);
    assert_eq!(remaining(&[]), list);
    assert_eq!(remaining(&["--force", "--full"]), Value::Null);
    place.server.sql("DROP DATABASE centreon_studio; CREATE DATABASE centreon_studio");
    assert_eq!(remaining(&[]), Value::Null, "the database was there, and empty");
    place.server.sql("DROP DATABASE centreon_studio");
    assert_eq!(remaining(&["--only", "users"]), Value::Null, "nothing of it is brought");
}
