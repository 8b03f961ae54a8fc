//! What of a snapshot may be run as SQL: an archive is hostile until this has looked at it.
//!
//! A statement must be of the kind and the name that its record says, must be one statement, and a
//! table must keep its rows in the server. Programs are code, and may do what their definer may;
//! they are created through a prepared statement, which takes no second one behind a semicolon.
//! `create` asks the same of what it saves, so that what was saved can be restored.

use crate::source::mariadb::definition::Definition;
use crate::source::mariadb::definition::Program;
use crate::source::mariadb::definition::ProgramKind;
use crate::source::mariadb::definition::Sequence;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::opening::Opening;
use crate::source::mariadb::quote;
use crate::source::mariadb::remark;
use crate::source::mariadb::statement::CreateTable;
use crate::source::mariadb::tables::ENGINES;
use crate::source::mariadb::token::Token;
use crate::source::mariadb::token::tokens;

/// The comments that the server itself writes into a table's definition.
const COMMENTS: &[&[u8]] = &[b"/*M!100301 COMPRESSED*/", b"/*!100301 COMPRESSED*/"];

/// Keywords of what would make a table of other rows than the snapshot's, or put them elsewhere.
const FORBIDDEN: &[&str] = &["SELECT", "VALUE", "UNION", "CONNECTION", "DIRECTORY"];

/// Returns what a definition holds that is not what its record says, by its title.
pub(super) fn unsound(definition: &Definition) -> Option<String> {
    let database = &definition.database.name;
    let is_sound = |program: &&Program| program.database == *database && is_the_program(program);
    let tables = definition.tables.iter().filter(|table| !is_the_table(table));
    let sequences = definition.sequences.iter().filter(|sequence| !is_the_sequence(sequence));
    let programs = definition.programs.iter().filter(|program| !is_sound(program));
    tables
        .map(|table| format!("table {:?}", table.name))
        .chain(sequences.map(|sequence| format!("sequence {:?}", sequence.name)))
        .chain(programs.map(Program::title))
        .next()
}

fn is_the_table(table: &Table) -> bool {
    let head = format!("CREATE TABLE {} (", quote::identifier(&table.name));
    let is_understood = || CreateTable::parse(&table.create).is_ok();
    table.create.starts_with(&head) && is_plain(&table.create) && is_understood()
}

fn is_the_sequence(sequence: &Sequence) -> bool {
    let head = format!("CREATE SEQUENCE {} ", quote::identifier(&sequence.name));
    let rest = sequence.create.strip_prefix(&head);
    rest.is_some_and(|rest| is_plain(rest) && is_of_numbers(rest))
}

/// Returns whether there are words, numbers and a comment only.
fn is_of_numbers(options: &str) -> bool {
    let mut tokens = tokens(options.as_bytes());
    while let Some(token) = tokens.next() {
        let is_fine = match token {
            _ if token.is("COMMENT") => {
                tokens.next() == Some(Token::Symbol(b'=')) && tokens.next() == Some(Token::Text)
            }
            Token::Word(_) | Token::Symbol(b'=' | b'-') => true,
            _ => false,
        };
        if !is_fine {
            return false;
        }
    }
    true
}

/// Returns whether a definition is one statement, of a table that keeps its own rows.
fn is_plain(create: &str) -> bool {
    let mut engines = 0;
    // As it will be run.
    let create = remark::as_options(create);
    let mut tokens = tokens(create.as_bytes()).peekable();
    while let Some(token) = tokens.next() {
        let is_fine = match token {
            Token::Endless | Token::Symbol(b';') => false,
            Token::Comment(text) => COMMENTS.contains(&text),
            _ if token.is("ENGINE") => {
                engines += 1;
                tokens.next() == Some(Token::Symbol(b'=')) && tokens.next().is_some_and(is_engine)
            }
            // Of a partition; rows would follow at once.
            _ if token.is("VALUES") => {
                tokens.peek().is_some_and(|next| next.is_one_of(&["LESS", "IN"]))
            }
            _ => !token.is_one_of(FORBIDDEN),
        };
        if !is_fine {
            return false;
        }
    }
    engines > 0
}

fn is_engine(token: Token<'_>) -> bool {
    ENGINES.iter().any(|engine| token == Token::Word(engine.as_bytes()))
}

/// Returns whether a program's statement creates the program of its record, and nowhere but in the
/// database that is selected or, where that can be taken away, in the one it was read from.
fn is_the_program(program: &Program) -> bool {
    let Some(opening) = Opening::read(&program.create.0) else { return false };
    let is_same = |bytes: &[u8], text: &str| is_same(bytes, text, &program.charset);
    let can_move = matches!(program.kind, ProgramKind::Trigger | ProgramKind::View);
    let is_here =
        opening.database.is_none_or(|database| can_move && is_same(&database, &program.database));
    let definer = program.definer.strip_suffix('@').unwrap_or(&program.definer);
    opening.kind == program.kind
        && is_here
        && is_same(&opening.name, &program.name)
        && is_same(&opening.definer, definer)
}

