//! `create`, and what `list` and `show` tell of it.

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::process::geteuid;
use serde_json::Value;
use serde_json::json;

use crate::place::CERTIFICATES;
use crate::place::Output;
use crate::place::Place;
use crate::place::run_by;

#[test]
fn a_studio_is_created_listed_and_shown() {
    let place = Place::studio();
    let options =
        ["--tag", "weekly", "--tag", "4711", "--note", "before the 1st", "--from-version"];
    let arguments = [&["create", "before"][..], &options, &["22.04"]].concat();
    let created = place.snap(&arguments).succeeded().to_owned();
    let lines: Vec<_> = created.lines().map(str::trim).collect();
    assert_eq!(lines[0], "before");
    assert_eq!(lines[1], "sources  database, certificates, users");
    assert!(lines[2].starts_with("rows     68,0"), "{created}");

    let list = place.snap(&["list"]);
    let lines: Vec<_> = list.succeeded().lines().collect();
    assert_eq!(lines.len(), 2, "{list:#?}");
    assert!(lines[1].starts_with("before  20"), "{list:#?}");
    assert!(lines[1].contains(" complete "), "{list:#?}");
    assert!(lines[1].contains(" 22.04 "), "{list:#?}");
    assert!(lines[1].ends_with(" weekly, 4711  before the 1st"), "{list:#?}");
    assert_eq!(place.snap(&["list", "-q"]).succeeded(), "before");

    let shown = place.snap(&["show", "before"]);
    for line in [
        "id          before",
        "version     22.04",
        "tags        weekly, 4711",
        "note        before the 1st",
        "state       complete",
        "database      mariadb  centreon_studio                  saved",
        "certificates  files    /etc/cloudify/ssl                saved",
        "users         files    /opt/manager/rest-security.conf  saved",
        "element             6,000",
    ] {
        assert!(shown.succeeded().contains(line), "{line}: {shown:#?}");
    }
    let catalog = shown_json(&place, "before");
    assert_eq!(catalog["tags"], json!(["weekly", "4711"]));
    assert_eq!(catalog["note"], "before the 1st");
    assert_eq!(catalog["product_version"], "22.04");
    assert_eq!(catalog["warnings"], json!(null));
    assert_eq!(counts(&catalog), counts_of_server(&place));
}

