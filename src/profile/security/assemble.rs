//! The security file that a restore puts in place.

use crate::base::error::Result;
use crate::profile::security::RolePlan;
use crate::profile::security::SecurityFile;
use crate::profile::security::finding::Finding;
use crate::profile::security::finding::about_logins;
use crate::profile::security::merge::merge;
use crate::profile::security::merge::own_keys;

/// A larger file is not read: nobody's is, and what it says would take many times its size.
pub const MAX_BYTES: u64 = 1 << 20;

/// What the target has where the file goes.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Its security file, one byte more than [`MAX_BYTES`] at most; `None` where it has none, as
    /// on a new host.
    pub bytes: Option<&'a [u8]>,
    /// Whether it is newer than the snapshot, as
    /// [`is_newer`](crate::profile::roles::when::is_newer) tells: only then are the files merged.
    pub is_newer: bool,
}

/// The file to put in place, and what there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembled {
    /// The bytes of the file.
    pub bytes: Vec<u8>,
    /// The keys that only the target had and that stay.
    pub kept_keys: Vec<String>,
    /// What the operator should hear.
    pub findings: Vec<Finding>,
}

impl Assembled {
    /// Returns what to tell the operator.
    pub fn notes(&self) -> Vec<String> {
        let mut notes: Vec<_> = self.findings.iter().map(Finding::to_string).collect();
        if !self.kept_keys.is_empty() {
            let keys: Vec<_> = self.kept_keys.iter().map(|key| format!("{key:?}")).collect();
            notes.push(format!(
                "the target is newer: what only its security file has stays in it, behind what the \
                 snapshot's has: {}",
                keys.join(", ")
            ));
        }
        notes
    }
}

/// Returns the file that comes of the snapshot's and the target's: the snapshot's bytes, with the
/// planned roles in place of the old ones, and behind them what only a newer target's file has.
pub fn assemble(snapshot: &[u8], plan: Option<&RolePlan>, target: Target<'_>) -> Result<Assembled> {
    let untouched =
        |findings| Assembled { bytes: snapshot.to_owned(), kept_keys: vec![], findings };
    let Some(saved) = SecurityFile::parse(snapshot) else {
        return Ok(untouched(vec![Finding::Unreadable]));
    };
    let remapped = plan.map(|plan| saved.with_roles(plan)).transpose()?;
    let bytes = remapped.map_or_else(|| snapshot.to_owned(), String::into_bytes);
    let mut assembled = Assembled { bytes, ..untouched(vec![]) };
    if saved.root.alias().is_some() {
        assembled.findings.push(Finding::Aliases);
    }
    let is_bounded = |bytes: &&[u8]| bytes.len() as u64 <= MAX_BYTES;
    let live = target.bytes.filter(is_bounded).and_then(SecurityFile::parse);
    if target.is_newer {
        match &live {
            Some(live) => keep_own_keys(&mut assembled, live),
            None if target.bytes.is_some() => assembled.findings.push(Finding::TargetUnreadable),
            None => {}
        }
    }
    let result = read_again(&assembled.bytes);
    let findings = about_logins(&saved, live.as_ref(), &result);
    assembled.findings.extend(findings);
    Ok(assembled)
}

/// Puts the keys that only the target has behind those that are there.
fn keep_own_keys(assembled: &mut Assembled, live: &SecurityFile<'_>) {
    let file = read_again(&assembled.bytes);
    let own = own_keys(&file, live);
    match merge(&file, live, &own) {
        _ if own.is_empty() => {}
        None => assembled.findings.push(Finding::NotMerged(own)),
        Some(text) => {
            assembled.bytes = text.into_bytes();
            assembled.kept_keys = own;
        }
    }
}

fn read_again(bytes: &[u8]) -> SecurityFile<'_> {
    SecurityFile::parse(bytes).expect("what was changed was read again")
}
