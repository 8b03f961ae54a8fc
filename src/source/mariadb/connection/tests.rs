//! Logins, refusals and sessions, on a real server with odd settings.

use tokio::net::TcpListener;

use super::*;
use crate::base::error::Kind;
use crate::source::mariadb::throwaway::SHORT;
use crate::source::mariadb::throwaway::server;

/// Returns a login by TCP, encrypted as `tls` says.
async fn by_tcp(user: &str, password: Option<&str>, tls: Option<Tls>) -> Login {
    let port = server().port().await;
    let address = Address::Tcp { host: "localhost".to_owned(), port };
    Login { server: address, tls, ..server().login(user, password) }
}

async fn refusal(login: &Login) -> Error {
    connect(login).await.err().expect("the login is refused")
}

async fn value(connection: &mut Connection, expression: &str) -> String {
    let statement = format!("SELECT CAST({expression} AS CHAR)");
    let rows: Vec<(String,)> = connection.rows("cannot ask", &statement).await.unwrap();
    rows[0].0.clone()
}

#[tokio::test]
async fn accounts_of_every_common_kind_log_in() {
    server().run(
        "CREATE USER native@localhost IDENTIFIED BY 'secret';
         CREATE USER edward@localhost IDENTIFIED VIA ed25519 USING PASSWORD('secret');
         CREATE USER either@localhost IDENTIFIED VIA unix_socket OR ed25519
             USING PASSWORD('secret');
         CREATE USER `o'h@ra``x`@localhost IDENTIFIED BY ''",
    );
    for (user, password) in [
        (server().superuser(), None),
        (server().superuser(), Some("not needed")),
        ("native", Some("secret")),
        ("edward", Some("secret")),
        ("either", Some("secret")),
        ("o'h@ra`x", None),
    ] {
        let mut connection = connect(&server().login(user, password)).await.unwrap();
        assert_eq!(value(&mut connection, "CURRENT_USER()").await, format!("{user}@localhost"));
        connection.close().await;
    }
    let odd = connect(&server().login("o'h@ra`x", None)).await.unwrap();
    assert_eq!(odd.account(), "`o'h@ra``x`@`localhost`");
}

#[tokio::test]
async fn several_answers_come_in_one_go_and_the_first_failure_leaves_a_connection_of_use() {
    let mut connection = server().connection().await;
    let asked = "SELECT 1 UNION SELECT 2; DO 1; SELECT 3 WHERE FALSE; SELECT 4";
    let answers: Vec<Vec<u8>> = connection.answers("cannot ask", asked).await.unwrap();
    assert_eq!(answers, [vec![1, 2], vec![], vec![4]]);
    let asked = "SELECT 1; SELECT * FROM nowhere.at_all; SELECT 2";
    let error = connection.answers::<u8>("cannot ask", asked).await.unwrap_err();
    assert!(error.chain().starts_with("cannot ask: ERROR 1146"), "{}", error.chain());
    assert_eq!(value(&mut connection, "5").await, "5");
    let error = connection.execute("cannot do", "DO 1; SELECT * FROM nowhere.at_all").await;
    assert!(error.unwrap_err().chain().starts_with("cannot do: ERROR 1146"));
    assert_eq!(value(&mut connection, "6").await, "6");
}

#[tokio::test]
async fn an_account_with_a_second_way_to_log_in_is_refused_by_the_first() {
    server().run(
        "CREATE USER twofold@localhost IDENTIFIED VIA ed25519 USING PASSWORD('secret')
             OR mysql_native_password USING PASSWORD('other')",
    );
    assert!(connect(&server().login("twofold", Some("secret"))).await.is_ok());
    let error = refusal(&server().login("twofold", Some("other"))).await;
    assert_eq!(error.kind(), Kind::Denied, "{}", error.chain());
    assert!(error.advice().unwrap().contains("the first way to log in"));
}

#[tokio::test]
async fn an_account_of_the_socket_logs_in_as_the_user_of_the_system_only() {
    server().run("CREATE USER nobody_else@localhost IDENTIFIED VIA unix_socket");
    let error = refusal(&server().login("nobody_else", Some("guess"))).await;
    assert_eq!(error.kind(), Kind::Denied);
    assert!(error.advice().unwrap().contains("run snap as the system's user nobody_else"));
}

#[tokio::test]
async fn a_wrong_password_names_the_account_and_the_way_to_give_another() {
    server().run("CREATE USER careless@localhost IDENTIFIED BY 'secret'");
    let wrong = refusal(&server().login("careless", Some("swordfish"))).await;
    assert_eq!((wrong.kind(), wrong.kind().exit_code()), (Kind::Denied, 12));
    let place = format!("socket {}", server().socket().display());
    let message =
        format!("cannot log in to the database server at {place} as `careless`: ERROR 1045");
    assert!(wrong.chain().starts_with(&message), "{}", wrong.chain());
    assert!(wrong.advice().unwrap().contains("--defaults-file"));
    assert!(!format!("{wrong:?}").contains("swordfish"));
    let missing = refusal(&server().login("careless", None)).await;
    assert!(missing.advice().unwrap().starts_with("no password was given"));
    assert_eq!(refusal(&server().login("no such", None)).await.kind(), Kind::Denied);
}

