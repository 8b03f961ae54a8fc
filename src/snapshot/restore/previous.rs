//! What restores replaced and kept aside: dropped when the user asks.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use crate::base::error::Result;
use crate::base::fault;
use crate::base::monitor::Monitor;
use crate::profile::Profile;
use crate::profile::What;
use crate::snapshot::Host;
use crate::snapshot::execution::Execution;
use crate::snapshot::execution::Journal;
use crate::snapshot::execution::Places;
use crate::snapshot::execution::all;
use crate::snapshot::execution::refuse_unfinished;
use crate::snapshot::execution::rewrite;
use crate::snapshot::restore::resume::check_server;
use crate::snapshot::turn::Turn;
use crate::source::files;
use crate::source::files::Role;
use crate::source::mariadb::swap;

/// Drops what restores of this profile kept aside; returns the schemas and paths that are gone.
///
/// What was restored under other names is found through the journals; `database` names one more.
pub async fn discard_previous(
    profile: &Profile,
    host: &Host,
    database: Option<&str>,
    monitor: &dyn Monitor,
) -> Result<Vec<String>> {
    let turn = Turn::take(host, profile, "restore --discard-previous").await?;
    refuse_unfinished(&host.journals(), "discard what restores kept")?;
    let mut executions = all(&host.journals())?.into_iter().flatten().collect::<Vec<_>>();
    // What another database server keeps stays there.
    executions.retain(|execution| {
        execution.profile == profile.name
            && execution.keeps_previous
            && check_server("discard what is kept of", execution, host).is_ok()
    });
    let (databases, paths) = targets(profile, host, database, &executions)?;
    let mut discarded = Vec::new();
    for database in databases {
        let schemas = swap::discard_previous(&host.database, &database, monitor).await?;
        discarded.extend(schemas.into_iter().map(|schema| format!("database {schema}")));
    }
    for path in paths {
        discarded.extend(discard_older_files(&path, None)?);
    }
    for execution in executions {
        rewrite(&host.journals(), &Execution { keeps_previous: false, ..execution })?;
    }
    turn.end();
    Ok(discarded)
}

/// Returns the databases and paths that restores may have kept something beside.
fn targets(
    profile: &Profile,
    host: &Host,
    database: Option<&str>,
    executions: &[Execution],
) -> Result<(BTreeSet<String>, BTreeSet<PathBuf>)> {
    let mut databases: BTreeSet<String> = database.map(str::to_owned).into_iter().collect();
    let mut paths = BTreeSet::new();
    for source in &profile.sources {
        match &source.what {
            What::Database { database, .. } => drop(databases.insert(database.clone())),
            What::Files { .. } => drop(paths.insert(host.locate(source)?)),
            What::Command(_) => {}
        }
    }
    for part in executions.iter().flat_map(|execution| &execution.parts) {
        match &part.places {
            Places::MariaDb(schemas) => drop(databases.insert(schemas.target.clone())),
            Places::Files(exchange) => drop(paths.insert(exchange.target.clone())),
            // What commands replaced is kept in the repository, by its own rules.
            Places::Command(_) => {}
        }
    }
    Ok((databases, paths))
}

/// Writes that earlier executions keep nothing any more, whose targets this one has replaced again.
pub(super) fn forget_replaced(host: &Host, journal: &Journal) -> Result<()> {
    let own = journal.execution();
    let replaced: BTreeSet<String> = own.parts.iter().map(|part| part.places.target()).collect();
    for execution in all(&host.journals())?.into_iter().flatten() {
        let is_replaced =
            execution.parts.iter().all(|part| replaced.contains(&part.places.target()));
        let is_here = execution.server == own.server || !execution.touches_databases();
        if execution.keeps_previous && execution.id != own.id && is_replaced && is_here {
            rewrite(&host.journals(), &Execution { keeps_previous: false, ..execution })?;
        }
    }
    Ok(())
}

/// Removes what restores of a path kept of it, but one; returns the paths that are gone.
pub(super) fn discard_older_files(target: &Path, kept: Option<&Path>) -> Result<Vec<String>> {
    let mut discarded = Vec::new();
    for leftover in files::leftovers(target)? {
        if matches!(leftover.role, Role::Previous) && Some(leftover.path.as_path()) != kept {
            fault::point("files.before-discard");
            leftover.discard()?;
            discarded.push(leftover.path.display().to_string());
        }
    }
    Ok(discarded)
}
