//! What a restore builds: the definitions of a snapshot, as they must read beside the live database
//! and as they must come out.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::definition::Definition;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::lines::Totals;
use crate::source::mariadb::names;
use crate::source::mariadb::proof::Expected;
use crate::source::mariadb::rehearsal::Likeness;
use crate::source::mariadb::schema;
use crate::source::mariadb::server::ServerFacts;
use crate::source::mariadb::statement;
use crate::source::mariadb::statement::CreateTable;
use crate::source::mariadb::statement::StagedTable;

/// What a staging schema is made from.
pub struct Blueprint<'a> {
    /// The bytes of the schema blob.
    pub schema: &'a [u8],
    /// The version of the server that the snapshot was taken from.
    pub server_version: &'a str,
    /// The name of the database to replace.
    pub target: &'a str,
    /// What tells this restore from others in names.
    pub suffix: &'a str,
    /// The tables whose rows become others once they are loaded.
    pub changed: &'a BTreeSet<String>,
}

/// What is built, and where.
pub(super) struct Plan {
    definition: Arc<Definition>,
    /// The name of the database that will be replaced.
    target: String,
    /// The name of the staging schema.
    schema: String,
    staged: Vec<StagedTable>,
    /// The definition of each table as it must read in staging.
    texts: Vec<String>,
    is_same_server: bool,
    packet_bytes: usize,
    /// The names of live tables and sequences that stay: theirs are built empty, for what stands on
    /// them, and never swapped in.
    kept: BTreeSet<String>,
    /// The names of tables whose rows become others: they never stay.
    changed: BTreeSet<String>,
}

impl Plan {
    /// Returns what a server is to build.
    pub(super) fn new(blueprint: &Blueprint<'_>, server: &ServerFacts) -> Result<Self> {
        let definition = schema::unpack(blueprint.schema)?;
        let schema = names::staging(blueprint.target, blueprint.suffix);
        let (staged, texts) = read_for(&definition, &schema)?;
        let target = blueprint.target.to_owned();
        let is_same_server = server.is_of_release(blueprint.server_version);
        let packet_bytes = usize::try_from(server.max_allowed_packet).unwrap_or(usize::MAX);
        Ok(Self {
            definition: Arc::new(definition),
            target,
            schema,
            staged,
            texts,
            is_same_server,
            packet_bytes,
            kept: BTreeSet::new(),
            changed: blueprint.changed.clone(),
        })
    }

    /// Returns the plan of tables that take their places one by one, and draw from live sequences
    /// from the beginning.
    pub(super) fn in_place(&self) -> Result<Self> {
        let (staged, texts) = read_for(&self.definition, &self.target)?;
        Ok(Self {
            definition: Arc::clone(&self.definition),
            target: self.target.clone(),
            schema: self.schema.clone(),
            staged,
            texts,
            kept: self.kept.clone(),
            changed: self.changed.clone(),
            ..*self
        })
    }

    /// Returns the size of the largest packet that the server takes.
    pub(super) const fn packet_bytes(&self) -> usize {
        self.packet_bytes
    }

    /// Leaves these tables and sequences as they are.
    pub(super) fn keeping(self, kept: BTreeSet<String>) -> Self {
        Self { kept, ..self }
    }

    pub(super) const fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// Returns the names of live tables and sequences that stay.
    pub(super) const fn kept(&self) -> &BTreeSet<String> {
        &self.kept
    }

    /// Returns the names of tables whose rows become others once they are loaded.
    pub(super) const fn changed(&self) -> &BTreeSet<String> {
        &self.changed
    }

    /// Returns the tables that are swapped in, with their positions.
    pub(super) fn replaced(&self) -> impl Iterator<Item = (usize, &Table)> {
        let tables = self.definition.tables.iter().enumerate();
        tables.filter(|(_, table)| !self.kept.contains(&table.name))
    }

    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    pub(super) fn target(&self) -> &str {
        &self.target
    }

    pub(super) fn staged(&self, position: usize) -> &StagedTable {
        &self.staged[position]
    }

    /// Returns the table's definition as it must read when it is built.
    pub(super) fn text(&self, position: usize) -> &str {
        &self.texts[position]
    }

    /// Returns how much created programs must read as the saved ones did.
    pub(super) const fn likeness(&self) -> Likeness {
        if self.is_same_server { Likeness::Exact } else { Likeness::Names }
    }

    /// Returns whether the server is of the release that the snapshot was taken from: another one
    /// may print and compute things otherwise.
    pub(super) const fn is_same_server(&self) -> bool {
        self.is_same_server
    }

    /// Returns for each table with columns that draw from a sequence what alters them to draw from
    /// the live one.
    pub(super) fn sequence_defaults(&self) -> Vec<(&str, Vec<String>)> {
        let saved_name = &self.definition.database.name;
        let mut defaults = Vec::new();
        for (_, table) in self.replaced() {
            let text = statement::requalified(&table.create, saved_name, &self.target);
            let parsed = CreateTable::parse(&text).expect("it was parsed to be staged");
            let drawing = parsed.sequence_defaults(&self.target).into_iter();
            let mut clauses: Vec<_> = drawing
                .map(|(column, default)| format!("ALTER COLUMN {column} SET DEFAULT ({default})"))
                .collect();
            if !clauses.is_empty() {
                clauses.extend(parsed.hashes_again());
                defaults.push((table.name.as_str(), clauses));
            }
        }
        defaults
    }

    /// Fails where the rows of a staged table are not those of the snapshot. Returns what is to be
    /// told where another version of the server computes its generated columns otherwise.
    pub(super) fn check_rows(
        &self,
        table: &Table,
        totals: &Totals,
        expected: &Expected,
    ) -> Result<Option<String>> {
        if let Some(what) = expected.difference(totals, self.is_same_server) {
            return Err(mismatch(table, &what));
        }
        match expected.generated_digest {
            Some(digest) if totals.generated != digest => Ok(Some(format!(
                "the generated columns of table {:?} have other values here, as another release \
                 computes them",
                table.name
            ))),
            _ => Ok(None),
        }
    }

    /// Fails where a plain query does not find the rows that are current: the end of time of the
    /// server that they come from may be a day in the past or the future of this one.
    pub(super) fn check_current_rows(table: &Table, found: u64, expected: u64) -> Result<()> {
        if found == expected {
            return Ok(());
        }
        Err(mismatch(table, &format!("{found} current rows of {expected}")))
    }
}

/// Returns how each table is built, and how its definition must read, where the sequences that it draws
/// from are those of a database.
fn read_for(definition: &Definition, database: &str) -> Result<(Vec<StagedTable>, Vec<String>)> {
    let (mut staged, mut texts) = (Vec::new(), Vec::new());
    for table in &definition.tables {
        // Defaults that draw from a sequence name their database.
        let text = statement::requalified(&table.create, &definition.database.name, database);
        staged.push(CreateTable::parse(&text)?.staged());
        texts.push(text);
    }
    Ok((staged, texts))
}

fn mismatch(table: &Table, what: &str) -> Error {
    Error::new(Kind::Mismatch, format!("table {:?} came out otherwise: {what}", table.name))
}
