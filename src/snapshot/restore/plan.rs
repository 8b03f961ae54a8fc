//! The plan of a restore: what happens to each source, decided before anything is done.

use std::path::Path;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::profile::CommandPair;
use crate::profile::Profile;
use crate::profile::SourceSpec;
use crate::profile::What;
use crate::profile::roles::mapping::UnknownRoles;
use crate::profile::roles::remap::Line;
use crate::repository::Repository;
use crate::repository::catalog::Index;
use crate::repository::catalog::Item;
use crate::repository::catalog::SourceRecord;
use crate::repository::catalog::SourceState;
use crate::repository::contents::Contents;
use crate::repository::id::SnapshotId;
use crate::snapshot::Host;
use crate::snapshot::definitions;
use crate::snapshot::outputs;
use crate::snapshot::restore::RestoreOptions;
use crate::snapshot::restore::command;
use crate::snapshot::restore::left_alone::left_alone;
use crate::snapshot::restore::parts;
pub use crate::snapshot::restore::parts::Fate;
pub use crate::snapshot::restore::parts::Part;
use crate::snapshot::restore::refusals;
use crate::snapshot::restore::roles::Remapping;
use crate::snapshot::restore::survey;
use crate::source::files::FileList;
use crate::source::files::Wanted;
use crate::source::files::Way;
pub use crate::source::mariadb::accounts::plan::AccountAction;
use crate::source::mariadb::accounts::plan::AccountsPlan;
use crate::source::mariadb::compare::Comparison;
use crate::source::mariadb::foreign_keys;
use crate::source::mariadb::preflight;
use crate::source::mariadb::target;
use crate::source::mariadb::target::Target;

/// What a restore does, source by source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The id of the snapshot.
    pub snapshot: String,
    /// The sources of the snapshot, in its order.
    pub sources: Vec<SourcePlan>,
    /// Roles that nobody has a rule for, and who has them: they refuse the restore.
    #[serde(skip)]
    pub unknown_roles: UnknownRoles,
    /// How long it may take: an estimate from sizes, made for a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_seconds: Option<u64>,
}

/// What happens to one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourcePlan {
    /// The name of the source.
    pub name: String,
    /// The kind of source.
    pub kind: String,
    /// The database or the path that is restored.
    pub target: String,
    /// What is done.
    pub action: Action,
    /// Why nothing is done, or what is there now.
    pub reason: Option<String>,
    /// The number of tables, or of files and folders.
    pub items: u64,
    /// The size of the raw bytes.
    pub raw_bytes: u64,
    /// What happens to the accounts of a database, where the user wants them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts: Option<AccountsPlan>,
    /// The accounts whose rights the programs of an uploaded snapshot would run with, unless the user
    /// trusts them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub untrusted_definers: Vec<String>,
    /// The program of this host that the bytes of an uploaded snapshot would be given to, unless the
    /// user trusts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fed_program: Option<String>,
    /// The foreign keys of other databases that would follow tables that are replaced, once it is
    /// known which are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<String>,
    /// What becomes of the roles that it holds: every right before and after. Nothing where they come
    /// back as they were saved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Line>,
    /// Whether it was absent when the rest was saved, and is there now: it stays.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub came_since: bool,
    /// What else is to be known, and stands in no way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What happens to each table, sequence and file, once it is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// Where it is restored to; nowhere for a source that is left alone.
    #[serde(skip)]
    pub(super) site: Option<Site>,
    /// What comes back of files, where it is not what was saved.
    #[serde(skip)]
    pub(super) wanted: Option<Wanted>,
    /// What becomes of the roles in a database, where they become others.
    #[serde(skip)]
    pub(super) remapping: Option<Remapping>,
    /// What is left out of a live folder and has the place of something that comes back.
    #[serde(skip)]
    pub(super) obstacle: Option<PathBuf>,
    /// What is in the way, unless it may be replaced.
    #[serde(skip)]
    live: Option<Target>,
    /// The folder of the database server, where it can be seen from here.
    #[serde(skip)]
    live_folder: Option<PathBuf>,
}

/// What a restore does with a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Nothing is there yet.
    Create,
    /// What is live is replaced, and kept aside.
    Replace,
    /// What is live stays as it is.
    Keep,
    /// The snapshot has nothing to restore.
    Skip,
}

impl Action {
    /// Returns whether something is restored.
    pub const fn is_restored(self) -> bool {
        matches!(self, Self::Create | Self::Replace)
    }
}

