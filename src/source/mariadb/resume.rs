//! A swap of a database whose process was killed: found by its note, completed or taken back.

use std::time::Duration;
use std::time::Instant;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::fault;
use crate::base::monitor::Monitor;
use crate::source::mariadb::accounts::note;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::moves;
use crate::source::mariadb::note::Found;
use crate::source::mariadb::note::Live;
use crate::source::mariadb::note::Undo;
use crate::source::mariadb::ready::Ready;
use crate::source::mariadb::ready::Schemas;
use crate::source::mariadb::ready::Unswapped;
use crate::source::mariadb::residue;
use crate::source::mariadb::swap::LOCK_SECONDS;
use crate::source::mariadb::swap::Swap;
use crate::source::mariadb::swap::Swapped;

/// Seconds that is waited for who uses the tables.
const PATIENT_SECONDS: u32 = 60;

/// What can be done of a swap without touching what is live.
enum Settled {
    Swapped(Swapped),
    Ready(Ready),
}

/// A swap that nobody is at work on.
pub struct Halted {
    connection: Connection,
    schemas: Schemas,
    found: Option<Found>,
    /// Whether all that comes in is still there, where it has not moved yet.
    is_staged: bool,
}

/// Returns what a killed process left of a swap. `note` is what it wrote down of it elsewhere, for a
/// server that has lost its own.
pub async fn find(login: &Login, schemas: &Schemas, note: Option<&str>) -> Result<Halted> {
    let mut connection = connect(login).await?;
    connection.prepare_loading().await?;
    connection.claim_restore_of(&schemas.target).await?;
    connection.wait_for_locks_at_most(PATIENT_SECONDS).await?;
    let found = Undo::find_or_note_again(&mut connection, &schemas.previous, note).await?;
    let mut is_staged = false;
    if let Some(Found { undo, .. }) = &found {
        let staged = moves::stored(&mut connection, &schemas.staging).await?;
        is_staged = undo.incoming_tables().iter().all(|table| staged.contains(table));
    }
    Ok(Halted { connection, schemas: schemas.clone(), found, is_staged })
}

impl Halted {
    /// Returns whether the swap can be completed from where it is.
    pub async fn can_go_on(&mut self) -> Result<bool> {
        let Some(found) = &self.found else { return Ok(false) };
        if found.is_complete {
            return Ok(true);
        }
        let undo = &found.undo;
        if undo.moves_tables() && undo.is_moved(&mut self.connection).await? {
            return Ok(true);
        }
        // Tables that stay were locked by the process that died: somebody may have written to them.
        let may_be_swapped = self.is_staged && (undo.kept().is_empty() || self.schemas.is_kept);
        // Since then somebody may have made tables, or dropped them.
        Ok(may_be_swapped && undo.is_live_as_noted(&mut self.connection).await?)
    }

    /// Completes the swap; fails with all put back as it was.
    pub async fn complete(self, monitor: &dyn Monitor) -> std::result::Result<Swapped, Unswapped> {
        let ready = match self.settled(monitor).await {
            Ok(Settled::Swapped(swapped)) => return Ok(swapped),
            Ok(Settled::Ready(ready)) => ready,
            Err(error) => return Err(Unswapped { error, is_put_back: false }),
        };
        ready.swap(monitor).await
    }

    /// Completes a swap whose tables have moved, and makes one ready again whose tables have not.
    async fn settled(mut self, monitor: &dyn Monitor) -> Result<Settled> {
        let Some(Found { undo, is_complete, .. }) = self.found else {
            return Err(Error::failed("cannot go on with a swap that was not noted"));
        };
        if is_complete {
            let ready = Ready { connection: self.connection, lock: None, undo };
            return Ok(Settled::Swapped(ready.swapped(Duration::ZERO)));
        }
        if undo.moves_tables() && undo.is_moved(&mut self.connection).await? {
            undo.demand_moved_whole(&mut self.connection).await?;
            fault::point("resume.before-settle");
            let swap = Swap { connection: &mut self.connection, lock: None, undo: &undo };
            let incomplete = swap.settle(Instant::now(), monitor).await?;
            let ready = Ready { connection: self.connection, lock: None, undo };
            return Ok(Settled::Swapped(ready.swapped(incomplete)));
        }
        // What is live may be another since: it is noted again.
        undo.run_after_death(&mut self.connection, monitor).await?;
        let live = Live::read(&mut self.connection, &self.schemas.target, &undo.kept()).await?;
        let Undo { mut schemas, incoming, .. } = undo;
        schemas.had_target = live.is_some();
        let undo = Undo { schemas, live, incoming };
        undo.note(&mut self.connection).await?;
        self.connection.wait_for_locks_at_most(LOCK_SECONDS).await?;
        Ok(Settled::Ready(Ready { connection: self.connection, lock: None, undo }))
    }

    /// Leaves everything as it is.
    pub async fn leave(mut self) {
        self.connection.release_claims().await.ok();
        self.connection.close().await;
    }

    /// Puts back what was live, and drops what was built to replace it.
    pub async fn take_back(mut self, monitor: &dyn Monitor) -> Result<()> {
        let Schemas { staging, previous, is_kept, .. } = &self.schemas;
        match &self.found {
            Some(found) => found.undo.run_after_death(&mut self.connection, monitor).await?,
            // It died before anything was noted, and so before anything was touched.
            None => {
                residue::told(self.connection.drop_emptied(previous).await, monitor)?;
            }
        }
        // Last, as they came first: their database is not live any more.
        note::undo_killed(&mut self.connection, &self.schemas.target, monitor).await?;
        fault::point("resume.before-staging");
        if !is_kept {
            residue::told(self.connection.drop_database(staging).await, monitor)?;
        }
        self.connection.close().await;
        Ok(())
    }
}
