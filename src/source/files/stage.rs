//! Unpacks the tar of a tree into the staging of its target.
//!
//! The list says what must come, so nothing of the tar is believed: each header must be, byte by
//! byte, the one that the list's entry makes, and each content have its digest. Whatever a tar
//! can do to harm — paths that lead out, devices, links to write through, more than was
//! announced — is a header or a byte that the list does not have. Everything is made new in a
//! folder that was made before it and is still open, so that no link is ever followed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::Path;

use rustix::fs::AtFlags;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use tokio::sync::mpsc::Receiver;

use crate::base::digest::Hasher;
use crate::base::error::Context;
use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::source::files::archive;
use crate::source::files::attributes::Open;
use crate::source::files::byte_string::ByteString;
use crate::source::files::chunks::ChunkReader;
use crate::source::files::dress::Dresser;
use crate::source::files::dress::Secrecy;
use crate::source::files::list;
use crate::source::files::list::Content;
use crate::source::files::list::Entry;
use crate::source::files::list::FileList;
use crate::source::files::place::Way;
use crate::source::files::publish::Staging;
use crate::source::files::wanted::Given;
use crate::source::files::wanted::Wanted;

/// What stands in the first line of every private key that is text.
const KEY_MARK: &[u8] = b"PRIVATE KEY-----";

/// Unpacks into a new staging of `target`; returns it with the entries that it must have:
/// the wanted ones, but for what this host or this user cannot give, which a note or warning said.
pub(super) fn unpack(
    target: &Path,
    suffix: &str,
    wanted: Wanted,
    chunks: Receiver<Vec<u8>>,
    monitor: &dyn Monitor,
) -> Result<(Staging, Vec<Entry>)> {
    let (list, given) = wanted.into_parts();
    Way::of_list(target, &list)?;
    let staging = Staging::of(target, suffix, &list)?;
    check_space(&staging, &list)?;
    let base = list.base(target);
    let mut unpacking = Unpacking {
        input: ChunkReader::new(chunks),
        staging: &staging,
        base,
        open_folders: Vec::new(),
        given,
        made: Vec::with_capacity(list.entries.len()),
        dresser: Dresser::new(base, monitor),
    };
    for entry in list.entries {
        unpacking.make(entry)?;
    }
    let made = unpacking.finish()?;
    Ok((staging, made))
}

fn check_space(staging: &Staging, list: &FileList) -> Result<()> {
    let target = staging.target().display();
    let space =
        rustix::fs::fstatvfs(staging.folder()).context(|| format!("cannot stage {target}"))?;
    let free_bytes = space.f_bavail.saturating_mul(space.f_frsize);
    let bytes = list.content_bytes();
    if bytes <= free_bytes {
        return Ok(());
    }
    let message = format!("cannot stage {target}: it takes {bytes} bytes, {free_bytes} are free");
    Err(Error::failed(message).hint("free space beside it: the live one stays until the swap"))
}

struct Unpacking<'a> {
    input: ChunkReader,
    staging: &'a Staging,
    base: &'a Path,
    /// The folders that the current entry lies in, the top first: index and descriptor.
    open_folders: Vec<(usize, File)>,
    /// The files whose content is not that of the tar.
    given: BTreeMap<ByteString, Given>,
    /// The entries that were made, as they must be found.
    made: Vec<Entry>,
    dresser: Dresser<'a>,
}

