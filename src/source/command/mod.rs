//! The command source: what one command prints is saved, and another command is given it back.
//!
//! What is saved is bytes and nothing else: it is neither compared with what is live nor proven when
//! it is restored. That both commands end well, that all that the first printed is stored, and that
//! the second is given exactly this and reads it, is all that can be known.
//!
//! Commands are bash's, whose `pipefail` is on: a pipeline that fails anywhere fails.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::Sender;

use crate::base::digest::Hasher;
use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::process::Ended;
use crate::base::process::Process;
use crate::base::process::program_of;
use crate::source::Content;
use crate::source::RawChunk;

/// The size of a chunk of what a command prints.
const CHUNK_BYTES: usize = 16 << 20;

/// One of the two commands of a source.
#[derive(Debug, Clone)]
pub struct SourceCommand {
    /// What bash is given.
    pub text: String,
    /// After this time it is ended, and has failed.
    pub limit: Duration,
    /// The name of the source: `SNAP_SOURCE` in its environment.
    pub source: String,
    /// The snapshot that is written or read: `SNAP_SNAPSHOT_ID`.
    pub snapshot: String,
    /// The file that it signs, so that another process can see whether it is at work still.
    pub signed: Option<PathBuf>,
}

/// What a command printed.
#[derive(Debug)]
pub struct Printed {
    /// How much it was.
    pub raw_bytes: u64,
    /// The digest of all of it.
    pub digest: String,
}

impl SourceCommand {
    fn process(&self) -> Process {
        let process = Process::program("bash", ["-o", "pipefail", "-c", &self.text], self.limit)
            .with("SNAP_SOURCE", self.source.clone())
            .with("SNAP_SNAPSHOT_ID", self.snapshot.clone());
        match &self.signed {
            Some(file) => process.signing(file.clone()),
            None => process,
        }
    }

    /// Runs the command and sends all that it prints. Fails where it does not end well, and where it
    /// has printed nothing: no tool that saves anything does so.
    pub async fn save(&self, chunks: Sender<RawChunk>) -> Result<Printed> {
        let (sender, receiver) = mpsc::channel(1);
        let process = self.process();
        let (ended, printed) =
            tokio::try_join!(process.printing(sender, CHUNK_BYTES), pass_on(receiver, chunks))?;
        self.demand_success(&ended)?;
        if printed.raw_bytes == 0 {
            return Err(self.failed("has printed nothing"));
        }
        Ok(printed)
    }

    /// Runs the command and gives it these pieces, which are so many bytes together. Fails where it
    /// does not end well, or has not read all of it.
    pub async fn load(&self, pieces: Receiver<Vec<u8>>, bytes: u64) -> Result<()> {
        let ended = self.process().given(pieces, bytes).await?;
        self.demand_success(&ended)
    }

    fn demand_success(&self, ended: &Ended) -> Result<()> {
        if ended.is_success() {
            return Ok(());
        }
        let why = ended.output.last().map(|line| format!(": {line}")).unwrap_or_default();
        Err(self.failed(&format!("{}{why}", ended.end)))
    }

    fn failed(&self, how: &str) -> Error {
        Error::failed(format!("its command {} {how}", program_of(&self.text)))
            .hint("the profile has the command: `snap profile show` prints it, to be tried by hand")
    }
}

/// Passes pieces on as chunks.
async fn pass_on(mut pieces: Receiver<Vec<u8>>, chunks: Sender<RawChunk>) -> Result<Printed> {
    let (mut hasher, mut raw_bytes, mut order) = (Hasher::default(), 0, 0);
    while let Some(bytes) = pieces.recv().await {
        hasher.update(&bytes);
        raw_bytes += bytes.len() as u64;
        let (from, noted) = (serde_json::Value::Null, serde_json::Value::Null);
        let content = Content::Raw(bytes);
        let chunk = RawChunk { item: 0, attempt: 0, order, from, rows: 0, content, noted };
        order += 1;
        if chunks.send(chunk).await.is_err() {
            // Whoever stores the chunks has failed, and says why itself.
            break;
        }
    }
    Ok(Printed { raw_bytes, digest: hasher.finish() })
}
