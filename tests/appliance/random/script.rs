//! SQL that can be taken apart: each statement, and each column with its values, can be left out.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Statements in the order in which they are run. One that the server refuses leaves no trace.
pub(super) struct Script {
    statements: Vec<Statement>,
    parts: usize,
}

/// A statement: its head, its members with commas between, its tail.
struct Statement {
    part: usize,
    head: String,
    members: Vec<Member>,
    tail: String,
}

/// A piece of a statement that falls with a part: a column in its table, a value in its row.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) part: usize,
    pub(super) text: String,
}

impl Script {
    pub(super) const fn new() -> Self {
        Self { statements: Vec::new(), parts: 0 }
    }

    /// Returns the number of a part that can be left out.
    pub(super) const fn part(&mut self) -> usize {
        self.parts += 1;
        self.parts - 1
    }

    pub(super) const fn parts(&self) -> usize {
        self.parts
    }

    pub(super) fn run(&mut self, statement: impl Into<String>) {
        self.run_members(statement, Vec::new(), "");
    }

    pub(super) fn run_members(
        &mut self,
        head: impl Into<String>,
        members: Vec<Member>,
        tail: impl Into<String>,
    ) {
        let (part, head, tail) = (self.part(), head.into(), tail.into());
        self.statements.push(Statement { part, head, members, tail });
    }

    /// Returns the text for the server's client, without the parts that are left out.
    pub(super) fn text(&self, left_out: &BTreeSet<usize>) -> String {
        let mut text = "DELIMITER $$\n".to_owned();
        for statement in self.statements.iter().filter(|s| !left_out.contains(&s.part)) {
            let kept = statement.members.iter().filter(|member| !left_out.contains(&member.part));
            let members: Vec<_> = kept.map(|member| member.text.as_str()).collect();
            if statement.members.is_empty() || !members.is_empty() {
                let Statement { head, tail, .. } = statement;
                let _ = writeln!(text, "{head}{}{tail} $$", members.join(", "));
            }
        }
        text
    }
}
