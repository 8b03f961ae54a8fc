//! The one file that a server may ask for: what the `LOAD DATA LOCAL` that just ran has named.
//!
//! The protocol lets a server ask for any file, in answer to any statement. What we offer are bytes
//! in memory under a name that is no file's; a server that asks for something else gets nothing,
//! and the statement fails.

use std::sync::Arc;
use std::sync::Mutex;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future;
use futures_util::future::BoxFuture;
use futures_util::stream;
use mysql_async::InfileData;
use mysql_async::LocalInfileError;
use mysql_async::prelude::GlobalHandler;

use crate::base::pace::Pace;

/// The name by which rows are offered.
pub(super) const NAME: &str = "snap";

/// What is sent to the server in one piece at most, in bytes.
const PIECE_BYTES: usize = 1 << 20;

const UNPOISONED: &str = "nobody panics while an offer is exchanged";

/// The bytes that the next statement loads; clones are the same offer.
#[derive(Clone)]
pub(super) struct Offer {
    offered: Arc<Mutex<Option<Offered>>>,
    pace: Pace,
}

struct Offered {
    bytes: Bytes,
    piece_bytes: usize,
}

impl Offer {
    /// Returns no offer, the next ones of which go at a pace.
    pub(super) fn at(pace: Pace) -> Self {
        Self { offered: Arc::default(), pace }
    }

    /// Offers bytes to the next statement, for a server whose packets hold this many.
    pub(super) fn make(&self, bytes: Bytes, packet_bytes: usize) {
        // A piece that fills the largest packet that the server takes is too large with its head.
        let piece_bytes = PIECE_BYTES.min(packet_bytes / 2);
        *self.offered.lock().expect(UNPOISONED) = Some(Offered { bytes, piece_bytes });
    }

    /// Returns the pace at which bytes go.
    pub(super) fn pace(&self) -> Pace {
        self.pace.clone()
    }

    /// Takes back what no statement asked for.
    pub(super) fn end(&self) {
        *self.offered.lock().expect(UNPOISONED) = None;
    }
}

impl GlobalHandler for Offer {
    fn handle(&self, name: &[u8]) -> BoxFuture<'static, Result<InfileData, LocalInfileError>> {
        let offered = self.offered.lock().expect(UNPOISONED).take();
        let offered = offered.filter(|_| name == NAME.as_bytes()).ok_or_else(|| {
            let name = String::from_utf8_lossy(name).into_owned();
            let text = format!("the server asks for the file {name:?}, which it was not offered");
            LocalInfileError::OtherError(text.into())
        });
        Box::pin(future::ready(offered.map(|offered| in_pieces(offered, self.pace.clone()))))
    }
}

