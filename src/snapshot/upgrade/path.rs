//! The path of an upgrade: what the profile's version rules say, from the version that is
//! installed.

use std::path::Path;

use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::profile::Profile;
use crate::profile::upgrade::VersionRules;
use crate::profile::upgrade::plan::Situation;
use crate::profile::upgrade::plan::UpgradePlan;
use crate::profile::version::Version;

/// What a path is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Where it leads.
    pub to: Version,
    /// Where it begins; the version that is installed, where nothing is said.
    pub from: Option<Version>,
    /// What it depends on beside the versions.
    pub situation: Situation,
}

/// The path from one version to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UpgradePath {
    /// Where it begins.
    pub from: Version,
    /// Where it leads.
    pub to: Version,
    /// What lies between.
    #[serde(flatten)]
    pub plan: UpgradePlan,
}

/// Returns the path; fails with [`Kind::Refused`] where there is none, and with [`Kind::Usage`]
/// where nobody knows the way or where it begins.
pub async fn path(profile: &Profile, root: &Path, asked: &Asked) -> Result<UpgradePath> {
    let doing = format!("cannot plan the upgrade to {}", asked.to);
    let rules = rules(profile)?.ok_or_else(|| {
        let text = format!("{doing}: profile {} names no version rules", profile.name);
        let products = VersionRules::products().join(", ");
        Error::new(Kind::Usage, text)
            .hint(format!("`rules` in the profile names a product; there are {products}"))
    })?;
    let from = installed(profile, root, asked.from.as_ref()).await?.ok_or_else(|| {
        Error::new(Kind::Usage, format!("{doing}: the version that is installed is not known"))
            .hint("--from-version tells it; `versions` in the profile finds it")
    })?;
    let plan = rules.plan(&from, &asked.to, &asked.situation)?;
    Ok(UpgradePath { from, to: asked.to.clone(), plan })
}

/// Returns the version rules of a profile, where it names any.
pub(super) fn rules(profile: &Profile) -> Result<Option<VersionRules>> {
    let Some(product) = &profile.service.rules else { return Ok(None) };
    VersionRules::built_in(product).map(Some).ok_or_else(|| {
        let text = format!("cannot use profile {}: no rules are known of {product:?}", profile.name);
        Error::new(Kind::Usage, text)
            .hint(format!("there are rules of {}", VersionRules::products().join(", ")))
    })
}

/// Returns the version that is installed, where it is told or found.
#[expect(clippy::unused_async, reason = "what finds it runs programs")]
pub(super) async fn installed(
    _profile: &Profile,
    _root: &Path,
    told: Option<&Version>,
) -> Result<Option<Version>> {
    Ok(told.cloned())
}
