//! Who may log in this way, and that rows come as they come through the client.

use mysql_async::Error as ClientError;
use mysql_async::from_row;

use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::Link;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::connection::connect_for_rows;
use crate::source::mariadb::lines;
use crate::source::mariadb::lines::Totals;
use crate::source::mariadb::tables;
use crate::source::mariadb::throwaway::server;
use crate::source::mariadb::wire::Wire;
use crate::source::mariadb::wire::packets::Batch;

/// One column of each way to send a value, one row of which is longer than a packet may be.
const TABLES: &str = "
    SET GLOBAL max_allowed_packet = 64 << 20;
    CREATE DATABASE wire CHARACTER SET utf8mb4;
    USE wire;
    CREATE TABLE numbers (id INT PRIMARY KEY, t TINYINT, ut TINYINT UNSIGNED, s SMALLINT,
        us SMALLINT UNSIGNED, m MEDIUMINT, um MEDIUMINT UNSIGNED, b BIGINT, ub BIGINT UNSIGNED, f FLOAT,
        fixed FLOAT(8,3), d DOUBLE, n DECIMAL(40,10), bits BIT(10), y YEAR, z INT(7) ZEROFILL);
    INSERT INTO numbers VALUES (-1, -128, 255, -32768, 65535, -8388608, 16777215, -9223372036854775808,
        18446744073709551615, 1e-30, 99999.999, 1e300, -1.5, b'1100000101', 0, 42),
        (0, 127, 0, 32767, 0, 8388607, 0, 9223372036854775807, 0, -0e0, 0, 0.1, 0, b'0', 2155, 0),
        (1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    CREATE TABLE times (id INT PRIMARY KEY, d DATE, dt DATETIME, micros DATETIME(6), millis TIMESTAMP(3) NULL,
        t TIME, tm TIME(6));
    INSERT INTO times VALUES
        (1, '0000-00-00', '0000-00-00', '2020-02-29 00:00:00', '2038-01-19 03:14:07.999', '-838:59:59', '00:00:00'),
        (2, '9999-12-31', '2020-02-29 23:59:59', '2020-02-29 23:59:59.000001', NULL, '00:00:01', '-12:00:00.5'),
        (3, NULL, NULL, NULL, NULL, NULL, NULL);
    CREATE TABLE texts (id VARCHAR(20) PRIMARY KEY, short VARCHAR(20) CHARACTER SET latin1, j JSON,
        e ENUM('', 'a'), bytes LONGBLOB, g POINT, doubled INT AS (LENGTH(short) * 2) STORED);
    INSERT INTO texts (id, short, j, e, bytes, g) VALUES
        ('empty', '', '{}', '', '', NULL), ('marks', '\\t\\n\\\\\\0', '[]', 'a', x'00090a5c1a', POINT(1, 2)),
        ('long', 'é', NULL, NULL, REPEAT('x', 70000), NULL),
        ('longer than a packet', NULL, NULL, 0, REPEAT('y', (32 << 20) + 7), NULL),
        ('z, after it', NULL, NULL, NULL, 'z', NULL);
    CREATE TABLE many (id INT PRIMARY KEY, v VARCHAR(200));
    INSERT INTO many SELECT seq, REPEAT('v', seq % 200) FROM seq_1_to_20000;";

async fn is_wire(login: &crate::source::mariadb::login::Login) -> bool {
    let mut connection = connect_for_rows(login).await.unwrap();
    let doing = "cannot ask who we are";
    let account: Option<(String,)> = connection.first(doing, "SELECT USER()").await.unwrap();
    assert!(account.unwrap().0.starts_with(&login.user));
    matches!(connection.link(), Link::Wire(_))
}

#[tokio::test]
async fn a_login_that_wants_more_than_a_password_is_left_to_the_client() {
    server().run(
        "CREATE USER plain@localhost IDENTIFIED BY 'secret'; CREATE USER open@localhost;
         CREATE USER curve@localhost IDENTIFIED VIA ed25519 USING PASSWORD('secret')",
    );
    for (user, password, expected) in [
        (server().superuser(), None, true),
        ("plain", Some("secret"), true),
        ("open", None, true),
        ("curve", Some("secret"), false),
    ] {
        assert_eq!(is_wire(&server().login(user, password)).await, expected, "{user}");
    }
    let wrong = server().login("plain", Some("wrong"));
    let refused = connect_for_rows(&wrong).await.err().unwrap();
    assert_eq!(refused.chain(), connect(&wrong).await.err().unwrap().chain());
}

#[tokio::test]
async fn every_kind_of_value_reads_as_through_the_client() {
    server().run(TABLES);
    let login = server().login(server().superuser(), None);
    let mut client = connect(&login).await.unwrap();
    client.select_database("wire").await.unwrap();
    let listed = tables::listed(&mut client, "wire").await.unwrap();
    let tables = tables::tables(&mut client, "wire", &listed).await.unwrap();
    let mut wire = connect_for_rows(&login).await.unwrap();
    assert!(matches!(wire.link(), Link::Wire(_)));
    let ready = async |connection: &mut Connection| {
        connection.prepare_reading().await.unwrap();
        connection.receive_text_as_stored().await.unwrap();
    };
    ready(&mut client).await;
    ready(&mut wire).await;
    let mut counts = Vec::new();
    for table in &tables {
        let empty = Totals::default();
        let theirs = lines::prove(&mut client, "wire", table, empty).await.unwrap();
        let ours = lines::prove(&mut wire, "wire", table, empty).await.unwrap();
        assert_eq!(ours, theirs, "{}", table.name);
        counts.push((table.name.as_str(), theirs.stored.rows()));
    }
    assert_eq!(counts, [("many", 20_000), ("numbers", 3), ("texts", 5), ("times", 3)]);
}

#[tokio::test]
async fn an_error_in_the_midst_of_rows_leaves_a_connection_that_goes_on() {
    server().run("CREATE DATABASE midst; CREATE TABLE midst.t (id INT PRIMARY KEY)");
    server().run("USE midst; INSERT INTO t SELECT seq FROM seq_1_to_3000");
    let mut wire = connect_for_rows(&server().login(server().superuser(), None)).await.unwrap();
    let Link::Wire(link) = wire.link() else { panic!("it is a wire") };
    let failing = "SELECT id, (SELECT few.id FROM midst.t few WHERE few.id < all_of.id - 2900) \
                   FROM midst.t all_of";
    link.query(failing).await.unwrap();
    let mut batches = 0;
    let error = loop {
        match link.next_rows().await {
            Ok(Some(_)) => batches += 1,
            Ok(None) => panic!("the query does not fail"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("more than 1 row"), "{error}");
    assert!(batches > 0, "the server sends no row before it finds the error");
    // What is left unread of a result is passed over.
    link.query("SELECT id FROM midst.t").await.unwrap();
    assert!(link.next_rows().await.unwrap().is_some());
    assert_eq!(link.rows("SELECT 1 UNION ALL SELECT 2").await.unwrap().len(), 2);
    assert!(link.rows("DO 1").await.unwrap().is_empty());
    // Several statements are asked in one go; what comes first is returned, and any error.
    assert_eq!(link.rows("SELECT 1; DO 2; SELECT 3 UNION SELECT 4").await.unwrap().len(), 1);
    assert!(link.execute("DO 1; SELECT nothing; DO 2").await.is_err());
    assert!(link.rows("SELECT nothing").await.is_err());
    // Neither what cannot be prepared nor what cannot be run leaves an answer, or a statement, behind.
    for (failing, code) in [
        ("SELECT nothing", 1054),
        ("SELECT 1 FROM midst.t WHERE id = (SELECT 1 UNION SELECT 2)", 1242),
    ] {
        let Err(ClientError::Server(refused)) = link.query(failing).await else {
            panic!("{failing} is refused")
        };
        assert_eq!(refused.code, code);
        link.query("SELECT id FROM midst.t").await.unwrap();
        assert!(link.next_rows().await.unwrap().is_some());
    }
    let status =
        "SHOW SESSION STATUS WHERE Variable_name IN ('Com_stmt_prepare', 'Com_stmt_close')";
    let counts: Vec<(String, u32)> =
        link.rows(status).await.unwrap().into_iter().map(from_row).collect();
    assert_eq!(counts[0].1 + 1, counts[1].1, "one was never prepared: {counts:?}");
    assert_eq!(link.rows("SELECT 1").await.unwrap().len(), 1);
}

/// Reads all rows of a query that has begun; returns the first column of each, a number.
async fn numbers(link: &mut Wire) -> Result<Vec<u32>, ClientError> {
    let mut numbers = Vec::new();
    while let Some(batch) = link.next_rows().await? {
        let frames = match batch {
            Batch::One(packet) => vec![packet],
            Batch::Frames(frames) => frames.collect(),
        };
        // A header, NULLs of one column, and the number.
        numbers.extend(frames.iter().map(|row| u32::from_le_bytes(row[2..6].try_into().unwrap())));
    }
    Ok(numbers)
}

#[tokio::test]
async fn a_query_that_was_sent_ahead_is_answered_when_it_is_asked_and_passed_over_otherwise() {
    server().run("CREATE DATABASE ahead; USE ahead; CREATE TABLE t (id INT PRIMARY KEY)");
    server().run("USE ahead; INSERT INTO t SELECT seq FROM seq_1_to_9000");
    let mut wire = connect_for_rows(&server().login(server().superuser(), None)).await.unwrap();
    let Link::Wire(link) = wire.link() else { panic!("it is a wire") };
    let below = |end: u32| format!("SELECT id FROM ahead.t WHERE id < {end} ORDER BY id");
    let (one, other) = (below(9000), below(5));
    let failing = "SELECT id FROM ahead.t WHERE id > (SELECT id FROM ahead.t WHERE id > 8000)";
    for refused in ["SELECT nothing", failing] {
        // In its turn, and after it another one in its turn.
        link.query_before(&one, Some(&other)).await.unwrap();
        assert_eq!(numbers(link).await.unwrap().len(), 8999);
        link.query_before(&other, Some(refused)).await.unwrap();
        assert_eq!(numbers(link).await.unwrap(), [1, 2, 3, 4]);
        // What is wrong is told when it is asked.
        let asked = link.query(refused).await;
        let told = if asked.is_ok() { numbers(link).await.map(drop) } else { asked.map(drop) };
        told.unwrap_err();
        // Before its turn: what was left of the first one is passed over.
        link.query_before(&one, Some(&other)).await.unwrap();
        link.query(&other).await.unwrap();
        assert_eq!(numbers(link).await.unwrap(), [1, 2, 3, 4]);
        // Never: nothing of it is left, and no word of what is wrong with it.
        for nobody_wants in [refused, &one, &other] {
            link.query_before(&other, Some(nobody_wants)).await.unwrap();
            assert_eq!(numbers(link).await.unwrap().len(), 4);
            assert_eq!(link.rows("SELECT 1 UNION ALL SELECT 2").await.unwrap().len(), 2);
            link.query_before(&other, Some(nobody_wants)).await.unwrap();
            link.query(&below(3)).await.unwrap();
            assert_eq!(numbers(link).await.unwrap(), [1, 2]);
        }
    }
    let status = "SHOW SESSION STATUS LIKE 'Com_stmt%'";
    let counts = link.rows(status).await.unwrap().into_iter().map(from_row::<(String, u32)>);
    let count = |name: &str| counts.clone().find(|(found, _)| found == name).unwrap().1;
    assert_eq!(count("Com_stmt_prepare"), count("Com_stmt_close") + 3, "three had no column");
}
