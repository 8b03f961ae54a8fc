//! What there is to do when an upgrade has succeeded: `snap` does its own part, and names the rest.

use std::time::Duration;

use serde::Serialize;

use crate::profile::Profile;
use crate::profile::service;
use crate::profile::upgrade::Doer;
use crate::profile::upgrade::StepKind;
use crate::profile::upgrade::plan::Hop;
use crate::snapshot::upgrade::Upgrading;

/// How long one may take.
const LIMIT: Duration = Duration::from_secs(600);

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FollowUp {
    /// What.
    pub text: String,
    /// The command that does it.
    pub command: Option<String>,
    /// Who does it.
    pub by: Doer,
    /// Whether it is done.
    pub done: bool,
}

impl Upgrading<'_> {
    /// Does what is for `snap` to do; returns all there was, in order. One that fails is a warning:
    /// the service is well.
    pub(super) async fn follow_up(&self, hop: Option<&Hop>) -> Vec<FollowUp> {
        let mut follow_ups = due(self.profile, hop);
        for follow_up in &mut follow_ups {
            let Some(command) = follow_up.command.as_ref().filter(|_| follow_up.by == Doer::Snap)
            else {
                continue;
            };
            match self.run_shell(command, LIMIT).await {
                Ok(()) => follow_up.done = true,
                Err(broken) => {
                    let why = broken.error.chain();
                    self.monitor.warn(&format!("`{command}` is still to be done: {why}"));
                }
            }
        }
        follow_ups
    }
}

/// Returns what the rules and the profile say is to be done after an upgrade. A profile repeats what
/// the rules say, for upgrades whose versions nobody told.
pub(super) fn due(profile: &Profile, hop: Option<&Hop>) -> Vec<FollowUp> {
    let steps = hop.map_or(&[][..], |hop| &hop.steps).iter();
    let of_rules = steps.filter(|step| step.kind == StepKind::FollowUp).map(|step| FollowUp {
        text: step.text.clone(),
        command: step.command.clone(),
        by: step.by,
        done: false,
    });
    let mut due: Vec<_> = of_rules.collect();
    for service::FollowUp { text, command, by } in &profile.service.follow_ups {
        let is_same = |other: &FollowUp| {
            text.starts_with(&other.text) || (command.is_some() && *command == other.command)
        };
        if !due.iter().any(is_same) {
            let (text, command) = (text.clone(), command.clone());
            due.push(FollowUp { text, command, by: *by, done: false });
        }
    }
    due
}
