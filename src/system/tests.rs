//! The host's tools, played by scripts that come before them on PATH.

use std::cell::RefCell;
use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::monitor::Silent;
use crate::profile::service::Check;
use crate::profile::service::Detection;
use crate::profile::service::Health;
use crate::system::health::wait_until_well;
use crate::system::packages::WayBack;
use crate::system::packages::installed;
use crate::system::packages::ways_back;
use crate::system::units;
use crate::system::version::detected;

use super::*;

thread_local! {
    /// Where the scripts of the test of this thread are.
    static SCRIPTS: RefCell<Option<PathBuf>> = const { RefCell::new(None) };
}

/// Returns the tool, found among the scripts first.
pub(super) fn in_the_place_of_the_hosts(tool: Process) -> Process {
    match SCRIPTS.with_borrow(Clone::clone) {
        Some(scripts) => tool.with("PATH", scripts.display().to_string()),
        None => tool,
    }
}

/// What systemd does with units, each a file of its state.
const SYSTEMCTL: &str = r#"
unit=$2
case $1 in
  show) unit=$3; if test -e "$unit"; then echo LoadState=loaded; else echo LoadState=not-found; fi ;;
  is-active) cat "$unit" 2>/dev/null || { echo unknown; exit 4; } ;;
  stop) echo "$1 $unit" >>calls; echo inactive >"$unit" ;;
  start)
    echo "$1 $unit" >>calls
    case $unit in
      slow) echo activating >"$unit"; (sleep 0.5; echo active >"$unit") >/dev/null 2>&1 & ;;
      broken) echo failed >"$unit" ;;
      refusing) echo "Job for refusing.service failed." >&2; exit 1 ;;
      *) echo active >"$unit" ;;
    esac ;;
esac
"#;

/// A host with scripts in the place of its tools.
struct Tools(TempDir);

impl Tools {
    fn new() -> Self {
        let tools = Self(tempfile::tempdir().unwrap());
        SCRIPTS.set(Some(tools.0.path().to_owned()));
        tools
    }

    /// Returns a host whose systemd has these units, all of them at work.
    fn with_units(units: &[&str]) -> Self {
        let tools = Self::new();
        tools.script("systemctl", SYSTEMCTL);
        for unit in units {
            tools.write(unit, "active\n");
        }
        tools
    }

    fn script(&self, name: &str, text: &str) {
        let folder = self.0.path().display();
        self.write(name, &format!("#!/bin/sh\ncd {folder}\n{text}"));
        fs::set_permissions(self.0.path().join(name), Permissions::from_mode(0o700)).unwrap();
    }

    #[expect(clippy::disallowed_methods, reason = "nobody relies on a file of a test")]
    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    /// Returns what was done to units, in this order.
    fn calls(&self) -> String {
        fs::read_to_string(self.0.path().join("calls")).unwrap_or_default()
    }
}

fn names(units: &[&str]) -> Vec<String> {
    units.iter().map(ToString::to_string).collect()
}

async fn refusal(units: &[&str]) -> Error {
    let error = units::stop(&names(units), &Silent).await.expect_err("it is refused");
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    error
}

#[tokio::test]
async fn units_stop_in_reverse_order_and_start_in_order_until_active() {
    let tools = Tools::with_units(&["base", "slow"]);
    let units = units::present(&names(&["base", "absent", "slow"])).await.unwrap();
    assert_eq!(units, ["base", "slow"]);
    assert_eq!(units::active(&units).await.unwrap(), units);
    units::stop(&units, &Silent).await.unwrap();
    assert_eq!(units::active(&units).await.unwrap(), [""; 0]);
    units::start(&units, &Silent).await.unwrap();
    assert_eq!(units::active(&units).await.unwrap(), units);
    assert_eq!(tools.calls(), "stop slow\nstop base\nstart base\nstart slow\n");
    assert_eq!(fs::read_to_string(tools.0.path().join("slow")).unwrap(), "active\n");
}

#[tokio::test]
async fn a_unit_that_does_not_start_is_told_with_where_to_look() {
    let tools = Tools::with_units(&["broken", "refusing", "next"]);
    for (unit, why) in
        [("broken", "it is failed"), ("refusing", "Job for refusing.service failed.")]
    {
        let error = units::start(&names(&[unit, "next"]), &Silent).await.expect_err("it fails");
        assert_eq!(error.kind(), Kind::Hook);
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(error.advice(), Some(&*format!("`journalctl --unit {unit}` tells why")));
    }
    assert!(!tools.calls().contains("next"), "{}", tools.calls());
}

#[tokio::test]
async fn a_host_without_systemd_has_no_units() {
    let _tools = Tools::new();
    if fs::exists("/usr/bin/systemctl").unwrap() {
        return;
    }
    assert_eq!(units::present(&names(&["map"])).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn the_health_of_a_unit_that_the_host_has_not_is_not_asked() {
    let _tools = Tools::with_units(&["engine"]);
    let check = |unit: &str| Health {
        check: Check::Command("exit 3".to_owned()),
        unit: Some(unit.to_owned()),
        limit: Duration::from_millis(1),
    };
    assert_eq!(wait_until_well(&[check("legacy")], &Silent).await.unwrap(), 0);
    wait_until_well(&[check("engine")], &Silent).await.expect_err("it is not well");
}

#[tokio::test]
async fn what_a_cluster_runs_is_left_alone() {
    let tools = Tools::with_units(&["centreon-map", "other"]);
    tools.script("pcs", "echo '  * map_resource\t(systemd:centreon-map):\t Started node-1'");
    let error = refusal(&["other", "centreon-map"]).await;
    assert!(error.to_string().contains("Pacemaker runs it as map_resource"), "{error}");
    assert!(error.advice().unwrap().contains("pcs resource disable map_resource --wait"));
    assert_eq!(tools.calls(), "");
    units::stop(&names(&["other"]), &Silent).await.unwrap();
    // The monitor alone tells as much.
    tools.script("pcs", "exit 1");
    tools.script("crm_mon", "echo '  * it (systemd:centreon-map.service): Started node-1'");
    refusal(&["centreon-map"]).await;
}

/// What the monitor of a cluster prints, with and without what its clones and groups are made of.
const MONITOR: &str = r"
echo 'Full List of Resources:'
case $* in
*-R*) echo '  * Clone Set: map-clone [map]:'; printf '    * map:0\t(systemd:centreon-map):\t Started node-1\n' ;;
*) echo '  * Clone Set: map-clone [map]:'; echo '    * Started: [ node-1 node-2 ]' ;;
esac
";

