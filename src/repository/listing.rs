//! The list of snapshots: one descriptor per snapshot in `snapshots/`, and `index.json` made of
//! them for other tools.
//!
//! A broken descriptor is an error of its own snapshot and of no other.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use oci_spec::image::Descriptor;

use crate::base::digest;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::fault;
use crate::repository::BLOBS;
use crate::repository::INDEX_FILE;
use crate::repository::Repository;
use crate::repository::SNAPSHOTS;
use crate::repository::catalog::Catalog;
use crate::repository::catalog::FORMAT;
use crate::repository::catalog::Index;
use crate::repository::catalog::SourceRecord;
use crate::repository::contents;
use crate::repository::contents::Contents;
use crate::repository::id::SnapshotId;
use crate::repository::manifest;
use crate::repository::manifest::MAX_READ_BYTES;
use crate::repository::manifest::Manifest;
use crate::repository::summary::Summary;

/// Annotations are for short texts; a list of thousands of snapshots is read whole.
const MAX_DESCRIPTOR_BYTES: usize = 64 << 10;
/// More than thousands of snapshots take.
const MAX_INDEX_FILE_BYTES: u64 = 64 << 20;
const READERS: usize = 32;

/// A snapshot as the list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What a list shows of it.
    pub summary: Summary,
    /// The digest of its manifest.
    pub digest: String,
    /// The size of its manifest.
    pub size: u64,
    descriptor: Descriptor,
}

/// How `index.json`, which other tools read, stands to the list of snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexState {
    /// It names what is listed, and is as it was written.
    Current,
    /// It is another one; the next snapshot writes it anew.
    Outdated,
    /// It names snapshots that are not listed: their descriptors are lost.
    Names(Vec<SnapshotId>),
}

impl Repository {
    /// Returns the ids of all snapshots in order, the broken ones too.
    pub async fn ids(&self) -> Result<Vec<SnapshotId>> {
        let files = self.store.list(SNAPSHOTS).await?;
        let id = |name: &str| {
            let file = name.strip_prefix(SNAPSHOTS)?.strip_prefix('/')?;
            file.strip_suffix(".json")?.parse::<SnapshotId>().ok()
        };
        let mut ids: Vec<_> = files.iter().filter_map(|file| id(&file.name)).collect();
        ids.sort();
        Ok(ids)
    }

    /// Returns whether an id is taken.
    pub async fn is_listed(&self, id: &SnapshotId) -> Result<bool> {
        Ok(self.store.size(&descriptor_name(id)).await?.is_some())
    }

    /// Returns a snapshot of the list.
    pub async fn listed(&self, id: &SnapshotId) -> Result<Listed> {
        let read = self.store.get(&descriptor_name(id), MAX_DESCRIPTOR_BYTES as u64).await;
        let doing = || format!("cannot read the descriptor of snapshot {id}");
        match read.map_err(|error| error.while_doing(&doing()))? {
            Some(bytes) => parse(id, &bytes).map_err(|error| error.while_doing(&doing())),
            None => Err(unknown(id)),
        }
    }

    /// Returns all snapshots by id; a broken one is an error in its place.
    pub async fn list(&self) -> Result<Vec<(SnapshotId, Result<Listed>)>> {
        let ids = self.ids().await?;
        let read = |id: SnapshotId| async move {
            let listed = self.listed(&id).await;
            (id, listed)
        };
        Ok(stream::iter(ids).map(read).buffered(READERS).collect().await)
    }

    /// Returns the ids of the newest sound snapshots of a profile and a host that hold each of these
    /// sources: the next one may use their blobs again. What was uploaded is somebody else's word,
    /// and is passed over.
    pub async fn newest<'a>(
        &self,
        profile: &str,
        host: &str,
        sources: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<SnapshotId>> {
        let sound = self.list().await?.into_iter().filter_map(|(_, listed)| listed.ok());
        let summaries = sound.map(|listed| listed.summary);
        let ours = summaries.filter(|summary| {
            summary.profile == profile && summary.host == host && !summary.uploaded
        });
        let ours: Vec<Summary> = ours.collect();
        let newest = |source: &str| {
            let holders = ours.iter().filter(|s| s.sources.iter().any(|saved| saved == source));
            holders.max_by_key(|summary| summary.created)
        };
        let ids: BTreeSet<_> =
            sources.filter_map(newest).map(|summary| summary.id.clone()).collect();
        Ok(ids.into_iter().collect())
    }

