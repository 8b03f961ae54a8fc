//! Gives a staged entry its owner, extended attributes, mode and time.
//!
//! What this user may not give is a warning, said once for all entries alike, and the entry is
//! then expected without it: the warning tells of the lack, and proving the tree finds no other.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use crate::base::error::Context;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::source::files::accounts::Accounts;
use crate::source::files::attributes::Open;
use crate::source::files::list;
use crate::source::files::list::Attributes;
use crate::source::files::list::Entry;

/// Set-user-id and set-group-id: what a file lends of its owner.
const LENDING_BITS: u32 = 0o6000;

/// What the group may do with a file.
const GROUP_BITS: u32 = 0o070;

/// Whether a file holds what its owner keeps to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// A private key.
    Key,
    /// Anything else.
    Usual,
}

/// What was found out about this host and this user so far.
pub(super) struct Dresser<'a> {
    accounts: Accounts,
    warned: HashSet<String>,
    base: &'a Path,
    monitor: &'a dyn Monitor,
}

impl<'a> Dresser<'a> {
    pub(super) fn new(base: &'a Path, monitor: &'a dyn Monitor) -> Self {
        Self { accounts: Accounts::default(), warned: HashSet::new(), base, monitor }
    }

    /// Gives everything in the one order in which nothing undoes what was given before: a new
    /// owner clears bits of the mode and attributes, an attribute may change the mode. Returns
    /// what must be found now.
    ///
    /// A private key whose group cannot be had is for its owner alone: the number may be that of
    /// another group here.
    pub(super) fn dress(
        &mut self,
        open: Open<'_>,
        entry: &Entry,
        secrecy: Secrecy,
    ) -> Result<Attributes> {
        let place = list::place(self.base, &entry.path);
        let cannot = || format!("cannot set the attributes of {place}");
        let mut attributes = entry.attributes.clone();
        let is_known = self.accounts.adopt(&mut attributes, self.monitor);
        let is_given = self.give_owner(open, &mut attributes, entry).context(cannot)?;
        let is_shared = attributes.mode & GROUP_BITS != 0;
        if secrecy == Secrecy::Key && is_shared && !(is_known && is_given) {
            attributes.mode &= !GROUP_BITS;
            let text = format!("{place} is for its owner alone now: its group could not be had");
            self.monitor.warn(&text);
        }
        self.give_xattrs(open, &mut attributes, entry).context(cannot)?;
        open.set_mode(attributes.mode).context(cannot)?;
        open.set_mtime(attributes.mtime).context(cannot)?;
        open.sync().context(cannot)?;
        Ok(attributes)
    }

    /// Returns whether the owner and the group are the wanted ones now.
    fn give_owner(
        &mut self,
        open: Open<'_>,
        wanted: &mut Attributes,
        entry: &Entry,
    ) -> io::Result<bool> {
        let Err(error) = open.set_owner(wanted.uid, wanted.gid) else { return Ok(true) };
        if !is_not_allowed(&error) {
            return Err(error);
        }
        let owner = format!("{}:{}", wanted.uid, wanted.gid);
        self.warn_once(&format!("the owner {owner}"), entry, &error);
        (wanted.uid, wanted.gid) = open.owner()?;
        wanted.mode &= !LENDING_BITS;
        Ok(false)
    }

    fn give_xattrs(
        &mut self,
        open: Open<'_>,
        wanted: &mut Attributes,
        entry: &Entry,
    ) -> io::Result<()> {
        for name in open.xattr_names()? {
            // The folder above may have lent an access list; a security label may have to stay.
            if !wanted.xattrs.contains_key(&name.as_os_str().into()) {
                drop(open.remove_xattr(&name));
            }
        }
        for (name, value) in &wanted.xattrs {
            if let Err(error) = open.set_xattr(name.os(), value.bytes()) {
                self.warn_once(&format!("the attribute {name}"), entry, &error);
            }
        }
        wanted.xattrs = open.xattrs()?;
        Ok(())
    }

    fn warn_once(&mut self, what: &str, entry: &Entry, error: &io::Error) {
        if self.warned.insert(what.to_owned()) {
            let place = list::place(self.base, &entry.path);
            self.monitor.warn(&format!("cannot give {what} to {place} and its like: {error}"));
        }
    }
}

fn is_not_allowed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput
    )
}
