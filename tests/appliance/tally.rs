//! What was broken on purpose, counted for the end of `tests/run`.
//!
//! A test that passes prints nothing, so each writes its line to the file that `SNAP_TEST_TALLY`
//! names, where it does. A line begins with its count and the word that the counts are summed by.

#![expect(clippy::print_stdout, reason = "who runs one test reads its numbers at once")]

use std::env;
use std::fs::File;
use std::io::Write as _;

/// Prints what a reader needs to repeat a test that fails.
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// Tells that so many of `what` were run, and passed: `kills`, `faults` or `damages`.
pub(crate) fn tell(count: usize, what: &str, of: &str) {
    let line = format!("{count} {what} {of}\n");
    say(line.trim_end());
    let Some(path) = env::var_os("SNAP_TEST_TALLY") else { return };
    let file = File::options().create(true).append(true).open(path);
    // One write: tests run side by side.
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("write to SNAP_TEST_TALLY");
}
