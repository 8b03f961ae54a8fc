//! The path from one version to another, with every step, or why there is none.

use std::fmt;

use serde::Serialize;
use serde::Serializer;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::profile::upgrade::Doer;
use crate::profile::upgrade::StepKind;
use crate::profile::upgrade::StepRule;
use crate::profile::upgrade::VersionRules;
use crate::profile::upgrade::when::Move;
use crate::profile::upgrade::when::Users;
use crate::profile::version::Version;

/// What the path depends on beside the two versions.
#[derive(Debug, Clone, Default)]
pub struct Situation {
    /// Whether the product stays on its host.
    pub place: Move,
    /// How many users it has.
    pub users: Users,
    /// The version of the central that it belongs to, where it is known.
    pub central: Option<Version>,
    /// The latest version that there is, where it is known.
    pub latest: Option<Version>,
}

/// A path from one version to another; without hops where the product is there already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UpgradePlan {
    /// What the product is called.
    pub title: String,
    /// The upgrades, one after the other, each of which is run before the next.
    pub hops: Vec<Hop>,
}

/// One upgrade on the path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// The version before.
    pub from: Goal,
    /// The version after.
    pub to: Goal,
    /// Why the path stops here; `None` at its end.
    pub reason: Option<String>,
    /// What there is to do, in order.
    pub steps: Vec<Step>,
}

/// A version to come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// This one.
    Exactly(Version),
    /// Any of a series: `4.1.X`.
    AnyOf(Version),
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What it is for.
    pub kind: StepKind,
    /// Who does it.
    pub by: Doer,
    /// What is done.
    pub text: String,
    /// The command that does it.
    pub command: Option<String>,
}

impl Goal {
    /// Returns the version, which stands for all of its series where any will do.
    pub const fn version(&self) -> &Version {
        match self {
            Self::Exactly(version) | Self::AnyOf(version) => version,
        }
    }
}

impl Serialize for Goal {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(version) => version.fmt(formatter),
            Self::AnyOf(version) => write!(formatter, "{version}.X"),
        }
    }
}

impl VersionRules {
    /// Returns the path from the current version to the wanted one, or why there is none.
    pub fn plan(
        &self,
        current: &Version,
        wanted: &Version,
        situation: &Situation,
    ) -> Result<UpgradePlan> {
        if let Some(why) = self.refusal(current, wanted, situation) {
            let text = format!("cannot upgrade {} from {current} to {wanted}: {why}", self.title);
            return Err(Error::new(Kind::Refused, text));
        }
        let mut plan = UpgradePlan { title: self.title.clone(), hops: Vec::new() };
        let mut from = Goal::Exactly(current.clone());
        while from.version() < wanted {
            // A stop lies between the two, so each hop goes up, and the path ends.
            let stop = self.stop(from.version(), wanted);
            let to =
                stop.map_or_else(|| Goal::Exactly(wanted.clone()), |s| Goal::AnyOf(s.at.clone()));
            let steps = self.steps(&from, &to, situation);
            let reason = stop.map(|stop| stop.text.clone());
            plan.hops.push(Hop { from, to: to.clone(), reason, steps });
            from = to;
        }
        Ok(plan)
    }

    /// Returns why there is no path.
    fn refusal(
        &self,
        current: &Version,
        wanted: &Version,
        situation: &Situation,
    ) -> Option<String> {
        if wanted < current {
            return Some(
                "that is older, and an older program cannot read what a newer one has \
                written: restore a snapshot of that version onto a host that has it"
                    .to_owned(),
            );
        }
        if let Some(lowest) = self.lowest.as_ref().filter(|lowest| *current < lowest.at) {
            return Some(lowest.text.clone());
        }
        let is_beyond = |last: &Version| wanted > last && !wanted.begins_with(last);
        if let Some(last) = self.last_series.as_ref().filter(|last| is_beyond(&last.at)) {
            return Some(last.text.clone());
        }
        self.other_central(wanted, situation).or_else(|| self.not_latest(wanted, situation))
    }

    fn other_central(&self, wanted: &Version, situation: &Situation) -> Option<String> {
        let central = situation.central.as_ref()?;
        let applies = self.central_of_one_series_from.as_ref().is_some_and(|from| wanted >= from);
        (applies && !central.is_of_series_of(wanted)).then(|| {
            format!(
                "the central is of {central}, and both must be of one major version: bring the \
                 central to {} first",
                wanted.series()
            )
        })
    }

    fn not_latest(&self, wanted: &Version, situation: &Situation) -> Option<String> {
        let (why, latest) = (self.latest_only.as_ref()?, situation.latest.as_ref()?);
        (wanted < latest).then(|| format!("{why}, which is {latest}"))
    }

    fn steps(&self, from: &Goal, to: &Goal, situation: &Situation) -> Vec<Step> {
        let holds = |rule: &&StepRule| {
            let Situation { place, users, .. } = *situation;
            rule.when.holds(from.version(), to.version(), place, users)
        };
        let filled = |text: &str| {
            text.replace("{from}", &from.to_string())
                .replace("{to}", &to.to_string())
                .replace("{from-series}", &from.version().series())
                .replace("{series}", &to.version().series())
        };
        let step = |rule: &StepRule| Step {
            kind: rule.kind,
            by: rule.by,
            text: filled(&rule.text),
            command: rule.command.as_deref().map(filled),
        };
        self.steps.iter().filter(holds).map(step).collect()
    }
}
