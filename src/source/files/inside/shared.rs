//! A folder that stays where it is while its entries are exchanged, and how such folders are found.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::Deserialize;
use serde::Serialize;

use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::files::attributes;
use crate::source::files::byte_string::ByteString;
use crate::source::files::exchange::exists;
use crate::source::files::inside::Folders;
use crate::source::files::inside::give;
use crate::source::files::inside::is_apart;
use crate::source::files::inside::keeping_time;
use crate::source::files::inside::make;
use crate::source::files::inside::names;
use crate::source::files::inside::set_time;
use crate::source::files::left_out::Belonging;
use crate::source::files::left_out::belonging;
use crate::source::files::left_out::in_the_way;
use crate::source::files::left_out::is_folder;
use crate::source::files::list;
use crate::source::files::list::Attributes;

/// A folder that stays where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shared {
    /// Its number: without the mount, its name is that of another folder.
    pub(super) number: u64,
    /// What it has itself before the exchange.
    pub(super) live: Attributes,
    /// What comes into it, once that is there for good.
    coming: Option<Coming>,
}

/// What comes into such a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Coming {
    /// What the folder has itself after the exchange.
    pub(super) top: Attributes,
    /// The entries that come in, and their numbers.
    pub(super) entries: BTreeMap<ByteString, u64>,
}

impl Shared {
    /// Returns what a folder is before anything is put into it.
    pub(super) fn of(target: &Path) -> Result<Self> {
        let cannot = || format!("cannot read {}", target.display());
        let number = target.symlink_metadata().context(cannot)?.ino();
        let live = attributes::of_folder(target).context(cannot)?;
        Ok(Self { number, live, coming: None })
    }

    /// Takes in what comes in, but for the folders in it that stay as well.
    pub(super) fn note(
        &mut self,
        incoming: &Path,
        path: &ByteString,
        below: &BTreeSet<ByteString>,
    ) -> Result<()> {
        let read = || {
            let mut entries = BTreeMap::new();
            for name in names(incoming)? {
                if !below.contains(&list::join(path, name.as_encoded_bytes())) {
                    let number = incoming.join(&name).symlink_metadata()?.ino();
                    entries.insert(ByteString::from(name.as_os_str()), number);
                }
            }
            Ok(Coming { top: attributes::of_folder(incoming)?, entries })
        };
        let coming: io::Result<Coming> = read();
        self.coming = Some(coming.context(|| format!("cannot read {}", incoming.display()))?);
        Ok(())
    }

    /// Returns what comes in, where that is there for good.
    pub(super) const fn coming(&self) -> Option<&Coming> {
        self.coming.as_ref()
    }

    /// Returns whether it is where it was.
    pub(super) fn is_there(&self, target: &Path) -> bool {
        target.metadata().is_ok_and(|found| found.ino() == self.number)
    }

    /// Fails with [`Kind::Refused`] where it is not where it was.
    pub(super) fn demand(&self, target: &Path) -> Result<()> {
        if self.is_there(target) {
            return Ok(());
        }
        let text = format!("{} is not the folder that it was", target.display());
        Err(Error::new(Kind::Refused, text).hint("mount what was mounted there, and try again"))
    }

    /// Gives it the time of before the exchange.
    pub(super) fn put_back_time(&self, target: &Path) {
        if self.is_there(target) {
            set_time(&self.live, target);
        }
    }

    /// Gives it the time of after the exchange.
    pub(super) fn put_time(&self, target: &Path) {
        if let Some(coming) = self.coming().filter(|_| self.is_there(target)) {
            set_time(&coming.top, target);
        }
    }
}

/// Returns the folders below a target that stay where they are: what both trees have as a folder,
/// and what holds something that is left out. Of these, what comes in gets its own.
pub(super) fn below(folders: Folders<'_>) -> Result<BTreeMap<ByteString, Shared>> {
    let mut found = BTreeMap::new();
    find(folders, &list::TOP.into(), &mut found)?;
    Ok(found)
}

fn find(
    folders: Folders<'_>,
    folder: &ByteString,
    found: &mut BTreeMap<ByteString, Shared>,
) -> Result<()> {
    let Folders { target, incoming, chooser, .. } = folders;
    let is_top = folder.bytes() == list::TOP;
    let cannot = || format!("cannot read {}", list::place(target, folder));
    for name in names(&list::place_of(target, folder)).context(cannot)? {
        if is_top && is_apart(target, &name) {
            continue;
        }
        let path = list::join(folder, name.as_encoded_bytes());
        let (live, coming) = (target.join(path.os()), incoming.join(path.os()));
        if is_folder(&live) && is_folder(&coming) {
            found.insert(path.clone(), Shared::of(&live)?);
            find(folders, &path, found)?;
            continue;
        }
        let whose = belonging(chooser, target, &path).context(cannot)?;
        if whose != Belonging::Own && exists(&coming) {
            return Err(in_the_way(&live));
        }
        if whose == Belonging::Mixed {
            let shared = Shared::of(&live)?;
            let parent = list::place_of(incoming, folder);
            keeping_time(&parent, || {
                let made = make(&coming).and_then(|()| give(&shared.live, &coming));
                made.context(|| format!("cannot create {}", coming.display()))
            })?;
            found.insert(path.clone(), shared);
            find(folders, &path, found)?;
            // What was made in it has changed its time.
            set_time(&found[&path].live, &coming);
        }
    }
    Ok(())
}
