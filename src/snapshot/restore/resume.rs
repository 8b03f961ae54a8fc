//! `restore --resume`: finishes or undoes a restore, or a rollback, whose process was killed.
//!
//! The rule, decided once:
//!
//! - Before the step `swapping` nothing live was touched: what was built is dropped.
//! - In the step `swapping` it goes forward where it can: when every part is staged and verified
//!   still, or swapped already, the others follow. Otherwise every part goes back. So does a
//!   restore that brings accounts along: nobody but its own process knows which it had made. And one
//!   by a command: what it replaced is loaded again from its safety snapshot, once it had begun.
//! - In place there is no going back: what was killed in the step `swapping` is restored again.
//! - From the step `swapped` on all is restored: what is left of staging is dropped.
//!
//! How far a part came is read from its own durable state: the note in the schema that keeps what
//! was live, and the names that trees of files have, or their entries in a mount point. The
//! statements that the dead process left running in the server are ended first; a command that it
//! left at work is not, and nobody resumes before it has ended. Resuming may itself be killed, and
//! resumed.

use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::fault;
use crate::base::monitor::Monitor;
use crate::profile::Login;
use crate::profile::Profile;
use crate::repository::Repository;
use crate::snapshot::Host;
use crate::snapshot::execution::Execution;
use crate::snapshot::execution::InPlace;
use crate::snapshot::execution::Journal;
use crate::snapshot::execution::Part;
use crate::snapshot::execution::Places;
use crate::snapshot::execution::Step;
use crate::snapshot::execution::unfinished;
use crate::snapshot::restore::Outcome;
use crate::snapshot::restore::Restoring;
use crate::snapshot::restore::command;
use crate::snapshot::restore::in_place;
use crate::snapshot::restore::previous;
use crate::snapshot::restore::swapping;
use crate::snapshot::restore::swapping::Keep;
use crate::snapshot::restore::swapping::Swapped;
use crate::snapshot::turn::Turn;
use crate::source::mariadb::login::Binlog;
use crate::source::mariadb::resume;
use crate::source::mariadb::resume::Halted;

/// What became of an execution that was killed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Resumed {
    /// The execution, as it is now.
    pub execution: Execution,
    /// What its swap came to, where it was finished.
    pub outcome: Option<Outcome>,
}

/// Finishes or undoes the unfinished executions of a profile; returns them.
pub async fn resume(profile: &Profile, host: &Host, monitor: &dyn Monitor) -> Result<Vec<Resumed>> {
    let turn = Turn::take(host, profile, "restore --resume").await?;
    let resumed = in_turn(profile, host, monitor).await?;
    turn.end();
    Ok(resumed)
}

/// Does the same for a verb that has the turn already.
pub(in crate::snapshot) async fn in_turn(
    profile: &Profile,
    host: &Host,
    monitor: &dyn Monitor,
) -> Result<Vec<Resumed>> {
    let journals = host.journals();
    let mut resumed = Vec::new();
    let unfinished = unfinished(&journals)?;
    for execution in unfinished.clone() {
        if in_place::is_given_up(&execution, &unfinished) {
            continue;
        }
        if execution.profile != profile.name || execution.upgrade.is_some() {
            execution.tell_unfinished(monitor);
            continue;
        }
        check_server("resume", &execution, host)?;
        execution.refuse_at_work(&journals)?;
        let journal = Journal::take_up(&journals, execution).await?;
        let outcome = settle(&journal, profile, host, monitor).await?;
        resumed.push(Resumed { execution: journal.execution(), outcome });
    }
    Ok(resumed)
}

/// Takes back what this process itself has built, and has not begun to swap.
pub(super) async fn take_back(journal: &Journal, host: &Host, monitor: &dyn Monitor) {
    if let Err(error) = undo_all(journal, host, monitor).await {
        monitor.warn(&format!("staging is left behind: {}", error.chain()));
    }
}

/// Fails with [`Kind::Refused`] where an execution is about another database server than this host's.
pub(super) fn check_server(verb: &str, execution: &Execution, host: &Host) -> Result<()> {
    let server = host.database.server.to_string();
    match &execution.server {
        Some(other) if *other != server && execution.touches_databases() => {
            let text = format!(
                "cannot {verb} {}: it works on the database server at {other}, not at {server}",
                execution.id
            );
            Err(Error::new(Kind::Refused, text).hint("give the flags that the restore had"))
        }
        _ => Ok(()),
    }
}