#[tokio::test]
async fn a_server_out_of_reach_is_named_with_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: std::path::PathBuf| Login {
        server: Address::Socket(path),
        ..server().login("anybody", None)
    };
    let absent = refusal(&at(folder.path().join("absent"))).await;
    assert_eq!((absent.kind(), absent.kind().exit_code()), (Kind::Unreachable, 20));
    assert!(absent.to_string().contains("/absent"), "{absent}");
    assert!(absent.advice().unwrap().contains("--socket"));
    let dead = folder.path().join("dead");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    assert!(refusal(&at(dead)).await.advice().unwrap().contains("running"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tcp = Address::Tcp { host: "127.0.0.1".to_owned(), port };
    let silent = Login { server: tcp, ..server().login("anybody", None) };
    let error =
        connect_within(&silent, &Offer::at(silent.pace.clone()), SHORT).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.to_string().contains("no answer"), "{error}");
    let again = connect_for_rows_within(&silent, SHORT).await.err().unwrap();
    assert_eq!(again.chain(), error.chain());
    drop(listener);
    let refused = refusal(&silent).await;
    assert_eq!(refused.kind(), Kind::Unreachable);
    assert!(refused.to_string().contains(&format!("127.0.0.1:{port}")), "{refused}");
}

#[tokio::test]
async fn a_program_that_is_no_database_is_out_of_reach() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let greeting = b"220 mail.example ESMTP\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut client, greeting).await.unwrap();
    });
    let tcp = Address::Tcp { host: "127.0.0.1".to_owned(), port };
    let error = refusal(&Login { server: tcp, ..server().login("anybody", None) }).await;
    assert_eq!(error.kind(), Kind::Unreachable, "{}", error.chain());
}

#[tokio::test]
async fn a_tcp_connection_stays_tcp_and_is_encrypted_when_asked() {
    server().run("CREATE USER tcp@localhost IDENTIFIED BY 'secret' REQUIRE SSL");
    let cipher = "(SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS \
                   WHERE VARIABLE_NAME = 'Ssl_version')";
    let trusting = |verify| Tls { verify, authority: None, ..Tls::default() };
    let knowing = Tls { authority: Some(server().certificate()), ..Tls::default() };
    for tls in [trusting(false), knowing.clone()] {
        let login = by_tcp("tcp", Some("secret"), Some(tls)).await;
        let mut connection = connect(&login).await.unwrap();
        assert!(value(&mut connection, cipher).await.starts_with("TLSv1."));
    }
    let plain = refusal(&by_tcp("tcp", Some("secret"), None).await).await;
    assert_eq!(plain.kind(), Kind::Denied);
    assert!(plain.advice().unwrap().contains("needs encryption"), "{:?}", plain.advice());
    let unknown = refusal(&by_tcp("tcp", Some("secret"), Some(trusting(true))).await).await;
    assert_eq!(unknown.kind(), Kind::Unreachable);
    assert!(unknown.advice().unwrap().contains("ssl-ca"), "{}", unknown.chain());
    let login = by_tcp("tcp", Some("secret"), Some(knowing)).await;
    let Address::Tcp { port, .. } = login.server else { unreachable!("it is TCP") };
    let misnamed = Address::Tcp { host: "127.0.0.1".to_owned(), port };
    let misnamed = refusal(&Login { server: misnamed, ..login }).await;
    assert!(misnamed.chain().contains("not valid for name"), "{}", misnamed.chain());
    assert!(misnamed.advice().unwrap().contains("subjectAltName"));
}

#[tokio::test]
async fn every_session_means_the_same_whatever_the_server_says() {
    let mut connection = server().connection().await;
    let rows: Vec<(u8,)> = connection.rows("cannot ask", "SELECT 1 UNION SELECT 2").await.unwrap();
    assert_eq!(rows.len(), 2, "sql_select_limit of the server is 1");
    for (setting, expected) in [
        ("@@sql_mode", ""),
        ("@@lc_messages", "en_US"),
        ("@@autocommit", "ON"),
        ("@@time_zone", "+00:00"),
        ("@@character_set_client", "utf8mb4"),
        ("@@max_statement_time", "0.000000"),
        ("@@idle_transaction_timeout", "0"),
        ("@@net_write_timeout", "86400"),
        ("\"a\"", "a"),
    ] {
        assert_eq!(value(&mut connection, setting).await, expected, "{setting}");
    }
}

