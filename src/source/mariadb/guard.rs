//! What of a snapshot may be run as SQL: an archive is hostile until this has looked at it.
//!
//! A statement must be of the kind and the name that its record says, must be one statement, and a
//! table must keep its rows in the server. Programs are code, and may do what their definer may;
//! they are created through a prepared statement, which takes no second one behind a semicolon.

use crate::source::mariadb::definition::Definition;
use crate::source::mariadb::definition::Program;
use crate::source::mariadb::definition::ProgramKind;
use crate::source::mariadb::definition::Sequence;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::quote;
use crate::source::mariadb::remark;
use crate::source::mariadb::scan;
use crate::source::mariadb::tables::ENGINES;

/// The comments that the server itself writes into a table's definition.
const COMMENTS: &[&str] = &["/*M!100301 COMPRESSED*/", "/*!100301 COMPRESSED*/"];

/// What would make a table of other rows than the snapshot's, or put them elsewhere.
const FORBIDDEN: &[&str] =
    &[" SELECT ", " UNION=", " UNION (", " CONNECTION=", " DATA DIRECTORY", " INDEX DIRECTORY"];

/// Returns what a definition holds that is not what its record says, by its title.
pub(super) fn unsound(definition: &Definition) -> Option<String> {
    let tables = definition.tables.iter().filter(|table| !is_the_table(table));
    let sequences = definition.sequences.iter().filter(|sequence| !is_the_sequence(sequence));
    let programs = definition.programs.iter().filter(|program| !is_the_program(program));
    tables
        .map(|table| format!("table {:?}", table.name))
        .chain(sequences.map(|sequence| format!("sequence {:?}", sequence.name)))
        .chain(programs.map(Program::title))
        .next()
}

fn is_the_table(table: &Table) -> bool {
    let head = format!("CREATE TABLE {} (", quote::identifier(&table.name));
    table.create.starts_with(&head) && is_plain_table(&table.create)
}

fn is_the_sequence(sequence: &Sequence) -> bool {
    let head = format!("CREATE SEQUENCE {} ", quote::identifier(&sequence.name));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '=');
    sequence.create.strip_prefix(&head).is_some_and(|rest| rest.chars().all(is_plain))
}

/// Returns whether a table's definition is one statement, of a table that keeps its own rows.
fn is_plain_table(create: &str) -> bool {
    let mut bare = scan::outside_quotes(&remark::as_options(create));
    for comment in COMMENTS {
        bare = bare.replace(comment, "");
    }
    let shouted = bare.to_ascii_uppercase();
    let is_one = !["/*", "*/", ";", "#", "-- "].iter().any(|end| bare.contains(end));
    let is_own = !FORBIDDEN.iter().any(|word| shouted.contains(word));
    let engine = bare.rsplit_once(") ENGINE=").map(|(_, tail)| tail);
    let engine = engine.and_then(|tail| tail.split([' ', '\n']).next());
    is_one && is_own && engine.is_some_and(|engine| ENGINES.contains(&engine))
}

/// Returns whether a program's statement creates one of its kind and its name.
fn is_the_program(program: &Program) -> bool {
    let text = scan::in_ascii(&program.create.0);
    let own = match program.kind {
        ProgramKind::PackageBody => "PACKAGE",
        kind => kind.words(),
    };
    let heading = heading(&text);
    heading.starts_with("CREATE ") && heading.ends_with(&format!(" {own}"))
}

fn is_kind(word: &str) -> bool {
    const KINDS: &[&str] = &[
        "PACKAGE",
        "FUNCTION",
        "PROCEDURE",
        "VIEW",
        "TRIGGER",
        "EVENT",
        "TABLE",
        "USER",
        "ROLE",
        "DATABASE",
        "SCHEMA",
        "SERVER",
        "INDEX",
        "SEQUENCE",
    ];
    KINDS.contains(&word)
}

/// Returns the words of a program's statement up to its kind, quoted names left out.
fn heading(create: &str) -> String {
    let bare = scan::outside_quotes(create);
    let end = bare.find('(').unwrap_or(bare.len());
    let mut words = Vec::new();
    for word in bare[..end].split_ascii_whitespace() {
        words.push(word.to_ascii_uppercase());
        if is_kind(&words[words.len() - 1]) {
            break;
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::mariadb::text::Text;

    const TABLE: &str = "CREATE TABLE `t` (\n  `a` text /*M!100301 COMPRESSED*/ DEFAULT 'x;y',\n  \
        CONSTRAINT `c` CHECK (`a` <> ' SELECT ; /*')\n) ENGINE=InnoDB COMMENT='; DATA DIRECTORY'";

    #[test]
    fn a_table_as_the_server_shows_it_is_sound() {
        assert!(is_plain_table(TABLE));
        for option in ["/* TRANSACTIONAL=0 */", "/* `page_compressed`='1' */"] {
            let remarked = TABLE.replace("InnoDB", &format!("MyISAM {option}"));
            assert!(is_plain_table(&remarked), "{remarked}");
        }
    }

    #[test]
    fn a_table_that_brings_more_than_a_table_is_refused() {
        for (from, to) in [
            ("COMMENT=", "; DROP DATABASE live -- "),
            ("COMMENT=", "DATA DIRECTORY='/tmp' COMMENT="),
            ("COMMENT=", "AS SELECT * FROM mysql.global_priv -- "),
            ("ENGINE=InnoDB", "ENGINE=CONNECT"),
            ("ENGINE=InnoDB", "ENGINE=FEDERATED CONNECTION='mysql://x'"),
            ("/*M!100301 COMPRESSED*/", "/*!100000 ) ENGINE=CONNECT */"),
            ("COMMENT=", "/* TRANSACTIONAL=1 DATA DIRECTORY='/tmp' */ COMMENT="),
            (") ENGINE=InnoDB", ") UNION=(`mysql`.`user`) ENGINE=InnoDB"),
        ] {
            assert!(!is_plain_table(&TABLE.replacen(from, to, 1)), "{to}");
        }
    }

    fn program(kind: ProgramKind, create: &str) -> Program {
        let value = serde_json::json!({
            "kind": kind, "name": "p", "database": "d", "create": Text(create.into()),
            "definer": "a@b", "charset": "utf8mb4", "collation": "utf8mb4_general_ci",
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_program_is_of_the_kind_that_its_record_says() {
        for (kind, create) in [
            (
                ProgramKind::View,
                "CREATE ALGORITHM=MERGE DEFINER=`a`@`%` SQL SECURITY INVOKER VIEW `p` AS select 1",
            ),
            (
                ProgramKind::Trigger,
                "CREATE DEFINER=`TABLE `@`%` trigger\n p before insert on t for each row set @a = 1",
            ),
            (
                ProgramKind::Function,
                "CREATE DEFINER=`a`@`%` FUNCTION `p`() RETURNS int(11) return 1",
            ),
            (ProgramKind::PackageBody, "CREATE DEFINER=`a`@`%` PACKAGE BODY `p` AS end"),
            (
                ProgramKind::Event,
                "CREATE DEFINER=`a`@`%` EVENT `p` ON SCHEDULE EVERY 1 DAY DO DROP TABLE t",
            ),
        ] {
            assert!(is_the_program(&program(kind, create)), "{create}");
        }
        for create in [
            "DROP DATABASE d",
            "CREATE USER `x`@`%`",
            "CREATE DEFINER=`a`@`%` PROCEDURE `p`() select 1",
            "CREATE TABLE p (a int)",
            "GRANT ALL ON *.* TO `x`@`%` VIEW",
        ] {
            assert!(!is_the_program(&program(ProgramKind::View, create)), "{create}");
        }
    }
}
