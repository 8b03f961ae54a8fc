//! Certificates that the user wants restored: what comes back of them, and what is said of them.

use crate::base::error::Result;
use crate::profile::What;
use crate::profile::certificates;
use crate::snapshot::restore::Restoring;
use crate::snapshot::restore::files::Deciding;
use crate::snapshot::restore::files::read;
use crate::snapshot::restore::plan::Action;
use crate::snapshot::restore::plan::Plan;
use crate::snapshot::restore::plan::Site;
use crate::snapshot::restore::plan::SourcePlan;
use crate::snapshot::restore::saved;
use crate::source::files::FileList;
use crate::source::files::Wanted;

/// No certificate and no key is larger.
const MAX_BYTES: u64 = 1 << 20;

/// Returns the plan with what happens to certificates, where the user wants them.
pub(super) async fn planned(mut plan: Plan, deciding: Deciding<'_>) -> Result<Plan> {
    let Deciding { restoring, options, .. } = deciding;
    let Restoring { profile, host, monitor, .. } = *restoring;
    let is_wanted = |name: &String| options.only.is_empty() || options.only.contains(name);
    for spec in profile.sources.iter().filter(|spec| options.certificates && is_wanted(&spec.name))
    {
        let What::Files { certificates: true, .. } = spec.what else { continue };
        let path = host.locate(spec)?;
        let absent = || certificates::absent(&path.display().to_string());
        match plan.sources.iter_mut().find(|source| source.name == spec.name) {
            None => monitor.note(&absent()),
            Some(source) if source.action == Action::Skip => source.notes.push(absent()),
            Some(source) => {
                add_authority(source, deciding).await?;
                if source.is_restored() {
                    let units = &profile.service.units;
                    source.notes.push(certificates::in_use(options.reboot, units));
                }
            }
        }
    }
    Ok(plan)
}

/// Lets copies stand in for an authority that the target wants and the snapshot does not have.
async fn add_authority(source: &mut SourcePlan, deciding: Deciding<'_>) -> Result<()> {
    let Deciding { restoring, contents, crossing, options } = deciding;
    let Some(Site::Files { path, .. }) = &source.site else { return Ok(()) };
    let has_one = path.join(certificates::AUTHORITY).symlink_metadata().is_ok();
    let (record, index) = saved(contents, &source.name)?;
    let list = FileList::from_detail(&index.detail)?.with_patterns(&record.detail)?;
    let copies = certificates::STAND_INS;
    // Where all comes back as it was saved, nothing is added. What has none of the files is not the
    // folder of such a manager.
    if crossing.mapping().is_none()
        || !certificates::wants_authority(crossing.target.as_ref(), has_one)
        || list.names(certificates::AUTHORITY)
        || !copies.iter().any(|(file, _)| list.names(file))
    {
        return Ok(());
    }
    let files = copies.map(|(file, _)| list.file(file).filter(|file| file.bytes <= MAX_BYTES));
    let [Some(certificate), Some(key)] = files else {
        source.notes.push(certificates::not_copied());
        return Ok(());
    };
    let files = [certificate, key];
    let found = read(restoring.repository, index, &list, &files).await?;
    let mut wanted = Wanted::from(list);
    for (file, (_, copy)) in files.iter().zip(copies) {
        wanted = wanted.with_file_like(copy, file, found.of(file).unwrap_or_default().to_vec());
    }
    source.want(wanted, options).await?;
    source.notes.push(certificates::copied());
    Ok(())
}
