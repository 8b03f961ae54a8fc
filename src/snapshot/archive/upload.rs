//! `upload`: takes an archive into the repository, once every byte of it is proven.
//!
//! The archive is read twice. The documents come first: the index names one manifest, the manifest
//! names every blob, catalog and indexes say what the blobs are. Then the blobs, which are stored
//! and proven as they lie in the repository. A failure lists nothing; blobs that were stored until
//! then stay for `prune`.

use std::path::Path;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::TryStreamExt as _;
use futures_util::stream;
use oci_spec::image::Descriptor;
use oci_spec::image::ImageIndex;

use super::INDEX_ENTRY;
use super::LAYOUT_ENTRY;
use super::incoming::Incoming;
use super::sources;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::repository;
use crate::repository::Repository;
use crate::repository::catalog::Catalog;
use crate::repository::contents;
use crate::repository::contents::Contents;
use crate::repository::id::SnapshotId;
use crate::repository::listing;
use crate::repository::manifest::MAX_READ_BYTES;
use crate::repository::manifest::Manifest;
use crate::repository::summary::Summary;
use crate::repository::writer::Writer;
use crate::snapshot::verify::Depth;
use crate::snapshot::verify::Examiner;

const MAX_LAYOUT_BYTES: u64 = 4096;
/// One piece of a blob is held in memory per reader.
const READERS: usize = 3;

/// Lists the snapshot of an archive, under its own id where none is given.
pub async fn upload(
    repository: &Repository,
    path: &Path,
    id: Option<SnapshotId>,
    monitor: &dyn Monitor,
) -> Result<Summary> {
    if let Some(id) = &id {
        refuse_taken(repository, id).await?;
    }
    let archive = Incoming::open(path).await.map_err(advised)?;
    let uploaded = take(repository, &archive, id, monitor).await;
    let doing = || format!("cannot upload {}", path.display());
    uploaded.map_err(|error| advised(error.while_doing(&doing())))
}

/// Returns the error with what helps against a damaged archive.
fn advised(error: Error) -> Error {
    if error.kind() == Kind::Damaged && error.advice().is_none() {
        return error.hint("nothing was listed; copy or download the archive again");
    }
    error
}

async fn take(
    repository: &Repository,
    archive: &Incoming,
    id: Option<SnapshotId>,
    monitor: &dyn Monitor,
) -> Result<Summary> {
    let documents = read_documents(archive).await?;
    let id = match id {
        Some(id) => id,
        None => own_id(&documents.catalog)?,
    };
    refuse_taken(repository, &id).await?;
    let writer = repository.writer([]).await?;
    let contents = read_contents(repository, archive, &writer, &documents).await?;
    store_layers(archive, &writer, &documents, monitor).await?;

    let mut examiner = Examiner::new(repository, Depth::ReadData, monitor);
    let (digest, size) = &documents.blobs[0];
    let findings = examiner.examine(&id, digest, *size).await;
    if let Some(first) = findings.hurt.first() {
        return Err(Error::damaged(first.clone()));
    }
    sources::check(repository, &contents).await?;
    writer.commit_upload(&id, &documents.manifest_bytes, &contents).await
}

/// The documents of an archive, proven by their digests, and the blobs that they name.
struct Documents {
    manifest: Manifest,
    manifest_bytes: Bytes,
    catalog: Catalog,
    catalog_bytes: Bytes,
    /// Digest and size of the manifest, the catalog and the layers.
    blobs: Vec<(String, u64)>,
}

async fn read_documents(archive: &Incoming) -> Result<Documents> {
    repository::check_layout(&archive.document(LAYOUT_ENTRY, MAX_LAYOUT_BYTES).await?)?;
    let index = archive.document(INDEX_ENTRY, MAX_READ_BYTES).await?;
    let (digest, size) = only_manifest(&index)?;
    let manifest_bytes = read_document(archive, &digest, size).await?;
    let manifest = Manifest::parse(&manifest_bytes)?;
    let sized = |blob: &Descriptor| (blob.digest().to_string(), blob.size());
    let config = sized(manifest.catalog());
    let mut blobs = vec![(digest, size), config.clone()];
    blobs.extend(manifest.layers().iter().map(sized));
    archive.check_blobs(&blobs)?;
    let catalog_bytes = read_document(archive, &config.0, config.1).await?;
    let catalog = listing::parse_catalog(&catalog_bytes)?;
    Ok(Documents { manifest, manifest_bytes, catalog, catalog_bytes, blobs })
}

async fn read_document(archive: &Incoming, digest: &str, size: u64) -> Result<Bytes> {
    if size <= MAX_READ_BYTES {
        return archive.blob(digest, size).await;
    }
    Err(Error::damaged(format!("blob {digest} has {size} bytes, {MAX_READ_BYTES} at most")))
}

fn only_manifest(index: &[u8]) -> Result<(String, u64)> {
    let parsed: ImageIndex = serde_json::from_slice(index)
        .map_err(|cause| Error::damaged("index.json is not readable").caused_by(cause))?;
    match parsed.manifests().as_slice() {
        [manifest] => Ok((manifest.digest().to_string(), manifest.size())),
        manifests => {
            let count = manifests.len();
            Err(Error::damaged(format!("the archive holds {count} manifests instead of one")))
        }
    }
}

fn own_id(catalog: &Catalog) -> Result<SnapshotId> {
    let parsed: Result<SnapshotId> = catalog.id.parse();
    parsed.map_err(|error| {
        Error::damaged("the catalog has no sound id").caused_by(error).hint("give --snapshot-id")
    })
}

async fn refuse_taken(repository: &Repository, id: &SnapshotId) -> Result<()> {
    if repository.is_listed(id).await? { Err(listing::taken(id)) } else { Ok(()) }
}

/// Stores catalog, manifest and indexes, and returns the contents once all of them agree.
async fn read_contents(
    repository: &Repository,
    archive: &Incoming,
    writer: &Writer,
    documents: &Documents,
) -> Result<Contents> {
    let [(manifest, _), (catalog, _), ..] = documents.blobs.as_slice() else {
        unreachable!("manifest and catalog are the first blobs");
    };
    writer.keep(catalog, documents.catalog_bytes.clone()).await?;
    writer.keep(manifest, documents.manifest_bytes.clone()).await?;
    for source in &documents.catalog.sources {
        let Some(index) = &source.index else { continue };
        let named = contents::index_use(source, index)?;
        let stored = archive.blob(&index.digest, index.size).await;
        let stored = stored.map_err(|error| error.while_doing(&named.by))?;
        writer.keep(&index.digest, stored).await?;
    }
    let contents = repository.contents_of(documents.catalog.clone()).await?;
    documents.manifest.check_layers(&contents::distinct(&contents.uses()?))?;
    Ok(contents)
}

async fn store_layers(
    archive: &Incoming,
    writer: &Writer,
    documents: &Documents,
    monitor: &dyn Monitor,
) -> Result<()> {
    let total = documents.blobs.iter().map(|(_, size)| size).sum();
    monitor.step("upload", Some(total));
    let store = |(digest, size): (String, u64)| async move {
        writer.keep_pieces(&digest, size, archive.pieces(&digest, size)).await?;
        monitor.advance(size);
        Ok::<(), Error>(())
    };
    let blobs = stream::iter(documents.blobs.clone()).map(store);
    blobs.buffer_unordered(READERS).try_collect().await
}
