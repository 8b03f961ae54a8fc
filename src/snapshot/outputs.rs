//! What commands print, between their sources and the repository.

use std::path::Path;

use tokio::sync::mpsc;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::base::pace::Pace;
use crate::base::process::program_of;
use crate::profile::CommandPair;
use crate::repository::Repository;
use crate::repository::catalog::Chunk;
use crate::repository::catalog::Item;
use crate::repository::catalog::ItemIndex;
use crate::repository::contents::Contents;
use crate::repository::id::SnapshotId;
use crate::repository::writer::Writer;
use crate::snapshot::bases::Bases;
use crate::snapshot::chunks;
use crate::source::command::SourceCommand;

/// The kind of such a source, as catalogs name it.
pub(super) const KIND: &str = "command";

/// Returns what snapshots say such a source was read from: the program alone, for what follows it
/// may hold a password.
pub(super) fn origin(pair: &CommandPair) -> String {
    program_of(&pair.save).to_owned()
}

/// Stores what the command of a source prints; fails where it does not end well.
pub(super) async fn save(
    writer: &Writer,
    source: &str,
    pair: &CommandPair,
    id: &SnapshotId,
    pace: &Pace,
    monitor: &dyn Monitor,
) -> Result<(Item, ItemIndex)> {
    let command = SourceCommand {
        text: pair.save.clone(),
        limit: pair.limit,
        source: source.to_owned(),
        snapshot: id.to_string(),
        signed: None,
    };
    monitor.step(&format!("save {}", command.source), None);
    let (sender, receiver) = chunks::channel();
    let saved = tokio::try_join!(
        command.save(sender),
        chunks::store(writer, receiver, 1, Bases::default(), pace, monitor),
    );
    let doing = format!("cannot save {}", command.source);
    let (printed, mut stored) = saved.map_err(|error| error.while_doing(&doing))?;
    let name = command.source.clone();
    let index = ItemIndex { name: name.clone(), ..stored.remove(0) };
    let item = Item {
        name,
        rows: 0,
        current_rows: None,
        raw_bytes: printed.raw_bytes,
        digest: printed.digest,
        generated_digest: None,
    };
    Ok((item, index))
}

/// What a snapshot holds of a command source.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub(super) snapshot: String,
    source: String,
    chunks: Vec<Chunk>,
    bytes: u64,
}

impl Output {
    /// Returns what these contents of a snapshot hold of a source.
    pub(super) fn of(contents: &Contents, snapshot: &str, source: &str) -> Result<Self> {
        let sources = contents.catalog.sources.iter().zip(&contents.indexes);
        let mut saved = sources.filter(|(record, _)| record.name == source && record.kind == KIND);
        let items =
            saved.next().and_then(|(_, index)| index.as_ref()).map(|index| &index.items[..]);
        let Some([item]) = items else {
            let text = format!("{snapshot} holds nothing that a command printed for {source}");
            return Err(Error::damaged(text));
        };
        let bytes = item.chunks.iter().map(|chunk| chunk.blob.raw_bytes).sum();
        let (snapshot, source) = (snapshot.to_owned(), source.to_owned());
        Ok(Self { snapshot, source, chunks: item.chunks.clone(), bytes })
    }

    /// Reads all of it, which fails where a blob is not what was stored. A command that was given
    /// half of it would have to be taken back.
    pub(super) async fn prove(&self, repository: &Repository, monitor: &dyn Monitor) -> Result<()> {
        monitor.step(&format!("read {}", self.source), Some(self.bytes));
        for chunk in &self.chunks {
            repository.read_blob(&chunk.blob).await?;
            monitor.advance(chunk.blob.raw_bytes);
        }
        Ok(())
    }

    /// Gives it to the command of a profile that takes it back, and that signs this file.
    pub(super) async fn load(
        &self,
        repository: &Repository,
        pair: &CommandPair,
        signed: &Path,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let command = SourceCommand {
            text: pair.load.clone(),
            limit: pair.limit,
            source: self.source.clone(),
            snapshot: self.snapshot.clone(),
            signed: Some(signed.to_owned()),
        };
        monitor.step(&format!("load {}", self.source), Some(self.bytes));
        let (sender, receiver) = mpsc::channel(1);
        let loaded = tokio::try_join!(
            command.load(receiver, self.bytes),
            chunks::fetch(repository, &self.chunks, sender, monitor),
        );
        loaded.map(drop).map_err(|error| error.while_doing(&format!("cannot load {}", self.source)))
    }
}
