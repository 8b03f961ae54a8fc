//! What the commands of an upgrade print: kept beside its journal, in bounds.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;

/// How many bytes are kept of one command, beside its last lines.
const MOST: usize = 4 << 20;

/// A file that a command's lines are written to as they come. One that cannot be written to keeps
/// no command from its work.
pub(super) struct Log(Mutex<Kept>);

struct Kept {
    file: Option<File>,
    room: usize,
    omitted: usize,
}

impl Log {
    /// Opens the log for what this command prints; its line is kept as it is given here.
    pub(super) fn open(path: &Path, command: &str) -> Self {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(path);
        let mut kept = Kept { file: file.ok(), room: MOST, omitted: 0 };
        drop(kept.write(&format!("# {command}")));
        Self(Mutex::new(kept))
    }

    /// Writes a line, while there is room.
    pub(super) fn line(&self, line: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.room.checked_sub(line.len() + 1) {
            Some(room) if kept.omitted == 0 => {
                kept.room = room;
                drop(kept.write(line));
            }
            _ => kept.omitted += 1,
        }
    }

    /// Writes how the command ended, and before it the last of those lines that there was no room
    /// for.
    pub(super) fn end(self, last: &[String], end: &str) {
        let mut kept = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        drop(kept.end(last, end));
    }
}

impl Kept {
    fn end(&mut self, last: &[String], end: &str) -> io::Result<()> {
        let gone = self.omitted.saturating_sub(last.len());
        if gone > 0 {
            self.write(&format!("[{gone} lines are not kept]"))?;
        }
        for line in &last[last.len().saturating_sub(self.omitted)..] {
            self.write(line)?;
        }
        self.write(&format!("[{end}]"))?;
        self.file.as_ref().map_or(Ok(()), File::sync_all)
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| writeln!(file, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn of_an_output_without_measure_the_beginning_and_the_last_lines_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = Log::open(&path, "seq");
        let lines: Vec<String> = (0..600).map(|number| format!("{number}").repeat(4000)).collect();
        for line in &lines {
            log.line(line);
        }
        log.end(&lines[590..], "it ended");
        Log::open(&path, "true").end(&[], "it ended too");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.len() < MOST + (1 << 20), "{}", text.len());
        assert!(text.starts_with("# seq\n0000") && text.contains(" lines are not kept]\n590590"));
        assert!(text.ends_with("[it ended]\n# true\n[it ended too]\n"));
    }
}
