//! The security file that comes back: with the roles of the target's version, and with the keys that
//! only a newer target has.

use std::path::PathBuf;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::profile::roles::mapping::Mapping;
use crate::profile::roles::mapping::UnknownRoles;
use crate::profile::roles::when::Decision;
use crate::profile::roles::when::Reason;
use crate::profile::roles::when::Shape;
use crate::profile::security::SecurityFile;
use crate::profile::security::assemble::MAX_BYTES;
use crate::profile::security::assemble::Target;
use crate::profile::security::assemble::assemble;
use crate::profile::security::finding::Finding;
use crate::repository::contents::Contents;
use crate::snapshot::restore::RestoreOptions;
use crate::snapshot::restore::Restoring;
use crate::snapshot::restore::files;
use crate::snapshot::restore::files::Deciding;
use crate::snapshot::restore::plan::Action;
use crate::snapshot::restore::plan::Plan;
use crate::snapshot::restore::plan::Site;
use crate::snapshot::restore::plan::SourcePlan;
use crate::snapshot::restore::roles::Crossing;
use crate::snapshot::restore::saved;
use crate::source::files as tree;
use crate::source::files::FileList;
use crate::source::files::Wanted;

/// What is said of roles whose names are older than the version of the snapshot.
const OLD_ROLES: &str = "the roles in the security file are older than the version that the snapshot \
    is of, and come back as they are: that version may be wrong";

/// Returns the plan with what comes back as the security file, where the profile names one.
pub(super) async fn planned(mut plan: Plan, deciding: Deciding<'_>) -> Result<Plan> {
    let Deciding { restoring, contents, crossing, options } = deciding;
    // Where all comes back as it was saved, this does too.
    let Some(mapping) = crossing.mapping() else { return Ok(plan) };
    let Restoring { profile, monitor, .. } = *restoring;
    let roles = profile.service.roles.as_ref();
    let Some(name) = roles.and_then(|roles| roles.security_file.as_ref()) else { return Ok(plan) };
    let Some(source) = plan.sources.iter_mut().find(|source| source.name == *name) else {
        if let Some(finding) = absent(restoring, name, options).await? {
            monitor.note(&finding.to_string());
        }
        return Ok(plan);
    };
    if source.action == Action::Skip {
        let finding = absent(restoring, name, options).await?;
        source.notes.extend(finding.map(|finding| finding.to_string()));
        return Ok(plan);
    }
    let Some(saved) = Saved::read(source, restoring, contents).await? else { return Ok(plan) };
    let unknown = saved.settle(source, mapping, crossing, options).await?;
    plan.unknown_roles.append(unknown);
    Ok(plan)
}

/// Returns what there is to say of a snapshot without the file: nothing where the target has none
/// either.
async fn absent(
    restoring: &Restoring<'_>,
    name: &str,
    options: &RestoreOptions,
) -> Result<Option<Finding>> {
    let Restoring { profile, host, .. } = *restoring;
    let is_wanted = options.only.is_empty() || options.only.iter().any(|only| only == name);
    let spec = profile.sources.iter().find(|spec| spec.name == name && is_wanted);
    let Some(spec) = spec else { return Ok(None) };
    let live = tree::live_content(&host.locate(spec)?, 1).await?;
    Ok(live.map(|_| Finding::Absent))
}

/// The file that the snapshot holds, and where it goes.
struct Saved {
    path: PathBuf,
    list: FileList,
    bytes: Vec<u8>,
}

impl Saved {
    /// Returns the snapshot's file; nothing where it is left alone, or too large.
    async fn read(
        source: &mut SourcePlan,
        restoring: &Restoring<'_>,
        contents: &Contents,
    ) -> Result<Option<Self>> {
        let Some(Site::Files { path, .. }) = source.site.clone() else { return Ok(None) };
        let (record, index) = saved(contents, &source.name)?;
        let list = FileList::from_detail(&index.detail)?.with_patterns(&record.detail)?;
        let Some(file) = list.only_file() else {
            let text =
                format!("cannot restore {} as the security file: it is a folder", source.name);
            return Err(Error::new(Kind::Refused, text)
                .hint("`security-file` of the profile names a source that is the file itself"));
        };
        if file.bytes > MAX_BYTES {
            source.notes.push(Finding::TooLarge.to_string());
            return Ok(None);
        }
        let found = files::read(restoring.repository, index, &list, std::slice::from_ref(&file));
        let bytes = found.await?.of(&file).unwrap_or_default().to_vec();
        Ok(Some(Self { path, list, bytes }))
    }

    /// Decides what comes back, and what is said of it; returns the roles that nobody has a rule
    /// for, which refuse the restore.
    async fn settle(
        self,
        source: &mut SourcePlan,
        mapping: &Mapping,
        crossing: &Crossing,
        options: &RestoreOptions,
    ) -> Result<UnknownRoles> {
        let Self { path, list, bytes } = self;
        let mut roles = None;
        if let Some(file) = SecurityFile::parse(&bytes) {
            let shape = Shape::of_names(mapping.rule(), file.roles());
            match crossing.decide(shape).await? {
                Decision::Remap => match file.plan_roles(mapping) {
                    Ok(plan) => roles = Some(plan),
                    Err(unknown) => return Ok(unknown),
                },
                Decision::Leave(Reason::NewVersion) => source.notes.push(OLD_ROLES.to_owned()),
                Decision::Leave(_) => {}
            }
        }
        let live = tree::live_content(&path, MAX_BYTES + 1).await?;
        let is_newer = live.is_some() && crossing.is_newer().await?;
        let target = Target { bytes: live.as_deref(), is_newer };
        let assembled = assemble(&bytes, roles.as_ref(), target)?;
        source.notes.extend(assembled.notes());
        source.roles = roles.map(|plan| plan.lines).unwrap_or_default();
        if assembled.bytes != bytes {
            let wanted = Wanted::from(list).with_content(assembled.bytes);
            source.want(wanted, options).await?;
        }
        Ok(UnknownRoles::default())
    }
}
