//! A program that is run: for so long at most, with all that it prints, and with an end to all that
//! it started.
//!
//! A program has a process group of its own, so that a time limit or Ctrl-C ends what it started
//! too: it is told (TERM), and a few seconds later ended (KILL). Dropped, it is ended at once. What
//! it leaves running when it ends by itself runs on: a command may start a service.
//!
//! Commands may hold passwords, so messages name the program alone; and what is kept of the output
//! is bounded, whatever it prints. Programs are given the usual file modes (umask 022), not those
//! of this process, which makes every file for its owner alone; the folders of the system's programs
//! are searched too, which cron leaves out; they read nothing; and they do not see the password of
//! the database.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fmt;
use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process_group;
use rustix::process::test_kill_process_group;
use tokio::net::unix::pipe::Receiver;
use tokio::process::Child;
use tokio::process::Command;
use tokio::time::Instant;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::lines::Lines;

mod naming;
pub mod sign;
mod streams;

pub use crate::base::process::naming::program_of;
use crate::base::process::sign::SIGN;

/// How long a program that is told to end has for it.
const GRACE: Duration = Duration::from_millis(if cfg!(test) { 500 } else { 5000 });

/// How often it is looked whether all that it started is gone.
const LOOK: Duration = Duration::from_millis(20);

/// How long is read on, when a program has ended and something that it started holds its output.
const DRAIN: Duration = Duration::from_millis(500);

/// How many lines of a command's output are kept.
const KEPT_LINES: usize = 200;

/// How many lines of an answer are kept, which is all of any answer.
const ANSWER_LINES: usize = 100_000;

/// What is said to the shell before anything else.
const BEFORE: &str = "\
umask 022
export PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
";

/// What no program is told.
const SECRETS: &[&str] = &["SNAP_DATABASE_PASSWORD"];

/// The status of a shell whose program is absent.
const ABSENT: i32 = 127;

/// A program to run.
pub struct Process {
    name: String,
    /// What the shell runs.
    script: String,
    /// What the script is given.
    words: Vec<OsString>,
    /// The file that it signs.
    signed: Option<PathBuf>,
    environment: Vec<(String, String)>,
    limit: Duration,
    grace: Duration,
}

/// How a program ended, and what it printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How it ended.
    pub end: End,
    /// The last lines of its output.
    pub output: Vec<String>,
    /// How many lines came before those.
    pub omitted: usize,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// By its time limit, which it reached.
    Overtime(Duration),
}

impl Process {
    /// Returns a command for the shell, and how long it may take.
    pub fn shell(command: &str, limit: Duration) -> Self {
        Self::new(OsStr::new(program_of(command)), command, Vec::new(), limit)
    }

    /// Returns a program with its arguments, and how long it may take.
    pub fn program<S: Into<OsString>>(
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = S>,
        limit: Duration,
    ) -> Self {
        let program = program.as_ref();
        let mut words = vec![program.to_owned()];
        words.extend(arguments.into_iter().map(Into::into));
        Self::new(program, "exec \"$@\"", words, limit)
    }

    fn new(program: &OsStr, script: &str, words: Vec<OsString>, limit: Duration) -> Self {
        let name = Path::new(program).file_name().unwrap_or(program);
        let (name, script) = (name.to_string_lossy().into_owned(), script.to_owned());
        Self { name, script, words, signed: None, environment: Vec::new(), limit, grace: GRACE }
    }

    /// Lets it sign this file before it begins: whoever comes after this process can see by
    /// [`sign::at_work`] whether it is at work still.
    #[must_use]
    pub fn signing(mut self, file: PathBuf) -> Self {
        self.signed = Some(file);
        self
    }

    /// Adds a variable to the environment.
    #[must_use]
    pub fn with(mut self, variable: &str, value: impl Into<String>) -> Self {
        self.environment.push((variable.to_owned(), value.into()));
        self
    }

    /// Gives it so long to come to an end once it is told to: a program that must not be ended in the
    /// middle of its work needs more than a moment.
    #[must_use]
    pub const fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Returns the name of the program, which is all that messages say of it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs it to its end; each line that it prints, to either stream, is told as it comes. Once
    /// `stop` returns it is ended, and the error of `stop` is the result.
    pub async fn run(
        &self,
        told: &(dyn Fn(&str) + Send + Sync),
        stop: impl Future<Output = Error>,
    ) -> Result<Ended> {
        let (receiver, sender) = self.pipe()?;
        let also = sender.try_clone().context(|| self.cannot_start())?;
        let running = self.start(Stdio::null(), sender.into(), also.into())?;
        let mut lines = Lines::new(KEPT_LINES, told);
        let end = Self::read(running, receiver, &mut lines, stop).await?;
        let (output, omitted) = lines.kept();
        Ok(Ended { end, output, omitted })
    }

