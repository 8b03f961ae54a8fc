//! Damage: blobs that are there with their right sizes, and of which a reader found out that they are
//! not what their names say.
//!
//! Each has an empty file, `damaged/<hex>`, until a blob of that name is stored again, proves sound or is
//! gone. No new snapshot counts on one: rows that are still as they were are stored again, and where that
//! gives the same bytes, the earlier snapshots are whole again too.

use std::collections::HashSet;

use bytes::Bytes;

use crate::base::digest;
use crate::base::error::Result;
use crate::repository::DAMAGED;
use crate::repository::Repository;
use crate::repository::blob;
use crate::repository::catalog::BlobRef;

impl Repository {
    /// Returns the digests of the blobs that are damaged, as far as it is known.
    pub async fn damaged(&self) -> Result<HashSet<String>> {
        let files = self.store.list(DAMAGED).await?;
        let digest = |name: &str| {
            let digest = format!("sha256:{}", name.strip_prefix(DAMAGED)?.strip_prefix('/')?);
            digest::sha256_hex(&digest).is_some().then_some(digest)
        };
        Ok(files.iter().filter_map(|file| digest(&file.name)).collect())
    }

    /// Notes a blob that could not be proven as damaged, where it is its own stored bytes that are: those
    /// of the base of a difference may be, or what the catalog says. One that is absent or has another
    /// size needs no note.
    pub async fn note_damage(&self, blob: &BlobRef) -> Result<()> {
        if self.find_blob(&blob.digest, blob.size).await.is_err()
            || self.prove_stored(&blob.digest, blob.size).await.is_ok()
        {
            return self.forget_damage(&blob.digest).await;
        }
        self.store.make_folder(DAMAGED).await?;
        self.store.put_new(&file_name(&blob.digest)?, Bytes::new()).await.map(drop)
    }

    /// Forgets that a blob was damaged: it is stored again, proved sound, or is gone.
    pub async fn forget_damage(&self, digest: &str) -> Result<()> {
        self.store.delete(&file_name(digest)?).await
    }
}

fn file_name(digest: &str) -> Result<String> {
    let blob = blob::blob_name(digest)?;
    let (_, hex) = blob.rsplit_once('/').expect("blobs lie in a folder");
    Ok(format!("{DAMAGED}/{hex}"))
}