/// Brings one execution to its end; returns what its swap came to, where it was finished.
async fn settle(
    journal: &Journal,
    profile: &Profile,
    host: &Host,
    monitor: &dyn Monitor,
) -> Result<Option<Outcome>> {
    let execution = journal.execution();
    end_sessions(journal, host).await?;
    fault::point("resume.sessions-ended");
    let login = login(journal, host);
    if execution.step == Step::Swapped {
        return finish_all(journal, host, &login, monitor).await.map(Some);
    }
    if let Some(told) = execution.in_place.clone().filter(|_| execution.is_mixed()) {
        undo_all(journal, host, monitor).await?;
        return do_again(journal, profile, host, told, monitor).await.map(Some);
    }
    let goes_on = execution.step == Step::Swapping && can_go_on(&execution, &login).await?;
    if !goes_on {
        undo_all(journal, host, monitor).await?;
        let left = command::put_back_all(&execution, profile, host, monitor).await?;
        let told = [vec!["its process was killed".to_owned()], left].concat().join("; ");
        journal.conclude(Step::Undone, Some(told))?;
        return Ok(None);
    }
    let swapped = match complete_all(&execution, &login, monitor).await {
        Ok(swapped) => swapped,
        Err(error) => {
            // What could not be finished goes back as a whole.
            undo_all(journal, host, monitor).await?;
            journal.conclude(Step::Undone, Some(error.chain()))?;
            return Err(error.while_doing("cannot finish what was killed, and all is put back"));
        }
    };
    journal.swapped()?;
    let outcome = swapping::finish(swapped, Keep::Previous, monitor).await?;
    previous::forget_replaced(host, journal)?;
    journal.conclude(Step::Done, None)?;
    Ok(Some(outcome))
}

/// Restores in place again, from the repository that the journal names.
async fn do_again(
    journal: &Journal,
    profile: &Profile,
    host: &Host,
    told: InPlace,
    monitor: &dyn Monitor,
) -> Result<Outcome> {
    let execution = journal.execution();
    let opened = Repository::open(&execution.repository, host.journals().holder("restore")).await;
    let repository = &opened.map_err(|error| execution.mixed(&error))?;
    let host = &Host { database: login(journal, host), ..host.clone() };
    let restoring = Restoring { repository, profile, host, monitor };
    // It holds all that a restore holds.
    let done = Box::pin(in_place::again(&restoring, told, journal)).await;
    journal.end(done.as_ref().err())?;
    done
}

/// Ends what the execution still does in the server; without connections it needs none.
async fn end_sessions(journal: &Journal, host: &Host) -> Result<()> {
    journal.sessions().end(&host.database).await.map(drop)
}

/// Returns the login of the execution, with its own choices.
fn login(journal: &Journal, host: &Host) -> Login {
    let binlog = if journal.execution().binlog { Binlog::On } else { Binlog::Off };
    host.on_record(journal, binlog).database
}

/// Returns whether every part can be completed from where it is.
async fn can_go_on(execution: &Execution, login: &Login) -> Result<bool> {
    if execution.parts.iter().any(|part| part.accounts) {
        return Ok(false);
    }
    for part in &execution.parts {
        let can = match &part.places {
            Places::Files(exchange) => exchange.can_go_on(),
            // Nobody can tell how far a command came.
            Places::Command(_) => false,
            Places::MariaDb(schemas) => {
                let mut halted = resume::find(login, schemas, part.note.as_deref()).await?;
                let can = halted.can_go_on().await?;
                halted.leave().await;
                can
            }
        };
        if !can {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Ends what was restored as a whole before its process was killed.
async fn finish_all(
    journal: &Journal,
    host: &Host,
    login: &Login,
    monitor: &dyn Monitor,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let is_in_place = journal.execution().in_place.is_some();
    let keep = if is_in_place { Keep::Nothing } else { Keep::Previous };
    for Part { places, .. } in &journal.execution().parts {
        match places {
            Places::MariaDb(schemas) => schemas.finish(login, monitor).await?,
            Places::Files(exchange) => swapping::finish_files(exchange, keep, monitor),
            Places::Command(_) => {}
        }
        let keeps = places.keeps_something() && keep == Keep::Previous;
        outcome.previous.extend(keeps.then(|| places.previous()));
    }
    previous::forget_replaced(host, journal)?;
    in_place::conclude_replaced(host, journal).await?;
    journal.conclude(Step::Done, None)?;
    Ok(outcome)
}

async fn complete_all(
    execution: &Execution,
    login: &Login,
    monitor: &dyn Monitor,
) -> Result<Vec<Swapped>> {
    let mut swapped = Vec::new();
    for part in &execution.parts {
        swapped.push(match &part.places {
            Places::Files(exchange) => {
                exchange.complete()?;
                Swapped::Files(exchange.clone())
            }
            Places::Command(places) => {
                let text = format!("nobody can tell how far the command of {} came", places.of);
                return Err(Error::failed(text));
            }
            Places::MariaDb(schemas) => {
                let completed = resume::find(login, schemas, part.note.as_deref())
                    .await?
                    .complete(monitor)
                    .await;
                let swapped = Box::new(completed.map_err(|unswapped| unswapped.error)?);
                Swapped::Database { swapped, accounts: None }
            }
        });
        fault::point("resume.part");
    }
    Ok(swapped)
}

/// Takes every part back, however far it came.
pub(super) async fn undo_all(journal: &Journal, host: &Host, monitor: &dyn Monitor) -> Result<()> {
    end_sessions(journal, host).await?;
    let login = login(journal, host);
    for part in journal.execution().parts.iter().rev() {
        match &part.places {
            Places::Files(exchange) => exchange.take_back()?,
            // It takes the profile's command: [`command::put_back_all`].
            Places::Command(_) => {}
            Places::MariaDb(schemas) => {
                let halted: Halted = resume::find(&login, schemas, part.note.as_deref()).await?;
                halted.take_back(monitor).await?;
            }
        }
        fault::point("resume.part-undone");
    }
    Ok(())
}
