//! The units of systemd that a service is made of: stopped in reverse order, started in order.
//!
//! Only units that this host has are touched: a profile names those of all its variants. One that
//! Pacemaker runs is not touched at all: it would be started again at once, or on another node, and
//! a stop counts there as a failure. The operator is told the command that the cluster understands.

use std::future::pending;
use std::time::Duration;

use tokio::time::Instant;
use tokio::time::sleep;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::system::ask;
use crate::system::tool;

/// How long a unit may take to stop or to start; systemd's own limit is 90 seconds.
const LIMIT: Duration = Duration::from_secs(300);

/// How long a unit that was started may take to become active.
const BECOMES_ACTIVE: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 90 });

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(250);

/// What runs a cluster.
const CLUSTER: &[&str] = &["pacemaker", "corosync"];

/// How the resources of a cluster are asked for; one of both is enough.
const RESOURCES: &[(&str, &[&str])] = &[("pcs", &["resource"]), ("crm_mon", &["-1", "-r"])];

/// Returns those of the units that this host has.
pub async fn present(units: &[String]) -> Result<Vec<String>> {
    let mut present = Vec::new();
    for unit in units {
        let ended = ask("systemctl", &["show", "--property=LoadState", unit]).await?;
        if ended.end.is_absent() {
            return Ok(Vec::new());
        }
        let Some(state) = ended.output.iter().find_map(|line| line.strip_prefix("LoadState="))
        else {
            let told = format!("cannot ask systemd for {unit}: systemctl {}", ended.end);
            return Err(Error::failed(told));
        };
        if state == "loaded" {
            present.push(unit.clone());
        }
    }
    Ok(present)
}

/// Returns those of the units that run on this host.
pub async fn active(units: &[String]) -> Result<Vec<String>> {
    let mut active = Vec::new();
    for unit in units {
        if matches!(state(unit).await?.as_str(), "active" | "activating" | "reloading") {
            active.push(unit.clone());
        }
    }
    Ok(active)
}

/// Stops the units, the last one first; those that do not run stay as they are.
pub async fn stop(units: &[String], monitor: &dyn Monitor) -> Result<()> {
    refuse_managed(units).await?;
    for unit in units.iter().rev() {
        monitor.step(&format!("stop {unit}"), None);
        control("stop", unit).await?;
        if let state @ ("active" | "deactivating") = state(unit).await?.as_str() {
            return Err(failed(&format!("cannot stop {unit}: it is {state} still"), unit));
        }
    }
    Ok(())
}

/// Starts the units in their order, each once the one before it is active.
pub async fn start(units: &[String], monitor: &dyn Monitor) -> Result<()> {
    refuse_managed(units).await?;
    for unit in units {
        monitor.step(&format!("start {unit}"), None);
        control("start", unit).await?;
        becomes_active(unit).await?;
    }
    Ok(())
}

/// Fails with [`Kind::Refused`] where Pacemaker runs one of the units, or may.
pub async fn refuse_managed(units: &[String]) -> Result<()> {
    if units.is_empty() {
        return Ok(());
    }
    let mut is_answered = false;
    for (program, arguments) in RESOURCES {
        let ended = ask(program, arguments).await?;
        is_answered |= ended.is_success();
        for (unit, line) in
            units.iter().flat_map(|unit| ended.output.iter().map(move |it| (unit, it)))
        {
            if let Some(resource) = resource(line, unit) {
                return Err(managed(unit, resource));
            }
        }
    }
    for service in CLUSTER {
        if !is_answered && state(service).await? == "active" {
            let told = format!(
                "cannot stop or start {}: {service} is active, and tells nothing of its resources",
                units.join(", ")
            );
            let hint =
                "where the cluster does not run it, make `pcs resource` or `crm_mon -1` work";
            return Err(Error::new(Kind::Refused, told).hint(hint));
        }
    }
    Ok(())
}

fn managed(unit: &str, resource: &str) -> Error {
    let told = format!(
        "cannot stop or start {unit}: Pacemaker runs it as {resource}, and would start it again or elsewhere"
    );
    Error::new(Kind::Refused, told).hint(format!(
        "`pcs resource disable {resource} --wait` stops it, `pcs resource enable {resource} --wait` starts it"
    ))
}

/// Returns the name of the resource, where the line tells of one that is this unit:
/// `* centreon_map (systemd:centreon-map): Started node-1`.
fn resource<'a>(line: &'a str, unit: &str) -> Option<&'a str> {
    let (before, rest) = line.split_once('(')?;
    let (agent, _) = rest.split_once(')')?;
    let runs = agent.rsplit(':').next().unwrap_or_default();
    let plain = |name: &'_ str| name.strip_suffix(".service").unwrap_or(name).to_owned();
    let name = before.split_whitespace().next_back()?;
    (agent.contains(':') && plain(runs) == plain(unit)).then_some(name)
}

/// Returns the state of a unit in systemd's own word; `unknown` where there is no systemd.
async fn state(unit: &str) -> Result<String> {
    let ended = ask("systemctl", &["is-active", unit]).await?;
    Ok(ended.output.into_iter().next().unwrap_or_else(|| "unknown".to_owned()))
}

async fn control(verb: &str, unit: &str) -> Result<()> {
    let ended = tool("systemctl", &[verb, unit], LIMIT).run(&|_| {}, pending()).await?;
    if ended.is_success() {
        return Ok(());
    }
    let why = ended.output.last().map(|line| format!(": {line}")).unwrap_or_default();
    Err(failed(&format!("cannot {verb} {unit}: systemctl {}{why}", ended.end), unit))
}

async fn becomes_active(unit: &str) -> Result<()> {
    let last = Instant::now() + BECOMES_ACTIVE;
    loop {
        let state = state(unit).await?;
        if state == "active" {
            return Ok(());
        }
        if state == "failed" || Instant::now() >= last {
            return Err(failed(&format!("cannot start {unit}: it is {state}"), unit));
        }
        sleep(LOOK).await;
    }
}

fn failed(told: &str, unit: &str) -> Error {
    Error::new(Kind::Hook, told).hint(format!("`journalctl --unit {unit}` tells why"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_of_a_cluster_is_known_by_what_it_runs() {
        let new = "  * centreon_map\t(systemd:centreon-map):\t Started node-1";
        let old = " centreon_map\t(systemd:centreon-map):\tStopped (disabled)";
        for line in [new, old] {
            assert_eq!(resource(line, "centreon-map"), Some("centreon_map"));
            assert_eq!(resource(line, "centreon-map.service"), Some("centreon_map"));
            assert_eq!(resource(line, "centreon-map-engine"), None);
            assert_eq!(resource(line, "map"), None);
        }
        for line in ["Full List of Resources:", "  * Node node-1: online (centreon-map)", "(x", ""]
        {
            assert_eq!(resource(line, "centreon-map"), None, "{line}");
        }
    }

    #[test]
    fn a_refusal_names_the_reason_and_the_command_of_the_cluster() {
        let error = managed("centreon-map", "centreon_map");
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.chain().contains("Pacemaker runs it as centreon_map"), "{error}");
        assert!(error.advice().unwrap().contains("pcs resource disable centreon_map --wait"));
    }
}
