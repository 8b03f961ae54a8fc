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
use crate::profile::upgrade::plan::Step;
use crate::snapshot::Host;
use crate::snapshot::execution::refuse_unfinished;
use crate::snapshot::upgrade::UpgradeOptions;
use crate::snapshot::upgrade::follow_ups;
use crate::snapshot::upgrade::path;
use crate::snapshot::upgrade::service;
use crate::system::units;

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
    refuse_unfinished(&host.journals(), "upgrade")?;
    units::refuse_managed(&profile.service.units).await?;
    let hop = path::hop(profile, &host.root, options, monitor).await?;
    let active = units::active(&profile.service.units).await?;
    let undo = service::undo(options.undo.as_deref(), profile.service.undo.as_ref());
    let mut steps = vec![
        step(StepKind::Backup, "Save all that the profile names, and read it back", "snap create"),
        Step { command: Some(options.command.join(" ")), ..upgrade("Run the command") },
    ];
    steps.splice(0..0, hooks(profile, When::Before, StepKind::Prepare));
    let saved = steps.len() - 1;
    steps.splice(saved..saved, controls(StepKind::Prepare, "stop", active.iter().rev()));
    steps.extend(controls(StepKind::Upgrade, "start", active.iter()));
    steps.extend(checks(profile));
    steps.extend(follow_ups::due(profile, hop.as_ref()).into_iter().map(|follow_up| Step {
        kind: StepKind::FollowUp,
        by: follow_up.by,
        text: follow_up.text,
        command: follow_up.command,
    }));
    steps.extend(hooks(profile, When::After, StepKind::FollowUp));
    steps.extend(hooks(profile, When::Finally, StepKind::FollowUp));
    let mut way_back = controls(StepKind::Restore, "stop", active.iter().rev());
    way_back.extend(
        undo.as_ref().map(|undo| step(StepKind::Restore, "Bring the packages back", &undo.command)),
    );
    let restore = "snap restore ID --force --restore-certificates";
    way_back.push(step(StepKind::Restore, "Restore exactly what was saved", restore));
    if undo.is_some() {
        way_back.extend(controls(StepKind::Restore, "start", active.iter()));
        way_back
            .extend(checks(profile).into_iter().map(|it| Step { kind: StepKind::Restore, ..it }));
    } else {
        way_back.push(Step {
            by: Doer::Person,
            ..said(
                StepKind::Restore,
                "Bring the packages back, with the commands that are printed then, and start the \
                 units: where the packages have changed they stay stopped, since there is no --undo",
            )
        });
    }
    way_back.extend(hooks(profile, When::Failed, StepKind::FollowUp));
    way_back.extend(hooks(profile, When::Finally, StepKind::FollowUp));
    Ok(Outline { steps, way_back })
}

fn said(kind: StepKind, text: &str) -> Step {
    Step { kind, by: Doer::Snap, text: text.to_owned(), command: None }
}

fn step(kind: StepKind, text: &str, command: &str) -> Step {
    Step { command: Some(command.to_owned()), ..said(kind, text) }
}

fn upgrade(text: &str) -> Step {
    said(StepKind::Upgrade, text)
}

/// Returns a step for each unit.
fn controls<'a>(kind: StepKind, verb: &str, units: impl Iterator<Item = &'a String>) -> Vec<Step> {
    let text = if verb == "stop" { "Stop" } else { "Start" };
    units
        .map(|unit| step(kind, &format!("{text} {unit}"), &format!("systemctl {verb} {unit}")))
        .collect()
}

/// Returns a step for each hook that runs then.
fn hooks(profile: &Profile, when: When, kind: StepKind) -> Vec<Step> {
    let hooks = profile.service.hooks.iter();
    let hooks = hooks.filter(|hook| hook.when == when && hook.verbs.contains(&Verb::Upgrade));
    let text = format!("Run the profile's hook, {}", when.name());
    hooks.map(|hook| step(kind, &text, &hook.command.text)).collect()
}

/// Returns a step for each check of health.
fn checks(profile: &Profile) -> Vec<Step> {
    let check = |health: &Health| {
        let seconds = health.limit.as_secs();
        match &health.check {
            Check::Http { url, status, .. } => {
                upgrade(&format!("Wait until {url} answers {status}, {seconds} s at most"))
            }
            Check::Command(command) => step(
                StepKind::Upgrade,
                &format!("Wait until this command succeeds, {seconds} s at most"),
                command,
            ),
        }
    };
    profile.service.health.iter().map(check).collect()
}
