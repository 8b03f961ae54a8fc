//! `upgrade --resume`: goes back from an upgrade whose process was killed, or that could not go back.
//!
//! It never goes forward: the command may have come half-way. One after which the service was well
//! already has succeeded, and is brought to its end.

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
use crate::snapshot::upgrade::service;
use crate::snapshot::upgrade::sign;

/// Brings the unfinished upgrades of a profile to their end; returns what came of each. `undo` takes
/// the place of the command that they were told.
pub async fn resume(
    profile: &Profile,
    host: &Host,
    undo: Option<&str>,
    monitor: &dyn Monitor,
) -> Result<Vec<Upgraded>> {
    let turn = Turn::take(host, profile, "upgrade --resume").await?;
    let mut resumed = Vec::new();
    for execution in unfinished(&host.journals())? {
        if execution.upgrade.is_none() {
            continue;
        }
        if execution.profile != profile.name {
            execution.tell_unfinished(monitor);
            continue;
        }
        resumed.push(settle(profile, host, execution, undo, monitor).await?);
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
    refuse_at_work(host, &execution)?;
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

/// Fails with [`Kind::Busy`] where a command of the upgrade is at work still.
fn refuse_at_work(host: &Host, execution: &Execution) -> Result<()> {
    let Some(group) = sign::at_work(&host.journals().process(&execution.id))? else {
        return Ok(());
    };
    let id = &execution.id;
    let text =
        format!("cannot go back from {id}: its command is at work still, as process {group}");
    Err(Error::new(Kind::Busy, text).hint(format!(
        "wait until it has ended; `ps -o pid,etime,args -g {group}` shows it, and \
         `kill -- -{group}` ends it, half-way"
    )))
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
