//! What restores replaced and kept aside: dropped when the user asks.

use std::path::Path;

use crate::base::error::Result;
use crate::profile::Profile;
use crate::profile::What;
use crate::snapshot::Host;
use crate::snapshot::turn::Turn;
use crate::source::files;
use crate::source::files::Role;
use crate::source::mariadb::swap;

/// Drops what restores of this profile kept aside; returns the schemas and paths that are gone.
///
/// `database` names the restored database where it is not the profile's own.
pub async fn discard_previous(
    profile: &Profile,
    host: &Host,
    database: Option<&str>,
) -> Result<Vec<String>> {
    let turn = Turn::take(host, profile, "restore --discard-previous").await?;
    let mut discarded = Vec::new();
    for source in &profile.sources {
        match &source.what {
            What::Database { database: own, .. } => {
                let schemas =
                    swap::discard_previous(&host.database, database.unwrap_or(own)).await?;
                discarded.extend(schemas.into_iter().map(|schema| format!("database {schema}")));
            }
            What::Files { .. } => {
                discarded.extend(discard_older_files(&host.locate(source)?, None)?);
            }
        }
    }
    turn.end();
    Ok(discarded)
}

/// Removes what restores of a path kept beside it, but one; returns the paths that are gone.
pub(super) fn discard_older_files(target: &Path, kept: Option<&Path>) -> Result<Vec<String>> {
    let mut discarded = Vec::new();
    for leftover in files::leftovers(target)? {
        if matches!(leftover.role, Role::Previous) && Some(leftover.path.as_path()) != kept {
            leftover.discard()?;
            discarded.push(leftover.path.display().to_string());
        }
    }
    Ok(discarded)
}
