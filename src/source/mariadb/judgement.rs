//! What of a live database stays, while that is found out: one that differs takes along what is linked
//! to it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::source::mariadb::compare::Found;
use crate::source::mariadb::compare::Gone;
use crate::source::mariadb::links::Links;

/// What is known of each table and sequence so far.
pub(super) struct Judgement {
    pub(super) found: BTreeMap<String, Found>,
    pub(super) gone: Vec<Gone>,
    pub(super) links: Links,
}

impl Judgement {
    pub(super) fn is_identical(&self, name: &str) -> bool {
        self.found.get(&self.links.key(name)) == Some(&Found::Identical)
    }

    pub(super) fn identical(&self) -> BTreeSet<String> {
        let identical = self.found.iter().filter(|(_, found)| **found == Found::Identical);
        identical.map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn differs(&mut self, name: &str, why: String) {
        self.found.insert(self.links.key(name), Found::Differs(why));
    }

    /// Takes along what is linked to what does not stay.
    pub(super) fn spread(&mut self) {
        let leaving = self.found.iter().filter(|(_, found)| **found != Found::Identical);
        let leaving = leaving.map(|(name, _)| name.as_str());
        let starts = leaving.chain(self.gone.iter().map(|gone| gone.name.as_str()));
        for (name, why) in self.links.reached_from(starts) {
            if self.is_identical(&name) {
                self.differs(&name, why);
            }
        }
    }

    /// Lets nothing stay but these.
    pub(super) fn restrict(&mut self, names: &BTreeSet<String>) {
        for name in self.identical().difference(names) {
            self.differs(name, "it changed while it was compared".to_owned());
        }
        self.spread();
    }

    pub(super) fn give_up(&mut self, why: &str) {
        for name in self.identical() {
            self.differs(&name, why.to_owned());
        }
    }
}
