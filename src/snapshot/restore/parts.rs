//! What a restore does to each table, sequence, program and file of a source.

use serde::Serialize;

use crate::repository::catalog::Item;
use crate::source::files::Change;
use crate::source::mariadb::compare::Comparison;
use crate::source::mariadb::compare::Found;

/// One table, sequence or file, or a program that will be gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// What it is, such as `table`.
    pub kind: String,
    /// Its name, or its path below the source's.
    pub name: String,
    /// What happens to it.
    pub fate: Fate,
    /// Why it is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The rows that a table will have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The size of what is restored, or of what will be gone, in raw bytes.
    pub bytes: u64,
}

/// What happens to a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// Nothing is there yet.
    Create,
    /// Something else is there.
    Replace,
    /// It is live and not in the snapshot: it goes with what is replaced.
    Drop,
    /// It is there already as it was saved.
    Identical,
}

impl Part {
    /// Returns whether the part is built anew.
    pub(super) const fn is_built(&self) -> bool {
        matches!(self.fate, Fate::Create | Fate::Replace)
    }
}

/// Returns the parts of a database; `items` are the tables of the catalog.
pub(super) fn of_database(found: &Comparison, items: &[Item]) -> Vec<Part> {
    let tables = items.iter().zip(&found.tables).map(|(item, found)| Part {
        rows: Some(item.rows),
        ..part("table", &item.name, item.raw_bytes, found)
    });
    let sequences = found.sequences.iter().map(|(name, found)| part("sequence", name, 0, found));
    let gone = found.gone.iter().map(|gone| Part {
        kind: gone.kind.to_owned(),
        name: gone.name.clone(),
        fate: Fate::Drop,
        reason: None,
        rows: None,
        bytes: gone.bytes,
    });
    tables.chain(sequences).chain(gone).collect()
}

fn part(kind: &str, name: &str, bytes: u64, found: &Found) -> Part {
    let (fate, reason) = match found {
        Found::Absent => (Fate::Create, None),
        Found::Differs(why) => (Fate::Replace, Some(why.clone())),
        Found::Identical => (Fate::Identical, None),
    };
    Part { kind: kind.to_owned(), name: name.to_owned(), fate, reason, rows: None, bytes }
}

/// Returns the parts of a file tree.
pub(super) fn of_files(changes: Vec<Change>) -> Vec<Part> {
    let part = |Change { path, bytes, is_wanted, is_there, difference }| Part {
        kind: "file".to_owned(),
        name: path,
        fate: match (is_wanted, is_there, &difference) {
            (false, _, _) => Fate::Drop,
            (true, false, _) => Fate::Create,
            (true, true, Some(_)) => Fate::Replace,
            (true, true, None) => Fate::Identical,
        },
        reason: difference.filter(|_| is_wanted && is_there),
        rows: None,
        bytes,
    };
    changes.into_iter().map(part).collect()
}
