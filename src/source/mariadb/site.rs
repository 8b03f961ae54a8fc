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
    /// The definers that the server does not have, as it says itself.
    absent_definers: Mutex<BTreeSet<String>>,
}

impl<'a> Site<'a> {
    pub(super) const fn new(database: &'a Database, purpose: Purpose) -> Self {
        Self { database, purpose, absent_definers: Mutex::new(BTreeSet::new()) }
    }

    /// Returns the accounts that programs belong to and that do not exist.
    pub(super) fn absent_definers(&self) -> BTreeSet<String> {
        self.absent_definers.lock().expect(UNPOISONED).clone()
    }

    /// Remembers the definer of a program that was just created, where the server misses it.
    pub(super) async fn note_absent_definer(
        &self,
        connection: &mut Connection,
        program: &Program,
    ) -> Result<()> {
        let warnings = connection.warnings().await?;
        if warnings.iter().any(|warning| warning.code == NO_SUCH_DEFINER) {
            let definer = quote::account(&program.definer);
            self.absent_definers.lock().expect(UNPOISONED).insert(definer);
        }
        Ok(())
    }
}
