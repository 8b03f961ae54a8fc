//! What a restore would make of the roles in its databases: read from the snapshot itself, before
//! anything is written.

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::profile::roles::choices::Remap;
use crate::profile::roles::mapping::Mapping;
use crate::profile::roles::mapping::UnknownRoles;
use crate::profile::roles::remap::Line;
use crate::profile::roles::when::Decision;
use crate::profile::roles::when::Reason;
use crate::profile::roles::when::Shape;
use crate::profile::service::Column;
use crate::repository::Repository;
use crate::repository::catalog::Index;
use crate::repository::contents::Contents;
use crate::snapshot::definitions;
use crate::snapshot::restore::RestoreOptions;
use crate::snapshot::restore::Restoring;
use crate::snapshot::restore::plan::Plan;
use crate::snapshot::restore::plan::Site;
use crate::snapshot::restore::plan::SourcePlan;
use crate::snapshot::restore::roles::Crossing;
use crate::snapshot::restore::roles::holder;
use crate::snapshot::restore::roles::remapping;
use crate::snapshot::restore::roles::remapping::Course;
use crate::snapshot::restore::roles::remapping::Place;
use crate::snapshot::restore::roles::remapping::Remapping;
use crate::snapshot::restore::saved;
use crate::source::mariadb::roles;
use crate::source::mariadb::roles::column::Names;
use crate::source::mariadb::roles::column::SavedColumn;
use crate::source::mariadb::roles::rows::RoleTables;
use crate::source::mariadb::roles::rows::SavedTables;

/// Returns the plan with what becomes of the roles that its databases hold, and the roles that nobody
/// has a rule for.
pub(in crate::snapshot::restore) async fn planned(
    mut plan: Plan,
    restoring: &Restoring<'_>,
    contents: &Contents,
    crossing: &Crossing,
) -> Result<Plan> {
    let Restoring { repository, profile, .. } = *restoring;
    let (Some(mapping), Some(roles)) = (crossing.mapping(), &profile.service.roles) else {
        return Ok(plan);
    };
    for source in &mut plan.sources {
        let Some(Site::Database { .. }) = &source.site else { continue };
        let columns = roles.columns.iter().filter(|column| column.source == source.name);
        let columns: Vec<&Column> = columns.collect();
        let has_tables = holder(profile) == Some(source.name.as_str());
        if columns.is_empty() && !has_tables {
            continue;
        }
        let (record, index) = saved(contents, &source.name)?;
        let schema = definitions::read(repository, record).await?;
        let saved = Saved { repository, index, schema };
        let mut found = Found { mapping, crossing, source, places: Vec::new() };
        let mut unknown = UnknownRoles::default();
        if has_tables {
            unknown.append(found.in_tables(&saved).await?);
        }
        for column in columns {
            unknown.append(found.in_column(&saved, column).await?);
        }
        let places = found.places;
        let remapping = Remapping { mapping: mapping.clone(), places };
        source.remapping = Some(remapping).filter(|remapping| !remapping.places.is_empty());
        plan.unknown_roles.append(unknown);
    }
    Ok(plan)
}

/// Notes that the user says what roles become, where none become others.
pub(in crate::snapshot::restore) fn note_unused(
    plan: &Plan,
    options: &RestoreOptions,
    monitor: &dyn Monitor,
) {
    let Remap::ByVersion(choices) = &options.remap else { return };
    let is_remapped = |it: &SourcePlan| it.remapping.is_some() || !it.roles.is_empty();
    let is_used = !plan.unknown_roles.is_empty() || plan.sources.iter().any(is_remapped);
    if !choices.overrides.is_empty() && !is_used {
        monitor.note("--map-role changes nothing: this restore makes no roles others");
    }
}

impl Crossing {
    /// Fails with [`Kind::Refused`](crate::base::error::Kind) where the profile's product has rules that do not let this snapshot
    /// be restored onto this version.
    pub(in crate::snapshot::restore) fn check(&self, restoring: &Restoring<'_>) -> Result<()> {
        let (Some(source), Some(target), Some(_)) = (&self.source, &self.target, &self.mapping)
        else {
            return Ok(());
        };
        match restoring.profile.rules()? {
            Some(rules) => rules.check_restore(source, target),
            None => Ok(()),
        }
    }
}

