//! Where the bytes of a repository lie: a folder, through `object_store` with fsync on.
//!
//! Promises: what is put appears whole or not at all and is durable when the call returns; a new
//! object never replaces an old one of the same name; files are 0600 and folders 0700 whatever the
//! umask. Nothing read is larger than the caller allows.

use std::fs;
use std::fs::File;
use std::fs::Permissions;
use std::io;
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use object_store::ObjectMeta;
use object_store::ObjectStore;
use object_store::ObjectStoreExt as _;
use object_store::PutMode;
use object_store::PutOptions;
use object_store::local::LocalFileSystem;
use rustix::fs::Advice;
use rustix::fs::fadvise;
use tokio::task::spawn_blocking;

use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Result;

/// An object in a repository, or a file that a killed process staged there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its path within the repository.
    pub name: String,
    /// Its size.
    pub size: u64,
    /// When it was written.
    pub modified: Timestamp,
}

/// A folder of objects.
#[derive(Clone)]
pub(super) struct Store {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) folder: Arc<Path>,
}

impl Store {
    /// Returns the store in a folder that exists.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let objects = LocalFileSystem::new_with_prefix(folder)
            .context(|| format!("cannot open folder {}", folder.display()))?
            .with_fsync(true);
        Ok(Self { objects: Arc::new(objects), folder: Arc::from(folder) })
    }

    /// Writes an object; returns false, with the old one as it was, where the name is taken.
    pub(super) async fn put_new(&self, name: &str, bytes: Bytes) -> Result<bool> {
        self.put(name, bytes, PutMode::Create).await
    }

    /// Writes an object in the place of the one that has the name, at once.
    pub(super) async fn replace(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.put(name, bytes, PutMode::Overwrite).await.map(drop)
    }

    async fn put(&self, name: &str, bytes: Bytes, mode: PutMode) -> Result<bool> {
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.objects.put_opts(&path(name)?, bytes.into(), options).await {
            Ok(_) => {
                self.make_private(name).await?;
                self.let_go(name).await;
                Ok(true)
            }
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(cause) => Err(self.cannot("write", name).caused_by(cause)),
        }
    }

    /// The folders are 0700 from the start, so nobody else can open the file in between.
    async fn make_private(&self, name: &str) -> Result<()> {
        let file = self.folder.join(name);
        let protect = move || fs::set_permissions(file, Permissions::from_mode(0o600));
        let protected = spawn_blocking(protect).await.map_err(io::Error::from).flatten();
        protected.map_err(|cause| self.cannot("protect", name).caused_by(cause))
    }

    /// Tells the system not to keep a durable object in memory, which belongs to the service.
    async fn let_go(&self, name: &str) {
        let path = self.folder.join(name);
        let advise = move || {
            File::open(path).is_ok_and(|file| fadvise(file, 0, None, Advice::DontNeed).is_ok())
        };
        // A hint, which may be refused.
        spawn_blocking(advise).await.ok();
    }

    /// Returns the bytes of an object, at most `limit` of them: a longer object is damaged.
    pub(super) async fn get(&self, name: &str, limit: u64) -> Result<Option<Bytes>> {
        let found = match self.objects.get(&path(name)?).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(cause) => return Err(self.cannot("read", name).caused_by(cause)),
        };
        let size = found.meta.size;
        if size > limit {
            let text = format!("cannot read {name}: it has {size} bytes, {limit} at most");
            return Err(Error::damaged(text));
        }
        let bytes = found.bytes().await;
        bytes.map(Some).map_err(|cause| self.cannot("read", name).caused_by(cause))
    }

    /// Returns some of the bytes of an object.
    pub(super) async fn get_range(&self, name: &str, range: Range<u64>) -> Result<Option<Bytes>> {
        match self.objects.get_range(&path(name)?, range).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(cause) => Err(self.cannot("read", name).caused_by(cause)),
        }
    }

    /// Writes an object as its bytes come, in the place of one that has the name. Where one of them is
    /// an error, nothing is written.
    pub(super) async fn replace_by(
        &self,
        name: &str,
        pieces: impl Stream<Item = Result<Bytes>>,
    ) -> Result<()> {
        let cannot = |cause| self.cannot("write", name).caused_by(cause);
        let mut upload = self.objects.put_multipart(&path(name)?).await.map_err(cannot)?;
        let mut pieces = pin!(pieces);
        let sent = async {
            while let Some(piece) = pieces.try_next().await? {
                upload.put_part(piece.into()).await.map_err(cannot)?;
            }
            upload.complete().await.map(drop).map_err(cannot)
        };
        if let Err(error) = sent.await {
            // What it has staged goes with the next prune at the latest.
            upload.abort().await.ok();
            return Err(error);
        }
        self.make_private(name).await
    }

    /// Returns the size of an object.
    pub(super) async fn size(&self, name: &str) -> Result<Option<u64>> {
        match self.objects.head(&path(name)?).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(cause) => Err(self.cannot("read", name).caused_by(cause)),
        }
    }

    /// Returns the objects directly or deeper in a folder, in no order; staged files are hidden.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<Stored>> {
        let objects = self.objects.list(Some(&path(folder)?)).map_ok(|meta| stored(&meta));
        objects.try_collect().await.map_err(|cause| self.cannot("list", folder).caused_by(cause))
    }

    /// Deletes an object, where it is there. The deletion is durable after [`Store::sync`].
    pub(super) async fn delete(&self, name: &str) -> Result<()> {
        match self.objects.delete(&path(name)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(cause) => Err(self.cannot("delete", name).caused_by(cause)),
        }
    }

    /// Makes a folder of objects that only its owner enters, durably, where there is none.
    pub(super) async fn make_folder(&self, name: &str) -> Result<()> {
        let folder = self.folder.join(name);
        let made = spawn_blocking(move || make_folder(&folder)).await;
        let made = made.map_err(io::Error::from).flatten();
        made.map_err(|cause| self.cannot("make", name).caused_by(cause))
    }

    /// Makes the names in a folder durable: a deletion, or an object that another process put.
    pub(super) async fn sync(&self, folder: &str) -> Result<()> {
        let directory = self.folder.join(folder);
        let synced = spawn_blocking(move || File::open(directory)?.sync_all()).await;
        let synced = synced.map_err(io::Error::from).flatten();
        synced.map_err(|cause| self.cannot("sync", folder).caused_by(cause))
    }

    /// Returns the files that killed processes staged in a folder: `*#N`, which [`Store::list`]
    /// hides.
    pub(super) async fn staged(&self, folder: &str) -> Result<Vec<Stored>> {
        let place = folder.to_owned();
        let directory = self.folder.join(folder);
        let found = spawn_blocking(move || staged_files(&place, &directory)).await;
        let found = found.map_err(io::Error::from).flatten();
        found.map_err(|cause| self.cannot("list", folder).caused_by(cause))
    }

    /// Deletes a staged file, which the store itself does not reach.
    pub(super) async fn delete_staged(&self, name: &str) -> Result<()> {
        let file = self.folder.join(name);
        let removed = spawn_blocking(move || fs::remove_file(file)).await;
        let removed = removed.map_err(io::Error::from).flatten();
        removed.map_err(|cause| self.cannot("delete", name).caused_by(cause))
    }

    fn cannot(&self, act: &str, name: &str) -> Error {
        let place = self.folder.join(name);
        Error::failed(format!("cannot {act} {}", place.display()))
    }
}

