//! What runs on this host: the units of a service, its health, its packages, its version.
//!
//! The host's own tools are asked (`systemctl`, `pcs`, `rpm`, `dpkg-query`), and one that is absent
//! tells nothing: a host has no two package managers, and a container has no systemd. `--root` is
//! for files alone.

use std::time::Duration;

use crate::base::error::Result;
use crate::base::process::Ended;
use crate::base::process::Process;

pub mod cluster;
pub mod health;
pub mod packages;
pub mod units;
pub mod version;

/// How long one of the host's tools may take for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns a tool of the host, which speaks the language that is read here.
fn tool(program: &str, arguments: &[&str], limit: Duration) -> Process {
    let tool = Process::program(program, arguments, limit).with("LC_ALL", "C");
    #[cfg(test)]
    let tool = tests::in_the_place_of_the_hosts(tool);
    tool
}

/// Returns what a tool of the host answers.
async fn ask(program: &str, arguments: &[&str]) -> Result<Ended> {
    tool(program, arguments, PATIENCE).answer().await
}

#[cfg(test)]
mod tests;