/// Where a source is restored to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Site {
    /// The database of this name.
    Database { database: String },
    /// This path, below `--root`, how it is replaced, and whether it holds certificates.
    Files { path: PathBuf, way: Way, certificates: bool },
    /// What this command does with what it is given.
    Command(CommandPair),
}

/// Returns what a restore would do. Fails where it could not be done at all.
pub(super) async fn plan(
    repository: &Repository,
    id: &SnapshotId,
    contents: &Contents,
    profile: &Profile,
    host: &Host,
    options: &RestoreOptions,
    monitor: &dyn Monitor,
) -> Result<Plan> {
    let mut sources = Vec::new();
    for (record, index) in contents.catalog.sources.iter().zip(&contents.indexes) {
        let spec = profile.sources.iter().find(|spec| spec.name == record.name);
        let planned = match (left_alone(record, spec, options), spec) {
            (None, Some(spec)) => {
                let saved = Saved { repository, record, index: index.as_ref() };
                with_live(&saved, spec, host, options, monitor).await?
            }
            (Some((action, reason)), spec) => {
                let mut plan = outline(record, action, Some(reason));
                if let Some(spec) = spec.filter(|_| record.state == SourceState::Absent) {
                    plan.look_again(spec, host, options, monitor).await;
                }
                plan
            }
            (None, None) => {
                let reason = "the profile has no such source".to_owned();
                outline(record, Action::Skip, Some(reason))
            }
        };
        sources.push(planned);
    }
    let unknown_roles = UnknownRoles::default();
    Ok(Plan { snapshot: id.to_string(), sources, unknown_roles, estimated_seconds: None })
}

impl SourcePlan {
    /// Returns whether something live is created or replaced.
    pub(super) fn is_restored(&self) -> bool {
        self.action.is_restored()
    }

    /// Returns whether a command restores it.
    pub(super) const fn is_by_command(&self) -> bool {
        matches!(self.site, Some(Site::Command(_)))
    }

    /// Returns whether the rows that are loaded go to the server's binary log too.
    pub(super) fn is_logged(&self) -> bool {
        self.live.as_ref().is_some_and(Target::writes_log)
    }

    /// Returns whether foreign keys of other databases point to what is live.
    pub(super) fn is_pinned(&self) -> bool {
        self.is_restored() && self.live.as_ref().is_some_and(|live| !live.pins().is_empty())
    }

    /// Returns the folder that the source is staged in, where it can be seen from here.
    pub(super) fn staging_folder(&self) -> Option<&Path> {
        match self.site.as_ref()? {
            Site::Files { path, way, .. } => way.staging_folder(path),
            Site::Database { .. } => self.live_folder.as_deref(),
            Site::Command(_) => None,
        }
    }

    /// Takes in what was found of a database; one that is identical already is left alone, unless
    /// accounts go with it.
    pub(super) fn take_in(&mut self, found: &Comparison, items: &[Item]) {
        self.parts = parts::of_database(found, items);
        if let Some(live) = &self.live {
            let built = self.parts.iter().filter(|part| part.is_built());
            let tables: Vec<&str> = built.map(|part| part.name.as_str()).collect();
            self.notes.extend(live.fates_of_rights(found, &tables));
            self.pins = live.pins_on_replaced(found);
        }
        if found.is_identical && self.accounts.is_none() {
            self.action = Action::Keep;
            self.reason = Some("it is identical already".to_owned());
        }
    }
}

impl Plan {
    /// Returns the databases and paths that it replaces.
    pub(super) fn targets(&self) -> Vec<String> {
        let restored = self.sources.iter().filter(|source| source.is_restored());
        restored.map(|source| source.target.clone()).collect()
    }

    /// Returns what was absent when the rest was saved, and is there now.
    pub fn came_since(&self) -> impl Iterator<Item = String> {
        let came = self.sources.iter().filter(|source| source.came_since);
        came.map(|source| format!("{} ({})", source.name, source.target))
    }

    /// Returns those that it has looked at, whether it replaces them or finds them as they are to be.
    pub(super) fn seen(&self) -> Vec<String> {
        let seen = self.sources.iter().filter(|source| source.site.is_some());
        seen.map(|source| source.target.clone()).collect()
    }

