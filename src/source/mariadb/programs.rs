//! Reads views, triggers, routines and events, and creates them again.
//!
//! A program's text means what it means only under the `sql_mode`, the character set and the
//! collations of its creation, so each is read as bytes in its own character set and created
//! under its own settings.

use mysql_async::Row;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::definition::Program;
use crate::source::mariadb::definition::ProgramKind;
use crate::source::mariadb::events;
use crate::source::mariadb::failure;
use crate::source::mariadb::heading;
use crate::source::mariadb::heading::Printed;
use crate::source::mariadb::quote;
use crate::source::mariadb::relocate;
use crate::source::mariadb::removal;
use crate::source::mariadb::replay;
use crate::source::mariadb::site::Purpose;
use crate::source::mariadb::site::Site;
use crate::source::mariadb::text::Text;
use crate::source::mariadb::views;

/// Returns all programs of the selected database in the order of their creation.
pub(super) async fn programs(connection: &mut Connection, database: &str) -> Result<Vec<Program>> {
    let names = names(connection, database).await?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    connection.receive_text_as_stored().await?;
    let mut programs = Vec::new();
    for (kind, name, definer) in names {
        programs.push(program(connection, database, kind, name, definer).await?);
    }
    connection.receive_text_as_utf8().await?;
    let start = programs.partition_point(|program| program.kind < ProgramKind::View);
    let end = programs.partition_point(|program| program.kind <= ProgramKind::View);
    let views = views::in_order(&programs[start..end]);
    programs.splice(start..end, views);
    Ok(programs)
}

/// Returns kind, name and definer of each program; triggers in the order in which they fire.
pub(super) async fn names(
    connection: &mut Connection,
    database: &str,
) -> Result<Vec<(ProgramKind, String, String)>> {
    let routines = "SELECT ROUTINE_TYPE, ROUTINE_NAME, DEFINER FROM information_schema.ROUTINES \
                    WHERE {} ORDER BY ROUTINE_NAME, BINARY ROUTINE_NAME";
    let views = "SELECT 'VIEW', TABLE_NAME, DEFINER FROM information_schema.VIEWS \
                 WHERE {} ORDER BY TABLE_NAME, BINARY TABLE_NAME";
    let triggers = "SELECT 'TRIGGER', TRIGGER_NAME, DEFINER FROM information_schema.TRIGGERS \
                    WHERE {} ORDER BY EVENT_OBJECT_TABLE, BINARY EVENT_OBJECT_TABLE, \
                    ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER";
    let events = "SELECT 'EVENT', EVENT_NAME, DEFINER FROM information_schema.EVENTS \
                  WHERE {} ORDER BY EVENT_NAME, BINARY EVENT_NAME";
    let lists = [
        (routines, "ROUTINE_SCHEMA"),
        (views, "TABLE_SCHEMA"),
        (triggers, "TRIGGER_SCHEMA"),
        (events, "EVENT_SCHEMA"),
    ];
    let list =
        |(sql, schema): &(&str, &str)| sql.replace("{}", &quote::is_database(schema, database));
    let lists = lists.iter().map(list).collect::<Vec<_>>().join("; ");
    let doing = "cannot list views, triggers, routines and events";
    let rows: Vec<Vec<(String, String, String)>> = connection.answers(doing, &lists).await?;
    let mut names = Vec::new();
    for (kind, name, definer) in rows.into_iter().flatten() {
        names.push((parse_kind(&kind, &name)?, name, definer));
    }
    names.sort_by_key(|(kind, _, _)| *kind);
    Ok(names)
}

/// Returns each trigger of a database with its table.
pub(super) async fn triggers(
    connection: &mut Connection,
    database: &str,
) -> Result<Vec<(String, String)>> {
    let sql = "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE {}";
    let sql = sql.replace("{}", &quote::is_database("TRIGGER_SCHEMA", database));
    connection.rows("cannot list the triggers", &sql).await
}

fn parse_kind(word: &str, name: &str) -> Result<ProgramKind> {
    let kinds = [
        ProgramKind::Package,
        ProgramKind::PackageBody,
        ProgramKind::Function,
        ProgramKind::Procedure,
        ProgramKind::View,
        ProgramKind::Trigger,
        ProgramKind::Event,
    ];
    kinds
        .into_iter()
        .find(|kind| kind.words() == word)
        .ok_or_else(|| Error::failed(format!("cannot save {name:?}: {word} is not supported yet")))
}

