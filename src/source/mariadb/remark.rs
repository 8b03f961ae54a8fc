//! Options that an engine makes no use of. The server keeps them and shows them as remarks, such as
//! `/* TRANSACTIONAL=1 */` of a MyISAM table; as options it takes them back, unless it is strict.

use crate::source::mariadb::scan;
use std::borrow::Cow;

const OPEN: &str = "/* ";
const CLOSE: &str = " */";

/// What stands in a remark outside of quotes: an option is a quoted name and its quoted value, but
/// for the one that has a word of its own.
const REMARKED: &[&str] = &["=", "TRANSACTIONAL=0", "TRANSACTIONAL=1"];

/// The mode in which options that mean nothing are taken: strict ones refuse them.
const TAKING_OPTIONS: &str = "SET STATEMENT sql_mode = 'ALLOW_INVALID_DATES,\
    NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION,IGNORE_BAD_TABLE_OPTIONS' FOR ";

/// Returns the statement that takes what another one has in remarks too.
pub(super) fn taken(statement: &str) -> String {
    match as_options(statement) {
        Cow::Borrowed(plain) => plain.to_owned(),
        Cow::Owned(with_options) => format!("{TAKING_OPTIONS}{with_options}"),
    }
}

/// Returns a statement with its remarks as options.
pub(super) fn as_options(create: &str) -> Cow<'_, str> {
    let (positions, bytes): (Vec<_>, Vec<_>) = scan::unquoted(create).unzip();
    let bare = scan::in_ascii(&bytes);
    // Where a word of the bare text begins, if nothing quoted is in it.
    let place =
        |start: usize| (positions[start + 2] == positions[start] + 2).then(|| positions[start]);
    let mut result = String::new();
    let (mut seen, mut kept) = (0, 0);
    while let Some(open) = bare[seen..].find(OPEN).map(|found| seen + found) {
        let start = open + OPEN.len();
        let Some(close) = bare[start..].find(CLOSE).map(|found| start + found) else { break };
        if REMARKED.contains(&&bare[start..close])
            && let (Some(opening), Some(closing)) = (place(open), place(close))
        {
            result.push_str(&create[kept..opening]);
            result.push_str(&create[opening + OPEN.len()..closing]);
            kept = closing + CLOSE.len();
        }
        seen = close;
    }
    if kept == 0 {
        return Cow::Borrowed(create);
    }
    result.push_str(&create[kept..]);
    Cow::Owned(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_of_the_server_are_options_and_nothing_else_is() {
        let options = as_options(
            "(`a` int /* `x`='it''s */' */,\n `é` text /*M!100301 COMPRESSED*/) ENGINE=MyISAM \
             /* TRANSACTIONAL=0 */ /* `foo`='3' */ COMMENT=' /* TRANSACTIONAL=1 */'",
        );
        assert_eq!(
            options,
            "(`a` int `x`='it''s */',\n `é` text /*M!100301 COMPRESSED*/) ENGINE=MyISAM \
             TRANSACTIONAL=0 `foo`='3' COMMENT=' /* TRANSACTIONAL=1 */'"
        );
        for other in [
            "/* DATA DIRECTORY='/tmp' */",
            "/* = ; */",
            "/* ",
            "/*'é' = */",
            "/'é'* = */",
            "/* ='é'*/",
            "/* = 'é'*'é'/",
            " COMMENT='/* TRANSACTIONAL=1 */'",
        ] {
            assert_eq!(as_options(other), other);
        }
    }
}
