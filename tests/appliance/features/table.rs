//! The table, its footnotes, and its place in the README.

use std::collections::BTreeSet;
use std::iter;
use std::process::Command;

use crate::features::case::Case;
use crate::features::case::Note;
use crate::features::tool::Tool;
use crate::server::assert_succeeds;

const BEGIN: &str = "<!-- what comes back: written by the tests -->\n";
const END: &str = "<!-- end of what comes back -->\n";
const SEEN_WITH: &str = "Seen with MariaDB ";

/// How a feature has come back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Exact,
    /// All is there, and some of it otherwise: the lines that differ.
    Changed(String),
    /// Something is missing, or the restore has ended halfway: the lines that differ.
    Lost(String),
    Refused,
}

/// A cell, and what the tool said.
pub(super) struct Seen {
    pub(super) case: &'static Case,
    pub(super) tool: Tool,
    pub(super) outcome: Outcome,
    pub(super) said: String,
}

/// A row: a cell for each tool.
pub(super) struct Row(Vec<Seen>);

impl Outcome {
    pub(super) fn of(before: &[String], after: &[String], has_ended_well: bool) -> Self {
        if before == after && has_ended_well {
            return Self::Exact;
        }
        let differing = [only("-", before, after), only("+", after, before)].concat();
        if after.len() < before.len() || !has_ended_well {
            Self::Lost(differing)
        } else {
            Self::Changed(differing)
        }
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Changed(_) => "changed",
            Self::Lost(_) => "lost",
            Self::Refused => "refused",
        }
    }

    fn differing(&self) -> &str {
        match self {
            Self::Exact | Self::Refused => "",
            Self::Changed(differing) | Self::Lost(differing) => differing,
        }
    }
}

/// Returns the lines that the others lack, behind a sign.
fn only(sign: &str, lines: &[String], others: &[String]) -> String {
    let others: BTreeSet<_> = others.iter().collect();
    let lines = lines.iter().filter(|line| !others.contains(line));
    lines.flat_map(|line| [sign, " ", line, "\n"]).collect()
}

impl Seen {
    /// Returns what stands in the cell: the word, and the number of its note, which is added where it is new.
    fn text(&self, notes: &mut Vec<&'static str>) -> String {
        let word = self.outcome.word();
        let Some(note) = self.note() else { return word.to_owned() };
        let known = notes.iter().position(|why| *why == note.why);
        let position = known.unwrap_or(notes.len());
        if known.is_none() {
            notes.push(note.why);
        }
        format!("{word} <sup>{}</sup>", position + 1)
    }

    fn note(&self) -> Option<&'static Note> {
        self.case.notes.iter().find(|note| note.tool == self.tool)
    }

    /// Returns what is wrong with the reason, or with what `snap` did, and what was seen.
    fn complaint(&self) -> Option<String> {
        let Self { case, tool, outcome, said } = self;
        let differing = outcome.differing();
        let is_exact = *outcome == Outcome::Exact;
        let is_told = match outcome {
            Outcome::Exact | Outcome::Refused => true,
            Outcome::Lost(_) => said.contains("\nwarning: "),
            Outcome::Changed(_) => false,
        };
        let wrong = match self.note() {
            _ if *tool == Tool::Snap && !is_told => {
                "it must come back exactly, or be refused, or be told by a warning"
            }
            None if !is_exact => "no note says why",
            Some(_) if is_exact => "a note says why it does not come back, and it does",
            Some(note) if ![said, differing].iter().any(|text| text.contains(note.shown_by)) => {
                "nothing shows what its note says"
            }
            _ => return None,
        };
        let start = |text: &str| text.chars().take(3000).collect::<String>();
        let (name, tool, outcome) = (case.name, tool.name(), outcome.word());
        let seen = format!("{}\n{}", start(said), start(differing));
        Some(format!("{name} by {tool}, {outcome}: {wrong}\n{seen}\n"))
    }
}

