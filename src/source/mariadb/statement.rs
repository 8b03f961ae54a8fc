//! Takes `CREATE TABLE` apart, so that indexes and foreign keys can be added after the rows.
//!
//! Secondary indexes built once from all rows cost half of indexes kept up row by row, and
//! foreign keys may form circles. The text comes from `SHOW CREATE TABLE` under `sql_mode=''`.

use std::fmt;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::source::mariadb::quote;
use crate::source::mariadb::remark;
use crate::source::mariadb::scan;

/// A `CREATE TABLE` statement in parts; joined again they are the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTable<'a> {
    head: &'a str,
    members: Vec<Member<'a>>,
    tail: &'a str,
}

/// A column, key or constraint of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Member<'a> {
    kind: MemberKind,
    text: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MemberKind {
    Primary,
    Unique,
    Key,
    /// FULLTEXT, SPATIAL, VECTOR: one `ALTER TABLE` each.
    Special,
    Foreign,
    /// Columns, CHECKs, periods.
    Other,
}

/// What is run for a table, in this order: `create`, rows, `indexes`, `last`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StagedTable {
    /// The statement without what comes later.
    pub(super) create: String,
    /// `ADD …` clauses; each inner list is one `ALTER TABLE`.
    pub(super) indexes: Vec<Vec<String>>,
    /// `ADD …` clauses of one `ALTER TABLE` when all tables stand: foreign keys, and keys that would
    /// not outlive another `ALTER TABLE`.
    pub(super) last: Vec<String>,
    /// Whether a key forbids that rows overlap: for each row the server locks what is beside it, and two
    /// connections that fill the table wait for each other.
    pub(super) locks_neighbours: bool,
    /// Whether rows that go in are kept by their primary key alone, in one InnoDB table whose statistics
    /// are the server's affair.
    pub(super) is_rows_alone: bool,
}

impl<'a> CreateTable<'a> {
    /// Returns the parts of a statement; fails on text that is no `CREATE TABLE name (…) …`.
    pub fn parse(statement: &'a str) -> Result<Self> {
        let malformed = || {
            let start: String = statement.chars().take(60).collect();
            Error::damaged(format!("cannot understand the table definition {start:?}"))
        };
        if !statement.starts_with("CREATE TABLE `") {
            return Err(malformed());
        }
        let pieces = scan::top_level(statement).ok_or_else(malformed)?;
        Ok(Self {
            head: &statement[..pieces.open],
            members: pieces.members.into_iter().map(Member::parse).collect(),
            tail: &statement[pieces.close..],
        })
    }

    /// Returns the statements that build the table around the loading of its rows. Keys come to
    /// stand in the order they have here: what precedes a key that must stay, stays with it.
    pub(super) fn staged(&self) -> StagedTable {
        if !scan::outside_quotes(self.tail).contains(" ENGINE=InnoDB") {
            // Other engines build all indexes of an empty table in one go by themselves, and may
            // lose an option of the table when one is added later.
            let create = remark::taken(&self.to_string());
            let (indexes, last) = (Vec::new(), Vec::new());
            let (locks_neighbours, is_rows_alone) = (false, false);
            return StagedTable { create, indexes, last, locks_neighbours, is_rows_alone };
        }
        let last_kept = self.members.iter().rposition(|member| self.must_stay(member));
        let mut kept = Vec::new();
        let mut indexes = Vec::new();
        let mut plain = Vec::new();
        let mut last = Vec::new();
        for (position, member) in self.members.iter().enumerate() {
            let stays = last_kept.is_some_and(|last| position <= last);
            let clause = format!("ADD {}", member.text.trim());
            match member.kind {
                MemberKind::Foreign => last.push(clause),
                MemberKind::Unique if member.is_hash() => last.push(clause),
                MemberKind::Key | MemberKind::Unique if !stays => plain.push(clause),
                MemberKind::Special if !stays => {
                    indexes.push(std::mem::take(&mut plain));
                    indexes.push(vec![clause]);
                }
                _ => kept.push(*member),
            }
        }
        indexes.push(plain);
        indexes.retain(|clauses| !clauses.is_empty());
        let is_beside_rows = |member: &&Member<'_>| member.kind != MemberKind::Other;
        let beside_rows: Vec<_> = kept.iter().filter(is_beside_rows).map(|it| it.kind).collect();
        let tail = scan::outside_quotes(self.tail);
        let is_plain = !tail.contains("PARTITION BY") && !tail.contains(" STATS_AUTO_RECALC=");
        let create = remark::taken(&Self { members: kept, ..*self }.to_string());
        let locks_neighbours = self.members.iter().any(Member::overlaps);
        let is_rows_alone = beside_rows == [MemberKind::Primary] && is_plain && !locks_neighbours;
        StagedTable { create, indexes, last, locks_neighbours, is_rows_alone }
    }

