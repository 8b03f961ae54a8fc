//! `doctor`: whether create and restore would work here, and what to do where not.
//!
//! Nothing is changed. Each check stands for itself: one that cannot be made says so, and the
//! others go on.

use std::path::Path;

use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::profile::Profile;
use crate::profile::SourceSpec;
use crate::profile::What;
use crate::repository::Repository;
use crate::repository::lock::Holder;
use crate::snapshot::Host;
use crate::snapshot::disk;
use crate::source::files::Way;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::foreign_keys;
use crate::source::mariadb::rights::Missing;
use crate::source::mariadb::server::ServerFacts;
use crate::source::mariadb::target;

/// What was looked at, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at, such as `server`.
    pub name: String,
    /// How it is.
    pub outcome: Outcome,
    /// What was found.
    pub detail: String,
    /// What to do, where something is to be done.
    pub fix: Option<String>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is as it should be.
    Good,
    /// It works, and could be better.
    Note,
    /// A verb would fail.
    Bad,
}

impl Check {
    fn new(name: impl Into<String>, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { name: name.into(), outcome, detail: detail.into(), fix: None }
    }

    fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    fn failed(name: &str, error: &Error) -> Self {
        let check = Self::new(name, Outcome::Bad, error.chain());
        match error.advice() {
            Some(advice) => check.fix(advice),
            None => check,
        }
    }
}

/// Looks at server, rights, repository and paths; returns what was found, in that order.
pub async fn doctor(location: &str, profile: &Profile, host: &Host) -> Vec<Check> {
    let databases: Vec<(&str, bool)> = profile
        .sources
        .iter()
        .filter_map(|source| match &source.what {
            What::Database { database, users } => Some((database.as_str(), *users)),
            What::Files { .. } | What::Command(_) => None,
        })
        .collect();
    let mut checks = Vec::new();
    let server = if databases.is_empty() { None } else { server(host, &mut checks).await };
    if let Some((facts, mut connection)) = server {
        for (database, users) in databases {
            let looked =
                look_at_database(host, &facts, &mut connection, database, &mut checks).await;
            let looked = match looked {
                Ok(()) if users => look_at_accounts(&mut connection, database, &mut checks).await,
                looked => looked,
            };
            if let Err(error) = looked {
                checks.push(Check::failed(&format!("database {database}"), &error));
            }
        }
        repository(location, host, facts.local_folder(&host.database).as_deref(), &mut checks)
            .await;
    } else {
        repository(location, host, None, &mut checks).await;
    }
    checks.extend(profile.sources.iter().filter_map(|source| path(source, host)));
    checks
}

async fn server(host: &Host, checks: &mut Vec<Check>) -> Option<(ServerFacts, Connection)> {
    let reached = async {
        let mut connection = connect(&host.database).await?;
        Ok::<_, Error>((connection.read_facts().await?, connection))
    };
    match reached.await {
        Ok((facts, connection)) => {
            let address = &host.database.server;
            let detail = format!("MariaDB {} at {address} as {}", facts.version, facts.account);
            checks.push(Check::new("server", Outcome::Good, detail));
            Some((facts, connection))
        }
        Err(error) => {
            checks.push(Check::failed("server", &error));
            None
        }
    }
}

async fn look_at_database(
    host: &Host,
    facts: &ServerFacts,
    connection: &mut Connection,
    database: &str,
    checks: &mut Vec<Check>,
) -> Result<()> {
    let live = target::look(&host.database, database).await?;
    checks.push(match live.tables {
        Some(tables) => {
            let detail = format!("tables and views: {tables}");
            Check::new(format!("database {database}"), Outcome::Good, detail)
        }
        None => Check::new(
            format!("database {database}"),
            Outcome::Note,
            "absent, or not visible to this account",
        )
        .fix("nothing to do for a restore; for create, name the right one in the profile"),
    });
    let rights = connection.read_rights().await?;
    checks.push(rights_check("rights to create", &rights.missing_for_create(database)));
    checks.push(rights_check("rights to restore", &rights.missing_for_restore(database, facts)));
    checks.push(match live.check().and_then(|()| foreign_keys::refuse(&live.pins())) {
        Ok(()) => Check::new("restore", Outcome::Good, "nothing stands in its way"),
        Err(error) => Check::failed("restore", &error),
    });
    Ok(())
}

