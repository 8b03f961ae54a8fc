//! Reads a tree, entry by entry in the order of its list, each file once.
//!
//! Content is hashed and handed on in that one read. A folder is read through its open
//! descriptor and no link is followed, so that nothing outside of the tree gets in, whatever
//! moves meanwhile. A file is taken at the size it had when it was opened: what grows is cut,
//! what shrinks is filled with zeros.

use std::collections::HashMap;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::fs::Metadata;
use std::io;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::Dir;
use rustix::fs::Mode;
use rustix::fs::OFlags;

use crate::base::digest::Hasher;
use crate::base::error::Context;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::source::files::accounts::Accounts;
use crate::source::files::attributes;
use crate::source::files::attributes::Open;
use crate::source::files::byte_string::ByteString;
use crate::source::files::chunks::ChunkWriter;
use crate::source::files::globs::Choice;
use crate::source::files::globs::Chooser;
use crate::source::files::inside::is_apart;
use crate::source::files::list;
use crate::source::files::list::Content;
use crate::source::files::list::Entry;

const PIECE_BYTES: usize = 256 * 1024;

/// A tree that was read.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) entries: Vec<Entry>,
    /// The folders that hold something that patterns left out.
    pub(super) holders: HashSet<ByteString>,
}

/// Reads what lies at `top`, a folder with all that is in it or a single file, and writes it to
/// `archive` where there is one; returns its entries, or nothing where nothing is there.
///
/// A single file is listed under `name`: a staged one has another name than it will have.
/// Of a folder, only what `chooser` takes is looked at. What cannot be read is left out with a
/// warning, but for `top` itself.
pub(super) fn walk(
    top: &Path,
    name: &OsStr,
    chooser: &Chooser,
    archive: Option<&mut ChunkWriter>,
    monitor: &dyn Monitor,
) -> Result<Option<Walked>> {
    let cannot = || format!("cannot read {}", top.display());
    let found = match find_top(top) {
        Ok(found) => found,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        Err(error) => {
            let hint = "run as a user who may read it, usually root";
            return Err(Error::failed(cannot()).hint(hint).caused_by(error));
        }
    };
    let (base, path) = match &found {
        Found::Folder(..) => (top, list::TOP.into()),
        Found::File(..) => (top.parent().unwrap_or(top), name.into()),
        Found::Link { .. } | Found::Other(_) => {
            let hint = "name a folder or a file";
            return Err(Error::new(Kind::Usage, format!("{}: it is neither", cannot())).hint(hint));
        }
    };
    let mut walk = Walk {
        base,
        chooser,
        archive,
        monitor,
        accounts: Accounts::default(),
        linked: HashMap::new(),
        entries: Vec::new(),
        entered: Vec::new(),
        holders: HashSet::new(),
        piece: vec![0; PIECE_BYTES],
    };
    walk.visit(path, found)?;
    Ok(Some(Walked { entries: walk.entries, holders: walk.holders }))
}

/// What lies under a name, opened.
enum Found {
    Folder(File, Metadata),
    File(File, Metadata),
    Link { link: File, metadata: Metadata, to: ByteString },
    Other(&'static str),
}

fn find_top(top: &Path) -> io::Result<Found> {
    let (Some(parent), Some(name)) = (top.parent(), top.file_name()) else {
        return Ok(Found::Other("the root"));
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = File::from(rustix::fs::open(parent, flags, Mode::empty())?);
    find(&folder, name)
}

/// Opens what lies under `name`. First as a path only: opening a device or a pipe has effects.
fn find(folder: &File, name: &OsStr) -> io::Result<Found> {
    let open = |flags: OFlags| -> io::Result<(File, Metadata)> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(folder, name, flags, Mode::empty())?);
        let metadata = file.metadata()?;
        Ok((file, metadata))
    };
    let (link, metadata) = open(OFlags::PATH)?;
    let kind = metadata.file_type();
    if kind.is_dir() {
        let (file, metadata) = open(OFlags::DIRECTORY)?;
        return Ok(Found::Folder(file, metadata));
    }
    if kind.is_file() {
        let (file, metadata) = open(OFlags::NONBLOCK)?;
        let is_same = metadata.is_file();
        return if is_same { Ok(Found::File(file, metadata)) } else { Ok(Found::Other("no file")) };
    }
    if kind.is_symlink() {
        let to = rustix::fs::readlinkat(&link, "", Vec::new())?.to_bytes().into();
        return Ok(Found::Link { link, metadata, to });
    }
    Ok(Found::Other(match () {
        () if kind.is_socket() => "a socket",
        () if kind.is_fifo() => "a named pipe",
        () => "a device",
    }))
}

struct Walk<'a> {
    /// The top folder, or the folder of a single file.
    base: &'a Path,
    chooser: &'a Chooser,
    archive: Option<&'a mut ChunkWriter>,
    monitor: &'a dyn Monitor,
    accounts: Accounts,
    /// Files with more than one name, by device and number: the path they were read at.
    linked: HashMap<(u64, u64), ByteString>,
    entries: Vec<Entry>,
    /// Folders that were entered, and belong to the tree as soon as something in them does.
    entered: Vec<Entry>,
    holders: HashSet<ByteString>,
    piece: Vec<u8>,
}

