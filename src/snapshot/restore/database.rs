//! Compares a saved database with the live one, and stages what differs.

use std::collections::BTreeSet;

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::repository::Repository;
use crate::repository::catalog::Index;
use crate::repository::catalog::SourceRecord;
use crate::snapshot::Host;
use crate::snapshot::definitions;
use crate::snapshot::restore::desk::Job;
use crate::snapshot::restore::filling::fill;
use crate::snapshot::restore::in_place::InPlaceDatabase;
use crate::snapshot::restore::roles::Remapping;
use crate::snapshot::restore::staged::Staged;
use crate::snapshot::restore::staged::StagedDatabase;
use crate::source::mariadb::accounts::plan;
use crate::source::mariadb::accounts::plan::AccountsPlan;
use crate::source::mariadb::compare;
use crate::source::mariadb::compare::Comparison;
use crate::source::mariadb::compare::Extent;
use crate::source::mariadb::plan::Blueprint;
use crate::source::mariadb::proof::Expected;
use crate::source::mariadb::ready::Schemas;
use crate::source::mariadb::staging::Claim;
use crate::source::mariadb::staging::Staging;

/// The database that a restore replaces.
pub(super) struct Target<'a> {
    pub(super) name: &'a str,
    pub(super) suffix: &'a str,
    pub(super) extent: Extent,
    pub(super) manner: Manner,
}

/// How a database comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// It is built beside the live one and swapped.
    Beside,
    /// Its tables are replaced one by one.
    InPlace,
}

/// A saved database, and what a restore would make of it.
pub(super) struct Saved<'a> {
    record: &'a SourceRecord,
    index: &'a Index,
    schema: Vec<u8>,
    expected: Vec<Expected>,
    remapping: Option<Remapping>,
    /// The tables that change on their way: none of them is live already.
    changed: BTreeSet<String>,
}

/// A database of which is known what stays; nothing is written yet.
pub(super) struct Compared<'a> {
    saved: Saved<'a>,
    /// The name of the database that is replaced.
    target: String,
    manner: Manner,
    claim: Claim,
    found: Comparison,
}

impl<'a> Saved<'a> {
    /// Reads the definitions of a saved database, the roles of which may become others.
    pub(super) async fn read(
        repository: &Repository,
        record: &'a SourceRecord,
        index: &'a Index,
        remapping: Option<Remapping>,
    ) -> Result<Self> {
        let schema = definitions::read(repository, record).await?;
        let expected = definitions::expected(record)?;
        let changed = remapping.as_ref().map(Remapping::tables).unwrap_or_default();
        Ok(Self { record, index, schema, expected, remapping, changed })
    }

    fn blueprint<'b>(&'b self, target: &'b str, suffix: &'b str) -> Blueprint<'b> {
        Blueprint {
            schema: &self.schema,
            server_version: self.record.detail["server"]["version"].as_str().unwrap_or_default(),
            target,
            suffix,
            changed: &self.changed,
        }
    }

    /// Compares what is live, and holds nobody.
    pub(super) async fn survey(
        &self,
        host: &Host,
        target: &str,
        extent: Extent,
        monitor: &dyn Monitor,
    ) -> Result<Comparison> {
        let blueprint = self.blueprint(target, "");
        let (login, connections) = (&host.database, host.connections);
        compare::survey(login, &blueprint, &self.expected, extent, connections, monitor).await
    }

    /// Claims the database and compares what is live: what stays is not written to from now on.
    pub(super) async fn compare(
        self,
        host: &Host,
        target: &Target<'_>,
        monitor: &dyn Monitor,
    ) -> Result<Compared<'a>> {
        let blueprint = self.blueprint(target.name, target.suffix);
        let claim = Claim::take(&host.database, &blueprint, monitor).await?;
        let connections = host.connections;
        let found = claim.compare(&self.expected, target.extent, connections, monitor).await?;
        let (name, manner) = (target.name.to_owned(), target.manner);
        Ok(Compared { target: name, manner, saved: self, claim, found })
    }

    /// Plans the accounts anew where they are wanted: since the first plan some may have come, and those
    /// of a killed restore have gone.
    async fn accounts_again(
        &self,
        host: &Host,
        target: &str,
        accounts: Option<AccountsPlan>,
    ) -> Result<Option<AccountsPlan>> {
        match accounts {
            Some(_) => plan::plan(&host.database, &self.schema, target).await,
            None => Ok(None),
        }
    }

    /// Connects the tables, remaps the roles in them and rehearses the programs.
    async fn finish(&self, staging: &mut Staging, monitor: &dyn Monitor) -> Result<()> {
        staging.connect_tables().await?;
        if let Some(remapping) = &self.remapping {
            monitor.step(&format!("remap the roles of {}", self.record.name), None);
            remapping.run(staging).await?;
        }
        monitor.step(&format!("rehearse {}", self.record.name), None);
        staging.rehearse(monitor).await
    }

    fn jobs(&self, positions: &[usize]) -> Vec<Job> {
        let job = |&position: &usize| {
            let chunks = self.index.items[position].chunks.clone();
            Job::new(position, chunks, self.expected[position])
        };
        positions.iter().map(job).collect()
    }
}

impl Compared<'_> {
    /// Returns what was found.
    pub(super) const fn found(&self) -> &Comparison {
        &self.found
    }

    /// Stages and proves the database, or rehearses what is done in place; on any failure nothing of it
    /// stays.
    pub(super) async fn stage(
        self,
        repository: &Repository,
        host: &Host,
        accounts: Option<AccountsPlan>,
        suffix: &str,
        monitor: &dyn Monitor,
    ) -> Result<Staged> {
        if self.manner == Manner::InPlace {
            return self.rehearse(repository, host, accounts, suffix, monitor).await;
        }
        let Self { saved, target, claim, found, .. } = self;
        let mut staging = claim.build(found, monitor).await?;
        let jobs = saved.jobs(&staging.positions());
        let bytes = jobs.iter().map(Job::bytes).sum();
        monitor.step(&format!("load {}", saved.record.name), Some(bytes));
        let finished = match fill(repository, jobs, &mut staging, host.connections, monitor).await {
            Ok(()) => saved.finish(&mut staging, monitor).await,
            Err(error) => Err(error),
        };
        let planned = match finished {
            Ok(()) => saved.accounts_again(host, &target, accounts).await,
            Err(error) => Err(error),
        };
        match planned {
            Ok(accounts) => Ok(Staged::Database(Box::new(StagedDatabase {
                staging,
                suffix: suffix.to_owned(),
                login: host.database.clone(),
                accounts,
            }))),
            Err(error) => {
                staging.discard_noting(monitor).await;
                Err(error)
            }
        }
    }

    async fn rehearse(
        self,
        repository: &Repository,
        host: &Host,
        accounts: Option<AccountsPlan>,
        suffix: &str,
        monitor: &dyn Monitor,
    ) -> Result<Staged> {
        let Self { saved, target, claim, found, .. } = self;
        let source = saved.record.name.clone();
        monitor.step(&format!("rehearse {source}"), None);
        let accounts = saved.accounts_again(host, &target, accounts).await?;
        let database = claim.rehearse(found, monitor).await?;
        let jobs = saved.jobs(&database.staging().positions());
        let places = Schemas::of_staging(&target, suffix);
        let (repository, login) = (repository.clone(), host.database.clone());
        let suffix = suffix.to_owned();
        let built =
            InPlaceDatabase { source, places, suffix, repository, login, database, jobs, accounts };
        Ok(Staged::InPlace(Box::new(built)))
    }
}
