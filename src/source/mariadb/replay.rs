//! Statements that bring back what was saved: a restore executes them, and the schema blob has them
//! for people.

use crate::base::error::Result;
use crate::source::mariadb::definition::Lifetime;
use crate::source::mariadb::definition::Program;
use crate::source::mariadb::definition::Sequence;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::quote;
use crate::source::mariadb::statement::CreateTable;
use crate::source::mariadb::versioning;

/// Returns the statement that loads rows from `file` into a table of the selected database.
pub(super) fn load_statement(table: &Table, file: &str) -> String {
    let mut targets = Vec::new();
    let mut settings = Vec::new();
    let parsed = CreateTable::parse(&table.create).ok();
    let counter = parsed.as_ref().and_then(CreateTable::auto_increment_column);
    let has_settings = table
        .stored_columns()
        .any(|column| column.is_loaded_as_text() || column.lifetime == Some(Lifetime::End));
    for (column, number) in table.stored_columns().zip(1..) {
        let name = quote::identifier(&column.name);
        let value = format!("@v{number}");
        let setting = if column.lifetime == Some(Lifetime::End) {
            versioning::end_of(&value)
        } else if column.is_loaded_as_text() {
            format!("CONVERT({value} USING latin1)")
        } else if has_settings && counter == Some(&name) {
            // The server forgets that it was given a 0, unless that too is given by SET.
            value.clone()
        } else {
            targets.push(name);
            continue;
        };
        settings.push(format!("{name} = {setting}"));
        targets.push(value);
    }
    let settings =
        if settings.is_empty() { String::new() } else { format!(" SET {}", settings.join(", ")) };
    let (name, targets) = (quote::identifier(&table.name), targets.join(", "));
    format!(
        "LOAD DATA LOCAL INFILE '{file}' INTO TABLE {name} CHARACTER SET binary ({targets}){settings}"
    )
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

/// Returns the statement that takes the settings under which a program was written; nothing of the
/// program before stays.
pub(super) fn program_settings(program: &Program) -> Result<String> {
    Ok(format!(
        "SET character_set_client = {}, collation_connection = {}, sql_mode = {}, time_zone = {}",
        quote::word(&program.charset)?,
        quote::word(&program.collation)?,
        quote::string(program.sql_mode.as_deref().unwrap_or_default()),
        quote::string(program.time_zone.as_deref().unwrap_or("+00:00")),
    ))
}
