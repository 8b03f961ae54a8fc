//! The lines that a program prints: each is told as it comes, and the last of them are kept.

use std::collections::VecDeque;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;

/// In bytes; what is longer is cut: no program makes this one grow.
const MAX_LINE: usize = 4096;

/// What becomes of the lines of one stream.
pub(super) struct Lines<'a> {
    told: &'a (dyn Fn(&str) + Send + Sync),
    most: usize,
    kept: VecDeque<String>,
    omitted: usize,
    begun: Vec<u8>,
}

impl<'a> Lines<'a> {
    /// Returns lines that are told, and of which so many are kept at most.
    pub(super) fn new(most: usize, told: &'a (dyn Fn(&str) + Send + Sync)) -> Self {
        Self { told, most, kept: VecDeque::new(), omitted: 0, begun: Vec::new() }
    }

    /// Reads to the end; a stream that breaks has ended.
    pub(super) async fn read(&mut self, mut stream: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; 8192];
        while let Ok(length @ 1..) = stream.read(&mut buffer).await {
            buffer[..length].iter().for_each(|byte| self.take(*byte));
        }
        self.end_line();
    }

    /// Returns the lines that are kept, and how many came before them.
    pub(super) fn kept(self) -> (Vec<String>, usize) {
        (self.kept.into(), self.omitted)
    }

    fn take(&mut self, byte: u8) {
        match byte {
            // Whoever draws a line over and over means a terminal.
            b'\n' | b'\r' => self.end_line(),
            _ if self.begun.len() < MAX_LINE => self.begun.push(byte),
            _ => {}
        }
    }

    /// An empty line is none: `\r\n` would make one of each line's end.
    fn end_line(&mut self) {
        if self.begun.is_empty() {
            return;
        }
        let line = String::from_utf8_lossy(&self.begun).into_owned();
        self.begun.clear();
        (self.told)(&line);
        if self.kept.len() == self.most {
            self.kept.pop_front();
            self.omitted += 1;
        }
        self.kept.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    async fn lines(text: &[u8], most: usize) -> (Vec<String>, usize, Vec<String>) {
        let told = Mutex::new(Vec::new());
        let tell = |line: &str| told.lock().unwrap().push(line.to_owned());
        let mut lines = Lines::new(most, &tell);
        lines.read(text).await;
        let (kept, omitted) = lines.kept();
        (kept, omitted, told.into_inner().unwrap())
    }

    #[tokio::test]
    async fn all_lines_are_told_and_the_last_are_kept() {
        let (kept, omitted, told) = lines(b"one\ntwo\r\n\nthree\rfour", 2).await;
        assert_eq!(told, ["one", "two", "three", "four"]);
        assert_eq!((kept, omitted), (vec!["three".to_owned(), "four".to_owned()], 2));
    }

    #[tokio::test]
    async fn a_line_without_end_is_cut_and_bytes_that_are_no_text_are_replaced() {
        let (kept, ..) = lines(&[b'x'; 3 * MAX_LINE], 9).await;
        assert_eq!(kept, ["x".repeat(MAX_LINE)]);
        let (kept, ..) = lines(b"a\xffb\n", 9).await;
        assert_eq!(kept, ["a\u{fffd}b"]);
    }
}
