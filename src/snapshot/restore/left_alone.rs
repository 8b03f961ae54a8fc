//! The sources that a restore leaves alone, and why.

use crate::profile::SourceSpec;
use crate::profile::What;
use crate::repository::catalog::SourceRecord;
use crate::repository::catalog::SourceState;
use crate::snapshot::restore::RestoreOptions;
use crate::snapshot::restore::plan::Action;

/// Returns why a source is not restored, where it is not.
pub(super) fn left_alone(
    record: &SourceRecord,
    spec: Option<&SourceSpec>,
    options: &RestoreOptions,
) -> Option<(Action, String)> {
    match record.state {
        SourceState::Absent => return Some((Action::Skip, "it was absent when saved".to_owned())),
        SourceState::Excluded => {
            return Some((Action::Skip, "it was excluded when saved".to_owned()));
        }
        SourceState::Saved => {}
    }
    if !options.only.is_empty() && !options.only.contains(&record.name) {
        return Some((Action::Keep, "--only names other sources".to_owned()));
    }
    match spec.map(|spec| &spec.what) {
        Some(What::Files { certificates: true, .. }) if !options.certificates => Some((
            Action::Keep,
            "certificates stay as they are without --restore-certificates".to_owned(),
        )),
        Some(What::Command(_)) if options.database.is_some() => Some((
            Action::Keep,
            "a command knows no other place, as --database wants it".to_owned(),
        )),
        _ => None,
    }
}
