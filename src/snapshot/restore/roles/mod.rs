//! Whether roles are remapped: decided in one place for all that holds roles, the database, the
//! columns that a profile names, and the security file.
//!
//! The snapshot's version is the one that `create` recorded; where it recorded none, the shape of its
//! own tables tells, which stands in its definitions. The target's version is what the user says, or
//! what is detected, or else the shape of the live tables; those are asked for only where nothing
//! else tells, so that what needs no database does not come to need one.

mod planned;
mod remapping;

use tokio::sync::OnceCell;

use crate::base::error::Result;
use crate::profile::Profile;
use crate::profile::What;
use crate::profile::roles::RoleRule;
use crate::profile::roles::choices::Choices;
use crate::profile::roles::choices::Remap;
use crate::profile::roles::mapping::Mapping;
use crate::profile::roles::when;
use crate::profile::roles::when::Decision;
use crate::profile::roles::when::Reason;
use crate::profile::roles::when::Shape;
use crate::profile::roles::when::Side;
use crate::profile::version::Version;
use crate::repository::Repository;
use crate::repository::catalog::SourceState;
use crate::repository::contents::Contents;
use crate::snapshot::Host;
use crate::snapshot::definitions;
use crate::snapshot::restore::RestoreOptions;
use crate::snapshot::restore::Restoring;
use crate::source::mariadb::roles::shape;

pub(super) use crate::snapshot::restore::roles::planned::note_unused;
pub(super) use crate::snapshot::restore::roles::planned::planned;
pub(super) use crate::snapshot::restore::roles::remapping::Remapping;

/// From which version to which one a restore goes, and what becomes of roles on the way.
pub(super) struct Crossing {
    /// `None` where all comes back as it was saved.
    mapping: Option<Mapping>,
    /// The version of the product that the snapshot is of.
    pub(super) source: Option<Version>,
    /// The version of the product on the target.
    pub(super) target: Option<Version>,
    /// The shape of the roles in the snapshot's database; `None` where it has none.
    pub(super) saved_shape: Option<Shape>,
    live: Live,
}

/// The live database, whose shape is looked at once, where it is asked for.
struct Live {
    shape: OnceCell<Option<Shape>>,
    host: Host,
    /// The names that it may have, the likelier one first.
    databases: Vec<String>,
}

impl Crossing {
    /// Returns what is known of both sides.
    pub(super) async fn find(
        restoring: &Restoring<'_>,
        contents: &Contents,
        options: &RestoreOptions,
    ) -> Result<Self> {
        let Restoring { repository, profile, host, monitor } = *restoring;
        let saved = contents.catalog.product_version.as_deref();
        let source = saved.and_then(|text| text.parse().ok());
        if let (Some(text), None) = (saved, &source) {
            monitor.note(&format!("the snapshot's version is none that can be compared: {text:?}"));
        }
        let (mapping, choices) = match &options.remap {
            Remap::Never => (None, Choices::default()),
            Remap::ByVersion(choices) => {
                let rule = RoleRule::built_in();
                let mapping = Mapping::new(rule, &choices.overrides, choices.unknown)?;
                (Some(mapping), choices.clone())
            }
        };
        let databases = databases(profile, options);
        let known = choices.shape.map(Some);
        let live = Live { shape: OnceCell::new_with(known), host: host.clone(), databases };
        let target = match choices.to_version {
            None if mapping.is_some() => host.version_of(profile, monitor).await,
            told => told,
        };
        let saved_shape = saved_shape(repository, profile, contents).await?;
        Ok(Self { mapping, source, target, saved_shape, live })
    }

    /// Returns whether the roles of one place are remapped, which have this shape in the snapshot.
    /// Fails with [`Kind::Usage`](crate::base::error::Kind) where nothing tells what the target uses.
    pub(super) async fn decide(&self, shape: Option<Shape>) -> Result<Decision> {
        let Some(mapping) = &self.mapping else { return Ok(Decision::Leave(Reason::AsSaved)) };
        let source = Side { version: self.source.as_ref(), shape };
        let needs_live = shape == Some(Shape::UpTo41) && self.target.is_none();
        let live = if needs_live { self.live_shape().await? } else { None };
        when::decide(mapping.rule(), source, Side { version: self.target.as_ref(), shape: live })
    }

    /// Returns what a restore was told, with what has been found of the target since: done again, it
    /// decides as it did, whatever is live by then.
    pub(super) fn remembered(&self, told: &Remap) -> Remap {
        match told {
            Remap::Never => Remap::Never,
            Remap::ByVersion(choices) => Remap::ByVersion(Choices {
                to_version: self.target.clone(),
                shape: self.live.shape.get().copied().flatten(),
                ..choices.clone()
            }),
        }
    }

    /// Returns whether the target is newer than the snapshot, as far as that is known.
    pub(super) async fn is_newer(&self) -> Result<bool> {
        if self.mapping.is_none() {
            return Ok(false);
        }
        let source = Side { version: self.source.as_ref(), shape: self.saved_shape };
        let is_by_version = self.source.is_some() && self.target.is_some();
        let needs_live = !is_by_version && self.saved_shape == Some(Shape::UpTo41);
        let live = if needs_live { self.live_shape().await? } else { None };
        Ok(when::is_newer(source, Side { version: self.target.as_ref(), shape: live }))
    }

    /// Returns what roles become; `None` where all comes back as it was saved.
    pub(super) const fn mapping(&self) -> Option<&Mapping> {
        self.mapping.as_ref()
    }

    async fn live_shape(&self) -> Result<Option<Shape>> {
        let Live { shape, host, databases } = &self.live;
        let look = async || {
            for database in databases {
                let found = shape::has_live_tenant_roles(&host.database, database).await?;
                if let Some(shape) = Shape::of_database(found) {
                    return Ok(Some(shape));
                }
            }
            Ok(None)
        };
        shape.get_or_try_init(look).await.copied()
    }
}

/// Returns the names of the database that holds the target's roles: that which is restored, and where
/// there is no such one yet, the profile's own.
fn databases(profile: &Profile, options: &RestoreOptions) -> Vec<String> {
    let Some(name) = holder(profile) else { return Vec::new() };
    let spec = profile.sources.iter().find(|spec| spec.name == name);
    match spec.map(|spec| &spec.what) {
        Some(What::Database { database, .. }) => {
            options.database.iter().chain([database]).cloned().collect()
        }
        _ => Vec::new(),
    }
}

/// Returns the name of the source that holds roles as Cloudify Manager does.
fn holder(profile: &Profile) -> Option<&str> {
    profile.service.roles.as_ref()?.database.as_deref()
}

/// Returns the shape of the roles in the snapshot's database.
async fn saved_shape(
    repository: &Repository,
    profile: &Profile,
    contents: &Contents,
) -> Result<Option<Shape>> {
    let mut sources = contents.catalog.sources.iter();
    let is_it = |name: &str| Some(name) == holder(profile);
    let Some(record) = sources.find(|it| is_it(&it.name) && it.state == SourceState::Saved) else {
        return Ok(None);
    };
    let schema = definitions::read(repository, record).await?;
    Ok(Shape::of_database(shape::has_tenant_roles(&schema)?))
}
