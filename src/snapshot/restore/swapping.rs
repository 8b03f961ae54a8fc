//! The swap of a restore or a rollback: all parts, one after the other, or none.

use std::time::Duration;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::fault;
use crate::base::monitor::Monitor;
use crate::snapshot::execution::Journal;
use crate::snapshot::execution::Places;
use crate::snapshot::restore::Outcome;
use crate::snapshot::restore::command::CommandPart;
use crate::snapshot::restore::in_place::InPlaceDatabase;
use crate::snapshot::restore::in_place::ReplacedDatabase;
use crate::snapshot::restore::previous::discard_older_files;
use crate::source::files::Exchange;
use crate::source::mariadb::accounts::plan::AccountsPlan;
use crate::source::mariadb::accounts::restore::RestoredAccounts;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::ready;
use crate::source::mariadb::ready::Unswapped;
use crate::source::mariadb::swap;

/// A part whose swap may begin: from now on its places tell how far it came.
pub(super) enum Ready {
    Database(Box<ReadyDatabase>),
    InPlace(Box<InPlaceDatabase>),
    Files(Exchange),
    Command(Box<CommandPart>),
}

/// A database whose swap may begin, and the accounts that go with it.
pub(super) struct ReadyDatabase {
    pub(super) ready: ready::Ready,
    /// What tells this execution from others in names.
    pub(super) suffix: String,
    pub(super) login: Login,
    pub(super) accounts: Option<AccountsPlan>,
}

/// A part that took the place of what was live.
pub(super) enum Swapped {
    Database { swapped: Box<swap::Swapped>, accounts: Option<Box<RestoredAccounts>> },
    InPlace(Box<ReplacedDatabase>),
    Files(Exchange),
    Command(Box<CommandPart>),
}

/// What becomes of what was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// It is kept for a rollback.
    Previous,
    /// It goes: a restore in place has kept none of its databases.
    Nothing,
}

/// Swaps all parts in; where one fails, those before it are swapped back. Where even that fails
/// the journal stays open, and a resume goes on.
pub(super) async fn swap_all(
    ready: Vec<Ready>,
    journal: &Journal,
    monitor: &dyn Monitor,
) -> Result<Vec<Swapped>> {
    if let Err(error) = journal.swapping() {
        discard(ready, monitor).await;
        return Err(error);
    }
    let mut swapped: Vec<Swapped> = Vec::new();
    let mut waiting = ready.into_iter();
    while let Some(part) = waiting.next() {
        match part.swap(journal, monitor).await {
            Ok(part) => swapped.push(part),
            Err(unswapped) => {
                let unswapped = taken_back(unswapped, swapped, monitor).await;
                discard(waiting, monitor).await;
                return Err(ended(unswapped, journal));
            }
        }
        fault::point("swap.part");
    }
    if let Err(error) = journal.swapped() {
        monitor.note(&format!("the journal lacks that all is restored: {}", error.chain()));
    }
    Ok(swapped)
}

/// Ends all parts: what is live and not restored goes, what is left of their staging, and what
/// earlier restores of them kept. Where that fails the journal stays open, and a resume goes on.
pub(super) async fn finish(
    swapped: Vec<Swapped>,
    keep: Keep,
    monitor: &dyn Monitor,
) -> Result<Outcome> {
    let incomplete: Duration = swapped.iter().map(Swapped::incomplete).sum();
    let previous = swapped.iter().filter(|_| keep == Keep::Previous).filter_map(Swapped::previous);
    let outcome = Outcome {
        incomplete_seconds: incomplete.as_secs_f64(),
        previous: previous.collect(),
        ..Outcome::default()
    };
    let mut finished = Ok(outcome);
    for part in swapped {
        if let Err(error) = part.finish(keep, monitor).await {
            finished = Err(untidy(error));
        }
    }
    finished
}

/// Returns the error of what is done when all is restored.
pub(super) fn untidy(error: Error) -> Error {
    error
        .while_doing("all is restored, but could not be tidied up")
        .hint("`snap restore --resume` does the rest")
}

