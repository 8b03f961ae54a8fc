//! The units that Pacemaker runs: nobody else is to stop or start them.
//!
//! It would start one again at once, or on another node, and counts a stop as a failure. The operator
//! is told the command that the cluster understands.
//!
//! Its resources are asked for where they stand with what they run, whether alone, in a group or
//! cloned: a plain list of them names the clones and not what they run.

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::system::ask;
use crate::system::units::state;

/// What runs a cluster.
const CLUSTER: &[&str] = &["pacemaker", "corosync"];

/// How the resources of a cluster are asked for, the last way by the pcs of EL7; one answer is enough.
const RESOURCES: &[(&str, &[&str])] = &[
    ("crm_mon", &["-1", "-r", "-R"]),
    ("pcs", &["resource", "config"]),
    ("pcs", &["resource", "show", "--full"]),
];

/// Fails with [`Kind::Refused`] where Pacemaker runs one of the units, or may.
pub async fn refuse_managed(units: &[String]) -> Result<()> {
    if units.is_empty() {
        return Ok(());
    }
    let mut is_answered = false;
    for (program, arguments) in RESOURCES {
        let ended = ask(program, arguments).await?;
        is_answered |= ended.is_success();
        for line in &ended.output {
            let runs = |unit: &&String| resource(line, unit).is_some();
            if let Some((unit, name)) =
                units.iter().find(runs).and_then(|unit| Some((unit, resource(line, unit)?)))
            {
                return Err(managed(unit, name));
            }
        }
    }
    for service in CLUSTER {
        if !is_answered && state(service).await? == "active" {
            let told = format!(
                "cannot stop or start {}: {service} is active, and tells nothing of its resources",
                units.join(", ")
            );
            let hint = "where the cluster does not run it, make `pcs resource config` or \
                `crm_mon -1 -r -R` work";
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
/// `* map (systemd:centreon-map): Started node-1`, or
/// `Resource: map (class=systemd type=centreon-map)`.
fn resource<'a>(line: &'a str, unit: &str) -> Option<&'a str> {
    let (before, rest) = line.split_once('(')?;
    let (agent, _) = rest.split_once(')')?;
    let runs = match agent.rsplit_once("type=") {
        Some((class, runs)) if class.contains("class=") => runs,
        _ => agent.rsplit_once(':')?.1,
    };
    let plain = |name: &'_ str| name.strip_suffix(".service").unwrap_or(name).to_owned();
    let name = before.split_whitespace().next_back()?;
    // An instance of a clone has its number behind it.
    let name = name.split_once(':').map_or(name, |(name, _)| name);
    (plain(runs) == plain(unit)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_of_a_cluster_is_known_by_what_it_runs() {
        for line in [
            "  * centreon_map\t(systemd:centreon-map):\t Started node-1",
            " centreon_map\t(systemd:centreon-map):\tStopped (disabled)",
            "    * centreon_map:1\t(systemd:centreon-map.service):\t Stopped",
            " Resource: centreon_map (class=systemd type=centreon-map)",
            "  Resource: centreon_map (class=ocf provider=heartbeat type=centreon-map)",
        ] {
            assert_eq!(resource(line, "centreon-map"), Some("centreon_map"), "{line}");
            assert_eq!(resource(line, "centreon-map.service"), Some("centreon_map"), "{line}");
            assert_eq!(resource(line, "centreon-map-engine"), None, "{line}");
            assert_eq!(resource(line, "map"), None, "{line}");
        }
        for line in [
            "Full List of Resources:",
            "  * Node node-1: online (centreon-map)",
            "  * Clone Set: centreon-map [centreon-map] (unique)",
            "    monitor: interval=30s (type=centreon-map)",
            "(x",
            "",
        ] {
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
