//! The parts of a program's statement that the server prints in UTF-8, whatever the character set
//! of the rest: account, name and comment of an event, account of a trigger, comment of a routine.
//!
//! The statement is read again under the program's own character set, so that these parts have to
//! be brought into it.

use std::ops::Range;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::definition::ProgramKind;
use crate::source::mariadb::quote;
use crate::source::mariadb::statement;

/// A program as it was read.
pub(super) struct Printed<'a> {
    pub(super) kind: ProgramKind,
    pub(super) name: &'a str,
    /// Its `character_set_client`.
    pub(super) charset: &'a str,
}

/// Returns a statement of the selected `database` all in the program's character set; fails where
/// that lacks a letter.
pub(super) async fn in_own_charset(
    connection: &mut Connection,
    database: &str,
    printed: &Printed<'_>,
    create: Vec<u8>,
) -> Result<Vec<u8>> {
    let is_utf8 = matches!(printed.charset, "utf8" | "utf8mb3" | "utf8mb4");
    if is_utf8 || create.is_ascii() {
        return Ok(create);
    }
    let range = match printed.kind {
        ProgramKind::View => None,
        ProgramKind::Event => heading(&create, " DO "),
        ProgramKind::Trigger => heading(&create, " TRIGGER "),
        _ if connection.has_comment(database, printed).await? => comment(&create),
        _ => None,
    };
    let Some(range) = range.filter(|range| !create[range.clone()].is_ascii()) else {
        return Ok(create);
    };
    let converted = connection.converted(printed, &create[range.clone()]).await?;
    Ok([&create[..range.start], &converted, &create[range.end..]].concat())
}

/// Returns what stands before a word outside of quotes.
fn heading(create: &[u8], word: &str) -> Option<Range<usize>> {
    let text = statement::in_ascii(create);
    let bare: Vec<(usize, u8)> = statement::unquoted(&text).collect();
    let is_word = |window: &&[(usize, u8)]| window.iter().map(|(_, byte)| *byte).eq(word.bytes());
    bare.windows(word.len()).find(is_word).map(|found| 0..found[0].0)
}

/// Returns the line of a routine's comment, whose newlines are escaped.
fn comment(create: &[u8]) -> Option<Range<usize>> {
    let start = memchr::memmem::find(create, b"\n    COMMENT '")? + 1;
    let length = memchr::memchr(b'\n', &create[start..])?;
    Some(start..start + length)
}

impl Connection {
    async fn has_comment(&mut self, database: &str, printed: &Printed<'_>) -> Result<bool> {
        let sql = format!(
            "SELECT ROUTINE_COMMENT <> '' FROM information_schema.ROUTINES \
             WHERE {} AND BINARY ROUTINE_NAME = {} AND ROUTINE_TYPE = '{}'",
            quote::is_database("ROUTINE_SCHEMA", database),
            quote::bytes(printed.name.as_bytes()),
            printed.kind.words()
        );
        let doing = format!("cannot read the comment of {:?}", printed.name);
        Ok(self.first::<Option<bool>>(&doing, &sql).await?.flatten().unwrap_or(false))
    }

    /// Returns UTF-8 in the character set of a program.
    async fn converted(&mut self, printed: &Printed<'_>, utf8: &[u8]) -> Result<Vec<u8>> {
        let Printed { kind, name, charset } = printed;
        let doing = format!("cannot save {} {name:?}", kind.words().to_lowercase());
        let text = format!("_utf8mb4 {}", quote::bytes(utf8));
        let own = format!("CONVERT({text} USING {})", quote::word(charset)?);
        let sql =
            format!("SELECT CAST({own} AS BINARY), BINARY CONVERT({own} USING utf8mb4) = {text}");
        match self.first::<(Vec<u8>, bool)>(&doing, &sql).await? {
            Some((converted, true)) => Ok(converted),
            _ => Err(Error::failed(format!(
                "{doing}: its name, definer or comment has letters that its character set \
                 {charset} lacks"
            ))
            .hint("create it again under SET NAMES utf8mb4")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::mariadb::throwaway::server;

    #[tokio::test]
    async fn a_letter_that_the_character_set_lacks_is_refused_by_the_name_of_its_program() {
        let mut connection = server().connection().await;
        let printed = Printed { kind: ProgramKind::Event, name: "e", charset: "latin1" };
        let event = |name: &str, body: &[u8]| {
            [
                format!("CREATE EVENT `{name}` ON SCHEDULE EVERY 1 DAY DO SET @a = '").as_bytes(),
                body,
                b"'",
            ]
            .concat()
        };
        let converted = in_own_charset(&mut connection, "d", &printed, event("à", b"\xe9")).await;
        assert_eq!(
            converted.unwrap(),
            [b"CREATE EVENT `\xe0", &event("", b"\xe9")["CREATE EVENT `".len()..]].concat()
        );
        let refused = in_own_charset(&mut connection, "d", &printed, event("東", b"\xe9")).await;
        assert!(refused.unwrap_err().to_string().starts_with("cannot save event \"e\": "));
    }

    #[test]
    fn the_heading_of_an_event_ends_before_its_body() {
        let create =
            "CREATE DEFINER=`é`@`%` EVENT `a DO b` ON SCHEDULE EVERY 1 DAY COMMENT ' DO ' DO DO 1";
        let range = heading(create.as_bytes(), " DO ").unwrap();
        assert!(create[range].ends_with("COMMENT ' DO '"));
    }

    #[test]
    fn the_comment_of_a_routine_is_one_line() {
        let create =
            b"CREATE FUNCTION `f`(a INT) RETURNS int\n    DETERMINISTIC\n    COMMENT 'x''\\n'\nRETURN 1";
        assert_eq!(&create[comment(create).unwrap()], b"    COMMENT 'x''\\n'");
    }
}