/// Takes back what was made ready; that it cannot be is a warning.
pub(super) async fn discard(ready: impl IntoIterator<Item = Ready>, monitor: &dyn Monitor) {
    for part in ready {
        if let Err(error) = part.discard(monitor).await {
            monitor.warn(&error.chain());
        }
    }
}

/// Swaps parts back after another one failed.
async fn taken_back(failed: Unswapped, swapped: Vec<Swapped>, monitor: &dyn Monitor) -> Unswapped {
    let Unswapped { mut error, mut is_put_back } = failed;
    for part in swapped.into_iter().rev() {
        if let Swapped::Command(part) = &part {
            error = part.told(error);
        }
        if let Err(undo) = part.undo(monitor).await {
            is_put_back = false;
            let hint = undo.advice().unwrap_or("`snap restore --resume` puts back what was live");
            error =
                Error::new(error.kind(), format!("{}; and then: {}", error.chain(), undo.chain()))
                    .hint(hint.to_owned());
        }
    }
    Unswapped { error, is_put_back }
}

/// Returns what became of a part that failed and was then put back, or not.
fn unless_undone(error: Error, undone: Result<()>) -> Unswapped {
    let Err(undo) = undone else { return Unswapped { error, is_put_back: true } };
    let text = format!("{}; and then: {}", error.chain(), undo.chain());
    let hint = "`snap restore --resume` puts back what was live";
    Unswapped { error: Error::new(error.kind(), text).hint(hint), is_put_back: false }
}

/// Returns the error of a swap; where all is as it was, the execution has ended with it.
fn ended(unswapped: Unswapped, journal: &Journal) -> Error {
    let Unswapped { error, is_put_back } = unswapped;
    let execution = journal.execution();
    if execution.is_mixed() {
        return execution.mixed(&error);
    }
    if is_put_back {
        // Left open it would be resumed, which finds nothing to do.
        drop(journal.fail(&error));
    }
    error
}

impl Ready {
    /// Returns where it lies, with what tells later how far its swap came.
    pub(super) fn places(&self) -> Places {
        match self {
            Self::Database(database) => Places::MariaDb(database.ready.schemas().clone()),
            Self::InPlace(database) => Places::MariaDb(database.places.clone()),
            Self::Files(exchange) => Places::Files(exchange.clone()),
            Self::Command(part) => Places::Command(part.places.clone()),
        }
    }

    /// Returns what the database server notes of the swap.
    pub(super) fn note(&self) -> Option<String> {
        match self {
            Self::Database(database) => Some(database.ready.note()),
            Self::InPlace(_) | Self::Files(_) | Self::Command(_) => None,
        }
    }

    async fn swap(
        self,
        journal: &Journal,
        monitor: &dyn Monitor,
    ) -> std::result::Result<Swapped, Unswapped> {
        match self {
            Self::Command(part) => load(part, journal, monitor).await,
            Self::Database(database) => database.swap(monitor).await,
            Self::InPlace(database) => database.swap(monitor).await,
            Self::Files(exchange) => match exchange.complete() {
                Ok(()) => Ok(Swapped::Files(exchange)),
                Err(error) => Err(unless_undone(error, exchange.take_back())),
            },
        }
    }

    async fn discard(self, monitor: &dyn Monitor) -> Result<()> {
        match self {
            Self::Database(database) => database.ready.discard(monitor).await,
            Self::InPlace(database) => database.discard().await,
            Self::Files(exchange) => exchange.take_back(),
            Self::Command(_) => Ok(()),
        }
    }
}

/// Lets a command load what it is given; where it fails, what was there is loaded again.
async fn load(
    mut part: Box<CommandPart>,
    journal: &Journal,
    monitor: &dyn Monitor,
) -> std::result::Result<Swapped, Unswapped> {
    if let Err(error) = part.begin(journal) {
        return Err(Unswapped { error, is_put_back: true });
    }
    match part.load(monitor).await {
        Ok(()) => Ok(Swapped::Command(part)),
        Err(error) => Err(unless_undone(part.told(error), part.take_back(monitor).await)),
    }
}