#[test]
fn json_is_one_object_and_quiet_is_the_id_alone() {
    let place = Place::studio();
    let created = place.snap(&["create", "--json"]);
    let object: Value = serde_json::from_str(created.succeeded()).expect("one object");
    let id = object["snapshot"]["id"].as_str().expect("an id");
    let letters = id.strip_prefix("snapshot_").expect("an id of ours");
    let is_ours = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit();
    assert!(letters.len() == 6 && letters.chars().all(is_ours), "{id}");
    assert_eq!(object["snapshot"]["sources"], json!(["database", "certificates", "users"]));
    assert_eq!(object["warnings"], json!([]));

    let quiet = place.snap(&["create", "quiet", "-q"]);
    assert_eq!((quiet.succeeded(), quiet.stderr.as_str()), ("quiet", ""));

    let list = place.snap(&["list", "--json"]);
    let mut list: Value = serde_json::from_str(list.succeeded()).expect("one object");
    // A list tells what was said of a snapshot since.
    let first = list["snapshots"][0].as_object_mut().expect("an object");
    assert_eq!(first.remove("pinned"), Some(json!(false)));
    assert_eq!(list["snapshots"][0], object["snapshot"], "{list:#}");
    assert_eq!(list["snapshots"][1]["id"], "quiet");
    assert_eq!(list["snapshots"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_repository_is_for_its_owner_alone_whatever_the_umask() {
    let place = Place::studio();
    // An administrator may have made the folder, open to all.
    fs::create_dir(place.repository()).expect("create the repository's folder");
    fs::set_permissions(place.repository(), Permissions::from_mode(0o755)).expect("open it");
    let words = ["sh", "-c", "umask 022; exec \"$0\" \"$@\""];
    for id in ["first", "second"] {
        let output = run_by(&words, &place.command(&["create", id])).output().expect("start sh");
        assert_eq!(Output::of(output).code, 0);
    }
    let seen = assert_private(&place.repository()) + assert_private(&place.path("state"));
    assert!(seen > 40, "only {seen} files and folders");
}

#[test]
fn what_is_absent_or_left_out_is_told_and_what_is_required_is_demanded() {
    let place = Place::empty();
    place.server.load_fixture();
    place.make_security_file();
    let created = place.snap(&["create", "a", "--exclude", "users"]);
    created.succeeded();
    let note = "note: certificates is absent: /etc/cloudify/ssl";
    assert!(created.stderr.contains(note), "{created:#?}");
    let shown = place.snap(&["show", "a"]);
    assert!(shown.succeeded().contains(note), "{shown:#?}");
    assert!(shown.succeeded().contains("state       complete"), "{shown:#?}");
    let states: Vec<_> = sources(&shown_json(&place, "a")).map(|s| s["state"].clone()).collect();
    assert_eq!(states, ["saved", "absent", "excluded"]);

    let unknown = place.snap(&["create", "b", "--exclude", "user"]);
    assert_eq!(unknown.code, 2, "{unknown:#?}");
    place.server.sql("DROP DATABASE centreon_studio");
    let gone = place.snap(&["create", "b"]);
    assert_eq!(gone.code, 1, "{gone:#?}");
    assert!(gone.stderr.contains("centreon_studio is absent"), "{gone:#?}");

    let required =
        "[[profiles.studio.sources]]\nname = 'license'\nkind = 'files'\npath = '/etc/l'\n";
    fs::write(place.path("snap.toml"), required).expect("write snap.toml");
    let absent = place.snap(&["create", "b"]);
    assert_eq!(absent.code, 1, "{absent:#?}");
    assert!(absent.stderr.contains("cannot save license: /etc/l is absent"), "{absent:#?}");
    assert_eq!(place.snap(&["list", "-q"]).succeeded(), "a");
}

#[test]
fn a_snapshot_that_lacks_a_file_says_so_for_ever() {
    let place = Place::empty();
    place.make_certificates();
    let folder = place.root().join(CERTIFICATES);
    let _socket = UnixListener::bind(folder.join("agent.sock")).expect("make a socket");
    let secret = folder.join("secret.pem");
    fs::write(&secret, "s").expect("write a file");
    fs::set_permissions(&secret, Permissions::from_mode(0o000)).expect("close a file");
    let command = place.command(&["create", "partial", "--exclude", "database", "--json"]);
    // A superuser reads everything, unless he gives his capabilities away.
    let words = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
    let mut command = if geteuid().is_root() { run_by(&words, &command) } else { command };
    let created = Output::of(command.output().expect("start snap"));
    assert_eq!(created.code, 3, "{created:#?}");
    for name in ["agent.sock", "secret.pem"] {
        assert!(created.stderr.contains(&format!("/{name} is left out: ")), "{created:#?}");
    }
    let object: Value = serde_json::from_str(&created.stdout).expect("one object");
    assert_eq!(object["snapshot"]["warnings"], 2);
    assert_eq!(object["warnings"].as_array().map(Vec::len), Some(2));

    fs::remove_file(secret).expect("remove the file");
    let shown = place.snap(&["show", "partial"]);
    assert!(shown.succeeded().contains("state       partial, see the warnings"), "{shown:#?}");
    assert!(shown.succeeded().contains("\nwarning: "), "{shown:#?}");
    assert_eq!(shown_json(&place, "partial")["warnings"], object["warnings"]);
    assert!(place.snap(&["list"]).succeeded().contains(" partial "));
}

#[test]
fn an_id_that_is_taken_or_malformed_is_refused_before_any_work() {
    let place = Place::empty();
    let long = "x".repeat(300);
    // No server is there: whoever asks it first would exit 20.
    let create = |id: &str| place.snap(&["create", id, "--socket", "/nowhere/server.sock"]);
    for id in ["a/b", "a b", "..", "", "1st", long.as_str()] {
        let refused = create(id);
        assert_eq!(refused.code, 2, "{id:?}: {refused:#?}");
    }
    assert!(!place.repository().exists());
    place.make_security_file();
    place.snap(&["create", "taken", "--exclude", "database"]).succeeded();
    let refused = create("taken");
    assert_eq!(refused.code, 14, "{refused:#?}");
    assert!(refused.stderr.contains("snapshot taken exists already"), "{refused:#?}");
    assert_eq!(create("free").code, 20);
}

/// Returns the catalog that `show` prints.
fn shown_json(place: &Place, id: &str) -> Value {
    let shown = place.snap(&["show", id, "--json"]);
    let mut object: Value = serde_json::from_str(shown.succeeded()).expect("one object");
    object["catalog"].take()
}

fn sources(catalog: &Value) -> impl Iterator<Item = &Value> {
    catalog["sources"].as_array().expect("a catalog has sources").iter()
}

/// Returns the number of rows of each table in a catalog, a line each.
fn counts(catalog: &Value) -> String {
    let database = sources(catalog).next().expect("a database");
    let items = database["items"].as_array().expect("a database has tables").iter();
    let count = |item: &Value| format!("{}\t{}\n", item["name"].as_str()?, item["rows"]).into();
    items.filter_map(|item: &Value| -> Option<String> { count(item) }).collect()
}

/// Returns the number of rows of each table, as the server counts them.
fn counts_of_server(place: &Place) -> String {
    let queries = place.server.sql(
        "SELECT GROUP_CONCAT('SELECT ''', table_name, ''', COUNT(*) FROM centreon_studio.`', table_name, '`'
         ORDER BY table_name SEPARATOR ' UNION ALL ') FROM information_schema.tables
         WHERE table_schema = 'centreon_studio' AND table_type = 'BASE TABLE'",
    );
    place.server.sql(queries.trim())
}

/// Fails where somebody else could open what lies here; returns how much that is.
fn assert_private(path: &Path) -> usize {
    let metadata = path.metadata().expect("read metadata");
    let mode = metadata.mode() & 0o7777;
    if !metadata.is_dir() {
        assert_eq!(mode, 0o600, "{}", path.display());
        return 1;
    }
    assert_eq!(mode, 0o700, "{}", path.display());
    let entries = fs::read_dir(path).expect("list a folder");
    1 + entries.map(|entry| assert_private(&entry.expect("read a folder").path())).sum::<usize>()
}
