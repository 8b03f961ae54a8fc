//! What an upgrade would do, step by step, and what it would do where it fails.

use serde::Serialize;

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::profile::Profile;
use crate::profile::service::Check;
use crate::profile::service::Health;
use crate::profile::service::Verb;
use crate::profile::service::When;
use crate::profile::upgrade::Doer;
use crate::profile::upgrade::StepKind;
use crate::profile::upgrade::plan::Hop;
use crate::profile::upgrade::plan::Step;
use crate::snapshot::Host;
use crate::snapshot::execution::Undo;
use crate::snapshot::execution::refuse_unfinished;
use crate::snapshot::upgrade::UpgradeOptions;
use crate::snapshot::upgrade::follow_ups;
use crate::snapshot::upgrade::follow_ups::FollowUp;
use crate::snapshot::upgrade::path;
use crate::snapshot::upgrade::service;
use crate::system::cluster;
use crate::system::units;
use crate::system::units::Unit;

/// What an upgrade would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outline {
    /// What would be done, in order.
    pub steps: Vec<Step>,
    /// What would be done where that fails.
    pub way_back: Vec<Step>,
}

/// Returns what an upgrade would do; fails where it would be refused.
pub async fn outline(
    profile: &Profile,
    host: &Host,
    options: &UpgradeOptions,
    monitor: &dyn Monitor,
) -> Result<Outline> {
    let units = &profile.service.units;
    refuse_unfinished(&host.journals(), "upgrade")?;
    cluster::refuse_managed(units).await?;
    let hop = path::hop(profile, &host.root, options, monitor).await?;
    let known = units::known(units).await?;
    let active: Vec<_> = known.iter().filter(|unit| unit.is_active).collect();
    let absent = units.iter().filter(|name| known.iter().all(|unit| unit.name != **name));
    let undo = service::undo(options.undo.as_deref(), profile.service.undo.as_ref());
    let steps = [
        hooks(profile, When::Before, StepKind::Prepare),
        vec![save()],
        stops(StepKind::Prepare, &active),
        vec![step(StepKind::Upgrade, "Run the command", &options.command.join(" "))],
        starts(StepKind::Upgrade, &active),
        starts_of_new(&absent.cloned().collect::<Vec<_>>()),
        checks(StepKind::Upgrade, profile),
        follow_ups(profile, hop.as_ref()),
        hooks(profile, When::After, StepKind::FollowUp),
        hooks(profile, When::Finally, StepKind::FollowUp),
    ];
    let well_again = match undo {
        Some(_) => {
            [starts(StepKind::Restore, &active), checks(StepKind::Restore, profile)].concat()
        }
        None => vec![by_hand()],
    };
    let way_back = [
        stops(StepKind::Restore, &active),
        undo.iter().map(bring_back).collect(),
        vec![restore()],
        well_again,
        hooks(profile, When::Failed, StepKind::FollowUp),
        hooks(profile, When::Finally, StepKind::FollowUp),
    ];
    Ok(Outline { steps: steps.concat(), way_back: way_back.concat() })
}

fn save() -> Step {
    step(StepKind::Backup, "Save all that the profile names, and read it back", "snap create")
}

fn bring_back(undo: &Undo) -> Step {
    match &undo.command {
        Some(command) => step(StepKind::Restore, "Bring the packages back", command),
        None => said(
            StepKind::Restore,
            "Bring the packages back to their versions of now, by their installer; where it cannot, \
             what is stopped stays so",
        ),
    }
}

fn restore() -> Step {
    let command = "snap restore ID --force --restore-certificates";
    step(StepKind::Restore, "Restore exactly what was saved", command)
}

/// Returns what remains for a person where nothing brings the packages back.
fn by_hand() -> Step {
    let text = "Bring the packages back, with the commands that are printed then, and start the \
        units: where the packages have changed they stay stopped, since there is no --undo";
    Step { by: Doer::Person, ..said(StepKind::Restore, text) }
}

fn said(kind: StepKind, text: &str) -> Step {
    Step { kind, by: Doer::Snap, text: text.to_owned(), command: None }
}

fn step(kind: StepKind, text: &str, command: &str) -> Step {
    Step { command: Some(command.to_owned()), ..said(kind, text) }
}

/// Returns a step for each unit, the last one first.
fn stops(kind: StepKind, units: &[&Unit]) -> Vec<Step> {
    units.iter().rev().map(|unit| control(kind, "Stop", &unit.name)).collect()
}

/// Returns a step for each unit.
fn starts(kind: StepKind, units: &[&Unit]) -> Vec<Step> {
    units.iter().map(|unit| control(kind, "Start", &unit.name)).collect()
}

fn control(kind: StepKind, doing: &str, unit: &str) -> Step {
    let command = format!("systemctl {} {unit}", doing.to_lowercase());
    step(kind, &format!("{doing} {unit}"), &command)
}

/// Returns a step for the units that this host has not, and may have then.
fn starts_of_new(absent: &[String]) -> Vec<Step> {
    let text = format!("Start what the command brings of {}", absent.join(", "));
    if absent.is_empty() { Vec::new() } else { vec![said(StepKind::Upgrade, &text)] }
}

/// Returns a step for each hook that runs then.
fn hooks(profile: &Profile, when: When, kind: StepKind) -> Vec<Step> {
    let hooks = profile.service.hooks.iter();
    let hooks = hooks.filter(|hook| hook.when == when && hook.verbs.contains(&Verb::Upgrade));
    let text = format!("Run the profile's hook, {}", when.name());
    hooks.map(|hook| step(kind, &text, &hook.command.text)).collect()
}

/// Returns a step for each check of health.
fn checks(kind: StepKind, profile: &Profile) -> Vec<Step> {
    let check = |health: &Health| {
        let seconds = health.limit.as_secs();
        match &health.check {
            Check::Http { url, status, .. } => {
                said(kind, &format!("Wait until {url} answers {status}, {seconds} s at most"))
            }
            Check::Command(command) => {
                let text = format!("Wait until this command succeeds, {seconds} s at most");
                step(kind, &text, command)
            }
        }
    };
    profile.service.health.iter().map(check).collect()
}

/// Returns a step for all that follows.
fn follow_ups(profile: &Profile, hop: Option<&Hop>) -> Vec<Step> {
    let follow_up = |follow_up: FollowUp| Step {
        kind: StepKind::FollowUp,
        by: follow_up.by,
        text: follow_up.text,
        command: follow_up.command,
    };
    follow_ups::due(profile, hop).into_iter().map(follow_up).collect()
}
