//! The only file that prints: standard output carries the answer, standard error the talk.
//!
//! What is printed is decided first, as a value, from which the exit code comes too, so that
//! code, text and JSON say the same.

use std::io;
use std::io::ErrorKind;
use std::io::IsTerminal as _;
use std::io::Write as _;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Said;
use crate::base::stages::Spent;
use crate::cli::answer::Answer;
use crate::cli::flags::GlobalFlags;
use crate::cli::human;
use crate::cli::human::printable_lines;
use crate::cli::table::Table;

/// The exit code of a verb that is done, but whose result lacks something.
const DONE_WITH_WARNINGS: u8 = 3;

/// How the user wants to be talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// The answer as text.
    Text,
    /// The least of the answer, and no notes.
    Quiet,
    /// The answer as one JSON object.
    Json,
}

/// The user interface.
#[derive(Clone, Copy)]
pub(super) struct Ui {
    style: Style,
    quiet: bool,
    verbose: bool,
    progress: bool,
}

impl Ui {
    /// Returns the interface that the flags ask for.
    pub(super) fn new(flags: &GlobalFlags) -> Self {
        let style = match (flags.json, flags.quiet) {
            (true, _) => Style::Json,
            (false, true) => Style::Quiet,
            (false, false) => Style::Text,
        };
        let progress = style == Style::Text && !flags.no_progress && io::stderr().is_terminal();
        Self { style, quiet: flags.quiet, verbose: flags.verbose && !flags.quiet, progress }
    }

    /// Returns whether progress is shown.
    pub(super) const fn shows_progress(self) -> bool {
        self.progress
    }

    /// Prints what a step took, where progress does not show it and the user wants to know.
    pub(super) fn step(self, name: &str, bytes: u64, elapsed: Duration) {
        if self.verbose && !self.progress {
            let (bytes, seconds) = (human::size(bytes), elapsed.as_secs_f64());
            talk(&format!("step: {name}: {bytes} in {seconds:.1} s"));
        }
    }

    /// Prints what only a user reads who wants all of it.
    pub(super) fn detail(self, text: &str) {
        if self.verbose {
            talk(text);
        }
    }

    /// Prints a note.
    pub(super) fn note(self, text: &str) {
        if !self.quiet {
            talk(&format!("note: {text}"));
        }
    }

    /// Prints a line that a command of the user printed.
    pub(super) fn output(self, line: &str) {
        if !self.quiet {
            talk(&format!("  | {line}"));
        }
    }

    /// Prints how a command ended; returns the exit code.
    pub(super) fn finish(self, outcome: Result<Answer>, said: &Said, spent: &[Spent]) -> u8 {
        let spent = if self.verbose { spent } else { &[] };
        if self.style == Style::Text && !spent.is_empty() {
            eprint_ignoring_errors(&stages(spent));
        }
        let conclusion = conclude(self.style, outcome, said, spent);
        if let Some(error) = &conclusion.failure {
            report(error);
        }
        write_answer(&conclusion.answer, conclusion.exit_code)
    }
}

/// Prints what clap has to say: help and version as an answer, a wrong argument as an error.
pub(super) fn print_clap(error: &clap::Error, json: bool) -> u8 {
    let exit_code = u8::try_from(error.exit_code()).unwrap_or(Kind::Usage.exit_code());
    let styled = error.render();
    if !error.use_stderr() {
        let terminal = io::stdout().is_terminal();
        let text = if terminal { styled.ansi().to_string() } else { styled.to_string() };
        return write_answer(&text, exit_code);
    }
    let terminal = io::stderr().is_terminal();
    let text = if terminal { styled.ansi().to_string() } else { styled.to_string() };
    eprint_ignoring_errors(&text);
    if !json {
        return exit_code;
    }
    let error = usage_error(&styled.to_string());
    let conclusion = conclude(Style::Json, Err(error), &Said::default(), &[]);
    write_answer(&conclusion.answer, exit_code)
}

/// Prints a warning, which no flag suppresses.
pub(super) fn warning(text: &str) {
    talk(&format!("warning: {text}"));
}

