//! A verb between its hooks: what a profile runs before it, after it, and whatever comes of it.
//!
//! Hooks run in the turn of their verb, each kind in the order of the profile. So one that is
//! refused because another verb is at work runs none of them, and no `finally` takes back what the
//! `before` of the other has done. From then on all that fails, from an absent repository on, is
//! followed by `failed`, and everything by `finally`.
//!
//! - A `before` that fails, or takes too long, stops the verb before anything else is done.
//! - Of the others, one that fails keeps nobody from running, and is a warning: what the verb did is
//!   done. The verb's own error stays the error.
//! - Ctrl-C ends a `before` that runs. What runs afterwards runs to its end, or to its limit.
//! - A process that is killed runs no more hooks, and neither does who resumes its work: nobody knows
//!   how far a hook had come, and what a `before` prepared may long be over.
//!
//! Hooks come from this host's own profile. A snapshot has none, whoever made it.

use std::pin::Pin;
use std::pin::pin;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::base::process::Process;
use crate::profile::Profile;
use crate::profile::service::Hook;
use crate::profile::service::Verb;
use crate::profile::service::When;
use crate::snapshot::execution::HookRun;
use crate::snapshot::execution::Journal;
use crate::snapshot::execution::Journals;
use crate::snapshot::turn::Turn;

/// How many lines of what a hook printed its journal keeps.
const KEPT_LINES: usize = 50;

/// A verb that runs between its hooks.
#[derive(Clone, Copy)]
pub struct Hooked<'a> {
    /// The verb.
    pub verb: Verb,
    /// Whose hooks run.
    pub profile: &'a Profile,
    /// Where its turn is taken.
    pub journals: &'a Journals,
    /// Where they are recorded.
    pub journal: &'a Journal,
    /// Who watches.
    pub monitor: &'a dyn Monitor,
}

impl Hooked<'_> {
    /// Does the verb's work in its turn, between its hooks. Once `stop` returns, the verb is not
    /// begun, or the work, which is given the same, comes to its end.
    pub async fn run<T, S: Future<Output = Error>>(
        &self,
        stop: S,
        work: impl AsyncFnOnce(Pin<&mut S>) -> Result<T>,
    ) -> Result<T> {
        let turn = Turn::take_by(self.journals, self.profile, self.verb.name()).await?;
        let mut stop = pin!(stop);
        let outcome = match self.before(stop.as_mut()).await {
            // The work of a verb is large, and is held here while hooks run.
            Ok(()) => Box::pin(work(stop)).await,
            Err(error) => Err(error),
        };
        match &outcome {
            Ok(_) => self.afterwards(When::After, None).await,
            Err(error) => self.afterwards(When::Failed, Some(error)).await,
        }
        self.afterwards(When::Finally, outcome.as_ref().err()).await;
        turn.end();
        outcome
    }

    async fn before<S: Future<Output = Error>>(&self, mut stop: Pin<&mut S>) -> Result<()> {
        for hook in self.hooks(When::Before) {
            if let Some(failure) = self.run_one(hook, None, stop.as_mut()).await? {
                let id = self.journal.execution().id;
                return Err(Error::new(Kind::Hook, failure).hint(format!(
                    "nothing else was done; `snap executions get {id}` shows what it printed"
                )));
            }
        }
        Ok(())
    }

    /// Runs the hooks that follow the verb; what goes wrong with them is a warning.
    async fn afterwards(&self, when: When, error: Option<&Error>) {
        for hook in self.hooks(when) {
            match self.run_one(hook, error, std::future::pending()).await {
                Ok(None) => {}
                Ok(Some(failure)) => self.monitor.warn(&failure),
                Err(error) => self.monitor.warn(&error.chain()),
            }
        }
    }

    fn hooks(&self, when: When) -> impl Iterator<Item = &Hook> {
        let hooks = self.profile.service.hooks.iter();
        hooks.filter(move |hook| hook.when == when && hook.verbs.contains(&self.verb))
    }

    /// Runs a hook; returns what is to be said where it fails.
    async fn run_one(
        &self,
        hook: &Hook,
        error: Option<&Error>,
        stop: impl Future<Output = Error>,
    ) -> Result<Option<String>> {
        let process = self.process(hook, error);
        let (when, program) = (hook.when.name(), process.name().to_owned());
        self.monitor.step(&format!("{when}: {program}"), None);
        let mut run = HookRun {
            when: when.to_owned(),
            program: program.clone(),
            end: None,
            succeeded: false,
            output: Vec::new(),
            omitted: 0,
        };
        let tell = |line: &str| self.monitor.detail(&format!("{program}: {line}"));
        let ended = process.run(&tell, stop).await;
        if let Ok(ended) = &ended {
            let first = ended.output.len().saturating_sub(KEPT_LINES);
            run.output = ended.output[first..].to_vec();
            run.omitted = ended.omitted + first;
            run.end = Some(ended.end.to_string());
            run.succeeded = ended.is_success();
        }
        let failure = ended.as_ref().ok().filter(|ended| !ended.is_success()).map(|ended| {
            let last = ended.output.last().map(|line| format!(": {line}")).unwrap_or_default();
            format!("the hook {program} {when} {} {}{last}", self.verb.name(), ended.end)
        });
        self.journal.change(|execution| execution.hooks.push(run))?;
        ended.map(|_| failure)
    }

    /// Returns the process of a hook, with all that it is told.
    fn process(&self, hook: &Hook, error: Option<&Error>) -> Process {
        let execution = self.journal.execution();
        let status = match (hook.when, error) {
            (When::Before, _) => "started",
            (_, None) => "done",
            (_, Some(error)) => match error.kind() {
                Kind::Interrupted | Kind::Terminated => "cancelled",
                _ => "failed",
            },
        };
        let process = Process::shell(&hook.command.text, hook.command.limit)
            .with("SNAP_VERB", self.verb.name())
            .with("SNAP_WHEN", hook.when.name())
            .with("SNAP_PROFILE", &*self.profile.name)
            .with("SNAP_EXECUTION", execution.id)
            .with("SNAP_REPOSITORY", execution.repository)
            .with("SNAP_STATUS", status)
            .with("SNAP_SNAPSHOT_ID", execution.snapshot.unwrap_or_default())
            .with("SNAP_ERROR", error.map(Error::chain).unwrap_or_default());
        let code = error.map(|error| error.kind().exit_code().to_string());
        process.with("SNAP_EXIT_CODE", code.unwrap_or_default())
    }
}
