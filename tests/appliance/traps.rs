//! The traps of MariaDB that tools fall into, each with the tests that prove that `snap` does not.
//!
//! Whoever finds another one adds a line here and a test. A trap whose proof is a refusal names the
//! test of that refusal.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Number, trap, and the names of the tests.
type Trap = (u32, &'static str, &'static [&'static str]);

const TRAPS: &[Trap] = &[
    (
        1,
        "FLOAT loses digits as text",
        &[VALUES, RANDOM, "floats_take_the_shortest_form_that_reads_back"],
    ),
    (2, "SELECT * omits invisible columns", &[SHAPES, RANDOM]),
    (3, "generated columns are not loaded, expression defaults are", &[SHAPES, RANDOM]),
    (
        4,
        "a sequence shows where it started",
        &["sequences_go_on_where_they_were_and_feed_their_columns_under_any_name"],
    ),
    (6, "zero and invalid dates under a strict mode", &[ODD, ODD_TARGET, VALUES]),
    (7, "TIMESTAMP under a time zone and its DST", &[ODD, VALUES]),
    (8, "NULL becomes now in a TIMESTAMP", &[ODD, ODD_TARGET]),
    (
        9,
        "BIT, BINARY, BLOB and GEOMETRY are bytes; NULL is no empty text",
        &[TEXTS, VALUES, RANDOM],
    ),
    (
        10,
        "LOAD DATA LOCAL drops and truncates with a warning",
        &["a_warning_of_the_server_while_rows_are_loaded_is_a_failure_that_names_table_and_chunk"],
    ),
    (11, "AUTO_INCREMENT: rows of 0, counters, steps of the server", &[SHAPES, ODD]),
    (12, "programs mean what they mean under their sql_mode", &[PROGRAMS, ODD, RANDOM]),
    (
        14,
        "views on views, and broken ones",
        &[
            PROGRAMS,
            "a_broken_view_is_told_at_both_ends_and_keeps_nothing_else_away",
            "a_view_comes_after_those_it_reads_from",
        ],
    ),
    (
        16,
        "views name their database",
        &[
            "a_restore_reaches_into_no_database_but_its_own",
            "a_view_reads_from_the_database_it_is_in",
        ],
    ),
    (17, "several triggers of one event fire in order", &[PROGRAMS, RANDOM]),
    (
        18,
        "events run at once, or began long ago",
        &["what_was_replaced_is_whole_beside_and_its_events_do_not_run", PROGRAMS, ODD],
    ),
    (
        19,
        "foreign keys in circles, and orphans",
        &["foreign_keys_in_circles_and_upon_themselves_come_back_and_hold", SHAPES],
    ),
    (20, "CHECKs that old rows break", &[SHAPES, RANDOM]),
    (
        21,
        "partitions, and their own folders",
        &[SHAPES, RANDOM, "tables_whose_files_lie_elsewhere_are_refused_by_name"],
    ),
    (22, "row formats that a strict server refuses", &[ODD, ODD_TARGET]),
    (
        24,
        "names that differ by case alone",
        &["a_server_that_tells_no_case_apart_takes_no_two_tables_of_one_name"],
    ),
    (
        25,
        "values as large as a packet",
        &[
            "rows_of_17_and_of_70_megabytes_come_back",
            "a_value_larger_than_the_packets_of_another_server_comes_back",
            "a_row_larger_than_the_packets_of_its_server_comes_back",
        ],
    ),
    (
        27,
        "the first line of newer dumps breaks older clients",
        &["the_readme_brings_a_snapshot_back_without_snap"],
    ),
    (
        30,
        "tables that are remote or broken",
        &[
            "tables_that_are_not_the_servers_own_or_broken_are_refused_by_name",
            "what_cannot_be_saved_is_refused_by_name_and_nothing_is_listed",
        ],
    ),
    (31, "names of every kind", &["names_of_every_kind_come_back", RANDOM]),
    (33, "keys of large numbers, negative ones, ZEROFILL", &[RANDOM, CHUNKS]),
    (34, "long unique keys, and periods", &[SHAPES]),
    (36, "a node of a Galera cluster", &["a_node_of_a_galera_cluster_is_saved_and_restored"]),
    (37, "a restore is replicated", &["a_restore_is_in_the_binary_log_for_others_to_follow"]),
    (
        49,
        "a view's names are qualified elsewhere than in its schema",
        &["a_restore_reaches_into_no_database_but_its_own", PROGRAMS],
    ),
    (
        50,
        "one side of a foreign key swapped alone",
        &[
            "foreign_keys_of_other_databases_refuse_the_restore_by_name",
            "a_foreign_key_whose_table_is_gone_names_its_own_database_again",
        ],
    ),
    (
        53,
        "one RENAME TABLE of tables of every kind",
        &[
            SHAPES,
            "a_table_that_stays_in_use_ends_the_restore_and_its_triggers_stay",
            "files_that_cannot_be_swapped_take_the_database_back_too",
        ],
    ),
];

/// Traps without a line above. There may be none in the end.
const UNMAPPED: &[u32] =
    &[5, 13, 15, 23, 26, 28, 29, 32, 35, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 51, 52];

const LAST: u32 = 53;

const RANDOM: &str = "random_databases_come_back_value_by_value";
const VALUES: &str = "values_at_the_edges_of_their_types_come_back";
const TEXTS: &str = "text_whose_bytes_look_like_separators_comes_back_in_every_character_set";
const SHAPES: &str = "tables_of_every_shape_come_back";
const PROGRAMS: &str = "views_triggers_routines_and_events_come_back_as_they_were_written";
const ODD: &str = "a_server_of_strict_and_odd_settings_changes_nothing";
const ODD_TARGET: &str = "a_snapshot_of_a_usual_server_comes_back_on_one_of_odd_settings";
const CHUNKS: &str = "boundaries_are_keys_that_every_kind_of_column_compares_as_the_index_does";

#[test]
fn every_trap_has_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeSet::new();
    for folder in ["src", "tests"] {
        add_tests(&root.join(folder), &mut tests);
    }
    for (number, trap, proofs) in TRAPS {
        assert!(!proofs.is_empty(), "trap {number}, {trap}: no test");
        for proof in *proofs {
            assert!(tests.contains(*proof), "trap {number}, {trap}: there is no test {proof}");
        }
    }
    let mapped = TRAPS.iter().map(|(number, _, _)| *number);
    let mut numbers: Vec<_> = mapped.chain(UNMAPPED.iter().copied()).collect();
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(1..=LAST), "each once, and none is missing: {numbers:?}");
}

/// Adds the names of the functions that `#[test]` or the like stands before.
fn add_tests(path: &Path, tests: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("list sources") {
            add_tests(&entry.expect("read a folder of sources").path(), tests);
        }
        return;
    }
    if path.extension().is_none_or(|extension| extension != "rs") {
        return;
    }
    let text = fs::read_to_string(path).expect("read a source");
    for marked in text.split("#[test]\n").skip(1).chain(text.split("#[tokio::test]\n").skip(1)) {
        let name = marked.split_once("fn ").and_then(|(_, rest)| rest.split_once('('));
        tests.extend(name.map(|(name, _)| name.to_owned()));
    }
}
