//! `create`: saves every source of a profile as one snapshot, listed only when it is complete.

use std::time::Duration;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::fault;
use crate::base::monitor::Monitor;
use crate::base::monitor::Recorder;
use crate::base::pace::Pace;
use crate::base::stages::Stage;
use crate::profile::CommandPair;
use crate::profile::Profile;
use crate::profile::SourceSpec;
use crate::profile::What;
use crate::repository::Repository;
use crate::repository::catalog::BlobRef;
use crate::repository::catalog::Catalog;
use crate::repository::catalog::FORMAT;
use crate::repository::catalog::Index;
use crate::repository::catalog::Item;
use crate::repository::catalog::ItemIndex;
use crate::repository::catalog::SourceRecord;
use crate::repository::catalog::SourceState;
use crate::repository::contents::Contents;
use crate::repository::id::SnapshotId;
use crate::repository::summary::Summary;
use crate::repository::writer::Writer;
use crate::snapshot::Host;
use crate::snapshot::TOOL;
use crate::snapshot::bases::Bases;
use crate::snapshot::chunks;
use crate::snapshot::disk;
use crate::snapshot::earlier;
use crate::snapshot::execution;
use crate::snapshot::execution::Journal;
use crate::snapshot::outputs;
use crate::source::files;
use crate::source::files::globs::Globs;
use crate::source::mariadb::dump::Dump;
use crate::source::mariadb::dump::TableTotals;
use crate::source::mariadb::login::Binlog;

/// How long is waited each time before a database that changed while it was read is read again.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// What the user says of a new snapshot.
#[derive(Debug, Clone, Default)]
pub struct CreateOptions {
    /// Its id; one is made up without.
    pub id: Option<SnapshotId>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// A sentence about it.
    pub note: Option<String>,
    /// Sources to leave out, by name.
    pub exclude: Vec<String>,
    /// The version of the product.
    pub from_version: Option<String>,
}

/// Saves every source of the profile, in a turn that the caller has; returns what `list` shows of the
/// new snapshot.
///
/// What the newest snapshots of the same profile and host hold already is not stored again. Once
/// `stop` returns, nothing is listed and its error is the verb's.
pub async fn create(
    repository: &Repository,
    profile: &Profile,
    host: &Host,
    options: &CreateOptions,
    monitor: &dyn Monitor,
    journal: &Journal,
    stop: impl Future<Output = Error>,
) -> Result<Summary> {
    profile.check_names("--exclude", &options.exclude)?;
    if profile.sources.iter().all(|source| options.exclude.contains(&source.name)) {
        return Err(Error::new(Kind::Usage, "cannot create a snapshot: no source is left to save"));
    }
    for execution in execution::unfinished(&host.journals())? {
        execution.tell_unfinished(monitor);
    }
    let recorded = host.on_record(journal, Binlog::On);
    let summary = tokio::select! {
        biased;
        stopped = stop => {
            // The server would go on with what it was asked last.
            if let Err(error) = journal.sessions().end(&host.database).await {
                monitor.note(&error.chain());
            }
            return Err(stopped);
        }
        created = in_turn(repository, profile, &recorded, options, monitor) => created?,
    };
    journal.change(|execution| execution.snapshot = Some(summary.id.to_string()))?;
    Ok(summary)
}

