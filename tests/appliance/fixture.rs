//! What `fixtures/studio.sql` holds: each claim that other tests build on.

use crate::place::Place;

/// A claim about the fixture, and a query that returns a row for each thing that bears it out.
const CLAIMS: &[(&str, &str)] = &[
    ("a row with id 0", "SELECT 1 FROM element WHERE id = 0"),
    (
        "a counter beyond the greatest id",
        "SELECT 1 FROM tables WHERE table_name = 'element' AND auto_increment = 50000",
    ),
    (
        "an empty table with a counter",
        "SELECT 1 FROM tables WHERE table_name = 'broker_output' AND auto_increment = 17 AND table_rows = 0",
    ),
    (
        "a table in latin1",
        "SELECT 1 FROM tables WHERE table_collation LIKE 'latin1%' AND engine = 'InnoDB'",
    ),
    ("a table in utf8mb4", "SELECT 1 FROM tables WHERE table_collation LIKE 'utf8mb4%'"),
    ("a MyISAM table with rows", "SELECT 1 FROM tables WHERE engine = 'MyISAM' AND table_rows > 0"),
    ("an Aria table with rows", "SELECT 1 FROM tables WHERE engine = 'Aria' AND table_rows > 0"),
    ("a compressed table", "SELECT 1 FROM tables WHERE row_format = 'Compressed'"),
    (
        "a partitioned table",
        "SELECT 1 FROM information_schema.partitions WHERE table_schema = 'centreon_studio' AND partition_name = 'later'",
    ),
    ("a sequence used once", "SELECT 1 FROM audit_number WHERE next_not_cached_value > 1000"),
    (
        "a view upon a view",
        "SELECT 1 FROM views WHERE table_name = 'overview' AND view_definition LIKE '%`zone`%'",
    ),
    ("views that work", "SELECT 1 FROM active_overview WHERE label LIKE '%0001'"),
    ("a virtual column", "SELECT 1 FROM columns WHERE extra LIKE '%VIRTUAL GENERATED%'"),
    ("a stored generated column", "SELECT 1 FROM columns WHERE extra LIKE '%STORED GENERATED%'"),
    ("an invisible column", "SELECT 1 FROM columns WHERE extra LIKE '%INVISIBLE%'"),
    ("a default that is an expression", "SELECT 1 FROM columns WHERE column_default LIKE 'uuid()'"),
    (
        "a default that calls functions",
        "SELECT 1 FROM columns WHERE column_default LIKE 'concat(%'",
    ),
    ("a full-text index", "SELECT 1 FROM statistics WHERE index_type = 'FULLTEXT'"),
    ("a spatial index", "SELECT 1 FROM statistics WHERE index_type = 'SPATIAL'"),
    (
        "an index on a generated column",
        "SELECT 1 FROM statistics WHERE column_name = 'name_length'",
    ),
    (
        "a named check",
        "SELECT 1 FROM information_schema.check_constraints WHERE constraint_name = 'view_refresh'",
    ),
    (
        "a check of JSON",
        "SELECT 1 FROM information_schema.check_constraints WHERE check_clause LIKE 'json_valid(%'",
    ),
    (
        "a key of strings",
        "SELECT 1 FROM statistics WHERE table_name = 'translation' AND index_name = 'PRIMARY' AND seq_in_index = 2",
    ),
    (
        "a key that starts with an ENUM",
        "SELECT 1 FROM statistics WHERE table_name = 'view_acl' AND index_name = 'PRIMARY' AND column_name = 'origin' AND seq_in_index = 1",
    ),
    (
        "a self reference",
        "SELECT 1 FROM references_ WHERE table_name = 'element' AND referenced_table_name = 'element'",
    ),
    (
        "a circle of references, out",
        "SELECT 1 FROM references_ WHERE table_name = 'view' AND referenced_table_name = 'container'",
    ),
    (
        "a circle of references, back",
        "SELECT 1 FROM references_ WHERE table_name = 'container' AND referenced_table_name = 'view'",
    ),
    (
        "three triggers of one event, in an order",
        "SELECT 1 FROM triggers_ WHERE trigger_name = 'element_double_type' AND action_order = 3",
    ),
    (
        "a trigger after an update",
        "SELECT 1 FROM triggers_ WHERE action_timing = 'AFTER' AND event_manipulation = 'UPDATE'",
    ),
    ("a procedure", "SELECT 1 FROM routines_ WHERE routine_type = 'PROCEDURE'"),
    (
        "a function of another mode",
        "SELECT 1 FROM routines_ WHERE routine_type = 'FUNCTION' AND sql_mode LIKE '%PIPES_AS_CONCAT%' AND tag_of(5) = 'tag-5-1'",
    ),
    (
        "an event that is enabled",
        "SELECT 1 FROM information_schema.events WHERE event_schema = 'centreon_studio' AND status = 'ENABLED'",
    ),
    (
        "an event that is disabled",
        "SELECT 1 FROM information_schema.events WHERE event_schema = 'centreon_studio' AND status = 'DISABLED'",
    ),
    ("a FLOAT of nine digits", "SELECT 1 FROM metric WHERE warning + 0e0 = 1234567.75"),
    ("a zero date", "SELECT 1 FROM calendar WHERE CAST(day AS CHAR) = '0000-00-00'"),
    (
        "a date that no calendar has",
        "SELECT 1 FROM calendar WHERE CAST(moment AS CHAR) LIKE '2023-02-31%'",
    ),
    ("a NUL in a text", "SELECT 1 FROM element_property WHERE LOCATE(CHAR(0), value) > 0"),
    ("an emoji", "SELECT 1 FROM element_property WHERE HEX(value) LIKE 'F09F9FA2%'"),
    ("a text that looks like NULL", "SELECT 1 FROM element_property WHERE HEX(value) = '5C4E'"),
    (
        "an image of 1.5 MB",
        "SELECT 1 FROM data WHERE LENGTH(content) > 1500000 AND digest = UNHEX(SHA2(content, 256))",
    ),
    ("an SRID", "SELECT 1 FROM geo_view WHERE ST_SRID(centre) = 4326"),
    (
        "a row twice without a key",
        "SELECT 1 FROM event_log WHERE message = 'twice' HAVING COUNT(*) = 2",
    ),
    (
        "the old roles",
        "SELECT 1 FROM roles WHERE (id, name) IN ((1, 'admin'), (2, 'user')) HAVING COUNT(*) = 2",
    ),
];

