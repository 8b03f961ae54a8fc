//! What an archive brings, seen by the sources that would take it: a snapshot whose definitions
//! could not be run, or whose files would lead out of their tree, is not listed.

use crate::base::error::Error;
use crate::base::error::Result;
use crate::repository::Repository;
use crate::repository::catalog::Index;
use crate::repository::catalog::SourceRecord;
use crate::repository::contents::Contents;
use crate::snapshot::definitions;
use crate::snapshot::outputs;
use crate::source::files::FileList;

/// Checks the definitions and the file lists of a snapshot whose blobs are proven.
pub(super) async fn check(repository: &Repository, contents: &Contents) -> Result<()> {
    for (record, index) in contents.catalog.sources.iter().zip(&contents.indexes) {
        let Some(index) = index else { continue };
        let checked = match record.kind.as_str() {
            "files" => check_list(record, index),
            // Bytes for a command of the host's own profile: there is nothing to read in them.
            outputs::KIND => Ok(()),
            _ => definitions::read(repository, record).await.map(drop),
        };
        checked.map_err(|error| error.while_doing(&record.name))?;
    }
    Ok(())
}

fn check_list(record: &SourceRecord, index: &Index) -> Result<()> {
    let digest = FileList::from_detail(&index.detail)?.with_patterns(&record.detail)?.digest();
    match record.items.as_slice() {
        [item] if item.digest == digest => Ok(()),
        _ => Err(Error::damaged("the list of files is not the catalog's")),
    }
}
