//! What a prune sees of a repository: every blob and staged file, whoever names it or not.

use crate::base::digest;
use crate::base::error::Result;
use crate::repository::BLOBS;
use crate::repository::DAMAGED;
use crate::repository::MARKS;
use crate::repository::Repository;
use crate::repository::SNAPSHOTS;
use crate::repository::store;
pub use crate::repository::store::Stored;

impl Stored {
    /// Returns the digest of a blob, `None` for a staged or foreign file.
    pub fn digest(&self) -> Option<String> {
        let hex = self.name.strip_prefix(BLOBS)?.strip_prefix('/')?;
        let digest = format!("sha256:{hex}");
        digest::sha256_hex(&digest).is_some().then_some(digest)
    }

    /// Returns whether it is a file that a killed process left unfinished.
    pub fn is_staged(&self) -> bool {
        store::is_staged(&self.name)
    }
}

impl Repository {
    /// Returns all that is stored as blobs.
    pub async fn stored_blobs(&self) -> Result<Vec<Stored>> {
        self.store.list(BLOBS).await
    }

    /// Returns the files that killed processes left unfinished.
    pub async fn staged_files(&self) -> Result<Vec<Stored>> {
        let mut staged = Vec::new();
        for folder in ["", BLOBS, SNAPSHOTS, MARKS, DAMAGED] {
            staged.extend(self.store.staged(folder).await?);
        }
        Ok(staged)
    }

    /// Deletes a blob or a staged file; the caller holds the repository alone.
    pub async fn remove(&self, stored: &Stored) -> Result<()> {
        if stored.is_staged() {
            return self.store.delete_staged(&stored.name).await;
        }
        // First, since nobody comes upon the note of a blob that is gone.
        if let Some(digest) = stored.digest() {
            self.forget_damage(&digest).await?;
        }
        self.store.delete(&stored.name).await
    }
}
