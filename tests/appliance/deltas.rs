//! Chunks of which a few rows changed: what they cost, and that nothing is lost with what they need.

use serde_json::Value;

use crate::layout::Chunk;
use crate::place::Place;
use crate::recovery::recover;
use crate::server::assert_succeeds;
use crate::stored;

/// Returns a place whose only table has one chunk of 60,000 rows, 6 MB.
fn one_table() -> Place {
    let place = Place::empty();
    place.server.sql(
        "CREATE DATABASE centreon_studio; USE centreon_studio;
         CREATE TABLE metric (id INT PRIMARY KEY, name CHAR(64) CHARACTER SET latin1, value INT, seen DATETIME);
         INSERT INTO metric SELECT seq, SHA2(seq, 256), seq * 7 MOD 1000, '2026-01-01' + INTERVAL seq SECOND
             FROM seq_1_to_60000",
    );
    place
}

/// Changes 1 % of the rows, one after the other.
fn change(place: &Place, from: u32) {
    let to = from + 600;
    place.server.sql(&format!(
        "UPDATE centreon_studio.metric SET value = value + 1 WHERE id > {from} AND id <= {to}"
    ));
}

/// Creates a snapshot; returns the bytes that were new to the repository.
fn create(place: &Place, id: &str) -> u64 {
    let created = place.snap(&["create", id, "--json"]);
    let created: Value = serde_json::from_str(created.succeeded()).expect("one object");
    created["snapshot"]["written_bytes"].as_u64().expect("a size")
}

/// Returns the one chunk of the table.
fn chunk(place: &Place, id: &str) -> Chunk {
    let mut chunks = place.chunks(id, "metric");
    assert_eq!(chunks.len(), 1);
    chunks.remove(0)
}

fn checksum(place: &Place, database: &str) -> String {
    let answer = place.server.sql(&format!("CHECKSUM TABLE {database}.metric EXTENDED"));
    answer.split_whitespace().next_back().expect("a checksum").to_owned()
}

#[test]
fn one_percent_of_a_table_costs_its_difference_and_outlives_the_snapshot_it_differs_from() {
    let place = one_table();
    let first = create(&place, "first");
    let full = chunk(&place, "first");
    assert_eq!(full.base, None);
    change(&place, 30_000);
    let second = create(&place, "second");
    assert!(second * 10 < first, "{second} bytes were new, after {first}");
    let stored = place.blob(&chunk(&place, "second").digest).len();
    let before = place.blob(&full.digest).len();
    assert!(stored * 20 < before, "{stored} bytes for 1 % of {before}");
    // What is a difference itself is no base.
    change(&place, 10_000);
    let third = create(&place, "third");
    assert!(third * 10 < first, "{third} bytes were new, after {first}");
    for id in ["second", "third"] {
        assert_eq!(chunk(&place, id).base.as_ref(), Some(&full.digest), "{id}");
    }
    // Nothing changed: the difference itself is used again.
    assert!(create(&place, "fourth") < 20_000);
    assert_eq!(chunk(&place, "fourth"), chunk(&place, "third"));
    place.snap(&["verify", "--read-data"]).succeeded();

    place.snap(&["delete", "first", "second", "third"]).succeeded();
    place.snap(&["prune", "--grace", "0s"]).succeeded();
    let kept = place.named_blobs(["fourth"].into_iter());
    assert_eq!(place.stored_blobs(), kept, "prune keeps what the snapshot needs, and no more");
    place.snap(&["verify", "--read-data"]).succeeded();
    place.snap(&["restore", "fourth", "--database", "copy"]).succeeded();
    let live = checksum(&place, "centreon_studio");
    assert_eq!(checksum(&place, "copy"), live);

    let archive = place.path("fourth.tar").display().to_string();
    place.snap(&["download", "fourth", "-o", &archive]).succeeded();
    let elsewhere = format!("--repository={}", place.path("elsewhere").display());
    place.snap(&["upload", &archive, &elsewhere]).succeeded();
    place.snap(&["restore", "fourth", "--database", "carried", &elsewhere]).succeeded();
    assert_eq!(checksum(&place, "carried"), live);

    place.server.sql("DROP DATABASE centreon_studio");
    let recovered = recover(&place, &place.repository(), "fourth", &place.path("recovered"));
    assert_succeeds(&recovered, "recover.sh");
    assert_eq!(checksum(&place, "centreon_studio"), live);
}

#[test]
fn a_damaged_base_is_found_for_all_that_need_it_and_the_next_snapshot_does_without() {
    let place = one_table();
    create(&place, "first");
    change(&place, 30_000);
    create(&place, "second");
    let base = stored::chunk(&place, "first", "metric");
    let name = base.file_name().expect("a blob has a name").to_string_lossy().into_owned();
    stored::flip_a_bit(&base);
    let verified = place.snap(&["verify", "second", "--read-data"]);
    assert_eq!(verified.code, 13, "{verified:#?}");
    let line = format!("database.metric: blob sha256:{name} has another content");
    assert!(verified.stdout.contains(&line), "{verified:#?}");
    place.server.sql("DELETE FROM centreon_studio.metric WHERE id = 7");
    let before = checksum(&place, "centreon_studio");
    let only = ["--force", "--only", "database", "--no-safety-snapshot"];
    let refused = place.snap(&[&["restore", "second"], &only[..]].concat());
    assert_eq!(refused.code, 13, "{refused:#?}");
    assert_eq!(checksum(&place, "centreon_studio"), before, "something was touched");

    change(&place, 10_000);
    create(&place, "third");
    assert_eq!(chunk(&place, "third").base, None);
    place.snap(&["verify", "third", "--read-data"]).succeeded();
    place.snap(&["restore", "third", "--database", "copy"]).succeeded();
    assert_eq!(checksum(&place, "copy"), checksum(&place, "centreon_studio"));
}
