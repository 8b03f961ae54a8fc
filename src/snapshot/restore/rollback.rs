//! `rollback`: what the last restore replaced takes its place again.
//!
//! It is a swap like that of a restore, with nothing to build: it keeps what it replaces, so that
//! it can itself be rolled back, and is resumed in the same way. What a command restored is not
//! swapped: the command is given what was saved of it before, when all else is in place.

use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::profile::Profile;
use crate::snapshot::Host;
use crate::snapshot::execution::CommandPlaces;
use crate::snapshot::execution::Execution;
use crate::snapshot::execution::Journal;
use crate::snapshot::execution::Part;
use crate::snapshot::execution::Places;
use crate::snapshot::execution::Step;
use crate::snapshot::execution::all;
use crate::snapshot::execution::refuse_unfinished;
use crate::snapshot::restore::Outcome;
use crate::snapshot::restore::build::verified;
use crate::snapshot::restore::command;
use crate::snapshot::restore::command::Commands;
use crate::snapshot::restore::previous;
use crate::snapshot::restore::resume;
use crate::snapshot::restore::resume::check_server;
use crate::snapshot::restore::swapping;
use crate::snapshot::restore::swapping::Keep;
use crate::snapshot::restore::swapping::Ready;
use crate::snapshot::restore::swapping::ReadyDatabase;
use crate::snapshot::restore::swapping::swap_all;
use crate::snapshot::turn::Turn;
use crate::source::mariadb::login::Binlog;
use crate::source::mariadb::ready;
use crate::source::mariadb::target;

/// What a rollback did, or would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RolledBack {
    /// The execution that is undone.
    pub undone: Execution,
    /// What takes its place again: databases and paths.
    pub targets: Vec<String>,
    /// What is not renamed, but loaded again by a command of the profile, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// Whether it was done; `false` for a dry run.
    pub done: bool,
    /// What became of what was live.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Returns what a rollback would do, and touches nothing.
pub fn dry_run(profile: &Profile, host: &Host) -> Result<RolledBack> {
    refuse_unfinished(&host.journals(), "roll back")?;
    RolledBack::of(last_here(profile, host)?, profile)
}

/// Undoes the last restore, or rollback, of a profile.
///
/// Once `stop` returns, its error is the verb's, unless the swap has begun: that takes a moment, and
/// is done or undone as a whole.
pub async fn rollback(
    profile: &Profile,
    host: &Host,
    journal: &Journal,
    monitor: &dyn Monitor,
    stop: impl Future<Output = Error>,
) -> Result<RolledBack> {
    let turn = Turn::take(host, profile, "rollback").await?;
    refuse_unfinished(&host.journals(), "roll back")?;
    let planned = RolledBack::of(last_here(profile, host)?, profile)?;
    let binlog = if planned.undone.binlog { Binlog::On } else { Binlog::Off };
    let host = &host.on_record(journal, binlog);
    let ready = tokio::select! {
        biased;
        stopped = stop => {
            resume::take_back(journal, host, monitor).await;
            return Err(stopped);
        }
        ready = prepare(&planned.undone, profile, host, journal, monitor) => ready?,
    };
    monitor.step("swap", None);
    let swapped = swap_all(ready, journal, monitor).await?;
    let outcome = swapping::finish(swapped, Keep::Previous, monitor).await?;
    previous::forget_replaced(host, journal).map_err(swapping::untidy)?;
    turn.end();
    Ok(RolledBack { done: true, outcome, ..planned })
}

/// Looks whether everything can be swapped, and notes all that it takes.
async fn prepare(
    undone: &Execution,
    profile: &Profile,
    host: &Host,
    journal: &Journal,
    monitor: &dyn Monitor,
) -> Result<Vec<Ready>> {
    let commands = Commands::of(undone, profile, host).await?;
    let execution = journal.execution();
    let saved_as = match &commands {
        Some(commands) => Some(commands.save(profile, host, &execution.id, monitor).await?),
        None => None,
    };
    let parts = parts(undone, execution.suffix(), saved_as.as_deref())?;
    for part in &parts {
        if let Places::MariaDb(schemas) = &part.places {
            target::look(&host.database, &schemas.target).await?.check_swap()?;
        }
    }
    journal.change(|execution| {
        execution.undoes = Some(undone.id.clone());
        execution.snapshot.clone_from(&undone.snapshot);
        execution.server = Some(host.database.server.to_string());
        execution.binlog = undone.binlog;
        if commands.is_some() {
            execution.repository.clone_from(&undone.repository);
            execution.safety_snapshot = saved_as;
        }
    })?;
    journal.plan(parts.clone())?;
    let mut ready = ready(&parts, host, execution.suffix(), monitor).await?;
    if let Some(commands) = commands {
        match commands.ready(&parts, journal.process(), monitor).await {
            Ok(commands) => ready.extend(commands),
            Err(error) => {
                swapping::discard(ready, monitor).await;
                return Err(error);
            }
        }
    }
    verified(journal, &ready)?;
    Ok(ready)
}