fn in_pieces(offered: Offered, pace: Pace) -> InfileData {
    let Offered { bytes, piece_bytes } = offered;
    let starts = (0..bytes.len()).step_by(piece_bytes);
    let pieces = starts.map(move |start| bytes.slice(start..bytes.len().min(start + piece_bytes)));
    let paced = stream::iter(pieces.collect::<Vec<_>>()).then(move |piece| {
        let pace = pace.clone();
        async move {
            pace.spend(piece.len() as u64).await;
            Ok(piece)
        }
    });
    paced.boxed()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use tokio::io::AsyncRead;
    use tokio::io::AsyncReadExt as _;
    use tokio::io::AsyncWrite;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;
    use tokio::net::UnixListener;
    use tokio::net::UnixStream;
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use crate::base::error::Result;
    use crate::source::mariadb::connection::Connection;
    use crate::source::mariadb::connection::Link;
    use crate::source::mariadb::connection::connect;
    use crate::source::mariadb::connection::connect_for_rows;
    use crate::source::mariadb::login::Address;
    use crate::source::mariadb::login::Login;
    use crate::source::mariadb::throwaway::server;

    /// A file of this host whose content a server must never see.
    const WANTED: &str = "/etc/passwd";

    /// Who speaks the protocol with the thief: the client, or we ourselves by a socket or from afar.
    #[derive(Debug, Clone, Copy)]
    enum Way {
        Client,
        Wire,
        FarWire,
    }

    const WAYS: [Way; 3] = [Way::Client, Way::Wire, Way::FarWire];

    impl Way {
        async fn connect(self, thief: &Thief) -> Connection {
            let connected = match self {
                Self::Client => connect(&thief.login).await,
                Self::Wire | Self::FarWire => connect_for_rows(&thief.login).await,
            };
            let mut connection = connected.unwrap();
            assert_eq!(matches!(connection.link(), Link::Client(_)), matches!(self, Self::Client));
            connection
        }
    }

    /// A server that answers the statements with `steal` in them by asking for a file.
    struct Thief {
        login: Login,
        /// All that it was sent from then on.
        loot: JoinHandle<Vec<u8>>,
        _folder: TempDir,
    }

    async fn thief(way: Way, asks_for: &'static str) -> Thief {
        let folder = tempfile::tempdir().unwrap();
        let (address, loot) = match way {
            Way::Client | Way::FarWire => {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let port = listener.local_addr().unwrap().port();
                let robbed =
                    async move { steal(listener.accept().await.unwrap().0, asks_for).await };
                (Address::Tcp { host: "127.0.0.1".to_owned(), port }, tokio::spawn(robbed))
            }
            Way::Wire => {
                let path = folder.path().join("thief.sock");
                let listener = UnixListener::bind(&path).unwrap();
                let robbed =
                    async move { steal(listener.accept().await.unwrap().0, asks_for).await };
                (Address::Socket(path), tokio::spawn(robbed))
            }
        };
        let login = Login { server: address, ..server().login(server().superuser(), None) };
        Thief { login, loot, _folder: folder }
    }

    async fn steal(client: impl AsyncRead + AsyncWrite, asks_for: &str) -> Vec<u8> {
        let (mut answers, mut questions) =
            UnixStream::connect(server().socket()).await.unwrap().into_split();
        let (mut from_client, mut to_client) = tokio::io::split(client);
        let (stop, stopped) = oneshot::channel::<()>();
        let ask = async {
            loop {
                let mut head = [0; 4];
                from_client.read_exact(&mut head).await.unwrap();
                let length = u32::from_le_bytes([head[0], head[1], head[2], 0]);
                let mut packet = vec![0; usize::try_from(length).unwrap()];
                from_client.read_exact(&mut packet).await.unwrap();
                if memchr::memmem::find(&packet, b"steal").is_some() {
                    stop.send(()).unwrap();
                    return;
                }
                questions.write_all(&[&head, packet.as_slice()].concat()).await.unwrap();
            }
        };
        let answer = async {
            tokio::select! {
                copied = tokio::io::copy(&mut answers, &mut to_client) => drop(copied.unwrap()),
                _ = stopped => {}
            }
        };
        tokio::join!(ask, answer);
        let request =
            [&[u8::try_from(asks_for.len()).unwrap() + 1, 0, 0, 1, 0xfb], asks_for.as_bytes()];
        to_client.write_all(&request.concat()).await.unwrap();
        let mut loot = Vec::new();
        from_client.read_to_end(&mut loot).await.unwrap();
        loot
    }

    /// Loads `rows` through a server that asks for `asks_for`; returns what came of it, and what
    /// the server was sent.
    async fn load(way: Way, asks_for: &'static str, rows: &[u8]) -> (Result<u64>, Vec<u8>) {
        let thief = thief(way, asks_for).await;
        let mut connection = way.connect(&thief).await;
        let statement = "LOAD DATA LOCAL INFILE 'snap' INTO TABLE steal";
        let loading = connection.load("cannot load", statement, rows.to_vec().into(), 1 << 24);
        // A server that got what it asked for owes an answer, and this one never gives it.
        let outcome = tokio::select! {
            outcome = loading => outcome,
            () = tokio::time::sleep(crate::source::mariadb::throwaway::SHORT) => Ok(0),
        };
        drop(connection);
        (outcome, thief.loot.await.unwrap())
    }

    #[tokio::test]
    async fn a_server_gets_the_rows_that_it_was_offered() {
        for way in WAYS {
            let (outcome, loot) = load(way, "snap", b"1\ta\n").await;
            outcome.unwrap();
            assert!(loot.starts_with(b"\x04\0\0\x021\ta\n\0\0\0\x03"), "{way:?}: {loot:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_asks_for_another_file_while_rows_are_loaded_gets_nothing() {
        for way in WAYS {
            let (outcome, loot) = load(way, WANTED, b"1\ta\n").await;
            let error = outcome.unwrap_err().chain();
            assert!(error.contains("asks for the file \"/etc/passwd\""), "{way:?}: {error}");
            assert_eq!(loot, b"", "{way:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_asks_for_a_file_in_answer_to_anything_else_gets_nothing() {
        for way in WAYS {
            let thief = thief(way, WANTED).await;
            let mut connection = way.connect(&thief).await;
            let asked = connection.execute("cannot ask", "SELECT 'steal'").await;
            let error = asked.unwrap_err().chain();
            assert!(error.contains("asks for the file \"/etc/passwd\""), "{way:?}: {error}");
            if !matches!(way, Way::Client) {
                // Nothing that is asked from now on may be taken for the file.
                connection.execute("cannot ask", "SELECT 'secret'").await.unwrap_err();
            }
            drop(connection);
            assert_eq!(thief.loot.await.unwrap(), b"", "{way:?}");
        }
    }
}