impl Unpacking<'_> {
    /// Makes an entry from the next bytes of the tar, or from what is given in their place.
    fn make(&mut self, mut entry: Entry) -> Result<()> {
        while self.open_folders.len() > entry.depth() {
            self.close_folder()?;
        }
        let given = self.given.remove(&entry.path);
        let saved = given.as_ref().map_or(Some(&entry), |given| given.saved.as_ref());
        if saved.is_some_and(|saved| !self.input.takes(&archive::header(saved))) {
            return Err(self.damaged(&entry, "its header is not the one of the list"));
        }
        let name = self.name_on_disk(&entry);
        let cannot = || format!("cannot stage {}", self.place(&entry));
        match &entry.content {
            Content::Folder => {
                let folder = self.make_folder(&name).context(cannot)?;
                self.open_folders.push((self.made.len(), folder));
            }
            Content::File { .. } => {
                let file = self.make_file(&name).context(cannot)?;
                let secrecy = self.fill(&entry, &file, given)?;
                entry.attributes = self.dresser.dress(Open::Whole(&file), &entry, secrecy)?;
            }
            Content::Symlink { to } => {
                let link = self.make_symlink(&name, to).context(cannot)?;
                let folder = self.folder().try_clone().context(cannot)?;
                let open = Open::Link { link: &link, folder: &folder, name: &name };
                entry.attributes = self.dresser.dress(open, &entry, Secrecy::Usual)?;
            }
            Content::HardLink { to } => self.make_hard_link(&name, to).context(cannot)?,
        }
        self.made.push(entry);
        Ok(())
    }

    /// Ends the folders that are still open, and checks that the tar ends here too.
    fn finish(mut self) -> Result<Vec<Entry>> {
        while !self.open_folders.is_empty() {
            self.close_folder()?;
        }
        let target = self.staging.target().display();
        let ends = self.input.takes(&archive::TRAILER) && self.input.next(1).is_none();
        if !ends {
            let message =
                format!("cannot stage {target}: its tar does not end where its list ends");
            return Err(Error::damaged(message));
        }
        self.staging
            .folder()
            .sync_all()
            .context(|| format!("cannot sync the folder of {target}"))?;
        Ok(self.made)
    }

    /// Ends the innermost folder. What it holds is complete: its times stay as they are set.
    fn close_folder(&mut self) -> Result<()> {
        if let Some((index, folder)) = self.open_folders.pop() {
            let entry = &mut self.made[index];
            entry.attributes = self.dresser.dress(Open::Whole(&folder), entry, Secrecy::Usual)?;
        }
        Ok(())
    }

    /// Returns the folder that the current entry is made in.
    fn folder(&self) -> &File {
        self.open_folders.last().map_or(self.staging.folder(), |(_, folder)| folder)
    }

    fn name_on_disk(&self, entry: &Entry) -> OsString {
        if self.made.is_empty() {
            return self.staging.path().file_name().unwrap_or_default().to_owned();
        }
        entry.name().os().to_owned()
    }

    fn make_folder(&self, name: &OsString) -> io::Result<File> {
        rustix::fs::mkdirat(self.folder(), name, Mode::RWXU)?;
        open(self.folder(), name, OFlags::DIRECTORY)
    }

    fn make_file(&self, name: &OsString) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        open(self.folder(), name, flags)
    }

    fn make_symlink(&self, name: &OsString, to: &ByteString) -> io::Result<File> {
        rustix::fs::symlinkat(to.os(), self.folder(), name)?;
        open(self.folder(), name, OFlags::PATH)
    }

    /// Links to a file that the list has before, reached from the top without any link.
    fn make_hard_link(&self, name: &OsString, to: &ByteString) -> io::Result<()> {
        let (_, top) = self.open_folders.first().expect("a hard link lies in the top folder");
        let mut folder = top.try_clone()?;
        let mut components = list::components(to).peekable();
        while let Some(component) = components.next() {
            let component = ByteString::from(component);
            if components.peek().is_some() {
                folder =
                    open(&folder, &component.os().to_owned(), OFlags::PATH | OFlags::DIRECTORY)?;
            } else {
                let flags = AtFlags::empty();
                rustix::fs::linkat(&folder, component.os(), self.folder(), name, flags)?;
            }
        }
        Ok(())
    }

    /// Writes what the file is to hold; returns whether that is a key.
    fn fill(&mut self, entry: &Entry, mut file: &File, given: Option<Given>) -> Result<Secrecy> {
        let Some(Given { bytes, saved }) = given else {
            return self.write_content(entry, &mut file);
        };
        if let Some(saved) = saved {
            self.write_content(&saved, &mut io::sink())?;
        }
        file.write_all(&bytes).context(|| format!("cannot stage {}", self.place(entry)))?;
        Ok(secrecy(&bytes))
    }

    /// Writes the content that the tar has and takes its padding; returns whether it is a key.
    fn write_content(&mut self, entry: &Entry, file: &mut dyn Write) -> Result<Secrecy> {
        let Content::File { size, digest } = &entry.content else { return Ok(Secrecy::Usual) };
        let mut hasher = Hasher::default();
        let mut found = Secrecy::Usual;
        let mut missing = *size;
        while missing > 0 {
            let Some(bytes) = self.input.next(missing) else {
                return Err(self.damaged(entry, "the tar ends within it"));
            };
            hasher.update(bytes);
            if secrecy(bytes) == Secrecy::Key {
                found = Secrecy::Key;
            }
            missing -= bytes.len() as u64;
            let written = file.write_all(bytes);
            written.context(|| format!("cannot stage {}", self.place(entry)))?;
        }
        if !self.input.takes(&archive::TRAILER[..archive::padding(*size)]) {
            return Err(self.damaged(entry, "what follows it is no padding"));
        }
        if hasher.finish() != *digest {
            return Err(self.damaged(entry, "its digest is not the one of the list"));
        }
        Ok(found)
    }

    /// Returns where an entry will be, as a message has it.
    fn place(&self, entry: &Entry) -> ByteString {
        list::place(self.base, &entry.path)
    }

    fn damaged(&self, entry: &Entry, why: &str) -> Error {
        Error::damaged(format!("cannot stage {}: {why}", self.place(entry)))
    }
}

fn secrecy(content: &[u8]) -> Secrecy {
    let is_key = memchr::memmem::find(content, KEY_MARK).is_some();
    if is_key { Secrecy::Key } else { Secrecy::Usual }
}

fn open(folder: &File, name: &OsString, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?))
}
