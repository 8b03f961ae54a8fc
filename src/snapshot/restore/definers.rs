//! Programs of an uploaded snapshot that would run with the rights of other accounts: whoever made
//! the archive chose what they do, and the user says whether to trust that.

use crate::base::error::Result;
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

/// Returns the plan with the definers that the user would have to trust.
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
        let Some(Site::Database { .. }) = &source.site else { continue };
        let (record, _) = saved(contents, &source.name)?;
        let schema = definitions::read(repository, record).await?;
        source.untrusted_definers = definers::others(&host.database, &schema).await?;
    }
    Ok(plan)
}