    /// Returns the sources that are restored, those by commands last: they can only be taken back
    /// by commands again, so that all else is to be in place by then.
    pub(super) fn restored(&self) -> impl Iterator<Item = &SourcePlan> {
        let restored = || self.sources.iter().filter(|source| source.is_restored());
        restored()
            .filter(|source| !source.is_by_command())
            .chain(restored().filter(|source| source.is_by_command()))
    }

    /// Fails with [`Kind::Refused`] where something stands in the plan's way.
    pub(super) fn check(&self, options: &RestoreOptions) -> Result<()> {
        for source in &self.sources {
            refusals::demand_trust(source)?;
            refusals::demand_way(source)?;
            if options.in_place && source.remapping.is_some() {
                return Err(refusals::remapped_in_place(&source.name));
            }
            let Some(live) = source.live.as_ref().filter(|_| source.is_restored()) else {
                continue;
            };
            live.check()?;
            let tables = live.tables.unwrap_or_default();
            if tables > 0 && !options.force {
                return Err(refusals::not_empty(&source.target, tables));
            }
        }
        self.unknown_roles.clone().check()
    }

    /// Fails with [`Kind::Refused`] where foreign keys of other databases point to what was found to
    /// be replaced.
    pub(super) fn demand_unpinned(&self) -> Result<()> {
        self.sources.iter().try_for_each(|source| foreign_keys::refuse(&source.pins))
    }
}

fn outline(record: &SourceRecord, action: Action, reason: Option<String>) -> SourcePlan {
    let raw_bytes = record.items.iter().map(|item| item.raw_bytes).sum();
    let items = match record.kind.as_str() {
        "files" => record.items.iter().map(|item| item.rows).sum(),
        _ => record.items.len() as u64,
    };
    SourcePlan {
        name: record.name.clone(),
        kind: record.kind.clone(),
        target: record.origin.clone(),
        action,
        reason,
        items,
        raw_bytes,
        accounts: None,
        untrusted_definers: Vec::new(),
        fed_program: None,
        pins: Vec::new(),
        roles: Vec::new(),
        came_since: false,
        notes: Vec::new(),
        parts: Vec::new(),
        site: None,
        wanted: None,
        remapping: None,
        obstacle: None,
        live: None,
        live_folder: None,
    }
}

/// A source of the snapshot.
struct Saved<'a> {
    repository: &'a Repository,
    record: &'a SourceRecord,
    index: Option<&'a Index>,
}

/// Plans a source that is restored, by what is live in its place.
async fn with_live(
    saved: &Saved<'_>,
    spec: &SourceSpec,
    host: &Host,
    options: &RestoreOptions,
    monitor: &dyn Monitor,
) -> Result<SourcePlan> {
    let Saved { repository, record, index } = saved;
    match (&spec.what, record.kind.as_str()) {
        (What::Database { database, .. }, "mariadb") => {
            let database = options.database.as_ref().unwrap_or(database);
            target::check_name(database)?;
            let live = target::inspect(&host.database, database).await?;
            survey::note_server(record, *index, &live, monitor);
            let schema = definitions::read(repository, record).await?;
            preflight::demand_support(&host.database, &schema, database).await?;
            let (action, reason) = match live.tables {
                None => (Action::Create, "there is no such database".to_owned()),
                Some(0) => (Action::Replace, "the database is empty".to_owned()),
                Some(tables) => (Action::Replace, format!("{tables} tables and views are live")),
            };
            Ok(SourcePlan {
                target: database.clone(),
                site: Some(Site::Database { database: database.clone() }),
                live_folder: live.local_folder(&host.database, &host.name),
                notes: live.note_on_read_only().into_iter().collect(),
                live: Some(live),
                ..outline(record, action, Some(reason))
            })
        }
        (What::Files { certificates, .. }, "files") => {
            let path = host.locate(spec)?;
            let list = FileList::from_detail(index.map_or(&Value::Null, |index| &index.detail))?
                .with_patterns(&record.detail)?;
            let way = Way::of_list(&path, &list)?;
            let mut plan = SourcePlan {
                target: path.display().to_string(),
                site: Some(Site::Files { path, way, certificates: *certificates }),
                ..outline(record, Action::Replace, None)
            };
            plan.compare_files(&list, options).await?;
            Ok(plan)
        }
        (What::Command(pair), outputs::KIND) => {
            command::planned(outline(record, Action::Replace, None), pair, options)
        }
        (_, kind) => Err(Error::new(
            Kind::Refused,
            format!("cannot restore {}: it was saved as {kind}, the profile differs", record.name),
        )),
    }
}
