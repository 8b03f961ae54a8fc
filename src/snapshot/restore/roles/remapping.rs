//! The remapping of roles in staging: work from what stands there, and prove what came of it.
//!
//! What is written is computed from what was read, not by the server; and what is read back must be
//! what was computed, row by row and right by right. Until then nothing of it is swapped in.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::fault;
use crate::profile::roles::mapping::Mapping;
use crate::profile::roles::mapping::UnknownRoles;
use crate::profile::roles::remap::Line;
use crate::profile::roles::remap::Remapped;
use crate::profile::roles::remap::remap;
use crate::profile::roles::rows::RowPlan;
use crate::profile::roles::rows::plan_rows;
use crate::profile::roles::state::Holder;
use crate::profile::roles::state::RoleState;
use crate::profile::roles::tables;
use crate::profile::service::Column;
use crate::source::mariadb::roles::column::Names;
use crate::source::mariadb::roles::rows;
use crate::source::mariadb::roles::rows::RoleTables;
use crate::source::mariadb::roles::staged::Age;
use crate::source::mariadb::staging::Staging;

/// What becomes of the roles that a database holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::snapshot::restore) struct Remapping {
    /// What each role becomes.
    pub(super) mapping: Mapping,
    /// Where roles stand that become others.
    pub(super) places: Vec<Place>,
}

/// A place in a database that holds roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The tables of Cloudify Manager.
    Tables,
    /// A column that the profile names.
    Column(Column),
}

impl Remapping {
    /// Returns the names of the tables that are built anew, whatever is live: what they hold is read
    /// or changed in staging.
    pub(in crate::snapshot::restore) fn tables(&self) -> BTreeSet<String> {
        let tables = self.places.iter().flat_map(|place| match place {
            Place::Tables => rows::tables().map(str::to_owned).collect(),
            Place::Column(Column { table, .. }) => vec![table.clone()],
        });
        tables.collect()
    }

    /// Remaps what stands in staging, and proves it.
    pub(in crate::snapshot::restore) async fn run(&self, staging: &mut Staging) -> Result<()> {
        for place in &self.places {
            match place {
                Place::Tables => self.remap_tables(staging).await?,
                Place::Column(column) => self.remap_column(column, staging).await?,
            }
            fault::point("staging.remapped");
        }
        Ok(())
    }

    async fn remap_tables(&self, staging: &mut Staging) -> Result<()> {
        let before = staging.read_roles(Age::Old).await?.sorted();
        let Course { remapped, plan } = course(&before, &self.mapping)??;
        let wanted = tables::changed(before.clone(), &plan).sorted();
        staging.write_roles(&before, &wanted, plan.tenant_role).await?;
        let after = staging.read_roles(Age::New).await?.sorted();
        if after != wanted || tables::new_state(&after)? != remapped.state {
            let text = "the remapped roles came out otherwise than they were planned";
            return Err(Error::new(Kind::Mismatch, text));
        }
        Ok(())
    }

    async fn remap_column(&self, place: &Column, staging: &mut Staging) -> Result<()> {
        let Column { table, column, .. } = place;
        let before = staging.read_role_column(table, column).await?;
        let lines = lines_of(place, &before, &self.mapping)?;
        let mut wanted = Names::new();
        let mut renamed = BTreeMap::new();
        for line in lines {
            let old = line.before.unwrap_or_default();
            *wanted.entry(line.after.clone()).or_default() += before[&old];
            if old != line.after {
                renamed.insert(old, line.after);
            }
        }
        staging.write_role_column(table, column, &renamed).await?;
        if staging.read_role_column(table, column).await? != wanted {
            let text = format!("the remapped roles in {table}.{column} came out otherwise");
            return Err(Error::new(Kind::Mismatch, text));
        }
        Ok(())
    }
}

/// What becomes of the tables that hold roles.
pub(super) struct Course {
    pub(super) remapped: Remapped,
    pub(super) plan: RowPlan,
}

/// Returns what becomes of the tables, or the roles in them that nobody has a rule for. Fails where
/// they do not fit together.
pub(super) fn course(
    before: &RoleTables,
    mapping: &Mapping,
) -> Result<std::result::Result<Course, UnknownRoles>> {
    let state = RoleState::UpTo41(tables::old_state(before)?);
    let plan = plan_rows(&tables::roles(before), mapping);
    Ok(remap(state, mapping).map(|remapped| Course { remapped, plan }))
}

/// Returns what becomes of the names in a column, or those that nobody has a rule for.
pub(super) fn lines_of(
    place: &Column,
    names: &Names,
    mapping: &Mapping,
) -> std::result::Result<Vec<Line>, UnknownRoles> {
    let holder = Holder::Column(format!("{}.{}", place.table, place.column));
    let (mut lines, mut unknown) = (Vec::new(), UnknownRoles::default());
    for (name, rows) in names {
        match mapping.system_role(name) {
            None => unknown.add(name, &holder),
            Some(after) => lines.push(Line {
                holder: holder.clone(),
                tenant: None,
                before: Some(name.clone()),
                after: after.to_owned(),
                rows: usize::try_from(*rows).unwrap_or(usize::MAX),
            }),
        }
    }
    if unknown.0.is_empty() { Ok(lines) } else { Err(unknown) }
}
