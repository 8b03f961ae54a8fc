//! The path of an upgrade, as people read it: every hop with its steps, who takes them, and how.

use crate::cli::human::counted;
use crate::cli::human::printable;
use crate::cli::table::Table;
use crate::profile::upgrade::Doer;
use crate::profile::upgrade::StepKind;
use crate::profile::upgrade::plan::Hop;
use crate::profile::upgrade::plan::Step;
use crate::snapshot::upgrade::path::UpgradePath;

/// Returns the path, hop by hop.
pub(super) fn to_text(path: &UpgradePath, profile: &str) -> String {
    let (title, from, to) = (&path.plan.title, &path.from, &path.to);
    let hops = &path.plan.hops;
    if hops.is_empty() {
        return format!("{title} is at {from}: there is nothing to upgrade\n");
    }
    let number = counted(hops.len() as u64, "upgrade");
    let heading = format!("{title}, from {from} to {to}: {number}\n");
    let hops = hops.iter().enumerate();
    hops.fold(heading, |text, (place, hop)| text + &hop_text(place + 1, hop, profile))
}

fn hop_text(number: usize, hop: &Hop, profile: &str) -> String {
    let reason = hop.reason.as_deref().map(|reason| format!("   {}\n", printable(reason)));
    format!(
        "\n{number}. {} -> {}\n{}{}{}",
        hop.from,
        hop.to,
        reason.unwrap_or_default(),
        steps(&hop.steps, "   "),
        verb(hop, profile)
    )
}

/// Returns steps as a table, each with who takes it.
pub(super) fn steps(steps: &[Step], indent: &str) -> String {
    let mut table = Table::new(&[&format!("{indent}STEP"), "WHO", "WHAT"]);
    for step in steps {
        let kind = format!("{indent}{}", kind(step.kind));
        table.row([kind, doer(step.by).to_owned(), step.text.clone()]);
        if let Some(command) = &step.command {
            table.row([String::new(), String::new(), format!("# {command}")]);
        }
    }
    table.to_text()
}

/// Returns the command that takes all of the steps that are not a person's. None does where the
/// saved state has to come onto a new installation.
fn verb(hop: &Hop, profile: &str) -> String {
    if hop.steps.iter().any(|step| step.kind == StepKind::Restore) {
        return String::new();
    }
    let to = hop.to.version();
    format!(
        "   snap's steps, and the way back: \
         snap upgrade --profile {profile} --to-version {to} -- COMMAND\n"
    )
}

const fn kind(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Prepare => "prepare",
        StepKind::Backup => "backup",
        StepKind::Upgrade => "upgrade",
        StepKind::Restore => "restore",
        StepKind::FollowUp => "follow up",
    }
}

const fn doer(by: Doer) -> &'static str {
    match by {
        Doer::Snap => "snap",
        Doer::Person => "you",
    }
}
