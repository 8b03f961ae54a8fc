//! Proves that created programs are those that were meant: read again, they are compared.
//!
//! A server takes a statement in a wrong character set, or under a wrong setting, without a word.

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::definition::Program;
use crate::source::mariadb::definition::ProgramKind;
use crate::source::mariadb::events;
use crate::source::mariadb::events::PastEvents;
use crate::source::mariadb::programs;
use crate::source::mariadb::quote;
use crate::source::mariadb::site::Purpose;
use crate::source::mariadb::site::Site;
use crate::source::mariadb::text::Text;

/// How much a server must print as the saved one did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// Everything: it is of the same release.
    Exact,
    /// Only that they are there, and whose they are: another release may print otherwise.
    Names,
}

/// Fails with [`Kind::Mismatch`] where the programs of the selected database do not read as they
/// were meant; the views that are `broken` are not there. Returns the events whose time has come.
pub(super) async fn prove(
    connection: &mut Connection,
    site: &Site<'_>,
    programs: &[Program],
    broken: &[String],
    likeness: Likeness,
) -> Result<PastEvents> {
    let mut past = PastEvents::default();
    let disabled = site.disabled_events();
    let created = programs::programs(connection, &site.database.name).await?;
    for program in programs {
        if program.kind == ProgramKind::View && broken.contains(&program.name) {
            continue;
        }
        let mut found = created
            .iter()
            .filter(|found| (found.kind, &found.name) == (program.kind, &program.name));
        let problem = match found.next() {
            None if is_over(site, program) => {
                past.dropped.push(program.name.clone());
                None
            }
            None => Some("it is not there".to_owned()),
            Some(found) if likeness == Likeness::Exact => {
                let mut meant = as_meant(connection, site, program).await?;
                if program.kind == ProgramKind::Event && disabled.contains(&program.name) {
                    meant.create = Text(events::disabled(&meant.create.0));
                }
                difference(&meant, found)
            }
            Some(found) => (found.definer != program.definer)
                .then(|| format!("{:?} for {:?}", found.definer, program.definer)),
        };
        if let Some(problem) = problem {
            let text = format!("{} came out otherwise: {problem}", program.title());
            return Err(Error::new(Kind::Mismatch, text));
        }
    }
    past.disabled.extend(disabled);
    Ok(past)
}

/// Returns a program as it must read where it was created.
async fn as_meant(
    connection: &mut Connection,
    site: &Site<'_>,
    program: &Program,
) -> Result<Program> {
    Ok(Program {
        database: site.database.name.clone(),
        create: Text(programs::meant(connection, site, program).await?),
        ..program.clone()
    })
}

/// Returns what differs, in the words of a message.
fn difference(meant: &Program, found: &Program) -> Option<String> {
    let settings = |program: &Program| {
        let Program { definer, sql_mode, charset, collation, .. } = program.clone();
        let Program { database_collation, time_zone, .. } = program.clone();
        (definer, sql_mode, charset, collation, database_collation, time_zone)
    };
    let (own, other) = (settings(meant), settings(found));
    if own != other {
        return Some(format!("{other:?} for {own:?}"));
    }
    let (own, other) = (text(meant), text(found));
    (own != other).then(|| format!("{:?} for {:?}", other.lossy(), own.lossy()))
}

/// Returns the statement to compare. A view names its own database or does not, as its definer may
/// see what it reads from.
fn text(program: &Program) -> Text {
    if program.kind != ProgramKind::View {
        return program.create.clone();
    }
    let qualifier = format!("{}.", quote::identifier(&program.database)).into_bytes();
    let mut rest = program.create.0.as_slice();
    let mut kept = Vec::new();
    while let Some(start) = memchr::memmem::find(rest, &qualifier) {
        kept.extend_from_slice(&rest[..start]);
        rest = &rest[start + qualifier.len()..];
    }
    Text([&kept, rest].concat())
}

/// Returns whether this is an event that the server does not keep because its time has come: it said
/// so when the event was created, or it ran the event since, which only a live one can.
fn is_over(site: &Site<'_>, program: &Program) -> bool {
    program.kind == ProgramKind::Event
        && (site.has_dropped(program)
            || (site.purpose == Purpose::Live && events::has_end(program)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::mariadb::tables;
    use crate::source::mariadb::throwaway::server;

    #[tokio::test]
    async fn programs_that_do_not_read_as_they_were_meant_are_a_mismatch() {
        server().run(
            "CREATE DATABASE rehearsed; USE rehearsed; CREATE TABLE t (id INT);
             CREATE VIEW v AS SELECT id FROM t; CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1;
             CREATE EVENT e ON SCHEDULE AT '2037-01-01' DISABLE DO SET @a = 1",
        );
        let mut connection = server().connection().await;
        let database = tables::database(&mut connection, "rehearsed").await.unwrap().unwrap();
        connection.select_database("rehearsed").await.unwrap();
        let site = Site::new(&database, Purpose::Rehearsal);
        let saved = programs::programs(&mut connection, "rehearsed").await.unwrap();
        let mut outcome = async |change: fn(&mut [Program]), likeness| {
            let mut programs = saved.clone();
            change(&mut programs);
            let proven = prove(&mut connection, &site, &programs, &[], likeness).await;
            proven.err().map(|error| (error.kind(), error.to_string()))
        };
        assert_eq!(outcome(|_| {}, Likeness::Exact).await, None);
        let rewritten: fn(&mut [Program]) = |programs| programs[0].create.0.push(b'0');
        let (kind, text) = outcome(rewritten, Likeness::Exact).await.unwrap();
        assert_eq!(kind, Kind::Mismatch);
        assert!(text.starts_with("function \"f\" came out otherwise: "), "{text}");
        assert_eq!(outcome(rewritten, Likeness::Names).await, None);
        for change in [
            |programs: &mut [Program]| programs[0].sql_mode = Some("ANSI".to_owned()),
            |programs: &mut [Program]| programs[1].definer = "ghost@localhost".to_owned(),
            |programs: &mut [Program]| programs[1].create.0.push(b'0'),
        ] {
            assert_eq!(outcome(change, Likeness::Exact).await.unwrap().0, Kind::Mismatch);
        }
        let given: fn(&mut [Program]) =
            |programs| programs[1].definer = "ghost@localhost".to_owned();
        assert_eq!(outcome(given, Likeness::Names).await.unwrap().0, Kind::Mismatch);
        let renamed: fn(&mut [Program]) = |programs| programs[1].name = "gone".to_owned();
        assert!(outcome(renamed, Likeness::Names).await.unwrap().1.contains("it is not there"));
        // Nobody said that this one is over.
        let absent: fn(&mut [Program]) = |programs| programs[2].name = "over".to_owned();
        assert!(outcome(absent, Likeness::Exact).await.unwrap().1.contains("it is not there"));
    }
}
