//! The statement of a program for another database than its own, such as staging.
//!
//! The server names databases in a view that reads from two of them, and keeps a trigger's heading
//! as it was typed. Created elsewhere as they are, they would reach into the database they came
//! from. What a body names stays as it is: nobody but its author knows what is meant.

use crate::source::mariadb::definition::Program;
use crate::source::mariadb::definition::ProgramKind;
use crate::source::mariadb::scan;
use crate::source::mariadb::statement;

/// Returns the statement that creates a program in `database`, which is the selected one.
pub(super) fn statement_for(program: &Program, database: &str) -> Vec<u8> {
    let create = &program.create.0;
    if program.database == database {
        return create.clone();
    }
    match (program.kind, str::from_utf8(create)) {
        (ProgramKind::View, Ok(text)) => {
            statement::view_requalified(text, &program.database, database).into_bytes()
        }
        (ProgramKind::Trigger, _) => without_qualifiers(create),
        _ => create.clone(),
    }
}

/// Returns a trigger's statement without the database before its name and its table's.
fn without_qualifiers(create: &[u8]) -> Vec<u8> {
    let text = scan::in_ascii(create);
    let mut kept = create.to_vec();
    // From the last to the first, so that positions stay what they are.
    for dot in heading_dots(&text).into_iter().rev() {
        let after = text[dot + 1..].trim_start();
        let range = start_of_name(text[..dot].trim_end())..text.len() - after.len();
        // A space, because ON may stand right before a quoted name.
        kept.splice(range, *b" ");
    }
    kept
}

/// Returns where dots stand outside of quotes before `FOR EACH ROW`: a heading has no others.
fn heading_dots(text: &str) -> Vec<usize> {
    let mut dots = Vec::new();
    let mut words = vec![String::new()];
    for (position, byte) in scan::unquoted(text) {
        match byte {
            b'.' => dots.push(position),
            _ if byte.is_ascii_whitespace() => {
                if words.ends_with(&["FOR".to_owned(), "EACH".to_owned()]) {
                    return dots;
                }
                words.push(String::new());
            }
            _ => {
                let word = words.last_mut().expect("there is one at least");
                word.push(char::from(byte.to_ascii_uppercase()));
            }
        }
    }
    dots
}

/// Returns where the name begins that `text` ends with, quoted or not.
fn start_of_name(text: &str) -> usize {
    let is_quoted = text.ends_with(['`', '"']);
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'?');
    let before = scan::unquoted(text).filter(|(_, byte)| is_quoted || !is_bare(*byte));
    before.last().map_or(0, |(position, _)| position + 1)
}

#[cfg(test)]
mod tests {
    use crate::source::mariadb::text::Text;

    use super::*;

    fn relocated(kind: ProgramKind, create: &str) -> String {
        let program = Program {
            kind,
            name: "n".to_owned(),
            database: "my db".to_owned(),
            create: Text(create.as_bytes().to_vec()),
            definer: String::new(),
            sql_mode: None,
            charset: "utf8mb4".to_owned(),
            collation: "utf8mb4_general_ci".to_owned(),
            database_collation: None,
            time_zone: None,
            is_broken: false,
        };
        assert_eq!(statement_for(&program, "my db"), create.as_bytes());
        String::from_utf8(statement_for(&program, "copy")).unwrap()
    }

    #[test]
    fn a_trigger_keeps_its_body_and_loses_its_database() {
        let body = "FOR EACH ROW SET NEW.a = (SELECT `my db`.t.a FROM `my db`.t) -- x.y";
        for (heading, bare) in [
            ("`my db`.n BEFORE INSERT ON `my db`.`t.u`", " n BEFORE INSERT ON  `t.u`"),
            ("studio . `n` AFTER UPDATE\nON studio.\n`ça`", " `n` AFTER UPDATE\nON  `ça`"),
            ("\"my db\".\"n\" BEFORE DELETE ON é.each", " \"n\" BEFORE DELETE ON  each"),
            ("n AFTER INSERT ON`my db`.t", "n AFTER INSERT ON t"),
            ("n BEFORE DELETE ON t", "n BEFORE DELETE ON t"),
        ] {
            let start = "CREATE DEFINER=`a.b`@`10.0.%` TRIGGER ";
            let moved = relocated(ProgramKind::Trigger, &format!("{start}{heading} {body}"));
            assert_eq!(moved, format!("{start}{bare} {body}"));
        }
    }

    #[test]
    fn a_view_reads_from_the_database_it_is_in() {
        let view = |database: &str| {
            format!(
                "CREATE VIEW `v` AS select '`my db`.`t`' AS `my db`,`{database}`.`t`.`a` AS `a` \
                 from (`{database}`.`t` join `other`.`my db`)"
            )
        };
        assert_eq!(relocated(ProgramKind::View, &view("my db")), view("copy"));
    }
}
