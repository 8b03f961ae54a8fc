//! The statement of a program for another database than its own, such as staging.
//!
//! The server names databases in a view that reads from two of them, and keeps a trigger's heading
//! as it was typed. Created elsewhere as they are, they would reach into the database they came
//! from. What a body names stays as it is: nobody but its author knows what is meant.

use crate::base::error::Error;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::definition::Program;
use crate::source::mariadb::definition::ProgramKind;
use crate::source::mariadb::quote;
use crate::source::mariadb::scan;
use crate::source::mariadb::statement;

/// Returns the statement that creates a program in `database`, which is the selected one.
pub(super) async fn statement_for(
    connection: &mut Connection,
    program: &Program,
    database: &str,
) -> Result<Vec<u8>> {
    let create = &program.create.0;
    if program.database == database {
        return Ok(create.clone());
    }
    Ok(match program.kind {
        ProgramKind::View => {
            let from = connection.in_charset_of(program, &program.database).await?;
            let to = connection.in_charset_of(program, database).await?;
            view_requalified(program, &from, &to)
        }
        ProgramKind::Trigger => without_qualifiers(create),
        _ => create.clone(),
    })
}

/// Returns a view's statement with another database in its names; all is in the view's own
/// character set, where a letter is taken for one letter whatever its bytes are.
fn view_requalified(program: &Program, from: &[u8], to: &[u8]) -> Vec<u8> {
    let text = |bytes: &[u8]| letters(bytes, &program.charset);
    let moved = statement::view_requalified(&text(&program.create.0), &text(from), &text(to));
    bytes_of(&moved)
}

/// Where the letters of two bytes begin: above all that Unicode has names for.
const PAIRS: u32 = 0xf_0000;

/// Returns bytes as text of one letter each; two where the second could be taken for a quote or a
/// backslash.
fn letters(bytes: &[u8], charset: &str) -> String {
    let opens_pair = |byte: u8| match charset {
        "big5" | "gbk" => byte > 0x80,
        "sjis" | "cp932" => matches!(byte, 0x81..=0x9f | 0xe0..=0xfc),
        _ => false,
    };
    let mut rest = bytes.iter().copied();
    let mut text = String::new();
    while let Some(byte) = rest.next() {
        let second = if opens_pair(byte) { rest.next() } else { None };
        let pair = second.map(|second| PAIRS + u32::from(u16::from_be_bytes([byte, second])));
        text.push(pair.and_then(char::from_u32).unwrap_or(char::from(byte)));
    }
    text
}

/// Returns the bytes of [`letters`].
fn bytes_of(text: &str) -> Vec<u8> {
    let bytes = |letter: char| {
        let number = u32::from(letter);
        let [.., first, second] = number.to_be_bytes();
        if number < PAIRS { vec![second] } else { vec![first, second] }
    };
    text.chars().flat_map(bytes).collect()
}

impl Connection {
    /// Returns a name in the character set of a program.
    async fn in_charset_of(&mut self, program: &Program, name: &str) -> Result<Vec<u8>> {
        if name.is_ascii() || matches!(program.charset.as_str(), "utf8" | "utf8mb3" | "utf8mb4") {
            return Ok(name.as_bytes().to_vec());
        }
        let doing = format!("cannot write {name:?} in the character set of {}", program.title());
        let charset = quote::word(&program.charset)?;
        let sql = format!("SELECT CAST(CONVERT({} USING {charset}) AS BINARY)", quote::text(name));
        let converted: Option<Vec<u8>> = self.first(&doing, &sql).await?;
        converted.ok_or_else(|| Error::failed(doing))
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

    fn program(kind: ProgramKind, create: &[u8], charset: &str) -> Program {
        Program {
            kind,
            name: "n".to_owned(),
            database: "my db".to_owned(),
            create: Text(create.to_vec()),
            definer: String::new(),
            sql_mode: None,
            charset: charset.to_owned(),
            collation: "utf8mb4_general_ci".to_owned(),
            database_collation: None,
            time_zone: None,
            is_broken: false,
        }
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
            let moved = without_qualifiers(format!("{start}{heading} {body}").as_bytes());
            assert_eq!(String::from_utf8(moved).unwrap(), format!("{start}{bare} {body}"));
        }
    }

    #[test]
    fn a_view_reads_from_the_database_it_is_in() {
        // A letter, the character set it is of, and the name of a database in that.
        let cases: [(&[u8], &str, &[u8]); 4] = [
            ("é".as_bytes(), "utf8mb4", "dé".as_bytes()),
            (b"\xe9", "latin1", b"d\xe9"),
            // The second bytes are a backslash and a backtick.
            (b"\x83\x5c\xb1", "sjis", b"\x83\x60"),
            (b"\x81\x60\x81\x5c", "gbk", b"\x81\x60"),
        ];
        for (letter, charset, name) in cases {
            let view = |database: &[u8]| {
                let quoted = [b"`", database, b"`.`t`"].concat();
                let own: [&[u8]; 8] = [
                    b"CREATE VIEW `v` AS select '`my db`.`t`",
                    letter,
                    b"' AS `my db`,",
                    &quoted,
                    b".`a` AS `",
                    letter,
                    b"` from (",
                    &quoted,
                ];
                [&own.concat(), b" join `other`.`my db`)".as_slice()].concat()
            };
            for (from, to) in [(b"my db".as_slice(), name), (name, b"my db")] {
                let program = program(ProgramKind::View, &view(from), charset);
                assert_eq!(view_requalified(&program, from, to), view(to), "{charset}");
            }
        }
    }
}
