//! What an archive brings, seen by the sources that would take it: a snapshot whose definitions
//! could not be run, or whose files would lead out of their tree, is not listed.

use crate::base::error::Error;
use crate::base::error::Result;
use crate::repository::Repository;
use crate::repository::catalog::Index;
use crate::repository::catalog::SourceRecord;
use crate::repository::contents::Contents;
use crate::source::files::FileList;
use crate::source::mariadb::schema;

/// Checks the definitions and the file lists of a snapshot whose blobs are proven.
pub(super) async fn check(repository: &Repository, contents: &Contents) -> Result<()> {
    for (record, index) in contents.catalog.sources.iter().zip(&contents.indexes) {
        let Some(index) = index else { continue };
        let checked = match record.kind.as_str() {
            "files" => check_list(record, index),
            _ => check_schema(repository, record).await,
        };
        checked.map_err(|error| error.while_doing(&record.name))?;
    }
    Ok(())
}

async fn check_schema(repository: &Repository, record: &SourceRecord) -> Result<()> {
    let Some(blob) = &record.schema else {
        return Err(Error::damaged("the catalog names no definitions"));
    };
    let outline = schema::outline(&repository.read_blob(blob).await?)?;
    if record.items.iter().map(|item| &item.name).eq(&outline.tables) {
        return Ok(());
    }
    Err(Error::damaged("the schema blob defines other tables than the catalog"))
}

fn check_list(record: &SourceRecord, index: &Index) -> Result<()> {
    let digest = FileList::from_detail(index.detail.clone())?.digest();
    match record.items.as_slice() {
        [item] if item.digest == digest => Ok(()),
        _ => Err(Error::damaged("the list of files is not the catalog's")),
    }
}