    /// Returns the manifest of a listed snapshot.
    pub async fn manifest(&self, listed: &Listed) -> Result<Manifest> {
        self.read_manifest(&listed.digest, listed.size).await
    }

    /// Returns the manifest that a blob holds.
    pub async fn read_manifest(&self, digest: &str, size: u64) -> Result<Manifest> {
        let bytes = self.read_document("manifest", digest, size).await?;
        Manifest::parse(&bytes)
    }

    /// Returns the catalog that a manifest names.
    pub async fn catalog(&self, manifest: &Manifest) -> Result<Catalog> {
        let config = manifest.catalog();
        let bytes = self.read_document("catalog", config.digest().as_ref(), config.size()).await?;
        parse_catalog(&bytes)
    }

    /// Returns the index of a source, `None` for one that was not saved.
    pub async fn index(&self, source: &SourceRecord) -> Result<Option<Index>> {
        let Some(blob) = &source.index else { return Ok(None) };
        let named = contents::index_use(source, blob)?;
        let raw = self.read_blob(blob).await?;
        let parsed = serde_json::from_slice(&raw);
        parsed.map(Some).map_err(|cause| {
            Error::damaged(format!("{} is not readable", named.by)).caused_by(cause)
        })
    }

    /// Returns the catalog of a snapshot and the indexes of its sources.
    pub async fn contents(&self, id: &SnapshotId) -> Result<Contents> {
        let read = async {
            let manifest = self.manifest(&self.listed(id).await?).await?;
            self.contents_of(self.catalog(&manifest).await?).await
        };
        read.await.map_err(|error| error.while_doing(&format!("cannot read snapshot {id}")))
    }

    /// Returns a catalog with the indexes of its sources.
    pub async fn contents_of(&self, catalog: Catalog) -> Result<Contents> {
        let mut indexes = Vec::new();
        for source in &catalog.sources {
            indexes.push(self.index(source).await?);
        }
        Ok(Contents { catalog, indexes })
    }

    /// Takes snapshots off the list; the caller holds the repository alone. Either all ids are
    /// known, or nothing is done.
    pub async fn unlist(&self, ids: &[SnapshotId]) -> Result<()> {
        for id in ids {
            if !self.is_listed(id).await? {
                return Err(unknown(id).hint("nothing was deleted; `snap list` shows all ids"));
            }
        }
        let _lock = self.lock_list().await?;
        // First: what the index names and the list does not is taken for lost.
        self.write_index(&self.index_without(ids).await?).await?;
        for id in ids {
            fault::point("unlist.before");
            self.store.delete(&descriptor_name(id)).await?;
            fault::point("unlist.gone");
            self.unmark(id).await?;
        }
        // The blobs may go only once the names are gone for good.
        self.store.sync(SNAPSHOTS).await?;
        fault::point("unlist.durable");
        Ok(())
    }

    /// Returns how `index.json` stands to the list of snapshots.
    pub async fn compare_index(&self) -> Result<IndexState> {
        let _lock = self.lock_list().await?;
        let expected = self.index_without(&[]).await?;
        let found = self.store.get(INDEX_FILE, MAX_INDEX_FILE_BYTES).await.ok().flatten();
        let found = found.unwrap_or_default();
        if found == expected {
            return Ok(IndexState::Current);
        }
        let listed = self.ids().await?;
        let lost: Vec<SnapshotId> =
            manifest::names(&found).into_iter().filter(|id| !listed.contains(id)).collect();
        Ok(if lost.is_empty() { IndexState::Outdated } else { IndexState::Names(lost) })
    }

