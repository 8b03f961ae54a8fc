//! All that a database holds, as the server tells it in SQL: nothing here is shared with `snap`.
//!
//! Every value is written so that values that differ read otherwise: text and bytes in hex, FLOATs
//! as doubles, numbers and times as they are.

use std::fmt::Write as _;

use crate::server::Server;

/// What stands behind a restored name.
const OBJECTS: &[&str] = &[
    "SELECT 'database', default_character_set_name, default_collation_name, HEX(schema_comment)
     FROM information_schema.schemata WHERE schema_name = '{}'",
    "SELECT 'view', HEX(table_name), HEX(REPLACE(view_definition, '`{}`.', '`?`.')), check_option, is_updatable, definer,
     security_type, character_set_client, collation_connection, algorithm
     FROM information_schema.views WHERE table_schema = '{}' ORDER BY 2",
    "SELECT 'trigger', HEX(trigger_name), event_manipulation, action_timing, HEX(event_object_table), action_order,
     HEX(action_statement), sql_mode, definer, character_set_client, collation_connection, database_collation
     FROM information_schema.triggers WHERE trigger_schema = '{}' ORDER BY 2",
    "SELECT 'routine', HEX(name), type, HEX(specific_name), language, sql_data_access, is_deterministic, security_type,
     HEX(param_list), HEX(returns), HEX(body), definer, sql_mode, HEX(comment), character_set_client,
     collation_connection, db_collation, aggregate FROM mysql.proc WHERE db = '{}' ORDER BY 2, 3",
    "SELECT 'parameter', HEX(specific_name), ordinal_position, HEX(parameter_name), dtd_identifier, character_set_name,
     collation_name FROM information_schema.parameters WHERE specific_schema = '{}' ORDER BY 2, 3, routine_type",
    "SELECT 'event', HEX(name), HEX(body), definer, execute_at, interval_value, interval_field, starts, ends, status,
     on_completion, sql_mode, HEX(comment), time_zone, character_set_client, collation_connection, db_collation
     FROM mysql.event WHERE db = '{}' ORDER BY 2",
];

/// What is told of a table that holds rows which are no longer current.
pub(super) const PAST: &str = "history ROWS";

/// What the server hides of tables that keep their history, unless it has names.
const HIDDEN: &[&str] = &["`row_start`", "`row_end`"];

/// The columns of all that rows can be read from. A view is compared by its definition alone.
const COLUMNS: &str = "SELECT table_type, HEX(table_name), HEX(column_name), data_type, generation_expression = 'ROW END'
    FROM information_schema.tables JOIN information_schema.columns USING (table_schema, table_name)
    WHERE table_schema = '{}' AND table_type <> 'VIEW' AND BINARY tables.table_name = BINARY columns.table_name
    ORDER BY 2, ordinal_position";

/// A table or sequence, in backticks, and what is read from it.
struct Table {
    is_sequence: bool,
    is_versioned: bool,
    /// Whether the columns of a row's time have names of their own.
    has_named_end: bool,
    name: String,
    values: Vec<String>,
}

/// Returns a database as lines that are equal for equal databases, whatever their names, or what
/// the server says of a table that it cannot read.
pub(crate) fn described(server: &Server, database: &str) -> Result<Vec<String>, String> {
    let mut script = "SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = '';".to_owned();
    for object in OBJECTS {
        let _ = write!(script, "{};", object.replace("{}", database));
    }
    for table in tables(server, database) {
        let (name, values) = (format!("`{database}`.{}", table.name), table.values.join(", '|', "));
        let times = if table.is_versioned { " FOR SYSTEM_TIME ALL" } else { "" };
        let show = if table.is_sequence { "SEQUENCE" } else { "TABLE" };
        let _ = write!(
            script,
            "SHOW CREATE {show} {name}; SELECT 'rows', COUNT(*) FROM {name};
             SELECT '{PAST}' FROM DUAL WHERE (SELECT COUNT(*) FROM {name}{times}) > (SELECT COUNT(*) FROM {name});
             SELECT CONCAT({values}) AS v FROM {name}{times} ORDER BY v;"
        );
    }
    let told = server.try_sql(&script)?.replace(&format!("`{database}`."), "`?`.");
    let mut lines: Vec<_> = told.lines().map(str::to_owned).collect();
    // Where one of hashes is among them, their order hangs on what was done to the table before.
    for keys in lines.chunk_by_mut(|one, other| is_unique(one) == is_unique(other)) {
        if keys.iter().any(|key| is_unique(key) && key.contains(" USING HASH")) {
            for key in &mut *keys {
                key.truncate(key.trim_end_matches(',').len());
            }
            keys.sort();
        }
    }
    Ok(lines)
}

fn is_unique(line: &str) -> bool {
    line.starts_with("  UNIQUE KEY ")
}

fn tables(server: &Server, database: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let told = server.sql(&COLUMNS.replace("{}", database));
    for line in told.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let [kind, table, column, data_type, is_end] = fields[..] else { panic!("{line:?}") };
        let name = identifier(table);
        if tables.last().is_none_or(|last| last.name != name) {
            let (is_sequence, is_versioned) = (kind == "SEQUENCE", kind == "SYSTEM VERSIONED");
            let (has_named_end, values) = (false, Vec::new());
            tables.push(Table { is_sequence, is_versioned, has_named_end, name, values });
        }
        let table = tables.last_mut().expect("one was pushed");
        table.values.push(value(&identifier(column), data_type));
        table.has_named_end |= is_end == "1";
    }
    for table in tables.iter_mut().filter(|table| table.is_versioned && !table.has_named_end) {
        table.values.extend(HIDDEN.iter().map(|column| value(column, "timestamp")));
    }
    tables
}

/// Returns SQL for the text of a column's values.
fn value(column: &str, data_type: &str) -> String {
    let text = match data_type {
        "float" => format!("CAST({column} + 0e0 AS CHAR)"),
        "bit" => format!("HEX({column})"),
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set"
        | "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
            format!("HEX({column})")
        }
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geometrycollection" => {
            format!("CONCAT(ST_SRID({column}), ':', HEX(ST_AsWKB({column})))")
        }
        _ => format!("CAST({column} AS CHAR)"),
    };
    format!("IFNULL({text}, 'NULL')")
}

/// Returns a name that the server told in hex as an identifier.
pub(super) fn identifier(hex: &str) -> String {
    let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
    let bytes: Result<Vec<_>, _> = bytes.collect();
    let name = String::from_utf8(bytes.expect("HEX gives digits")).expect("names are UTF-8");
    format!("`{}`", name.replace('`', "``"))
}