/// Ends the line on standard error that progress was shown on.
pub(super) fn end_line() {
    eprint_ignoring_errors("\n");
}

/// What is printed at the end, and the exit code.
struct Conclusion {
    answer: String,
    failure: Option<Error>,
    exit_code: u8,
}

/// Returns where the time went, a line for each stage.
fn stages(spent: &[Spent]) -> String {
    let mut table = Table::new(&["STAGE", ">SECONDS", ">BYTES"]);
    for Spent { stage, seconds, bytes } in spent {
        let bytes = if *bytes == 0 { "-".to_owned() } else { human::size(*bytes) };
        table.row([stage.name().to_owned(), format!("{seconds:.2}"), bytes]);
    }
    table.to_text()
}

fn conclude(style: Style, outcome: Result<Answer>, said: &Said, spent: &[Spent]) -> Conclusion {
    let (answer, failure) = match outcome {
        Ok(mut answer) => {
            let failure = answer.failure.take();
            (Some(answer), failure)
        }
        Err(error) => (None, Some(error)),
    };
    let exit_code = match &failure {
        Some(error) => error.kind().exit_code(),
        None if said.warnings.is_empty() => 0,
        None => DONE_WITH_WARNINGS,
    };
    let answer = match style {
        Style::Json => as_json(answer, failure.as_ref(), said, spent),
        Style::Text => answer.map(|answer| answer.text).unwrap_or_default(),
        Style::Quiet => answer.map(least).unwrap_or_default(),
    };
    Conclusion { answer, failure, exit_code }
}

fn least(answer: Answer) -> String {
    answer.least.unwrap_or(answer.text)
}

/// Returns one object: the answer under its name, the error where there is one, what was said, and where
/// the time went if that was asked for.
fn as_json(
    answer: Option<Answer>,
    failure: Option<&Error>,
    said: &Said,
    spent: &[Spent],
) -> String {
    let mut object = serde_json::Map::new();
    if let Some(answer) = answer {
        object.insert(answer.name.to_owned(), answer.value);
    }
    if let Some(error) = failure {
        object.insert("error".to_owned(), error_as_json(error));
    }
    object.insert("notes".to_owned(), json!(said.notes));
    object.insert("warnings".to_owned(), json!(said.warnings));
    if !spent.is_empty() {
        object.insert("stages".to_owned(), json!(spent));
    }
    format!("{:#}\n", Value::Object(object))
}

fn error_as_json(error: &Error) -> Value {
    json!({
        "kind": error.kind().name(),
        "exit_code": error.kind().exit_code(),
        "message": error.chain(),
        "hint": error.advice(),
    })
}

/// Returns what clap complains about as an error of ours: its first paragraph is the complaint.
fn usage_error(text: &str) -> Error {
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    let message = words.join(" ");
    Error::new(Kind::Usage, message.strip_prefix("error: ").unwrap_or(&message))
        .hint("`snap --help` and `snap COMMAND --help` say what is allowed")
}

/// Prints an error with its causes and its hint.
pub(super) fn report(error: &Error) {
    talk(&format!("error: {}", error.chain()));
    if let Some(hint) = error.advice() {
        talk(&format!("hint: {hint}"));
    }
}

fn talk(line: &str) {
    eprint_ignoring_errors(&(printable_lines(line) + "\n"));
}

/// Prints to standard error. When nobody can hear, the exit code still speaks.
fn eprint_ignoring_errors(text: &str) {
    drop(io::stderr().write_all(text.as_bytes()));
}

/// Prints the answer; returns the exit code, which says so when the answer could not be printed.
/// A reader that has read enough, such as `head`, is no failure.
fn write_answer(answer: &str, exit_code: u8) -> u8 {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(answer.as_bytes()).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let error = Error::failed("cannot write to standard output").caused_by(error);
            report(&error);
            if exit_code == 0 { error.kind().exit_code() } else { exit_code }
        }
        _ => exit_code,
    }
}

