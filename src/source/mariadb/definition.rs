//! What a database is made of, apart from its rows: `definition.json` of a schema blob.

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::source::mariadb::accounts::Accounts;
use crate::source::mariadb::key::KeyColumn;
use crate::source::mariadb::parameters::Parameter;
use crate::source::mariadb::quote;
use crate::source::mariadb::text::Text;

/// All definitions of one database, of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Definition {
    /// The database itself.
    pub(super) database: Database,
    /// Its base tables by name.
    pub(super) tables: Vec<Table>,
    /// Its sequences by name.
    pub(super) sequences: Vec<Sequence>,
    /// Its programs in an order in which they can be created.
    pub(super) programs: Vec<Program>,
    /// The collations of what its routines take and return.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) parameters: Vec<Parameter>,
    /// The accounts that reach it, where the profile asks for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) accounts: Option<Accounts>,
}

/// A database's own attributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Database {
    pub(super) name: String,
    pub(super) charset: String,
    pub(super) collation: String,
    pub(super) comment: String,
}

/// A base table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Table {
    pub(super) name: String,
    /// `SHOW CREATE TABLE` under `sql_mode=''`.
    pub(super) create: String,
    /// Its columns in order, the invisible ones too, and last the hidden ones of system versioning.
    pub(super) columns: Vec<Column>,
    /// The names of the primary key's columns; empty without one.
    pub(super) primary: Vec<String>,
    /// The primary key, where its values can be chunk boundaries.
    pub(super) key: Option<Vec<KeyColumn>>,
    /// Whether its rows belong to the transaction's snapshot; others are read under a lock.
    pub(super) is_transactional: bool,
    /// Whether it has statistics apart from its engine's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_analyzed: bool,
    /// The server's guess at the size of its rows in bytes, for the order of work only.
    #[serde(skip)]
    pub(super) estimated_bytes: u64,
    /// When the table was last defined, renamed or replaced, to the second, where the server
    /// knows; to see whether it was meanwhile.
    #[serde(skip)]
    pub(super) defined: Option<String>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Column {
    pub(super) name: String,
    /// The type's own name, such as `varchar` or `uuid`.
    pub(super) data_type: String,
    /// Whether the server computes it: it is never loaded, and has a digest of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_generated: bool,
    /// What the column tells of the time when a row was true, in a system-versioned table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lifetime: Option<Lifetime>,
}

/// An end of the time when a row was true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Lifetime {
    /// When it began: `ROW START`.
    Start,
    /// When it ended: `ROW END`.
    End,
}

/// What stands in rows for the value of an ENUM that is none of its members: it would read as an
/// empty text, which may be a member. The server takes it with a warning, for the same value.
pub(super) const NO_MEMBER: &str = "00000";

impl Column {
    /// Returns whether the type is an ENUM, whose values are its members or none of them.
    pub(super) fn has_members(&self) -> bool {
        self.data_type == "enum"
    }

    /// Returns whether the values are dates or times.
    pub(super) fn is_time(&self) -> bool {
        matches!(self.data_type.as_str(), "date" | "time" | "datetime" | "timestamp" | "year")
    }

    /// Returns the column as it is read, in SQL.
    pub(super) fn selected(&self) -> String {
        let name = quote::identifier(&self.name);
        if self.has_members() {
            return format!("IF({name} + 0 = 0, '{NO_MEMBER}', {name})");
        }
        name
    }

    /// Returns whether the type reads bytes as its own inner form, so that the text of its values
    /// has to be loaded as text.
    pub(super) fn is_loaded_as_text(&self) -> bool {
        matches!(self.data_type.as_str(), "uuid" | "inet4" | "inet6")
    }
}

impl Table {
    /// Returns the columns that rows consist of.
    pub(super) fn stored_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !column.is_generated)
    }

    /// Returns what the boundaries of the table's chunks are values of; `Null` where there are none.
    /// Boundaries fit a table as long as this stays equal.
    pub(super) fn boundary_columns(&self) -> Value {
        let Some(key) = &self.key else { return Value::Null };
        let described = |column: &KeyColumn| {
            let found = self.columns.iter().find(|found| found.name == column.name);
            json!({ "column": column, "type": found.map(|found| &found.data_type) })
        };
        key.iter().map(described).collect()
    }

    /// Returns whether the table keeps the rows that were.
    pub(super) fn is_versioned(&self) -> bool {
        self.columns.iter().any(|column| column.lifetime.is_some())
    }

    /// Returns the columns that the server computes.
    pub(super) fn generated_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.is_generated)
    }
}

/// A sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sequence {
    pub(super) name: String,
    /// `SHOW CREATE SEQUENCE`, which tells where it started, not where it is.
    pub(super) create: String,
    /// The first value that was not yet given out or cached; it may be unsigned.
    pub(super) next: i128,
    /// How often it began anew.
    pub(super) round: i64,
}

/// What kind of program; the order is the order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ProgramKind {
    /// A package's interface (`sql_mode=ORACLE`).
    Package,
    /// A package's body.
    PackageBody,
    /// A stored function; views may call it.
    Function,
    /// A stored procedure.
    Procedure,
    /// A view.
    View,
    /// A trigger.
    Trigger,
    /// A scheduled event.
    Event,
}

impl ProgramKind {
    /// Returns what such a program is called in messages.
    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::Package => "package",
            Self::PackageBody => "package body",
            Self::Function => "function",
            Self::Procedure => "procedure",
            Self::View => "view",
            Self::Trigger => "trigger",
            Self::Event => "event",
        }
    }

    /// Returns the SQL words for the kind.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Package => "PACKAGE",
            Self::PackageBody => "PACKAGE BODY",
            Self::Function => "FUNCTION",
            Self::Procedure => "PROCEDURE",
            Self::View => "VIEW",
            Self::Trigger => "TRIGGER",
            Self::Event => "EVENT",
        }
    }
}

/// A view, trigger, routine or event: a statement, and all that its meaning depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Program {
    pub(super) kind: ProgramKind,
    pub(super) name: String,
    /// The database it was read from, which its statement may name.
    pub(super) database: String,
    /// The statement that creates it, in the character set `charset`.
    pub(super) create: Text,
    /// The account whose rights it runs with, as `user@host`.
    pub(super) definer: String,
    /// The `sql_mode` under which it was written; views have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sql_mode: Option<String>,
    /// `character_set_client` at its creation.
    pub(super) charset: String,
    /// `collation_connection` at its creation.
    pub(super) collation: String,
    /// The database's collation at its creation; views have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) database_collation: Option<String>,
    /// The time zone of an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) time_zone: Option<String>,
    /// Whether a view could not be read when it was saved: what it refers to was gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_broken: bool,
}

impl Program {
    /// Returns what the program is called in messages, such as `view "hosts"`.
    pub(super) fn title(&self) -> String {
        format!("{} {:?}", self.kind.noun(), self.name)
    }
}
