//! What random databases were made of: a generator that makes no such thing any more proves nothing.

use std::collections::BTreeSet;

use crate::server::Server;

/// What stands in a database, a kind and a word to a line.
const QUESTIONS: &[&str] = &[
    "SELECT 'engine', engine FROM information_schema.tables WHERE table_schema = '{}' AND engine IS NOT NULL",
    "SELECT 'object', table_type FROM information_schema.tables WHERE table_schema = '{}'",
    "SELECT 'format', row_format FROM information_schema.tables WHERE table_schema = '{}' AND row_format IS NOT NULL",
    "SELECT 'type', data_type FROM information_schema.columns WHERE table_schema = '{}'",
    "SELECT 'charset', character_set_name FROM information_schema.columns WHERE table_schema = '{}' AND character_set_name IS NOT NULL",
    "SELECT 'column', SUBSTRING_INDEX(extra, ' ', 1) FROM information_schema.columns WHERE table_schema = '{}' AND extra <> ''",
    "SELECT 'column', 'HIDDEN' FROM information_schema.columns WHERE table_schema = '{}' AND extra LIKE '%INVISIBLE%'",
    "SELECT 'column', 'COMPRESSED' FROM information_schema.columns WHERE table_schema = '{}' AND column_type LIKE '%COMPRESSED%'",
    "SELECT 'column', 'EXPRESSION' FROM information_schema.columns WHERE table_schema = '{}' AND column_default LIKE '%concat(%'",
    "SELECT 'column', 'SEQUENCE' FROM information_schema.columns WHERE table_schema = '{}' AND column_default LIKE '%nextval(%'",
    "SELECT 'primary', CASE WHEN COUNT(*) > 1 THEN 'COMPOSITE' ELSE 'SINGLE' END FROM information_schema.statistics
     WHERE table_schema = '{}' AND index_name = 'PRIMARY' GROUP BY table_name",
    "SELECT 'primary', IF(sub_part IS NULL, IF(collation = 'D', 'DESC', 'ASC'), 'PREFIX') FROM information_schema.statistics
     WHERE table_schema = '{}' AND index_name = 'PRIMARY'",
    "SELECT 'primary', IF(table_name IN (SELECT table_name FROM information_schema.statistics WHERE table_schema = '{}' AND index_name = 'PRIMARY'),
     'SOME', 'NONE') FROM information_schema.tables WHERE table_schema = '{}' AND table_type = 'BASE TABLE'",
    "SELECT IF(non_unique, 'key', 'unique'), IF(ignored = 'YES', 'IGNORED', index_type) FROM information_schema.statistics
     WHERE table_schema = '{}' AND index_name <> 'PRIMARY'",
    "SELECT 'partitions', CONCAT_WS(' ', partition_method, subpartition_method) FROM information_schema.partitions
     WHERE table_schema = '{}' AND partition_method IS NOT NULL",
    "SELECT 'check', level FROM information_schema.check_constraints WHERE constraint_schema = '{}'",
    "SELECT 'foreign', IF(table_name = referenced_table_name, 'SELF', 'OTHER') FROM information_schema.referential_constraints
     WHERE constraint_schema = '{}'",
    "SELECT 'foreign', 'CIRCLE' FROM information_schema.referential_constraints a JOIN information_schema.referential_constraints b
     ON a.table_name = b.referenced_table_name AND b.table_name = a.referenced_table_name AND a.table_name <> b.table_name
     WHERE a.constraint_schema = '{}' AND b.constraint_schema = '{}'",
    "SELECT 'trigger', action_timing FROM information_schema.triggers WHERE trigger_schema = '{}'",
    "SELECT 'routine', type FROM mysql.proc WHERE db = '{}'",
    "SELECT 'event', status FROM mysql.event WHERE db = '{}'",
    "SELECT 'client', character_set_client FROM information_schema.views WHERE table_schema = '{}'",
    "SELECT 'mode', sql_mode FROM information_schema.routines WHERE routine_schema = '{}'",
];

/// What some of a few hundred databases have.
const USUAL: &[(&str, &str)] = &[
    ("engine", "InnoDB MyISAM Aria MEMORY CSV"),
    ("object", "BASE-TABLE VIEW SEQUENCE SYSTEM-VERSIONED"),
    ("format", "Compact Redundant Dynamic Compressed Fixed Page"),
    (
        "type",
        "tinyint smallint mediumint int bigint decimal float double bit date datetime timestamp time year char varchar \
         tinytext text mediumtext longtext enum set binary varbinary tinyblob blob mediumblob longblob inet4 inet6 uuid \
         geometry point polygon geometrycollection",
    ),
    (
        "charset",
        "ucs2 utf16 utf16le utf32 sjis cp932 gbk big5 ujis eucjpms euckr gb2312 latin1 utf8mb3 utf8mb4",
    ),
    ("column", "auto_increment VIRTUAL STORED HIDDEN COMPRESSED EXPRESSION SEQUENCE on"),
    ("primary", "COMPOSITE SINGLE DESC ASC PREFIX NONE SOME"),
    ("key", "BTREE HASH FULLTEXT SPATIAL IGNORED"),
    ("unique", "BTREE HASH"),
    ("partitions", "HASH KEY LINEAR-HASH RANGE LIST RANGE-COLUMNS RANGE-KEY SYSTEM_TIME"),
    ("check", "Column Table"),
    ("foreign", "SELF OTHER CIRCLE"),
    ("trigger", "BEFORE AFTER"),
    ("routine", "FUNCTION PROCEDURE PACKAGE"),
    ("event", "ENABLED DISABLED SLAVESIDE_DISABLED"),
    ("client", "latin1 gbk utf8mb4"),
    ("mode", "PIPES_AS_CONCAT,ANSI_QUOTES NO_BACKSLASH_ESCAPES"),
    ("history", "ROWS"),
];

/// Returns what a database is made of, as lines of a kind and a word.
pub(super) fn of(server: &Server, database: &str) -> BTreeSet<String> {
    let questions: Vec<_> = QUESTIONS.iter().map(|sql| sql.replace("{}", database)).collect();
    let told = server.sql(&questions.join("; "));
    told.lines().map(|line| line.replace(' ', "-").replace('\t', " ")).collect()
}

/// Returns what is usual and was not seen.
pub(super) fn missing(seen: &BTreeSet<String>) -> Vec<String> {
    let usual = USUAL.iter().flat_map(|(kind, words)| {
        words.split_ascii_whitespace().map(move |word| format!("{kind} {word}"))
    });
    usual.filter(|line| !seen.contains(line)).collect()
}