impl ReadyDatabase {
    /// Creates the accounts, swaps the database in, and gives the accounts what they have on its
    /// tables: all of it or nothing.
    async fn swap(self, monitor: &dyn Monitor) -> std::result::Result<Swapped, Unswapped> {
        let Some(plan) = self.accounts else {
            let swapped = Box::new(self.ready.swap(monitor).await?);
            return Ok(Swapped::Database { swapped, accounts: None });
        };
        let created = RestoredAccounts::create(&self.login, plan, &self.suffix, monitor).await;
        let mut accounts = match created {
            Ok(accounts) => Box::new(accounts),
            Err(error) => {
                return Err(unless_undone(error, self.ready.discard(monitor).await));
            }
        };
        fault::point("accounts.created");
        let swapped = match self.ready.swap(monitor).await {
            Ok(swapped) => Box::new(swapped),
            Err(unswapped) => {
                accounts.undo(monitor).await;
                return Err(unswapped);
            }
        };
        let completed = accounts.complete(monitor).await;
        let swapped = Swapped::Database { swapped, accounts: Some(accounts) };
        match completed {
            Ok(()) => Ok(swapped),
            Err(error) => {
                let failed = Unswapped { error, is_put_back: true };
                Err(taken_back(failed, vec![swapped], monitor).await)
            }
        }
    }
}

impl Swapped {
    /// Puts back what was live.
    async fn undo(self, monitor: &dyn Monitor) -> Result<()> {
        match self {
            Self::Database { mut swapped, accounts } => {
                if let Some(accounts) = accounts {
                    accounts.undo(monitor).await;
                }
                swapped.undo(monitor).await
            }
            Self::InPlace(database) => Err(database.undo(monitor).await),
            Self::Files(exchange) => exchange.take_back(),
            Self::Command(part) => part.take_back(monitor).await,
        }
    }

    /// Returns where what was live is kept.
    fn previous(&self) -> Option<String> {
        match self {
            Self::Database { swapped, .. } => {
                swapped.previous.as_ref().map(|schema| format!("database {schema}"))
            }
            Self::InPlace(_) => None,
            Self::Files(exchange) => {
                exchange.keeps_something().then(|| exchange.previous.display().to_string())
            }
            Self::Command(part) => part.places.saved_as.as_ref().map(|id| format!("snapshot {id}")),
        }
    }

    /// Returns how long the live database was incomplete.
    fn incomplete(&self) -> Duration {
        match self {
            Self::Database { swapped, .. } => swapped.incomplete,
            Self::InPlace(database) => database.incomplete,
            Self::Files(_) | Self::Command(_) => Duration::ZERO,
        }
    }

    async fn finish(self, keep: Keep, monitor: &dyn Monitor) -> Result<()> {
        match self {
            Self::Database { swapped, accounts } => {
                if let Some(accounts) = accounts {
                    accounts.finish().await?;
                }
                swapped.finish(monitor).await
            }
            Self::InPlace(database) => database.finish(monitor).await,
            Self::Files(exchange) => {
                finish_files(&exchange, keep, monitor);
                Ok(())
            }
            Self::Command(_) => Ok(()),
        }
    }
}

/// Ends the exchange of a path, which keeps nothing of it where nothing is to be kept. That what
/// restores of it kept cannot be removed is a note.
pub(super) fn finish_files(exchange: &Exchange, keep: Keep, monitor: &dyn Monitor) {
    let kept = (keep == Keep::Previous).then_some(exchange.previous.as_path());
    if let Err(error) = discard_older_files(&exchange.target, kept) {
        left_behind(&error, monitor);
    }
    exchange.finish();
}

/// Notes what only takes room, and goes with the next restore.
fn left_behind(error: &Error, monitor: &dyn Monitor) {
    monitor.note(&format!("something is left behind: {}", error.chain()));
}
