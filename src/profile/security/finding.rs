//! What the operator should hear about a security file that is brought back, in plain words.

use std::fmt;

use serde::Serialize;
use serde::Serializer;

use crate::profile::security::SecurityFile;
use crate::profile::security::entries;
use crate::profile::security::tree::Node;

/// The account that the installation of 4.2 and 4.3 leaves in the file, and that 3.x has there.
const ADMIN_KEYS: [&str; 2] = ["admin_username", "admin_password"];

/// The salt of all passwords: the stored ones are hashes of password and salt.
const SALT: &str = "hash_salt";

/// One thing to know about the file, and what it means for those who log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The snapshot has no such file, and the target has one.
    Absent,
    /// The snapshot's file is larger than
    /// [`MAX_BYTES`](crate::profile::security::assemble::MAX_BYTES).
    TooLarge,
    /// The snapshot's file is no table in JSON or YAML.
    Unreadable,
    /// The target's file is none, or too large as well, so its own keys are unknown.
    TargetUnreadable,
    /// The target has keys of its own that could not be put into the snapshot's file.
    NotMerged(Vec<String>),
    /// What is written as a YAML alias was not looked at.
    Aliases,
    /// The snapshot has no password salt, as none has that Cloudify 4.0 and 4.1 made themselves.
    NoSalt,
    /// The snapshot has no password salt, and the file that comes back has the target's.
    SaltOfTarget,
    /// The file comes back with the administrator of the manager that the snapshot is from, and
    /// the target had another one.
    AdminOfSnapshot,
    /// The file comes back with the target's administrator, beside the users of the snapshot.
    AdminOfTarget,
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Absent => {
                "the snapshot has no security file, and the target's stays: where the two managers \
                 differ in their password salt, nobody can log in with a password of before until \
                 it is reset, or until the old manager's file is copied here by hand"
            }
            Self::TooLarge => {
                "the security file of the snapshot is larger than 1 MiB, and was not looked into: it \
                 comes back as it was saved, and roles in it, if any, are the old ones"
            }
            Self::Unreadable => {
                "the security file of the snapshot is neither JSON nor YAML, or holds more than any \
                 such file does: it comes back as it was saved, and roles in it, if any, are the \
                 old ones"
            }
            Self::TargetUnreadable => {
                "the security file of the target is neither JSON nor YAML, or holds more than any \
                 such file does: the snapshot's takes its place, without the keys that only the target's may have had"
            }
            Self::NotMerged(keys) => return not_merged(formatter, keys),
            Self::Aliases => {
                "the security file has YAML aliases: roles behind them were not looked at"
            }
            Self::NoSalt => {
                "the security file of the snapshot has no password salt (hash_salt), as with \
                 Cloudify 4.0 and 4.1: nobody can log in with a password of before until it is \
                 reset, or until the old manager's salt is put into the file"
            }
            Self::SaltOfTarget => {
                "the security file of the snapshot has no password salt (hash_salt), as with \
                 Cloudify 4.0 and 4.1: the target's stays, by which no password of before is \
                 right until it is reset, or until the old manager's salt is put into the file"
            }
            Self::AdminOfSnapshot => {
                "the administrator in the security file is from then on that of the manager the \
                 snapshot was taken on: log in with the name and the password of that one"
            }
            Self::AdminOfTarget => {
                "the administrator in the security file is still the target's, while users and \
                 passwords are the snapshot's: where the two differ, log in with the \
                 administrator of the manager the snapshot was taken on, and correct the file"
            }
        };
        formatter.write_str(text)
    }
}

fn not_merged(formatter: &mut fmt::Formatter<'_>, keys: &[String]) -> fmt::Result {
    let shown: Vec<_> = keys.iter().map(|key| format!("{key:?}")).collect();
    write!(
        formatter,
        "the security file comes back without what only the target's has ({}): put it in by hand",
        shown.join(", ")
    )
}

/// Returns the findings about passwords and the administrator; `result` is what comes back.
pub(super) fn about_logins(
    snapshot: &SecurityFile<'_>,
    target: Option<&SecurityFile<'_>>,
    result: &SecurityFile<'_>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    // A file of 3.x has its users with it, and knows no salt.
    if snapshot.root.get(SALT).is_none() && !entries::lists_holders(&snapshot.root) {
        let is_there = result.root.get(SALT).is_some();
        findings.push(if is_there { Finding::SaltOfTarget } else { Finding::NoSalt });
    }
    let target = target.map(|target| admin(&target.root)).filter(has_any);
    let (saved, result) = (admin(&snapshot.root), admin(&result.root));
    match target {
        Some(_) if !has_any(&saved) && has_any(&result) => findings.push(Finding::AdminOfTarget),
        Some(target) if has_any(&saved) && !same(&saved, &target) => {
            findings.push(Finding::AdminOfSnapshot);
        }
        _ => {}
    }
    findings
}

type Admin<'a> = [Option<&'a Node>; 2];

fn admin(root: &Node) -> Admin<'_> {
    ADMIN_KEYS.map(|key| root.get(key))
}

fn has_any(admin: &Admin<'_>) -> bool {
    admin.iter().any(Option::is_some)
}

fn same(one: &Admin<'_>, other: &Admin<'_>) -> bool {
    one.iter().zip(other).all(|pair| match pair {
        (Some(one), Some(other)) => one.says_as(other),
        (one, other) => one.is_none() && other.is_none(),
    })
}
