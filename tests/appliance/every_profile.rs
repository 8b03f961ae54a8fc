//! The life of a service of each built-in profile: it is saved, an upgrade fails and all comes back,
//! the next one works, and the service moves to another host.
//!
//! The profiles are used as they are, but for two things of their checks of health: where a URL is
//! asked, since the ports of this machine are not the test's, and for how long.

use std::fs;

use toml::Table;
use toml::Value;

use crate::place::Place;
use crate::place::files_below;
use crate::upgraded_host::UpgradedHost;

/// A service, as it stands on a host of its kind.
struct Service {
    profile: &'static str,
    units: &'static [&'static str],
    /// Its packages: what is installed, what the upgrade leads to that fails, and the one that works.
    /// The first of them tells the version.
    packages: &'static [(&'static str, [&'static str; 3])],
    databases: &'static [&'static str],
    /// Its files below the root, beside certificates and security file.
    files: &'static [&'static str],
    /// Whether it has the certificates and the security file of a manager.
    is_managed: bool,
    /// What an upgrade does to its data.
    change: &'static str,
    /// What is named after an upgrade.
    follow_ups: &'static [&'static str],
}

/// What stands for dnf. An update installs what is newest, and runs what comes with it; what is
/// broken starts, and is not well.
const DNF: &str = r#"
number=$(cat "$PLACE/transaction")
case $* in
'history list')
  echo 'ID     | Command line             | Date and time    | Action(s)      | Altered'
  echo "    $number | update | 2026-01-01 00:00 | Upgrade        |    1" ;;
