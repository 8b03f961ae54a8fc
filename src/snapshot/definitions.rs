//! The definitions of a saved database, as every verb reads them: from its schema blob, proven to be
//! of the tables that the catalog lists; and what proves the rows of those tables.

use crate::base::digest::RowsDigest;
use crate::base::error::Error;
use crate::base::error::Result;
use crate::repository::Repository;
use crate::repository::catalog::Item;
use crate::repository::catalog::SourceRecord;
use crate::source::mariadb::proof::Expected;
use crate::source::mariadb::schema;

/// Returns the schema blob of a saved database. Fails with
/// [`Kind::Damaged`](crate::base::error::Kind) where its definitions could not be run, or are those
/// of other tables than the catalog's, and where its tables could not be proven.
pub(super) async fn read(repository: &Repository, record: &SourceRecord) -> Result<Vec<u8>> {
    expected(record)?;
    let read = async {
        let Some(blob) = &record.schema else {
            return Err(Error::damaged("the catalog names no definitions"));
        };
        let schema = repository.read_blob(blob).await?;
        check_tables(record, &schema::outline(&schema)?.tables)?;
        Ok(schema)
    };
    let doing = || format!("cannot read the definitions of {}", record.name);
    read.await.map_err(|error| error.while_doing(&doing()))
}

/// Returns what each table of a saved database must come to. Fails with
/// [`Kind::Refused`](crate::base::error::Kind) where only a later version can tell.
pub(super) fn expected(record: &SourceRecord) -> Result<Vec<Expected>> {
    let proof = |item: &Item| {
        let parse = |text: &str| RowsDigest::parse(text, item.rows);
        Ok(Expected {
            digest: parse(&item.digest)?,
            current_rows: item.current_rows,
            generated_digest: item.generated_digest.as_deref().map(parse).transpose()?,
            raw_bytes: item.raw_bytes,
        })
    };
    let doing = |item: &Item| format!("cannot prove table {:?}", item.name);
    let items = record.items.iter();
    items.map(|item| proof(item).map_err(|error: Error| error.while_doing(&doing(item)))).collect()
}

fn check_tables(record: &SourceRecord, names: &[String]) -> Result<()> {
    if record.items.iter().map(|item| &item.name).eq(names) {
        return Ok(());
    }
    Err(Error::damaged("the schema blob defines other tables than the catalog"))
}
