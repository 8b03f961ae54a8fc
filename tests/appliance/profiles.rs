//! The built-in profiles, each on a host of its kind and on one that is not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::place::Output;
use crate::place::Place;

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file has a folder")).expect("make the folder");
    fs::write(path, text).expect("write the file");
}

fn program(path: &Path, text: &str) {
    write(path, text);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("let it be run");
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
    let place = Place::empty();
    place.make_certificates();
    place.make_security_file();
    let programs = place.path("programs");
    let database = place.path("cloudify_db");
    program(&programs.join("runuser"), "#!/bin/sh\nshift 3\nexec \"$@\"\n");
    let file = database.display();
    program(&programs.join("pg_dump"), &format!("#!/bin/sh\nexec cat {file}\n"));
    let restore =
        format!("#!/bin/sh\ncase \"$*\" in *--single-transaction*) cat > {file};; esac\n");
    program(&programs.join("pg_restore"), &restore);
    let path = format!("{}:/usr/bin:/bin", programs.display());
    let snap = |arguments: &[&str]| {
        let arguments = [arguments, &["--profile", "cloudify-manager"]].concat();
        Output::of(place.command(&arguments).env("PATH", &path).output().expect("start snap"))
    };
    fs::write(&database, "saved rows").expect("write the database");
    snap(&["create", "before"]).succeeded();
    fs::write(&database, "live rows").expect("write the database");
    snap(&["restore", "before"]).succeeded();
    assert_eq!(fs::read_to_string(&database).expect("read"), "saved rows");
    snap(&["rollback"]).succeeded();
    assert_eq!(fs::read_to_string(&database).expect("read"), "live rows");
    program(&programs.join("pg_dump"), "#!/bin/sh\necho connection refused >&2; exit 1\n");
    snap(&["create", "b"]).failed(1, &["cannot save postgresql", "connection refused"]);
    assert_eq!(place.ids(), snap(&["list", "-q"]).succeeded());
    assert!(!place.ids().lines().any(|id| id == "b"));
}