#[tokio::test]
async fn a_reading_session_keeps_its_snapshot_while_others_commit() {
    server().run("CREATE DATABASE reading; CREATE TABLE reading.t (x TEXT CHARSET latin1)");
    let mut reader = server().connection().await;
    reader.prepare_reading().await.unwrap();
    reader.execute("cannot begin", "START TRANSACTION WITH CONSISTENT SNAPSHOT").await.unwrap();
    server().run("INSERT INTO reading.t VALUES (_latin1 x'e9')");
    assert_eq!(value(&mut reader, "(SELECT COUNT(*) FROM reading.t)").await, "0");
    reader.execute("cannot end", "COMMIT").await.unwrap();
    let select = "SELECT x FROM reading.t";
    let utf8: Vec<(Vec<u8>,)> = reader.rows("cannot ask", select).await.unwrap();
    reader.receive_text_as_stored().await.unwrap();
    let stored: Vec<(Vec<u8>,)> = reader.rows("cannot ask", select).await.unwrap();
    reader.receive_text_as_utf8().await.unwrap();
    let again: Vec<(Vec<u8>,)> = reader.rows("cannot ask", select).await.unwrap();
    assert_eq!((utf8[0].0.as_slice(), stored[0].0.as_slice()), ("é".as_bytes(), &b"\xe9"[..]));
    assert_eq!(again, utf8);
}

#[tokio::test]
async fn a_loading_session_takes_odd_values_as_they_are_and_refuses_wrong_ones() {
    server().run("CREATE DATABASE loading");
    let mut loader = server().connection().await;
    loader.prepare_loading().await.unwrap();
    for statement in [
        "USE loading",
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, d DATE, n TINYINT, \
             at TIMESTAMP NULL, CHECK (n > 0))",
        "INSERT INTO t VALUES (0, '2023-02-31', 0, NULL), (1, '0000-00-00', 0, NULL)",
    ] {
        loader.execute("cannot load", statement).await.unwrap();
    }
    let dates: Vec<(u32, String)> =
        loader.rows("cannot ask", "SELECT id, CAST(d AS CHAR) FROM t ORDER BY id").await.unwrap();
    assert_eq!(dates, [(0, "2023-02-31".to_owned()), (1, "0000-00-00".to_owned())]);
    let too_large = "INSERT INTO t VALUES (2, '2023-01-01', 1000, NULL)";
    assert_eq!(loader.execute("cannot load", too_large).await.unwrap_err().kind(), Kind::Failed);
}

#[tokio::test]
async fn a_connection_that_is_killed_is_a_server_out_of_reach() {
    let mut victim = server().connection().await;
    let id = value(&mut victim, "CONNECTION_ID()").await;
    server().run(&format!("KILL {id}"));
    let error = victim.execute("cannot ask", "SELECT 1").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable, "{}", error.chain());
    assert!(error.to_string().contains("lost the database server at socket"), "{error}");
}

#[tokio::test]
async fn a_missing_right_names_the_account_the_right_and_the_grant_that_helps() {
    server().run(
        "CREATE USER poor@localhost; CREATE DATABASE shut_off;
         CREATE TABLE shut_off.t (x INT); CREATE VIEW shut_off.v AS SELECT 1",
    );
    let mut poor = connect(&server().login("poor", None)).await.unwrap();
    let error = poor.execute("cannot read `t`", "SELECT * FROM shut_off.t").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert!(error.to_string().ends_with("as `poor`@`localhost`"), "{error}");
    let grant = error.advice().unwrap().split(" (").next().unwrap().to_owned();
    server().run(&grant);
    poor.execute("cannot read `t`", "SELECT * FROM shut_off.t").await.unwrap();
    let error = poor.execute("cannot lock", "BACKUP STAGE START").await.unwrap_err();
    assert_eq!(error.advice(), Some("GRANT RELOAD ON *.* TO `poor`@`localhost`;"));
    let error = poor.execute("cannot open", "USE nowhere").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied, "the server hides what does not exist");
    let mut root = server().connection().await;
    let error = root.execute("cannot open `nowhere`", "USE nowhere").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Failed);
    assert!(error.chain().contains("Unknown database"), "{}", error.chain());
}

#[tokio::test]
async fn the_facts_of_a_server_are_read_and_survive_the_catalog() {
    let facts = server().connection().await.read_facts().await.unwrap();
    assert_eq!(facts.account, "root@localhost");
    assert!(facts.version.contains("MariaDB") && facts.release[0] >= 10, "{facts:?}");
    assert!(facts.datadir.contains("snap-test-"), "{facts:?}");
    assert!(facts.log_bin && facts.local_infile && !facts.read_only, "{facts:?}");
    assert!(!facts.trusts_function_creators);
    assert_eq!(facts.sql_mode, "ANSI_QUOTES,NO_BACKSLASH_ESCAPES");
    assert!(facts.max_allowed_packet >= 1 << 20);
    let text = serde_json::to_string(&facts).unwrap();
    assert_eq!(
        serde_json::from_str::<crate::source::mariadb::server::ServerFacts>(&text).unwrap(),
        facts
    );
}
