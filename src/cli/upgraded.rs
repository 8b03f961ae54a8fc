//! What came of an upgrade, or would come, as people read it.

use crate::cli::human::lines;
use crate::cli::human::printable;
use crate::cli::path;
use crate::cli::table::Table;
use crate::profile::upgrade::Doer;
use crate::snapshot::upgrade::State;
use crate::snapshot::upgrade::Upgraded;
use crate::snapshot::upgrade::follow_ups::FollowUp;
use crate::snapshot::upgrade::outline::Outline;

/// Returns what came of an upgrade.
pub(super) fn to_text(upgraded: &Upgraded) -> String {
    format!(
        "{}\n{}{}{}{}",
        heading(upgraded),
        facts(upgraded),
        last_lines(upgraded),
        ways_back(upgraded),
        follow_ups(upgraded)
    )
}

/// Returns what an upgrade would do.
pub(super) fn outline_text(outline: &Outline) -> String {
    let steps = path::steps(&outline.steps, "  ");
    let back = path::steps(&outline.way_back, "  ");
    format!("would upgrade; nothing was touched\n\n{steps}\nwhere it fails:\n\n{back}")
}

fn heading(upgraded: &Upgraded) -> String {
    let (seconds, health) = (upgraded.seconds, upgraded.upgrade.health());
    let but = printable(&upgraded.upgrade.but());
    match upgraded.state {
        State::Upgraded => format!("upgraded in {seconds:.1} s{health}"),
        State::Returned => {
            format!("not upgraded: after {seconds:.1} s all is as it was before{but}{health}")
        }
        State::Unwell => {
            format!("not upgraded: after {seconds:.1} s all is as it was before{but}, but not well")
        }
        State::Stopped => {
            format!("not upgraded: the data is as it was before{but}, the units stay stopped")
        }
        State::Unfinished => "not upgraded, and not back yet".to_owned(),
        State::LeftAsItIs => "ended: all is left as it is, nothing was touched".to_owned(),
    }
}

fn facts(upgraded: &Upgraded) -> String {
    let mut table = Table::of_values();
    let mut row = |name: &str, value: String| table.row([format!("  {name}"), value]);
    let upgrade = &upgraded.upgrade;
    row("execution", upgraded.execution.clone());
    row("command", upgrade.line());
    let found = upgrade.found.clone().filter(|_| upgraded.state == State::Upgraded);
    let version = match (&upgrade.from, found) {
        (Some(from), Some(found)) => Some(format!("{from} -> {found}")),
        (from, found) => from.clone().or(found),
    };
    let optional = [
        ("version", version.as_ref()),
        ("failed", upgrade.failure.as_ref()),
        ("snapshot", upgraded.snapshot.as_ref()),
        ("restored by", upgrade.restored_by.as_ref()),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            row(name, value.clone());
        }
    }
    row("output", upgraded.log.display().to_string());
    table.to_text()
}

fn last_lines(upgraded: &Upgraded) -> String {
    let last = lines(upgraded.last_lines.iter().map(|line| format!("  | {}", printable(line))));
    if last.is_empty() { last } else { format!("\nthe last lines of its output:\n{last}") }
}

fn ways_back(upgraded: &Upgraded) -> String {
    if upgraded.state != State::Stopped {
        return String::new();
    }
    let packages = upgraded.upgrade.installed.packages.iter();
    let packages = lines(packages.map(|package| format!("  {} {}", package.name, package.version)));
    let packages = match packages.as_str() {
        "" => String::new(),
        _ => format!("\nthe packages before:\n{packages}"),
    };
    let commands = lines(upgraded.ways_back.iter().map(|command| format!("  # {command}")));
    format!("{packages}\nto bring the programs back and start them:\n{commands}")
}

fn follow_ups(upgraded: &Upgraded) -> String {
    let line = |follow_up: &FollowUp| {
        let who = match (follow_up.by, follow_up.done) {
            (_, true) => "done",
            (Doer::Snap, false) => "FAILED",
            (Doer::Person, false) => "you",
        };
        let command = follow_up.command.as_ref();
        let command = command.map(|command| format!("{:10}# {}\n", "", printable(command)));
        format!("  {who:6}  {}\n{}", printable(&follow_up.text), command.unwrap_or_default())
    };
    let follow_ups: String = upgraded.follow_ups.iter().map(line).collect();
    if follow_ups.is_empty() { follow_ups } else { format!("\nwhat follows:\n{follow_ups}") }
}
