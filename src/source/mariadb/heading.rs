//! The parts of a program's statement that the server prints in UTF-8, whatever the character set
//! of the rest: account, name and comment of an event, account of a trigger, comment of a routine.
//!
//! The statement is read again under the program's own character set and mode, so that these parts
//! have to be brought into them: comments are printed with backslashes under every mode.

use std::ops::Range;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::definition::ProgramKind;
use crate::source::mariadb::quote;
use crate::source::mariadb::scan;

/// A program as it was read.
pub(super) struct Printed<'a> {
    pub(super) kind: ProgramKind,
    pub(super) name: &'a str,
    /// Its `character_set_client`.
    pub(super) charset: &'a str,
    pub(super) sql_mode: Option<&'a str>,
}

impl Printed<'_> {
    fn is_utf8(&self) -> bool {
        matches!(self.charset, "utf8" | "utf8mb3" | "utf8mb4")
    }

    fn takes_backslashes(&self) -> bool {
        !self.sql_mode.is_some_and(|mode| mode.contains("NO_BACKSLASH_ESCAPES"))
    }

    fn doing(&self) -> String {
        format!("cannot save {} {:?}", self.kind.words().to_lowercase(), self.name)
    }
}

/// Returns a statement of the selected `database` all in the program's character set and under its
/// mode; fails where that lacks a letter.
pub(super) async fn as_written(
    connection: &mut Connection,
    database: &str,
    printed: &Printed<'_>,
    create: Vec<u8>,
) -> Result<Vec<u8>> {
    if (printed.is_utf8() || create.is_ascii()) && printed.takes_backslashes() {
        return Ok(create);
    }
    let range = match printed.kind {
        ProgramKind::View => None,
        ProgramKind::Event => heading(&create, " DO "),
        ProgramKind::Trigger => heading(&create, " TRIGGER "),
        _ if connection.has_comment(database, printed).await? => comment(&create),
        _ => None,
    };
    let Some(range) = range else { return Ok(create) };
    let mut part = create[range.clone()].to_vec();
    if !printed.takes_backslashes() {
        part = without_escapes(printed, &part)?;
    }
    if !printed.is_utf8() && !part.is_ascii() {
        part = connection.converted(printed, &part).await?;
    }
    Ok([&create[..range.start], &part, &create[range.end..]].concat())
}

/// Returns a heading with its comment, which it ends in, as a mode without backslashes reads it.
fn without_escapes(printed: &Printed<'_>, heading: &[u8]) -> Result<Vec<u8>> {
    const WORD: &str = " COMMENT ";
    let text = scan::in_ascii(heading);
    let bare: Vec<(usize, u8)> = scan::unquoted(&text).collect();
    let is_word = |window: &&[(usize, u8)]| window.iter().map(|(_, byte)| *byte).eq(WORD.bytes());
    let Some(word) = bare.windows(WORD.len()).rfind(is_word) else { return Ok(heading.to_vec()) };
    let (mut plain, comment) = {
        let (before, comment) = heading.split_at(word[0].0 + WORD.len());
        (before.to_vec(), comment)
    };
    let mut bytes = comment.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'0') => 0,
                Some(other) => *other,
                None => b'\\',
            },
            other => *other,
        });
    }
    // A reader that does not know the mode would take this for a quote inside of the comment.
    if memchr::memmem::find(&plain, b"\\'").is_some() {
        let reason = "its comment has a backslash at its end, or before a quote";
        return Err(Error::failed(format!("{}: {reason}", printed.doing()))
            .hint("its sql_mode NO_BACKSLASH_ESCAPES gives that another meaning"));
    }
    Ok(plain)
}

/// Returns what stands before a word outside of quotes.
fn heading(create: &[u8], word: &str) -> Option<Range<usize>> {
    let text = scan::in_ascii(create);
    let bare: Vec<(usize, u8)> = scan::unquoted(&text).collect();
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
        let charset = printed.charset;
        let doing = printed.doing();
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
        let printed =
            Printed { kind: ProgramKind::Event, name: "e", charset: "latin1", sql_mode: None };
        let event = |name: &str, body: &[u8]| {
            [
                format!("CREATE EVENT `{name}` ON SCHEDULE EVERY 1 DAY DO SET @a = '").as_bytes(),
                body,
                b"'",
            ]
            .concat()
        };
        let converted = as_written(&mut connection, "d", &printed, event("à", b"\xe9")).await;
        assert_eq!(
            converted.unwrap(),
            [b"CREATE EVENT `\xe0", &event("", b"\xe9")["CREATE EVENT `".len()..]].concat()
        );
        let refused = as_written(&mut connection, "d", &printed, event("東", b"\xe9")).await;
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
    fn a_comment_has_no_escapes_where_the_mode_has_none() {
        let sql_mode = Some("NO_BACKSLASH_ESCAPES");
        let printed = Printed { kind: ProgramKind::Event, name: "e", charset: "utf8mb4", sql_mode };
        let plain = |heading: &str| {
            let plain = without_escapes(&printed, heading.as_bytes());
            plain.map(|plain| String::from_utf8(plain).unwrap()).map_err(|error| error.to_string())
        };
        assert_eq!(
            plain(r"EVENT ` COMMENT '\\` COMMENT 'é\\b''c\nd \\\\ COMMENT \\n'").unwrap(),
            "EVENT ` COMMENT '\\\\` COMMENT 'é\\b''c\nd \\\\ COMMENT \\n'"
        );
        assert_eq!(plain("EVENT `e\\n` DISABLE").unwrap(), "EVENT `e\\n` DISABLE");
        for ambiguous in [r"EVENT `e` COMMENT 'x\\'", r"EVENT `e` COMMENT 'x\\''y'"] {
            assert!(plain(ambiguous).unwrap_err().starts_with("cannot save event \"e\": "));
        }
    }

    #[test]
    fn the_comment_of_a_routine_is_one_line() {
        let create =
            b"CREATE FUNCTION `f`(a INT) RETURNS int\n    DETERMINISTIC\n    COMMENT 'x''\\n'\nRETURN 1";
        assert_eq!(&create[comment(create).unwrap()], b"    COMMENT 'x''\\n'");
    }
}
