//! A feature of MariaDB: the statements that make it, and what shows that it has come back.

use crate::features::tool::Tool;

/// The database of every case.
pub(super) const DATABASE: &str = "studio";

/// One row of the table. Beside what is asked, all that the database holds is compared.
pub(super) struct Case {
    /// The feature, for people who run databases.
    pub(super) name: &'static str,
    /// Statements that make it, in an empty database.
    pub(super) script: &'static str,
    /// What the comparison of a database does not see.
    pub(super) asks: &'static str,
    /// Statements that remove what the script makes outside of the database.
    pub(super) tidies: &'static str,
    /// Runs while it is saved, until it is told to stop.
    pub(super) meanwhile: &'static str,
    /// Whether what is asked is all that is compared.
    pub(super) is_asked_alone: bool,
    /// Why a tool does not bring it back, for each that does not.
    pub(super) notes: &'static [Note],
}

/// A footnote.
pub(super) struct Note {
    pub(super) tool: Tool,
    pub(super) why: &'static str,
    /// What stands in the tool's errors or in what differs, as a proof of the above.
    pub(super) shown_by: &'static str,
}

impl Case {
    /// A case of a script alone.
    pub(super) const PLAIN: Self = Self {
        name: "",
        script: "",
        asks: "",
        tidies: "",
        meanwhile: "",
        is_asked_alone: false,
        notes: &[],
    };
}

/// Returns a footnote.
pub(super) const fn note(tool: Tool, why: &'static str, shown_by: &'static str) -> Note {
    Note { tool, why, shown_by }
}
