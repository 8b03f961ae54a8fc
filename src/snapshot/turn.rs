//! Turns: of two verbs that change one service on a host, the second is told who the first is.

use crate::base::error::Context as _;
use crate::base::error::Result;
use crate::base::lock;
use crate::base::lock::Access;
use crate::base::lock::Lock;
use crate::profile::Profile;
use crate::snapshot::Host;
use crate::snapshot::execution::Journals;

use std::os::unix::fs::DirBuilderExt as _;
use std::time::Duration;

/// The right to create or restore snapshots of one profile on this host, until it is dropped.
pub(super) struct Turn(Lock);

impl Turn {
    /// Takes the turn; fails at once with [`Kind::Busy`](crate::base::error::Kind::Busy) and the
    /// name of the verb at work.
    pub(super) async fn take(host: &Host, profile: &Profile, verb: &str) -> Result<Self> {
        Self::take_by(&host.journals(), profile, verb).await
    }

    /// Takes the turn before anything else is known of the host.
    pub(super) async fn take_by(
        journals: &Journals,
        profile: &Profile,
        verb: &str,
    ) -> Result<Self> {
        let state = &journals.state;
        let mut folder = std::fs::DirBuilder::new();
        folder.recursive(true).mode(0o700);
        folder.create(state).context(|| format!("cannot make folder {}", state.display()))?;
        let holder = journals.holder(verb);
        let path = state.join(format!("{}.lock", profile.name));
        lock::acquire(&path, Access::Exclusive, Duration::ZERO, &holder).await.map(Self)
    }

    /// Ends the turn.
    pub(super) fn end(self) {
        drop(self.0);
    }
}