/// Reads one program of the selected database. Most views' names stay unqualified only there.
async fn program(
    connection: &mut Connection,
    database: &str,
    kind: ProgramKind,
    name: String,
    definer: String,
) -> Result<Program> {
    let show = format!("SHOW CREATE {} {}", kind.words(), quote::identifier(&name));
    let doing = format!("cannot read {} {name:?}", kind.words().to_lowercase());
    let row: Option<Row> = connection.first(&doing, &show).await?;
    let row = row.ok_or_else(|| Error::failed(doing))?;
    let create_column = match kind {
        ProgramKind::Package => "Create Package",
        ProgramKind::PackageBody => "Create Package Body",
        ProgramKind::Function => "Create Function",
        ProgramKind::Procedure => "Create Procedure",
        ProgramKind::View => "Create View",
        ProgramKind::Trigger => "SQL Original Statement",
        ProgramKind::Event => "Create Event",
    };
    // Without the right to see it, the server answers with NULL in the place of the body.
    let create = field(&row, create_column).ok_or_else(|| {
        let words = kind.words().to_lowercase();
        let account = connection.account();
        let text = format!("cannot read the body of {words} {name:?} as {account}");
        Error::new(Kind::Denied, text).hint(format!("GRANT SELECT ON `mysql`.`proc` TO {account};"))
    })?;
    let text = |column| field(&row, column).map(|bytes| Text(bytes).lossy());
    let charset = text("character_set_client").unwrap_or_else(|| "utf8mb4".to_owned());
    let is_broken = kind == ProgramKind::View && connection.raw().get_warnings() > 0;
    let sql_mode = text("sql_mode");
    let printed = Printed { kind, name: &name, charset: &charset, sql_mode: sql_mode.as_deref() };
    let create = heading::as_written(connection, database, &printed, create).await?;
    Ok(Program {
        kind,
        name,
        database: database.to_owned(),
        create: Text(create),
        definer,
        sql_mode,
        charset,
        collation: text("collation_connection").unwrap_or_else(|| "utf8mb4_general_ci".to_owned()),
        database_collation: text("Database Collation"),
        time_zone: text("time_zone"),
        is_broken,
    })
}

fn field(row: &Row, column: &str) -> Option<Vec<u8>> {
    row.get_opt::<Option<Vec<u8>>, _>(column)?.ok()?
}

/// Whom a created program belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// The account that its statement names.
    Definer,
    /// Our own account, until the definer can have it.
    Ourselves,
}

/// Creates programs in the selected database, each under its own settings. Returns the broken
/// views, which could not be created because what they refer to is gone, as it was when saved.
pub(super) async fn create(
    connection: &mut Connection,
    site: &Site<'_>,
    programs: &[Program],
) -> Result<Vec<String>> {
    let of_kind = |is_wanted: fn(ProgramKind) -> bool| {
        programs.iter().filter(move |program| is_wanted(program.kind))
    };
    for program in of_kind(|kind| kind < ProgramKind::View) {
        create_one(connection, site, program, Owner::Definer).await?;
    }
    let views: Vec<_> = of_kind(|kind| kind == ProgramKind::View).collect();
    let functions: Vec<_> = of_kind(|kind| kind == ProgramKind::Function).collect();
    let broken = create_views(connection, site, &views, &functions).await?;
    for program in of_kind(|kind| kind > ProgramKind::View) {
        create_one(connection, site, program, Owner::Definer).await?;
    }
    Ok(broken)
}

/// Makes these the programs of the selected database: the others are dropped, except for routines,
/// and those of these names replaced in place. Returns the broken views as [`create`] does.
pub(super) async fn replace_all(
    connection: &mut Connection,
    site: &Site<'_>,
    programs: &[Program],
) -> Result<Vec<String>> {
    let is_other =
        |kind, name: &str| kind >= ProgramKind::View && removal::is_other(programs, kind, name);
    removal::drop_where(connection, &site.database.name, is_other).await?;
    create(connection, site, programs).await
}

/// Creates views, which may stand on each other and call functions.
///
/// A server refuses a view on something whose definer it does not have, as on a new host whose
/// accounts are still to come. Then all is ours until everything stands, and is given to its
/// definers from the top down.
async fn create_views(
    connection: &mut Connection,
    site: &Site<'_>,
    views: &[&Program],
    functions: &[&Program],
) -> Result<Vec<String>> {
    let built = create_in_any_order(connection, site, views, Owner::Definer).await?;
    if built.failed.is_empty() {
        return Ok(Vec::new());
    }
    for function in functions {
        create_one(connection, site, function, Owner::Ourselves).await?;
    }
    let built = create_in_any_order(connection, site, views, Owner::Ourselves).await?;
    for program in built.created.iter().rev().chain(functions) {
        create_one(connection, site, program, Owner::Definer).await?;
    }
    let mut broken = Vec::new();
    for (view, failure) in built.failed {
        if !view.is_broken {
            return Err(failure);
        }
        broken.push(view.name.clone());
    }
    Ok(broken)
}

