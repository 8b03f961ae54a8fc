//! Reads the definitions of a database's tables and sequences.
//!
//! What cannot be saved yet is refused by name: nothing is left out in silence.

use std::collections::HashMap;
use std::collections::HashSet;

use mysql_async::Row;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::typed;
use crate::source::mariadb::definition::Column;
use crate::source::mariadb::definition::Database;
use crate::source::mariadb::definition::Lifetime;
use crate::source::mariadb::definition::Sequence;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::key::KeyColumn;
use crate::source::mariadb::key::Order;
use crate::source::mariadb::letters;
use crate::source::mariadb::letters::Printed;
use crate::source::mariadb::members;
use crate::source::mariadb::quote;
use crate::source::mariadb::shown;
use crate::source::mariadb::statement;
use crate::source::mariadb::statistics;
use crate::source::mariadb::versioning;

/// Engines whose rows lie in the server: others would read somebody else's data.
pub(super) const ENGINES: &[&str] =
    &["InnoDB", "ROCKSDB", "Aria", "MyISAM", "MEMORY", "ARCHIVE", "CSV"];

/// What a table that keeps its history is, in `information_schema`.
const VERSIONED: &str = "SYSTEM VERSIONED";

type ListedRow = (String, String, Option<String>, Option<u64>, Option<String>, Option<String>);
type Nullable = Option<String>;
type KeyRow = (String, String, Option<u64>);
type ColumnRow = (String, String, String, String, Nullable, Nullable, Nullable, String, Nullable);

const ENGINE_LIST: &str =
    "SELECT ENGINE FROM information_schema.ENGINES WHERE TRANSACTIONS = 'YES'";
const COLUMN_LIST: &str = "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, COLUMN_DEFAULT, \
    CHARACTER_SET_NAME, COLLATION_NAME, IS_GENERATED, GENERATION_EXPRESSION \
    FROM information_schema.COLUMNS WHERE {} ORDER BY TABLE_NAME, ORDINAL_POSITION";
const KEY_LIST: &str = "SELECT TABLE_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS \
    WHERE {} AND INDEX_NAME = 'PRIMARY' ORDER BY TABLE_NAME, SEQ_IN_INDEX";

/// What `information_schema.TABLES` says of a table.
#[derive(Debug)]
pub(super) struct Listed {
    name: String,
    kind: String,
    engine: Option<String>,
    bytes: Option<u64>,
    defined: Option<String>,
    comment: Option<String>,
}

/// What `information_schema.COLUMNS` says of a column.
struct ListedColumn {
    name: String,
    data_type: String,
    full_type: String,
    default: Option<String>,
    charset: Option<String>,
    collation: Option<String>,
    is_generated: bool,
    lifetime: Option<Lifetime>,
}

/// Returns a database's own attributes, or `None` where there is no such database.
pub(super) async fn database(connection: &mut Connection, name: &str) -> Result<Option<Database>> {
    let sql = "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME, SCHEMA_COMMENT \
               FROM information_schema.SCHEMATA WHERE ";
    let sql = format!("{sql}{}", quote::is_database("SCHEMA_NAME", name));
    let found: Option<(String, String, String)> =
        connection.first("cannot look for the database", &sql).await?;
    Ok(found.map(|(charset, collation, comment)| Database {
        name: name.to_owned(),
        charset,
        collation,
        comment,
    }))
}

/// Returns what lies in a database, views included, by name; names that differ by case alone come
/// in one order too.
pub(super) async fn listed(connection: &mut Connection, database: &str) -> Result<Vec<Listed>> {
    let sql = "SELECT TABLE_NAME, TABLE_TYPE, ENGINE, DATA_LENGTH, CREATE_TIME, TABLE_COMMENT \
               FROM information_schema.TABLES WHERE {} ORDER BY TABLE_NAME, BINARY TABLE_NAME";
    let sql = sql.replace("{}", &quote::is_database("TABLE_SCHEMA", database));
    let rows: Vec<ListedRow> = connection.rows("cannot list the tables", &sql).await?;
    let tables = rows.into_iter().map(|(name, kind, engine, bytes, defined, comment)| Listed {
        name,
        kind,
        engine,
        bytes,
        defined,
        comment,
    });
    Ok(tables.collect())
}

impl Listed {
    /// Returns the table's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether this holds rows or values, and moves with `RENAME TABLE`.
    pub(super) fn is_stored(&self) -> bool {
        self.kind != "VIEW"
    }

