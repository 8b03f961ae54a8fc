//! Columns of every type, and values at the edges of each.

use std::fmt::Write as _;

use crate::random::dice::Dice;
use crate::random::script::Member;
use crate::random::text;

/// A column, and what may stand in it.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) part: usize,
    /// The quoted name.
    pub(super) name: String,
    pub(super) family: Family,
    pub(super) is_nullable: bool,
    pub(super) definition: String,
    charset: String,
    values: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Number,
    Time,
    Text,
    Members,
    Bytes,
    Shape,
    Other,
}

struct Type {
    sql: &'static str,
    family: Family,
    values: &'static [&'static str],
}

const fn kind(sql: &'static str, family: Family, values: &'static [&'static str]) -> Type {
    Type { sql, family, values }
}

const DATES: &[&str] = &[
    "'0000-00-00'",
    "'1000-01-01'",
    "'9999-12-31'",
    "'2023-02-31'",
    "'2024-00-00'",
    "'0001-01-00'",
    "'2024-02-29'",
];
const MOMENTS: &[&str] = &[
    "'0000-00-00 00:00:00'",
    "'9999-12-31 23:59:59.999999'",
    "'2024-03-31 02:30:00.000001'",
    "'2023-02-31 12:00:00.5'",
    "'1000-01-01 00:00:00'",
    "'0000-01-00 23:59:59'",
];
const STAMPS: &[&str] = &[
    "'0000-00-00 00:00:00'",
    "'1970-01-01 00:00:01'",
    "'2038-01-19 03:14:07.999999'",
    "'2024-10-27 00:30:00.25'",
    "'2024-10-27 01:30:00.25'",
    "'2024-03-31 01:00:00'",
];
const CLOCKS: &[&str] = &[
    "'-838:59:59.999999'",
    "'838:59:59.999999'",
    "'-00:00:00.000001'",
    "'00:00:00'",
    "'-34:22:33.123456'",
];
const FLOATS: &[&str] = &[
    "3.402823466e38",
    "-3.402823466e38",
    "1.17549435e-38",
    "1e-45",
    "16777217",
    "0.1",
    "-0e0",
    "1234567.75",
    "1e10",
    "123456792",
    "0.30000001192092896",
    "-99999.999",
];
const DOUBLES: &[&str] = &[
    "1.7976931348623157e308",
    "-1.7976931348623157e308",
    "2.2250738585072014e-308",
    "4.9e-324",
    "0.1",
    "-0e0",
    "9007199254740993",
    "1.005",
    "123456789.123456789",
    "1e22",
    "1e23",
    "-12345678.12",
    "0.30000000000000004",
];
const DECIMALS: &[&str] = &[
    "12345678901234567890123456789012345.123456789012345678901234567890",
    "-0.000000000000000000000000000001",
    "-0.0",
    "0",
    "99999999999999999999999999999999999.999999999999999999999999999999",
    "-99999999999999999999999999999999999.9",
    "0.99999999999999999999999999999999999999",
    "1.005",
];
const SHAPES: &[&str] = &[
    "ST_GeomFromText('POINT(1 2)', 4326)",
    "ST_GeomFromText('POINT(-1e300 1e-300)')",
    "ST_GeomFromText('LINESTRING(0 0,1 1,2 3)', 92)",
    "ST_GeomFromText('POLYGON((0 0,9 0,9 9,0 0),(1 1,2 1,2 2,1 1))')",
    "ST_GeomFromText('MULTIPOINT(0 0,10 92)')",
    "ST_GeomFromText('MULTILINESTRING((0 0,1 1),(9 92,92 9))', 10)",
    "ST_GeomFromText('MULTIPOLYGON(((0 0,9 0,9 9,0 0)))', 2147483647)",
    "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))')",
    "ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')",
];
const DOCUMENTS: &[&str] = &[
    "'{}'",
    "'[]'",
    r#"'{"a":"\\n\\\\\\u0000","a":1}'"#,
    "'null'",
    "'\"😀\"'",
    "' [1.0e2 , -0 , 1e400 ] '",
    r#"'"\\ud83d\\ude00"'"#,
];

const TYPES: &[Type] = &[
    kind("TINYINT", Family::Number, &["-128", "127", "0", "-1"]),
    kind("TINYINT(4) UNSIGNED ZEROFILL", Family::Number, &["0", "255", "7"]),
    kind("BOOLEAN", Family::Number, &["0", "1"]),
    kind("SMALLINT", Family::Number, &["-32768", "32767", "0"]),
    kind("SMALLINT UNSIGNED", Family::Number, &["65535", "0"]),
    kind("MEDIUMINT", Family::Number, &["-8388608", "8388607"]),
    kind("MEDIUMINT UNSIGNED", Family::Number, &["16777215", "0"]),
    kind("INT", Family::Number, &["-2147483648", "2147483647", "0", "-1"]),
    kind("INT(3) ZEROFILL", Family::Number, &["4294967295", "0", "5"]),
    kind("BIGINT", Family::Number, &["-9223372036854775808", "9223372036854775807", "0", "-1"]),
    kind("BIGINT UNSIGNED", Family::Number, &["18446744073709551615", "9223372036854775808", "0"]),
    kind("DECIMAL(65,30)", Family::Number, DECIMALS),
    kind("DECIMAL(38,38)", Family::Number, DECIMALS),
    kind("DECIMAL(10,2) UNSIGNED ZEROFILL", Family::Number, DECIMALS),
    kind("DECIMAL(5,0)", Family::Number, DECIMALS),
    kind("FLOAT", Family::Number, FLOATS),
    kind("FLOAT UNSIGNED", Family::Number, FLOATS),
    kind("FLOAT(8,3)", Family::Number, FLOATS),
    kind("FLOAT(7,0) ZEROFILL", Family::Number, FLOATS),
    kind("DOUBLE", Family::Number, DOUBLES),
    kind("DOUBLE(10,2)", Family::Number, DOUBLES),
    kind("DOUBLE(17,5) UNSIGNED", Family::Number, DOUBLES),
    kind("DOUBLE(20,10) ZEROFILL", Family::Number, DOUBLES),
    kind("BIT(1)", Family::Other, &["b'0'", "b'1'"]),
    kind("BIT(10)", Family::Other, &["0x0305", "0", "0x5c", "0x09", "0x0a"]),
    kind("BIT(64)", Family::Other, &["0x095C0A004E5C0900", "0xffffffffffffffff", "0"]),
    kind("DATE", Family::Time, DATES),
    kind("DATETIME", Family::Time, MOMENTS),
    kind("DATETIME(3)", Family::Time, MOMENTS),
    kind("DATETIME(6)", Family::Time, MOMENTS),
    kind("TIMESTAMP", Family::Time, STAMPS),
    kind("TIMESTAMP(2)", Family::Time, STAMPS),
    kind("TIMESTAMP(6)", Family::Time, STAMPS),
    kind("TIME", Family::Time, CLOCKS),
    kind("TIME(1)", Family::Time, CLOCKS),
    kind("TIME(6)", Family::Time, CLOCKS),
    kind("YEAR", Family::Time, &["0", "1901", "2155", "'00'", "'70'"]),
    kind("YEAR(2)", Family::Time, &["0", "1901", "2069"]),
    kind("CHAR(0)", Family::Text, &[]),
    kind("CHAR(1)", Family::Text, &[]),
    kind("CHAR(12)", Family::Text, &[]),
    kind("VARCHAR(1)", Family::Text, &[]),
    kind("VARCHAR(40)", Family::Text, &[]),
    kind("VARCHAR(900)", Family::Text, &[]),
    kind("TINYTEXT", Family::Text, &[]),
    kind("TEXT", Family::Text, &[]),
    kind("MEDIUMTEXT", Family::Text, &[]),
    kind("LONGTEXT", Family::Text, &[]),
    kind("VARCHAR(500) COMPRESSED", Family::Text, &[]),
    kind("TEXT COMPRESSED", Family::Text, &[]),
    kind(
        "ENUM('a','B','it''s','',' x','1','é','a,b','\\\\')",
        Family::Members,
        &["'a'", "'it''s'", "''", "1", "0", "'1'", "9", "10"],
    ),
    kind("ENUM('Я','z')", Family::Members, &["1", "2", "'no such'"]),
    kind(
        "SET('x','y y','é','it''s','\"q\"','\\\\')",
        Family::Members,
        &["''", "'x'", "'x,é'", "63", "'y y,it''s'"],
    ),
    kind("BINARY(1)", Family::Bytes, &[]),
    kind("BINARY(16)", Family::Bytes, &[]),
    kind("VARBINARY(40)", Family::Bytes, &[]),
    kind("VARBINARY(900) COMPRESSED", Family::Bytes, &[]),
    kind("TINYBLOB", Family::Bytes, &[]),
    kind("BLOB", Family::Bytes, &[]),
    kind("MEDIUMBLOB COMPRESSED", Family::Bytes, &[]),
    kind("LONGBLOB", Family::Bytes, &[]),
    kind("JSON", Family::Other, DOCUMENTS),
    kind("INET4", Family::Other, &["'0.0.0.0'", "'255.255.255.255'", "'10.92.9.10'"]),
    kind(
        "INET6",
        Family::Other,
        &[
            "'::'",
            "'::ffff:1.2.3.4'",
            "'5c09:a00::5c'",
            "'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'",
        ],
    ),
    kind(
        "UUID",
        Family::Other,
        &[
            "'00000000-0000-0000-0000-000000000000'",
            "'123e4567-e89b-12d3-a456-426655440000'",
            "'5c095c0a-5c00-5c4e-ffff-ffffffffffff'",
        ],
    ),
    kind("GEOMETRY", Family::Shape, SHAPES),
    kind(
        "POINT",
        Family::Shape,
        &["ST_GeomFromText('POINT(1 2)', 4326)", "POINT(9, 10)", "POINT(92, -0e0)"],
    ),
    kind("POLYGON", Family::Shape, &["ST_GeomFromText('POLYGON((0 0,9 0,9 9,0 0))')"]),
    kind(
        "GEOMETRYCOLLECTION",
        Family::Shape,
        &[
            "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1))')",
            "ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')",
        ],
    ),
    kind("GEOMETRY REF_SYSTEM_ID=4326", Family::Shape, SHAPES),
];

/// Returns a column of any type. `collations` are those that the server has.
pub(super) fn column(dice: &mut Dice, part: usize, name: String, collations: &[&str]) -> Column {
    let kind = &TYPES[dice.below(TYPES.len())];
    let mut definition = kind.sql.to_owned();
    let mut charset = String::new();
    let is_text = matches!(kind.family, Family::Text | Family::Members);
    if is_text && dice.chance(75) {
        let collation = dice.pick(collations);
        collation.split('_').next().unwrap_or_default().clone_into(&mut charset);
        // A compressed column names its compression last.
        let (start, compressed) = match kind.sql.strip_suffix(" COMPRESSED") {
            Some(start) => (start, " COMPRESSED"),
            None => (kind.sql, ""),
        };
        definition = format!("{start}{compressed} CHARACTER SET {charset} COLLATE {collation}");
    }
    let is_nullable = dice.chance(70);
    definition.push_str(if is_nullable { " NULL" } else { " NOT NULL" });
    let mut column = Column {
        part,
        name,
        family: kind.family,
        is_nullable,
        definition,
        charset,
        values: kind.values,
    };
    let extra = column.extra(dice);
    column.definition.push_str(&extra);
    column
}

impl Column {
    pub(super) fn member(&self) -> Member {
        Member { part: self.part, text: format!("{} {}", self.name, self.definition) }
    }

    /// Returns a value as the member of `INSERT … SET`.
    pub(super) fn value(&self, dice: &mut Dice) -> Member {
        let value = match self.family {
            _ if self.is_nullable && dice.chance(12) => "NULL".to_owned(),
            Family::Text => text::literal(dice, &self.charset),
            Family::Bytes => dice.bytes(60),
            _ => dice.pick(self.values).to_owned(),
        };
        Member { part: self.part, text: format!("{} = {value}", self.name) }
    }

    /// Returns a default, a comment and the like.
    fn extra(&self, dice: &mut Dice) -> String {
        let mut extra = String::new();
        match dice.below(6) {
            0 if self.definition.starts_with("TIMESTAMP")
                || self.definition.starts_with("DATETIME") =>
            {
                let digits = self.definition.split(['(', ')']).nth(1).unwrap_or("0");
                extra = format!(
                    " DEFAULT CURRENT_TIMESTAMP({digits}) ON UPDATE CURRENT_TIMESTAMP({digits})"
                );
            }
            0 if self.is_nullable => extra.push_str(" DEFAULT NULL"),
            1 => match self.family {
                Family::Number | Family::Time | Family::Members | Family::Other
                    if !self.values.is_empty() =>
                {
                    extra = format!(" DEFAULT {}", dice.pick(self.values));
                }
                Family::Text | Family::Bytes => {
                    extra = format!(" DEFAULT {}", text::quoted(dice));
                }
                _ => {}
            },
            2 => match self.family {
                Family::Text => extra.push_str(" DEFAULT (CONCAT('a', UPPER('é')))"),
                Family::Number => extra.push_str(" DEFAULT (1 + LENGTH('xy'))"),
                Family::Shape => extra.push_str(" DEFAULT (POINT(1, 2))"),
                _ => {}
            },
            _ => {}
        }
        // A column without a default may not hide from those who insert.
        if dice.chance(10) && (self.is_nullable || !extra.is_empty()) {
            extra.push_str(" INVISIBLE");
        }
        if dice.chance(20) {
            let _ = write!(extra, " COMMENT {}", text::quoted(dice));
        }
        extra
    }
}