/// Views that were created, each after what it stands on, and those that could not be.
struct Built<'a> {
    created: Vec<&'a Program>,
    failed: Vec<(&'a Program, Error)>,
}

async fn create_in_any_order<'a>(
    connection: &mut Connection,
    site: &Site<'_>,
    views: &[&'a Program],
    owner: Owner,
) -> Result<Built<'a>> {
    let mut created = Vec::new();
    let mut waiting = views.to_vec();
    loop {
        let mut failed = Vec::new();
        for view in &waiting {
            match create_one(connection, site, view, owner).await {
                Ok(()) => created.push(*view),
                // What fails now may succeed after the others.
                Err(error) if error.kind() == Kind::Failed => failed.push((*view, error)),
                Err(error) => return Err(error),
            }
        }
        if failed.is_empty() || failed.len() == waiting.len() {
            return Ok(Built { created, failed });
        }
        waiting = failed.iter().map(|(view, _)| *view).collect();
    }
}

async fn create_one(
    connection: &mut Connection,
    site: &Site<'_>,
    program: &Program,
    owner: Owner,
) -> Result<()> {
    let database = site.database;
    let own_collation =
        program.database_collation.as_ref().filter(|own| **own != database.collation);
    if let Some(collation) = own_collation {
        connection.collate_database(&database.name, collation).await?;
    }
    let statement = replacing(owner, &meant(connection, site, program).await?);
    connection.speak_as(program).await?;
    let doing = format!("cannot create {}", program.title());
    let mut created = connection.execute_bytes(&doing, statement.clone()).await;
    if created.as_ref().is_err_and(failure::is_of_forgotten_trigger) {
        // The server died while it dropped that one.
        connection.drop_trigger(&database.name, &program.name).await?;
        created = connection.execute_bytes(&doing, statement).await;
    }
    if created.is_ok() {
        site.note_remarks(connection, program).await?;
        if program.kind == ProgramKind::Event && site.has_dropped(program) {
            // One of this name that was live already is there still.
            connection.drop_event(&site.database.name, &program.name).await?;
        }
    }
    connection.speak_plainly().await?;
    if own_collation.is_some() {
        connection.collate_database(&database.name, &database.collation).await?;
    }
    created
}

/// Returns the statement of a program as it must read where it is created.
pub(super) async fn meant(
    connection: &mut Connection,
    site: &Site<'_>,
    program: &Program,
) -> Result<Vec<u8>> {
    let statement = relocate::statement_for(connection, program, &site.database.name).await?;
    Ok(match (program.kind, site.purpose) {
        (ProgramKind::Event, Purpose::Rehearsal) => events::disabled(&statement),
        _ => statement,
    })
}

/// Returns the statement that creates a program in place of one that is there, so that the rights
/// given on a routine stay; of our own account where `owner` says so.
fn replacing(owner: Owner, create: &[u8]) -> Vec<u8> {
    let replacing =
        [b"CREATE OR REPLACE ", create.strip_prefix(b"CREATE ").unwrap_or(create)].concat();
    if owner == Owner::Definer {
        return replacing;
    }
    let Some(start) = memchr::memmem::find(&replacing, b" DEFINER=`") else { return replacing };
    let mut is_quoted = false;
    let end = replacing[start + 1..].iter().position(|byte| {
        is_quoted ^= *byte == b'`';
        *byte == b' ' && !is_quoted
    });
    let end = end.map_or(replacing.len(), |length| start + 1 + length);
    [&replacing[..start], &replacing[end..]].concat()
}

impl Connection {
    /// Takes the settings under which a program was written.
    pub(super) async fn speak_as(&mut self, program: &Program) -> Result<()> {
        let doing = format!("cannot take the settings of {}", program.title());
        self.execute(&doing, &replay::program_settings(program)?).await
    }

    /// Changes the collation that new columns, parameters and variables of a database get.
    pub(super) async fn collate_database(&mut self, name: &str, collation: &str) -> Result<()> {
        let name = quote::identifier(name);
        let doing = format!("cannot change the collation of database {name}");
        let collation = quote::word(collation)?;
        self.execute(&doing, &format!("ALTER DATABASE {name} COLLATE {collation}")).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_can_be_ours_until_its_definer_gets_it() {
        let create = b"CREATE ALGORITHM=MERGE DEFINER=`a``b c`@`%` SQL SECURITY DEFINER VIEW `v` AS select 1";
        let ours = b"CREATE OR REPLACE ALGORITHM=MERGE SQL SECURITY DEFINER VIEW `v` AS select 1";
        assert_eq!(replacing(Owner::Ourselves, create), ours);
        let theirs = replacing(Owner::Definer, create);
        assert!(theirs.starts_with(b"CREATE OR REPLACE ALGORITHM=MERGE DEFINER=`a``b c`@`%` SQL"));
    }
}
