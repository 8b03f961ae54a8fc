//! Snapshots in the hands of other tools: a registry takes one and gives it back unchanged.

use std::fs;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use crate::place::Place;
use crate::server::assert_succeeds;
use crate::server::until;

/// A registry on loopback. It ends with this value, or with the thread that started it.
struct Registry {
    process: Child,
    port: u16,
}

impl Registry {
    fn start(folder: &Path) -> Self {
        // The port is free once the listener is gone, and nobody else asks for one just then.
        let listener = TcpListener::bind("127.0.0.1:0").expect("find a free port");
        let port = listener.local_addr().expect("read the port").port();
        drop(listener);
        fs::create_dir(folder).expect("create the registry's folder");
        let configuration = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n",
            folder.display()
        );
        let file = folder.join("registry.yml");
        fs::write(&file, configuration).expect("write registry.yml");
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "docker-registry", "serve"])
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start docker-registry");
        let registry = Self { process, port };
        until("docker-registry listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().expect("end docker-registry");
        self.process.wait().expect("see docker-registry end");
    }
}

/// Returns what skopeo prints.
fn skopeo(arguments: &[&str]) -> String {
    let output = Command::new("skopeo").arg("--insecure-policy").args(arguments).output();
    assert_succeeds(&output.expect("start skopeo"), &format!("skopeo {}", arguments.join(" ")))
}

#[test]
fn a_snapshot_comes_back_from_a_registry_as_it_was() {
    let place = Place::studio();
    place.snap(&["create", "before"]).succeeded();
    let registry = Registry::start(&place.path("registry"));
    let local = format!("oci:{}:before", place.repository().display());
    let remote = format!("docker://127.0.0.1:{}/studio:before", registry.port);
    let manifest = skopeo(&["inspect", "--raw", &local]);
    assert!(
        manifest.contains(r#""artifactType":"application/vnd.snap.snapshot.v1""#),
        "{manifest}"
    );
    skopeo(&["copy", "--dest-tls-verify=false", &local, &remote]);
    assert_eq!(skopeo(&["inspect", "--raw", "--tls-verify=false", &remote]), manifest);

    let back = place.path("back.tar").display().to_string();
    skopeo(&["copy", "--src-tls-verify=false", &remote, &format!("oci-archive:{back}:before")]);
    place.snap(&["upload", &back, "--snapshot-id", "after"]).succeeded();
    place.snap(&["verify", "after", "--read-data"]).succeeded();

    let tree = place.tree();
    fs::remove_dir_all(place.root()).expect("lose all files");
    let copy = ["restore", "after", "--database", "copy", "--restore-certificates"];
    place.snap(&copy).succeeded();
    let databases = ["centreon_studio", "copy"].map(|database| place.server.dump(database));
    assert!(databases[0] == databases[1], "the databases differ");
    assert_eq!(place.tree(), tree);

    let downloads = ["before", "after"].map(|id| {
        let archive = place.path(&format!("{id}.snap.tar"));
        let path = archive.display().to_string();
        place.snap(&["download", id, "-o", &path]).succeeded();
        fs::read(archive).expect("read the archive")
    });
    assert!(downloads[0] == downloads[1], "the two archives differ");
}