/// Looks at the rights that `users = true` takes.
async fn look_at_accounts(
    connection: &mut Connection,
    database: &str,
    checks: &mut Vec<Check>,
) -> Result<()> {
    let rights = connection.read_rights().await?;
    checks.push(rights_check("rights to save users", &rights.missing_to_save_accounts()));
    let missing = rights.missing_to_restore_accounts(database);
    checks.push(rights_check("rights to restore users", &missing));
    Ok(())
}

fn rights_check(name: &str, missing: &[Missing]) -> Check {
    let Some(_) = missing.first() else { return Check::new(name, Outcome::Good, "all are there") };
    let outcome = if missing.iter().all(|one| one.optional) { Outcome::Note } else { Outcome::Bad };
    let why: Vec<_> = missing.iter().map(|one| one.why.as_str()).collect();
    let grants: Vec<_> = missing.iter().map(|one| one.grant.as_str()).collect();
    Check::new(name, outcome, format!("missing: {}", why.join("; "))).fix(grants.join("\n"))
}

async fn repository(
    location: &str,
    host: &Host,
    database_folder: Option<&Path>,
    checks: &mut Vec<Check>,
) {
    let holder = Holder {
        verb: "doctor".to_owned(),
        process: host.process,
        host: host.name.clone(),
        since: host.now,
    };
    let found = async {
        let repository = Repository::open(location, holder).await?;
        let snapshots = repository.ids().await?.len();
        Ok::<_, Error>((repository, snapshots))
    };
    match found.await {
        Ok((repository, snapshots)) => {
            let detail = format!("{location}, snapshots: {snapshots}");
            let shared =
                database_folder.is_some_and(|folder| disk::is_shared(repository.folder(), folder));
            let folder = repository.folder();
            checks.push(match rustix::fs::access(folder, rustix::fs::Access::WRITE_OK) {
                Ok(()) => Check::new("repository", Outcome::Good, detail),
                Err(cause) => Check::new("repository", Outcome::Bad, format!("{detail}: {cause}"))
                    .fix(format!("make {} writable for this user", folder.display())),
            });
            if shared {
                let check = Check::new("disk", Outcome::Note, "the database's disk holds it too");
                checks.push(check.fix("copy snapshots elsewhere with snap download"));
            }
        }
        Err(error) if is_makeable(Path::new(location)) => {
            let check = Check::new("repository", Outcome::Note, error.to_string());
            checks.push(check.fix("the first snap create makes it"));
        }
        Err(error) => checks.push(Check::failed("repository", &error)),
    }
}

/// Returns whether a repository could be made at a location.
fn is_makeable(location: &Path) -> bool {
    match location.read_dir() {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !location.exists(),
    }
}

/// Returns the check of a source that is no database.
fn path(source: &SourceSpec, host: &Host) -> Option<Check> {
    match &source.what {
        What::Files { .. } => {}
        What::Database { .. } => return None,
        What::Command(_) => {
            let detail = "its commands are not tried: `snap create` is the test of the first";
            return Some(Check::new(&source.name, Outcome::Note, detail));
        }
    }
    let found = host.locate(source).and_then(|path| Ok((Way::of(&path)?, path)));
    let (way, path) = match found {
        Ok(found) => found,
        Err(error) => return Some(Check::failed(&source.name, &error)),
    };
    let shown = path.display();
    Some(match path.symlink_metadata() {
        Ok(_) if way == Way::Inside => {
            let detail = format!("{shown} is a mount point, which a restore fills in place");
            Check::new(&source.name, Outcome::Good, detail)
        }
        Ok(_) => Check::new(&source.name, Outcome::Good, format!("{shown} is there")),
        Err(_) if source.optional => {
            Check::new(&source.name, Outcome::Note, format!("{shown} is absent, and optional"))
        }
        Err(error) => Check::new(&source.name, Outcome::Bad, format!("{shown}: {error}"))
            .fix("correct the profile, or create the path"),
    })
}
