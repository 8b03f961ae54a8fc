//! A random database: tables of any shape, their rows, and what stands on them.
//!
//! Not every statement is one that the server takes: a wrong one leaves nothing behind, and what
//! is left is a database all the same.

use std::fmt::Write as _;

use crate::random::columns;
use crate::random::columns::Column;
use crate::random::columns::Family;
use crate::random::dice::Dice;
use crate::random::programs;
use crate::random::script::Member;
use crate::random::script::Script;
use crate::random::text;

/// A table as later statements speak of it.
pub(super) struct Table {
    /// The quoted name.
    pub(super) name: String,
    /// What stands beside the first column, which is always `id` and an INT.
    pub(super) columns: Vec<Column>,
}

/// What all statements of a case are made with.
pub(super) struct Author<'a> {
    pub(super) dice: Dice,
    pub(super) script: Script,
    pub(super) collations: &'a [&'a str],
}

const ENGINES: &[&str] = &[
    "InnoDB", "InnoDB", "InnoDB", "InnoDB", "InnoDB", "InnoDB", "MyISAM", "Aria", "MEMORY", "CSV",
];

const OPTIONS: &[&str] = &[
    "ROW_FORMAT=COMPACT",
    "ROW_FORMAT=REDUNDANT",
    "ROW_FORMAT=DYNAMIC",
    "ROW_FORMAT=COMPRESSED",
    "ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=4",
    "ROW_FORMAT=FIXED",
    "ROW_FORMAT=PAGE",
    "PAGE_COMPRESSED=1",
    "CHECKSUM=1",
    "STATS_PERSISTENT=0",
    "STATS_AUTO_RECALC=1 STATS_SAMPLE_PAGES=9",
    "MAX_ROWS=1000 MIN_ROWS=2",
    "AVG_ROW_LENGTH=77",
    "PACK_KEYS=1",
    "DELAY_KEY_WRITE=1",
    "TRANSACTIONAL=0",
    "ENCRYPTED=NO",
    "AUTO_INCREMENT=4711",
];

const PARTITIONS: &[&str] = &[
    "PARTITION BY HASH (id) PARTITIONS 3",
    "PARTITION BY KEY (id) PARTITIONS 2",
    "PARTITION BY LINEAR HASH (id) PARTITIONS 4",
    "PARTITION BY RANGE (id) (PARTITION `p é` VALUES LESS THAN (2) COMMENT 'it''s', PARTITION b VALUES LESS THAN MAXVALUE)",
    "PARTITION BY LIST (id) (PARTITION a VALUES IN (0, 1, 2, NULL), PARTITION b DEFAULT)",
    "PARTITION BY RANGE COLUMNS (id) (PARTITION a VALUES LESS THAN (3), PARTITION b VALUES LESS THAN (MAXVALUE))",
    "PARTITION BY RANGE (id) SUBPARTITION BY KEY (id) SUBPARTITIONS 2 (PARTITION a VALUES LESS THAN (2), PARTITION b VALUES LESS THAN (99))",
];

/// Settings under which statements are taken that a strict server refuses.
const LAX: &str = "SET sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00', \
    foreign_key_checks = 0, check_constraint_checks = 0, innodb_strict_mode = 0, \
    system_versioning_alter_history = KEEP";

/// Returns the script that makes the database of a seed, which must not be there yet.
pub(super) fn script(seed: u64, database: &str, collations: &[&str]) -> Script {
    let mut author = Author { dice: Dice::new(seed), script: Script::new(), collations };
    let collation = author.dice.pick(collations);
    let comment = text::quoted(&mut author.dice);
    author.script.run(format!("CREATE DATABASE `{database}`"));
    author.script.run(format!("ALTER DATABASE `{database}` COLLATE {collation} COMMENT {comment}"));
    author.script.run(format!("USE `{database}`"));
    author.script.run(LAX);
    let sequences = programs::sequences(&mut author);
    let count = 1 + author.dice.below(4);
    let tables: Vec<_> = (0..count).map(|number| author.table(number, &sequences)).collect();
    if author.dice.chance(30) {
        author.circle(&tables);
    }
    for table in &tables {
        author.keys(table);
        author.rules(table, &tables);
        author.rows(table);
        author.later(table);
        author.history(table);
    }
    programs::programs(&mut author, database, &tables);
    author.script
}

