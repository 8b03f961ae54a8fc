//! The manifest of a snapshot and the index of a layout, as OCI defines them.
//!
//! Both are written with their keys in order, so that the same contents give the same bytes and a
//! manifest keeps its digest wherever it is built.

use std::collections::HashMap;
use std::collections::HashSet;

use jiff::Timestamp;
use oci_spec::image;
use oci_spec::image::Descriptor;
use oci_spec::image::Digest;
use oci_spec::image::ImageIndex;
use oci_spec::image::ImageIndexBuilder;
use oci_spec::image::ImageManifest;
use oci_spec::image::ImageManifestBuilder;
use serde::Serialize;

use crate::base::digest;
use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::repository::catalog::Catalog;
use crate::repository::contents::BlobUse;
use crate::repository::id::SnapshotId;

/// What makes a manifest one of a snapshot.
pub const ARTIFACT_TYPE: &str = "application/vnd.snap.snapshot.v1";
const ARTIFACT_FAMILY: &str = "application/vnd.snap.snapshot.";
const CATALOG_TYPE: &str = "application/vnd.snap.catalog.v1+json";
const CREATED: &str = "org.opencontainers.image.created";
/// The annotation by which `skopeo copy oci:REPOSITORY:ID` finds a snapshot.
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Registries accept 4 MiB; common tools slow down with the square of the layers.
const MAX_WRITTEN_BYTES: usize = 2 << 20;
pub(super) const MAX_LAYERS: usize = 4000;
/// The most that is read of a manifest or a catalog.
pub const MAX_READ_BYTES: u64 = 4 << 20;
/// The most that is written of a catalog.
pub(super) const MAX_CATALOG_BYTES: usize = 1 << 20;

/// What a layer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// The chunk lists of a source.
    Index,
    /// The definitions of a database.
    Schema,
    /// A chunk of a table.
    Rows,
    /// A chunk of a table, as a difference from another one.
    RowsDelta,
    /// A piece of a file tree.
    Files,
    /// A piece of what a command printed.
    Output,
}

impl MediaType {
    /// Returns the media type as manifests name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Index => "application/vnd.snap.index.v1.json+zstd",
            Self::Schema => "application/vnd.snap.schema.v1.tar+zstd",
            Self::Rows => "application/vnd.snap.rows.v1.tsv+zstd",
            Self::RowsDelta => "application/vnd.snap.rows.delta.v1.tsv+zstd",
            Self::Files => "application/vnd.snap.files.v1.tar+zstd",
            Self::Output => "application/vnd.snap.output.v1+zstd",
        }
    }
}

/// A manifest that was read: a snapshot's, of a format that we know, with sound digests in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest(ImageManifest);

impl Manifest {
    /// Returns the manifest in these bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let parsed: ImageManifest = serde_json::from_slice(bytes)
            .map_err(|cause| Error::damaged("the manifest is not readable").caused_by(cause))?;
        let artifact_type = parsed.artifact_type().as_ref().map(ToString::to_string);
        check_artifact_type(artifact_type.as_deref())?;
        let mut seen = HashSet::new();
        for blob in parsed.layers().iter().chain([parsed.config()]) {
            let digest = blob.digest().as_ref();
            if digest::sha256_hex(digest).is_none() || !seen.insert(digest.to_owned()) {
                return Err(Error::damaged(format!("the manifest names {digest} wrongly")));
            }
        }
        if parsed.layers().len() > MAX_LAYERS {
            return Err(Error::damaged(format!("the manifest has more than {MAX_LAYERS} layers")));
        }
        Ok(Self(parsed))
    }

    /// Returns the descriptor of the catalog.
    pub fn catalog(&self) -> &Descriptor {
        self.0.config()
    }

    /// Returns the descriptors of the layers.
    pub fn layers(&self) -> &[Descriptor] {
        self.0.layers()
    }

    /// Checks that the layers are these, in this order.
    pub fn check_layers(&self, layers: &[&BlobUse]) -> Result<()> {
        let is_same = |(listed, layer): (&Descriptor, &&BlobUse)| {
            listed.digest().as_ref() == layer.blob.digest
                && listed.size() == layer.blob.size
                && listed.media_type().to_string() == layer.media_type.as_str()
        };
        let pairs = || self.layers().iter().zip(layers);
        if let Some((listed, layer)) = pairs().find(|pair| !is_same(*pair)) {
            let (digest, by) = (listed.digest(), &layer.by);
            let text = format!("the manifest has blob {digest} where {by} names another one");
            return Err(Error::damaged(text));
        }
        if self.layers().len() == layers.len() {
            return Ok(());
        }
        Err(Error::damaged("the manifest has other layers than the catalog names"))
    }
}

