//! A database client that stays connected, for what other clients then run into.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::process::Child;
use std::process::ChildStdin;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;

/// What a client prints when it has come to the end of what it was told.
const END: &str = "~ that is all ~";

/// A client with a connection of its own, closed when this is dropped.
pub(crate) struct Session {
    client: Child,
    input: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Session {
    /// Starts a client that reads statements from its standard input.
    pub(crate) fn start(mut client: Command) -> Self {
        client.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut client = client.spawn().expect("start mariadb");
        let input = client.stdin.take().expect("its input is piped");
        let answers = BufReader::new(client.stdout.take().expect("its output is piped"));
        Self { client, input, answers }
    }

    /// Begins statements without waiting for their end.
    pub(crate) fn begin(&mut self, statements: &str) {
        writeln!(self.input, "{statements};\nSELECT '{END}';").expect("tell mariadb what to do");
    }

    /// Waits for the end of what was begun; returns what it printed.
    pub(crate) fn finish(&mut self) -> String {
        let mut answer = String::new();
        loop {
            let start = answer.len();
            let length = self.answers.read_line(&mut answer).expect("read what mariadb prints");
            assert!(length > 0, "mariadb ended after {answer:?}");
            if answer[start..].trim_end() == END {
                answer.truncate(start);
                return answer;
            }
        }
    }

    /// Runs statements to their end; returns what they print.
    pub(crate) fn run(&mut self, statements: &str) -> String {
        self.begin(statements);
        self.finish()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // An error means that it has ended already.
        self.client.kill().ok();
        self.client.wait().ok();
    }
}