/// Fails where a cell of these tools is not explained by its note, or `snap` is to blame.
#[track_caller]
pub(super) fn assert_explained(rows: &[Row], tools: &[Tool]) {
    let cells = rows.iter().flat_map(|row| &row.0).filter(|seen| tools.contains(&seen.tool));
    let complaints: String = cells.filter_map(Seen::complaint).collect();
    assert!(complaints.is_empty(), "{complaints}");
}

/// Returns the rows of these columns, one for each tool.
pub(super) fn rows(columns: Vec<Vec<Seen>>) -> Vec<Row> {
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    let row = || Row(columns.iter_mut().filter_map(Iterator::next).collect());
    iter::repeat_with(row).take_while(|row| !row.0.is_empty()).collect()
}

/// Returns the table, its footnotes, and what was run.
pub(super) fn markdown(rows: &[Row]) -> String {
    let mut notes = Vec::new();
    let heads = Tool::ALL.map(Tool::name).join(" | ");
    let mut lines =
        vec![format!("| | {heads} |"), format!("| ---{} |", " | ---".repeat(Tool::ALL.len()))];
    for Row(cells) in rows {
        let words: Vec<_> = cells.iter().map(|seen| seen.text(&mut notes)).collect();
        lines.push(format!("| {} | {} |", cells[0].case.name, words.join(" | ")));
    }
    lines.push(String::new());
    lines.extend((1..).zip(notes).map(|(number, note)| format!("{number}. {note}")));
    let run = Tool::ALL.map(Tool::usage).concat();
    format!("\n{}\n\n{}\n\n```\n{run}```\n\n", lines.join("\n"), versions())
}

/// Returns the line that says which releases were run.
fn versions() -> String {
    let (server, mydumper) = (version("mariadb-dump", "-MariaDB"), version("mydumper", "."));
    format!("{SEEN_WITH}{server} and mydumper {mydumper}, run with the options that keep most:")
}

/// Returns the first number in what a program says of its version that has this mark.
fn version(program: &str, mark: &str) -> String {
    let output = Command::new(program).arg("--version").output().expect("ask for a version");
    let said = assert_succeeds(&output, program);
    let word = said.split([' ', ',']).find(|word| word.contains(mark));
    let number = word.expect("it tells its version").trim_start_matches('v');
    number.chars().take_while(|letter| letter.is_ascii_digit() || *letter == '.').collect()
}

/// Returns the README with this between its marks.
pub(super) fn put_into(readme: &str, table: &str) -> String {
    let (before, rest) = readme.split_once(BEGIN).expect("the README has a place for the table");
    let (_, after) = rest.split_once(END).expect("the place for the table ends");
    format!("{before}{BEGIN}{table}{END}{after}")
}

/// Returns whether the README speaks of the releases that are run here.
pub(super) fn is_of_these_releases(readme: &str) -> bool {
    releases(readme) == releases(&versions())
}

/// Fails where the README says otherwise than what was just seen; of other releases than it speaks of, what is said
/// of `snap` is compared alone.
#[track_caller]
pub(super) fn assert_same(written: &str, fresh: &str) {
    let is_same_release = is_of_these_releases(written);
    let told = |readme: &str| -> Vec<String> {
        let lines = readme.lines().filter(|line| !line.starts_with(SEEN_WITH));
        if is_same_release {
            return lines.map(str::to_owned).collect();
        }
        let rows = lines.filter(|line| line.starts_with("| "));
        let words = |row: &str| row.split(['|', '<']).take(3).collect();
        rows.map(words).collect()
    };
    let (written, fresh) = (told(written), told(fresh));
    let differing = written.iter().zip(&fresh).find(|(old, new)| old != new);
    assert!(
        written == fresh,
        "the README does not say what comes back; SNAP_TEST_WRITE=1 writes it there. It differs first in\n{differing:#?}"
    );
}

/// Returns the releases that the README speaks of, without their patches.
fn releases(readme: &str) -> Vec<String> {
    let line = readme.lines().find(|line| line.starts_with(SEEN_WITH)).unwrap_or_default();
    let numbers = line.split(' ').filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    numbers.map(|number| number.split('.').take(2).collect::<Vec<_>>().join(".")).collect()
}
