//! Which entries of a folder a source takes: `include` and `exclude`.
//!
//! A pattern speaks of paths below the folder, and of all that lies in a folder it matches. `*` and
//! `?` match no `/`, `**` matches any number of folders. What `exclude` matches is left out,
//! whatever `include` says, and what is left out is neither opened nor entered. What `include` does
//! not match is left out too, but for the folders that something included lies in. What is left out
//! of a live folder belongs to others: no restore reads, moves or removes it.

use std::path::Path;

use globset::GlobBuilder;
use globset::GlobSet;
use globset::GlobSetBuilder;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::source::files::byte_string::ByteString;
use crate::source::files::list::TOP;

/// More patterns than anybody writes: each is looked at for every entry.
const MAX_GLOBS: usize = 256;

/// A path of 4096 bytes is the longest that the system takes, and a pattern is shorter.
const MAX_GLOB_BYTES: usize = 1024;

/// Patterns of paths below the folder of a source. Without any, all entries belong to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Globs {
    /// What belongs to the source; everything, where nothing is named.
    pub include: Vec<String>,
    /// What does not, although it is included.
    pub exclude: Vec<String>,
}

/// What patterns say of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// It belongs to the source.
    Taken,
    /// A folder belongs to the source where something in it does; anything else is left out.
    Passage,
    /// It does not belong to the source, nor does what is in it.
    LeftOut,
}

/// Patterns that are ready to be asked.
#[derive(Debug, Clone)]
pub(super) struct Chooser {
    /// Nothing, where everything is included.
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Globs {
    /// Returns whether all entries belong to the source.
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Returns the patterns that a repository kept, or `Damaged` where they are none, or more or
    /// longer ones than a profile may have.
    pub(super) fn from_detail(detail: &Value) -> Result<Self> {
        if detail.is_null() {
            return Ok(Self::default());
        }
        let cannot = "cannot read the patterns of a source";
        let globs =
            Self::deserialize(detail).map_err(|cause| Error::damaged(cannot).caused_by(cause))?;
        globs.check().map_err(|why| Error::damaged(format!("{cannot}: {why}")))?;
        Ok(globs)
    }

    /// Returns the patterns as a repository keeps them; nothing where there are none.
    pub(super) fn to_detail(&self) -> Value {
        if self.is_empty() {
            return Value::Null;
        }
        serde_json::to_value(self).expect("patterns are text")
    }

    /// Returns why these cannot be the patterns of a source.
    pub fn check(&self) -> std::result::Result<(), String> {
        let globs = || self.include.iter().chain(&self.exclude);
        let count = globs().count();
        if count > MAX_GLOBS {
            return Err(format!("{count} patterns are too many: at most {MAX_GLOBS} are taken"));
        }
        globs().try_for_each(|glob| check_path_glob(glob))
    }

    /// Returns the patterns ready to be asked.
    pub(super) fn chooser(&self) -> Result<Chooser> {
        let include = (!self.include.is_empty()).then(|| set(&self.include)).transpose()?;
        Ok(Chooser { include, exclude: set(&self.exclude)? })
    }
}

impl Chooser {
    /// Returns one that takes everything.
    pub(super) fn everything() -> Self {
        Self { include: None, exclude: GlobSet::empty() }
    }

    /// Returns whether it takes everything.
    pub(super) fn takes_all(&self) -> bool {
        self.include.is_none() && self.exclude.is_empty()
    }

    /// Returns what the patterns say of the entry at a path below the top.
    pub(super) fn of(&self, path: &ByteString) -> Choice {
        let bytes = path.bytes();
        let is_top = bytes == TOP;
        let mut is_included = self.include.is_none();
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
        for end in ends.chain([bytes.len()]).filter(|_| !is_top) {
            let folder = ByteString::from(&bytes[..end]);
            let folder = Path::new(folder.os());
            if self.exclude.is_match(folder) {
                return Choice::LeftOut;
            }
            is_included |= self.include.as_ref().is_some_and(|include| include.is_match(folder));
        }
        if is_included { Choice::Taken } else { Choice::Passage }
    }
}

/// Returns why a text is no pattern.
pub fn check_glob(glob: &str) -> std::result::Result<(), String> {
    match GlobBuilder::new(glob).literal_separator(true).build() {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{glob:?} is no pattern: {}", error.kind())),
    }
}

/// Returns why a text is no pattern of paths below a folder.
pub fn check_path_glob(glob: &str) -> std::result::Result<(), String> {
    if glob.len() > MAX_GLOB_BYTES {
        let bytes = glob.len();
        return Err(format!("a pattern of {bytes} bytes is too long: {MAX_GLOB_BYTES} are taken"));
    }
    if glob.split('/').any(|name| matches!(name, "" | "." | "..")) {
        let why = "it is matched with paths below the folder, such as `logs` or `**/*.log`";
        return Err(format!("{glob:?} matches nothing: {why}"));
    }
    check_glob(glob)
}

fn set(globs: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    let cannot = |cause| Error::failed("cannot use the patterns of a source").caused_by(cause);
    for glob in globs {
        set.add(GlobBuilder::new(glob).literal_separator(true).build().map_err(cannot)?);
    }
    set.build().map_err(cannot)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::error::Kind;

    fn globs(include: &[&str], exclude: &[&str]) -> Globs {
        let owned = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect();
        Globs { include: owned(include), exclude: owned(exclude) }
    }

    #[test]
    fn a_pattern_speaks_of_all_that_is_in_a_folder_and_exclude_wins() {
        let chooser = globs(&["conf", "**/*.pem"], &["conf/cache", "*.tmp"]).chooser().unwrap();
        for (path, choice) in [
            (".", Choice::Passage),
            ("conf", Choice::Taken),
            ("conf/deep/file", Choice::Taken),
            ("conf/cache", Choice::LeftOut),
            ("conf/cache/key.pem", Choice::LeftOut),
            ("conf/a.tmp", Choice::Taken),
            ("a.tmp", Choice::LeftOut),
            ("key.pem", Choice::Taken),
            ("far/away/key.pem", Choice::Taken),
            ("far/away", Choice::Passage),
            ("config", Choice::Passage),
        ] {
            assert_eq!(chooser.of(&path.as_bytes().into()), choice, "{path}");
        }
        let all = Chooser::everything();
        assert!(all.takes_all() && all.of(&(&b"a/b"[..]).into()) == Choice::Taken);
    }

    #[test]
    fn a_pattern_that_could_match_nothing_is_refused() {
        for glob in ["/etc/x", "logs/", "./x", "a/../b", "", "a//b", "{a"] {
            assert!(check_path_glob(glob).is_err(), "{glob}");
        }
        assert!(check_path_glob("**/*.log").is_ok());
    }

    #[test]
    fn patterns_of_a_repository_are_bounded() {
        let many: Vec<String> = (0..=MAX_GLOBS).map(|number| number.to_string()).collect();
        for hostile in [
            json!({"include": many, "exclude": []}),
            json!({"include": [], "exclude": ["x".repeat(MAX_GLOB_BYTES + 1)]}),
            json!({"include": [], "exclude": ["{a"]}),
            json!({"include": [], "exclude": [], "more": 1}),
            json!("x"),
        ] {
            assert_eq!(Globs::from_detail(&hostile).unwrap_err().kind(), Kind::Damaged);
        }
        assert_eq!(Globs::from_detail(&Value::Null).unwrap(), Globs::default());
        let some = globs(&["a"], &["b"]);
        assert_eq!(Globs::from_detail(&some.to_detail()).unwrap(), some);
    }
}
