//! `upgrade --resume`: goes back from an upgrade whose process was killed, or that could not go back.
//!
//! It never goes forward: the command may have come half-way. One after which the service was well
//! already has succeeded, and is brought to its end. What somebody has put right by hand is left as it
//! is, where that is said.

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::profile::Profile;
use crate::profile::SourceSpec;
use crate::profile::What;
use crate::profile::upgrade::plan::Hop;
use crate::profile::upgrade::plan::Situation;
use crate::repository::Repository;
use crate::snapshot::Host;
use crate::snapshot::execution::Execution;
use crate::snapshot::execution::Journal;
use crate::snapshot::execution::Step;
use crate::snapshot::execution::unfinished;
use crate::snapshot::turn::Turn;
use crate::snapshot::upgrade::State;
use crate::snapshot::upgrade::Upgraded;
use crate::snapshot::upgrade::Upgrading;
use crate::snapshot::upgrade::failed;
use crate::snapshot::upgrade::report;
use crate::snapshot::upgrade::service;

/// How an upgrade that is unfinished comes to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// All goes back to what it was, the packages by this command, or by the one that the upgrade
    /// was told.
    Back(Option<String>),
    /// Nothing is touched: somebody has put it right.
    AsItIs,
}

/// Brings the unfinished upgrades of a profile to their end; returns what came of each.
pub async fn resume(
    profile: &Profile,
    host: &Host,
    ending: &Ending,
    monitor: &dyn Monitor,
) -> Result<Vec<Upgraded>> {
    let turn = Turn::take(host, profile, "upgrade --resume").await?;
    let mut resumed = Vec::new();
    let unfinished = unfinished(&host.journals())?;
    // Also a restore, which the way back of an upgrade may have begun.
    for execution in unfinished.iter().filter(|execution| execution.profile == profile.name) {
        execution.refuse_at_work(&host.journals())?;
    }
    for execution in unfinished {
        let is_own = execution.profile == profile.name;
        match (execution.upgrade.is_some(), is_own) {
            (true, true) => {}
            // The way back of an upgrade finishes the restores of its profile.
            (false, true) if *ending != Ending::AsItIs => continue,
            (false, false) => continue,
            _ => {
                execution.tell_unfinished(monitor);
                continue;
            }
        }
        resumed.push(match ending {
            Ending::Back(undo) => {
                settle(profile, host, execution, undo.as_deref(), monitor).await?
            }
            Ending::AsItIs => leave(host, execution).await?,
        });
    }
    turn.end();
    Ok(resumed)
}

async fn settle(
    profile: &Profile,
    host: &Host,
    execution: Execution,
    undo: Option<&str>,
    monitor: &dyn Monitor,
) -> Result<Upgraded> {
    refuse_elsewhere(profile, host, &execution)?;
    let holder = host.journals().holder("upgrade --resume");
    let repository = &Repository::open(&execution.repository, holder).await?;
    let (step, upgrade) = (execution.step, execution.upgrade.clone().unwrap_or_default());
    let journal = &Journal::take_up(&host.journals(), execution).await?;
    let upgrading = Upgrading { repository, profile, host, monitor, journal };
    if step == Step::Upgraded {
        return Ok(upgrading.complete(upgrading.hop_of_journal().as_ref()).await);
    }
    if undo.is_some() {
        upgrading.change_journal(|upgrade| upgrade.undo = service::undo(undo, None))?;
    }
    let killed = format!("its process was killed when it was {}", step.name());
    let why = failed(upgrade.failure.unwrap_or(killed));
    let upgraded = upgrading.go_back(why.into(), Step::Undone).await;
    // Who asks to go back, and is back, has got what was asked for.
    let is_back = upgraded.state == State::Returned;
    Ok(Upgraded { failure: upgraded.failure.filter(|_| !is_back), ..upgraded })
}

/// Ends an upgrade with the service as it is.
async fn leave(host: &Host, execution: Execution) -> Result<Upgraded> {
    let (step, before) = (execution.step, execution.upgrade.clone().unwrap_or_default());
    let killed = format!("its process was killed when it was {}", step.name());
    let why = before.failure.unwrap_or(killed);
    let journal = Journal::take_up(&host.journals(), execution).await?;
    // One after which the service was well has succeeded.
    let end = if step == Step::Upgraded { Step::Done } else { Step::Failed };
    journal.conclude(end, Some(format!("{why}; all is left as it is, by the operator")))?;
    Ok(report(host, &journal, State::LeftAsItIs))
}

/// Fails with [`Kind::Refused`] where the upgrade was that of another database server's data.
fn refuse_elsewhere(profile: &Profile, host: &Host, execution: &Execution) -> Result<()> {
    let has_database = |spec: &SourceSpec| matches!(spec.what, What::Database { .. });
    let server = host.database.server.to_string();
    match &execution.server {
        Some(other) if *other != server && profile.sources.iter().any(has_database) => {
            let text = format!(
                "cannot go back from {}: it is about the database server at {other}, not at {server}",
                execution.id
            );
            Err(Error::new(Kind::Refused, text).hint("give the flags that the upgrade had"))
        }
        _ => Ok(()),
    }
}

impl Upgrading<'_> {
    /// Returns what the rules say of the upgrade that the journal tells of.
    fn hop_of_journal(&self) -> Option<Hop> {
        let upgrade = self.upgrade();
        let rules = self.profile.rules().ok()??;
        let (from, to) = (upgrade.from?.parse().ok()?, upgrade.to?.parse().ok()?);
        rules.single_hop(&from, &to, &Situation::default()).ok()?
    }
}