impl RolledBack {
    fn of(undone: Execution, profile: &Profile) -> Result<Self> {
        let targets = undone.parts.iter().map(|part| part.places.target()).collect();
        let commands = command::told(&undone, profile)?;
        Ok(Self { undone, targets, commands, done: false, outcome: Outcome::default() })
    }
}

/// Returns what a rollback undoes; fails where that is at another database server.
fn last_here(profile: &Profile, host: &Host) -> Result<Execution> {
    let last = last(profile, host)?;
    check_server("roll back", &last, host)?;
    Ok(last)
}

/// Returns the last execution of a profile that keeps what it replaced; fails where one after it
/// replaced something in place, which nothing is kept of.
fn last(profile: &Profile, host: &Host) -> Result<Execution> {
    let mut executions = all(&host.journals())?.into_iter().collect::<Result<Vec<Execution>>>()?;
    let is_in_place = |execution: &Execution| execution.in_place.is_some();
    executions.retain(|execution| {
        let has_replaced = execution.step == Step::Done && !execution.parts.is_empty();
        let counts = execution.keeps_previous || (is_in_place(execution) && has_replaced);
        counts && execution.profile == profile.name
    });
    let last = executions.pop();
    if let Some(last) = last.as_ref().filter(|last| is_in_place(last)) {
        let text = format!("cannot roll back: restore {} was in place, and kept nothing", last.id);
        let hint = last.way_back().map_or_else(
            || "`snap list` shows what can be restored".to_owned(),
            |back| format!("`{back}` brings back what was live before it"),
        );
        return Err(Error::new(Kind::Refused, text).hint(hint));
    }
    if let Some((last, upgrade)) =
        last.as_ref().and_then(|last| Some((last, last.undoes.as_ref()?)))
        && last.verb == "restore"
    {
        let text =
            format!("cannot roll back: restore {} went back from upgrade {upgrade}", last.id);
        return Err(Error::new(Kind::Refused, text).hint(
            "what it replaced is of the version that failed, and kept aside to be looked at: run the \
             upgrade again to get there",
        ));
    }
    last.ok_or_else(|| {
        let text = format!(
            "cannot roll back: no restore of profile {} keeps what it replaced",
            profile.name
        );
        Error::new(Kind::Refused, text)
            .hint("`snap executions list` shows what ran; `snap list` what can be restored")
    })
}

/// Returns the places of the swaps that undo those of an execution.
fn parts(undone: &Execution, suffix: &str, saved_as: Option<&str>) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for part in &undone.parts {
        let places = match &part.places {
            Places::MariaDb(schemas) => Places::MariaDb(schemas.reversed(suffix)),
            Places::Command(places) => Places::Command(CommandPlaces {
                of: places.of.clone(),
                begun: false,
                saved_as: saved_as.map(str::to_owned),
            }),
            Places::Files(exchange) if exchange.is_whole() => {
                Places::Files(exchange.reversed(suffix)?)
            }
            Places::Files(exchange) => {
                let text = format!("cannot roll back: {} is gone", exchange.previous.display());
                return Err(Error::new(Kind::Refused, text)
                    .hint("it kept what was live before; `snap list` shows what can be restored"));
            }
        };
        let source = part.source.clone();
        parts.push(Part { source, accounts: false, note: None, places });
    }
    Ok(parts)
}

/// Notes all that it takes to swap.
async fn ready(
    parts: &[Part],
    host: &Host,
    suffix: &str,
    monitor: &dyn Monitor,
) -> Result<Vec<Ready>> {
    let mut all = Vec::new();
    for part in parts {
        let ready = match &part.places {
            Places::Files(exchange) => Ok(Ready::Files(exchange.clone())),
            // They come last, and have a way of their own.
            Places::Command(_) => continue,
            Places::MariaDb(schemas) => {
                let ready = ready::prepare_rollback(&host.database, schemas).await;
                let (login, suffix) = (host.database.clone(), suffix.to_owned());
                ready.map(|ready| {
                    let accounts = None;
                    Ready::Database(Box::new(ReadyDatabase { ready, suffix, login, accounts }))
                })
            }
        };
        match ready {
            Ok(ready) => all.push(ready),
            Err(error) => {
                swapping::discard(all, monitor).await;
                return Err(error);
            }
        }
    }
    Ok(all)
}
