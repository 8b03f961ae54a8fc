//! What an uploaded snapshot would have run: its own programs, with the rights of other accounts, and
//! those of this host that are given its bytes. A tool such as `psql` or `tar` does what these say.
//! Whoever made the archive chose them, and the user says whether to trust that.

use crate::base::error::Result;
use crate::base::process::program_of;
use crate::repository::Repository;
use crate::repository::contents::Contents;
use crate::repository::id::SnapshotId;
use crate::snapshot::Host;
use crate::snapshot::definitions;
use crate::snapshot::restore::RestoreOptions;
use crate::snapshot::restore::plan::Plan;
use crate::snapshot::restore::plan::Site;
use crate::snapshot::restore::saved;
use crate::source::mariadb::definers;

/// Returns the plan with the definers, and the programs given bytes, that the user would have to
/// trust the snapshot for.
pub(super) async fn planned(
    mut plan: Plan,
    repository: &Repository,
    contents: &Contents,
    host: &Host,
    options: &RestoreOptions,
) -> Result<Plan> {
    let id: SnapshotId = plan.snapshot.parse()?;
    if options.trust_definers || !repository.listed(&id).await?.summary.uploaded {
        return Ok(plan);
    }
    for source in &mut plan.sources {
        match &source.site {
            Some(Site::Database { .. }) => {
                let (record, _) = saved(contents, &source.name)?;
                let schema = definitions::read(repository, record).await?;
                source.untrusted_definers = definers::others(&host.database, &schema).await?;
            }
            Some(Site::Command(pair)) => {
                source.fed_program = Some(program_of(&pair.load).to_owned());
            }
            Some(Site::Files { .. }) | None => {}
        }
    }
    Ok(plan)
}