#[cfg(test)]
mod tests {
    use crate::base::stages::Stage;

    use super::*;

    fn answer() -> Answer {
        Answer::new("snapshot", &json!({"id": "a"}), "a\nthe rest\n".to_owned())
            .least("a\n".to_owned())
    }

    fn failure() -> Error {
        let cause = io::Error::other("no such socket");
        Error::new(Kind::Unreachable, "cannot connect").hint("start it").caused_by(cause)
    }

    fn warned() -> Said {
        Said { notes: vec!["n".to_owned()], warnings: vec!["w".to_owned()] }
    }

    #[test]
    fn an_answer_without_warnings_exits_with_zero() {
        let conclusion = conclude(Style::Text, Ok(answer()), &Said::default(), &[]);
        assert_eq!((conclusion.answer.as_str(), conclusion.exit_code), ("a\nthe rest\n", 0));
    }

    #[test]
    fn notes_keep_zero_and_warnings_make_three() {
        let noted = Said { warnings: Vec::new(), ..warned() };
        assert_eq!(conclude(Style::Text, Ok(answer()), &noted, &[]).exit_code, 0);
        assert_eq!(conclude(Style::Text, Ok(answer()), &warned(), &[]).exit_code, 3);
    }

    #[test]
    fn quiet_prints_the_least() {
        let conclusion = conclude(Style::Quiet, Ok(answer()), &Said::default(), &[]);
        assert_eq!(conclusion.answer, "a\n");
    }

    #[test]
    fn json_is_one_object_with_the_answer_and_what_was_said() {
        let conclusion = conclude(Style::Json, Ok(answer()), &warned(), &[]);
        let value: Value = serde_json::from_str(&conclusion.answer).expect("one object");
        let expected = json!({"snapshot": {"id": "a"}, "notes": ["n"], "warnings": ["w"]});
        assert_eq!(value, expected);
        assert_eq!(conclusion.exit_code, 3);
    }

    #[test]
    fn who_asks_for_the_stages_has_them_in_text_and_in_json() {
        let spent = [
            Spent { stage: Stage::Moment, seconds: 0.5, bytes: 0 },
            Spent { stage: Stage::Reading, seconds: 12.0, bytes: 1 << 30 },
        ];
        let expected = "\
            STAGE    SECONDS    BYTES\n\
            moment      0.50        -\n\
            reading    12.00  1.0 GiB\n";
        assert_eq!(stages(&spent), expected);
        let conclusion = conclude(Style::Json, Ok(answer()), &Said::default(), &spent);
        let value: Value = serde_json::from_str(&conclusion.answer).expect("one object");
        let reading = json!({"stage": "reading", "seconds": 12.0, "bytes": 1 << 30});
        assert_eq!(value["stages"][1], reading);
    }

    #[test]
    fn an_error_has_the_exit_code_of_its_kind_in_json_too() {
        let conclusion = conclude(Style::Json, Err(failure()), &warned(), &[]);
        let value: Value = serde_json::from_str(&conclusion.answer).expect("one object");
        let expected = json!({
            "error": {
                "kind": "unreachable",
                "exit_code": 20,
                "message": "cannot connect: no such socket",
                "hint": "start it",
            },
            "notes": ["n"],
            "warnings": ["w"],
        });
        assert_eq!(value, expected);
        assert_eq!(conclusion.exit_code, 20);
    }

    #[test]
    fn an_answer_that_fails_is_printed_and_fails() {
        let outcome = Ok(answer().failing(Some(failure())));
        let conclusion = conclude(Style::Text, outcome, &warned(), &[]);
        assert_eq!((conclusion.answer.as_str(), conclusion.exit_code), ("a\nthe rest\n", 20));
        assert!(conclusion.failure.is_some());
    }

    #[test]
    fn a_wrong_argument_is_told_by_its_first_paragraph() {
        let text = "error: these were not provided:\n  <ID>\n\nUsage: snap show <ID>\n";
        assert_eq!(usage_error(text).to_string(), "these were not provided: <ID>");
    }
}
