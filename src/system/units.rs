//! The units of systemd that a service is made of: stopped in reverse order, started in order.
//!
//! Only units that this host has are touched: a profile names those of all its variants. One that a
//! cluster runs is not touched at all.

use std::future::pending;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use tokio::time::Instant;
use tokio::time::sleep;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::system::ask;
use crate::system::cluster::refuse_managed;
use crate::system::tool;

/// How long a unit may take to stop or to start; systemd's own limit is 90 seconds.
const LIMIT: Duration = Duration::from_secs(300);

/// How long a unit that was started may take to become active.
const BECOMES_ACTIVE: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 90 });

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(250);

/// A unit that this host has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// Whether it runs, or is about to.
    pub is_active: bool,
    /// Whether it can be started, in systemd's own word: `loaded`, or `masked`.
    load: String,
    /// Whether it starts with the host, in systemd's own word, such as `enabled`.
    file: String,
    /// What its package or its distribution would have of that.
    preset: String,
}

impl Unit {
    /// Returns whether it starts with the host.
    pub fn is_enabled(&self) -> bool {
        self.file == "enabled"
    }

    /// Returns whether it runs, or could be started.
    pub fn may_run(&self) -> bool {
        self.load == "loaded" || self.is_active
    }

    /// Returns whether somebody has turned it off: one that is only not enabled by anybody is as its
    /// package brings it.
    fn is_turned_off(&self) -> bool {
        self.load == "masked" || (self.file == "disabled" && self.preset == "enabled")
    }
}

/// Returns those of the units that this host has, each as it is now.
pub async fn known(units: &[String]) -> Result<Vec<Unit>> {
    let mut known = Vec::new();
    for name in units {
        let properties = "--property=LoadState,UnitFileState,UnitFilePreset";
        let ended = ask("systemctl", &["show", properties, name]).await?;
        if ended.end.is_absent() {
            return Ok(Vec::new());
        }
        let told = |property: &str| {
            let line = ended.output.iter().find_map(|line| line.strip_prefix(property));
            line.and_then(|line| line.strip_prefix('=')).map(str::to_owned)
        };
        let Some(load) = told("LoadState") else {
            let told = format!("cannot ask systemd for {name}: systemctl {}", ended.end);
            return Err(Error::failed(told));
        };
        if matches!(load.as_str(), "loaded" | "masked") {
            let is_active =
                matches!(state(name).await?.as_str(), "active" | "activating" | "reloading");
            let file = told("UnitFileState").unwrap_or_default();
            let preset = told("UnitFilePreset").unwrap_or_default();
            known.push(Unit { name: name.clone(), is_active, load, file, preset });
        }
    }
    Ok(known)
}

/// Returns those of the units that this host has, and that may be started.
pub async fn present(units: &[String]) -> Result<Vec<String>> {
    let known = known(units).await?.into_iter().filter(|unit| unit.load == "loaded");
    Ok(known.map(|unit| unit.name).collect())
}

/// Returns those of the units that run on this host.
pub async fn active(units: &[String]) -> Result<Vec<String>> {
    let known = known(units).await?.into_iter().filter(|unit| unit.is_active);
    Ok(known.map(|unit| unit.name).collect())
}

/// Returns the units to start after a change, in their order: those that ran before, and those that it
/// has brought, but for what has been turned off by it.
pub fn due(before: &[Unit], now: &[Unit]) -> Vec<String> {
    let is_due = |unit: &&Unit| match before.iter().find(|before| before.name == unit.name) {
        Some(before) => {
            let is_disabled = before.is_enabled() && unit.file == "disabled";
            before.is_active && unit.load == "loaded" && !is_disabled
        }
        None => !unit.is_turned_off(),
    };
    now.iter().filter(is_due).map(|unit| unit.name.clone()).collect()
}

/// Lets those units start with the host again that did so before.
pub async fn enable_again(before: &[Unit]) -> Result<()> {
    let enabled = before.iter().filter(|unit| unit.is_enabled()).map(|unit| unit.name.clone());
    for unit in known(&enabled.collect::<Vec<_>>()).await? {
        if unit.load == "masked" {
            control("unmask", &unit.name).await?;
        }
        if matches!(unit.file.as_str(), "disabled" | "masked") {
            control("enable", &unit.name).await?;
        }
    }
    Ok(())
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

/// Returns the state of a unit in systemd's own word; `unknown` where there is no systemd.
pub(super) async fn state(unit: &str) -> Result<String> {
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

    /// Returns a unit, by the words for what it is.
    fn unit(name: &str, words: &str) -> Unit {
        let mut words = words.split(' ').map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        let is_active = word() == "active";
        let (load, file, preset) = (word(), word(), word());
        Unit { name: name.to_owned(), is_active, load, file, preset }
    }

    #[test]
    fn after_a_change_what_ran_and_what_is_new_is_due_unless_it_was_turned_off() {
        let before = [
            unit("kept", "active loaded enabled disabled"),
            unit("by-hand", "active loaded disabled disabled"),
            unit("idle", "inactive loaded enabled enabled"),
            unit("disabled", "active loaded enabled disabled"),
            unit("masked", "active loaded enabled disabled"),
            unit("gone", "active loaded enabled disabled"),
        ];
        let now = [
            unit("kept", "inactive loaded enabled disabled"),
            unit("by-hand", "inactive loaded disabled disabled"),
            unit("idle", "inactive loaded enabled enabled"),
            unit("disabled", "inactive loaded disabled disabled"),
            unit("masked", "inactive masked masked disabled"),
            unit("new", "inactive loaded disabled disabled"),
            unit("new-enabled", "inactive loaded enabled enabled"),
            unit("new-disabled", "inactive loaded disabled enabled"),
            unit("new-masked", "inactive masked masked enabled"),
            unit("new-static", "inactive loaded static"),
        ];
        let expected = ["kept", "by-hand", "new", "new-enabled", "new-static"];
        assert_eq!(due(&before, &now), expected);
    }
}
