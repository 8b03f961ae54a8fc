//! Hostile bytes for everything that reads what somebody else may have written.
//!
//! Each target starts from the files in `fixtures/fuzz/TARGET`, changes them at random for
//! `SNAP_FUZZ_SECONDS` seconds (2 without), and checks what must hold of any bytes: no panic, no
//! hang, memory bounded, and what reads well is written and read again as the same. An input that
//! breaks this is kept in the same folder as `finding-…`, so that from then on every run begins
//! with it. `SNAP_FUZZ_SEED` repeats a run.
#![expect(
    clippy::disallowed_methods,
    reason = "a fuzzer reads its settings and writes its findings"
)]

#[path = "../appliance/random/dice.rs"]
#[expect(dead_code, reason = "the random databases of the other tests throw more kinds of dice")]
mod dice;
mod change;
mod forge;
mod hunt;
mod targets;

use crate::change::change;
use crate::forge::forge;
use crate::hunt::Corpus;
use crate::hunt::hunt;
use crate::targets::Archives;
use crate::targets::Chunks;
use crate::targets::Trees;

#[test]
fn an_archive_of_any_bytes_is_taken_whole_or_refused() {
    let archives = Archives::new();
    hunt(&Corpus::of("archive"), forge, |input| archives.upload(input));
}

#[test]
fn a_manifest_of_any_bytes_is_read_or_refused() {
    hunt(&Corpus::of("manifest"), change, targets::manifest);
}

#[test]
fn a_catalog_of_any_bytes_is_read_as_it_is_written_or_refused() {
    hunt(&Corpus::of("catalog"), change, targets::catalog);
}

#[test]
fn a_list_of_files_of_any_bytes_is_read_as_it_is_written_or_refused() {
    hunt(&Corpus::of("list"), change, targets::list);
}

#[test]
fn a_tree_of_any_bytes_is_the_one_of_its_list_or_refused() {
    let trees = Trees::new();
    hunt(&Corpus::of("tree"), change, |input| trees.stage(input));
}

#[test]
fn definitions_of_any_bytes_are_understood_or_refused() {
    hunt(&Corpus::of("definition"), change, targets::definition);
}

#[test]
fn a_statement_of_any_bytes_is_printed_as_it_was_parsed_or_refused() {
    hunt(&Corpus::of("statement"), change, targets::statement);
}

#[test]
fn rows_of_any_bytes_are_proven_or_refused() {
    let chunks = Chunks::new();
    hunt(&Corpus::of("chunk"), change, |input| chunks.read(input));
}

#[test]
fn a_difference_of_any_bytes_is_proven_or_refused() {
    let chunks = Chunks::new();
    hunt(&Corpus::of("delta"), change, |input| chunks.read_delta(input));
}

#[test]
fn certificates_of_any_bytes_are_looked_at_without_harm() {
    let trees = Trees::new();
    let corpus = Corpus::of("certificate").with_certificates();
    hunt(&corpus, change, |input| trees.check_certificates(input));
}

#[test]
fn a_security_file_of_any_bytes_changes_in_its_roles_alone_or_is_refused() {
    hunt(&Corpus::of("security"), change, targets::security);
}