/// Column types that occur in the fixture.
const TYPES: &[&str] = &[
    "bigint",
    "binary",
    "bit",
    "char",
    "date",
    "datetime",
    "decimal",
    "double",
    "enum",
    "float",
    "geometry",
    "inet4",
    "inet6",
    "int",
    "longblob",
    "longtext",
    "mediumblob",
    "mediumint",
    "mediumtext",
    "point",
    "set",
    "smallint",
    "text",
    "time",
    "timestamp",
    "tinyblob",
    "tinyint",
    "uuid",
    "varbinary",
    "varchar",
    "year",
];

/// The tables that link users, groups, roles and tenants.
const LINKS: &[&str] = &["groups_tenants", "users_groups", "users_roles", "users_tenants"];

#[test]
fn the_fixture_holds_what_it_claims_and_loads_the_same_twice() {
    let place = Place::empty();
    place.server.load_fixture();
    for (claim, query) in CLAIMS {
        assert_ne!(place.server.sql(&in_studio(query)), "", "the fixture lacks {claim}");
    }
    let types = place.server.sql(&in_studio("SELECT DISTINCT data_type FROM columns ORDER BY 1"));
    assert_eq!(types.lines().collect::<Vec<_>>(), TYPES);

    let first = place.server.dump("centreon_studio");
    assert!(first.contains("CREATE TABLE `users_tenants`"), "the dump has no tables");
    place.server.sql("DROP DATABASE centreon_studio");
    place.server.load_fixture();
    assert!(place.server.dump("centreon_studio") == first, "two loads of the fixture differ");
}

#[test]
fn the_links_of_the_users_have_no_primary_key_and_one_row_twice() {
    let place = Place::empty();
    place.server.load_fixture();
    for table in LINKS {
        let keys = in_studio(&format!(
            "SELECT 1 FROM statistics WHERE table_name = '{table}' AND index_name = 'PRIMARY'"
        ));
        assert_eq!(place.server.sql(&keys), "", "{table} has a primary key");
        let rows = format!(
            "SELECT COUNT(*) - (SELECT COUNT(*) FROM (SELECT DISTINCT * FROM {table}) AS d) FROM {table}"
        );
        assert_eq!(place.server.sql(&format!("USE centreon_studio; {rows}")), "1\n", "{table}");
    }
}

/// Returns the query with the names of `information_schema`'s tables standing for the fixture's rows of them.
fn in_studio(query: &str) -> String {
    let of = |name: &str, table: &str, column: &str| {
        format!(
            "{name} AS (SELECT * FROM information_schema.{table} WHERE {column} = 'centreon_studio')"
        )
    };
    let views = [
        of("tables", "tables", "table_schema"),
        of("columns", "columns", "table_schema"),
        of("statistics", "statistics", "table_schema"),
        of("views", "views", "table_schema"),
        of("triggers_", "triggers", "trigger_schema"),
        of("routines_", "routines", "routine_schema"),
        of("references_", "key_column_usage", "table_schema"),
    ];
    format!("USE centreon_studio; WITH {} {query}", views.join(", "))
}