/// Checks what a manifest or a descriptor says it is.
pub(super) fn check_artifact_type(artifact_type: Option<&str>) -> Result<()> {
    match artifact_type {
        Some(ARTIFACT_TYPE) => Ok(()),
        Some(other) if other.starts_with(ARTIFACT_FAMILY) => {
            Err(Error::newer(&format!("the snapshot is of type {other}")))
        }
        _ => Err(Error::damaged("the manifest is not that of a snapshot")),
    }
}

/// Returns the bytes of a manifest.
pub(super) fn manifest_json(
    catalog: &[u8],
    created: Timestamp,
    layers: &[&BlobUse],
) -> Result<Vec<u8>> {
    let described =
        |layer: &&BlobUse| describe(layer.media_type.as_str(), &layer.blob.digest, layer.blob.size);
    let config = describe(CATALOG_TYPE, &digest::sha256(catalog), catalog.len() as u64)?;
    let manifest = ImageManifestBuilder::default()
        .schema_version(2_u32)
        .media_type(image::MediaType::ImageManifest)
        .artifact_type(image::MediaType::from(ARTIFACT_TYPE))
        .config(config)
        .layers(layers.iter().map(described).collect::<Result<Vec<_>>>()?)
        .annotations(HashMap::from([(CREATED.to_owned(), created.to_string())]))
        .build()
        .expect("schema version, config and layers are all that a manifest must have");
    let bytes = ordered_json(&manifest);
    if bytes.len() <= MAX_WRITTEN_BYTES && layers.len() <= MAX_LAYERS {
        return Ok(bytes);
    }
    let (length, count) = (bytes.len(), layers.len());
    Err(Error::new(
        Kind::Refused,
        format!("cannot write a manifest of {length} bytes and {count} layers"),
    )
    .hint(format!("a manifest has {MAX_WRITTEN_BYTES} bytes and {MAX_LAYERS} layers at most")))
}

/// Returns the descriptor of a manifest.
pub(super) fn describe_manifest(
    digest: &str,
    size: u64,
    annotations: HashMap<String, String>,
) -> Result<Descriptor> {
    let media_type = image::MediaType::ImageManifest.to_string();
    let mut descriptor = describe(&media_type, digest, size)?;
    descriptor.set_artifact_type(Some(image::MediaType::from(ARTIFACT_TYPE)));
    descriptor.set_annotations(Some(annotations));
    Ok(descriptor)
}

/// Returns the annotations that a descriptor has under a name: the reference and the time.
pub(super) fn standard_annotations(name: &str, created: Timestamp) -> HashMap<String, String> {
    let created = (CREATED.to_owned(), created.to_string());
    HashMap::from([(REF_NAME.to_owned(), name.to_owned()), created])
}

/// Returns the bytes of an `index.json`.
pub(super) fn index_json(manifests: &[Descriptor]) -> Vec<u8> {
    let index = ImageIndexBuilder::default()
        .schema_version(2_u32)
        .media_type(image::MediaType::ImageIndex)
        .manifests(manifests)
        .build()
        .expect("schema version and manifests are all that an index must have");
    ordered_json(&index)
}

/// Returns the ids that the index of a layout names; none where it cannot be read.
pub(super) fn names(index: &[u8]) -> Vec<SnapshotId> {
    let Ok(index) = serde_json::from_slice::<ImageIndex>(index) else { return Vec::new() };
    let name = |manifest: &Descriptor| manifest.annotations().as_ref()?.get(REF_NAME)?.parse().ok();
    index.manifests().iter().filter_map(name).collect()
}

/// Returns the `index.json` of an archive, which knows the snapshot by its first id alone.
pub fn archive_index_json(catalog: &Catalog, digest: &str, size: u64) -> Result<Vec<u8>> {
    let annotations = standard_annotations(&catalog.id, catalog.created);
    Ok(index_json(&[describe_manifest(digest, size, annotations)?]))
}

/// Returns JSON with the keys of every object in order: annotations come in none of their own.
pub(super) fn ordered_json<T: Serialize>(value: &T) -> Vec<u8> {
    let mut value = serde_json::to_value(value).expect("OCI types are plain JSON");
    value.sort_all_objects();
    serde_json::to_vec(&value).expect("a JSON value has only text keys")
}

fn describe(media_type: &str, digest: &str, size: u64) -> Result<Descriptor> {
    let parsed: Digest = digest.parse().context(|| format!("cannot use digest {digest:?}"))?;
    Ok(Descriptor::new(image::MediaType::from(media_type), size, parsed))
}
