//! What hangs together in a database: tables that a restore replaces together or not at all.
//!
//! A foreign key whose one side is replaced alone would point into the previous schema. And whoever
//! locks a table for the swap locks what its triggers write to as well, which somebody else may hold
//! for being left alone.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Links between tables by name; what a name stands for need not exist.
#[derive(Debug, Default)]
pub(super) struct Links {
    ignores_case: bool,
    links: BTreeMap<String, BTreeSet<(String, &'static str)>>,
}

/// A trigger, a routine or a view, as far as it leads to other names.
#[derive(Debug)]
pub(super) struct Mention {
    /// Its own name.
    pub(super) name: String,
    /// The table that it belongs to, for a trigger.
    pub(super) table: Option<String>,
    /// Its statement.
    pub(super) text: String,
}

impl Links {
    /// Returns no links yet, on a server that takes names that differ by case for one or not.
    pub(super) fn new(ignores_case: bool) -> Self {
        Self { ignores_case, links: BTreeMap::new() }
    }

    /// Adds a foreign key: it is followed both ways.
    pub(super) fn add_foreign_key(&mut self, from: &str, to: &str) {
        let reason = "a foreign key connects it with";
        self.add(from, to, reason);
        self.add(to, from, reason);
    }

    /// Adds what the triggers of each table may touch, by themselves or by what they call: all
    /// of `tables` whose names stand in those texts, wherever they do.
    pub(super) fn add_triggers(&mut self, mentions: &[Mention], tables: &[&str]) {
        for trigger in mentions {
            let Some(table) = &trigger.table else { continue };
            let mut seen = BTreeSet::new();
            let mut waiting = vec![trigger];
            while let Some(program) = waiting.pop() {
                if !seen.insert(&program.name) {
                    continue;
                }
                let text = program.text.to_lowercase();
                let is_named = |name: &str| text.contains(&name.to_lowercase());
                for named in tables.iter().filter(|name| is_named(name)) {
                    self.add(table, named, "a trigger may write to it of");
                }
                let called = mentions.iter().filter(|one| one.table.is_none());
                waiting.extend(called.filter(|one| is_named(&one.name)));
            }
        }
    }

    fn add(&mut self, from: &str, to: &str, reason: &'static str) {
        let (from, to) = (self.key(from), self.key(to));
        self.links.entry(from).or_default().insert((to, reason));
    }

    /// Returns what is linked to one of `starts`, directly or not, without these, each with the
    /// reason.
    pub(super) fn reached_from<'a>(
        &self,
        starts: impl Iterator<Item = &'a str>,
    ) -> BTreeMap<String, String> {
        let mut waiting: Vec<String> = starts.map(|start| self.key(start)).collect();
        let mut seen: BTreeSet<String> = waiting.iter().cloned().collect();
        let mut reached = BTreeMap::new();
        while let Some(from) = waiting.pop() {
            for (to, reason) in self.links.get(&from).into_iter().flatten() {
                if seen.insert(to.clone()) {
                    reached.insert(to.clone(), format!("{reason} {from:?}"));
                    waiting.push(to.clone());
                }
            }
        }
        reached
    }

    /// Returns what a name is known by here.
    pub(super) fn key(&self, name: &str) -> String {
        if self.ignores_case { name.to_lowercase() } else { name.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(links: &Links, start: &str) -> Vec<String> {
        links.reached_from([start].into_iter()).into_keys().collect()
    }

    #[test]
    fn keys_are_followed_both_ways_and_on_and_on() {
        let mut links = Links::new(false);
        for (from, to) in [("b", "a"), ("c", "b"), ("c", "d"), ("e", "e"), ("f", "g")] {
            links.add_foreign_key(from, to);
        }
        assert_eq!(reached(&links, "a"), ["b", "c", "d"]);
        assert_eq!(reached(&links, "d"), ["a", "b", "c"]);
        assert_eq!(reached(&links, "e"), [""; 0]);
        assert_eq!(reached(&links, "A"), [""; 0]);
    }

    #[test]
    fn case_counts_where_the_server_minds_it() {
        let mut links = Links::new(true);
        links.add_foreign_key("B", "a");
        assert_eq!(reached(&links, "A"), ["b"]);
    }

    #[test]
    fn triggers_lead_to_what_they_name_and_what_they_call_names_but_not_back() {
        let mention = |name: &str, table: Option<&str>, text: &str| Mention {
            name: name.to_owned(),
            table: table.map(str::to_owned),
            text: text.to_owned(),
        };
        let mentions = [
            mention("t", Some("element"), "CALL Noted()"),
            mention("noted", None, "INSERT INTO Audit SELECT recursive()"),
            mention("recursive", None, "CALL noted()"),
            mention("unused", None, "DELETE FROM other"),
        ];
        let mut links = Links::new(false);
        links.add_triggers(&mentions, &["audit", "other", "element"]);
        assert_eq!(reached(&links, "element"), ["audit"]);
        assert_eq!(reached(&links, "audit"), [""; 0]);
    }
}