/// Makes a folder that only its owner enters, and its parents, durably.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    File::open(folder)?.sync_all()?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Returns whether a file name is that of a staged file: `#` and digits at its end.
pub(super) fn is_staged(name: &str) -> bool {
    let digits = name.rsplit_once('#').map_or("", |(_, digits)| digits);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn staged_files(place: &str, directory: &PathBuf) -> io::Result<Vec<Stored>> {
    let entries = match fs::read_dir(directory) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let meta = entry.metadata()?;
        if is_staged(&name) && meta.is_file() {
            let modified = Timestamp::try_from(meta.modified()?).map_err(io::Error::other)?;
            let name = if place.is_empty() { name } else { format!("{place}/{name}") };
            found.push(Stored { name, size: meta.len(), modified });
        }
    }
    Ok(found)
}

fn stored(meta: &ObjectMeta) -> Stored {
    let written = Timestamp::from_microsecond(meta.last_modified.timestamp_micros());
    // A time beyond the year 9999 is a broken clock: as young as can be, so that it is kept.
    let modified = written.unwrap_or(Timestamp::MAX);
    Stored { name: meta.location.to_string(), size: meta.size, modified }
}

fn path(name: &str) -> Result<object_store::path::Path> {
    object_store::path::Path::parse(name).context(|| format!("cannot use {name} as a name"))
}
