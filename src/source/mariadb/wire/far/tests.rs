//! Rows by TCP and TLS on a real server, and who is refused before anything is said.

use std::path::PathBuf;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::*;
use crate::base::digest::RowsDigest;
use crate::base::error::Kind;
use crate::source::mariadb::bulk::Insertion;
use crate::source::mariadb::bulk::Transaction;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::Link;
use crate::source::mariadb::connection::connect as connect_by_client;
use crate::source::mariadb::connection::connect_for_rows;
use crate::source::mariadb::infile::Offer;
use crate::source::mariadb::lines;
use crate::source::mariadb::lines::Totals;
use crate::source::mariadb::login::Address;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::moment;
use crate::source::mariadb::tables;
use crate::source::mariadb::throwaway::server;
use crate::source::mariadb::wire::Wire;

const LONGEST: usize = 1 << 30;

/// Returns a login by TCP as this user, made anew with what stands behind its name.
async fn login(user: &str, tls: Option<Tls>, made: &str) -> Login {
    server().run(&format!(
        "CREATE OR REPLACE USER {user}@localhost IDENTIFIED BY 'secret' {made};
         GRANT ALL ON *.* TO {user}@localhost"
    ));
    let address = Address::Tcp { host: "localhost".to_owned(), port: server().port().await };
    Login { server: address, tls, ..server().login(user, Some("secret")) }
}

fn by_address(login: Login) -> Login {
    let Address::Tcp { port, .. } = login.server else { unreachable!("it is TCP") };
    Login { server: Address::Tcp { host: "127.0.0.1".to_owned(), port }, ..login }
}

fn knowing(authority: PathBuf) -> Tls {
    Tls { authority: Some(authority), ..Tls::default() }
}

fn knowing_it() -> Tls {
    knowing(server().certificate())
}

/// Returns a connection for rows, which is none of the client's.
async fn wire(login: &Login) -> Connection {
    let mut connection = connect_for_rows(login).await.unwrap();
    assert!(matches!(connection.link(), Link::Wire(_)), "the client had to do it");
    connection
}

/// Returns why no login is possible: we have found that out, and the client says it.
async fn refusal(login: &Login) -> String {
    let ours = Wire::log_in(login, Offer::at(login.pace.clone()), LONGEST).await;
    let ours = ours.err().expect("it is refused").to_string();
    let said = connect_for_rows(login).await.err().expect("the client refuses it too");
    assert_eq!(said.chain(), connect_by_client(login).await.err().unwrap().chain(), "{ours}");
    format!("{ours}; {}", said.chain())
}

async fn encryption(connection: &mut Connection) -> String {
    let sql = "SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS \
               WHERE VARIABLE_NAME = 'Ssl_version'";
    connection.first("cannot ask", sql).await.unwrap().unwrap()
}

async fn tables_of(database: &str) -> Vec<crate::source::mariadb::definition::Table> {
    let mut connection = server().connection().await;
    connection.select_database(database).await.unwrap();
    let listed = tables::listed(&mut connection, database).await.unwrap();
    tables::tables(&mut connection, database, &listed).await.unwrap()
}

