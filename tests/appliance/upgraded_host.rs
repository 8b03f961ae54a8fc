//! A host whose service is upgraded: real database and files, scripts in place of systemd, of the
//! package managers and of the manager's database, and a server that answers the question after its health.

use std::fs;
use std::fs::Permissions;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::Value;

use crate::place::Output;
use crate::place::Place;

/// What stands for systemd: a file for each unit, with its state, and one that says whether it starts
/// with the host. What is unwell has started, and
/// ends at once.
pub(crate) const SYSTEMCTL: &str = r#"
verb=$1
for unit; do :; done
echo "$verb $unit" >>"$PLACE/asked"
case $* in *--quiet*) if [ -e "$PLACE/unwell" ]; then exit 3; fi ;; esac
case $verb in
show)
  if [ -e "$PLACE/units/$unit" ]; then echo LoadState=loaded; else echo LoadState=not-found; fi
  echo "UnitFileState=$(cat "$PLACE/files/$unit" 2>/dev/null || echo disabled)"
  echo UnitFilePreset=disabled ;;
enable|disable) echo "${verb}d" >"$PLACE/files/$unit" ;;
is-active) cat "$PLACE/units/$unit" 2>/dev/null || { echo inactive; exit 3; } ;;
start)
  if [ -e "$PLACE/no-start" ]; then echo "Job for $unit failed" >&2; exit 1; fi
  echo active >"$PLACE/units/$unit" ;;
stop)
  if [ "$(cat "$PLACE/no-stop" 2>/dev/null)" = "$unit" ]; then echo "Job for $unit failed" >&2; exit 1; fi
  echo inactive >"$PLACE/units/$unit" ;;
restart) echo "restarted $unit" ;;
esac
"#;

/// A file for each package, with its version.
const RPM: &str = r#"
case $1 in
-q)
  for package; do :; done
  if [ ! -e "$PLACE/packages/$package" ]; then echo "package $package is not installed"; exit 1; fi
  version=$(cat "$PLACE/packages/$package")
  echo "${version%-*}" ;;
-qa)
  shift 3
  for glob; do
    for file in "$PLACE"/packages/$glob; do
      if [ -e "$file" ]; then printf '%s\t%s\tnoarch\n' "${file##*/}" "$(cat "$file")"; fi
    done
  done ;;
esac
"#;

/// What `runuser -u postgres -- PROGRAM …` is where there is no such account.
const RUNUSER: &str = "shift 3\nexec \"$@\"";
const PG_DUMP: &str = r#"exec cat "$PLACE/cloudify_db""#;
const PG_RESTORE: &str =
    r#"case "$*" in *--single-transaction*) cat >"$PLACE/cloudify_db" ;; esac"#;

/// What is asked, of which unit, and what that answers where it is well.
const ANSWERS: &[(&str, &str, &str, &str)] = &[
    ("/health", "centreon-map", "200 OK", UP),
    ("/centreon-studio/api/beta/actuator/health", "centreon-map", "200 OK", UP),
    ("/centreon-map/api/beta/actuator/health", "centreon-map-engine", "200 OK", UP),
    (
        "/api/v3.1/snapshots",
        "cloudify-restservice",
        "401 UNAUTHORIZED",
        r#"{"error_code":"unauthorized_error"}"#,
    ),
];
const UP: &str = r#"{"status":"UP"}"#;

/// A host with a service of one profile.
pub(crate) struct UpgradedHost {
    /// Its database and its files.
    pub(crate) place: Place,
    /// Where health is asked for, without a path; it answers as long as the tests run.
    pub(crate) address: String,
    profile: &'static str,
}

impl UpgradedHost {
    /// Makes a place the host of such a service; no unit and no package is there yet.
    pub(crate) fn around(place: Place, profile: &'static str) -> Self {
        for folder in ["bin", "units", "files", "packages"] {
            fs::create_dir(place.path(folder)).expect("make a folder");
        }
        let host = Self { address: serve(&place), place, profile };
        for (name, text) in [
            ("systemctl", SYSTEMCTL),
            ("rpm", RPM),
            ("dpkg-query", "exit 1"),
            ("runuser", RUNUSER),
            ("pg_dump", PG_DUMP),
            ("pg_restore", PG_RESTORE),
        ] {
            host.script(name, text);
        }
        host
    }

    /// Puts a script on the path of `snap`.
    pub(crate) fn script(&self, name: &str, text: &str) {
        let path = self.place.path("bin").join(name);
        let text = format!("#!/bin/sh\nPLACE={}\n{text}", self.place.path("").display());
        fs::write(&path, text).expect("write a script");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("set its mode");
    }

    /// Writes a file of the place, of one line.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.place.path(name), format!("{text}\n")).expect("write a file");
    }

    /// Returns what a file of the place holds; nothing where it is absent.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.place.path(name)).unwrap_or_default().trim_end().to_owned()
    }

    /// Returns the command that runs `snap` with the host's profile and scripts.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(&[&["--profile", self.profile], arguments].concat());
        let bin = self.place.path("bin");
        command.env("PATH", format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", bin.display()));
        command
    }

    /// Runs `snap` to its end.
    pub(crate) fn snap(&self, arguments: &[&str]) -> Output {
        Output::of(self.command(arguments).output().expect("start snap"))
    }

    /// Returns all executions, the last one at the end.
    pub(crate) fn executions(&self) -> Vec<Value> {
        let listed = self.snap(&["executions", "list", "--json"]).json();
        listed["executions"].as_array().expect("a list").clone()
    }

    /// Returns the last execution that is an upgrade.
    pub(crate) fn last_upgrade(&self) -> Value {
        let is_upgrade = |execution: &Value| execution["verb"] == "upgrade";
        self.executions().into_iter().rfind(is_upgrade).expect("an upgrade")
    }
}

/// Serves the health of a place; returns where. It is well while the unit runs that answers, and
/// nothing makes it unwell.
fn serve(place: &Place) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let (units, unwell) = (place.path("units"), place.path("unwell"));
    // It ends with the process of the tests.
    thread::spawn(move || {
        for stream in listener.incoming() {
            answer(&stream.expect("a connection"), &units, &unwell);
        }
    });
    address
}

fn answer(mut stream: &TcpStream, units: &Path, unwell: &Path) {
    let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
    let request = lines.next().and_then(Result::ok).unwrap_or_default();
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let runs = |unit| fs::read_to_string(units.join(unit)).is_ok_and(|state| state == "active\n");
    let path = request.split(' ').nth(1).unwrap_or_default();
    let known = ANSWERS.iter().find(|(known, ..)| *known == path);
    let (status, body) = match known {
        Some((_, unit, status, body)) if runs(unit) && !unwell.exists() => (*status, *body),
        Some(_) => ("200 OK", r#"{"status":"DOWN"}"#),
        None => ("404 Not Found", ""),
    };
    let length = body.len();
    drop(write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    ));
}
