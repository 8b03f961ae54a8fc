//! What a restore is told of versions and roles.

use serde::Deserialize;
use serde::Serialize;

use crate::profile::roles::mapping::RoleOverride;
use crate::profile::roles::mapping::UnknownRole;
use crate::profile::roles::when::Shape;
use crate::profile::version::Version;

/// Whether what is restored follows the version of its target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remap {
    /// Roles of an older version become those that the target's version uses.
    ByVersion(Choices),
    /// All comes back as it was saved, whatever the versions are: the way back from an upgrade
    /// that failed.
    Never,
}

impl Default for Remap {
    fn default() -> Self {
        Self::ByVersion(Choices::default())
    }
}

/// What the user says of the target and of roles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choices {
    /// The product's version on the target, instead of what is detected there.
    pub to_version: Option<Version>,
    /// The shape of the target's roles, where a restore that is done again has found it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    /// What single roles become: `--map-role`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<RoleOverride>,
    /// What happens to a role that nobody has a rule for.
    #[serde(default)]
    pub unknown: UnknownRole,
}
