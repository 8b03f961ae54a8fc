//! What a further `create` writes: the chunks that changed, and no other.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::layout::Chunk;
use crate::place::Place;
use crate::stored;

/// Tables of several chunks under the kinds of keys whose order is easily taken for another: a name, its columns,
/// and the key of the `seq`th row.
const KEYS: &[(&str, &str, &str)] = &[
    ("number", "k BIGINT", "CAST(seq AS SIGNED) * 1000 - 150000"),
    ("amount", "k DECIMAL(20, 4)", "(CAST(seq AS SIGNED) - 150) * 3.1416"),
    ("day", "k DATE", "'1960-01-01' + INTERVAL seq * 40 DAY"),
    ("bytes", "k BINARY(3)", "UNHEX(LPAD(HEX(seq * 40000), 6, '0'))"),
    (
        "label",
        "k VARCHAR(20) COLLATE utf8mb4_unicode_ci, l CHAR(3) CHARACTER SET latin1",
        "CONCAT(ELT(seq MOD 7 + 1, 'É', 'e', 'ß', 'Zoë', 'z ', '日本', ''), seq DIV 7, REPEAT(' ', seq MOD 3)), ELT(seq MOD 3 + 1, 'ä', 'A ', '')",
    ),
    ("level", "k ENUM('high', 'low', 'a'), l INT", "seq MOD 3 + 1, seq"),
    ("heap", "", ""),
];

#[test]
fn a_second_create_writes_no_row_again_and_one_new_row_makes_one_chunk() {
    let place = Place::studio();
    place.snap(&["create", "one"]).succeeded();
    let two = place.snap(&["create", "two", "--json"]);
    assert_eq!(place.rows_blobs("two"), place.rows_blobs("one"));
    assert!(place.rows_blobs("one").len() > 20);
    let two: Value = serde_json::from_str(two.succeeded()).expect("one object");
    let written = two["snapshot"]["written_bytes"].as_u64().expect("a size");
    assert!(written < 20_000, "a catalog and a manifest have no {written} bytes");

    let before = place.stored_blobs();
    place.server.sql("INSERT INTO centreon_studio.roles (name) VALUES ('one more')");
    place.snap(&["create", "three"]).succeeded();
    assert_eq!(new_rows(&place, "two", "three").len(), 1);
    assert_eq!(new_chunks(&place, "two", "three", "roles"), [0]);
    let added = place.stored_blobs().difference(&before).count();
    assert_eq!(added, 5, "chunk, index, definitions with a counter, catalog and manifest");
}

#[test]
fn what_is_as_it_was_is_written_anew_where_its_blob_is_gone() {
    let place = Place::studio();
    place.snap(&["create", "one"]).succeeded();
    let blob = stored::chunk(&place, "one", "roles");
    let sound = fs::read(&blob).expect("read a chunk");
    for damage in [None, Some(&sound[1..])] {
        fs::remove_file(&blob).expect("lose a chunk");
        if let Some(damage) = damage {
            fs::write(&blob, damage).expect("damage a chunk");
        }
        let id = format!("two-{}", damage.is_some());
        place.snap(&["create", &id]).succeeded();
        assert_eq!(stored::chunk(&place, &id, "roles"), blob, "equal rows are equal blobs");
        assert!(fs::read(&blob).expect("read a chunk") == sound, "{id}");
        place.snap(&["verify", &id, "--read-data"]).succeeded();
    }
}

#[test]
fn boundaries_are_keys_that_every_kind_of_column_compares_as_the_index_does() {
    let place = Place::empty();
    place.server.sql("CREATE DATABASE centreon_studio");
    for (table, columns, key) in KEYS {
        let rows = rows(columns);
        let names = columns.split(", ").filter_map(|column| column.split_once(' '));
        let names: Vec<_> =
            names.map(|(name, _)| name).filter(|name| ["k", "l"].contains(name)).collect();
        let columns = if columns.is_empty() {
            "n INT".to_owned()
        } else {
            format!("{columns}, PRIMARY KEY ({})", names.join(", "))
        };
        let key = if key.is_empty() { "seq" } else { key };
        place.server.sql(&format!(
            "SET NAMES utf8mb4; USE centreon_studio; CREATE TABLE {table} ({columns}, v MEDIUMTEXT CHARACTER SET latin1);
             INSERT INTO {table} SELECT {key}, REPEAT(SHA2(seq, 512), 800) FROM seq_1_to_{rows}"
        ));
    }
    place.snap(&["create", "one"]).succeeded();
    for (table, columns, _) in KEYS {
        let chunks = place.chunks("one", table);
        assert!(chunks.len() > 1 || !has_boundaries(columns), "{table}: {chunks:?}");
        let total: u64 = chunks.iter().map(|chunk| chunk.rows).sum();
        assert_eq!(total, rows(columns), "{table}");
        let is_key = |chunk: &Chunk| chunk.from.is_array() == has_boundaries(columns);
        assert!(chunks[1..].iter().all(is_key), "{table}: {chunks:?}");
    }
    place.snap(&["create", "two"]).succeeded();
    assert_eq!(new_rows(&place, "one", "two"), BTreeSet::new());

    // In the middle of each table.
    for (table, _, _) in KEYS {
        let middle = if *table == "heap" { "n" } else { "k" };
        place.server.sql(&format!("USE centreon_studio; SELECT {middle} INTO @k FROM {table} ORDER BY 1 LIMIT 12, 1; UPDATE {table} SET v = 'new' WHERE {middle} = @k LIMIT 1"));
    }
    place.snap(&["create", "three"]).succeeded();
    for (table, columns, _) in KEYS {
        let new = new_chunks(&place, "two", "three", table);
        // Where the hash of a row decides, a change may move the end of its chunk.
        let most = if has_boundaries(columns) { 1 } else { 2 };
        assert!((1..=most).contains(&new.len()), "{table}: {new:?}");
        assert_eq!(froms(&place, "two", table), froms(&place, "three", table), "{table}");
    }
    place.snap(&["restore", "three", "--database", "copy"]).succeeded();
    assert_copied(&place);
}