/// Does the same for a verb that has begun already.
pub(super) async fn in_turn(
    repository: &Repository,
    profile: &Profile,
    host: &Host,
    options: &CreateOptions,
    monitor: &dyn Monitor,
) -> Result<Summary> {
    let id = free_id(repository, options.id.clone()).await?;
    let recorder = Recorder::new(monitor);
    let product_version = product_version(profile, host, options, &recorder).await;
    let earlier = earlier::contents(repository, profile, host, &recorder).await?;
    let damaged = repository.damaged().await?.len();
    if damaged > 0 {
        monitor.note(&format!(
            "damaged blobs of earlier snapshots: {damaged}; what is still as it was is stored anew"
        ));
    }
    let save = Save {
        id: &id,
        repository,
        host,
        monitor: &recorder,
        writer: repository.writer(earlier.iter().flat_map(chunks::blobs)).await?,
        earlier,
    };
    let mut sources = Vec::new();
    for spec in &profile.sources {
        let is_excluded = options.exclude.contains(&spec.name);
        sources.push(if is_excluded {
            record(spec, SourceState::Excluded)
        } else {
            save.source(spec).await?
        });
    }
    let is_saved = |source: &SourceRecord| source.state == SourceState::Saved;
    if !sources.iter().any(is_saved) {
        profile.refuse_nothing(sources.iter().map(|source| source.origin.as_str()))?;
    }
    let said = recorder.said();
    let catalog = Catalog {
        format: FORMAT,
        tool: TOOL.to_owned(),
        id: id.to_string(),
        created: host.now,
        host: host.name.clone(),
        profile: profile.name.clone(),
        product_version,
        tags: options.tags.clone(),
        note: options.note.clone(),
        sources,
        notes: said.notes,
        warnings: said.warnings,
    };
    fault::point("create.before-commit");
    let summary = host.stages.time(Stage::Catalog, 0, save.writer.commit(catalog)).await?;
    fault::point("create.committed");
    Ok(summary)
}

/// Returns the version of what is saved: what the user says, or what the host tells. A snapshot without
/// it is whole: the shape of what it holds tells the rest.
async fn product_version(
    profile: &Profile,
    host: &Host,
    options: &CreateOptions,
    monitor: &dyn Monitor,
) -> Option<String> {
    if options.from_version.is_some() {
        return options.from_version.clone();
    }
    host.version_of(profile, monitor).await.map(|version| version.to_string())
}

/// Returns the chosen id, or one that nobody has.
async fn free_id(repository: &Repository, chosen: Option<SnapshotId>) -> Result<SnapshotId> {
    if let Some(id) = chosen {
        if repository.is_listed(&id).await? {
            return Err(Error::new(Kind::Refused, format!("snapshot {id} exists already"))
                .hint("choose another id, or none: snap makes one up"));
        }
        return Ok(id);
    }
    loop {
        let id = SnapshotId::generate()?;
        if !repository.is_listed(&id).await? {
            return Ok(id);
        }
    }
}

fn record(spec: &SourceSpec, state: SourceState) -> SourceRecord {
    let (kind, origin) = match &spec.what {
        What::Database { database, .. } => ("mariadb", database.clone()),
        What::Files { path, .. } => ("files", path.display().to_string()),
        What::Command(pair) => (outputs::KIND, outputs::origin(pair)),
    };
    SourceRecord {
        name: spec.name.clone(),
        kind: kind.to_owned(),
        origin,
        state,
        detail: serde_json::Value::Null,
        items: Vec::new(),
        schema: None,
        index: None,
    }
}

/// What all sources of one snapshot are saved with.
struct Save<'a> {
    id: &'a SnapshotId,
    repository: &'a Repository,
    host: &'a Host,
    monitor: &'a dyn Monitor,
    writer: Writer,
    /// The newest first.
    earlier: Vec<Contents>,
}

