//! The commands of an upgrade: their output is told and kept, and whoever comes later can see
//! whether they are at work still.

use std::time::Duration;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::masked;
use crate::base::process::Process;
use crate::snapshot::upgrade::UpgradeOptions;
use crate::snapshot::upgrade::Upgrading;
use crate::snapshot::upgrade::failed;
use crate::snapshot::upgrade::log::Log;

/// How long it may take to find a program.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a command that is told to end has for it: a package manager that is killed in the middle
/// of a transaction leaves packages half installed.
const GRACE: Duration = Duration::from_secs(600);

/// How many lines of a command that failed are told again.
const LAST_LINES: usize = 20;

/// What went wrong, and the last lines of the command that did, where it was one.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) error: Error,
    pub(super) lines: Vec<String>,
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self { error, lines: Vec::new() }
    }
}

impl Upgrading<'_> {
    /// Fails where there is no such program, before anything is stopped for it.
    pub(super) async fn check_command(&self, options: &UpgradeOptions) -> Result<()> {
        let program = options.command.first().map_or("", String::as_str);
        let find = ["-c", "command -v \"$0\"", program];
        if Process::program("sh", find, PATIENCE).answer().await?.is_success() {
            return Ok(());
        }
        let text = format!("cannot upgrade: there is no program {program:?}");
        Err(Error::new(Kind::Usage, text)
            .hint("what follows `--` is run as it is given; for the shell: sh -c 'COMMAND'"))
    }

    /// Runs a program with its arguments, for as long as it takes.
    pub(super) async fn run_command(
        &self,
        words: &[String],
        stop: impl Future<Output = Error>,
    ) -> std::result::Result<(), Broken> {
        let (program, arguments) = words.split_first().expect("the command was looked for before");
        let process = Process::program(program, arguments, Duration::MAX);
        self.run(process, &masked::words(words).join(" "), stop).await
    }

    /// Runs a command of the shell.
    pub(super) async fn run_shell(
        &self,
        command: &str,
        limit: Duration,
    ) -> std::result::Result<(), Broken> {
        let line = masked::line(command);
        self.run(Process::shell(command, limit), &line, std::future::pending()).await
    }

    async fn run(
        &self,
        process: Process,
        line: &str,
        stop: impl Future<Output = Error>,
    ) -> std::result::Result<(), Broken> {
        let (journals, execution) = (self.host.journals(), self.journal.execution());
        let (id, upgrade) = (execution.id, execution.upgrade.unwrap_or_default());
        let log = Log::open(&journals.log(&id), line);
        let tell = |line: &str| {
            log.line(line);
            self.monitor.output(line);
        };
        let process = process
            .signing(journals.process(&id))
            .with_grace(GRACE)
            .with("SNAP_EXECUTION", id)
            .with("SNAP_SNAPSHOT_ID", execution.snapshot.unwrap_or_default())
            .with("SNAP_FROM_VERSION", upgrade.from.unwrap_or_default())
            .with("SNAP_TO_VERSION", upgrade.to.unwrap_or_default());
        let stop = async {
            let stopped = stop.await;
            let told = format!("{} is told to end, and has the time that it takes", process.name());
            self.monitor.note(&told);
            stopped
        };
        let ended = match process.run(&tell, stop).await {
            Ok(ended) => ended,
            Err(error) => {
                log.end(&[], &error.chain());
                return Err(error.into());
            }
        };
        log.end(&ended.output, &ended.end.to_string());
        if ended.is_success() {
            return Ok(());
        }
        let first = ended.output.len().saturating_sub(LAST_LINES);
        let lines = ended.output[first..].to_vec();
        Err(Broken { error: failed(format!("{} {}", process.name(), ended.end)), lines })
    }
}
