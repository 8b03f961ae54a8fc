//! That a bulk takes what `LOAD DATA` takes, and leaves the rest to it.

use super::*;
use crate::source::mariadb::connection::connect_for_rows;
use crate::source::mariadb::lines;
use crate::source::mariadb::lines::Totals;
use crate::source::mariadb::range::Range;
use crate::source::mariadb::tables;
use crate::source::mariadb::throwaway::server;
use proptest::prelude::*;
use proptest::test_runner::Config;

const PACKET_BYTES: usize = 16 << 20;

/// A table of every type that goes in as a bulk, with names that need care.
const EVERY_TYPE: &str = "(`naïve``:a` bigint unsigned PRIMARY KEY, i bigint, t tinyint, \
    d double, f float, n decimal(20,6), l varchar(300) CHARACTER SET latin1, \
    u text CHARACTER SET utf8mb4, w varchar(100) CHARACTER SET ucs2, b varbinary(300), \
    c binary(4), da date, ti time(6), dt datetime(3), ts timestamp(6) NULL, y year)";

async fn prepared(database: &str, statements: &str) -> (Connection, Vec<Table>) {
    server().run(&format!(
        "CREATE OR REPLACE DATABASE {database} CHARACTER SET utf8mb4; USE {database}; {statements}"
    ));
    let login = server().login(server().superuser(), None);
    let mut connection = connect_for_rows(&login).await.unwrap();
    connection.prepare_loading().await.unwrap();
    connection.receive_text_as_stored().await.unwrap();
    connection.select_database(database).await.unwrap();
    let mut reader = server().connection().await;
    let listed = tables::listed(&mut reader, database).await.unwrap();
    let tables = tables::tables(&mut reader, database, &listed).await.unwrap();
    (connection, tables)
}

async fn inserted(connection: &mut Connection, table: &Table, chunk: &[u8]) -> Option<Inserted> {
    let insertion = Insertion::into(table).expect("a bulk takes all of its types");
    let like = RowsDigest::default();
    let own = Transaction::Own;
    connection.insert("cannot insert", &insertion, chunk, PACKET_BYTES, &like, own).await.unwrap()
}

async fn proven(connection: &mut Connection, database: &str, table: &Table) -> Totals {
    lines::prove(connection, database, table, Totals::default()).await.unwrap()
}

async fn images(connection: &mut Connection, database: &str, table: &Table) -> Option<RowsDigest> {
    lines::prove_images(connection, database, table, &Range::whole(None)).await.unwrap()
}

fn cell(value: Option<impl AsRef<[u8]>>) -> Vec<u8> {
    let Some(value) = value else { return b"\\N".to_vec() };
    let escaped = value.as_ref().iter().flat_map(|byte| match byte {
        b'\t' => vec![b'\\', b't'],
        b'\n' => vec![b'\\', b'n'],
        b'\\' => vec![b'\\', b'\\'],
        0 => vec![b'\\', b'0'],
        other => vec![*other],
    });
    escaped.collect()
}

/// A server makes zero of the zero with a sign, and gives no such one out.
fn finite() -> impl Strategy<Value = Option<f64>> {
    prop::option::of(any::<f64>().prop_filter("the server has no others", |it| {
        it.is_finite() && (*it != 0.0 || it.is_sign_positive())
    }))
}

fn bytes(length: usize) -> impl Strategy<Value = Option<Vec<u8>>> {
    prop::option::of(prop::collection::vec(any::<u8>(), 0..length))
}

/// The cells of a row behind its key.
fn row() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let numbers = (any::<Option<i64>>(), any::<Option<i8>>(), finite(), any::<Option<i32>>());
    let texts = (bytes(300), any::<Option<String>>(), prop::collection::vec(any::<u8>(), 4));
    let times = (0..9999, 0..=12, 0..=31, 0..24, 0..60, 0..999);
    (numbers, texts, times).prop_map(|(numbers, texts, times)| {
        let (large, tiny, double, number) = numbers;
        let (bytes, text, four) = texts;
        let (year, month, day, hour, minute, fraction) = times;
        let date = format!("{year:04}-{month:02}-{day:02}");
        let clock = format!("{hour:02}:{minute:02}:59.{fraction:03}");
        vec![
            cell(large.map(|it| it.to_string())),
            cell(tiny.map(|it| it.to_string())),
            cell(double.map(|it| format!("{it:e}"))),
            cell(number.map(|it| f32::from_bits(it.unsigned_abs() & 0x7f00_ffff).to_string())),
            cell(number.map(|it| format!("{it}.000125"))),
            cell(bytes.as_ref()),
            cell(text.as_ref()),
            cell(Some(b"\0a\0\n")),
            cell(bytes),
            cell(Some(four)),
            cell(Some(&date)),
            cell(Some(format!("-{clock}000"))),
            cell(Some(format!("{date} {clock}"))),
            cell(Some(format!("2030-03-31 {clock}001"))),
            cell(Some(if year > 2155 { "0000" } else { "1984" })),
        ]
    })
}

