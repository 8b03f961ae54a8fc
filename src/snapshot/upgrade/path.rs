//! The path of an upgrade: what the profile's version rules say, from the version that is
//! installed.

use std::path::Path;

use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::profile::Profile;
use crate::profile::upgrade;
use crate::profile::upgrade::plan::Hop;
use crate::profile::upgrade::plan::Situation;
use crate::profile::upgrade::plan::UpgradePlan;
use crate::profile::version::Version;
use crate::snapshot::upgrade::UpgradeOptions;
use crate::system::version::detected;

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
    let rules = profile.rules()?.ok_or_else(|| {
        let text = format!("{doing}: profile {} names no version rules", profile.name);
        Error::new(Kind::Usage, text)
            .hint(format!("`rules` in the profile names a product: {}", upgrade::products()))
    })?;
    let from = installed(profile, root, asked.from.as_ref()).await?.ok_or_else(|| {
        Error::new(Kind::Usage, format!("{doing}: the version that is installed is not known"))
            .hint("--from-version tells it; `versions` in the profile finds it")
    })?;
    let plan = rules.plan(&from, &asked.to, &asked.situation)?;
    Ok(UpgradePath { from, to: asked.to.clone(), plan })
}

/// Returns what the version rules say of an upgrade, as far as they can: nothing where the product is
/// of that version already. Fails with [`Kind::Refused`] where it takes more than one.
pub(super) async fn hop(
    profile: &Profile,
    root: &Path,
    options: &UpgradeOptions,
    monitor: &dyn Monitor,
) -> Result<Option<Hop>> {
    let from = installed(profile, root, options.from.as_ref()).await?;
    let rules = profile.rules()?;
    let (Some(from), Some(to), Some(rules)) = (&from, &options.to, &rules) else {
        let why = match (rules, from) {
            (None, _) => "the profile names none",
            (_, None) => "the version that is installed is not known: --from-version tells it",
            _ => "--to-version does not tell where it leads",
        };
        monitor.note(&format!("no version rules are checked: {why}"));
        return Ok(None);
    };
    rules.single_hop(from, to, &options.situation)
}

/// Returns the version that is installed, where it is told or found.
pub(super) async fn installed(
    profile: &Profile,
    root: &Path,
    told: Option<&Version>,
) -> Result<Option<Version>> {
    match told {
        Some(told) => Ok(Some(told.clone())),
        None => detected(&profile.service.versions, root).await,
    }
}
