//! The built-in profiles, each on a host of its kind and on one that is not.

use std::fs;
use std::path::Path;

use crate::place::Place;
use crate::upgraded_host::UpgradedHost;

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file has a folder")).expect("make the folder");
    fs::write(path, text).expect("write the file");
}

#[test]
fn a_poller_is_saved_and_restored_without_any_database() {
    let place = Place::empty();
    let refused = place.snap(&["create", "a", "--profile", "centreon-poller"]);
    refused
        .failed(1, &["cannot save anything of profile centreon-poller", "/etc/centreon-gorgone"]);
    assert_eq!(place.ids(), "");
    let paths = [
        "var/lib/centreon-gorgone/.keys/rsakey.priv.pem",
        "etc/centreon-gorgone/config.d/40-gorgoned.yaml",
        "var/log/centreon-engine/retention.dat",
    ]
    .map(|path| place.root().join(path));
    for path in &paths {
        write(path, "saved\n");
    }
    let nowhere = ["--profile", "centreon-poller", "--socket", "/nowhere"];
    place.snap(&[&["create", "before"][..], &nowhere].concat()).succeeded();
    for path in &paths {
        write(path, "live\n");
    }
    place.snap(&[&["restore", "before"][..], &nowhere].concat()).succeeded();
    for path in &paths {
        assert_eq!(fs::read_to_string(path).expect("read"), "saved\n", "{}", path.display());
    }
}

#[test]
fn a_map_server_is_saved_with_what_its_generation_has_and_with_both() {
    let place = Place::empty();
    let profile = ["--profile", "centreon-map"];
    let create = |id: &str| place.snap(&[&["create", id][..], &profile].concat());
    create("none").failed(1, &["cannot save anything of profile centreon-map"]);
    let saved = |id: &str| {
        let shown = place.snap(&["show", id, "--json"]);
        let shown: serde_json::Value = serde_json::from_str(shown.succeeded()).expect("JSON");
        let sources = shown["catalog"]["sources"].as_array().expect("sources").clone();
        let saved = sources.iter().filter(|source| source["state"] == "saved");
        saved.map(|source| source["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    place.server.sql("CREATE DATABASE centreon_map; CREATE TABLE centreon_map.t (a INT)");
    write(&place.root().join("etc/centreon-map/map-config.properties"), "centreon.url=x\n");
    create("engine").succeeded();
    assert_eq!(saved("engine"), ["engine-database", "engine-configuration"]);
    place.server.sql("CREATE DATABASE centreon_studio; CREATE TABLE centreon_studio.t (a INT)");
    write(&place.root().join("etc/centreon-studio/studio-config.properties"), "x\n");
    create("both").succeeded();
    let both = ["database", "configuration", "engine-database", "engine-configuration"];
    assert_eq!(saved("both"), both);
}

#[test]
fn the_postgresql_of_a_manager_is_saved_and_restored_by_its_own_programs() {
    let host = UpgradedHost::around(Place::empty(), "cloudify-manager");
    host.place.make_certificates();
    host.place.make_security_file();
    host.write("cloudify_db", "saved rows");
    host.snap(&["create", "before"]).succeeded();
    host.write("cloudify_db", "live rows");
    host.snap(&["restore", "before"]).succeeded();
    assert_eq!(host.read("cloudify_db"), "saved rows");
    host.snap(&["rollback"]).succeeded();
    assert_eq!(host.read("cloudify_db"), "live rows");
    host.script("pg_dump", "echo connection refused >&2; exit 1");
    host.snap(&["create", "b"]).failed(1, &["cannot save postgresql", "connection refused"]);
    assert_eq!(host.place.ids(), host.snap(&["list", "-q"]).succeeded());
    assert!(!host.place.ids().lines().any(|id| id == "b"));
}
