//! The one error type: what was being done, to what, and what the user can do.
//!
//! Absence is an `Option`, not an error. A kind is one exit code, so that scripts can tell a
//! locked repository from a damaged one; the table is in the README and part of the interface.

use std::error;
use std::fmt;
use std::io;
use std::iter::successors;

use rustix::io::Errno;

/// The result of everything that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, as far as the caller has to tell cases apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anything without a code of its own.
    Failed,
    /// The command line or the configuration is wrong.
    Usage,
    /// No such repository or snapshot.
    Absent,
    /// Another process holds a lock.
    Busy,
    /// The server refuses the account, or the account lacks a right.
    Denied,
    /// A stored or uploaded byte is not what it should be.
    Damaged,
    /// An incompatible version, or a target that is not empty.
    Refused,
    /// The database server cannot be reached.
    Unreachable,
    /// No snapshot of one moment could be had.
    Inconsistent,
    /// The restored state is not the saved one.
    Mismatch,
    /// A hook, a unit or a health check of the profile failed, or an upgrade.
    Hook,
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl Kind {
    /// Returns the exit code of a process that ends with this error.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Absent => 10,
            Self::Busy => 11,
            Self::Denied => 12,
            Self::Damaged => 13,
            Self::Refused => 14,
            Self::Unreachable => 20,
            Self::Inconsistent => 21,
            Self::Mismatch => 22,
            Self::Hook => 40,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// Returns the one word that JSON names this kind by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Absent => "absent",
            Self::Busy => "busy",
            Self::Denied => "denied",
            Self::Damaged => "damaged",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Inconsistent => "inconsistent",
            Self::Mismatch => "mismatch",
            Self::Hook => "hook",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
        }
    }
}

/// What was being done, to what, why it failed, and what the user can do.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn error::Error + Send + Sync>>,
}

impl Error {
    /// Returns an error whose message says `cannot {do} {thing}`: lower case, no full stop.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, source: None }
    }

    /// Returns an error without an exit code of its own.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// Returns an error for stored or uploaded bytes that are not what they should be.
    pub fn damaged(message: impl Into<String>) -> Self {
        Self::new(Kind::Damaged, message)
    }

    /// Returns an error for a format that a later version of the program wrote.
    pub fn newer(what: &str) -> Self {
        Self::new(Kind::Refused, format!("{what}, which this version does not know"))
            .hint("use the version of snap that wrote it, or a newer one")
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts what the caller was doing before the message; kind and hint stay.
    #[must_use]
    pub fn while_doing(mut self, doing: &str) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// Returns the kind, which decides the exit code.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns what the user can do, where something is known.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref().or_else(|| self.advice_on_disk())
    }

    /// Returns what there is to do about the disk that an error comes from, whoever met it.
    fn advice_on_disk(&self) -> Option<&'static str> {
        let causes = successors(error::Error::source(self), |cause| cause.source());
        causes.filter_map(errno).find_map(|cause| match cause {
            Errno::NOSPC | Errno::DQUOT => Some("make room on that disk: `df` and `df -i` tell"),
            Errno::IO => Some("the disk itself fails: the kernel's log (`dmesg`) names it"),
            Errno::ROFS => Some("the file system is read-only: `dmesg` may say why"),
            _ => None,
        })
    }

    /// Returns the message and the messages of all causes, joined by `: `.
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = error::Error::source(self);
        while let Some(error) = cause {
            let next = error.to_string();
            // Many crates repeat their cause in their own message.
            if !text.contains(&next) {
                text = format!("{text}: {next}");
            }
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn error::Error + 'static))
    }
}

/// Returns what the operating system said, where a cause comes from it.
fn errno(cause: &(dyn error::Error + 'static)) -> Option<Errno> {
    let of_std = || Errno::from_io_error(cause.downcast_ref::<io::Error>()?);
    cause.downcast_ref::<Errno>().copied().or_else(of_std)
}

/// Turns the error of another crate into ours, naming what was being done.
pub trait Context<T> {
    /// Returns the value, or an error of kind `Failed` with this message and the cause.
    fn context(self, message: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Box<dyn error::Error + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn context(self, message: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error::failed(message()).caused_by(cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_causes_once() {
        let cause = io::Error::other("disk full");
        let error = Error::failed("cannot write blob").caused_by(cause).while_doing("create");
        assert_eq!(error.chain(), "create: cannot write blob: disk full");
        assert_eq!(error.kind().exit_code(), 1);
    }

    #[test]
    fn a_disk_that_is_full_or_broken_has_a_hint_unless_there_is_a_better_one() {
        let full = || io::Error::from(Errno::NOSPC);
        let error = Error::failed("cannot write blob").caused_by(full());
        assert!(error.advice().unwrap().contains("make room"));
        assert_eq!(error.hint("prune").advice(), Some("prune"));
        let broken = Error::failed("cannot rename").caused_by(Errno::IO);
        assert!(broken.advice().unwrap().contains("dmesg"));
        assert_eq!(Error::failed("cannot").caused_by(Errno::NOENT).advice(), None);
    }
}