fn chunk(rows: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let mut chunk = Vec::new();
    for (row, key) in rows.iter().zip(u64::MAX - rows.len() as u64..) {
        chunk.extend_from_slice(key.to_string().as_bytes());
        for cell in row {
            chunk.push(b'\t');
            chunk.extend_from_slice(cell);
        }
        chunk.push(b'\n');
    }
    chunk
}

#[test]
fn a_bulk_takes_every_row_as_load_data_does() {
    let statements = format!("CREATE TABLE état1 {EVERY_TYPE}; CREATE TABLE état2 LIKE état1");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (connection, tables) = runtime.block_on(prepared("bulk_equal", &statements));
    let connection = tokio::sync::Mutex::new(connection);
    let [one, other] = tables.as_slice() else { panic!("{tables:?}") };
    let rows = prop::collection::vec(row(), 1..100);
    proptest!(Config::with_cases(24), |(rows in rows)| {
        let chunk = chunk(&rows);
        runtime.block_on(async {
            let mut connection = connection.lock().await;
            for table in &tables {
                let name = quote::identifier(&table.name);
                connection.execute("", &format!("TRUNCATE {name}")).await.unwrap();
            }
            let sent = inserted(&mut connection, one, &chunk).await;
            let sent = sent.expect("the server takes them as they are");
            assert_eq!(sent.lines.rows(), rows.len() as u64);
            let images = images(&mut connection, "bulk_equal", one).await;
            assert_eq!(images, Some(sent.images));
            let text = chunk.clone().into();
            let loaded = connection.load_as_text("", other, text, PACKET_BYTES).await.unwrap();
            assert_eq!(loaded, rows.len() as u64);
            let of_bulk = proven(&mut connection, "bulk_equal", one).await;
            let of_text = proven(&mut connection, "bulk_equal", other).await;
            assert_eq!(of_bulk.stored.to_text(), of_text.stored.to_text());
        });
    });
}

#[tokio::test]
async fn rows_of_several_chunks_are_proven_together_and_hashed_as_they_were() {
    let statements = "CREATE TABLE t (id int PRIMARY KEY, v varchar(3))";
    let (mut connection, tables) = prepared("bulk_hashed", statements).await;
    let insertion = Insertion::into(&tables[0]).unwrap();
    let old = RowsDigest::parse(&format!("sum128-sha256:{:032x}", 0), 0).unwrap();
    let mut inserted = Inserted::nothing_of(&old);
    for chunk in ["1\ta\n2\tb\n", "3\tc\n"] {
        let (packet, chunk) = (PACKET_BYTES, chunk.as_bytes());
        let more =
            connection.insert("", &insertion, chunk, packet, &old, Transaction::Own).await.unwrap();
        inserted.merge(&more.expect("the server takes them as they are"));
    }
    let empty = Totals { stored: old, ..Totals::default() };
    let found = lines::prove(&mut connection, "bulk_hashed", &tables[0], empty).await.unwrap();
    assert_eq!((inserted.lines, inserted.lines.rows()), (found.stored, 3));
    let images = images(&mut connection, "bulk_hashed", &tables[0]).await;
    assert_eq!(images, Some(inserted.images));
}

#[tokio::test]
async fn columns_that_nobody_sees_and_counters_at_zero_get_their_values_too() {
    let statements = "CREATE TABLE a (id int AUTO_INCREMENT PRIMARY KEY, v int DEFAULT 7, h int INVISIBLE); \
        CREATE TABLE b (`x INVISIBLE` int DEFAULT 7 COMMENT ' INVISIBLE', h int, id int AUTO_INCREMENT PRIMARY KEY)";
    let (mut connection, tables) = prepared("bulk_invisible", statements).await;
    let seen = tables.iter().map(has_invisible_columns);
    assert_eq!(seen.collect::<Vec<_>>(), [true, false]);
    for table in &tables {
        let chunk = b"0\t\\N\t0\n1\t8\t2\n";
        let sent = inserted(&mut connection, table, chunk).await.unwrap();
        let found = proven(&mut connection, "bulk_invisible", table).await;
        assert_eq!(found.stored, sent.lines, "{}", table.name);
    }
}

#[tokio::test]
async fn what_the_server_says_anything_against_is_taken_back_whole() {
    let statements = "CREATE TABLE t (id int PRIMARY KEY, v varchar(3))";
    let (mut connection, tables) = prepared("bulk_refused", statements).await;
    for refused in ["1\ta\n1\tb\n", "1\ta\n2\tlong\n", "1\ta\n99999999999\tb\n"] {
        assert_eq!(inserted(&mut connection, &tables[0], refused.as_bytes()).await, None);
        let found = proven(&mut connection, "bulk_refused", &tables[0]).await;
        assert_eq!(found.stored.rows(), 0, "{refused:?}");
    }
    let inserted = inserted(&mut connection, &tables[0], "1\té\n".as_bytes()).await.unwrap();
    assert_eq!(inserted.lines.rows(), 1);
}