    /// Returns whether the rows cannot be loaded without this key.
    fn must_stay(&self, member: &Member<'_>) -> bool {
        let has_primary = || self.members.iter().any(|member| member.kind == MemberKind::Primary);
        // Without a primary key, the first unique key may be what rows are ordered by.
        let is_order = member.kind == MemberKind::Unique
            && !member.is_hash()
            && (member.overlaps() || !has_primary());
        is_order || self.counting_key() == Some(member)
    }

    /// Returns the key that the counter needs: the first that begins with its column, or else the
    /// first that has it, as some engines allow.
    fn counting_key(&self) -> Option<&Member<'a>> {
        let counter = self.auto_increment_column()?;
        let mut keys = self.members.iter().filter(|member| member.is_key());
        let first = keys.clone().find(|key| key.columns().first() == Some(&counter));
        first.or_else(|| keys.find(|key| key.columns().contains(&counter)))
    }

    /// Returns the statement without its `AUTO_INCREMENT` counter, which moves with every insert.
    pub(super) fn without_counter(&self) -> String {
        let tail = match self.tail.split_once(" AUTO_INCREMENT=") {
            // A table's comment comes after its counter, so that the first match is the counter.
            Some((before, after)) if !before.contains('\'') => {
                format!("{before}{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
            }
            _ => self.tail.to_owned(),
        };
        CreateTable { tail: &tail, ..self.clone() }.to_string()
    }

    /// Returns the columns whose default names `database`, since it draws from a sequence there:
    /// the quoted name, and the default.
    pub(super) fn sequence_defaults(&self, database: &str) -> Vec<(&'a str, &'a str)> {
        let columns = self.members.iter().filter(|member| member.kind == MemberKind::Other);
        columns
            .filter_map(|member| {
                let name = scan::quoted_name(member.text.trim_start())?;
                let default = default_expression(member.text)?;
                (requalified(default, database, "") != default).then_some((name, default))
            })
            .collect()
    }

    /// Returns the quoted names of the foreign keys.
    pub(super) fn foreign_keys(&self) -> Vec<&'a str> {
        self.foreign_key_clauses().map(|(name, _)| name).collect()
    }

    /// Returns the foreign keys that name a table of `database`: the quoted name, and the clause.
    pub(super) fn foreign_keys_into(&self, database: &str) -> Vec<(&'a str, &'a str)> {
        let target = format!(" REFERENCES {}.", quote::identifier(database));
        self.foreign_key_clauses().filter(|(_, clause)| clause.contains(&target)).collect()
    }

    fn foreign_key_clauses(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let keys = self.members.iter().filter(|member| member.kind == MemberKind::Foreign);
        keys.filter_map(|member| {
            let clause = member.text.trim();
            Some((scan::quoted_name(clause.strip_prefix("CONSTRAINT ")?)?, clause))
        })
    }

    /// Returns the clauses that build anew the keys which an `ALTER TABLE` makes others of: a hash
    /// of what fits into an ordinary key becomes one, unless the statement itself adds it.
    pub(super) fn hashes_again(&self) -> Vec<String> {
        let keys = self.members.iter().filter(|member| member.is_hash());
        keys.filter_map(|member| {
            let clause = member.text.trim();
            let name = scan::quoted_name(clause.strip_prefix("UNIQUE KEY ")?)?;
            Some(format!("DROP KEY {name}, ADD {clause}"))
        })
        .collect()
    }

    /// Returns the engine that the table asks for.
    pub(super) fn engine(&self) -> Option<&'a str> {
        let (_, engine) = self.tail.split_once(") ENGINE=")?;
        engine.split_ascii_whitespace().next()
    }

    /// Returns the character set of a column: its own, or the table's.
    pub(super) fn charset_of(&self, column: &str) -> Option<&'a str> {
        let name = quote::identifier(column);
        let is_it = |member: &&Member<'_>| {
            let found = scan::quoted_name(member.text.trim_start());
            member.kind == MemberKind::Other && found == Some(name.as_str())
        };
        let word = |text: &'a str, before: &str| {
            let start = scan::find(text, before)? + before.len();
            text[start..].split([' ', ',']).next()
        };
        let own = self.members.iter().find(is_it)?.text;
        word(own, " CHARACTER SET ").or_else(|| word(self.tail, " CHARSET="))
    }

    /// Returns the quoted name of the column that counts up.
    pub(super) fn auto_increment_column(&self) -> Option<&'a str> {
        let mut counters = self.columns_with(" AUTO_INCREMENT");
        counters.find_map(|member| scan::quoted_name(member.text.trim_start()))
    }

    /// Returns whether there are columns of which only who names them learns.
    pub(super) fn has_invisible_columns(&self) -> bool {
        self.columns_with(" INVISIBLE").next().is_some()
    }

    /// Returns the columns that have an attribute.
    fn columns_with(&self, attribute: &str) -> impl Iterator<Item = &Member<'a>> {
        let columns = self.members.iter().filter(|member| member.kind == MemberKind::Other);
        columns.filter(move |member| scan::outside_quotes(member.text).contains(attribute))
    }
}

