//! Version rules: by which path a product comes from one version to another, and which it cannot.
//!
//! A product's rules are data, one TOML file each, in the words of the documentation that they
//! come from. The code knows no product: it compares versions, takes the stops on the way, and
//! picks the steps whose conditions hold. A profile names the product whose rules it follows.

use serde::Deserialize;
use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::profile::version::Version;

pub mod check;
pub mod plan;
mod when;

#[cfg(test)]
mod tests;

pub use crate::profile::upgrade::when::Move;
pub use crate::profile::upgrade::when::Users;
pub use crate::profile::upgrade::when::When;

/// The rules of products that need no configuration, by name.
const BUILT_IN: [(&str, &str); 4] = [
    ("centreon-map", include_str!("centreon-map.toml")),
    ("centreon-map-engine", include_str!("centreon-map-engine.toml")),
    ("centreon-poller", include_str!("centreon-poller.toml")),
    ("cloudify-manager", include_str!("cloudify-manager.toml")),
];

/// The version rules of one product.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VersionRules {
    /// What the product is called.
    pub title: String,
    /// The oldest version that an upgrade starts from.
    pub lowest: Option<Limit>,
    /// The last series that there is.
    pub last_series: Option<Limit>,
    /// From which version on the central must be of the same series.
    pub central_of_one_series_from: Option<Version>,
    /// Why nothing but the latest version is a goal; absent where any is.
    pub latest_only: Option<String>,
    /// What a restore onto an older version is refused with: `{from}`, `{to}`.
    pub newer: Option<String>,
    /// The versions that must not be passed over.
    #[serde(default)]
    pub stops: Vec<Stop>,
    /// What there is to do, in order.
    pub steps: Vec<StepRule>,
}

/// A version that there is no way beyond, and why.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The version.
    pub at: Version,
    /// What a request beyond it is refused with.
    pub text: String,
}

/// A version that must be installed and run on the way.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// The versions that have to stop: all that begin with this.
    pub from: Version,
    /// Where they stop: any version that begins with this.
    pub at: Version,
    /// Why.
    pub text: String,
}

/// A step, and when it is taken.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRule {
    /// What the step is for.
    pub kind: StepKind,
    /// Who takes it.
    #[serde(default)]
    pub by: Doer,
    /// What is done: `{from}`, `{to}`, and their `{from-series}` and `{series}`.
    pub text: String,
    /// The command that does it.
    pub command: Option<String>,
    /// When it is taken; always where nothing is said.
    #[serde(default)]
    pub when: When,
}

/// What a step is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// What must be so before the product changes.
    Prepare,
    /// What can be gone back to.
    Backup,
    /// What changes the product.
    Upgrade,
    /// What brings the saved state onto the changed product.
    Restore,
    /// What remains to be done.
    FollowUp,
}

/// Who takes a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doer {
    /// `snap upgrade` itself.
    Snap,
    /// The operator.
    #[default]
    Person,
}

/// Returns the names of the products whose rules are built in, for messages.
pub(crate) fn products() -> String {
    VersionRules::products().collect::<Vec<_>>().join(", ")
}

impl VersionRules {
    /// Returns the rules of this product; `None` where there are none.
    pub fn built_in(product: &str) -> Option<Self> {
        let (_, text) = BUILT_IN.iter().find(|(name, _)| *name == product)?;
        Some(Self::parse(text).expect("a test reads all built-in rules"))
    }

    /// Returns the names of the products whose rules are known.
    pub fn products() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// Returns the rules that this TOML states.
    pub fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| {
            Error::new(Kind::Usage, format!("cannot use version rules: {}", error.message()))
        })
    }

    /// Returns the stop between two versions, which must be made before the second is reached.
    fn stop(&self, from: &Version, to: &Version) -> Option<&Stop> {
        let lies_between = |at: &Version| from < at && at < to && !to.begins_with(at);
        let is_passed = |stop: &&Stop| from.begins_with(&stop.from) && lies_between(&stop.at);
        self.stops.iter().find(is_passed)
    }
}
