//! The hunt itself: inputs from a corpus, changed and tried until the time is over.

use std::env;
use std::fs;
use std::io;
use std::io::Write;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use studio_snap::base::digest::sha256;

use crate::dice::Dice;

/// No input may take longer than this, on the slowest of machines: most take less than a millisecond.
const PATIENCE: Duration = Duration::from_secs(120);
/// All targets at once may take no more memory than this, in KiB: an input that says it is large
/// must not be believed.
const MAX_MEMORY: u64 = 512 << 10;
const DEFAULT_SECONDS: u64 = 2;

/// Where a target starts from.
pub(crate) struct Corpus {
    folder: PathBuf,
    inputs: Vec<Vec<u8>>,
}

impl Corpus {
    /// Returns the files of `fixtures/fuzz/TARGET`.
    pub(crate) fn of(target: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fuzz").join(target);
        let inputs = files(&folder);
        assert!(!inputs.is_empty(), "{} holds no inputs", folder.display());
        Self { folder, inputs }
    }

    /// Adds certificates and keys, which are made anew each time.
    pub(crate) fn with_certificates(mut self) -> Self {
        let folder = tempfile::tempdir().expect("create a folder");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/certificates");
        let made = Command::new(script).arg(folder.path()).status().expect("start bash");
        assert!(made.success(), "no certificates were made");
        self.inputs.extend(files(folder.path()));
        self
    }
}

/// Returns the contents of the files of a folder, in the order of their names.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).expect("list the corpus");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("read the corpus").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("read an input")).collect()
}

/// Tries every input of the corpus, and then changed ones until the time is over.
pub(crate) fn hunt(
    corpus: &Corpus,
    change: fn(&[Vec<u8>], &mut Dice) -> Vec<u8>,
    check: impl Fn(&[u8]) + Send + Sync,
) {
    let seed = number("SNAP_FUZZ_SEED").unwrap_or_else(chance);
    let seconds = number("SNAP_FUZZ_SECONDS").unwrap_or(DEFAULT_SECONDS);
    let end = Instant::now() + Duration::from_secs(seconds);
    let trying = Mutex::new(Vec::new());
    let (done, news) = mpsc::channel();
    let (trying, check, done) = (&trying, &check, &done);
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut dice = Dice::new(seed);
            let mut waiting = corpus.inputs.iter().rev().cloned().collect::<Vec<_>>();
            while let Some(input) = waiting.pop() {
                trying.lock().expect("nobody panics with it").clone_from(&input);
                let outcome = panic::catch_unwind(AssertUnwindSafe(|| check(&input)));
                let is_sound = outcome.is_ok();
                done.send(is_sound).ok();
                if !is_sound || (waiting.is_empty() && Instant::now() >= end) {
                    break;
                }
                if waiting.is_empty() {
                    waiting.push(change(&corpus.inputs, &mut dice));
                }
            }
            done.send(true).ok();
        });
        let count = watch(&news, corpus.inputs.len(), end, corpus, trying);
        let name = corpus.folder.file_name().unwrap_or_default().display();
        // Written past the harness, which shows what a test prints only when it fails.
        writeln!(io::stdout(), "fuzz {name}: {count} inputs in {seconds} s, seed {seed}")
            .expect("write to stdout");
    });
    let memory = peak_memory();
    assert!(memory < MAX_MEMORY, "{memory} KiB were in use at once");
}

/// Counts inputs until the time is over; an input that panics or hangs is kept, and named.
fn watch(
    news: &mpsc::Receiver<bool>,
    least: usize,
    end: Instant,
    corpus: &Corpus,
    trying: &Mutex<Vec<u8>>,
) -> usize {
    let mut count = 0;
    loop {
        let why = match news.recv_timeout(PATIENCE) {
            Ok(true) if count >= least && Instant::now() >= end => return count,
            Ok(true) => {
                count += 1;
                continue;
            }
            Ok(false) => "panics",
            Err(RecvTimeoutError::Timeout) => "hangs",
            Err(RecvTimeoutError::Disconnected) => return count,
        };
        let input = trying.lock().expect("nobody panics with it").clone();
        let name = format!("finding-{}", &sha256(&input)["sha256:".len()..][..12]);
        let path = corpus.folder.join(name);
        fs::write(&path, input).expect("keep the finding");
        let text = format!("{} {why}", path.display());
        if why == "hangs" {
            // A thread that hangs cannot be ended, and the scope would wait for it.
            writeln!(io::stderr(), "{text}").ok();
            std::process::abort();
        }
        panic!("{text}");
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}: {text:?} is no number")))
}

fn chance() -> u64 {
    getrandom::u64().expect("the system has random numbers")
}

/// Returns the most memory that this process ever had in use, in KiB.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("read the process's status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    number.and_then(|number| number.parse().ok()).expect("the kernel counts memory in kB")
}