impl fmt::Display for CreateTable<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members: Vec<_> = self.members.iter().map(|member| member.text).collect();
        write!(formatter, "{}{}{}", self.head, members.join(","), self.tail)
    }
}

impl<'a> Member<'a> {
    fn parse(text: &'a str) -> Self {
        let start = text.trim_start();
        let kind = if start.starts_with("PRIMARY KEY") {
            MemberKind::Primary
        } else if start.starts_with("UNIQUE KEY") {
            MemberKind::Unique
        } else if start.starts_with("KEY ") {
            MemberKind::Key
        } else if ["FULLTEXT KEY", "SPATIAL KEY", "VECTOR KEY"].iter().any(|s| start.starts_with(s))
        {
            MemberKind::Special
        } else if start.starts_with("CONSTRAINT `")
            && scan::outside_quotes(start).contains(" FOREIGN KEY (")
        {
            MemberKind::Foreign
        } else {
            MemberKind::Other
        };
        Self { kind, text }
    }

    const fn is_key(&self) -> bool {
        matches!(self.kind, MemberKind::Primary | MemberKind::Unique | MemberKind::Key)
    }

    /// Returns the quoted names of a key's columns.
    fn columns(&self) -> Vec<&'a str> {
        scan::members(self.text)
            .into_iter()
            .filter_map(|part| scan::quoted_name(part.trim_start()))
            .collect()
    }

    /// Returns whether this is a unique key of hashes.
    fn is_hash(&self) -> bool {
        self.kind == MemberKind::Unique && scan::outside_quotes(self.text).contains(" USING HASH")
    }

    /// Returns whether this is a key over an application-time period.
    fn overlaps(&self) -> bool {
        scan::outside_quotes(self.text).contains("WITHOUT OVERLAPS")
    }
}

/// Returns whether two definitions are of the same table. Among keys of hashes any order will do:
/// the server puts them last, unless one beside them has ceased to be one.
pub(super) fn is_same_table(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let parts = |statement: &str| -> Option<(String, String, Vec<String>)> {
        let parsed = CreateTable::parse(statement).ok()?;
        let mut members: Vec<_> =
            parsed.members.iter().map(|member| member.text.trim().to_owned()).collect();
        let first = parsed.members.iter().position(|member| member.kind == MemberKind::Unique)?;
        let last = parsed.members.iter().rposition(|member| member.kind == MemberKind::Unique)?;
        parsed.members.iter().any(Member::is_hash).then(|| members[first..=last].sort())?;
        Some((parsed.head.to_owned(), parsed.tail.to_owned(), members))
    };
    parts(one).is_some_and(|parts_of_one| parts(other) == Some(parts_of_one))
}

