//! Health checks of a real server on this host, which speaks HTTP as little as it must.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::base::monitor::Silent;

use super::*;

const UP: &str = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"UP\"}";
const DOWN: &str = "HTTP/1.1 503 Down\r\nContent-Length: 17\r\n\r\n{\"status\":\"DOWN\"}";
const ELSEWHERE: &str =
    "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/login\r\nContent-Length: 0\r\n\r\n";

/// Serves the answers, one after the other, the last one for ever; returns its port.
async fn serve(answers: &'static [&'static str]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for asked in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET /health"));
            let answer = answers[asked.min(answers.len() - 1)];
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    port
}

fn health(url: String, limit: u64) -> Health {
    let check = Check::Http { url, status: 200, contains: Some("\"UP\"".to_owned()) };
    Health { check, unit: None, limit: Duration::from_secs(limit) }
}

async fn wait(health: Health) -> Result<()> {
    wait_until_well(&[health], &Silent).await.map(drop)
}

async fn failure(health: Health) -> String {
    let error = wait(health).await.expect_err("it is not well");
    assert_eq!(error.kind(), Kind::Hook);
    error.chain()
}

#[tokio::test]
async fn a_service_is_asked_until_it_is_well() {
    let port = serve(&[DOWN, UP]).await;
    wait(health(format!("http://127.0.0.1:{port}/health"), 30)).await.unwrap();
}

#[tokio::test]
async fn what_it_answered_last_is_told_and_no_secret() {
    let port = serve(&[DOWN]).await;
    let told = failure(health(format!("http://u:pass@127.0.0.1:{port}/health?token=x"), 1)).await;
    let asked = format!("http://127.0.0.1:{port}/health");
    assert_eq!(
        told,
        format!(
            "the service is not well after 1 s: {asked} answers 503 Service Unavailable, not 200: {{\"status\":\"DOWN\"}}"
        )
    );
}

#[tokio::test]
async fn a_body_without_the_text_and_a_way_elsewhere_are_not_well() {
    let port = serve(&["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"]).await;
    let told = failure(health(format!("http://localhost:{port}/health"), 1)).await;
    assert!(told.ends_with("answers 200 OK without \"\\\"UP\\\"\": no"), "{told}");
    let port = serve(&[ELSEWHERE]).await;
    let told = failure(health(format!("http://127.0.0.1:{port}/health"), 1)).await;
    assert!(told.contains("answers 302 Found, not 200"), "{told}");
}

#[tokio::test]
async fn nobody_at_the_address_is_told_as_that() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let told = failure(health(format!("http://127.0.0.1:{port}/health"), 1)).await;
    assert!(told.contains("does not answer: ") && told.contains("refused"), "{told}");
}

#[tokio::test]
async fn a_command_is_asked_until_it_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("asked");
    let command =
        format!("echo no, not yet; test -e {0} || {{ touch {0}; exit 3; }}", file.display());
    let check = Check::Command(command);
    wait(Health { check, unit: None, limit: Duration::from_secs(30) }).await.unwrap();
    let check = Check::Command("echo starting; echo still down >&2; exit 3".to_owned());
    let told = failure(Health { check, unit: None, limit: Duration::from_secs(1) }).await;
    assert!(told.ends_with("echo ended with exit code 3: still down"), "{told}");
}

#[test]
fn this_host_itself_and_no_other_may_show_any_certificate() {
    let is = |url: &str| is_loopback(&Url::parse(url).unwrap());
    for url in ["https://localhost/", "https://127.0.0.1:8443/x", "https://[::1]:8443/"] {
        assert!(is(url), "{url}");
    }
    for url in
        ["https://localhost.example.org/", "https://10.0.0.1/", "https://127.0.0.1.example.org/"]
    {
        assert!(!is(url), "{url}");
    }
}

/// Serves TLS with a certificate that nobody vouches for; returns its port.
fn serve_with_tls(answered: &Arc<AtomicUsize>) -> u16 {
    let folder = tempfile::tempdir().unwrap();
    let request =
        "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 9 -subj /CN=other";
    let output =
        Command::new("openssl").args(request.split(' ')).current_dir(folder.path()).output();
    assert!(output.unwrap().status.success());
    drop(ring::default_provider().install_default());
    let certificate = CertificateDer::from_pem_file(folder.path().join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.path().join("key.pem")).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![certificate], key).unwrap());
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answered = Arc::clone(answered);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            let is_asked = std::io::Read::read(&mut stream, &mut [0; 4096]).is_ok_and(|it| it > 0);
            if is_asked && std::io::Write::write_all(&mut stream, UP.as_bytes()).is_ok() {
                answered.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    port
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_will_do_on_this_host_alone() {
    let answered = Arc::default();
    let port = serve_with_tls(&answered);
    wait(health(format!("https://localhost:{port}/health"), 30)).await.unwrap();
    assert_eq!(answered.load(Ordering::SeqCst), 1);
    // An address of this host that is not its inside, by a name that is not known to be one.
    let told = failure(health(format!("https://0.0.0.0:{port}/health"), 1)).await;
    assert!(told.contains("does not answer: "), "{told}");
    assert_eq!(answered.load(Ordering::SeqCst), 1, "it was asked all the same");
}
