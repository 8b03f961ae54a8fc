//! What a restore builds: the definitions of a snapshot, as they must read beside the live database
//! and as they must come out.

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::definition::Definition;
use crate::source::mariadb::definition::ProgramKind;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::load::Expected;
use crate::source::mariadb::names;
use crate::source::mariadb::rehearsal::Likeness;
use crate::source::mariadb::rows::Totals;
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
}

/// What is built, and where.
pub(super) struct Plan {
    definition: Definition,
    /// The name of the database that will be replaced.
    target: String,
    /// The name of the staging schema.
    schema: String,
    staged: Vec<StagedTable>,
    /// The definition of each table as it must read in staging.
    texts: Vec<String>,
    is_same_server: bool,
}

impl Plan {
    /// Returns what a server is to build. Fails where it would write the names otherwise.
    pub(super) fn new(blueprint: &Blueprint<'_>, server: &ServerFacts) -> Result<Self> {
        let definition = schema::unpack(blueprint.schema)?;
        check_case(&definition, server)?;
        let schema = names::staging(blueprint.target, blueprint.suffix);
        let saved_name = &definition.database.name;
        let mut staged = Vec::new();
        let mut texts = Vec::new();
        for table in &definition.tables {
            // Defaults that draw from a sequence name their database.
            let text = statement::requalified(&table.create, saved_name, &schema);
            staged.push(CreateTable::parse(&text)?.staged());
            texts.push(text);
        }
        let target = blueprint.target.to_owned();
        let is_same_server = server.is_of_release(blueprint.server_version);
        Ok(Self { definition, target, schema, staged, texts, is_same_server })
    }

    pub(super) const fn definition(&self) -> &Definition {
        &self.definition
    }

    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    pub(super) fn target(&self) -> &str {
        &self.target
    }

    pub(super) fn all_staged(&self) -> &[StagedTable] {
        &self.staged
    }

    pub(super) fn staged(&self, position: usize) -> &StagedTable {
        &self.staged[position]
    }

    /// Returns the table's definition as it must read in staging.
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
        for table in &self.definition.tables {
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
        let mismatch = |what: String| Err(mismatch(table, &what));
        let rows = totals.stored.rows();
        if rows != expected.rows {
            return mismatch(format!("{rows} rows of {}", expected.rows));
        }
        if totals.stored.to_text() != expected.digest {
            return mismatch("the digest of its rows differs".to_owned());
        }
        match &expected.generated_digest {
            Some(digest) if totals.generated.to_text() == *digest => Ok(None),
            Some(_) if self.is_same_server => {
                mismatch("the digest of its generated columns differs".to_owned())
            }
            Some(_) => Ok(Some(format!(
                "the generated columns of table {:?} have other values here, as another release \
                 computes them",
                table.name
            ))),
            None => Ok(None),
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

/// Fails where the server would write the name of a table or view otherwise, or take two for one.
fn check_case(definition: &Definition, server: &ServerFacts) -> Result<()> {
    let views = definition.programs.iter().filter(|program| program.kind == ProgramKind::View);
    let mut names = definition
        .tables
        .iter()
        .map(|table| &table.name)
        .chain(definition.sequences.iter().map(|sequence| &sequence.name))
        .chain(views.map(|view| &view.name));
    match names.find(|name| server.lower_case_table_names == 1 && name.to_lowercase() != **name) {
        Some(name) => Err(Error::new(
            Kind::Refused,
            format!("cannot restore {name:?}: the server writes all names of tables in lower case"),
        )
        .hint("restore onto a server that runs with lower_case_table_names = 0")),
        None => Ok(()),
    }
}

fn mismatch(table: &Table, what: &str) -> Error {
    Error::new(Kind::Mismatch, format!("table {:?} came out otherwise: {what}", table.name))
}