    /// Runs it to its end, and returns all lines of its standard output; what it complains of goes
    /// nowhere. For questions, whose answer decides.
    pub async fn answer(&self) -> Result<Ended> {
        let (receiver, sender) = self.pipe()?;
        let running = self.start(Stdio::null(), sender.into(), Stdio::null())?;
        let told = |_: &str| {};
        let mut lines = Lines::new(ANSWER_LINES, &told);
        let end = Self::read(running, receiver, &mut lines, pending()).await?;
        let (output, omitted) = lines.kept();
        Ok(Ended { end, output, omitted })
    }

    /// Starts it between these streams.
    pub fn start(&self, input: Stdio, output: Stdio, errors: Stdio) -> Result<Running> {
        let mut command = Command::new("/bin/sh");
        let sign = self.signed.as_ref().map_or("", |_| SIGN);
        command.arg("-c").arg(format!("{BEFORE}{sign}{}", self.script)).arg("sh");
        command.args(&self.signed).args(&self.words).process_group(0);
        command.stdin(input).stdout(output).stderr(errors);
        for secret in SECRETS {
            command.env_remove(secret);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let child = command.spawn().context(|| self.cannot_start())?;
        let id = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Running { child, group: id, limit: self.limit, grace: self.grace })
    }

    async fn read(
        mut running: Running,
        receiver: Receiver,
        lines: &mut Lines<'_>,
        stop: impl Future<Output = Error>,
    ) -> Result<End> {
        let mut reading = pin!(lines.read(receiver));
        let mut ending = pin!(running.end(stop));
        let end = tokio::select! {
            end = &mut ending => end,
            () = &mut reading => return ending.await,
        };
        // What it started may hold its output for as long as it lives.
        _ = timeout(DRAIN, reading).await;
        end
    }

    fn pipe(&self) -> Result<(Receiver, io::PipeWriter)> {
        let (receiver, sender) = io::pipe().context(|| self.cannot_start())?;
        let receiver = Receiver::from_owned_fd(OwnedFd::from(receiver));
        Ok((receiver.context(|| self.cannot_start())?, sender))
    }

    fn cannot_start(&self) -> String {
        format!("cannot start {}", self.name)
    }
}

/// A program at work. Dropped, it is ended with all that it started.
pub struct Running {
    /// The program, with the streams that it was given.
    pub child: Child,
    /// Its process group; none once it has ended by itself.
    group: Option<Pid>,
    limit: Duration,
    grace: Duration,
}

impl Running {
    /// Waits for its end. At its time limit, and once `stop` returns, it is ended with all that it
    /// started; then the error of `stop` is the result.
    pub async fn end(&mut self, stop: impl Future<Output = Error>) -> Result<End> {
        tokio::select! {
            biased;
            stopped = stop => {
                self.finish().await;
                Err(stopped)
            }
            status = self.child.wait() => {
                self.group = None;
                Ok(End::of(status.context(|| "cannot wait for its end".to_owned())?))
            }
            () = sleep(self.limit) => {
                self.finish().await;
                Ok(End::Overtime(self.limit))
            }
        }
    }

    /// Tells it to end, with all that it started, and ends it when it takes too long.
    async fn finish(&mut self) {
        let Some(group) = self.group.take() else { return };
        _ = kill_process_group(group, Signal::TERM);
        let last = Instant::now() + self.grace;
        // Its own remains would count as one of the group.
        drop(timeout(self.grace, self.child.wait()).await);
        while test_kill_process_group(group).is_ok() {
            if Instant::now() >= last {
                _ = kill_process_group(group, Signal::KILL);
                drop(self.child.wait().await);
                return;
            }
            sleep(LOOK).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Ended {
    /// Returns whether it came to a good end.
    pub fn is_success(&self) -> bool {
        self.end.is_success()
    }
}

impl End {
    fn of(status: ExitStatus) -> Self {
        let signal = || Self::Signal(status.signal().unwrap_or_default());
        status.code().map_or_else(signal, Self::Exit)
    }

    /// Returns whether it came to a good end.
    pub fn is_success(self) -> bool {
        self == Self::Exit(0)
    }

    /// Returns whether there was no such program.
    pub fn is_absent(self) -> bool {
        self == Self::Exit(ABSENT)
    }
}

/// Says how it ended, as what follows a program's name.
impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(formatter, "ended with exit code {code}"),
            Self::Signal(signal) => write!(formatter, "was ended by signal {signal}"),
            Self::Overtime(limit) => {
                write!(formatter, "took more than {} s and was ended", limit.as_secs_f64())
            }
        }
    }
}

#[cfg(test)]
mod tests;