impl Walk<'_> {
    fn visit(&mut self, path: ByteString, found: Found) -> Result<()> {
        match found {
            Found::Folder(folder, metadata) => {
                let entry =
                    self.entry(path.clone(), Content::Folder, Open::Whole(&folder), &metadata);
                if path.bytes() != list::TOP && self.chooser.of(&path) == Choice::Passage {
                    return self.visit_passage(entry, &folder);
                }
                self.add(entry)?;
                self.visit_all_in(&folder, &path)
            }
            Found::File(file, metadata) => self.visit_file(path, &file, &metadata),
            Found::Link { link, metadata, to } => {
                // Reading needs no folder; only setting does.
                let open = Open::Link { link: &link, folder: &link, name: OsStr::new("") };
                let entry = self.entry(path, Content::Symlink { to }, open, &metadata);
                self.add(entry)
            }
            Found::Other(kind) => {
                self.leave_out(&path, kind);
                Ok(())
            }
        }
    }

    /// Visits a folder that is left out itself where all that is in it is.
    fn visit_passage(&mut self, entry: Entry, folder: &File) -> Result<()> {
        let (path, depth) = (entry.path.clone(), self.entered.len());
        self.entered.push(entry);
        self.visit_all_in(folder, &path)?;
        if self.entered.len() > depth {
            self.entered.truncate(depth);
            self.holders.insert(list::folder_of(&path));
        }
        Ok(())
    }

    fn visit_all_in(&mut self, folder: &File, path: &ByteString) -> Result<()> {
        let names = match sorted_names(folder) {
            Ok(names) => names,
            Err(error) => {
                self.leave_out(path, &format!("a folder that cannot be listed: {error}"));
                return Ok(());
            }
        };
        let is_top = path.bytes() == list::TOP;
        for name in names {
            let holder = path;
            let path = list::join(path, name.bytes());
            let choice = self.chooser.of(&path);
            if choice == Choice::LeftOut {
                self.holders.insert(holder.clone());
                continue;
            }
            match find(folder, name.os()) {
                Ok(_) if is_top && is_apart(self.base, name.os()) => {}
                Ok(found) if choice == Choice::Taken || matches!(found, Found::Folder(..)) => {
                    self.visit(path, found)?;
                }
                Ok(_) => drop(self.holders.insert(holder.clone())),
                // It went away meanwhile: the tree is as whole without it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.leave_out(&path, &format!("not readable: {error}")),
            }
        }
        Ok(())
    }

    fn visit_file(&mut self, path: ByteString, file: &File, metadata: &Metadata) -> Result<()> {
        let identity = (metadata.dev(), metadata.ino());
        if metadata.nlink() > 1 {
            if let Some(to) = self.linked.get(&identity).cloned() {
                let content = Content::HardLink { to };
                let entry = self.entry(path, content, Open::Whole(file), metadata);
                return self.add(entry);
            }
            self.linked.insert(identity, path.clone());
        }
        self.enter()?;
        let content = Content::File { size: metadata.len(), digest: String::new() };
        let mut entry = self.entry(path, content, Open::Whole(file), metadata);
        if let Some(archive) = &mut self.archive {
            archive.begin(&entry)?;
        }
        let digest = self.read_content(file, metadata, &entry.path)?;
        if let Some(archive) = &mut self.archive {
            archive.end(&entry)?;
        }
        entry.content = Content::File { size: metadata.len(), digest };
        self.entries.push(entry);
        Ok(())
    }

    /// Reads as many bytes as the file had when it was opened; returns their digest.
    fn read_content(
        &mut self,
        file: &File,
        opened: &Metadata,
        path: &ByteString,
    ) -> Result<String> {
        let place = self.place(path);
        let cannot = || format!("cannot read {place}");
        let size = opened.len();
        let mut content = file.take(size).chain(io::repeat(0)).take(size);
        let mut hasher = Hasher::default();
        loop {
            let length = read(&mut content, &mut self.piece).context(cannot)?;
            if length == 0 {
                break;
            }
            hasher.update(&self.piece[..length]);
            if let Some(archive) = &mut self.archive {
                archive.write(&self.piece[..length])?;
            }
        }
        let (unread, _) = content.get_ref().get_ref();
        if unread.limit() > 0 {
            self.monitor.warn(&format!("{place} shrank while it was read: its end is zeros"));
        } else if has_changed(opened, &file.metadata().context(cannot)?) {
            self.monitor.note(&format!("{place} changed while it was read"));
        }
        Ok(hasher.finish())
    }

    fn entry(
        &mut self,
        path: ByteString,
        content: Content,
        open: Open<'_>,
        metadata: &Metadata,
    ) -> Entry {
        let mut attributes = attributes::plain(metadata, &mut self.accounts);
        match open.xattrs() {
            Ok(xattrs) => attributes.xattrs = xattrs,
            Err(error) => {
                let name = self.place(&path);
                self.monitor.warn(&format!("cannot read the attributes of {name}: {error}"));
            }
        }
        Entry { path, content, attributes }
    }

    fn add(&mut self, entry: Entry) -> Result<()> {
        self.enter()?;
        self.push(entry)
    }

    /// Adds the folders that the next entry lies in.
    fn enter(&mut self) -> Result<()> {
        std::mem::take(&mut self.entered).into_iter().try_for_each(|entry| self.push(entry))
    }

    fn push(&mut self, entry: Entry) -> Result<()> {
        if let Some(archive) = &mut self.archive {
            archive.begin(&entry)?;
            archive.end(&entry)?;
        }
        self.entries.push(entry);
        Ok(())
    }

    fn leave_out(&self, path: &ByteString, what: &str) {
        self.monitor.warn(&format!("{} is left out: {what}", self.place(path)));
    }

    fn place(&self, path: &ByteString) -> ByteString {
        list::place(self.base, path)
    }
}

fn sorted_names(folder: &File) -> io::Result<Vec<ByteString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.into());
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn has_changed(before: &Metadata, after: &Metadata) -> bool {
    let state = |metadata: &Metadata| (metadata.len(), metadata.mtime(), metadata.mtime_nsec());
    state(before) != state(after)
}

fn read(content: &mut impl Read, piece: &mut [u8]) -> io::Result<usize> {
    loop {
        match content.read(piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