/// Returns SQL with the quoted database name `from` before a dot replaced by `to`, outside of
/// strings. `SHOW CREATE TABLE` names its own database only where a default uses a sequence.
pub(super) fn requalified(sql: &str, from: &str, to: &str) -> String {
    requalified_where(sql, from, to, |_| true)
}

/// Replaces where what follows the database and its dot is wanted.
fn requalified_where(sql: &str, from: &str, to: &str, is_wanted: impl Fn(&str) -> bool) -> String {
    let from = format!("{}.`", quote::identifier(from));
    let to = format!("{}.`", quote::identifier(to));
    let bytes = sql.as_bytes();
    let mut result = String::with_capacity(sql.len());
    let mut position = 0;
    while position < bytes.len() {
        let rest = &sql[position..];
        if rest.starts_with(&from) && is_wanted(&rest[from.len() - 1..]) {
            result.push_str(&to[..to.len() - 1]);
            position += from.len() - 1;
            continue;
        }
        let end = match bytes[position] {
            b'\'' | b'"' | b'`' => scan::end_of_quoted(bytes, position),
            _ => bytes[position..]
                .iter()
                .position(|byte| matches!(byte, b'\'' | b'"' | b'`'))
                .map_or(bytes.len(), |length| position + length),
        };
        result.push_str(&sql[position..end]);
        position = end;
    }
    result
}

/// Returns a view's definition with the database name `from` replaced by `to`. Where a table of the
/// view has the database's name for an alias, only what cannot be that alias is replaced: a name
/// before a table and its column, and before a function.
pub(super) fn view_requalified(sql: &str, from: &str, to: &str) -> String {
    let alias = format!(" {}", quote::identifier(from));
    let has_alias = sql.match_indices(&alias).any(|(position, _)| {
        let (before, after) = (&sql[..position], &sql[position + alias.len()..]);
        before.ends_with(['`', ')']) && !after.starts_with('.')
    });
    let is_full = |rest: &str| {
        let name = scan::quoted_name(rest);
        name.is_some_and(|name| rest[name.len()..].starts_with(['.', '(']))
    };
    requalified_where(sql, from, to, |rest| !has_alias || is_full(rest))
}

