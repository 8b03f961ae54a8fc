//! What is live, compared with a snapshot part by part, and whether the snapshot is all there: looked
//! at before anything is written.

use std::collections::HashSet;

use futures_util::StreamExt as _;
use futures_util::TryStreamExt as _;
use futures_util::stream;

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::repository::Repository;
use crate::repository::catalog::BlobRef;
use crate::repository::catalog::Index;
use crate::repository::catalog::SourceRecord;
use crate::repository::contents::Contents;
use crate::snapshot::restore::RestoreOptions;
use crate::snapshot::restore::Restoring;
use crate::snapshot::restore::database::Saved;
use crate::snapshot::restore::plan::Plan;
use crate::snapshot::restore::plan::Site;
use crate::snapshot::restore::plan::SourcePlan;
use crate::snapshot::restore::saved;
use crate::source::mariadb::target::Target;

/// Blobs that are looked for at once.
const AT_ONCE: usize = 16;

/// Returns the plan with what happens to each table, as far as it can be told without holding
/// anybody off.
pub(super) async fn surveyed(
    mut plan: Plan,
    restoring: &Restoring<'_>,
    contents: &Contents,
    options: &RestoreOptions,
) -> Result<Plan> {
    let Restoring { repository, host, monitor, .. } = *restoring;
    for source in &mut plan.sources {
        let Some(Site::Database { database }) = source.site.clone() else { continue };
        let (record, index) = saved(contents, &source.name)?;
        let remapping = source.remapping.clone();
        let saved = Saved::read(repository, record, index, remapping).await?;
        let found = saved.survey(host, &database, options.extent(), monitor).await?;
        source.take_in(&found, &record.items);
    }
    Ok(plan)
}

/// Fails where foreign keys of other databases point to what will be replaced. Only where there are
/// such keys the databases are read for it: what stays may have them.
pub(super) async fn demand_unpinned(
    plan: &Plan,
    restoring: &Restoring<'_>,
    contents: &Contents,
    options: &RestoreOptions,
) -> Result<()> {
    if !plan.sources.iter().any(SourcePlan::is_pinned) {
        return Ok(());
    }
    surveyed(plan.clone(), restoring, contents, options).await?.demand_unpinned()
}

/// Fails where a blob that the plan takes is not there with its size.
pub(super) async fn demand_blobs(
    plan: &Plan,
    repository: &Repository,
    contents: &Contents,
) -> Result<()> {
    let names = plan.sources.iter().filter(|source| source.is_restored());
    let names: Vec<String> = names.map(|source| format!("{}.", source.name)).collect();
    let is_taken = |by: &str| names.iter().any(|name| format!("{by}.").starts_with(name));
    let mut seen = HashSet::new();
    let uses = contents.uses()?.into_iter();
    let wanted = uses.filter(|it| is_taken(&it.by) && seen.insert(it.blob.digest.clone()));
    let looked = stream::iter(wanted).map(|it| async move {
        let BlobRef { digest, size, .. } = &it.blob;
        let found = repository.find_blob(digest, *size).await;
        found.map_err(|error| error.while_doing(&format!("cannot restore {}", it.by)))
    });
    looked.buffer_unordered(AT_ONCE).try_collect().await
}

/// Notes what differs from the server that the snapshot was taken from, and stands in no way.
pub(super) fn note_server(
    record: &SourceRecord,
    index: Option<&Index>,
    live: &Target,
    monitor: &dyn Monitor,
) {
    let saved = &record.detail["server"];
    if let Some(version) =
        saved["version"].as_str().filter(|_| live.is_older_than(&saved["release"]))
    {
        monitor.note(&format!("the snapshot is of MariaDB {version}: this server is older"));
    }
    let largest = live.max_allowed_packet();
    let chunks = |item: usize| index.and_then(|index| index.items.get(item)).map(|it| &it.chunks);
    for (position, item) in record.items.iter().enumerate() {
        let mut rows = chunks(position).into_iter().flatten();
        if let Some(chunk) = rows.find(|chunk| chunk.blob.raw_bytes / chunk.rows.max(1) > largest) {
            let bytes = chunk.blob.raw_bytes / chunk.rows.max(1);
            monitor.note(&format!(
                "table {:?} has a row of {bytes} bytes, which is restored; the server's \
                 max_allowed_packet of {largest} keeps its clients from writing such a row",
                item.name
            ));
        }
    }
}
