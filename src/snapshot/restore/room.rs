//! Whether all that will be staged fits on the disks it goes to, and how long it may take.
//!
//! The disk of a database is the one that other databases live on, and a server without room hangs
//! them all: who would run out of it is refused before anything is written. Both numbers are
//! estimates from the raw bytes of the catalog, by what was measured.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::snapshot::restore::Binlog;
use crate::snapshot::restore::RestoreOptions;
use crate::snapshot::restore::plan::Fate;
use crate::snapshot::restore::plan::Part;
use crate::snapshot::restore::plan::Plan;
use crate::snapshot::restore::plan::SourcePlan;

/// What a row takes in InnoDB beside its raw bytes, for indexes, heads and pages that are not full:
/// measured were 65 bytes for three numbers with two indexes, 127 for a name, numbers and a time
/// with two indexes, and 260 for 800 bytes of text with none.
const BYTES_BESIDE_ROW: u64 = 128;

/// What even an empty table takes.
const BYTES_OF_TABLE: u64 = 128 << 10;

/// Raw bytes in a second, about half of what two connections on two cores came to: 1 GB was read and
/// hashed in 5.6 s, and loaded and indexed in 17 s, after which it is read once more.
const COMPARED_BYTES: u64 = 90 << 20;
const LOADED_BYTES: u64 = 20 << 20;
const UNPACKED_BYTES: u64 = 90 << 20;

/// What goes to one disk.
struct Load {
    free_bytes: u64,
    bytes: u64,
    folder: PathBuf,
}

/// Fails with [`Kind::Refused`] where a disk of this host has less room than the plan takes.
pub(super) fn demand(plan: &Plan, options: &RestoreOptions) -> Result<()> {
    let mut loads: BTreeMap<u64, Load> = BTreeMap::new();
    for source in &plan.sources {
        let Some(folder) = source.staging_folder().and_then(existing) else { continue };
        let Ok(device) = folder.metadata().map(|metadata| metadata.dev()) else { continue };
        let Ok(space) = rustix::fs::statvfs(folder) else { continue };
        let free_bytes = space.f_bavail.saturating_mul(space.f_frsize);
        let load =
            loads.entry(device).or_insert(Load { free_bytes, bytes: 0, folder: folder.to_owned() });
        load.bytes = load.bytes.saturating_add(staged_bytes(source, options));
    }
    for Load { free_bytes, bytes, folder } in loads.into_values() {
        if bytes > free_bytes {
            let (needed, free) = (bytes.div_ceil(1 << 20), free_bytes >> 20);
            let folder = folder.display();
            let text = format!(
                "cannot restore: it takes about {needed} MiB on the disk of {folder}, {free} are free"
            );
            return Err(Error::new(Kind::Refused, text).hint(hint(options)));
        }
    }
    Ok(())
}

const fn hint(options: &RestoreOptions) -> &'static str {
    if options.in_place {
        return "free as much: the largest table lies there twice for a moment, even in place";
    }
    "free as much: what is live stays until the swap; `snap restore --discard-previous` drops what \
     earlier restores kept aside; `--in-place` takes the room of the largest table alone, and gives up \
     the rollback"
}

/// Returns how many seconds a restore may take.
pub(super) fn seconds(plan: &Plan) -> u64 {
    plan.sources.iter().map(seconds_of).sum::<u64>().max(1)
}

fn seconds_of(source: &SourcePlan) -> u64 {
    let built = built_bytes(source);
    match source.kind.as_str() {
        "mariadb" => {
            let identical = source.raw_bytes.saturating_sub(built);
            identical / COMPARED_BYTES + built / LOADED_BYTES
        }
        _ => built / UNPACKED_BYTES,
    }
}

/// Returns the raw bytes of all that is built anew.
fn built_bytes(source: &SourcePlan) -> u64 {
    if !source.is_restored() {
        return 0;
    }
    if source.kind == "mariadb" {
        return source.parts.iter().filter(|part| part.is_built()).map(|part| part.bytes).sum();
    }
    source.raw_bytes
}

/// Returns what a source takes on its disk while it is staged.
fn staged_bytes(source: &SourcePlan, options: &RestoreOptions) -> u64 {
    let raw = built_bytes(source);
    if source.kind != "mariadb" || !source.is_restored() {
        return raw;
    }
    let built = source.parts.iter().filter(|part| part.is_built());
    let stored: u64 = if options.in_place {
        // What is replaced goes before the next table comes; nothing goes for what is new.
        let (new, replaced): (Vec<_>, Vec<_>) = built.partition(|part| part.fate == Fate::Create);
        let largest = replaced.into_iter().map(table_bytes).max().unwrap_or_default();
        new.into_iter().map(table_bytes).fold(largest, u64::saturating_add)
    } else {
        built.map(table_bytes).fold(0, u64::saturating_add)
    };
    // All tables are staged, those that stay without rows; in place all of them are, at first.
    let tables = (source.parts.len() as u64).saturating_mul(BYTES_OF_TABLE);
    // The binary log takes every row once more, usually beside the tables, and keeps it.
    let log = if options.binlog == Binlog::On && source.is_logged() { raw } else { 0 };
    stored.saturating_add(tables).saturating_add(log)
}

/// Returns what the rows of a table take, and what stands beside them.
fn table_bytes(part: &Part) -> u64 {
    let beside = part.rows.unwrap_or_default().saturating_mul(BYTES_BESIDE_ROW);
    part.bytes.saturating_add(beside)
}

/// Returns the nearest folder that is there.
fn existing(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|ancestor| ancestor.is_dir())
}
