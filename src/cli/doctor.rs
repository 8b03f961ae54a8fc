//! `snap doctor`.

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::cli::answer::Answer;
use crate::cli::human::counted;
use crate::cli::human::lines;
use crate::cli::human::printable;
use crate::cli::settings::Settings;
use crate::cli::table::Table;
use crate::snapshot::doctor::Check;
use crate::snapshot::doctor::Outcome;
use crate::snapshot::doctor::doctor;

/// Check that create and restore would work here, and say what to do where not
///
/// The server, the rights of the account, the repository and the paths of the profile are looked
/// at; nothing is changed. Exits 1 when a check is bad.
#[derive(clap::Args)]
#[command(after_help = "Example: snap doctor --defaults-file /etc/snap/my.cnf")]
pub(super) struct Args {}

pub(super) async fn run(_: &Args, settings: &Settings, monitor: &dyn Monitor) -> Result<Answer> {
    let host = settings.host(monitor)?;
    let checks = doctor(&settings.repository, &settings.profile, &host).await;
    let bad: Vec<&Check> = checks.iter().filter(|check| check.outcome == Outcome::Bad).collect();
    let answer = Answer::new("checks", &checks, to_text(checks.iter()));
    Ok(answer.least(to_text(bad.iter().copied())).failing(failure(bad.len())))
}

fn to_text<'a>(checks: impl Iterator<Item = &'a Check> + Clone) -> String {
    let mut table = Table::new(&["OUTCOME", "CHECK", "DETAIL"]);
    for check in checks.clone() {
        let outcome = match check.outcome {
            Outcome::Good => "good",
            Outcome::Note => "note",
            Outcome::Bad => "bad",
        };
        table.row([outcome.to_owned(), check.name.clone(), check.detail.clone()]);
    }
    let fixes = checks.filter_map(|check| Some((check, check.fix.as_ref()?)));
    table.to_text() + &lines(fixes.map(|(check, fix)| advice(&check.name, fix)))
}

/// Returns a fix as text; several statements stand on lines of their own, to be copied.
fn advice(name: &str, fix: &str) -> String {
    if !fix.contains('\n') {
        return format!("fix for {name}: {}", printable(fix));
    }
    let statements: Vec<String> =
        fix.lines().map(|line| format!("  {}", printable(line))).collect();
    format!("fix for {name}:\n{}", statements.join("\n"))
}

fn failure(bad: usize) -> Option<Error> {
    let checks = counted(bad as u64, "check");
    let message = format!("cannot vouch for this host: {checks} ended badly");
    (bad > 0).then(|| Error::failed(message).hint("each of them names its fix above"))
}
