//! A network between `snap` and a server that is far away: whatever comes in on a port goes out to the
//! server's socket later, and the answers come back as late. Kernels that can delay packets themselves
//! (`tc netem`) are not everywhere.
//!
//! ```text
//! distance SOCKET MILLISECONDS      prints its port; MILLISECONDS is there and back
//! ```

#![expect(clippy::print_stdout, reason = "a program whose answer is printed")]

use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// What is under way in one direction at most: more than any link of this length carries.
const PIECES: usize = 512;
const PIECE_BYTES: usize = 64 << 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [socket, milliseconds] = arguments.as_slice() else {
        println!("distance: used by benches/remote; distance SOCKET MILLISECONDS");
        return ExitCode::SUCCESS;
    };
    let delay = Duration::from_millis(milliseconds.parse().expect("a number of milliseconds")) / 2;
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen on loopback");
    println!("{}", listener.local_addr().expect("it listens").port());
    for client in listener.incoming() {
        let client = client.expect("accept a client");
        client.set_nodelay(true).expect("send at once");
        let server = UnixStream::connect(socket).expect("reach the server");
        let (to_server, to_client) = (server.try_clone(), client.try_clone());
        carry(client, to_server.expect("copy a socket"), delay);
        carry(server, to_client.expect("copy a socket"), delay);
    }
    ExitCode::SUCCESS
}

/// Carries all that comes from one end to the other, each piece so much later.
fn carry(
    mut from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
    delay: Duration,
) {
    let (sender, receiver) = sync_channel::<(Instant, Vec<u8>)>(PIECES);
    thread::spawn(move || {
        let mut piece = vec![0; PIECE_BYTES];
        while let Ok(length @ 1..) = from.read(&mut piece) {
            if sender.send((Instant::now() + delay, piece[..length].to_vec())).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (due, piece) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                return;
            }
        }
    });
}