impl Save<'_> {
    async fn source(&self, spec: &SourceSpec) -> Result<SourceRecord> {
        let saved = match &spec.what {
            What::Database { database, users } => self.database(spec, database, *users).await?,
            What::Files { globs, .. } => self.files(spec, globs).await?,
            What::Command(pair) => Some(self.command(spec, pair).await?),
        };
        match saved {
            Some(saved) => Ok(saved),
            None if spec.optional => {
                let absent = record(spec, SourceState::Absent);
                self.monitor.note(&format!("{} is absent: {}", spec.name, absent.origin));
                Ok(absent)
            }
            None => {
                let origin = record(spec, SourceState::Absent).origin;
                Err(Error::failed(format!("cannot save {}: {origin} is absent", spec.name))
                    .hint("correct the profile, or leave the source out with --exclude"))
            }
        }
    }

    /// Saves a database; one whose definitions change meanwhile is read again from its beginning.
    async fn database(
        &self,
        spec: &SourceSpec,
        database: &str,
        users: bool,
    ) -> Result<Option<SourceRecord>> {
        for pause in PAUSES {
            match self.database_once(spec, database, users).await {
                Err(error) if error.kind() == Kind::Inconsistent => {
                    let why = error.chain();
                    self.monitor.note(&format!("{} is read again: {why}", spec.name));
                    tokio::time::sleep(pause).await;
                }
                outcome => return outcome,
            }
        }
        self.database_once(spec, database, users).await
    }

    async fn database_once(
        &self,
        spec: &SourceSpec,
        database: &str,
        users: bool,
    ) -> Result<Option<SourceRecord>> {
        let Host { database: login, connections, .. } = self.host;
        let Some(dump) = Dump::open(login, database, *connections, self.monitor).await? else {
            return Ok(None);
        };
        let dump = if users { dump.with_accounts(self.monitor).await? } else { dump };
        if let Some(folder) = dump.local_folder() {
            disk::note_if_shared(self.repository, &folder, self.monitor);
        }
        let (names, keys) = (dump.tables(), dump.keys());
        let known = earlier::known_chunks(&self.earlier, &self.writer, &spec.name).await;
        let earlier_bytes: u64 =
            known.values().flat_map(|table| &table.chunks).map(|chunk| chunk.raw_bytes).sum();
        // The server's guess at the size is a poor one: it counts pages.
        let bytes = if earlier_bytes > 0 { earlier_bytes } else { dump.estimated_bytes() };
        self.monitor.step(&format!("dump {}", spec.name), Some(bytes));
        let (sender, receiver) = chunks::channel();
        let bases = Bases::of(earlier::index(&self.earlier, &spec.name), &names);
        // Its readers keep the pace themselves.
        let free = Pace::default();
        let (dumped, mut stored) = tokio::try_join!(
            dump.read(&known, sender, self.monitor),
            chunks::store(&self.writer, receiver, names.len(), bases, &free, self.monitor),
        )?;
        let items = names.iter().zip(&dumped.totals).map(item).collect();
        for ((item, name), key) in stored.iter_mut().zip(names).zip(keys) {
            (item.name, item.key) = (name, key);
        }
        Ok(Some(SourceRecord {
            detail: dumped.detail,
            items,
            schema: Some(self.writer.write(dumped.schema).await?),
            index: Some(self.write_index(stored, serde_json::Value::Null).await?),
            ..record(spec, SourceState::Saved)
        }))
    }

    async fn files(&self, spec: &SourceSpec, globs: &Globs) -> Result<Option<SourceRecord>> {
        let path = self.host.locate(spec)?;
        self.monitor.step(&format!("read {}", spec.name), None);
        let (sender, receiver) = chunks::channel();
        let (tree, mut stored) = tokio::try_join!(
            files::read(&path, globs, files::CHUNK_BYTES, sender, self.monitor),
            chunks::store(
                &self.writer,
                receiver,
                1,
                Bases::default(),
                &self.host.pace,
                self.monitor
            ),
        )?;
        let Some(tree) = tree else { return Ok(None) };
        let saved = record(spec, SourceState::Saved);
        stored[0].name.clone_from(&saved.origin);
        let item = Item {
            name: saved.origin.clone(),
            rows: tree.list.count(),
            current_rows: None,
            raw_bytes: tree.raw_bytes,
            digest: tree.list.digest(),
            generated_digest: None,
        };
        let index = self.write_index(stored, tree.list.to_detail()).await?;
        let detail = tree.list.patterns();
        Ok(Some(SourceRecord { detail, items: vec![item], index: Some(index), ..saved }))
    }

    async fn command(&self, spec: &SourceSpec, pair: &CommandPair) -> Result<SourceRecord> {
        let (item, index) =
            outputs::save(&self.writer, &spec.name, pair, self.id, &self.host.pace, self.monitor)
                .await?;
        let index = self.write_index(vec![index], serde_json::Value::Null).await?;
        let saved = record(spec, SourceState::Saved);
        Ok(SourceRecord { items: vec![item], index: Some(index), ..saved })
    }

    async fn write_index(
        &self,
        items: Vec<ItemIndex>,
        detail: serde_json::Value,
    ) -> Result<BlobRef> {
        self.writer.write_index(&Index { items, detail }).await
    }
}

fn item((name, totals): (&String, &TableTotals)) -> Item {
    Item {
        name: name.clone(),
        rows: totals.rows,
        current_rows: totals.current_rows,
        raw_bytes: totals.raw_bytes,
        digest: totals.digest.clone(),
        generated_digest: totals.generated_digest.clone(),
    }
}