/// What pcs prints when it is asked for what its resources run, in the words of EL7.
const PCS_OF_EL7: &str = r"
case $* in
'resource config') echo 'Usage: pcs resource [commands]...' >&2; exit 1 ;;
'resource show --full') echo ' Clone: map-clone'; echo '  Resource: map (class=systemd type=centreon-map)' ;;
*) echo ' Clone Set: map-clone [map]'; echo '     Started: [ node-1 node-2 ]' ;;
esac
";

#[tokio::test]
async fn what_a_cluster_runs_as_a_clone_is_left_alone_too() {
    let tools = Tools::with_units(&["centreon-map", "pacemaker"]);
    tools.script("crm_mon", MONITOR);
    let error = refusal(&["centreon-map"]).await;
    assert!(error.advice().unwrap().contains("pcs resource disable map --wait"), "{error}");
    tools.script("crm_mon", "exit 1");
    tools.script("pcs", PCS_OF_EL7);
    let error = refusal(&["centreon-map"]).await;
    assert!(error.to_string().contains("Pacemaker runs it as map,"), "{error}");
    let pcs = PCS_OF_EL7.replace("resource config", "resource").replace("show --full", "config");
    tools.script("pcs", &pcs);
    refusal(&["centreon-map"]).await;
    assert_eq!(tools.calls(), "");
}

#[tokio::test]
async fn a_cluster_that_tells_nothing_may_run_it() {
    let tools = Tools::with_units(&["centreon-map", "pacemaker"]);
    let error = refusal(&["centreon-map"]).await;
    assert!(error.to_string().contains("pacemaker is active, and tells nothing"), "{error}");
    tools.script("pcs", "echo 'Error: cluster is not available' >&2; exit 1");
    refusal(&["centreon-map"]).await;
    // One that was shut down runs nothing here, and one that answers has told.
    tools.write("pacemaker", "inactive\n");
    units::stop(&names(&["centreon-map"]), &Silent).await.unwrap();
    tools.write("pacemaker", "active\n");
    tools.script("pcs", "echo 'NO resources configured'");
    units::start(&names(&["centreon-map"]), &Silent).await.unwrap();
}

#[tokio::test]
async fn packages_are_recorded_with_the_way_back() {
    let tools = Tools::new();
    tools.script(
        "rpm",
        "printf 'centreon-map-server\\t%s\\tnoarch\\n' \"$(cat version)\"; printf '%s;' \"$@\" >>calls",
    );
    let history = "echo ' ID | Command | Date'; echo '-----'; echo \" $(cat number) | update\"; echo ' 1 | install'";
    tools.script("dnf", history);
    tools.script("dpkg-query", "echo 'no packages found' >&2; exit 1");
    tools.write("version", "20.04.8-2.el7");
    tools.write("number", "11");
    let globs = names(&["centreon-map*"]);
    let before = installed(&globs).await.unwrap();
    assert_eq!(before.packages[0].version, "20.04.8-2.el7");
    assert!(tools.calls().ends_with("%{ARCH}\\n;centreon-map*;"), "{}", tools.calls());
    tools.write("version", "20.10.1-1.el7");
    tools.write("number", "12");
    let after = installed(&globs).await.unwrap();
    let ways =
        |after: &_| ways_back(&before, after).iter().map(WayBack::unattended).collect::<Vec<_>>();
    assert_eq!(ways(&after), ["dnf -y history undo 12"]);
    // On EL7 there is no dnf; the lists of yum have the same numbers.
    fs::remove_file(tools.0.path().join("dnf")).unwrap();
    tools.script("yum", history);
    assert_eq!(ways(&installed(&globs).await.unwrap()), ["yum -y history undo 12"]);
    tools.script("rpm", "echo 'error: cannot open Packages database' >&2; exit 2");
    let error = installed(&globs).await.expect_err("the database is broken");
    assert_eq!(error.to_string(), "cannot list the installed packages: rpm ended with exit code 2");
}

#[tokio::test]
async fn the_package_managers_tell_versions() {
    let tools = Tools::new();
    let ways = [Detection::Rpm("map".to_owned()), Detection::Dpkg("map".to_owned())];
    let told = async || {
        let version = detected(&ways, tools.0.path()).await.unwrap();
        version.map(|version| version.to_string())
    };
    tools.script("rpm", "echo 'package map is not installed'; exit 1");
    tools.script("dpkg-query", "printf 'deinstall ok config-files\\n24.04.1-1\\n'");
    assert_eq!(told().await, None);
    tools.script("dpkg-query", "printf 'install ok installed\\n1:24.10.3-1~bookworm\\n'");
    assert_eq!(told().await.as_deref(), Some("24.10.3-1~bookworm"));
    tools.script("rpm", "test \"$*\" = '-q --qf %{VERSION}\\n map' && echo 20.04.8");
    assert_eq!(told().await.as_deref(), Some("20.04.8"));
}
