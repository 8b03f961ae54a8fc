//! The accounts of a restored database: planned when the user asks for them.

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::repository::Repository;
use crate::repository::contents::Contents;
use crate::snapshot::Host;
use crate::snapshot::definitions;
use crate::snapshot::restore::RestoreOptions;
use crate::snapshot::restore::plan::Plan;
use crate::snapshot::restore::plan::Site;
use crate::snapshot::restore::saved;
use crate::source::mariadb::accounts::plan;

/// Returns the plan with what happens to accounts, where the user wants them. Fails with
/// [`Kind::Refused`] where nothing that is restored holds any: who asks for accounts counts on them.
pub(super) async fn planned(
    mut plan: Plan,
    repository: &Repository,
    contents: &Contents,
    host: &Host,
    options: &RestoreOptions,
) -> Result<Plan> {
    if !options.users {
        return Ok(plan);
    }
    for source in &mut plan.sources {
        let Some(Site::Database { database }) = &source.site else { continue };
        let (record, _) = saved(contents, &source.name)?;
        let schema = definitions::read(repository, record).await?;
        source.accounts = plan::plan(&host.database, &schema, database).await?;
    }
    if plan.sources.iter().all(|source| source.accounts.is_none()) {
        let text =
            format!("cannot restore users: {} holds none of what is restored", plan.snapshot);
        return Err(Error::new(Kind::Refused, text)
            .hint("`users = true` at a database of the profile saves them from now on"));
    }
    Ok(plan)
}