'-y update')
  rm -rf "$PLACE/older" && cp -r "$PLACE/packages" "$PLACE/older" || exit
  cp "$PLACE"/newest/* "$PLACE/packages" || exit
  echo $((number + 1)) >"$PLACE/transaction"
  "$PLACE/bin/change" || exit
  if [ -e "$PLACE/is-broken" ]; then touch "$PLACE/unwell"; fi
  echo Complete ;;
'-y history undo last'|"-y history undo $number")
  cp "$PLACE"/older/* "$PLACE/packages" || exit
  rm -f "$PLACE/unwell"
  echo $((number + 1)) >"$PLACE/transaction" ;;
*) exit 9 ;;
esac
"#;

/// What an upgrade does to the database and the configuration of MAP.
const CHANGE_OF_MAP: &str = r#"
mariadb --defaults-file="$PLACE/my.cnf" centreon_studio -e '
  UPDATE element SET name = CONCAT("new ", id); CREATE TABLE upgraded (id INT PRIMARY KEY); DROP TABLE note'
echo new >"$PLACE/root/etc/centreon-studio/studio-config.properties"
rm -f "$PLACE/root/etc/centreon/license.d/map.license"
"#;

const STUDIO: Service = Service {
    profile: "studio",
    units: &["centreon-map"],
    packages: &[
        ("cloudify-rest-service", ["5.0.5-1.el7", "5.1.0-1.el7", "5.1.1-1.el7"]),
        ("centreon-map-server", ["20.04.8-1.el7", "20.10.3-1.el7", "20.10.4-1.el7"]),
    ],
    databases: &["centreon_studio"],
    files: &[],
    is_managed: true,
    change: r#"
mariadb --defaults-file="$PLACE/my.cnf" centreon_studio -e '
  UPDATE element SET name = CONCAT("new ", id); CREATE TABLE upgraded (id INT PRIMARY KEY); DROP TABLE note'
echo '{"upgraded": true}' >"$PLACE/root/opt/manager/rest-security.conf"
rm -f "$PLACE"/root/etc/cloudify/ssl/cloudify_external_cert.pem
"#,
    follow_ups: &[
        "On the central, update the web client",
        "On the central, under Administration > Extensions > Manager",
        "cfy agents install --all-tenants",
    ],
};

const MAP: Service = Service {
    profile: "centreon-map",
    units: &["centreon-map"],
    packages: &[
        ("centreon-map-server", ["20.04.8-1.el8", "20.10.3-1.el8", "20.10.4-1.el8"]),
        ("centreon-map-server-common", ["20.04.8-1.el8", "20.10.3-1.el8", "20.10.4-1.el8"]),
    ],
    databases: &["centreon_studio"],
    files: &[
        "etc/centreon-studio/studio-config.properties",
        "etc/centreon-studio/conf.d/keystore.jks",
        "etc/my.cnf.d/map.cnf",
        "etc/centreon/license.d/map.license",
    ],
    is_managed: false,
    change: CHANGE_OF_MAP,
    follow_ups: &[
        "On the central, update the web client",
        "On the central, under Administration > Extensions > Manager",
        "Desktop clients update themselves",
    ],
};

const ENGINE: Service = Service {
    profile: "centreon-map-engine",
    units: &["centreon-map-engine"],
    packages: &[("centreon-map-engine", ["24.10.6-1.el9", "25.10.1-1.el9", "25.10.2-1.el9"])],
    databases: &["centreon_map"],
    files: &[
        "etc/centreon-map/map-config.properties",
        "etc/centreon-map/map.jks",
        "etc/my.cnf.d/map.cnf",
    ],
    is_managed: false,
    change: r#"
mariadb --defaults-file="$PLACE/my.cnf" centreon_map -e '
  UPDATE element SET name = CONCAT("new ", id); CREATE TABLE upgraded (id INT PRIMARY KEY); DROP TABLE note'
echo new >"$PLACE/root/etc/centreon-map/map-config.properties"
"#,
    follow_ups: &[
        "On the central, update the web client",
        "On the central, under Administration > Extensions > Manager",
        "Let users clear the cache of their browsers",
    ],
};

const POLLER: Service = Service {
    profile: "centreon-poller",
    units: &["gorgoned", "centreontrapd", "centengine"],
    packages: &[
        ("centreon-poller", ["23.10.9-1.el8", "24.10.1-1.el8", "24.10.2-1.el8"]),
        ("centreon-engine", ["23.10.9-1.el8", "24.10.1-1.el8", "24.10.2-1.el8"]),
    ],
    databases: &[],
    files: &[
        "var/lib/centreon-gorgone/.keys/rsakey.priv.pem",
        "etc/centreon-gorgone/config.d/40-gorgoned.yaml",
        "etc/centreon/centreon_vmware.json",
        "etc/snmp/centreon_traps/centreontrapd.pm",
        "var/lib/centreon/centplugins/cache.json",
        "var/log/centreon-engine/retention.dat",
    ],
    is_managed: false,
    change: r#"
echo new >"$PLACE/root/etc/centreon-gorgone/config.d/40-gorgoned.yaml"
rm "$PLACE/root/var/log/centreon-engine/retention.dat"
"#,
    follow_ups: &[
        "On the central, deploy the poller's configuration, with the method Restart for the Engine",
        "done    Where the poller uses Gorgone, restart it",
    ],
};

const MANAGER: Service = Service {
    profile: "cloudify-manager",
    units: &["cloudify-restservice", "cloudify-mgmtworker", "cloudify-amqp-postgres"],
    packages: &[
        ("cloudify-rest-service", ["5.0.5-1.el7", "5.1.0-1.el7", "5.1.1-1.el7"]),
        ("cloudify-mgmtworker", ["5.0.5-1.el7", "5.1.0-1.el7", "5.1.1-1.el7"]),
    ],
    databases: &[],
    files: &["etc/cloudify/config.yaml", "opt/manager/authorization.conf"],
    is_managed: true,
    change: r#"
echo "rows of a new shape" >"$PLACE/cloudify_db"
echo '{"upgraded": true}' >"$PLACE/root/opt/manager/rest-security.conf"
rm -f "$PLACE"/root/etc/cloudify/ssl/cloudify_external_cert.pem
echo "manager: new" >"$PLACE/root/etc/cloudify/config.yaml"
"#,
    follow_ups: &["cfy agents install --all-tenants"],
};

/// What an upgrade may change.
#[derive(PartialEq)]
struct Everything {
    data: String,
    packages: Vec<String>,
    units: Vec<String>,
}

impl Service {
    /// Returns a host on which the service is installed and runs, without any of its data.
    fn installed(&self, version: usize) -> UpgradedHost {
        let host = UpgradedHost::around(Place::empty(), self.profile);
        host.script("dnf", DNF);
        host.script("change", self.change);
        host.write("transaction", "11");
        host.write("cloudify_db", "rows of an installer");
        fs::create_dir(host.place.path("newest")).expect("make a folder");
        self.offer(&host, "packages", version);
        for unit in self.units {
            host.write(&format!("units/{unit}"), "active");
        }
        let health = self.built_in(&host)["health"].as_array().expect("checks").clone();
        let health = health.into_iter().map(|check| of_test(check, &host.address)).collect();
        let mut profile = Table::new();
        profile.insert("extends".to_owned(), self.profile.into());
        profile.insert("health".to_owned(), Value::Array(health));
        let mut profiles = Table::new();
        profiles.insert(self.profile.to_owned(), profile.into());
        let mut config = Table::new();
        config.insert("profiles".to_owned(), profiles.into());
        host.place.configure(&config.to_string());
        host
    }

    /// Puts the packages of a version where they are, or where dnf takes them from.
    fn offer(&self, host: &UpgradedHost, folder: &str, version: usize) {
        for (package, versions) in self.packages {
            host.write(&format!("{folder}/{package}"), versions[version]);
        }
    }

    /// Returns a version without its release.
    fn version(&self, version: usize) -> &str {
        let (version, _) = self.packages[0].1[version].split_once('-').expect("a release");
        version
    }

    /// Returns the profile as it is built in.
    fn built_in(&self, host: &UpgradedHost) -> Table {
        let shown = host.snap(&["profile", "show", self.profile]);
        let text: Table = shown.succeeded().parse().expect("TOML");
        text["profiles"][self.profile].as_table().expect("a profile").clone()
    }

    /// Gives a host the data of the service.
    fn fill(&self, host: &UpgradedHost) {
        for database in self.databases {
            host.place.server.sql(&format!(
                "CREATE DATABASE {database}; USE {database};
                 CREATE TABLE element (id BIGINT PRIMARY KEY, name VARCHAR(40), weight FLOAT);
                 INSERT INTO element SELECT seq, SHA1(seq), seq / 7 FROM seq_1_to_1000;
                 CREATE TABLE note (id INT PRIMARY KEY);
                 CREATE VIEW names AS SELECT name FROM element;
                 CREATE TRIGGER checked BEFORE INSERT ON element FOR EACH ROW SET NEW.name = TRIM(NEW.name)"
            ));
        }
        if self.is_managed {
            host.place.make_certificates();
            host.place.make_security_file();
        }
        for file in self.files {
            let path = host.place.root().join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("make the folder");
            fs::write(path, format!("{file} of {}\n", self.profile)).expect("write a file");
        }
        host.write("cloudify_db", "rows of years");
    }

    /// Returns all that the profile saves, as text to compare.
    fn data(&self, host: &UpgradedHost) -> String {
        let dumps = self.databases.iter().map(|database| host.place.server.dump(database));
        let sources = self.built_in(host)["sources"].as_array().expect("sources").clone();
        let paths = sources.iter().filter_map(|source| source.get("path")?.as_str());
        let root = host.place.root();
        let files = paths.map(|path| format!("{path}\n{}", files_below(&root, &path[1..])));
        let has_command = sources.iter().any(|source| source["kind"].as_str() == Some("command"));
        let rows = has_command.then(|| host.read("cloudify_db"));
        dumps.chain(files).chain(rows).collect()
    }

    fn everything(&self, host: &UpgradedHost) -> Everything {
        let packages = self.packages.iter().map(|(name, _)| host.read(&format!("packages/{name}")));
        let units = self.units.iter().map(|unit| host.read(&format!("units/{unit}")));
        Everything { data: self.data(host), packages: packages.collect(), units: units.collect() }
    }

    #[track_caller]
    fn assert_runs(&self, host: &UpgradedHost, version: usize) {
        let Everything { packages, units, .. } = self.everything(host);
        let installed = self.packages.iter().map(|(_, versions)| versions[version]);
        assert_eq!(packages, installed.collect::<Vec<_>>());
        assert!(units.iter().all(|unit| unit == "active"), "{units:?}");
    }

    /// Saves the service, and lets an upgrade of it fail; all must come back.
    fn comes_back(&self, host: &UpgradedHost) {
        host.snap(&["create", "first"]).succeeded();
        let before = self.everything(host);
        self.assert_runs(host, 0);
        self.offer(host, "newest", 1);
        host.write("is-broken", "");
        let to = ["upgrade", "--to-version", self.version(1)];
        let has_own = self.built_in(host).contains_key("undo");
        let undo: &[_] = if has_own { &[] } else { &["--undo", "dnf -y history undo last"] };
        let failed = host.snap(&[&to[..], undo, &["--", "dnf", "-y", "update"]].concat());
        failed.failed(40, &["all is as it was before, and the service is well"]);
        let execution = host.last_upgrade();
        assert_eq!(execution["status"], "failed");
        // The upgrade came to its end, and to the check of health.
        let id = execution["id"].as_str().expect("an id");
        assert!(failed.stderr.contains(id), "{failed:#?}");
        let log = host.read(&format!("state/executions/{id}.log"));
        assert!(log.contains("Complete"), "{log}");
        let after = self.everything(host);
        assert_same(&after.data, &before.data);
        assert!(after == before, "packages or units differ");
        fs::remove_file(host.place.path("is-broken")).expect("mend what was broken");
    }

    /// Upgrades the service, which must work.
    fn is_upgraded(&self, host: &UpgradedHost) {
        let before = self.data(host);
        self.offer(host, "newest", 2);
        let to = ["upgrade", "--to-version", self.version(2)];
        let done = host.snap(&[&to[..], &["--", "dnf", "-y", "update"]].concat());
        let text = done.succeeded();
        let versions = format!("{} -> {}", self.version(0), self.version(2));
        for words in [&[versions.as_str(), "and the service is well"], self.follow_ups].concat() {
            assert!(text.contains(words), "{words}: {done:#?}");
        }
        self.assert_runs(host, 2);
        assert!(self.data(host) != before, "the upgrade has changed nothing");
    }

    /// Brings the service to a host where it is installed, and nothing else.
    fn moves(&self, host: &UpgradedHost) {
        host.snap(&["create", "moved"]).succeeded();
        let archive = host.place.path("moved.tar").display().to_string();
        host.snap(&["download", "moved", "-o", &archive]).succeeded();
        let other = self.installed(2);
        other.snap(&["upload", &archive]).succeeded();
        // What was uploaded is given to no command unasked.
        let moved = ["restore", "moved", "--restore-certificates", "--trust-definers"];
        let restored = other.snap(&moved);
        let (_, remaining) = restored
            .succeeded()
            .split_once("what remains to be done on a new host")
            .unwrap_or_else(|| panic!("no list: {restored:#?}"));
        for remark in self.built_in(&other)["new-host"].as_array().expect("remarks") {
            for words in ["text", "command"].iter().filter_map(|key| remark.get(key)?.as_str()) {
                assert!(remaining.contains(words), "{words}: {restored:#?}");
            }
        }
        assert_same(&self.data(&other), &self.data(host));
        self.assert_runs(&other, 2);
    }

    fn lives(&self) {
        let host = self.installed(0);
        self.fill(&host);
        self.comes_back(&host);
        self.is_upgraded(&host);
        self.moves(&host);
    }
}

#[track_caller]
fn assert_same(now: &str, before: &str) {
    let pairs = now.lines().zip(before.lines());
    let differs = pairs.filter(|(now, before)| now != before).take(3).collect::<Vec<_>>();
    assert!(now == before, "{differs:#?}");
}

/// Returns a check of health that asks the test's own server, and not for long.
fn of_test(mut check: Value, address: &str) -> Value {
    let keys = check.as_table_mut().expect("a check");
    keys.insert("seconds".to_owned(), 2.into());
    if let Some(url) = keys.get("url") {
        let url = url.as_str().expect("a text").strip_prefix("http://localhost");
        let (_port, path) = url.and_then(|rest| rest.split_once('/')).expect("of this host");
        let here = format!("{address}/{path}");
        keys.insert("url".to_owned(), here.into());
    }
    check
}

#[test]
fn a_studio_comes_back_from_a_failed_upgrade_is_upgraded_and_moves() {
    STUDIO.lives();
}

#[test]
fn a_map_server_comes_back_from_a_failed_upgrade_is_upgraded_and_moves() {
    MAP.lives();
}

#[test]
fn a_map_engine_comes_back_from_a_failed_upgrade_is_upgraded_and_moves() {
    ENGINE.lives();
}

#[test]
fn a_poller_comes_back_from_a_failed_upgrade_is_upgraded_and_moves() {
    POLLER.lives();
}

#[test]
fn a_manager_comes_back_from_a_failed_upgrade_is_upgraded_and_moves() {
    MANAGER.lives();
}
