//! The profiles of a file, read table by table.
//!
//! A profile may extend another: it begins as a copy of that one, and every key that it states
//! itself takes the place of the copied one. Lists are replaced as a whole; the sources are not a
//! list but a set of names, and each stands for itself. Whatever is wrong is complained about by
//! file and line, also what only shows when all is put together.

use crate::base::error::Error;
use crate::base::error::Result;
use crate::profile::Profile;
use crate::profile::section::Section;
use crate::profile::section::nearest;

mod roles;
mod service;
mod source;

pub(super) use crate::profile::read::service::VERBS;
pub(super) use crate::profile::read::service::WHENS;

#[cfg(test)]
pub(super) mod tests;

const KEYS: &[&str] = &[
    "about",
    "extends",
    "sources",
    "at-least-one",
    "units",
    "health",
    "versions",
    "packages",
    "undo",
    "rules",
    "roles",
    "hooks",
    "retention",
    "follow-ups",
    "new-host",
];

/// Returns the profiles of a file. They may extend one another and those that are built in.
pub(super) fn profiles(top: &Section<'_>, built_in: &[Profile]) -> Result<Vec<Profile>> {
    let Some(section) = top.section("profiles")? else { return Ok(Vec::new()) };
    let reader = Reader { of_file: section.children()?, built_in };
    reader.of_file.iter().map(|(name, section)| reader.profile(name, section, &[])).collect()
}

/// What a profile may extend.
struct Reader<'a> {
    of_file: Vec<(&'a str, Section<'a>)>,
    built_in: &'a [Profile],
}

impl Reader<'_> {
    /// Returns a profile of the file; `below` are those that it is read for, because each extends
    /// the next.
    fn profile(&self, name: &str, section: &Section<'_>, below: &[&str]) -> Result<Profile> {
        section.allow(KEYS)?;
        check_name(name, section)?;
        let mut profile = match section.text("extends")? {
            Some(parent) => self.parent(&parent, section, &[below, &[name]].concat())?,
            None => Profile::default(),
        };
        name.clone_into(&mut profile.name);
        source::change(&mut profile.sources, name, section)?;
        if section.has("at-least-one") {
            profile.at_least_one = section.flag("at-least-one")?;
        }
        service::change(&mut profile.service, section)?;
        roles::check(&profile, section)?;
        Ok(profile)
    }

    /// Returns what a profile extends. One that extends its own name means the built-in one.
    fn parent(&self, parent: &str, section: &Section<'_>, below: &[&str]) -> Result<Profile> {
        let own_name = below.last() == Some(&parent);
        let of_file = self.of_file.iter().find(|(name, _)| *name == parent && !own_name);
        let Some((_, of_file)) = of_file else {
            let built_in = self.built_in.iter().find(|profile| profile.name == parent);
            return built_in.cloned().ok_or_else(|| self.unknown(parent, section));
        };
        if below.contains(&parent) {
            let circle = below.join("` extends `");
            let complaint = format!("`{circle}` extends `{parent}`, which is a circle");
            return Err(section.refuse("extends", &complaint));
        }
        self.profile(parent, of_file, below)
    }

    fn unknown(&self, parent: &str, section: &Section<'_>) -> Error {
        // Of its own name, a profile can extend the built-in one alone, and there is none.
        let of_file = self.of_file.iter().map(|(name, _)| *name).filter(|name| *name != parent);
        let mut known: Vec<&str> = of_file.collect();
        known.extend(self.built_in.iter().map(|profile| profile.name.as_str()));
        known.sort_unstable();
        known.dedup();
        let refusal = section.refuse("extends", &format!("there is no profile `{parent}`"));
        refusal.hint(match nearest(parent, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known profiles: {}", known.join(", ")),
        })
    }
}

/// Returns the word that stands for a meaning.
pub(super) fn word_of<T: Copy + PartialEq>(
    words: &[(&'static str, T)],
    meaning: T,
) -> &'static str {
    let word = words.iter().find(|(_, other)| *other == meaning);
    word.expect("every meaning has its word").0
}

/// Refuses a name that `--profile` and the files of executions could not carry.
fn check_name(name: &str, section: &Section<'_>) -> Result<()> {
    if is_plain(name) {
        return Ok(());
    }
    let complaint = format!("profile `{name}`: a name is made of letters, digits, `-` and `_`");
    Err(section.refuse("", &complaint))
}

/// Returns whether a name can stand in any list, path and message as it is.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}
