//! What the statement of a program says before its body: what it creates, under which name, and
//! whose it is.
//!
//! The server writes this part itself, in one order, so that anything else is not the server's.

use std::iter::Peekable;

use crate::source::mariadb::definition::ProgramKind;
use crate::source::mariadb::token;
use crate::source::mariadb::token::Token;

/// The beginning of a program's statement. Names are bytes, in the statement's character set.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opening {
    /// What it creates.
    pub(super) kind: ProgramKind,
    /// The database that it names, where it names one.
    pub(super) database: Option<Vec<u8>>,
    /// The program's name.
    pub(super) name: Vec<u8>,
    /// The account that it names, as `user@host`.
    pub(super) definer: Vec<u8>,
}

impl Opening {
    /// Returns the beginning of a statement; nothing where it is none that a server writes.
    pub(super) fn read(create: &[u8]) -> Option<Self> {
        let mut tokens = token::tokens(create).filter(|token| !is_remark(*token)).peekable();
        take(&mut tokens, &["CREATE"])?;
        let mut definer = None;
        let kind = loop {
            let token = tokens.next()?;
            if token.is("ALGORITHM") {
                take_equals(&mut tokens)?;
                tokens.next()?;
            } else if token.is("DEFINER") {
                take_equals(&mut tokens)?;
                definer = Some(account(&mut tokens)?);
            } else if token.is("SQL") {
                take(&mut tokens, &["SECURITY"])?;
                take(&mut tokens, &["DEFINER", "INVOKER"])?;
            } else if !token.is("AGGREGATE") {
                break kind(token, &mut tokens)?;
            }
        };
        if tokens.peek().is_some_and(|token| token.is("IF")) {
            ["IF", "NOT", "EXISTS"].iter().try_for_each(|word| take(&mut tokens, &[word]))?;
        }
        let first = tokens.next()?.name()?;
        let (database, name) = if tokens.next_if_eq(&Token::Symbol(b'.')).is_some() {
            (Some(first), tokens.next()?.name()?)
        } else {
            (None, first)
        };
        Some(Self { kind, database, name, definer: definer? })
    }
}

/// Returns whether a token is a comment that the server skips.
fn is_remark(token: Token<'_>) -> bool {
    let Token::Comment(text) = token else { return false };
    text.starts_with(b"/*") && !text.starts_with(b"/*!") && !text.starts_with(b"/*M!")
}

fn kind<'a>(
    token: Token<'_>,
    tokens: &mut Peekable<impl Iterator<Item = Token<'a>>>,
) -> Option<ProgramKind> {
    const KINDS: [(&str, ProgramKind); 6] = [
        ("PACKAGE", ProgramKind::Package),
        ("FUNCTION", ProgramKind::Function),
        ("PROCEDURE", ProgramKind::Procedure),
        ("VIEW", ProgramKind::View),
        ("TRIGGER", ProgramKind::Trigger),
        ("EVENT", ProgramKind::Event),
    ];
    let (_, kind) = KINDS.into_iter().find(|(word, _)| token.is(word))?;
    let is_body =
        kind == ProgramKind::Package && tokens.next_if(|token| token.is("BODY")).is_some();
    Some(if is_body { ProgramKind::PackageBody } else { kind })
}

/// Returns an account as the server lists it: of a role, which has no host, the name alone.
fn account<'a>(tokens: &mut Peekable<impl Iterator<Item = Token<'a>>>) -> Option<Vec<u8>> {
    let user = tokens.next()?.name()?;
    if tokens.next_if_eq(&Token::Symbol(b'@')).is_none() {
        return Some(user);
    }
    Some([&user, b"@".as_slice(), &tokens.next()?.name()?].concat())
}

fn take<'a>(tokens: &mut impl Iterator<Item = Token<'a>>, words: &[&str]) -> Option<()> {
    tokens.next()?.is_one_of(words).then_some(())
}

fn take_equals<'a>(tokens: &mut impl Iterator<Item = Token<'a>>) -> Option<()> {
    (tokens.next()? == Token::Symbol(b'=')).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(create: &str) -> Option<(ProgramKind, String)> {
        let opening = Opening::read(create.as_bytes())?;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let database = opening.database.map(text).unwrap_or_default();
        Some((opening.kind, format!("{database}/{}/{}", text(opening.name), text(opening.definer))))
    }

    #[test]
    fn every_opening_that_a_server_writes_is_read() {
        for (create, kind, names) in [
            (
                "CREATE ALGORITHM=MERGE DEFINER=`a``b c`@`%` SQL SECURITY INVOKER VIEW `v` AS select 1",
                ProgramKind::View,
                "/v/a`b c@%",
            ),
            (
                "CREATE DEFINER=`TABLE `@`10.0.%` trigger\n d . /* x */ `p` before insert on t",
                ProgramKind::Trigger,
                "d/p/TABLE @10.0.%",
            ),
            (
                "CREATE DEFINER=`a`@`%` AGGREGATE FUNCTION IF NOT EXISTS`f`(x int)",
                ProgramKind::Function,
                "/f/a@%",
            ),
            (
                "CREATE DEFINER=\"a\"@\"%\" PACKAGE BODY \"p\" AS",
                ProgramKind::PackageBody,
                "/p/a@%",
            ),
            ("CREATE DEFINER=`r` PROCEDURE `p`()", ProgramKind::Procedure, "/p/r"),
        ] {
            assert_eq!(read(create), Some((kind, names.to_owned())), "{create}");
        }
    }

    #[test]
    fn what_no_server_writes_is_not_read() {
        for create in [
            "",
            "DROP DATABASE d",
            "CREATE VIEW `v` AS select 1",
            "CREATE OR REPLACE DEFINER=`a`@`%` VIEW `v` AS select 1",
            "CREATE DEFINER=CURRENT_USER() VIEW `v` AS select 1",
            "CREATE DEFINER=`a`@`%` /*!50000 USER x; */ VIEW `v` AS select 1",
            "CREATE DEFINER=`a`@`%` -- x\n VIEW `v` AS select 1",
            "CREATE DEFINER=`a`@`%` TABLE `v` (a int)",
            "CREATE DEFINER=`a`@`%` VIEW 'v' AS select 1",
            "CREATE DEFINER=`a`@`%` VIEW `v",
            "GRANT ALL ON *.* TO `x`@`%` VIEW",
        ] {
            assert_eq!(read(create), None, "{create}");
        }
    }
}