/// Returns whether bytes of a character set are this text, but for the case of letters; where they
/// cannot be read here, the rehearsal tells.
fn is_same(bytes: &[u8], text: &str, charset: &str) -> bool {
    let is_readable = charset.starts_with("utf8") || (bytes.is_ascii() && text.is_ascii());
    !is_readable
        || str::from_utf8(bytes).is_ok_and(|bytes| bytes.to_lowercase() == text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::mariadb::text::Text;

    const TABLE: &str = "CREATE TABLE `t` (\n  `a` text /*M!100301 COMPRESSED*/ DEFAULT 'x;y',\n  \
        CONSTRAINT `c` CHECK (`a` <> ' SELECT ; /*')\n) ENGINE=InnoDB COMMENT='; DATA DIRECTORY'";

    #[test]
    fn a_table_as_the_server_shows_it_is_sound() {
        assert!(is_plain(TABLE));
        for option in ["/* TRANSACTIONAL=0 */", "/* `page_compressed`='1' */"] {
            let remarked = TABLE.replace("InnoDB", &format!("MyISAM {option}"));
            assert!(is_plain(&remarked), "{remarked}");
        }
        let partitions = "/* TRANSACTIONAL=1 */\n PARTITION BY RANGE (`a`)\n\
            (PARTITION `p` VALUES LESS THAN (7) ENGINE = InnoDB,\n \
            PARTITION `q` VALUES IN (8) ENGINE = InnoDB)";
        assert!(is_plain(&format!("{TABLE} {partitions}")));
    }

    #[test]
    fn a_table_is_the_one_that_its_record_says() {
        let table = |name: &str| {
            let value = serde_json::json!({
                "name": name, "create": TABLE, "columns": [], "primary": [], "key": null,
                "is_transactional": true,
            });
            serde_json::from_value::<Table>(value).unwrap()
        };
        assert!(is_the_table(&table("t")));
        assert!(!is_the_table(&table("u")));
        let mut elsewhere = table("t");
        elsewhere.create = TABLE.replacen("`t`", "`mysql`.`t`", 1);
        assert!(!is_the_table(&elsewhere));
    }

    #[test]
    fn a_sequence_is_numbers_an_engine_and_a_comment() {
        let is_sound = |rest: &str| {
            let create = format!("CREATE SEQUENCE `s` {rest}");
            is_the_sequence(&Sequence { name: "s".to_owned(), create, next: 1, round: 0 })
        };
        assert!(is_sound("start with 1 minvalue -9 increment by 1 nocache cycle ENGINE=InnoDB"));
        assert!(is_sound("increment by 1 ENGINE=InnoDB COMMENT='it''s ENGINE=CONNECT; \\' x'"));
        for rest in [
            "ENGINE=InnoDB COMMENT='a' DATA DIRECTORY='/tmp'",
            "ENGINE=InnoDB 'a'",
            "ENGINE=CONNECT",
            "start with 1; DROP TABLE t ENGINE=InnoDB",
            "start with 1",
        ] {
            assert!(!is_sound(rest), "{rest}");
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
            (") ENGINE=InnoDB", ") UNION=(`mysql`.`user`) ENGINE=InnoDB"),
            (") ENGINE=InnoDB", ") ENGINE=MRG_MyISAM UNION=(`t`) ENGINE=InnoDB"),
            (") ENGINE=InnoDB", ") ENGINE CONNECT ENGINE=InnoDB"),
            ("COMMENT=", "\nSELECT\n* FROM mysql.global_priv"),
            ("COMMENT=", "(select * from mysql.global_priv) COMMENT="),
            ("COMMENT=", "VALUES (1), (2) COMMENT="),
            ("COMMENT=", "with c as (values (1)) table c COMMENT="),
            ("COMMENT=", "/* TRANSACTIONAL=1 DATA DIRECTORY='/tmp' */ COMMENT="),
            ("COMMENT=", "INDEX\tDIRECTORY='/tmp' COMMENT="),
            ("COMMENT=", "connection ='mysql://x' COMMENT="),
            ("COMMENT=", "/* ' */ SELECT 1 /* ' */ COMMENT="),
            ("COMMENT=", "COMMENT=' "),
            ("COMMENT=", "-- "),
            ("COMMENT=", "# "),
        ] {
            assert!(!is_plain(&TABLE.replacen(from, to, 1)), "{to}");
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
                "CREATE ALGORITHM=MERGE DEFINER=`a`@`b` SQL SECURITY INVOKER VIEW `p` AS select 1",
            ),
            (
                ProgramKind::Trigger,
                "CREATE DEFINER=`a`@`b` trigger\n D.p before insert on t for each row set @a = 1",
            ),
            (
                ProgramKind::Function,
                "CREATE DEFINER=`a`@`b` FUNCTION `p`() RETURNS int(11) return 1",
            ),
            (ProgramKind::PackageBody, "CREATE DEFINER=`a`@`b` PACKAGE BODY `p` AS end"),
            (
                ProgramKind::Event,
                "CREATE DEFINER=`a`@`b` EVENT `p` ON SCHEDULE EVERY 1 DAY DO DROP TABLE t",
            ),
        ] {
            assert!(is_the_program(&program(kind, create)), "{create}");
        }
        for create in [
            "DROP DATABASE d",
            "CREATE USER `x`@`%`",
            "CREATE DEFINER=`a`@`b` PROCEDURE `p`() select 1",
            "CREATE DEFINER=`root`@`b` VIEW `p` AS select 1",
            "CREATE DEFINER=`a`@`b` VIEW `q` AS select 1",
            "CREATE DEFINER=`a`@`b` VIEW `mysql`.`p` AS select 1",
            "CREATE TABLE p (a int)",
            "GRANT ALL ON *.* TO `x`@`%` VIEW",
        ] {
            assert!(!is_the_program(&program(ProgramKind::View, create)), "{create}");
        }
        let elsewhere = "CREATE DEFINER=`a`@`b` PROCEDURE `d`.`p`() select 1";
        assert!(!is_the_program(&program(ProgramKind::Procedure, elsewhere)));
    }
}
