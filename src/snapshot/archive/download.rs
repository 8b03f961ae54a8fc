//! `download`: writes the archive of a snapshot.

use std::path::Path;
use std::path::PathBuf;

use bytes::Bytes;
use oci_spec::image::Descriptor;
use serde::Serialize;

use super::BLOB_ENTRIES;
use super::INDEX_ENTRY;
use super::LAYOUT_ENTRY;
use super::outgoing::Outgoing;
use crate::base::digest;
use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::repository::OCI_LAYOUT;
use crate::repository::Repository;
use crate::repository::id::SnapshotId;
use crate::repository::lock::Access;
use crate::repository::manifest;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Downloaded {
    /// Where the archive is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its digest.
    pub digest: String,
}

/// Writes the archive of a snapshot to a path that does not exist yet.
pub async fn download(
    repository: &Repository,
    id: &SnapshotId,
    path: &Path,
    monitor: &dyn Monitor,
) -> Result<Downloaded> {
    let _lock = repository.lock(Access::Shared).await?;
    let outgoing = Outgoing::create(path).await?;
    let written = write(repository, id, outgoing, monitor).await;
    let outgoing = written.map_err(|error| {
        error.while_doing(&format!("cannot download snapshot {id} to {}", path.display()))
    })?;
    let (bytes, digest) = outgoing.publish().await?;
    Ok(Downloaded { path: path.to_owned(), bytes, digest })
}

/// Writes the entries in the order in which a reader needs them.
async fn write(
    repository: &Repository,
    id: &SnapshotId,
    outgoing: Outgoing,
    monitor: &dyn Monitor,
) -> Result<Outgoing> {
    let listed = repository.listed(id).await?;
    let manifest = repository.manifest(&listed).await?;
    let catalog = repository.catalog(&manifest).await?;
    // The id under which it is listed here is no part of it: another repository has another one.
    let index = manifest::archive_index_json(&catalog, &listed.digest, listed.size)?;
    let layout = Bytes::from_static(OCI_LAYOUT.as_bytes());
    let mut outgoing = outgoing.add(LAYOUT_ENTRY, layout).await?;
    outgoing = outgoing.add(INDEX_ENTRY, Bytes::from(index)).await?;

    let sized = |blob: &Descriptor| (blob.digest().to_string(), blob.size());
    let mut blobs = vec![(listed.digest, listed.size), sized(manifest.catalog())];
    blobs.extend(manifest.layers().iter().map(sized));
    let total = blobs.iter().map(|(_, size)| *size).fold(0, u64::saturating_add);
    monitor.step(&format!("download snapshot {id}"), Some(total));
    for (digest, size) in blobs {
        let stored = repository.read_stored(&digest, size).await?;
        outgoing = outgoing.add(&entry_name(&digest)?, stored).await?;
        monitor.advance(size);
    }
    Ok(outgoing)
}

fn entry_name(digest: &str) -> Result<String> {
    let hex = digest::sha256_hex(digest);
    let hex = hex.ok_or_else(|| Error::damaged(format!("{digest:?} is not a digest")))?;
    Ok(format!("{BLOB_ENTRIES}{hex}"))
}
