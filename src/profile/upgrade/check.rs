//! Whether one upgrade, or one restore, keeps to the version rules.

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::profile::upgrade::VersionRules;
use crate::profile::upgrade::plan::Hop;
use crate::profile::upgrade::plan::Situation;
use crate::profile::version::Version;

impl VersionRules {
    /// Returns the one upgrade that leads to the wanted version, `None` where the product has it;
    /// fails where the path has more than one, or is none.
    pub fn single_hop(
        &self,
        current: &Version,
        wanted: &Version,
        situation: &Situation,
    ) -> Result<Option<Hop>> {
        let mut hops = self.plan(current, wanted, situation)?.hops;
        if hops.len() < 2 {
            return Ok(hops.pop());
        }
        let first = &hops[0];
        let why = first.reason.as_deref().unwrap_or("there is a version in between");
        let text =
            format!("cannot upgrade {} from {current} to {wanted} at once: {why}", self.title);
        Err(Error::new(Kind::Refused, text).hint(format!(
            "upgrade to {} first, and start it; snap upgrade --plan --to-version {wanted} prints \
             the whole path",
            first.to
        )))
    }

    /// Fails where a snapshot of this version must not be restored onto a target of that one:
    /// it is newer, or the target would pass over a stop.
    pub fn check_restore(&self, snapshot: &Version, target: &Version) -> Result<()> {
        if snapshot > target {
            return Err(Error::new(Kind::Refused, self.newer_text(snapshot, target))
                .hint(format!("install {snapshot} or newer on the target first")));
        }
        let Some(stop) = self.stop(snapshot, target) else { return Ok(()) };
        let (title, at) = (&self.title, stop.at.series());
        let text = format!("cannot restore {title} {snapshot} onto {target}: {}", stop.text);
        Err(Error::new(Kind::Refused, text)
            .hint(format!("restore it onto {at}.X, and go on there")))
    }

    fn newer_text(&self, snapshot: &Version, target: &Version) -> String {
        let default = format!("cannot restore {} {{from}} onto an older one, {{to}}", self.title);
        let text = self.newer.as_ref().unwrap_or(&default);
        text.replace("{from}", &snapshot.to_string()).replace("{to}", &target.to_string())
    }
}
