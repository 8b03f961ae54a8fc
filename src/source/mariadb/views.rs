//! The order of views: each after those that it reads from, so that one pass creates them all.
//!
//! The server does not say what a view reads from, but prints it: the name of a table or view
//! stands in backticks after FROM or JOIN. Other names stand there now and then, such as those of
//! common table expressions; they can make an order stricter, and a circle at worst.

use std::collections::HashSet;

use crate::source::mariadb::definition::Program;
use crate::source::mariadb::scan;

/// Returns views in an order in which they can be created; those in a circle come as they came.
pub(super) fn in_order(views: &[Program]) -> Vec<Program> {
    let mut waiting: Vec<(&Program, HashSet<String>)> =
        views.iter().map(|view| (view, names_read(&view.create.lossy()))).collect();
    let mut ordered = Vec::new();
    while !waiting.is_empty() {
        let names: HashSet<&str> = waiting.iter().map(|(view, _)| view.name.as_str()).collect();
        let must_wait = |(view, reads): &(&Program, HashSet<String>)| {
            reads.iter().any(|name| *name != view.name && names.contains(name.as_str()))
        };
        let (mut blocked, mut ready): (Vec<_>, Vec<_>) =
            waiting.iter().cloned().partition(must_wait);
        if ready.is_empty() {
            ready.push(blocked.remove(0));
        }
        ordered.extend(ready.into_iter().map(|(view, _)| view.clone()));
        waiting = blocked;
    }
    ordered
}

/// Returns the names after FROM or JOIN, their databases' names too.
fn names_read(create: &str) -> HashSet<String> {
    let mut names = HashSet::new();
    let mut is_read = false;
    // What stands outside of quotes since the last quoted name or text.
    let mut bare = String::new();
    let mut end = 0;
    for (position, byte) in scan::unquoted(create).chain([(create.len(), b' ')]) {
        if position > end {
            is_read = introduces_table(&bare) || (is_read && bare == ".");
            let quoted = &create[end..position];
            let name = quoted.strip_prefix('`').and_then(|name| name.strip_suffix('`'));
            names.extend(name.filter(|_| is_read).map(|name| name.replace("``", "`")));
            bare.clear();
        }
        bare.push(char::from(byte));
        end = position + 1;
    }
    names
}

fn introduces_table(bare: &str) -> bool {
    let words = bare.trim_end_matches(|c: char| c == '(' || c.is_ascii_whitespace());
    ["from", "join"].iter().any(|word| words.to_ascii_lowercase().ends_with(word))
}

#[cfg(test)]
mod tests {
    use crate::source::mariadb::definition::ProgramKind;
    use crate::source::mariadb::text::Text;

    use super::*;

    fn view(name: &str, query: &str) -> Program {
        Program {
            kind: ProgramKind::View,
            name: name.to_owned(),
            database: "studio".to_owned(),
            create: Text(format!("CREATE VIEW `{name}` AS {query}").into_bytes()),
            definer: String::new(),
            sql_mode: None,
            charset: "utf8mb4".to_owned(),
            collation: "utf8mb4_general_ci".to_owned(),
            database_collation: None,
            time_zone: None,
            is_broken: false,
        }
    }

    fn ordered(views: &[(&str, &str)]) -> Vec<String> {
        let views: Vec<_> = views.iter().map(|(name, query)| view(name, query)).collect();
        in_order(&views).into_iter().map(|view| view.name).collect()
    }

    #[test]
    fn a_view_comes_after_those_it_reads_from() {
        let views = [
            ("a", "select `b`.`x` AS `x` from (`b` left join `c``'c` on(`b`.`x` = 'from `d`'))"),
            ("b", "select 1 AS `x` from `studio`.`d` `a` where 1 in (select 2 from `t`)"),
            ("c`'c", "select `a`.`x` AS `x` from `t` `a`"),
            ("d", "select 1 AS `from`"),
        ];
        assert_eq!(ordered(&views), ["c`'c", "d", "b", "a"]);
    }

    #[test]
    fn a_circle_loses_no_view() {
        let views = [
            ("a", "with b as (select 1)select 1 from `b`"),
            ("b", "select 1 from `a`"),
            ("c", "select 1"),
        ];
        assert_eq!(ordered(&views), ["c", "a", "b"]);
    }
}
