//! A repository: an OCI image layout in a folder, which holds snapshots.
//!
//! ```text
//! oci-layout  index.json     the standard files; index.json is rebuilt at every commit
//! blobs/sha256/<hex>         every blob, named by the SHA-256 of its stored bytes
//! snapshots/<id>.json        the descriptor of one manifest: the list of snapshots
//! marks/<id>.json            what is said of a snapshot afterwards: whether it is pinned
//! damaged/<hex>              names a blob that was found damaged, until that is settled
//! snap.lock  commit.lock     flocks
//! ```
//!
//! A snapshot is listed by the last file that is written for it, and only if that file is new: a
//! crash leaves blobs that nobody names, never a snapshot that lacks some. An OCI layout without
//! `snapshots/` is somebody else's, and left alone.
//!
//! The version of the format stands where it is needed to read on: `v1` in the artifact type of
//! each descriptor and manifest, and `format` in the catalog.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::stages::Stages;
use crate::repository::lock::Holder;
use crate::repository::store::Store;

pub mod id;
pub mod catalog;
pub mod summary;
pub mod contents;
pub mod manifest;
pub mod blob;
mod unpacking;
mod delta;
pub mod listing;
pub mod marks;
pub mod damage;
pub mod writer;
pub mod lock;
pub mod sweep;
mod store;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod failing;

/// The content of `oci-layout`, in repositories and archives.
pub const OCI_LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
const LAYOUT_VERSION: &str = "1.0.0";
const LAYOUT_FILE: &str = "oci-layout";
const INDEX_FILE: &str = "index.json";
const BLOBS: &str = "blobs/sha256";
const SNAPSHOTS: &str = "snapshots";
const MARKS: &str = "marks";
const DAMAGED: &str = "damaged";
const MAX_LAYOUT_BYTES: u64 = 4096;

/// A repository, opened by one verb. Clones are the same repository.
#[derive(Clone)]
pub struct Repository {
    store: Store,
    holder: Arc<Holder>,
    stages: Stages,
    /// The raw bytes of the base that was read last: whoever reads or writes a difference waits for it, so that
    /// memory never holds two.
    base: Arc<Mutex<Vec<u8>>>,
}

/// What lies at a location.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// A folder that is empty, or that a killed process began to make a repository of.
    Vacant,
    Repository,
    SomethingElse,
}

impl Repository {
    /// Returns the repository at a location.
    pub async fn open(location: &str, holder: Holder) -> Result<Self> {
        let folder = folder_of(location)?;
        match look(&folder).await? {
            Found::Repository => Self::open_folder(&folder, holder).await,
            Found::Nothing => Err(absent(location, "there is none")),
            Found::Vacant => Err(absent(location, "the folder is empty")),
            Found::SomethingElse => Err(absent(location, "it is something else")),
        }
    }

    /// Returns the repository at a location; makes it where the folder is absent or empty.
    pub async fn open_or_create(location: &str, holder: Holder) -> Result<Self> {
        let folder = folder_of(location)?;
        match look(&folder).await? {
            Found::Repository => {}
            Found::Nothing | Found::Vacant => create(&folder).await?,
            Found::SomethingElse => return Err(absent(location, "it is something else")),
        }
        Self::open_folder(&folder, holder).await
    }

    /// Returns the repository, which tells these stages where its time goes.
    #[must_use]
    pub fn timed(self, stages: &Stages) -> Self {
        Self { stages: stages.clone(), ..self }
    }

    /// Returns the folder that it lies in.
    pub fn folder(&self) -> &Path {
        &self.store.folder
    }

    async fn open_folder(folder: &Path, holder: Holder) -> Result<Self> {
        let store = Store::open(folder)?;
        let layout = store.get(LAYOUT_FILE, MAX_LAYOUT_BYTES).await?.unwrap_or_default();
        check_layout(&layout).map_err(|error| {
            error.while_doing(&format!("cannot open repository {}", folder.display()))
        })?;
        let holder = Arc::new(holder);
        Ok(Self { store, holder, stages: Stages::default(), base: Arc::default() })
    }
}

/// Checks the content of an `oci-layout` file: another version is one that we do not know.
pub fn check_layout(text: &[u8]) -> Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Layout {
        image_layout_version: String,
    }
    let layout: Layout = serde_json::from_slice(text)
        .map_err(|cause| Error::damaged("oci-layout is not readable").caused_by(cause))?;
    if layout.image_layout_version == LAYOUT_VERSION {
        return Ok(());
    }
    let version = layout.image_layout_version;
    Err(Error::newer(&format!("the image layout has version {version:?}")))
}

fn absent(location: &str, why: &str) -> Error {
    Error::new(Kind::Absent, format!("cannot open repository {location}: {why}")).hint(
        "`snap create` makes a repository in an absent or empty folder; \
         --repository or SNAP_REPOSITORY says where",
    )
}

fn folder_of(location: &str) -> Result<PathBuf> {
    let unsupported = |what: String| {
        Error::new(Kind::Usage, format!("cannot open repository {location:?}: {what}"))
            .hint("a repository is a folder")
    };
    if let Some((scheme, _)) = location.split_once("://") {
        return Err(unsupported(format!("{scheme}:// is not supported yet")));
    }
    if location.is_empty() {
        return Err(unsupported("the location is empty".to_owned()));
    }
    std::path::absolute(location).context(|| format!("cannot find folder {location:?}"))
}

async fn look(folder: &Path) -> Result<Found> {
    let looked = folder.to_owned();
    let found = spawn_blocking(move || look_at(&looked)).await;
    let found = found.map_err(io::Error::from).flatten();
    found.context(|| format!("cannot open folder {}", folder.display()))
}

fn look_at(folder: &Path) -> io::Result<Found> {
    let entries = match fs::read_dir(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(cause) if cause.kind() == io::ErrorKind::NotADirectory => {
            return Ok(Found::SomethingElse);
        }
        entries => entries?,
    };
    if folder.join(LAYOUT_FILE).is_file() && folder.join(SNAPSHOTS).is_dir() {
        return Ok(Found::Repository);
    }
    for entry in entries {
        if !is_made_before_layout(&entry?.file_name().to_string_lossy()) {
            return Ok(Found::SomethingElse);
        }
    }
    Ok(Found::Vacant)
}

/// `oci-layout` is written last: what lies beside it until then is no obstacle to a next attempt,
/// and neither is what a file system puts into its root.
fn is_made_before_layout(name: &str) -> bool {
    matches!(name, "blobs" | SNAPSHOTS | INDEX_FILE | "snap.lock" | "commit.lock" | "lost+found")
        || store::is_staged(name)
}

async fn create(folder: &Path) -> Result<()> {
    let made = folder.to_owned();
    let folders = move || {
        let inner = ["", "blobs", BLOBS, SNAPSHOTS].map(|name| made.join(name));
        inner.iter().try_for_each(|folder| store::make_folder(folder))
    };
    let done = spawn_blocking(folders).await.map_err(io::Error::from).flatten();
    done.context(|| format!("cannot make repository {}", folder.display()))?;
    let store = Store::open(folder)?;
    let empty_index = Bytes::from(manifest::index_json(&[]));
    store.put_new(INDEX_FILE, empty_index).await?;
    store.put_new(LAYOUT_FILE, Bytes::from_static(OCI_LAYOUT.as_bytes())).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
