//! A profile: what makes up a service, source by source; and what is known of products: how their
//! roles change ([`roles`], [`security`]) and which way leads to which version ([`upgrade`]).
//!
//! The built-in profiles are written in the words of the configuration file, so that they are
//! examples too, and one reader serves both (`read`). A profile of the file takes the place of a
//! built-in one of the same name: as a whole, or, where it says `extends`, in what it states.
//! `snap profile show` prints what came of it.

use std::path::PathBuf;
use std::time::Duration;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::profile::service::Service;
use crate::profile::upgrade::VersionRules;
use crate::source::files::globs::Globs;

mod built_in;
pub mod certificates;
pub mod config;
mod read;
pub mod roles;
mod section;
pub mod security;
pub mod service;
pub mod upgrade;
pub mod version;
pub mod written;

pub use crate::source::mariadb::login::Login;
pub use crate::source::mariadb::login::LoginFlags;
pub use crate::source::mariadb::login::Secret;
pub use crate::source::mariadb::login::Surroundings;

/// What makes up a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// The name that `--profile` takes.
    pub name: String,
    /// The sources, in the order in which they are saved and restored.
    pub sources: Vec<SourceSpec>,
    /// Whether a snapshot needs one of its sources at least, although each is optional: a host of
    /// another kind would be saved as nothing at all, day after day.
    pub at_least_one: bool,
    /// What is known of the service beside what is saved of it.
    pub service: Service,
}

/// One source of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSpec {
    /// The name that `--only` and `--exclude` take.
    pub name: String,
    /// Whether a snapshot without it is whole.
    pub optional: bool,
    /// What is saved.
    pub what: What,
}

/// What a source saves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A database of the MariaDB server.
    Database {
        /// Its name on the server.
        database: String,
        /// Whether the accounts that reach it are saved with it.
        users: bool,
    },
    /// A folder with all that is in it, or a single file.
    Files {
        /// Where it is, below `--root`.
        path: PathBuf,
        /// Whether these are certificates, which a restore leaves alone unless it is asked.
        certificates: bool,
        /// Which entries of the folder belong to it.
        globs: Globs,
    },
    /// What a command prints, and another takes back.
    Command(CommandPair),
}

/// The two commands of a source that is neither a database of MariaDB nor a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandPair {
    /// The command whose output is saved.
    pub save: String,
    /// The command that is given the saved output.
    pub load: String,
    /// After this time either is ended, and has failed.
    pub limit: Duration,
}

impl Profile {
    /// Returns the version rules of the product, where the profile names any.
    pub(crate) fn rules(&self) -> Result<Option<VersionRules>> {
        let Some(product) = &self.service.rules else { return Ok(None) };
        VersionRules::built_in(product).map(Some).ok_or_else(|| {
            let text =
                format!("cannot use profile {}: no rules are known of {product:?}", self.name);
            Error::new(Kind::Usage, text)
                .hint(format!("there are rules of {}", upgrade::products()))
        })
    }

    /// Fails where a snapshot needs one of the sources at least: of these, none is here.
    pub(crate) fn refuse_nothing<'a>(&self, origins: impl Iterator<Item = &'a str>) -> Result<()> {
        if !self.at_least_one {
            return Ok(());
        }
        let origins = origins.collect::<Vec<_>>().join(", ");
        let text = format!("cannot save anything of profile {}: nothing of it is here", self.name);
        Err(Error::failed(text)
            .hint(format!("it looks for {origins}; is it the profile of this host?")))
    }

    /// Fails with [`Kind::Usage`] where the user names a source that the profile does not have.
    pub(crate) fn check_names(&self, flag: &str, names: &[String]) -> Result<()> {
        let sources: Vec<_> = self.sources.iter().map(|source| source.name.as_str()).collect();
        match names.iter().find(|name| !sources.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let text = format!("{flag}: profile {} has no source {name:?}", self.name);
                Err(Error::new(Kind::Usage, text)
                    .hint(format!("its sources are {}", sources.join(", "))))
            }
        }
    }
}
