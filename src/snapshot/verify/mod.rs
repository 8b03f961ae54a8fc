//! `verify`: proves that what the list promises is there, and names what is not.
//!
//! Damage does not stop it: a broken index of one source hides nothing of the others. Each blob is
//! read once, however many snapshots share it.

use std::collections::HashMap;
use std::collections::HashSet;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde::Serialize;

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::base::rooms;
use crate::repository::Repository;
use crate::repository::catalog::BlobRef;
use crate::repository::catalog::Catalog;
use crate::repository::contents;
use crate::repository::contents::BlobUse;
use crate::repository::id::SnapshotId;
use crate::repository::listing::IndexState;
use crate::repository::lock::Access;
use crate::repository::manifest::Manifest;
use crate::repository::summary::Summary;

/// Blobs are held in memory one per reader.
const READERS: usize = 3;
const FINDERS: usize = 16;

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Manifest, catalog and indexes are read; every other blob is there with the right size.
    Listed,
    /// Every blob is read: its digest, its raw digest, its count of rows.
    ReadData,
}

/// The result of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The snapshots in the order they were looked at.
    pub checked: Vec<Checked>,
}

/// What is known of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The snapshot.
    pub id: SnapshotId,
    /// Whether nothing is hurt.
    pub sound: bool,
    /// What is hurt: item and reason, such as `database.element: blob sha256:… is absent`.
    pub hurt: Vec<String>,
    /// The number of blobs that it names.
    pub blobs: u64,
    /// Their size.
    pub bytes: u64,
}

/// Verifies snapshots, all of them where no id is given.
pub async fn verify(
    repository: &Repository,
    ids: &[SnapshotId],
    depth: Depth,
    monitor: &dyn Monitor,
) -> Result<Verification> {
    let _lock = repository.lock(Access::Shared).await?;
    let mut checked = Vec::new();
    let ids = if ids.is_empty() {
        checked.extend(lost(repository, monitor).await?);
        repository.ids().await?
    } else {
        known(repository, ids).await?
    };
    let mut examiner = Examiner::new(repository, depth, monitor);
    for id in ids {
        let findings = match repository.listed(&id).await {
            Ok(listed) => {
                let mut findings = examiner.examine(&id, &listed.digest, listed.size).await;
                findings.compare(&listed.summary);
                findings
            }
            Err(error) => Findings { hurt: vec![error.chain()], ..Findings::default() },
        };
        let Findings { hurt, blobs, bytes, .. } = findings;
        checked.push(Checked { id, sound: hurt.is_empty(), hurt, blobs, bytes });
    }
    // Only who has read a blob knows whether it is sound.
    if depth == Depth::ReadData
        && let Err(error) = examiner.note_damage().await
    {
        monitor.note(&format!(
            "cannot keep the notes of what is damaged ({}): move these blobs out of blobs/sha256 of \
            the repository, or the next create may count on them",
            error.chain()
        ));
    }
    Ok(Verification { checked })
}

/// Returns the snapshots that only `index.json` names: all that listed them is gone.
async fn lost(repository: &Repository, monitor: &dyn Monitor) -> Result<Vec<Checked>> {
    let ids = match repository.compare_index().await? {
        IndexState::Current => Vec::new(),
        IndexState::Names(ids) => ids,
        IndexState::Outdated => {
            monitor.note(
                "index.json, which other tools read, is not up to date: the next create writes it",
            );
            Vec::new()
        }
    };
    let lost = |id: SnapshotId| {
        let hurt = format!("descriptor: snapshots/{id}.json is absent; an upload lists it again");
        Checked { id, sound: false, hurt: vec![hurt], blobs: 0, bytes: 0 }
    };
    Ok(ids.into_iter().map(lost).collect())
}

async fn known(repository: &Repository, ids: &[SnapshotId]) -> Result<Vec<SnapshotId>> {
    for id in ids {
        if !repository.is_listed(id).await? {
            repository.listed(id).await?;
        }
    }
    Ok(ids.to_vec())
}

/// What an examination found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) hurt: Vec<String>,
    blobs: u64,
    bytes: u64,
    /// What a list should show of the snapshot, as far as its catalog and its manifest tell.
    summary: Option<Summary>,
}

impl Findings {
    /// Finds fault with a list that shows something else than the snapshot holds.
    fn compare(&mut self, shown: &Summary) {
        let Summary { written_bytes, uploaded, .. } = *shown;
        let Some(expected) = self.summary.take() else { return };
        if self.hurt.is_empty() && (Summary { written_bytes, uploaded, ..expected }) != *shown {
            self.hurt("descriptor", "it shows something else than the catalog holds");
        }
    }

    fn hurt(&mut self, what: &str, why: &str) {
        self.hurt.push(format!("{what}: {why}"));
    }
}

/// What is known of a blob: its newlines where it was read, or what is wrong with it.
type Proof = std::result::Result<Option<u64>, String>;

