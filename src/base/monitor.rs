//! What a verb tells whoever watches it: progress, notes and warnings.
//!
//! The library never prints. A terminal, a job of a server and a test each watch in their own way.

use std::sync::Mutex;

/// Watches a verb at work. All methods may be called from any thread.
pub trait Monitor: Send + Sync {
    /// A step begins, such as `dump database`; `total` is its size in bytes where it is known.
    fn step(&self, name: &str, total: Option<u64>);

    /// The current step got on by so many bytes.
    fn advance(&self, bytes: u64);

    /// The current step waits, and why; or it goes on.
    fn waits(&self, _why: Option<&str>) {}

    /// What only a reader who wants all of it reads, such as a line that a hook printed.
    fn detail(&self, _text: &str) {}

    /// Something that the reader should know and that keeps the result whole.
    fn note(&self, text: &str);

    /// The result lacks something that it should hold: the process will end with exit code 3.
    fn warn(&self, text: &str);

    /// A command that the user has given printed a line.
    fn output(&self, _line: &str) {}
}

/// Keeps notes and warnings and passes everything on, for verbs that store what they said.
pub struct Recorder<'a> {
    watched: &'a dyn Monitor,
    said: Mutex<Said>,
}

/// The notes and the warnings of one verb, in the order they were said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// What keeps the result whole.
    pub notes: Vec<String>,
    /// What the result lacks.
    pub warnings: Vec<String>,
}

impl Said {
    /// Says all of it again to another watcher.
    pub fn repeat(&self, monitor: &dyn Monitor) {
        self.notes.iter().for_each(|note| monitor.note(note));
        self.warnings.iter().for_each(|warning| monitor.warn(warning));
    }
}

impl<'a> Recorder<'a> {
    /// Returns a recorder in front of `watched`.
    pub fn new(watched: &'a dyn Monitor) -> Self {
        Self { watched, said: Mutex::default() }
    }

    /// Returns all that was said so far.
    pub fn said(&self) -> Said {
        self.said.lock().expect("no watcher panics while it records").clone()
    }
}

impl Monitor for Recorder<'_> {
    fn step(&self, name: &str, total: Option<u64>) {
        self.watched.step(name, total);
    }

    fn advance(&self, bytes: u64) {
        self.watched.advance(bytes);
    }

    fn waits(&self, why: Option<&str>) {
        self.watched.waits(why);
    }

    fn detail(&self, text: &str) {
        self.watched.detail(text);
    }

    /// A note is taken once: what is tried again notes the same again.
    fn note(&self, text: &str) {
        let mut said = self.said.lock().expect("no watcher panics while it records");
        if said.notes.iter().any(|note| note == text) {
            return;
        }
        said.notes.push(text.to_owned());
        drop(said);
        self.watched.note(text);
    }

    fn warn(&self, text: &str) {
        let mut said = self.said.lock().expect("no watcher panics while it records");
        said.warnings.push(text.to_owned());
        drop(said);
        self.watched.warn(text);
    }

    fn output(&self, line: &str) {
        self.watched.output(line);
    }
}

/// A watcher that looks away.
pub struct Silent;

impl Monitor for Silent {
    fn step(&self, _: &str, _: Option<u64>) {}
    fn advance(&self, _: u64) {}
    fn note(&self, _: &str) {}
    fn warn(&self, _: &str) {}
}
