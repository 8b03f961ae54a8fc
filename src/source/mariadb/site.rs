//! Where programs are created and what for, and which of their definers are missed there.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::definition::Database;
use crate::source::mariadb::definition::Program;
use crate::source::mariadb::quote;

const UNPOISONED: &str = "nobody panics while a name is added";

/// `The user specified as a definer does not exist`.
const NO_SUCH_DEFINER: u16 = 1449;

/// `Event execution time is in the past`: the event was disabled, or dropped immediately.
const EVENT_DISABLED: u16 = 1544;
const EVENT_DROPPED: u16 = 1588;

/// How programs are created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To see that each can be created: events stay disabled, so that none fires.
    Rehearsal,
    /// For good.
    Live,
}

/// Where programs are created.
pub(super) struct Site<'a> {
    /// The selected database.
    pub(super) database: &'a Database,
    /// What for.
    pub(super) purpose: Purpose,
    remarks: Mutex<Remarks>,
}

/// What the server says itself of programs that were created.
#[derive(Default)]
struct Remarks {
    /// The definers that it does not have.
    absent_definers: BTreeSet<String>,
    /// The events whose time has come, and which it does not keep.
    dropped_events: BTreeSet<String>,
    /// The events whose time has come, and which it keeps without ever running them.
    disabled_events: BTreeSet<String>,
}

impl<'a> Site<'a> {
    pub(super) fn new(database: &'a Database, purpose: Purpose) -> Self {
        Self { database, purpose, remarks: Mutex::default() }
    }

    /// Returns the accounts that programs belong to and that do not exist.
    pub(super) fn absent_definers(&self) -> BTreeSet<String> {
        self.remarks.lock().expect(UNPOISONED).absent_definers.clone()
    }

    /// Returns whether the server dropped an event as soon as it was created.
    pub(super) fn has_dropped(&self, event: &Program) -> bool {
        self.remarks.lock().expect(UNPOISONED).dropped_events.contains(&event.name)
    }

    /// Returns the names of the events that the server disabled when they were created.
    pub(super) fn disabled_events(&self) -> BTreeSet<String> {
        self.remarks.lock().expect(UNPOISONED).disabled_events.clone()
    }

    /// Remembers what the server remarks on a program that was just created.
    pub(super) async fn note_remarks(
        &self,
        connection: &mut Connection,
        program: &Program,
    ) -> Result<()> {
        let warnings = connection.warnings().await?;
        let mut remarks = self.remarks.lock().expect(UNPOISONED);
        for warning in warnings {
            match warning.code {
                NO_SUCH_DEFINER => remarks.absent_definers.insert(quote::account(&program.definer)),
                EVENT_DISABLED => remarks.disabled_events.insert(program.name.clone()),
                EVENT_DROPPED => remarks.dropped_events.insert(program.name.clone()),
                _ => false,
            };
        }
        Ok(())
    }
}