/// Examines snapshots, and remembers the blobs that it has seen.
pub(super) struct Examiner<'a> {
    repository: &'a Repository,
    depth: Depth,
    monitor: &'a dyn Monitor,
    proofs: HashMap<BlobRef, Proof>,
}

impl<'a> Examiner<'a> {
    pub(super) fn new(repository: &'a Repository, depth: Depth, monitor: &'a dyn Monitor) -> Self {
        Self { repository, depth, monitor, proofs: HashMap::new() }
    }

    /// Examines the snapshot of a manifest, listed or not.
    pub(super) async fn examine(&mut self, id: &SnapshotId, digest: &str, size: u64) -> Findings {
        let mut findings = Findings::default();
        let manifest = match self.repository.read_manifest(digest, size).await {
            Ok(manifest) => manifest,
            Err(error) => {
                findings.hurt("manifest", &error.chain());
                return findings;
            }
        };
        let blobs = || manifest.layers().iter().chain([manifest.catalog()]);
        findings.blobs = 1 + blobs().count() as u64;
        findings.bytes =
            blobs().map(oci_spec::image::Descriptor::size).fold(size, u64::saturating_add);
        let catalog = match self.repository.catalog(&manifest).await {
            Ok(catalog) => catalog,
            Err(error) => {
                findings.hurt("catalog", &error.chain());
                return findings;
            }
        };
        let sizes = manifest.layers().iter().map(oci_spec::image::Descriptor::size);
        let stored_bytes = sizes.fold(0, u64::saturating_add);
        findings.summary = Some(Summary::of(id, &catalog, stored_bytes));
        let uses = self.uses(&catalog, &manifest, &mut findings).await;
        self.monitor.step(&format!("verify snapshot {id}"), Some(findings.bytes));
        self.prove(&uses).await;
        let mut judged = HashSet::new();
        for this in uses.iter().filter(|this| judged.insert(*this)) {
            self.judge(this, &mut findings);
        }
        findings
    }

    /// Returns what can be known of the uses of blobs, source by source.
    async fn uses(
        &self,
        catalog: &Catalog,
        manifest: &Manifest,
        findings: &mut Findings,
    ) -> Vec<BlobUse> {
        let mut uses = Vec::new();
        for source in &catalog.sources {
            let index = match self.repository.index(source).await {
                Ok(index) => index,
                Err(error) => {
                    findings.hurt(&format!("{}.index", source.name), &error.chain());
                    continue;
                }
            };
            match contents::uses_of(source, index.as_ref()) {
                Ok(known) => uses.extend(known),
                Err(error) => findings.hurt(&source.name, &error.chain()),
            }
        }
        // What an unreadable index names is not known, so the layers cannot be compared.
        let agreed = manifest.check_layers(&contents::distinct(&uses));
        if let (true, Err(error)) = (findings.hurt.is_empty(), agreed) {
            findings.hurt("manifest", &error.chain());
        }
        uses
    }

    /// Proves the blobs that no earlier snapshot has proven.
    async fn prove(&mut self, uses: &[BlobUse]) {
        let blobs: HashSet<&BlobRef> = uses.iter().map(|this| &this.blob).collect();
        let unproven = blobs.into_iter().filter(|blob| !self.proofs.contains_key(blob)).cloned();
        let (repository, depth, monitor) = (self.repository, self.depth, self.monitor);
        let prove = |blob: BlobRef| async move {
            let proof = match depth {
                Depth::Listed => repository.find_blob(&blob.digest, blob.size).await.map(|()| None),
                Depth::ReadData => repository.prove_blob(&blob).await.map(Some),
            };
            monitor.advance(blob.size);
            (blob, proof.map_err(|error| error.chain()))
        };
        let _kept = rooms::keep();
        let at_once = if depth == Depth::Listed { FINDERS } else { READERS };
        let unproven: Vec<BlobRef> = unproven.collect();
        let proofs = stream::iter(unproven).map(prove).buffer_unordered(at_once);
        let proofs: Vec<(BlobRef, Proof)> = proofs.collect().await;
        self.proofs.extend(proofs);
    }

    /// Notes what new snapshots must not count on, and forgets what was damaged before and is sound.
    async fn note_damage(&self) -> Result<()> {
        let damaged = self.repository.damaged().await?;
        for (blob, proof) in &self.proofs {
            if proof.is_err() {
                self.repository.note_damage(blob).await?;
            } else if damaged.contains(&blob.digest) {
                self.repository.forget_damage(&blob.digest).await?;
            }
        }
        Ok(())
    }

    fn judge(&self, this: &BlobUse, findings: &mut Findings) {
        match self.proofs.get(&this.blob) {
            Some(Err(why)) => findings.hurt(&this.by, why),
            Some(Ok(Some(newlines))) if this.rows.is_some_and(|rows| rows != *newlines) => {
                let (digest, rows) = (&this.blob.digest, this.rows.unwrap_or_default());
                let why = format!("blob {digest} has {newlines} rows instead of {rows}");
                findings.hurt(&this.by, &why);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