/// Returns the default of a column's definition, where it is a function or stands in parentheses.
fn default_expression(column: &str) -> Option<&str> {
    const WORD: &str = " DEFAULT ";
    let expression = &column[scan::find(column, WORD)? + WORD.len()..];
    let mut depth = 0_usize;
    for (position, byte) in scan::unquoted(expression) {
        match byte {
            b'(' => depth += 1,
            b')' if depth == 1 => return Some(&expression[..=position]),
            b')' => depth = depth.checked_sub(1)?,
            b' ' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Returns whether a table or one of its partitions names the folder that its files lie in.
pub(super) fn names_folder(create: &str) -> bool {
    let words = scan::outside_quotes(create);
    words.contains(" DATA DIRECTORY") || words.contains(" INDEX DIRECTORY")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "CREATE TABLE `a``b` (\n  `id` int(11) NOT NULL AUTO_INCREMENT,\n  \
        `k,(` enum('a,b','c)','it''s\\\\') DEFAULT 'a,b' COMMENT 'no KEY ( here',\n  \
        `n` int(11) DEFAULT NULL,\n  PRIMARY KEY (`id`),\n  UNIQUE KEY `u` (`n`),\n  \
        KEY `k` (`k,(`(3)),\n  FULLTEXT KEY `f` (`k,(`),\n  \
        CONSTRAINT `x` FOREIGN KEY (`n`) REFERENCES `t` (`id`) ON DELETE CASCADE,\n  \
        CONSTRAINT `c` CHECK (`n` > 0 and `k,(` <> ' FOREIGN KEY (')\n\
        ) ENGINE=InnoDB AUTO_INCREMENT=42 DEFAULT CHARSET=utf8mb4 COMMENT='AUTO_INCREMENT=7'";

    #[test]
    fn a_column_has_the_character_set_of_its_own_or_of_its_table() {
        let table = "CREATE TABLE `t` (\n  `a` varchar(9) CHARACTER SET utf16 COLLATE utf16_bin,\n  \
                     `b` text COMMENT ' CHARACTER SET no'\n) ENGINE=InnoDB DEFAULT CHARSET=latin1 \
                     COLLATE=latin1_bin";
        let table = CreateTable::parse(table).unwrap();
        let charsets = ["a", "b", "c"].map(|column| table.charset_of(column));
        assert_eq!(charsets, [Some("utf16"), Some("latin1"), None]);
    }

    #[test]
    fn indexes_and_foreign_keys_come_after_the_rows() {
        let staged = CreateTable::parse(TABLE).unwrap().staged();
        assert!(staged.create.contains("PRIMARY KEY") && staged.create.contains("CHECK"));
        assert!(!staged.create.contains("UNIQUE") && !staged.create.contains("`x` FOREIGN"));
        let plain =
            vec!["ADD UNIQUE KEY `u` (`n`)".to_owned(), "ADD KEY `k` (`k,(`(3))".to_owned()];
        assert_eq!(staged.indexes, [plain, vec!["ADD FULLTEXT KEY `f` (`k,(`)".to_owned()]]);
        assert_eq!(staged.last.len(), 1);
        assert!(staged.create.ends_with("COMMENT='AUTO_INCREMENT=7'"));
    }

    #[test]
    fn the_counter_is_taken_from_the_options_and_nowhere_else() {
        let without = CreateTable::parse(TABLE).unwrap().without_counter();
        assert_eq!(without, TABLE.replace(" AUTO_INCREMENT=42", ""));
    }

    #[test]
    fn a_key_that_the_counter_needs_stays() {
        let table = "CREATE TABLE `t` (\n  `a` int NOT NULL AUTO_INCREMENT,\n  `b` int,\n  \
            KEY `k` (`a`),\n  KEY `l` (`b`)\n) ENGINE=InnoDB";
        let staged = CreateTable::parse(table).unwrap().staged();
        assert!(staged.create.contains("KEY `k`"));
        assert_eq!(staged.indexes, [vec!["ADD KEY `l` (`b`)".to_owned()]]);
    }

    #[test]
    fn rows_are_alone_where_nothing_else_is_kept_up_with_them() {
        let is_alone = |members: &str, tail: &str| {
            let table = format!("CREATE TABLE `t` (\n  `a` int,\n  {members}\n) ENGINE={tail}");
            CreateTable::parse(&table).unwrap().staged().is_rows_alone
        };
        let (primary, counted) = ("PRIMARY KEY (`a`)", "`c` int NOT NULL AUTO_INCREMENT");
        assert!(is_alone(primary, "InnoDB COMMENT=' STATS_AUTO_RECALC=0'"));
        assert!(is_alone(
            &format!("{primary},\n  KEY `k` (`a`),\n  UNIQUE KEY `u` (`a`)"),
            "InnoDB"
        ));
        assert!(!is_alone(&format!("{counted},\n  {primary},\n  KEY `k` (`c`)"), "InnoDB"));
        assert!(!is_alone("UNIQUE KEY `u` (`a`)", "InnoDB"));
        assert!(!is_alone("KEY `k` (`a`)", "InnoDB"));
        assert!(!is_alone(
            "`s` date,\n  `e` date,\n  PERIOD FOR `p` (`s`, `e`),\n  \
            PRIMARY KEY (`a`,`p` WITHOUT OVERLAPS)",
            "InnoDB"
        ));
        assert!(!is_alone(primary, "Aria"));
        assert!(!is_alone(primary, "InnoDB STATS_AUTO_RECALC=1"));
        assert!(!is_alone(primary, "InnoDB\n PARTITION BY HASH (`a`)\nPARTITIONS 4"));
    }

    fn staged(keys: &str) -> StagedTable {
        let columns = "`a` int NOT NULL AUTO_INCREMENT,\n  `b` int,\n  `c` int,\n  `g` point";
        let table = format!("CREATE TABLE `t` (\n  {columns},\n  {keys}\n) ENGINE=InnoDB");
        CreateTable::parse(&table).unwrap().staged()
    }

    #[test]
    fn other_engines_than_innodb_get_their_indexes_at_once() {
        let table = "CREATE TABLE `t` (\n  `a` int,\n  PRIMARY KEY (`a`),\n  KEY `k` (`a`)\n) \
            ENGINE=Aria /* TRANSACTIONAL=1 */ COMMENT=' ENGINE=InnoDB /* TRANSACTIONAL=0 */'";
        let staged = CreateTable::parse(table).unwrap().staged();
        let options = table.replacen("/* TRANSACTIONAL=1 */", "TRANSACTIONAL=1", 1);
        assert!(staged.create.starts_with("SET STATEMENT sql_mode = "), "{}", staged.create);
        assert!(staged.create.ends_with(&format!(" FOR {options}")), "{}", staged.create);
        assert_eq!(staged.indexes.len(), 0);
    }

    #[test]
    fn a_folder_is_named_outside_of_quotes_only() {
        let table = |tail: &str| format!("CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB{tail}");
        assert!(names_folder(&table(" DATA DIRECTORY='/srv/'")));
        assert!(names_folder(&table(
            " PARTITION BY HASH (`a`)\n(PARTITION `p` DATA DIRECTORY = '/srv' ENGINE = InnoDB)"
        )));
        assert!(!names_folder(&table(" COMMENT=' DATA DIRECTORY='")));
    }

    #[test]
    fn what_precedes_the_key_of_the_counter_stays_with_it() {
        let kept =
            "PRIMARY KEY (`b`),\n  KEY `k1` (`c`),\n  SPATIAL KEY `s` (`g`),\n  KEY `k2` (`a`)";
        let staged = staged(&format!("{kept},\n  KEY `k3` (`b`),\n  KEY `k4` (`a`)"));
        assert!(staged.create.contains(&format!("{kept})")), "{}", staged.create);
        let later = ["ADD KEY `k3` (`b`)".to_owned(), "ADD KEY `k4` (`a`)".to_owned()];
        assert_eq!(staged.indexes, [later]);
    }

    #[test]
    fn unique_keys_of_hashes_come_last_and_are_built_anew_after_others() {
        let table = "CREATE TABLE `t` (\n  `a` int,\n  `b` int COMMENT ' USING HASH',\n  \
            UNIQUE KEY `k` (`a`) USING HASH COMMENT 'x',\n  UNIQUE KEY ` USING HASH` (`b`),\n  \
            KEY `h` (`a`) USING HASH,\n  FULLTEXT KEY `f` (`b`)\n) ENGINE=InnoDB";
        let parsed = CreateTable::parse(table).unwrap();
        let key = "ADD UNIQUE KEY `k` (`a`) USING HASH COMMENT 'x'";
        assert_eq!(parsed.staged().last, [key]);
        assert!(parsed.staged().create.contains("UNIQUE KEY ` USING HASH` (`b`)"));
        assert_eq!(parsed.hashes_again(), [format!("DROP KEY `k`, {key}")]);
    }

    #[test]
    fn unique_keys_beside_one_of_hashes_may_change_places() {
        let table = |keys: &str| {
            format!("CREATE TABLE `t` (\n  `a` int,\n  {keys},\n  KEY `x` (`a`)\n) ENGINE=InnoDB")
        };
        let (hash, plain) = ("UNIQUE KEY `h` (`a`) USING HASH", "UNIQUE KEY `p` (`b`)");
        let same = |one: &str, other: &str| is_same_table(&table(one), &table(other));
        assert!(same(&format!("{hash},\n  {plain}"), &format!("{plain},\n  {hash}")));
        assert!(!same(&format!("{hash},\n  {plain}"), hash));
        let (other, key) = ("UNIQUE KEY `q` (`c`)", "KEY `k` (`b`)");
        assert!(!same(&format!("{other},\n  {plain}"), &format!("{plain},\n  {other}")));
        assert!(!same(&format!("{hash},\n  {key}"), &format!("{key},\n  {hash}")));
    }

    #[test]
    fn a_key_of_a_counter_in_second_place_stays_where_there_is_no_other() {
        let only = staged("KEY `(``a` (`b`,`a`)");
        assert!(only.create.contains("KEY `(``a`") && only.indexes.is_empty());
        let other = staged("PRIMARY KEY (`a`),\n  KEY `l` (`b`,`a`)");
        assert_eq!(other.indexes, [["ADD KEY `l` (`b`,`a`)".to_owned()]]);
    }

    #[test]
    fn indexes_of_other_kinds_keep_their_place_among_the_keys() {
        let staged = staged(
            "PRIMARY KEY (`a`),\n  SPATIAL KEY `s` (`g`),\n  KEY `k` (`b`),\n  KEY `l` (`c`),\n  FULLTEXT KEY `f` (`t`)",
        );
        let names = |clauses: &Vec<String>| {
            clauses.iter().map(|clause| clause.split('`').nth(1).unwrap()).collect::<String>()
        };
        let order: Vec<_> = staged.indexes.iter().map(names).collect();
        assert_eq!(order, ["s", "kl", "f"]);
    }

    #[test]
    fn without_a_primary_key_unique_keys_stay() {
        let table = "CREATE TABLE `t` (\n  `a` int NOT NULL,\n  UNIQUE KEY `u` (`a`)\n) ENGINE=X";
        let staged = CreateTable::parse(table).unwrap().staged();
        assert_eq!(staged.create, table);
    }

    #[test]
    fn defaults_that_draw_from_a_sequence_follow_their_database() {
        let table = "CREATE TABLE `t` (\n  `a` int DEFAULT nextval(`d`.`s`) COMMENT '`d`.`s`',\n  \
            `d` int\n) ENGINE=InnoDB";
        let moved = requalified(table, "d", "e``");
        assert!(moved.contains("nextval(`e`````.`s`) COMMENT '`d`.`s`'"), "{moved}");
        let defaults = CreateTable::parse(table).unwrap().sequence_defaults("d");
        assert_eq!(defaults, [("`a`", "nextval(`d`.`s`)")]);
    }

    #[test]
    fn a_sequence_is_found_anywhere_in_a_default_and_nowhere_else() {
        let defaults = |column: &str| {
            let table = format!("CREATE TABLE `t` (\n  {column},\n  `z` int\n) ENGINE=InnoDB");
            let parsed = CreateTable::parse(&table).unwrap();
            parsed.sequence_defaults("d").first().map(|(_, default)| (*default).to_owned())
        };
        let found = defaults("`a` int NOT NULL DEFAULT (nextval(`d`.`s`) * 2) COMMENT 'x'");
        assert_eq!(found.unwrap(), "(nextval(`d`.`s`) * 2)");
        let found = defaults("` DEFAULT ` text DEFAULT concat(' DEFAULT (',nextval(`d`.`s`),')')");
        assert_eq!(found.unwrap(), "concat(' DEFAULT (',nextval(`d`.`s`),')')");
        for other in [
            "`a` int DEFAULT 1 COMMENT 'nextval(`d`.`s`)'",
            "`a` text DEFAULT concat('`d`.`s`')",
            "`a` int DEFAULT nextval(`e`.`s`)",
            "`a` timestamp DEFAULT current_timestamp() ON UPDATE current_timestamp()",
        ] {
            assert_eq!(defaults(other), None, "{other}");
        }
    }

    #[test]
    fn a_view_leaves_its_database_but_for_aliases_of_the_same_name() {
        let view = "CREATE VIEW `v` AS select `d`.`f`(`d`.`t`.`c`),`d`.`c`,'`d`.`f`(' from `t` `d`";
        let moved =
            "CREATE VIEW `v` AS select `e`.`f`(`e`.`t`.`c`),`d`.`c`,'`d`.`f`(' from `t` `d`";
        assert_eq!(view_requalified(view, "d", "e"), moved);
    }

    #[test]
    fn a_foreign_key_into_another_database_is_found() {
        let table = "CREATE TABLE `t` (\n  `a` int,\n  CONSTRAINT `x` FOREIGN KEY (`a`) \
            REFERENCES `d`.`p` (`id`),\n  CONSTRAINT `y` FOREIGN KEY (`a`) REFERENCES `d` (`id`)\n) ENGINE=X";
        let parsed = CreateTable::parse(table).unwrap();
        let clause = "CONSTRAINT `x` FOREIGN KEY (`a`) REFERENCES `d`.`p` (`id`)";
        assert_eq!(parsed.foreign_keys_into("d"), [("`x`", clause)]);
        assert_eq!(parsed.foreign_keys_into("t"), []);
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for text in ["", "CREATE TABLE `t` LIKE `u`", "DROP TABLE `t`", "CREATE TABLE `t` ((a)"] {
            assert!(CreateTable::parse(text).is_err(), "{text}");
        }
    }
}
