//! The verbs: what can be done with a profile, a repository and its snapshots.
//!
//! ```text
//! turn, execution → hooks      around a verb: one at a time, on record, between the profile's commands
//! chunks, outputs → create     what is stored of a source, and what is stored already
//! restore                      staging, safety snapshot, roles, swap; resume and rollback
//! upgrade                      create, then a command, then restore where the service is not well
//! archive                      one file to carry: download and upload
//! list, verify, pin, delete, prune, doctor
//! ```

use std::net::IpAddr;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::base::pace::Pace;
use crate::base::stages::Stages;
use crate::profile::Login;
use crate::profile::Profile;
use crate::profile::SourceSpec;
use crate::profile::What;
use crate::profile::version::Version;
use crate::snapshot::execution::Journal;
use crate::snapshot::execution::Journals;
use crate::source::files;
use crate::source::files::Serving;
use crate::source::mariadb::login::Binlog;
use crate::system::version;

pub mod create;
pub mod list;
pub mod verify;
pub mod execution;
pub mod restore;
pub mod upgrade;
pub mod archive;
mod definitions;
pub mod delete;
pub mod pin;
pub mod prune;
pub mod doctor;
mod chunks;
mod disk;
mod earlier;
mod outputs;
pub mod hooks;
mod turn;

/// This program and its version, as catalogs name it.
const TOOL: &str = concat!("snap ", env!("CARGO_PKG_VERSION"));

/// Where and when a verb runs: what the library does not read for itself.
#[derive(Debug, Clone)]
pub struct Host {
    /// When the verb began.
    pub now: Timestamp,
    /// The name of the host.
    pub name: String,
    /// The process id, for whoever finds a lock taken.
    pub process: u32,
    /// The folder of locks and journals.
    pub state: PathBuf,
    /// The folder that all paths of a profile lie below.
    pub root: PathBuf,
    /// How the database server is reached.
    pub database: Login,
    /// The number of connections to it.
    pub connections: usize,
    /// How fast it is read and written.
    pub pace: Pace,
    /// Where the time of the verb goes.
    pub stages: Stages,
}

impl Host {
    /// Returns when and under which names certificates serve here: the host's, and its addresses
    /// but for those of its own inside.
    fn serving(&self) -> Serving {
        let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
        let addresses = interfaces.filter_map(|interface| {
            let address = interface.address?;
            let four = address.as_sockaddr_in().map(|four| IpAddr::V4(four.ip()));
            four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::V6(six.ip())))
        });
        let outer = addresses.filter(|address| !address.is_loopback());
        let names = std::iter::once(self.name.clone()).chain(outer.map(|it| it.to_string()));
        Serving { now: self.now, names: names.collect() }
    }

    /// Returns where and when executions are recorded.
    pub fn journals(&self) -> Journals {
        Journals {
            state: self.state.clone(),
            now: self.now,
            host: self.name.clone(),
            process: self.process,
        }
    }

    /// Returns the host with a login whose connections an execution remembers.
    fn on_record(&self, journal: &Journal, binlog: Binlog) -> Self {
        let (sessions, stages) = (journal.sessions(), self.stages.clone());
        let database = Login { sessions, pace: self.pace.clone(), stages, ..self.database.clone() };
        Self { database, ..self.clone() }.with_binlog(binlog)
    }

    /// Returns the host with a login whose changes replicas hear of, or not.
    fn with_binlog(self, binlog: Binlog) -> Self {
        Self { database: Login { binlog, ..self.database }, ..self }
    }

    /// Returns the version of the profile's product here, as far as the host tells; where it cannot be
    /// asked, that is noted.
    async fn version_of(&self, profile: &Profile, monitor: &dyn Monitor) -> Option<Version> {
        let detected = version::detected(&profile.service.versions, &self.root).await;
        detected.unwrap_or_else(|error| {
            monitor.note(&format!("the version is not known: {}", error.chain()));
            None
        })
    }

    /// Returns the path of a file source below the root.
    pub(crate) fn locate(&self, spec: &SourceSpec) -> Result<PathBuf> {
        match &spec.what {
            What::Files { path, .. } => files::locate(&self.root, path),
            What::Database { database, .. } => Ok(PathBuf::from(database)),
            What::Command(pair) => Ok(PathBuf::from(&pair.save)),
        }
    }
}
