//! What a restore does with files: told by what is live and by what is to come back.

use crate::base::error::Result;
use crate::base::monitor::Silent;
use crate::repository::Repository;
use crate::repository::catalog::Index;
use crate::repository::contents::Contents;
use crate::snapshot::chunks;
use crate::snapshot::restore::RestoreOptions;
use crate::snapshot::restore::Restoring;
use crate::snapshot::restore::certificates;
use crate::snapshot::restore::parts;
use crate::snapshot::restore::parts::Fate;
use crate::snapshot::restore::plan::Action;
use crate::snapshot::restore::plan::Plan;
use crate::snapshot::restore::plan::Site;
use crate::snapshot::restore::plan::SourcePlan;
use crate::snapshot::restore::roles::Crossing;
use crate::snapshot::restore::security;
use crate::source::files;
use crate::source::files::FileList;
use crate::source::files::Listed;
use crate::source::files::Wanted;
use crate::source::files::Way;

/// What it takes to decide which files come back otherwise than they were saved.
#[derive(Clone, Copy)]
pub(super) struct Deciding<'a> {
    pub(super) restoring: &'a Restoring<'a>,
    /// What the snapshot holds.
    pub(super) contents: &'a Contents,
    pub(super) crossing: &'a Crossing,
    pub(super) options: &'a RestoreOptions,
}

/// Returns the plan with the files that do not come back as they were saved, and what is said of them.
pub(super) async fn planned(plan: Plan, deciding: Deciding<'_>) -> Result<Plan> {
    // Each holds a good deal while it reads, and most restores need neither.
    let plan = Box::pin(security::planned(plan, deciding)).await?;
    Box::pin(certificates::planned(plan, deciding)).await
}

/// Returns the contents of these files of a saved tree, which should be few and small.
pub(super) async fn read(
    repository: &Repository,
    index: &Index,
    list: &FileList,
    files: &[Listed],
) -> Result<files::Contents> {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let chunks = index.items.first().map_or(&[][..], |item| &item.chunks);
    let (contents, ()) = tokio::try_join!(
        files::contents(list, files.to_vec(), receiver),
        chunks::fetch(repository, chunks, sender, &Silent),
    )?;
    Ok(contents)
}

/// What is said of a target that cannot be renamed.
const FILLED_IN_PLACE: &str = "it is a mount point: filled in place";

/// What is said of a target of which patterns leave out a part.
const LEFT_OUT: &str = "what its patterns leave out stays as it is";

impl SourcePlan {
    /// Decides what is done with files by what is live: nothing, where that is what is to come back.
    pub(super) async fn compare_files(
        &mut self,
        list: &FileList,
        options: &RestoreOptions,
    ) -> Result<()> {
        let Some(Site::Files { path, way, .. }) = &self.site else { return Ok(()) };
        let is_there = path.symlink_metadata().is_ok();
        self.obstacle = files::obstacle(path, list).await?;
        self.parts = parts::of_files(files::changes(path, list).await?);
        let is_identical = self.parts.iter().all(|part| part.fate == Fate::Identical);
        let (action, reason) = match (is_there, is_identical && !options.full) {
            (false, _) => (Action::Create, "nothing is there"),
            (true, true) => (Action::Keep, "it is identical already"),
            (true, false) if is_identical => (Action::Replace, "--full restores everything"),
            (true, false) => (Action::Replace, "it differs"),
        };
        let is_divided = action == Action::Replace && list.leaves_out();
        let further = [
            (*way == Way::Inside && action.is_restored()).then_some(FILLED_IN_PLACE),
            is_divided.then_some(LEFT_OUT),
        ];
        self.action = action;
        self.reason = Some(
            [Some(reason)].iter().chain(&further).flatten().copied().collect::<Vec<_>>().join("; "),
        );
        Ok(())
    }

    /// Takes in that something else comes back than what was saved.
    pub(super) async fn want(&mut self, wanted: Wanted, options: &RestoreOptions) -> Result<()> {
        self.compare_files(wanted.list(), options).await?;
        self.wanted = Some(wanted);
        Ok(())
    }
}