#[tokio::test]
async fn rows_come_from_afar_as_they_come_by_the_socket() {
    server().run(
        "SET GLOBAL max_allowed_packet = 64 << 20; CREATE DATABASE far; USE far;
         CREATE TABLE few (id INT PRIMARY KEY, v LONGBLOB);
         INSERT INTO few VALUES (1, REPEAT('x', (16 << 20) + 7)), (2, NULL), (3, REPEAT('z', 70000));
         CREATE TABLE many (id INT PRIMARY KEY, v VARCHAR(200));
         INSERT INTO many SELECT seq, REPEAT('v', seq % 200) FROM seq_1_to_30000",
    );
    let near = server().login(server().superuser(), None);
    let tables = tables_of("far").await;
    let ways = [(None, ""), (Some(knowing_it()), "TLSv1.3"), (Some(Tls::default()), "TLSv1.3")];
    for (tls, version) in ways {
        let far = login("reader", tls, "").await;
        // What a create reads by.
        let mut reader = moment::reader(&far).await.unwrap();
        assert!(matches!(reader.link(), Link::Wire(_)));
        assert_eq!(encryption(&mut reader).await, version);
        assert!(!reader.is_local());
        let mut of_socket = moment::reader(&near).await.unwrap();
        for table in &tables {
            let empty = Totals::default();
            let here = lines::prove(&mut of_socket, "far", table, empty).await.unwrap();
            let there = lines::prove(&mut reader, "far", table, empty).await.unwrap();
            assert_eq!(here, there, "{}", table.name);
            assert!(here.stored.rows() >= 3);
        }
    }
}

#[tokio::test]
async fn rows_go_afar_as_a_bulk_and_as_a_file() {
    server().run(
        "CREATE DATABASE far_load; CREATE TABLE far_load.t (id INT PRIMARY KEY, v VARCHAR(999))",
    );
    let tables = tables_of("far_load").await;
    let insertion = Insertion::into(&tables[0]).unwrap();
    let chunk: Vec<_> = (0..3_000).map(|id| format!("{id}\t{}\n", "x".repeat(999))).collect();
    let chunk = chunk.concat().into_bytes();
    let mut found = Vec::new();
    for tls in [None, Some(knowing_it())] {
        let mut loader = wire(&login("loader", tls, "").await).await;
        loader.prepare_loading().await.unwrap();
        loader.receive_text_as_stored().await.unwrap();
        loader.select_database("far_load").await.unwrap();
        let (packet, like) = (16 << 20, RowsDigest::default());
        let inserted =
            loader.insert("", &insertion, &chunk, packet, &like, Transaction::Own).await.unwrap();
        let inserted = inserted.expect("the server takes them as they are");
        let empty = Totals::default();
        let proven = lines::prove(&mut loader, "far_load", &tables[0], empty).await.unwrap();
        assert_eq!(inserted.lines, proven.stored);
        found.push(proven);
        loader.execute("", "TRUNCATE t").await.unwrap();
        let text = chunk.clone().into();
        assert_eq!(loader.load_as_text("", &tables[0], text, packet).await.unwrap(), 3_000);
        found.push(lines::prove(&mut loader, "far_load", &tables[0], empty).await.unwrap());
        loader.execute("", "TRUNCATE t").await.unwrap();
    }
    assert!(found.iter().all(|totals| *totals == found[0]));
    assert_eq!(found[0].stored.rows(), 3_000);
}

#[tokio::test]
async fn a_server_that_does_not_prove_who_it_is_is_refused() {
    let (stranger, _) = server().visitor();
    let of_stranger = refusal(&login("careful", Some(knowing(stranger)), "").await).await;
    assert!(of_stranger.contains("invalid peer certificate"), "{of_stranger}");
    let public = Tls { verify: true, ..Tls::default() };
    let of_nobody = refusal(&login("careful", Some(public), "").await).await;
    assert!(of_nobody.contains("invalid peer certificate"), "{of_nobody}");
    let misnamed = by_address(login("careful", Some(knowing_it()), "").await);
    let misnamed = refusal(&misnamed).await;
    assert_eq!(misnamed.matches("not valid for name").count(), 2, "{misnamed}");
    let absent = knowing(server().certificate().with_extension("absent"));
    refusal(&login("careful", Some(absent), "").await).await;
    // Who asks for no proof is content with any name and any certificate.
    wire(&by_address(login("careless", Some(Tls::default()), "").await)).await;
}

