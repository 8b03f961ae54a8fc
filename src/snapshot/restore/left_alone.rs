//! The sources that a restore leaves alone, and why.
//!
//! One that was absent when the rest was saved may have come since, with a failed upgrade for one.
//! Nothing was saved that could take its place, and a restore removes nothing for good: it stays, and
//! is named.

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::profile::SourceSpec;
use crate::profile::What;
use crate::profile::roles::choices::Remap;
use crate::repository::catalog::SourceRecord;
use crate::repository::catalog::SourceState;
use crate::snapshot::Host;
use crate::snapshot::restore::RestoreOptions;
use crate::snapshot::restore::plan::Action;
use crate::snapshot::restore::plan::SourcePlan;
use crate::source::mariadb::target;

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

impl SourcePlan {
    /// Takes in whether a source that was absent is there now. Where all is to be as it was before,
    /// that is a warning.
    pub(super) async fn look_again(
        &mut self,
        spec: &SourceSpec,
        host: &Host,
        options: &RestoreOptions,
        monitor: &dyn Monitor,
    ) {
        if !options.only.is_empty() && !options.only.contains(&spec.name) {
            return;
        }
        let is_exact = matches!(options.remap, Remap::Never);
        let name = &spec.name;
        match place(spec, host, options).await {
            Ok(Some(place)) => {
                let said = format!("{name} was absent when saved, and is there now: {place} stays");
                if is_exact {
                    monitor.warn(&said);
                } else {
                    monitor.note(&said);
                }
                self.reason = Some("it was absent when saved, and what is there stays".to_owned());
                self.target = place;
                self.came_since = true;
            }
            Err(error) if is_exact => {
                monitor.warn(&format!("{name} may have come since: {}", error.chain()));
            }
            // Whoever has no database to be restored needs none.
            Ok(None) | Err(_) => {}
        }
    }
}

/// Returns where the source is, where it is there and would be restored.
async fn place(spec: &SourceSpec, host: &Host, options: &RestoreOptions) -> Result<Option<String>> {
    Ok(match &spec.what {
        What::Files { certificates: true, .. } if !options.certificates => None,
        What::Files { .. } => {
            let path = host.locate(spec)?;
            path.symlink_metadata().is_ok().then(|| path.display().to_string())
        }
        What::Database { database, .. } if options.database.is_none() => {
            let found = target::look(&host.database, database).await?;
            found.tables.map(|_| database.clone())
        }
        What::Database { .. } | What::Command(_) => None,
    })
}
