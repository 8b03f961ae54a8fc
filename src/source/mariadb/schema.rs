//! The schema blob: a tar of `definition.json`, which `snap` reads, and of SQL for people.
//!
//! `database.sql`, `tables.sql`, `load.sql` and `programs.sql`, given to the `mariadb` client in
//! this order, rebuild the database without `snap`: `load.sql` takes the rows of the n-th table
//! from a file `n.tsv`, the table's chunks decompressed and joined. The README shows it, and a
//! test does what the README says.

use std::fmt::Write as _;
use std::io::Read as _;

use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Result;
use crate::source::mariadb::definition::Column;
use crate::source::mariadb::definition::Definition;
use crate::source::mariadb::definition::Program;
use crate::source::mariadb::definition::Sequence;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::guard;
use crate::source::mariadb::quote;
use crate::source::mariadb::statement::CreateTable;

const DEFINITION: &str = "definition.json";

/// What the client needs to take everything as it was: old rows may break new rules.
const SETTINGS: &str = "SET NAMES utf8mb4;\nSET time_zone = '+00:00', foreign_key_checks = 0, \
    check_constraint_checks = 0, innodb_strict_mode = 0, \
    sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO';\n";

/// Returns the tar of all definitions; equal definitions give equal bytes.
pub(super) fn pack(definition: &Definition) -> Vec<u8> {
    let json = serde_json::to_vec_pretty(definition).expect("definitions are JSON");
    let mut archive = tar::Builder::new(Vec::new());
    let files = [
        (DEFINITION, json),
        ("database.sql", database_sql(definition).into_bytes()),
        ("tables.sql", tables_sql(definition).into_bytes()),
        ("load.sql", load_sql(&definition.tables).into_bytes()),
        ("programs.sql", programs_sql(definition)),
    ];
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(0);
        archive
            .append_data(&mut header, name, bytes.as_slice())
            .expect("writing to memory does not fail");
    }
    archive.into_inner().expect("writing to memory does not fail")
}

/// Returns the definitions of a schema blob.
pub(super) fn unpack(bytes: &[u8]) -> Result<Definition> {
    let damaged = || "cannot read the schema blob".to_owned();
    let mut archive = tar::Archive::new(bytes);
    for entry in archive.entries().context(damaged)? {
        let mut entry = entry.context(damaged)?;
        if entry.path_bytes().as_ref() == DEFINITION.as_bytes() {
            let mut json = Vec::new();
            entry.read_to_end(&mut json).context(damaged)?;
            let definition: Definition = serde_json::from_slice(&json).map_err(|cause| {
                Error::damaged("cannot understand the schema blob").caused_by(cause)
            })?;
            return match guard::unsound(&definition) {
                None => Ok(definition),
                Some(what) => {
                    let text = format!("cannot run the definition of {what}: it is something else");
                    Err(Error::damaged(text)
                        .hint("somebody has changed the snapshot's definitions"))
                }
            };
        }
    }
    Err(Error::damaged(format!("cannot find {DEFINITION} in the schema blob")))
}

fn database_sql(definition: &Definition) -> String {
    let database = &definition.database;
    let name = quote::identifier(&database.name);
    format!(
        "CREATE DATABASE {name} CHARACTER SET {} COLLATE {} COMMENT {};\n",
        database.charset,
        database.collation,
        quote::string(&database.comment)
    )
}

fn tables_sql(definition: &Definition) -> String {
    let mut sql = SETTINGS.to_owned();
    for sequence in &definition.sequences {
        for statement in sequence_statements(sequence) {
            let _ = writeln!(sql, "{statement};");
        }
    }
    for table in &definition.tables {
        let _ = writeln!(sql, "{};", table.create);
    }
    sql
}

/// Returns the statements that create a sequence which goes on where the saved one was.
pub(super) fn sequence_statements(sequence: &Sequence) -> Vec<String> {
    let Sequence { name, create, next, round } = sequence;
    let name = quote::identifier(name);
    // SETVAL never goes back, RESTART does not know of rounds.
    let mut statements = vec![create.clone(), format!("ALTER SEQUENCE {name} RESTART {next}")];
    if *round > 0 {
        statements.push(format!("DO SETVAL({name}, {next}, 0, {round})"));
    }
    statements
}

fn load_sql(tables: &[Table]) -> String {
    let mut sql = SETTINGS.to_owned();
    for (table, number) in tables.iter().zip(1..) {
        let _ = writeln!(sql, "{};", load_statement(table, &format!("{number}.tsv")));
    }
    sql
}

/// Returns the statement that loads rows from `file` into a table of the selected database.
pub(super) fn load_statement(table: &Table, file: &str) -> String {
    let mut targets = Vec::new();
    let mut settings = Vec::new();
    let parsed = CreateTable::parse(&table.create).ok();
    let counter = parsed.as_ref().and_then(CreateTable::auto_increment_column);
    let has_settings = table.stored_columns().any(Column::is_loaded_as_text);
    for (column, number) in table.stored_columns().zip(1..) {
        let name = quote::identifier(&column.name);
        if column.is_loaded_as_text() {
            targets.push(format!("@v{number}"));
            settings.push(format!("{name} = CONVERT(@v{number} USING latin1)"));
        } else if has_settings && counter == Some(&name) {
            // The server forgets that it was given a 0, unless that too is given by SET.
            targets.push(format!("@v{number}"));
            settings.push(format!("{name} = @v{number}"));
        } else {
            targets.push(name);
        }
    }
    let settings =
        if settings.is_empty() { String::new() } else { format!(" SET {}", settings.join(", ")) };
    let (name, targets) = (quote::identifier(&table.name), targets.join(", "));
    format!(
        "LOAD DATA LOCAL INFILE '{file}' INTO TABLE {name} CHARACTER SET binary ({targets}){settings}"
    )
}

/// Returns the statements for all programs, each between the settings it was written under.
fn programs_sql(definition: &Definition) -> Vec<u8> {
    const END: &str = "//snap//";
    let collation = &definition.database.collation;
    let mut sql = format!("DELIMITER {END}\n").into_bytes();
    for program in &definition.programs {
        if program.is_broken {
            let lost =
                format!("-- {} read from what was gone when it was saved\n", program.title());
            sql.extend_from_slice(lost.as_bytes());
            continue;
        }
        let own_collation = program.database_collation.as_ref().filter(|own| *own != collation);
        let mut settings = program_settings(program);
        if let Some(own) = own_collation {
            let _ = write!(settings, " {END}\nALTER DATABASE COLLATE {own}");
        }
        sql.extend_from_slice(format!("{settings} {END}\n").as_bytes());
        sql.extend_from_slice(&program.create.0);
        sql.extend_from_slice(format!(" {END}\n").as_bytes());
        if own_collation.is_some() {
            sql.extend_from_slice(format!("ALTER DATABASE COLLATE {collation} {END}\n").as_bytes());
        }
    }
    sql
}

/// Returns the statement that takes the settings of a program; nothing of the one before stays.
fn program_settings(program: &Program) -> String {
    format!(
        "SET character_set_client = {}, collation_connection = {}, sql_mode = {}, time_zone = {}",
        program.charset,
        program.collation,
        quote::string(program.sql_mode.as_deref().unwrap_or_default()),
        quote::string(program.time_zone.as_deref().unwrap_or("+00:00")),
    )
}
