//! What a command answers: one truth, as text, as JSON and as an exit code.

use serde::Serialize;
use serde_json::Value;

use crate::base::error::Error;

/// The answer of a command that came to its end.
pub(super) struct Answer {
    /// The key under which JSON has it.
    pub(super) name: &'static str,
    pub(super) value: Value,
    /// What people read; each line ends in a line end.
    pub(super) text: String,
    /// What `--quiet` prints instead of the text.
    pub(super) least: Option<String>,
    /// Why the process fails although there is an answer, such as a damaged snapshot that
    /// `verify` found.
    pub(super) failure: Option<Error>,
}

impl Answer {
    /// Returns an answer.
    pub(super) fn new(name: &'static str, value: &impl Serialize, text: String) -> Self {
        let value = serde_json::to_value(value).expect("an answer is text and numbers");
        Self { name, value, text, least: None, failure: None }
    }

    /// Adds what `--quiet` prints instead of the text.
    pub(super) fn least(mut self, text: String) -> Self {
        self.least = Some(text);
        self
    }

    /// Adds why the process fails although there is an answer.
    pub(super) fn failing(mut self, failure: Option<Error>) -> Self {
        self.failure = failure;
        self
    }
}