    /// Returns the server's guess at the size of the rows in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.unwrap_or_default()
    }

    /// Returns whether this is a sequence.
    pub(super) fn is_sequence(&self) -> bool {
        self.kind == "SEQUENCE"
    }

    fn refused<T>(&self, reason: &str) -> Result<T> {
        Err(Error::new(Kind::Failed, format!("cannot save table {:?}: {reason}", self.name)))
    }

    /// Fails where the table cannot be saved with all that it holds.
    fn check(&self) -> Result<()> {
        let refused = |reason: &str| self.refused(reason);
        match (self.kind.as_str(), self.engine.as_deref()) {
            ("SEQUENCE" | "VIEW", _) => Ok(()),
            ("BASE TABLE" | VERSIONED, Some(engine)) if ENGINES.contains(&engine) => Ok(()),
            ("BASE TABLE" | VERSIONED, Some(engine)) => {
                refused(&format!("its engine {engine} may keep rows outside of this server"))
            }
            ("BASE TABLE" | VERSIONED, None) => {
                refused(self.comment.as_deref().unwrap_or("it is broken"))
            }
            (kind, _) => refused(&format!("it is a {kind}")),
        }
    }
}

/// Returns the definitions of all base tables, by name.
pub(super) async fn tables(
    connection: &mut Connection,
    database: &str,
    listed: &[Listed],
) -> Result<Vec<Table>> {
    let Lists { transactional, mut columns, mut keys } = lists(connection, database).await?;
    let analyzed = statistics::analyzed(connection, database).await?;
    for table in listed.iter().filter(|table| table.is_stored()) {
        table.check()?;
    }
    let listed = listed.iter().filter(|table| table.is_stored() && !table.is_sequence());
    let listed: Vec<_> = listed.collect();
    let names: Vec<&str> = listed.iter().map(|table| table.name()).collect();
    let mut created = shown::show_create_tables(connection, database, &names).await?;
    let mut tables = Vec::new();
    for table in listed {
        let mut columns = columns.remove(&table.name).unwrap_or_default();
        let mut key = keys.remove(&table.name).unwrap_or_default();
        let create = match created.pop_front() {
            Some((_, create)) => shown::text_of(&table.name, create)?,
            None => shown::show_create_table(connection, database, &table.name).await?,
        };
        if statement::names_folder(&create) {
            return table
                .refused("its files lie in a folder of their own and could not be swapped");
        }
        if table.kind == VERSIONED {
            show_hidden(&mut columns, &mut key);
        }
        let boundary = boundary_key(&key, &columns);
        let mut checked = Vec::new();
        for column in columns {
            let printed = column.printed(database, &table.name);
            letters::demand_told(connection, &printed, &create).await?;
            checked.push(column.checked(connection, &table.name).await?);
        }
        let table = Table {
            name: table.name.clone(),
            create,
            key: boundary,
            primary: key.into_iter().map(|part| part.column).collect(),
            columns: checked,
            is_transactional: table.engine.as_ref().is_some_and(|e| transactional.contains(e)),
            is_analyzed: analyzed.contains(&table.name),
            estimated_bytes: table.bytes.unwrap_or_default(),
            defined: table.defined.clone(),
        };
        versioning::check(&table)?;
        tables.push(table);
    }
    Ok(tables)
}

/// What `information_schema` says of all tables of a database.
struct Lists {
    /// The engines that have transactions.
    transactional: HashSet<String>,
    /// By table, in their order.
    columns: HashMap<String, Vec<ListedColumn>>,
    /// Primary keys by table.
    keys: HashMap<String, Vec<KeyPart>>,
}

/// Reads the lists in one go: a server that is far away takes as long for each as for all.
async fn lists(connection: &mut Connection, database: &str) -> Result<Lists> {
    let doing = "cannot list engines, columns and primary keys";
    let is_of_database = quote::is_database("TABLE_SCHEMA", database);
    let lists = [ENGINE_LIST, COLUMN_LIST, KEY_LIST].join("; ").replace("{}", &is_of_database);
    let mut lists = connection.answers::<Row>(doing, &lists).await?.into_iter();
    let mut next = || lists.next().unwrap_or_default();
    let (engines, columns_of, keys_of) = (next(), next(), next());
    Ok(Lists {
        transactional: typed(doing, engines)?.into_iter().collect(),
        columns: columns(typed(doing, columns_of)?),
        keys: primary_keys(typed(doing, keys_of)?),
    })
}

fn columns(rows: Vec<ColumnRow>) -> HashMap<String, Vec<ListedColumn>> {
    let mut columns: HashMap<String, Vec<ListedColumn>> = HashMap::new();
    for row in rows {
        let (table, name, data_type, full_type, default, charset, collation, generated, generation) =
            row;
        let lifetime = versioning::lifetime(generation.as_deref());
        let is_generated = generated == "ALWAYS" && lifetime.is_none();
        columns.entry(table).or_default().push(ListedColumn {
            name,
            data_type,
            full_type,
            default,
            charset,
            collation,
            is_generated,
            lifetime,
        });
    }
    columns
}

/// A column of a primary key, in the key's order.
struct KeyPart {
    column: String,
    is_prefix: bool,
}

fn primary_keys(rows: Vec<KeyRow>) -> HashMap<String, Vec<KeyPart>> {
    let mut keys: HashMap<String, Vec<KeyPart>> = HashMap::new();
    for (table, column, prefix) in rows {
        keys.entry(table).or_default().push(KeyPart { column, is_prefix: prefix.is_some() });
    }
    keys
}