    /// Lists a snapshot all of whose blobs are stored.
    pub(super) async fn publish(&self, digest: &str, size: u64, summary: &Summary) -> Result<()> {
        let id = &summary.id;
        let mut annotations = manifest::standard_annotations(id.as_str(), summary.created);
        annotations.extend(summary.to_annotations());
        let descriptor = manifest::describe_manifest(digest, size, annotations)?;
        let bytes = manifest::ordered_json(&descriptor);
        if bytes.len() > MAX_DESCRIPTOR_BYTES {
            let text = format!("cannot list snapshot {id}: its tags and its note are too long");
            let hint = format!("they have {MAX_DESCRIPTOR_BYTES} bytes at most");
            return Err(Error::new(Kind::Refused, text).hint(hint));
        }
        let _lock = self.lock_list().await?;
        // A blob that another process put may not have its name on the disk yet.
        self.store.sync(BLOBS).await?;
        // What a killed delete left of a namesake is not said of this one.
        if !self.is_listed(id).await? {
            self.unmark(id).await?;
        }
        if !self.store.put_new(&descriptor_name(id), Bytes::from(bytes)).await? {
            return Err(taken(id));
        }
        self.write_index(&self.index_without(&[]).await?).await.map_err(|error| {
            error.hint(format!("snapshot {id} is complete and listed; only other tools miss it"))
        })
    }

    /// Returns what other tools read, without some of the snapshots. A broken one is not in it.
    async fn index_without(&self, ids: &[SnapshotId]) -> Result<Vec<u8>> {
        let sound = self.list().await?.into_iter().filter_map(|(_, listed)| listed.ok());
        let kept = sound.filter(|listed| !ids.contains(&listed.summary.id));
        let descriptors: Vec<_> = kept.map(|listed| listed.descriptor).collect();
        Ok(manifest::index_json(&descriptors))
    }

    async fn write_index(&self, index: &[u8]) -> Result<()> {
        self.store.replace(INDEX_FILE, Bytes::copy_from_slice(index)).await
    }

    async fn read_document(&self, what: &str, digest: &str, size: u64) -> Result<Bytes> {
        if size <= MAX_READ_BYTES {
            return self.read_stored(digest, size).await;
        }
        let text = format!("the {what} {digest} has {size} bytes, {MAX_READ_BYTES} at most");
        Err(Error::damaged(text))
    }
}

/// Returns the error for an id that is listed already.
pub fn taken(id: &SnapshotId) -> Error {
    Error::new(Kind::Refused, format!("cannot list snapshot {id}: the id is taken"))
        .hint("choose another id, or delete that snapshot first")
}

/// Returns the catalog in these bytes; a newer format is refused before anything else is read.
pub fn parse_catalog(bytes: &[u8]) -> Result<Catalog> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: u32,
    }
    let unreadable = |cause| Error::damaged("the catalog is not readable").caused_by(cause);
    let Format { format } = serde_json::from_slice(bytes).map_err(unreadable)?;
    if format > FORMAT {
        return Err(Error::newer(&format!("the catalog has format {format}")));
    }
    serde_json::from_slice(bytes).map_err(unreadable)
}

fn parse(id: &SnapshotId, bytes: &[u8]) -> Result<Listed> {
    let descriptor: Descriptor = serde_json::from_slice(bytes)
        .map_err(|cause| Error::damaged("it is not readable").caused_by(cause))?;
    let artifact_type = descriptor.artifact_type().as_ref().map(ToString::to_string);
    manifest::check_artifact_type(artifact_type.as_deref())?;
    let digest = descriptor.digest().to_string();
    let annotations = descriptor.annotations().clone().unwrap_or_default();
    let summary = Summary::from_annotations(&annotations)?;
    if summary.id != *id || digest::sha256_hex(&digest).is_none() {
        return Err(Error::damaged("it is that of another snapshot"));
    }
    Ok(Listed { summary, digest, size: descriptor.size(), descriptor })
}

fn descriptor_name(id: &SnapshotId) -> String {
    format!("{SNAPSHOTS}/{id}.json")
}

/// Returns the error for an id that is not listed.
pub(super) fn unknown(id: &SnapshotId) -> Error {
    Error::new(Kind::Absent, format!("cannot find snapshot {id}")).hint("`snap list` shows all ids")
}
