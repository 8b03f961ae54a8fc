//! A table of a TOML file, read key by key, so that every complaint names the file and the line.
//!
//! Deserialising into structs would lose where a value stands, and could not name the nearest
//! right key to a wrong one.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;

/// A key that resembles another one at least this much was probably meant to be it.
const RESEMBLANCE: f64 = 0.8;

/// What a command or a check is given at most: a day.
const MAX_SECONDS: u64 = 86_400;

/// A file's text, and the name that complaints give it.
#[derive(Clone, Copy)]
pub(super) struct Document<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
}

impl<'a> Document<'a> {
    /// Returns the tables of the file.
    pub(super) fn parse(self) -> Result<Spanned<DeTable<'a>>> {
        DeTable::parse(self.text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            self.refuse(offset, error.message())
        })
    }

    /// Returns an error about what stands at this offset.
    fn refuse(self, offset: usize, complaint: &str) -> Error {
        let before = self.text.as_bytes().iter().take(offset);
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        let file = self.file.display();
        Error::new(Kind::Usage, format!("cannot use {file}, line {line}: {complaint}"))
    }
}

/// One table of a file.
pub(super) struct Section<'a> {
    document: Document<'a>,
    /// The name as its header has it, such as `database`; empty for the top of the file.
    name: String,
    offset: usize,
    table: &'a DeTable<'a>,
}

impl<'a> Section<'a> {
    /// Returns the top of a file.
    pub(super) fn top(document: Document<'a>, table: &'a Spanned<DeTable<'a>>) -> Self {
        Self { document, name: String::new(), offset: 0, table: table.get_ref() }
    }

