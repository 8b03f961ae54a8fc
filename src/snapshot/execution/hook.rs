//! Hooks: what the journal of an execution keeps of those that ran around it.

use serde::Deserialize;
use serde::Serialize;

/// A hook that ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRun {
    /// When it ran: `before`, `after`, `failed` or `finally`.
    pub when: String,
    /// Its program; the command itself may hold a password.
    pub program: String,
    /// How it ended; nothing where its end was not seen.
    pub end: Option<String>,
    /// Whether it did what it should.
    pub succeeded: bool,
    /// The last lines that it printed.
    pub output: Vec<String>,
    /// How many lines came before those.
    pub omitted: usize,
}
