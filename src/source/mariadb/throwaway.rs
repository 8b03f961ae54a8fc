//! A MariaDB server for tests, without any TCP port: started by the first test that asks for it,
//! shared by the others, ended when the test process ends, however that ends.

use std::io::BufRead as _;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use crate::base::pace::Pace;
use crate::base::stages::Stages;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::login::Address;
use crate::source::mariadb::login::Binlog;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::login::Secret;
use crate::source::mariadb::sessions::Sessions;

/// Makes a server below the folder `$1`, and ends it when nobody holds the standard input any more.
const SCRIPT: &str = r#"
cd "$1" || exit 1
mariadb-install-db --no-defaults --datadir="$1/data" --auth-root-authentication-method=socket \
    --auth-root-socket-user="$(id -un)" --skip-test-db --innodb-log-file-size=8M --user="$(id -un)" >install.log 2>&1 || { cat install.log; exit 1; }
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out cert.pem -subj /CN=throwaway \
    -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE 2>/dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout visitor-key.pem \
    -out visitor.pem -subj /CN=visitor 2>/dev/null
mariadbd --no-defaults --user="$(id -un)" --datadir="$1/data" --socket="$1/s" --skip-networking \
    --pid-file="$1/pid" --log-error="$1/error.log" --plugin-load-add=auth_ed25519 \
    --ssl-cert="$1/cert.pem" --ssl-key="$1/key.pem" --ssl-ca="$1/visitor.pem" \
    --innodb-buffer-pool-size=32M \
    --innodb-log-file-size=8M --log-bin=binlog --lc-messages=fr_FR --autocommit=0 \
    --sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES --transaction-isolation=READ-COMMITTED \
    </dev/null >/dev/null 2>&1 &
server=$!
until mariadb --no-defaults --socket="$1/s" \
    --execute='SET GLOBAL sql_select_limit = 1' >/dev/null 2>&1; do
    kill -0 $server || { cat error.log; exit 1; }
    sleep 0.1
done
echo "$(id -un) is ready"
cat >/dev/null
kill $server
wait $server
rm -rf "$1"
"#;

/// A running server. Its settings are odd on purpose: none of them may change what we do.
///
/// Its superuser logs in as distributions have it: a password that nobody can give, or the socket.
pub(super) struct Server {
    folder: PathBuf,
    superuser: String,
}

/// Returns the server that all tests of this process share.
pub(super) fn server() -> &'static Server {
    static SERVER: LazyLock<Server> = LazyLock::new(Server::start);
    &SERVER
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("snap-test-").tempdir().unwrap().keep();
        let mut script = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(script.stdout.take().unwrap());
        let superuser = loop {
            let start = said.len();
            let length = lines.read_line(&mut said).unwrap();
            assert!(length > 0, "no MariaDB server starts here (mariadb-server, openssl): {said}");
            if let Some(name) = said[start..].strip_suffix(" is ready\n") {
                break name.to_owned();
            }
        };
        // Its standard input stays open until the process ends: what the script waits for.
        std::mem::forget(script);
        Self { folder, superuser }
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.join("s")
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.folder.join("cert.pem")
    }

    /// Returns certificate and key of somebody whom the server knows by them.
    pub(super) fn visitor(&self) -> (PathBuf, PathBuf) {
        (self.folder.join("visitor.pem"), self.folder.join("visitor-key.pem"))
    }

    /// Returns a login by the socket.
    pub(super) fn login(&self, user: &str, password: Option<&str>) -> Login {
        Login {
            server: Address::Socket(self.socket()),
            user: user.to_owned(),
            password: password.map(Secret::new),
            tls: None,
            notes: Vec::new(),
            sessions: Sessions::default(),
            binlog: Binlog::default(),
            pace: Pace::default(),
            stages: Stages::default(),
        }
    }

    pub(super) fn superuser(&self) -> &str {
        &self.superuser
    }

    /// Returns a connection that may do everything.
    pub(super) async fn connection(&self) -> Connection {
        connect(&self.login(&self.superuser, None)).await.unwrap()
    }

    /// Runs statements that may do everything, with the server's own client.
    pub(super) fn run(&self, statements: &str) {
        self.run_as(&self.superuser, statements).unwrap();
    }

    /// Runs statements as some user; returns what stopped them.
    pub(super) fn run_as(&self, user: &str, statements: &str) -> Result<(), String> {
        let output = self.client(user, statements);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(said) }
    }

    fn client(&self, user: &str, statements: &str) -> std::process::Output {
        let settings = "SET sql_mode = '', sql_select_limit = DEFAULT, autocommit = 1;";
        Command::new("mariadb")
            .args(["--no-defaults", "--batch", "--user", user, "--socket"])
            .arg(self.socket())
            .arg(format!("--execute={settings} {statements}"))
            .output()
            .unwrap()
    }

    /// Returns a port of the loopback that leads to the server's socket.
    pub(super) async fn port(&self) -> u16 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(forward(listener, self.socket()));
        port
    }
}

async fn forward(listener: tokio::net::TcpListener, socket: impl AsRef<Path>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let mut server = tokio::net::UnixStream::connect(&socket).await.unwrap();
        tokio::spawn(async move {
            tokio::io::copy_bidirectional(&mut client, &mut server).await.ok();
        });
    }
}

/// The limit of tests that wait for a silence, after which nothing more is expected to come: long
/// enough for a slow machine to have said all.
pub(super) const SHORT: Duration = Duration::from_secs(3);
