//! Which entries of a folder a source takes: `include` and `exclude`.

use globset::GlobBuilder;
use serde::Deserialize;
use serde::Serialize;

/// Patterns of paths below the folder of a source. Without any, all entries belong to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Globs {
    /// What belongs to the source; everything, where nothing is named.
    pub include: Vec<String>,
    /// What does not, although it is included.
    pub exclude: Vec<String>,
}

impl Globs {
    /// Returns whether all entries belong to the source.
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }
}

/// Returns why a text is no pattern.
pub fn check_glob(glob: &str) -> Result<(), String> {
    match GlobBuilder::new(glob).literal_separator(true).build() {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{glob:?} is no pattern: {}", error.kind())),
    }
}