/// Returns the primary key where its values can be chunk boundaries: `None` where a column
/// compares otherwise than its text does (ENUM, FLOAT, UUID, …) or only its prefix is a key.
fn boundary_key(parts: &[KeyPart], columns: &[ListedColumn]) -> Option<Vec<KeyColumn>> {
    let key_column = |part: &KeyPart| {
        let column = columns.iter().find(|column| column.name == part.column)?;
        let order = (!part.is_prefix).then(|| column.order())??;
        Some(KeyColumn { name: part.column.clone(), order })
    };
    let key: Option<Vec<_>> = parts.iter().map(key_column).collect();
    key.filter(|columns| !columns.is_empty())
}

/// Adds what the server hides of a versioned table: the columns of a row's time where they have no
/// names of their own, and the end of that time in the key, which tells the versions of a row apart.
fn show_hidden(columns: &mut Vec<ListedColumn>, key: &mut Vec<KeyPart>) {
    if columns.iter().all(|column| column.lifetime.is_none()) {
        columns.extend(versioning::HIDDEN.map(|(name, lifetime)| ListedColumn {
            name: name.to_owned(),
            data_type: "timestamp".to_owned(),
            full_type: "timestamp(6)".to_owned(),
            default: None,
            charset: None,
            collation: None,
            is_generated: false,
            lifetime: Some(lifetime),
        }));
    }
    let end = columns.iter().find(|column| column.lifetime == Some(Lifetime::End));
    let end = end.map(|column| column.name.clone()).filter(|_| !key.is_empty());
    if let Some(column) = end.filter(|end| key.iter().all(|part| part.column != *end)) {
        key.push(KeyPart { column, is_prefix: false });
    }
}

impl ListedColumn {
    /// Returns the column; fails where not all of its values can be told apart, or its definition
    /// would not be taken back.
    async fn checked(self, connection: &mut Connection, table: &str) -> Result<Column> {
        if self.is_default_beyond() {
            let text = format!("cannot save table {table:?}: the default of {:?}", self.name);
            let why = format!("has more digits than {}", self.full_type);
            return Err(Error::failed(format!("{text} {why}")).hint(
                "no server takes it back as it is shown, rounded: ALTER TABLE can change it",
            ));
        }
        let Self { name, data_type, full_type, collation, is_generated, lifetime, .. } = self;
        let column = Column { name, data_type, is_generated, lifetime };
        if matches!(column.data_type.as_str(), "enum" | "set") {
            let collation = collation.as_deref();
            members::demand_distinct(connection, table, &column, &full_type, collation).await?;
        }
        Ok(column)
    }

    /// Returns whether the default of a FLOAT or DOUBLE of fixed digits was rounded up beyond them.
    fn is_default_beyond(&self) -> bool {
        let is_float = matches!(self.data_type.as_str(), "float" | "double");
        let digits = self.full_type.split(['(', ',', ')']).skip(1).take(2);
        let digits: Vec<i32> = digits.filter_map(|digits| digits.parse().ok()).collect();
        let default = self.default.as_ref().and_then(|default| default.parse::<f64>().ok());
        match (digits.as_slice(), default) {
            ([all, fraction], Some(default)) if is_float => {
                default.abs() >= 10_f64.powi(all - fraction)
            }
            _ => false,
        }
    }

    fn printed<'a>(&'a self, database: &'a str, table: &'a str) -> Printed<'a> {
        Printed {
            database,
            table,
            name: &self.name,
            charset: self.charset.as_deref(),
            full_type: &self.full_type,
            default: self.default.as_deref(),
        }
    }

    fn order(&self) -> Option<Order> {
        match self.data_type.as_str() {
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "year" => {
                Some(Order::Number)
            }
            "date" | "time" | "datetime" | "timestamp" => Some(Order::Time),
            "binary" | "varbinary" => Some(Order::Bytes),
            "char" | "varchar" => Some(Order::Text {
                charset: self.charset.clone()?,
                collation: self.collation.clone()?,
            }),
            _ => None,
        }
    }
}

/// Returns the definitions of all sequences with the values where they go on.
pub(super) async fn sequences(
    connection: &mut Connection,
    database: &str,
    listed: &[Listed],
) -> Result<Vec<Sequence>> {
    let mut sequences = Vec::new();
    for listed in listed.iter().filter(|listed| listed.is_sequence()) {
        let name = quote::qualified(database, &listed.name);
        let show = format!("SHOW CREATE SEQUENCE {name}");
        let doing = format!("cannot read sequence {:?}", listed.name);
        let shown: Option<(String, String)> = connection.first(&doing, &show).await?;
        let state = format!("SELECT CAST(next_not_cached_value AS CHAR), cycle_count FROM {name}");
        let state: Option<(String, i64)> = connection.first(&doing, &state).await?;
        let absent = || Error::failed(doing.clone());
        let (_, create) = shown.ok_or_else(absent)?;
        let (next, round) = state.ok_or_else(absent)?;
        let next = next.parse().map_err(|_| absent())?;
        sequences.push(Sequence { name: listed.name.clone(), create, next, round });
    }
    Ok(sequences)
}
