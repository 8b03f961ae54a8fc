//! `snap executions`.

use clap::Subcommand;

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::cli::answer::Answer;
use crate::cli::human::lines;
use crate::cli::human::printable;
use crate::cli::settings::Settings;
use crate::cli::table::Table;
use crate::snapshot::execution::Execution;
use crate::snapshot::execution::Upgrade;
use crate::snapshot::execution::get;
use crate::snapshot::execution::list;

/// Show what ran on this host, and how it ended
///
/// Every run of a verb that changes something is an execution, with a journal on this host from
/// its first second. The last two hundred are remembered.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  snap executions list                    the oldest first
  snap executions get execution_K3X9PQ    one of them, step by step")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List the executions of this host, the oldest first
    List {
        /// Accepted for scripts of the Cloudify Manager; changes nothing
        #[arg(long)]
        include_system_workflows: bool,
    },
    /// Show one execution, step by step
    Get {
        /// The id of the execution
        id: String,
    },
}

pub(super) fn run(args: &Args, settings: &Settings, monitor: &dyn Monitor) -> Result<Answer> {
    match &args.what {
        What::List { .. } => {
            let executions = list(&settings.journals(), monitor)?;
            let ids = lines(executions.iter().map(|execution| execution.id.clone()));
            Ok(Answer::new("executions", &executions, table(&executions)).least(ids))
        }
        What::Get { id } => {
            let execution = get(&settings.journals(), id)?;
            let text = details(&execution);
            Ok(Answer::new("execution", &execution, text).least(format!("{id}\n")))
        }
    }
}

fn table(executions: &[Execution]) -> String {
    let mut table = Table::new(&[
        "ID", "VERB", "STATUS", "STEP", "SNAPSHOT", "PROFILE", "STARTED", "ENDED", "ERROR",
    ]);
    for execution in executions {
        let ended = execution.ended.map(|at| at.strftime("%H:%M:%S UTC").to_string());
        table.row([
            execution.id.clone(),
            execution.verb.clone(),
            execution.status.name().to_owned(),
            execution.step.name().to_owned(),
            execution.snapshot.clone().unwrap_or_else(|| "-".to_owned()),
            execution.profile.clone(),
            execution.started.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            ended.unwrap_or_else(|| "-".to_owned()),
            execution.error.clone().unwrap_or_default(),
        ]);
    }
    table.to_text()
}

/// Returns what an upgrade was told and found.
fn told(upgrade: &Upgrade) -> Vec<(&'static str, String)> {
    let mut told = vec![("command", upgrade.line())];
    let undo = upgrade.undo.as_ref().map(|undo| undo.line().to_owned());
    let values = [
        ("undo", undo),
        ("version before", upgrade.from.clone()),
        ("version wanted", upgrade.to.clone()),
        ("version found", upgrade.found.clone()),
        ("went back", upgrade.failure.clone()),
        ("restored by", upgrade.restored_by.clone()),
    ];
    told.extend(values.into_iter().filter_map(|(name, value)| Some((name, value?))));
    let units = upgrade.units.iter().map(|unit| ("unit", unit.clone()));
    let packages = upgrade.installed.packages.iter();
    let packages = packages.map(|it| ("package", format!("{} {}", it.name, it.version)));
    told.extend(units.chain(packages));
    told
}

fn details(execution: &Execution) -> String {
    let mut table = Table::of_values();
    let mut row = |name: &str, value: String| table.row([format!("  {name}"), value]);
    row("verb", execution.verb.clone());
    row("status", execution.status.name().to_owned());
    for (name, value) in [
        ("snapshot", &execution.snapshot),
        ("undoes", &execution.undoes),
        ("saved before", &execution.safety_snapshot),
        ("server", &execution.server),
        ("error", &execution.error),
    ] {
        if let Some(value) = value {
            row(name, value.clone());
        }
    }
    if execution.in_place.is_some() {
        let back = execution.way_back().map(|back| format!("`{back}` goes back"));
        row("in place", back.unwrap_or_else(|| "it replaced nothing".to_owned()));
    }
    for (name, value) in execution.upgrade.iter().flat_map(told) {
        row(name, value);
    }
    row("profile", execution.profile.clone());
    row("repository", execution.repository.clone());
    row("process", format!("{} on {}", execution.process, execution.host));
    for reached in &execution.steps {
        row(reached.step.name(), reached.at.strftime("%Y-%m-%d %H:%M:%S%.3f UTC").to_string());
    }
    for hook in &execution.hooks {
        let end = hook.end.as_deref().unwrap_or("did not come to its end");
        row(&hook.when, format!("{} {end}", hook.program));
        if hook.omitted > 0 {
            row("", format!("| {} lines before these are not kept", hook.omitted));
        }
        hook.output.iter().for_each(|line| row("", format!("| {line}")));
    }
    for part in &execution.parts {
        row(&part.source, part.places.target());
        if execution.keeps_previous && part.places.keeps_something() {
            row("", format!("keeps {}", part.places.previous()));
        }
    }
    format!("{}\n{}", printable(&execution.id), table.to_text())
}
