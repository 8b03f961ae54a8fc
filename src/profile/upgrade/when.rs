//! When a step is taken.

use serde::Deserialize;

use crate::profile::version::Version;

/// Conditions that must all hold; none where nothing is said.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct When {
    /// The version before begins with these numbers.
    pub from_begins: Option<Version>,
    /// The version before is this or newer.
    pub from_at_least: Option<Version>,
    /// The version before is older.
    pub from_below: Option<Version>,
    /// The version after is older.
    pub to_below: Option<Version>,
    /// The version before is older than this, the version after is not.
    pub crosses: Option<Version>,
    /// Whether `A.B` of `A.B.x` changes.
    pub series_changes: Option<bool>,
    /// Whether the product stays on its host.
    #[serde(rename = "move")]
    pub place: Option<Move>,
    /// There is more than one user, or nobody knows.
    #[serde(default)]
    pub several_users: bool,
}

/// Where the product goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Move {
    /// It is upgraded on its host.
    #[default]
    InPlace,
    /// It moves to another one.
    NewHost,
}

/// How many users the product has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Users {
    /// Nobody has counted.
    #[default]
    Unknown,
    /// The administrator alone.
    One,
    /// More than one.
    Several,
}

impl When {
    /// Returns whether all conditions hold on the way from one version to another.
    pub(super) fn holds(&self, from: &Version, to: &Version, place: Move, users: Users) -> bool {
        let is = |condition: &Option<Version>, holds: fn(&Version, &Version) -> bool, version| {
            condition.as_ref().is_none_or(|limit| holds(version, limit))
        };
        let crosses = |limit: &Version| from < limit && to >= limit;
        is(&self.from_begins, Version::begins_with, from)
            && is(&self.from_at_least, |version, limit| version >= limit, from)
            && is(&self.from_below, |version, limit| version < limit, from)
            && is(&self.to_below, |version, limit| version < limit, to)
            && self.crosses.as_ref().is_none_or(crosses)
            && self.series_changes.is_none_or(|changes| changes != from.is_of_series_of(to))
            && self.place.is_none_or(|wanted| wanted == place)
            && (!self.several_users || users != Users::One)
    }
}
