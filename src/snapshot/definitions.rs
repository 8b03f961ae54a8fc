//! The definitions of a saved database, as every verb reads them: from its schema blob, proven to be
//! of the tables that the catalog lists.

use crate::base::buffers::Buffer;
use crate::base::error::Error;
use crate::base::error::Result;
use crate::repository::Repository;
use crate::repository::catalog::SourceRecord;
use crate::source::mariadb::schema;

/// Returns the schema blob of a saved database. Fails with
/// [`Kind::Damaged`](crate::base::error::Kind) where its definitions could not be run, or are those
/// of other tables than the catalog's.
pub(super) async fn read(repository: &Repository, record: &SourceRecord) -> Result<Vec<u8>> {
    let read = async {
        let Some(blob) = &record.schema else {
            return Err(Error::damaged("the catalog names no definitions"));
        };
        let schema = repository.read_blob(blob).await?;
        check_tables(record, &schema::outline(&schema)?.tables)?;
        Ok(schema)
    };
    let doing = || format!("cannot read the definitions of {}", record.name);
    read.await.map(Buffer::into_vec).map_err(|error| error.while_doing(&doing()))
}

fn check_tables(record: &SourceRecord, names: &[String]) -> Result<()> {
    if record.items.iter().map(|item| &item.name).eq(names) {
        return Ok(());
    }
    Err(Error::damaged("the schema blob defines other tables than the catalog"))
}
