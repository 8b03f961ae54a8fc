//! Takes programs away: all of a database, its triggers alone, or what a restore does not bring.

use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::definition::Program;
use crate::source::mariadb::definition::ProgramKind;
use crate::source::mariadb::programs::names;
use crate::source::mariadb::programs::triggers;
use crate::source::mariadb::quote;

/// Drops all programs of a database. Tables must be there still: a trigger falls with its table.
pub(super) async fn drop_all(connection: &mut Connection, database: &str) -> Result<()> {
    drop_where(connection, database, |_, _| true).await
}

/// Drops the triggers of a database, which hold its tables where they are.
pub(super) async fn drop_triggers(connection: &mut Connection, database: &str) -> Result<()> {
    drop_where(connection, database, |kind, _| kind == ProgramKind::Trigger).await
}

/// Drops the triggers of some tables of a database.
pub(super) async fn drop_triggers_of(
    connection: &mut Connection,
    database: &str,
    tables: &[String],
) -> Result<()> {
    let mut triggers = triggers(connection, database).await?;
    triggers.retain(|(_, table)| tables.contains(table));
    let is_one = |name: &str| triggers.iter().any(|(trigger, _)| trigger == name);
    drop_where(connection, database, |kind, name| kind == ProgramKind::Trigger && is_one(name))
        .await
}

/// Drops the routines that are none of these. A routine takes along the rights that were given on
/// it, and nothing brings them back: it goes when nobody will want it back.
pub(super) async fn drop_other_routines(
    connection: &mut Connection,
    database: &str,
    programs: &[Program],
) -> Result<()> {
    let is_other = |kind, name: &str| kind < ProgramKind::View && is_other(programs, kind, name);
    drop_where(connection, database, is_other).await
}

/// Drops the routines that are of `gone` and none of `staying`: who created others since keeps them.
pub(super) async fn drop_routines_but(
    connection: &mut Connection,
    database: &str,
    gone: &[Program],
    staying: &[Program],
) -> Result<()> {
    let is_wanted = |kind, name: &str| {
        kind < ProgramKind::View
            && is_other(staying, kind, name)
            && gone.iter().any(|program| program.kind == kind && program.name == name)
    };
    drop_where(connection, database, is_wanted).await
}

/// Drops the programs of a database that are wanted gone, in an order that lets each go.
pub(super) async fn drop_where(
    connection: &mut Connection,
    database: &str,
    is_wanted: impl Fn(ProgramKind, &str) -> bool,
) -> Result<()> {
    let mut names = names(connection, database).await?;
    // Bodies fall with their packages; views and triggers before what they call.
    names.retain(|(kind, name, _)| is_wanted(*kind, name) && *kind != ProgramKind::PackageBody);
    for (kind, name, _) in names.into_iter().rev() {
        let name = quote::qualified(database, &name);
        let words = kind.words();
        let doing = format!("cannot drop {} {name}", words.to_lowercase());
        if kind == ProgramKind::Package {
            // Older servers have the word in Oracle's mode only.
            connection.execute(&doing, "SET sql_mode = 'ORACLE'").await?;
        }
        connection.execute(&doing, &format!("DROP {words} IF EXISTS {name}")).await?;
        if kind == ProgramKind::Package {
            connection.speak_plainly().await?;
        }
    }
    Ok(())
}

/// Returns whether a program is none of these.
pub(super) fn is_other(programs: &[Program], kind: ProgramKind, name: &str) -> bool {
    // A broken view cannot be replaced, and one that is there may be another one.
    let stays = |program: &Program| !program.is_broken && program.name == name;
    !programs.iter().any(|program| program.kind == kind && stays(program))
}
