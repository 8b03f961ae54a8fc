//! What proves that the rows of a restored table are those that were saved.

use crate::base::digest::RowsDigest;
use crate::source::mariadb::bulk::Inserted;
use crate::source::mariadb::lines::Totals;

/// What proves rows that went into a table, by any number of loaders; nothing does where some of them
/// went in as text.
#[derive(Debug, Clone, Copy)]
pub struct Filled(pub(super) Option<Inserted>);

impl Filled {
    /// Returns what proves no rows yet of what is expected.
    pub fn nothing_of(expected: &Expected) -> Self {
        Self(Some(Inserted::nothing_of(&expected.digest)))
    }

    /// Adds other rows of the same table.
    pub fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (Some(inserted), Some(other)) => inserted.merge(other),
            _ => self.0 = None,
        }
    }

    /// Returns whether the lines that went in are those that were saved, so that it is enough to read
    /// the table [`back`](crate::source::mariadb::load::Loader::read_back).
    pub fn is_provable(&self, expected: &Expected) -> bool {
        self.0.is_some_and(|inserted| inserted.lines == expected.digest)
    }

    /// Returns whether the rows come back in the bytes that were sent for them: then nothing is
    /// different, and no row has to be written down to see it. Otherwise nothing is said.
    pub fn is_as_inserted(&self, expected: &Expected, back: &ReadBack) -> bool {
        self.is_provable(expected) && back.0 == self.0.map(|inserted| inserted.images)
    }
}

/// What proves rows that were read back, in any number of parts; nothing does where some of them were
/// not seen.
#[derive(Debug, Clone, Copy)]
pub struct ReadBack(pub(super) Option<RowsDigest>);

impl Default for ReadBack {
    fn default() -> Self {
        Self(Some(RowsDigest::default()))
    }
}

impl ReadBack {
    /// Adds another part of the same table.
    pub fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (Some(rows), Some(other)) => rows.merge(other),
            _ => self.0 = None,
        }
    }
}

/// What a restored table must come to.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// The digest of the stored columns, with the number of rows.
    pub digest: RowsDigest,
    /// How many of them are current, where the table keeps its history too.
    pub current_rows: Option<u64>,
    /// The digest of the generated columns, where there are any.
    pub generated_digest: Option<RowsDigest>,
    /// The size of the lines with their newlines.
    pub raw_bytes: u64,
}

impl Expected {
    /// Returns totals of no rows yet, which hash rows as these digests do.
    pub(super) fn emptied(&self) -> Totals {
        let generated = self.generated_digest.unwrap_or_default().emptied();
        Totals { stored: self.digest.emptied(), generated, ..Totals::default() }
    }

    /// Returns how rows differ from these; generated columns count on the server's own version only.
    pub(super) fn difference(&self, totals: &Totals, is_same_server: bool) -> Option<String> {
        let rows = totals.stored.rows();
        if rows != self.digest.rows() {
            return Some(format!("{rows} rows of {}", self.digest.rows()));
        }
        if totals.stored != self.digest {
            return Some("the digest of its rows differs".to_owned());
        }
        let generated = self.generated_digest.filter(|_| is_same_server)?;
        let differs = totals.generated != generated;
        differs.then(|| "the digest of its generated columns differs".to_owned())
    }
}
