//! The harness itself: what every other test stands on.

use std::fs;
use std::mem::forget;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use crate::place::CERTIFICATES;
use crate::place::Place;
use crate::place::SECURITY_FILE;
use crate::server::Server;
use crate::server::until;

#[test]
fn a_server_answers_with_the_options_it_was_given() {
    let place = Place::with_options(&["--log-bin"]);
    assert_eq!(place.server.sql("SELECT @@log_bin, @@skip_networking, 'a\\tb'"), "1\t1\ta\tb\n");
}

#[test]
fn two_servers_share_nothing() {
    let (one, other) = (Place::empty(), Place::empty());
    one.server.sql("CREATE DATABASE mine");
    assert_eq!(other.server.sql("SHOW DATABASES LIKE 'mine'"), "");
}

#[test]
fn a_server_ends_with_its_place() {
    let place = Place::empty();
    let socket = place.server.socket();
    let pid = fs::read_to_string(place.path("server/server.pid")).expect("read server.pid");
    drop(place);
    assert!(!socket.exists());
    assert!(!fs::exists(format!("/proc/{}", pid.trim())).expect("look for the process"));
}

#[test]
fn a_server_ends_with_the_thread_that_started_it() {
    let folder = tempfile::tempdir().expect("create a folder");
    let path = folder.path().to_owned();
    let forgotten = thread::spawn(move || forget(Server::start(&path, &[])));
    forgotten.join().expect("start a server and forget it");
    let socket = folder.path().join("server.sock");
    until("the server ends with its thread", || UnixStream::connect(&socket).is_err());
}

#[test]
fn a_dump_tells_floats_apart_that_mariadb_dump_prints_alike() {
    let place = Place::empty();
    let server = &place.server;
    server.sql(
        "CREATE DATABASE one; CREATE TABLE one.t (f FLOAT); INSERT INTO one.t VALUES (1234567.75);
         CREATE DATABASE two; CREATE TABLE two.t (f FLOAT); INSERT INTO two.t VALUES (1234568);
         CREATE DATABASE same; CREATE TABLE same.t (f FLOAT); INSERT INTO same.t VALUES (1234567.75)",
    );
    assert_ne!(server.dump("one"), server.dump("two"));
    assert_eq!(server.dump("one"), server.dump("same"));
}

#[test]
fn a_tree_tells_of_every_change() {
    let place = Place::empty();
    place.make_certificates();
    place.make_security_file();
    let before = place.tree();
    assert_eq!(place.tree(), before);

    let file = place.root().join(SECURITY_FILE);
    let touched = fs::File::options().append(true).open(&file).expect("open the file");
    let later =
        touched.metadata().and_then(|metadata| metadata.modified()).expect("read its mtime");
    touched.set_modified(later + Duration::from_nanos(1)).expect("change its mtime");
    assert_ne!(place.tree(), before, "a nanosecond of an mtime");

    let before = place.tree();
    let key = place.root().join(CERTIFICATES).join("cloudify_internal_key.pem");
    xattr::remove(&key, "user.issued-by").expect("remove an attribute");
    assert_ne!(place.tree(), before, "an extended attribute");

    let before = place.tree();
    fs::remove_file(place.root().join(CERTIFICATES).join("broker_key.pem")).expect("remove a link");
    assert_ne!(place.tree(), before, "a hard link");
}

#[test]
fn keys_are_for_their_owner_alone() {
    let place = Place::empty();
    place.make_certificates();
    let folder = place.root().join(CERTIFICATES);
    for entry in fs::read_dir(folder).expect("list the certificates") {
        let path = entry.expect("read the certificates' folder").path();
        let mode = path.metadata().expect("read a mode").mode() & 0o777;
        let is_key = path.to_string_lossy().ends_with("key.pem");
        assert_eq!(
            mode == 0o600,
            is_key || path.extension().is_some_and(|end| end == "p12"),
            "{path:?}"
        );
    }
}

#[test]
fn snap_runs_in_a_place_without_the_callers_environment() {
    let place = Place::studio();
    let version = place.snap(&["--version"]);
    assert_eq!(version.succeeded(), concat!("snap ", env!("CARGO_PKG_VERSION")));
    assert_eq!(version.stderr, "");
}