/// What is found in one source.
struct Found<'a> {
    mapping: &'a Mapping,
    crossing: &'a Crossing,
    source: &'a mut SourcePlan,
    places: Vec<Place>,
}

impl Found<'_> {
    async fn in_tables(&mut self, saved: &Saved<'_>) -> Result<UnknownRoles> {
        if !self.is_remapped(self.crossing.saved_shape).await? {
            return Ok(UnknownRoles::default());
        }
        let tables = saved.tables().await?;
        let Course { remapped, plan } = match remapping::course(&tables, self.mapping)? {
            Ok(course) => course,
            Err(unknown) => return Ok(unknown),
        };
        roles::demand_fit(&saved.schema, plan.merged.len())?;
        for holder in remapped.with_several_system_roles() {
            self.source.notes.push(format!(
                "{holder} has several system roles: Cloudify Manager looks at one of them alone"
            ));
        }
        self.take(Place::Tables, remapped.lines);
        Ok(UnknownRoles::default())
    }

    async fn in_column(&mut self, saved: &Saved<'_>, column: &Column) -> Result<UnknownRoles> {
        let title = format!("column {}.{}", column.table, column.column);
        let Some(found) = SavedColumn::find(&saved.schema, &column.table, &column.column)? else {
            self.source.notes.push(format!("the snapshot has no {title} to look for roles in"));
            return Ok(UnknownRoles::default());
        };
        let names = saved.names(&found).await?;
        let shape = Shape::of_names(self.mapping.rule(), names.keys().map(String::as_str));
        if !self.is_remapped(shape).await? {
            return Ok(UnknownRoles::default());
        }
        found.demand_fit(&title)?;
        match remapping::lines_of(column, &names, self.mapping) {
            Ok(lines) => self.take(Place::Column(column.clone()), lines),
            Err(unknown) => return Ok(unknown),
        }
        Ok(UnknownRoles::default())
    }

    /// Returns whether roles of this shape are remapped; notes why not, where that may surprise.
    async fn is_remapped(&mut self, shape: Option<Shape>) -> Result<bool> {
        let boundary = &self.mapping.rule().boundary;
        let note = match self.crossing.decide(shape).await? {
            Decision::Remap if self.crossing.target.is_some() => return Ok(true),
            Decision::Remap => {
                // What a failed upgrade has left may look so too.
                self.note(format!(
                    "roles become those of {boundary}, for the live database has such ones: with a \
                     --to-version below they come back as they were saved"
                ));
                return Ok(true);
            }
            Decision::Leave(Reason::OldTarget) => {
                format!(
                    "roles come back as they were saved: the target uses those of before {boundary} too"
                )
            }
            Decision::Leave(Reason::NewVersion) => format!(
                "roles come back as they were saved: they are those of before {boundary}, but the \
                 snapshot says that it is of a later version"
            ),
            Decision::Leave(Reason::NoRoles | Reason::NewShape | Reason::AsSaved) => {
                return Ok(false);
            }
        };
        self.note(note);
        Ok(false)
    }

    /// Notes what holds for several places once.
    fn note(&mut self, note: String) {
        if !self.source.notes.contains(&note) {
            self.source.notes.push(note);
        }
    }

    fn take(&mut self, place: Place, lines: Vec<Line>) {
        self.places.push(place);
        self.source.roles.extend(lines);
    }
}

/// A saved database.
struct Saved<'a> {
    repository: &'a Repository,
    index: &'a Index,
    schema: Vec<u8>,
}

impl Saved<'_> {
    /// Returns what stands in the tables that hold roles.
    async fn tables(&self) -> Result<RoleTables> {
        let saved = SavedTables::of(&self.schema)?;
        let mut tables = RoleTables::default();
        for position in saved.positions() {
            for chunk in &self.index.items[position].chunks {
                let rows = self.repository.read_blob(&chunk.blob).await?;
                saved.take_chunk(position, &rows, &mut tables)?;
            }
        }
        Ok(tables)
    }

    /// Returns the names in a column.
    async fn names(&self, column: &SavedColumn) -> Result<Names> {
        let mut names = Names::new();
        for chunk in &self.index.items[column.position].chunks {
            let rows = self.repository.read_blob(&chunk.blob).await?;
            column.take_chunk(&rows, &mut names)?;
        }
        Ok(names)
    }
}
