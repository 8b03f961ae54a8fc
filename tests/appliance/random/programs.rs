//! What stands beside and upon random tables: sequences, views, triggers, routines, events.

use crate::random::case::Author;
use crate::random::case::Table;
use crate::random::text;

const SEQUENCES: &[&str] = &[
    "",
    "START WITH 10 INCREMENT BY -3 MINVALUE -100 MAXVALUE 20",
    "MAXVALUE 3 CYCLE NOCACHE",
    "CACHE 5 START 7",
    "START WITH 9223372036854775800",
    "INCREMENT BY 0",
    "MINVALUE -9223372036854775807 START WITH -9223372036854775807",
];

/// The modes that programs are written under, and the character sets of those who wrote them.
const SETTINGS: &[&str] = &[
    "sql_mode = ''",
    "sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT'",
    "sql_mode = 'NO_BACKSLASH_ESCAPES'",
    "sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_DATE'",
    "character_set_client = latin1, collation_connection = latin1_bin",
    "collation_connection = utf8mb4_bin",
    "character_set_client = gbk, collation_connection = gbk_chinese_ci",
    "sql_mode = 'ORACLE'",
    "time_zone = '+05:30'",
];

/// Back to what the rest of a script is written under.
const PLAIN: &str = "SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'";

/// Makes sequences, uses some, and returns their quoted names.
pub(super) fn sequences(author: &mut Author<'_>) -> Vec<String> {
    let count = author.dice.below(3);
    let mut names = Vec::new();
    for number in 0..count {
        let name = text::name(&mut author.dice, 50 + number);
        let options = author.dice.pick(SEQUENCES);
        author.script.run(format!("CREATE SEQUENCE {name} {options}"));
        for _ in 0..author.dice.below(5) {
            author.script.run(format!("DO NEXTVAL({name})"));
        }
        names.push(name);
    }
    names
}

/// Makes programs upon tables, each under settings of its own.
pub(super) fn programs(author: &mut Author<'_>, database: &str, tables: &[Table]) {
    for number in 0..author.dice.below(8) {
        let statement = statement(author, number, database, tables);
        let settings = author.dice.pick(SETTINGS);
        author.script.run(format!("SET {settings}"));
        author.script.run(statement);
        author.script.run(PLAIN);
    }
}

fn statement(author: &mut Author<'_>, number: usize, database: &str, tables: &[Table]) -> String {
    let dice = &mut author.dice;
    let table = &tables[dice.below(tables.len())];
    let column = &table.columns[dice.below(table.columns.len())].name;
    let (name, quoted) = (text::name(dice, 70 + number), text::quoted(dice));
    let before = if dice.chance(50) { "`v 0`".to_owned() } else { table.name.clone() };
    let table = &table.name;
    let choices = [
        format!("CREATE VIEW `v {}` AS SELECT id, {column} AS {name} FROM {table}", dice.below(2)),
        format!(
            "CREATE VIEW {name} AS SELECT a.id, b.{column} FROM {before} a LEFT JOIN {table} b ON a.id = b.id"
        ),
        format!(
            "CREATE ALGORITHM=TEMPTABLE SQL SECURITY INVOKER VIEW {name} AS SELECT COUNT(*) AS n, {quoted} AS `q` FROM {before}"
        ),
        format!(
            "CREATE ALGORITHM=MERGE VIEW {name} AS SELECT `{database}`.{table}.id FROM `{database}`.{table} WHERE id > 0 WITH LOCAL CHECK OPTION"
        ),
        format!(
            "CREATE VIEW {name} (`é`, b) AS WITH c AS (SELECT id FROM {before}) SELECT id, '`c`.`x`' FROM c UNION SELECT 1, 'é'"
        ),
        format!(
            "CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW SET @a = CONCAT({quoted}, NEW.id, 'é')"
        ),
        format!(
            "CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW SET @b = 1 /* ENABLE */"
        ),
        format!(
            "CREATE TRIGGER `{database}`.{name} AFTER UPDATE ON `{database}`.{table} FOR EACH ROW BEGIN SET @c = OLD.id; SET @d = NEW.{column}; END"
        ),
        format!(
            "CREATE TRIGGER {name} AFTER DELETE ON {table} FOR EACH ROW BEGIN IF OLD.id > 1 THEN SET @e = {quoted}; END IF; END"
        ),
        format!(
            "CREATE PROCEDURE {name}(IN a VARCHAR(9), INOUT `b c` DECIMAL(9,3)) COMMENT {quoted} SQL SECURITY INVOKER BEGIN SELECT a, id FROM {table}; /* é */ END"
        ),
        format!(
            "CREATE FUNCTION {name}(a TEXT CHARSET latin1) RETURNS VARCHAR(9) CHARSET utf8mb4 DETERMINISTIC RETURN CONCAT(a, {quoted}, 'é\\\\')"
        ),
        format!(
            "CREATE FUNCTION {name}() RETURNS INT READS SQL DATA RETURN (SELECT MAX(id) FROM {table})"
        ),
        format!(
            "CREATE AGGREGATE FUNCTION {name}(x INT) RETURNS INT BEGIN DECLARE s INT DEFAULT 0; DECLARE CONTINUE HANDLER FOR NOT FOUND RETURN s; LOOP FETCH GROUP NEXT ROW; SET s = s + x; END LOOP; END"
        ),
        format!("CREATE PACKAGE {name} AS FUNCTION one RETURN INT; END"),
        format!(
            "CREATE EVENT {name} ON SCHEDULE EVERY 3 DAY_HOUR STARTS '2037-01-01' ENDS '2037-12-31' COMMENT {quoted} DO DELETE FROM {table}"
        ),
        format!(
            "CREATE EVENT {name} ON SCHEDULE AT '2037-01-01 00:00:01' ON COMPLETION PRESERVE DISABLE DO BEGIN SET @a = 1; SET @b = ' ENABLE '; END"
        ),
        format!(
            "CREATE EVENT {name} ON SCHEDULE EVERY '1:2' MINUTE_SECOND STARTS '2037-01-01' DISABLE ON SLAVE DO SET @a = {quoted}"
        ),
    ];
    choices[dice.below(choices.len())].clone()
}
