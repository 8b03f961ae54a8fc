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
    (
        5,
        "rows that were are hidden",
        &[
            "rows_of_all_times_come_back_and_those_of_today_are_of_today",
            "history_that_no_server_would_take_back_is_refused_by_name",
            "a_server_that_lets_nobody_write_another_time_is_refused_before_anything_is_written",
            RANDOM,
        ],
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
        13,
        "programs mean what they mean in their character set and collation",
        &[
            PROGRAMS,
            RANDOM,
            "programs_of_a_client_of_another_character_set_keep_names_comments_and_bodies",
            LACKS,
            "what_both_have_comes_down_in_the_collation_of_11_8",
        ],
    ),
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
        15,
        "a DEFINER that the server lacks",
        &[
            "what_belongs_to_accounts_that_the_server_lacks_comes_back_and_works_once_they_are_there",
            "definers_that_do_not_exist_and_rights_that_are_not_saved_are_named",
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
        23,
        "types that an older server lacks",
        &[LACKS, VALUES, SHAPES, RANDOM, "values_that_tools_change_go_up_and_come_down_again"],
    ),
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
        26,
        "timeouts of the server end what takes long",
        &["every_session_means_the_same_whatever_the_server_says", ODD],
    ),
    (
        27,
        "the first line of newer dumps breaks older clients",
        &["the_readme_brings_a_snapshot_back_without_snap"],
    ),
    (
        28,
        "accounts are more than their passwords",
        &[
            "accounts_come_to_another_server_as_they_were_and_log_in",
            "an_account_that_exists_keeps_its_password_and_gets_what_it_lacks_on_the_database",
            "an_account_whose_plugin_is_absent_is_left_out_with_a_warning",
            "definers_that_do_not_exist_and_rights_that_are_not_saved_are_named",
            "what_is_not_ours_to_touch_is_kept",
        ],
    ),
    (
        29,
        "what an account may not see seems not to be there",
        &[
            "the_rights_that_doctor_asks_for_are_enough_to_create_and_none_is_too_many",
            "an_account_without_rights_is_told_all_it_needs_to_create",
            "an_account_that_sees_the_routines_may_do_without_their_bodies",
        ],
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
    (32, "text keys compare by their collation", &[CHUNKS, "text_is_compared_under_its_collation"]),
    (33, "keys of large numbers, negative ones, ZEROFILL", &[RANDOM, CHUNKS]),
    (34, "long unique keys, and periods", &[SHAPES]),
    (
        35,
        "aggregate functions, packages, functions of a library, servers of others",
        &[
            PROGRAMS,
            "what_calls_a_function_of_a_library_that_the_server_lacks_is_named_before_anything_is_replaced",
            REMOTE,
        ],
    ),
    (36, "a node of a Galera cluster", &["a_node_of_a_galera_cluster_is_saved_and_restored"]),
    (37, "a restore is replicated", &["a_restore_is_in_the_binary_log_for_others_to_follow"]),
    (
        38,
        "statistics apart from the engines are lost",
        &["tables_that_had_statistics_of_their_own_have_them_again_and_others_have_none"],
    ),
    (39, "a column is added at once while others read", &[CHANGED, CHANGED_BESIDE]),
    (
        40,
        "a server that takes no writes, no files, or no plain connections",
        &[
            "a_server_that_takes_no_rows_is_refused_with_the_remedy",
            "a_server_that_is_read_only_is_refused_unless_the_account_may_write_to_it",
            "a_tcp_connection_stays_tcp_and_is_encrypted_when_asked",
        ],
    ),
    (
        41,
        "composite, ENUM and SET keys as boundaries",
        &[
            CHUNKS,
            "a_composite_key_is_compared_column_by_column",
            "ranges_that_lose_rows_or_give_them_twice_are_read_again_as_one",
        ],
    ),
    (
        42,
        "READ COMMITTED as the default of a server",
        &[LOGGED, UNLOGGED, "a_reading_session_keeps_its_snapshot_while_others_commit"],
    ),
    (43, "without the binary log no two positions differ", &[UNLOGGED]),
    (
        44,
        "tables without transactions keep commits waiting",
        &[
            "tables_without_transactions_are_of_the_same_moment_as_the_others",
            "a_writer_waits_for_a_create_no_longer_than_a_blink",
        ],
    ),
    (
        45,
        "the warnings of all rows but the last are forgotten",
        &["a_first_row_of_many_that_does_not_fit_fails_the_restore_with_the_words_of_the_server"],
    ),
    (
        46,
        "invalid dates become zero",
        &[
            VALUES,
            ODD_TARGET,
            "a_loading_session_takes_odd_values_as_they_are_and_refuses_wrong_ones",
        ],
    ),
    (
        47,
        "the rows of today are of yesterday on a newer server",
        &["history_crosses_and_the_rows_of_today_stay_of_today"],
    ),
    (
        48,
        "a character set alone means another collation on a newer server",
        &["a_routine_keeps_the_collation_of_its_result_and_a_parameter_that_changes_is_named"],
    ),
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
        51,
        "what a killed client began goes on in the server",
        &["what_a_killed_restore_left_running_in_the_server_does_not_keep_the_next_one_away"],
    ),
    (
        52,
        "ways to log in that clients do not know",
        &[
            "accounts_of_every_kind_save_and_restore",
            "accounts_of_every_common_kind_log_in",
            "a_studio_of_10_11_answers_the_same_on_11_8",
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
    (
        54,
        "a server that dies forgets files, and DROP DATABASE fails with 1010 for ever",
        &[
            "files_that_a_dead_server_forgot_go_with_the_next_restore",
            "a_schema_that_the_server_cannot_drop_keeps_nobody_from_anything_and_goes_when_it_can",
        ],
    ),
];

const LAST: u32 = 54;

const RANDOM: &str = "random_databases_come_back_value_by_value";
const VALUES: &str = "values_at_the_edges_of_their_types_come_back";
const TEXTS: &str = "text_whose_bytes_look_like_separators_comes_back_in_every_character_set";
const SHAPES: &str = "tables_of_every_shape_come_back";
const PROGRAMS: &str = "views_triggers_routines_and_events_come_back_as_they_were_written";
const ODD: &str = "a_server_of_strict_and_odd_settings_changes_nothing";
const ODD_TARGET: &str = "a_snapshot_of_a_usual_server_comes_back_on_one_of_odd_settings";
const CHUNKS: &str = "boundaries_are_keys_that_every_kind_of_column_compares_as_the_index_does";
const LACKS: &str = "what_10_11_lacks_is_refused_by_name_before_anything_is_written";
const REMOTE: &str = "tables_that_are_not_the_servers_own_or_broken_are_refused_by_name";
const CHANGED: &str = "a_table_that_changes_before_it_is_read_is_read_again_as_it_has_become";
const CHANGED_BESIDE: &str = "what_changes_while_others_are_read_is_read_again_as_it_has_become";
const LOGGED: &str = "with_the_binary_log_each_way_to_a_moment_is_sound";
const UNLOGGED: &str = "without_the_binary_log_each_way_to_a_moment_is_sound";

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
    let numbers = TRAPS.iter().map(|(number, _, _)| *number);
    assert!(numbers.eq(1..=LAST), "each once in its order, and none is missing");
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
