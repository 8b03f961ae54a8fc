//! The schema blob: a tar of `definition.json`, which `snap` reads, and of SQL for people.
//!
//! `database.sql`, `tables.sql`, `load.sql` and `programs.sql`, given to the `mariadb` client in
//! this order, rebuild the database without `snap`: `load.sql` takes the rows of the n-th table
//! from a file `n.tsv`, the table's chunks decompressed and joined. The README shows it, and a
//! test does what the README says.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;

use tar::EntryType;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::source::mariadb::definition::Definition;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::guard;
use crate::source::mariadb::quote;
use crate::source::mariadb::replay;

const DEFINITION: &str = "definition.json";

/// What the client needs to take everything as it was: old rows may break new rules.
const SETTINGS: &str = "SET NAMES utf8mb4;\nSET time_zone = '+00:00', foreign_key_checks = 0, \
    check_constraint_checks = 0, innodb_strict_mode = 0, \
    sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO';\n\
    /*M!101100 SET system_versioning_insert_history = 1 */;\n\
    /*M!110500 SET character_set_collations = '' */;\n";

/// What keeps newer servers from giving other collations to a character set.
const COLLATIONS: &str = "/*M!110500 SET character_set_collations = '' */";

/// Returns the tar of all definitions; equal definitions give equal bytes.
pub(super) fn pack(definition: &Definition) -> Result<Vec<u8>> {
    let json = serde_json::to_vec_pretty(definition).expect("definitions are JSON");
    let mut archive = tar::Builder::new(Vec::new());
    let files = [
        (DEFINITION, json),
        ("database.sql", database_sql(definition).into_bytes()),
        ("tables.sql", tables_sql(definition).into_bytes()),
        ("load.sql", load_sql(&definition.tables).into_bytes()),
        ("programs.sql", programs_sql(definition)?),
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
    Ok(archive.into_inner().expect("writing to memory does not fail"))
}

/// What a schema blob defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The names of its tables, in the order of the catalog's items.
    pub tables: Vec<String>,
    /// The accounts whose rights its programs run with, each once, as `user@host`.
    pub definers: BTreeSet<String>,
}

/// Returns what a schema blob defines; fails with [`Kind::Damaged`](crate::base::error::Kind)
/// where it could not be run.
pub fn outline(bytes: &[u8]) -> Result<Outline> {
    let Definition { tables, programs, .. } = unpack(bytes)?;
    Ok(Outline {
        tables: tables.into_iter().map(|table| table.name).collect(),
        definers: programs.into_iter().map(|program| program.definer).collect(),
    })
}

/// Returns the definitions of a schema blob.
pub(super) fn unpack(bytes: &[u8]) -> Result<Definition> {
    let json = definition_json(bytes)
        .map_err(|cause| Error::damaged("cannot read the schema blob").caused_by(cause))?
        .ok_or_else(|| Error::damaged(format!("cannot find {DEFINITION} in the schema blob")))?;
    let definition: Definition = serde_json::from_slice(json)
        .map_err(|cause| Error::damaged("cannot understand the schema blob").caused_by(cause))?;
    match guard::unsound(&definition) {
        None => Ok(definition),
        Some(what) => {
            let text = format!("cannot run the definition of {what}: it is something else");
            Err(Error::damaged(text).hint("somebody has changed the snapshot's definitions"))
        }
    }
}

fn definition_json(bytes: &[u8]) -> io::Result<Option<&[u8]>> {
    for entry in tar::Archive::new(bytes).entries()? {
        let entry = entry?;
        // A sparse file would be as large as it says, whatever the blob holds.
        let is_plain = entry.header().entry_type() == EntryType::Regular;
        if is_plain && entry.path_bytes().as_ref() == DEFINITION.as_bytes() {
            let rest =
                usize::try_from(entry.raw_file_position()).ok().and_then(|at| bytes.get(at..));
            let length = usize::try_from(entry.size()).ok();
            let json = rest.zip(length).and_then(|(rest, length)| rest.get(..length));
            return json.map(Some).ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(None)
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
        for statement in replay::sequence_statements(sequence) {
            let _ = writeln!(sql, "{statement};");
        }
    }
    for table in &definition.tables {
        let _ = writeln!(sql, "{};", table.create);
    }
    sql
}

fn load_sql(tables: &[Table]) -> String {
    let mut sql = SETTINGS.to_owned();
    for (table, number) in tables.iter().zip(1..) {
        let _ = writeln!(sql, "{};", replay::load_statement(table, &format!("{number}.tsv")));
    }
    sql
}

/// Returns the statements for all programs, each between the settings it was written under.
fn programs_sql(definition: &Definition) -> Result<Vec<u8>> {
    const END: &str = "//snap//";
    let collation = &definition.database.collation;
    let mut sql = format!("DELIMITER {END}\n{COLLATIONS} {END}\n").into_bytes();
    for program in &definition.programs {
        if program.is_broken {
            let lost =
                format!("-- {} read from what was gone when it was saved\n", program.title());
            sql.extend_from_slice(lost.as_bytes());
            continue;
        }
        let own_collation = program.database_collation.as_ref().filter(|own| *own != collation);
        let mut settings = replay::program_settings(program)?;
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
    Ok(sql)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparse_definition_is_not_read() {
        let mut header = tar::Header::new_gnu();
        header.set_path(DEFINITION).unwrap();
        header.set_entry_type(EntryType::GNUSparse);
        header.set_size(0);
        let sparse = header.as_gnu_mut().unwrap();
        // An eighth of a terabyte of zeros, of which none is stored.
        sparse.realsize.copy_from_slice(b"01777777777\0");
        sparse.sparse[0].offset.copy_from_slice(b"01777777777\0");
        sparse.sparse[0].numbytes.copy_from_slice(b"00000000000\0");
        header.set_cksum();
        let bomb = [header.as_bytes().as_slice(), &[0; 1024]].concat();
        let error = outline(&bomb).unwrap_err().chain();
        assert!(error.contains("cannot find definition.json"), "{error}");
    }
}