impl Author<'_> {
    fn table(&mut self, number: usize, sequences: &[String]) -> Table {
        let name = text::name(&mut self.dice, number);
        let count = 1 + self.dice.below(9);
        let mut columns: Vec<_> = (0..count)
            .map(|number| {
                let (part, name) = (self.script.part(), text::name(&mut self.dice, number));
                columns::column(&mut self.dice, part, name, self.collations)
            })
            .collect();
        let mut engine = self.dice.pick(ENGINES);
        let (mut members, key) = if engine == "CSV" && columns.iter().any(|c| !c.is_nullable) {
            // An engine of no keys and no NULL.
            columns.retain(|column| !column.is_nullable);
            (vec![Member { part: self.script.part(), text: "id INT NOT NULL".to_owned() }], None)
        } else {
            engine = if engine == "CSV" { "InnoDB" } else { engine };
            self.first_column(&columns, sequences)
        };
        members.extend(columns.iter().map(Column::member));
        members.extend(key.map(|key| Member { part: self.script.part(), text: key }));
        let mut tail = format!(") ENGINE={engine}");
        if self.dice.chance(60) {
            let collation = self.dice.pick(self.collations);
            let _ = write!(tail, " COLLATE={collation}");
        }
        if self.dice.chance(40) {
            let _ = write!(tail, " COMMENT={}", text::quoted(&mut self.dice));
        }
        self.script.run_members(format!("CREATE TABLE {name} ("), members, tail);
        Table { name, columns }
    }

    /// Returns the column `id`, and the primary key if it is one of its own.
    fn first_column(
        &mut self,
        columns: &[Column],
        sequences: &[String],
    ) -> (Vec<Member>, Option<String>) {
        let other = &columns[self.dice.below(columns.len())];
        let prefix = match other.family {
            Family::Text | Family::Bytes if self.dice.chance(50) => "(2)",
            _ => "",
        };
        let direction = if self.dice.chance(30) { " DESC" } else { "" };
        let sequence = sequences.first().map(|name| format!(" DEFAULT NEXTVAL({name})"));
        let id = self.script.part();
        let (definition, key) = match self.dice.below(8) {
            0 => ("INT", None),
            1 => ("INT NOT NULL AUTO_INCREMENT", Some(format!("PRIMARY KEY (id{direction})"))),
            2 => (
                "INT NOT NULL",
                Some(format!("PRIMARY KEY (id, {}{prefix}{direction})", other.name)),
            ),
            3 => (
                "INT NOT NULL",
                Some(format!("PRIMARY KEY ({}{prefix}{direction}, id)", other.name)),
            ),
            4 => ("INT", Some(format!("PRIMARY KEY ({}{prefix})", other.name))),
            5 => ("INT NOT NULL", Some("UNIQUE KEY (id)".to_owned())),
            6 => (
                "INT AUTO_INCREMENT",
                Some(format!("KEY `counts, (` (id, {}{prefix})", other.name)),
            ),
            _ => ("INT NOT NULL", Some("PRIMARY KEY (id)".to_owned())),
        };
        let default = match sequence {
            Some(default) if !definition.contains("AUTO_INCREMENT") && self.dice.chance(40) => {
                default
            }
            _ => String::new(),
        };
        (vec![Member { part: id, text: format!("id {definition}{default}") }], key)
    }

    /// Makes two tables, or one and itself, point at each other.
    fn circle(&mut self, tables: &[Table]) {
        let pair = [&tables[0].name, &tables[tables.len() - 1].name];
        for name in pair {
            self.script.run(format!("ALTER TABLE {name} ADD KEY (id)"));
        }
        for (name, other) in [(pair[0], pair[1]), (pair[1], pair[0])] {
            self.script
                .run(format!("ALTER TABLE {name} ADD FOREIGN KEY (id) REFERENCES {other} (id)"));
        }
    }

    /// Adds secondary indexes, each of which the server may refuse.
    fn keys(&mut self, table: &Table) {
        for number in 0..self.dice.below(5) {
            let column = &table.columns[self.dice.below(table.columns.len())];
            let prefix = if self.dice.chance(50) { "(3)" } else { "" };
            let mut parts = format!("{}{prefix}", column.name);
            if self.dice.chance(30) {
                parts.push_str(", id DESC");
            }
            let kind = match column.family {
                Family::Text if self.dice.chance(40) => "FULLTEXT KEY",
                Family::Shape if !column.is_nullable => "SPATIAL KEY",
                _ => self.dice.pick(&["KEY", "KEY", "UNIQUE KEY"]),
            };
            if kind.starts_with(['F', 'S']) {
                parts.clone_from(&column.name);
            }
            let name = text::name(&mut self.dice, number);
            let extra = match self.dice.below(6) {
                0 => " IGNORED".to_owned(),
                1 => format!(" COMMENT {}", text::quoted(&mut self.dice)),
                2 => " USING BTREE".to_owned(),
                3 => " USING HASH".to_owned(),
                _ => String::new(),
            };
            self.script
                .run(format!("ALTER TABLE {} ADD {kind} {name} ({parts}){extra}", table.name));
        }
    }

    /// Adds computed columns, checks, foreign keys, options, partitions and periods.
    fn rules(&mut self, table: &Table, tables: &[Table]) {
        let column = table.columns[self.dice.below(table.columns.len())].name.clone();
        let other = &tables[self.dice.below(tables.len())].name;
        let (name, quoted) = (text::name(&mut self.dice, 90), text::quoted(&mut self.dice));
        let collation = self.dice.pick(self.collations);
        let option = self.dice.pick(OPTIONS);
        let partition = self.dice.pick(PARTITIONS);
        let action = self.dice.pick(&[
            "",
            " ON DELETE CASCADE",
            " ON DELETE SET NULL ON UPDATE CASCADE",
            " ON UPDATE NO ACTION",
        ]);
        let choices = [
            format!(
                "ADD COLUMN {name} VARCHAR(90) AS (CONCAT('x', {column})) VIRTUAL COMMENT {quoted}"
            ),
            format!("ADD COLUMN {name} INT AS (id * 2 + 1) STORED, ADD KEY (`id`, {name})"),
            format!(
                "ADD COLUMN {name} VARCHAR(300) COLLATE {collation} AS (UPPER({column})) STORED INVISIBLE"
            ),
            format!("ADD COLUMN {name} TEXT AS (HEX({column})) VIRTUAL, ADD FULLTEXT KEY ({name})"),
            format!("ADD COLUMN {name} INT AS (LENGTH({column})) VIRTUAL UNIQUE"),
            format!("ADD COLUMN {name} FLOAT AS (id / 3e0) VIRTUAL AFTER id"),
            format!(
                "ADD CONSTRAINT {name} CHECK ({column} IS NULL OR {column} <> {quoted} AND id > 1)"
            ),
            "MODIFY id INT NOT NULL CHECK (id < 3)".to_owned(),
            format!("ADD CONSTRAINT {name} FOREIGN KEY (id) REFERENCES {other} (id){action}"),
            format!(
                "ADD CONSTRAINT {name} FOREIGN KEY (id) REFERENCES {other} (id) ON DELETE RESTRICT"
            ),
            format!("ADD FOREIGN KEY ({column}, id) REFERENCES {other} ({column}, id)"),
            option.to_owned(),
            option.to_owned(),
            partition.to_owned(),
            partition.to_owned(),
            format!(
                "ADD COLUMN a_from DATE NOT NULL, ADD COLUMN a_to DATE NOT NULL, ADD PERIOD FOR {name} (a_from, a_to)"
            ),
        ];
        for choice in choices {
            if self.dice.chance(18) {
                self.script.run(format!("ALTER TABLE {} {choice}", table.name));
            }
        }
    }

    fn rows(&mut self, table: &Table) {
        let id = self.script.part();
        for number in 0..self.dice.below(14) {
            let mut members = vec![Member { part: id, text: format!("id = {number}") }];
            members.extend(table.columns.iter().map(|column| column.value(&mut self.dice)));
            self.script.run_members(format!("INSERT INTO {} SET ", table.name), members, "");
        }
        if self.dice.chance(30) {
            self.script.run(format!("INSERT INTO {0} SELECT * FROM {0}", table.name));
        }
    }

    /// Keeps the rows of a table that were, each change at a time of its own.
    fn history(&mut self, table: &Table) {
        if !self.dice.chance(30) {
            return;
        }
        let (start, end) = (text::name(&mut self.dice, 91), text::name(&mut self.dice, 92));
        let versioning = match self.dice.below(3) {
            0 => format!(
                "ADD COLUMN {start} TIMESTAMP(6) GENERATED ALWAYS AS ROW START, \
                 ADD COLUMN {end} TIMESTAMP(6) GENERATED ALWAYS AS ROW END INVISIBLE, \
                 ADD PERIOD FOR SYSTEM_TIME ({start}, {end}), ADD SYSTEM VERSIONING"
            ),
            1 => "ADD COLUMN `not kept` INT WITHOUT SYSTEM VERSIONING, ADD SYSTEM VERSIONING"
                .to_owned(),
            _ => "ADD SYSTEM VERSIONING".to_owned(),
        };
        let name = &table.name;
        let changes = [
            format!("ALTER TABLE {name} {versioning}"),
            format!("UPDATE {name} SET id = id + 100 WHERE id > 3"),
            format!("DELETE FROM {name} WHERE id < 3"),
            format!("UPDATE {name} SET id = id + 100 WHERE id IS NOT NULL"),
            format!("DELETE FROM {name} LIMIT 1"),
        ];
        for (change, second) in changes.into_iter().zip(0..) {
            self.script.run(format!("SET timestamp = {}.{second}5", 1_700_000_000 + second));
            self.script.run(change);
        }
        self.script.run("SET timestamp = DEFAULT");
        if self.dice.chance(40) {
            self.script.run(format!(
                "ALTER TABLE {name} PARTITION BY SYSTEM_TIME INTERVAL 1 YEAR STARTS '2023-01-01 00:00:00' \
                 (PARTITION a HISTORY, PARTITION `b é` HISTORY, PARTITION c CURRENT)"
            ));
        }
    }

    /// Alters a table that has rows, in place where the server can.
    fn later(&mut self, table: &Table) {
        let name = &table.columns[self.dice.below(table.columns.len())].name;
        let choices = [
            format!(
                "ALTER TABLE {} ADD COLUMN `instant` VARCHAR(9) NOT NULL DEFAULT 'é' FIRST",
                table.name
            ),
            format!("ALTER TABLE {} DROP COLUMN {name}", table.name),
            format!("ALTER TABLE {} ALTER COLUMN {name} SET DEFAULT 1", table.name),
            format!("ALTER TABLE {} MODIFY id BIGINT", table.name),
            format!("DELETE FROM {} WHERE id = 2", table.name),
            format!("UPDATE {} SET id = -id WHERE id < 3", table.name),
        ];
        for choice in choices {
            if self.dice.chance(12) {
                self.script.run(choice);
            }
        }
    }
}
