//! A verb that is on record as an execution, between the hooks of its profile.

use std::pin::Pin;
use std::sync::Arc;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::cli::settings::Settings;
use crate::profile::service::Verb;
use crate::snapshot::execution::Journal;
use crate::snapshot::execution::record;
use crate::snapshot::hooks::Hooked;

/// Does the work of a verb that is about this snapshot, or about none that has a name yet. Once `stop`
/// returns, it is not begun, or the work, which is given the same, comes to its end.
pub(super) async fn hooked<T, S: Future<Output = Error>>(
    verb: Verb,
    snapshot: Option<String>,
    settings: &Settings,
    monitor: &dyn Monitor,
    stop: S,
    work: impl AsyncFnOnce(&Journal, Pin<&mut S>) -> Result<T>,
) -> Result<T> {
    let (profile, journals) = (&settings.profile, &settings.journals());
    let hooked = async |journal: Arc<Journal>| {
        let journal = &*journal;
        let hooked = Hooked { verb, profile, journals, journal, monitor };
        hooked.run(stop, async |stop: Pin<&mut S>| work(journal, stop).await).await
    };
    record(journals, settings.about(verb.name(), snapshot), monitor, hooked).await
}