    /// Refuses any key but these, and names the nearest of them.
    pub(super) fn allow(&self, known: &[&str]) -> Result<()> {
        let wrong = self.table.keys().filter(|key| !known.contains(&key.get_ref().as_ref()));
        let Some(wrong) = wrong.min_by_key(|key| key.span().start) else { return Ok(()) };
        let place = match self.name.as_str() {
            "" => String::new(),
            name => format!(" in [{name}]"),
        };
        let complaint = format!("unknown key `{}`{place}", wrong.get_ref());
        let hint = match nearest(wrong.get_ref(), known.iter().copied()) {
            _ if wrong.get_ref() == "password" => "a password stands in a my.cnf file, in \
                SNAP_DATABASE_PASSWORD or in the systemd credential `database-password`"
                .to_owned(),
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        Err(self.document.refuse(wrong.span().start, &complaint).hint(hint))
    }

    /// Returns the keys with the sections below them, each of which must be a table.
    pub(super) fn children(&self) -> Result<Vec<(&'a str, Self)>> {
        let keys = self.table.keys().map(|key| key.get_ref().as_ref());
        keys.map(|key| Ok((key, self.section(key)?.expect("the key is in the table")))).collect()
    }

    /// Returns the table under this key.
    pub(super) fn section(&self, key: &str) -> Result<Option<Self>> {
        self.table.get(key).map(|value| self.open(key, value)).transpose()
    }

    /// Returns the tables of the list under this key; none where the key is absent.
    pub(super) fn sections(&self, key: &str) -> Result<Vec<Self>> {
        let Some(value) = self.table.get(key) else { return Ok(Vec::new()) };
        let DeValue::Array(list) = value.get_ref() else {
            return Err(self.wrong(key, value, "a list of tables, each headed [[…]]"));
        };
        list.iter().map(|value| self.open(key, value)).collect()
    }

    /// Returns the text under this key; an empty one is refused.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::String(text) if !text.is_empty() => Ok(Some(text.to_string())),
            _ => Err(self.wrong(key, value, "a text in quotes, not empty")),
        }
    }

    /// Returns the text under this key, which must be a single line.
    pub(super) fn line(&self, key: &str) -> Result<Option<String>> {
        match self.text(key)? {
            Some(text) if text.contains(char::is_control) => {
                Err(self.refuse(key, &format!("`{key}` must be a single line")))
            }
            text => Ok(text),
        }
    }

    /// Returns the path under this key. It must be absolute: cron and a shell run in different
    /// folders, and must mean the same file.
    pub(super) fn path(&self, key: &str) -> Result<Option<PathBuf>> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::String(text) if text.starts_with('/') => Ok(Some(text.as_ref().into())),
            _ => Err(self.wrong(key, value, "an absolute path in quotes")),
        }
    }

    /// Returns whether this key says `true`; an absent one does not.
    pub(super) fn flag(&self, key: &str) -> Result<bool> {
        let Some(value) = self.table.get(key) else { return Ok(false) };
        value.get_ref().as_bool().ok_or_else(|| self.wrong(key, value, "true or false"))
    }

    /// Returns the number under this key.
    pub(super) fn number<N>(&self, key: &str, range: RangeInclusive<N>) -> Result<Option<N>>
    where
        N: TryFrom<i64> + PartialOrd + Display,
    {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        let number = value.get_ref().as_integer();
        let number = number.and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok());
        let number = number.and_then(|number| N::try_from(number).ok());
        let wrong = || {
            self.wrong(key, value, &format!("a number from {} to {}", range.start(), range.end()))
        };
        number.filter(|number| range.contains(number)).map(Some).ok_or_else(wrong)
    }

    /// Returns how long something may take; the default where nothing is said.
    pub(super) fn seconds(&self, default: u64) -> Result<Duration> {
        let seconds = self.number("seconds", 1..=MAX_SECONDS)?;
        Ok(Duration::from_secs(seconds.unwrap_or(default)))
    }

    /// Returns what the word under this key stands for.
    pub(super) fn word<T: Copy>(&self, key: &str, known: &[(&str, T)]) -> Result<Option<T>> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        let meant = known.iter().find(|(word, _)| value.get_ref().as_str() == Some(*word));
        meant.map(|(_, meaning)| Some(*meaning)).ok_or_else(|| {
            let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
            let quoted = value.get_ref().as_str();
            let near = quoted.and_then(|wrong| nearest(wrong, words.iter().copied()));
            let refusal = self.wrong(key, value, &one_of(&words));
            match near {
                Some(near) => refusal.hint(format!("did you mean \"{near}\"?")),
                None => refusal,
            }
        })
    }

    /// Returns the list of texts under this key, each made into what it stands for; a text that
    /// stands for nothing is complained about where it is.
    pub(super) fn list<T>(
        &self,
        key: &str,
        read: impl Fn(&str) -> std::result::Result<T, String>,
    ) -> Result<Option<Vec<T>>> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        let DeValue::Array(list) = value.get_ref() else {
            return Err(self.wrong(key, value, "a list of texts in quotes: [\"…\"]"));
        };
        let read = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
            DeValue::String(text) if !text.is_empty() => read(text).map_err(|complaint| {
                self.document.refuse(value.span().start, &format!("`{key}`: {complaint}"))
            }),
            _ => Err(self.wrong(key, value, "a list of texts in quotes, none of them empty")),
        };
        list.iter().map(read).collect::<Result<_>>().map(Some)
    }

    /// Returns whether the section has a table under this key.
    pub(super) fn has_section(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|value| matches!(value.get_ref(), DeValue::Table(_)))
    }

    /// Returns whether the section has this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Returns a value that this thing must have.
    pub(super) fn required<T>(&self, thing: &str, key: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.refuse(key, &format!("this {thing} has no `{key}`")))
    }

    /// Returns an error about the value of this key; about the section where the key is absent.
    pub(super) fn refuse(&self, key: &str, complaint: &str) -> Error {
        let offset = self.table.get(key).map_or(self.offset, |value| value.span().start);
        self.document.refuse(offset, complaint)
    }

    fn open(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Result<Self> {
        let DeValue::Table(table) = value.get_ref() else {
            return Err(self.wrong(key, value, "a table"));
        };
        let name = match self.name.as_str() {
            "" => key.to_owned(),
            name => format!("{name}.{key}"),
        };
        Ok(Self { document: self.document, name, offset: value.span().start, table })
    }

    fn wrong(&self, key: &str, value: &Spanned<DeValue<'_>>, allowed: &str) -> Error {
        self.document.refuse(value.span().start, &format!("`{key}` must be {allowed}"))
    }
}

/// Returns the words as people list them: `"a", "b" or "c"`.
fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// Returns the known word that was probably meant.
pub(super) fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let resemblance = |word: &str| strsim::jaro_winkler(wrong, word);
    known
        .filter(|word| resemblance(word) >= RESEMBLANCE)
        .max_by(|one, other| resemblance(one).total_cmp(&resemblance(other)))
}
