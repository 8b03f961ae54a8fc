//! Puts what was staged in the place of what is live.
//!
//! A staging lies beside its target, in the same folder, so that one rename is the whole swap:
//! where the file system can, the two exchange their names and there is no moment without a
//! target. What was live is kept beside as the previous one. Killed at any instant, the target
//! is the old tree or the new one, whole; [`Exchange`] tells how far it came. In a target that is
//! a mount point both lie inside of it, and its entries go one by one.

use std::fs;
use std::fs::File;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use crate::base::error::Context;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::files::exchange::Exchange;
use crate::source::files::exchange::exists;
use crate::source::files::list::FileList;
use crate::source::files::place::folder_and_name;
use crate::source::files::place::remove_made;

/// The mode of folders that are made above a target.
const FOLDER_MODE: u32 = 0o755;

/// A hidden path beside a target, or in one that is a mount point; removed when it is dropped
/// before it is released.
#[derive(Debug)]
pub(super) struct Staging {
    exchange: Exchange,
    path: PathBuf,
    folder: File,
    is_released: bool,
}

impl Staging {
    /// Returns a free path for what replaces the target; the folders above are made where they are
    /// absent.
    pub(super) fn of(target: &Path, suffix: &str, list: &FileList) -> Result<Self> {
        let mut exchange = Exchange::of_list(target, suffix, list)?;
        let path = exchange.incoming.clone().expect("a staging comes in");
        if let Some(path) = [&path, &exchange.previous].into_iter().find(|path| exists(path)) {
            let message =
                format!("cannot stage {}: {} is in the way", target.display(), path.display());
            return Err(Error::new(Kind::Refused, message)
                .hint("it is of an earlier restore: move it away"));
        }
        let (folder, _) = folder_and_name(&path)?;
        exchange.made_folders = make_folders(folder)?;
        let cannot = || format!("cannot open {}", folder.display());
        let folder = File::open(folder)
            .context(cannot)
            .inspect_err(|_| remove_made(&exchange.made_folders))?;
        Ok(Self { exchange, path, folder, is_released: false })
    }

    pub(super) fn target(&self) -> &Path {
        &self.exchange.target
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder that the staging lies in.
    pub(super) const fn folder(&self) -> &File {
        &self.folder
    }

    /// Returns the places of the swap, from which every state of it can be told. From now on what
    /// was staged stays until the exchange says otherwise.
    pub(super) fn release(mut self) -> Result<Exchange> {
        let exchange = self.exchange.clone().noted()?;
        self.is_released = true;
        Ok(exchange)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.is_released {
            // Nothing can be done about a failure here; `leftovers` finds what stays.
            drop(self.exchange.discard());
        }
    }
}

/// Makes the absent folders of a path; returns them, the outermost first.
fn make_folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let absent =
        folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !exists(path));
    let absent: Vec<PathBuf> = absent.map(Path::to_owned).collect();
    let mut made_folders = Vec::new();
    for path in absent.into_iter().rev() {
        let created = create_folder(&path);
        made_folders.push(path);
        created.inspect_err(|_| remove_made(&made_folders))?;
    }
    Ok(made_folders)
}

fn create_folder(path: &Path) -> Result<()> {
    let cannot = || format!("cannot create {}", path.display());
    fs::create_dir(path).context(cannot)?;
    // The process's umask must not decide who reaches the target.
    fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE)).context(cannot)?;
    sync_folder_of(path)
}

fn sync_folder_of(path: &Path) -> Result<()> {
    let (folder, _) = folder_and_name(path)?;
    let sync = || File::open(folder)?.sync_all();
    sync().context(|| format!("cannot sync {}", folder.display()))
}
