//! A server that is reached by TCP and TLS only: saved and restored as one of this host is.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::faulty_connections::Network;
use crate::place::Output;
use crate::place::Place;
use crate::server::assert_succeeds;
use crate::stopped::listed;

/// A server with a certificate, and an account that has to come encrypted.
struct Far {
    place: Place,
    network: Network,
    _keys: TempDir,
}

impl Far {
    fn new() -> Self {
        let keys = tempfile::tempdir().expect("create a folder");
        let (key, certificate) = (keys.path().join("key.pem"), keys.path().join("cert.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-nodes", "-days", "2", "-subj", "/CN=far"])
            .args(["-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .expect("start openssl");
        assert_succeeds(&made, "openssl req");
        let options = [("key", &key), ("cert", &certificate)]
            .map(|(name, path)| format!("--ssl-{name}={}", path.display()));
        let place = Place::with_options(&options.each_ref().map(String::as_str));
        place.server.sql(
            "CREATE DATABASE studio; USE studio;
             CREATE TABLE numbers (id INT PRIMARY KEY, v VARCHAR(200), d DOUBLE, at DATETIME(6));
             INSERT INTO numbers SELECT seq, REPEAT('v', seq % 200), seq / 7, NULL FROM seq_1_to_30000;
             CREATE TABLE words (w VARCHAR(50) PRIMARY KEY, e ENUM('a', 'b'), b LONGBLOB);
             INSERT INTO words VALUES ('é', 'a', x'00090a5c'), ('long', NULL, REPEAT('x', 3000000));
             CREATE USER far@localhost IDENTIFIED BY 'secret' REQUIRE SSL;
             GRANT ALL ON *.* TO far@localhost",
        );
        place.save_only("studio");
        let (network, port) = Network::listen(&place);
        let defaults = format!(
            "[client]\nuser=far\npassword=secret\nhost=localhost\nprotocol=tcp\nport={port}\nssl-ca={}\n",
            certificate.display()
        );
        fs::write(place.path("far.cnf"), defaults).expect("write far.cnf");
        Self { place, network, _keys: keys }
    }

    fn snap(&self, arguments: &[&str]) -> Output {
        let defaults = format!("--defaults-file={}", self.place.path("far.cnf").display());
        self.place.snap(&[arguments, &[&defaults]].concat())
    }

    /// Returns what the server has counted.
    fn counted(&self, name: &str) -> u64 {
        let status = self.place.server.sql(&format!("SHOW GLOBAL STATUS LIKE '{name}'"));
        let count = status.split_whitespace().last().expect("it is told");
        count.parse().expect("it is a number")
    }

    /// Returns how often a restore by `snap` has to send a file: what goes in as a bulk needs none.
    fn files_sent(&self, snap: impl FnOnce(&[&str]) -> Output, id: &str) -> u64 {
        let before = self.counted("Com_load");
        snap(&["restore", id, "--force", "--no-safety-snapshot"]).succeeded();
        self.counted("Com_load") - before
    }
}

#[test]
fn a_server_behind_tls_is_saved_and_restored_as_by_the_socket() {
    let far = Far::new();
    let place = &far.place;
    let live = place.server.dump("studio");
    let aborted = far.counted("Aborted_connects");
    place.snap(&["create", "near"]).succeeded();
    far.snap(&["create", "there"]).succeeded();
    let spoil = || place.server.sql("DELETE FROM studio.numbers; DROP TABLE studio.words");
    spoil();
    let near = far.files_sent(|arguments| place.snap(arguments), "near");
    assert_eq!(place.server.dump("studio"), live);
    spoil();
    let there = far.files_sent(|arguments| far.snap(arguments), "there");
    assert_eq!(place.server.dump("studio"), live);
    assert_eq!((near, there), (1, 1), "the client sends a file for each of both tables");
    // Nobody had to log in once more by the client, either.
    assert_eq!(far.counted("Aborted_connects"), aborted);
    place.snap(&["verify", "--read-data"]).succeeded();
}

#[test]
fn a_create_whose_encrypted_connection_is_cut_fails_and_lists_nothing() {
    let far = Far::new();
    far.snap(&["create", "whole"]).succeeded();
    let all = far.network.carried();
    for part in 1..6 {
        far.network.mend(all * part / 6, false);
        let output = far.snap(&["create", "cut"]);
        assert!(far.network.has_broken());
        output.failed(20, &["localhost", "hint: "]);
        assert_eq!(listed(&far.place), ["whole"]);
    }
    far.network.mend(usize::MAX, true);
    far.snap(&["create", "next"]).succeeded();
}