#[tokio::test]
async fn we_show_our_own_certificate_where_an_account_wants_it() {
    let (certificate, key) = server().visitor();
    let ours = Tls { certificate: Some(certificate), key: Some(key), ..knowing_it() };
    let mut shown =
        wire(&login("visitor", Some(ours), "REQUIRE SUBJECT '/CN=visitor'").await).await;
    assert_eq!(encryption(&mut shown).await, "TLSv1.3");
    for tls in [Some(knowing_it()), None] {
        let nobody = refusal(&login("visitor", tls, "REQUIRE X509").await).await;
        assert!(nobody.contains("ERROR 1045"), "{nobody}");
    }
}

/// Stands between us and the server: changes the greeting, and returns all that it is sent.
async fn in_between(change: fn(&mut Vec<u8>)) -> (u16, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = UnixStream::connect(server().socket()).await.unwrap();
        let mut greeting = vec![0; 1024];
        let length = server.read(&mut greeting).await.unwrap();
        greeting.truncate(length);
        change(&mut greeting);
        client.write_all(&greeting).await.unwrap();
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        heard
    });
    (port, heard)
}

async fn heard_by(change: fn(&mut Vec<u8>)) -> (String, Vec<u8>) {
    let login = login("overheard", Some(Tls::default()), "").await;
    let (port, heard) = in_between(change).await;
    let address = Address::Tcp { host: "localhost".to_owned(), port };
    let login = Login { server: address, ..login };
    let logged_in = Wire::log_in(&login, Offer::at(login.pace.clone()), LONGEST).await;
    (logged_in.err().expect("it is refused").to_string(), heard.await.unwrap())
}

#[tokio::test]
async fn nothing_of_an_account_is_said_in_clear_where_encryption_is_wanted() {
    let offers_none = |greeting: &mut Vec<u8>| {
        // Header, version of the protocol, version of the server, number, salt: the capabilities.
        let end_of_version = 5 + memchr::memchr(0, &greeting[5..]).unwrap();
        greeting[end_of_version + 1 + 4 + 9 + 1] &= !0x08;
    };
    let (error, heard) = heard_by(offers_none).await;
    assert!(error.contains("asked for SSL"), "{error}");
    assert_eq!(heard, b"");
    let says_more = |greeting: &mut Vec<u8>| greeting.extend_from_slice(b"\x01\0\0\x02\0");
    let (_, heard) = heard_by(says_more).await;
    assert!(memchr::memmem::find(&heard, b"overheard").is_none(), "{heard:?}");
    assert_eq!(heard.len(), 4 + 32, "nothing but the wish to encrypt");
}

#[tokio::test]
async fn a_connection_that_is_cut_is_a_server_out_of_reach() {
    server()
        .run("CREATE DATABASE far_cut; CREATE TABLE far_cut.t (id INT PRIMARY KEY, v CHAR(250))");
    server().run("USE far_cut; INSERT INTO t SELECT seq, REPEAT('v', 250) FROM seq_1_to_60000");
    let tables = tables_of("far_cut").await;
    for tls in [None, Some(knowing_it())] {
        let mut reader = wire(&login("cut", tls, "").await).await;
        reader.prepare_reading().await.unwrap();
        let id = reader.id();
        let Link::Wire(link) = reader.link() else { unreachable!("it is a wire") };
        link.query("SELECT * FROM far_cut.t").await.unwrap();
        // More is under way than anything in between can hold.
        assert!(link.next_rows().await.unwrap().is_some());
        server().run(&format!("KILL {id}"));
        let empty = Totals::default();
        let error = lines::prove(&mut reader, "far_cut", &tables[0], empty).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unreachable, "{}", error.chain());
    }
}

#[tokio::test]
async fn an_idle_connection_asks_whether_the_server_is_there() {
    let stream = connect("localhost", server().port().await).await.unwrap();
    assert!(sockopt::socket_keepalive(stream.get_ref()).unwrap());
    assert_eq!(sockopt::tcp_keepidle(stream.get_ref()).unwrap(), KEEPALIVE);
    assert!(stream.get_ref().nodelay().unwrap());
}