#[tokio::test]
async fn rows_that_are_none_of_ours_or_too_long_for_a_packet_are_left_to_load_data() {
    let statements = "CREATE TABLE t (id int PRIMARY KEY, d double, v longtext)";
    let (mut connection, tables) = prepared("bulk_left", statements).await;
    let long = format!("1\t2\t{}\n", "x".repeat(LONGEST_ROW));
    let lines =
        ["1\t2\n", "1\t2\t3\t4\n", "x\t2\t3\n", "1\tinf\t3\n", "1\t2\t\\x\n", "1\t2\t3", &long];
    for line in lines {
        let chunk = format!("7\t1\ta\n{line}");
        assert_eq!(inserted(&mut connection, &tables[0], chunk.as_bytes()).await, None);
    }
    let value = "x".repeat(999);
    let rows: Vec<_> = (0..2000).map(|id| format!("{id}\t1\t{value}\n")).collect();
    let rows = rows.concat();
    assert!(rows.len() > 3 * BULK_BYTES);
    let inserted = inserted(&mut connection, &tables[0], rows.as_bytes()).await.unwrap();
    assert_eq!(inserted.lines.rows(), 2000);
}

#[tokio::test]
async fn only_tables_whose_values_both_ways_take_alike_are_filled_in_bulk() {
    let statements = "CREATE TABLE a (id int PRIMARY KEY, e enum('x')); \
        CREATE TABLE b (id int PRIMARY KEY, g int AS (id + 1)); \
        CREATE TABLE c (id int PRIMARY KEY, b bit(3)); CREATE TABLE d (id int) ENGINE=MyISAM; \
        CREATE TABLE e (id int PRIMARY KEY) WITH SYSTEM VERSIONING; CREATE TABLE f (p point)";
    let (_, tables) = prepared("bulk_types", statements).await;
    assert_eq!(tables.len(), 6);
    for table in &tables {
        assert_eq!(Insertion::into(table), None, "{}", table.name);
    }
}

#[test]
fn no_bulk_is_larger_than_what_the_server_takes() {
    let forms = vec![Form::Int32, Form::Bytes];
    let insertion = Insertion { statement: String::new(), forms };
    let chunk: Vec<_> = (0..100).map(|id| format!("{id}\t{}\n", "x".repeat(id))).collect();
    let chunk = chunk.concat();
    let mut bulk = insertion.bulk(1);
    let mut lines = ChunkLines::new(&insertion, chunk.as_bytes(), 300, Inserted::default());
    let mut bulks = 0;
    while lines.fill(&mut bulk).unwrap() > 0 {
        assert!((1..=300).contains(&bulk.len()), "{}", bulk.len());
        bulks += 1;
    }
    assert!(bulks > chunk.len() / 300, "{bulks}");
    assert_eq!(lines.passed.lines.rows(), 100);
    let mut lines = ChunkLines::new(&insertion, chunk.as_bytes(), 50, Inserted::default());
    while let Some(bytes) = lines.fill(&mut bulk) {
        assert!(bytes > 0, "a row that is too long is passed over");
    }
}

#[tokio::test]
async fn a_row_that_is_changed_comes_back_in_other_bytes() {
    let statements = "CREATE TABLE t (id int PRIMARY KEY, v varchar(3), d datetime(6))";
    let (mut connection, tables) = prepared("bulk_changed", statements).await;
    let chunk = b"1\ta\t2020-02-29 00:00:00.000001\n2\t\\N\t\\N\n";
    let sent = inserted(&mut connection, &tables[0], chunk).await.unwrap();
    for change in
        ["v = ''", "v = 'A'", "v = NULL", "d = d + INTERVAL 1 MICROSECOND", "d = NULL", "id = 3"]
    {
        connection.execute("", "START TRANSACTION").await.unwrap();
        connection.execute("", &format!("UPDATE t SET {change} WHERE id = 1")).await.unwrap();
        let found = images(&mut connection, "bulk_changed", &tables[0]).await;
        assert_ne!(found, Some(sent.images), "{change}");
        connection.execute("", "ROLLBACK").await.unwrap();
    }
    let found = images(&mut connection, "bulk_changed", &tables[0]).await;
    assert_eq!(found, Some(sent.images));
}

#[tokio::test]
async fn a_negative_number_beside_one_without_a_sign_is_left_to_load_data() {
    let statements = "CREATE TABLE t (id int PRIMARY KEY, n tinyint unsigned)";
    let (mut connection, tables) = prepared("bulk_signs", statements).await;
    for chunk in ["1\t-1\n2\t255\n", "1\t255\n2\t-1\n", "1\t-1\n"] {
        assert_eq!(inserted(&mut connection, &tables[0], chunk.as_bytes()).await, None, "{chunk}");
    }
    assert!(inserted(&mut connection, &tables[0], b"1\t1\n2\t255\n").await.is_some());
}