#[test]
fn boundaries_stay_whatever_is_inserted_deleted_and_appended() {
    let place = Place::empty();
    let change = |id: &str, sql: &str| {
        place.server.sql(&format!(
            "CREATE DATABASE IF NOT EXISTS centreon_studio; USE centreon_studio; {sql}"
        ));
        place.snap(&["create", id]).succeeded();
        place.chunks(id, "t")
    };
    // 50 MB: 490 rows, of which 164 come to 16 MiB.
    let value = "REPEAT(SHA2(seq, 512), 800)";
    let first = change(
        "first",
        &format!(
            "CREATE TABLE t (id INT PRIMARY KEY, v MEDIUMTEXT CHARACTER SET latin1);
             INSERT INTO t SELECT seq * 10, {value} FROM seq_1_to_490"
        ),
    );
    assert_eq!(keys(&first), [0, 1650, 3290]);

    let second = change("second", "INSERT INTO t VALUES (2005, 'in between')");
    assert_eq!(keys(&second), keys(&first));
    assert_eq!(changed(&first, &second), [1]);

    let third = change("third", "DELETE FROM t WHERE id IN (3290, 3300)");
    assert_eq!(keys(&third), keys(&first), "a boundary needs no row");
    assert_eq!(changed(&second, &third), [2]);

    place.snap(&["create", "without", "--exclude", "database"]).succeeded();
    let fourth = change("fourth", "INSERT INTO t VALUES (9000, 'at the end')");
    assert_eq!(keys(&fourth), keys(&first), "a snapshot without the table changes nothing");
    assert_eq!(changed(&third, &fourth), [2]);

    // The last chunk outgrows twice its size, and is cut; those before it stay.
    let grow = format!("INSERT INTO t SELECT 9000 + seq, {value} FROM seq_1_to_200");
    let fifth = change("fifth", &grow);
    assert_eq!(&fifth[..2], &fourth[..2]);
    assert_eq!(fifth.len(), 5, "{fifth:?}");

    // Two chunks shrink to nothing and are no more; the others stay.
    let (from, to) = (keys(&fifth)[3], keys(&fifth)[4]);
    let shrink = format!("DELETE FROM t WHERE id < 1650 OR id >= {from} AND id < {to}");
    let sixth = change("sixth", &shrink);
    let digests = |chunks: &[Chunk]| chunks.iter().map(|c| c.digest.clone()).collect::<Vec<_>>();
    assert_eq!(sixth[0].from, Value::Null, "{sixth:?}");
    assert_eq!(digests(&sixth), [&digests(&fifth)[1..3], &digests(&fifth)[4..]].concat());

    place.snap(&["restore", "sixth", "--database", "copy"]).succeeded();
    assert_copied(&place);
}

/// Fails where a table of `copy` has other rows than the one it is a copy of.
fn assert_copied(place: &Place) {
    let tables = place.server.sql("SHOW TABLES IN centreon_studio");
    for table in tables.lines() {
        let checksum = |database: &str| {
            let answer = place.server.sql(&format!("CHECKSUM TABLE {database}.{table}"));
            answer.split_whitespace().next_back().map(str::to_owned)
        };
        assert_eq!(checksum("copy"), checksum("centreon_studio"), "{table}");
    }
}

/// Returns whether a table of these columns has keys that can be compared in a query.
fn has_boundaries(columns: &str) -> bool {
    !columns.is_empty() && !columns.contains("ENUM")
}

/// Returns the rows of a table of these columns, of 100 kB each: more than a chunk where boundaries count.
fn rows(columns: &str) -> u64 {
    if has_boundaries(columns) { 250 } else { 25 }
}

/// Returns the blobs of rows that one snapshot has and the one before has not.
fn new_rows(place: &Place, before: &str, after: &str) -> BTreeSet<String> {
    place.rows_blobs(after).difference(&place.rows_blobs(before)).cloned().collect()
}

/// Returns the positions of the chunks of a table that an earlier snapshot has not.
fn new_chunks(place: &Place, before: &str, after: &str, table: &str) -> Vec<usize> {
    changed(&place.chunks(before, table), &place.chunks(after, table))
}

fn changed(before: &[Chunk], after: &[Chunk]) -> Vec<usize> {
    let known: BTreeSet<_> = before.iter().map(|chunk| &chunk.digest).collect();
    (0..after.len()).filter(|&position| !known.contains(&after[position].digest)).collect()
}

fn froms(place: &Place, id: &str, table: &str) -> Vec<Value> {
    place.chunks(id, table).into_iter().map(|chunk| chunk.from).collect()
}

/// Returns the numbers at which chunks begin, 0 for the first.
fn keys(chunks: &[Chunk]) -> Vec<u64> {
    let number = |from: &Value| match from {
        Value::Null => 0,
        from => from[0].as_str().and_then(|text| text.parse().ok()).expect("a number as text"),
    };
    chunks.iter().map(|chunk| number(&chunk.from)).collect()
}
