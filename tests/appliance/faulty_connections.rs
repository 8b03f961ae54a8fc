//! Connections to the server that break: cut in the middle of a chunk, or by a server that is
//! restarted between staging and swap.

use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;

use crate::kills::IDS;
use crate::kills::Live;
use crate::kills::Studio;
use crate::place::Place;
use crate::restore_failures::WAITING;
use crate::restore_failures::finished;
use crate::stopped::listed;
use crate::tally;

/// A network between `snap` and the server, which breaks after so many bytes.
#[derive(Clone)]
pub(crate) struct Network(Arc<Mutex<Wires>>);

struct Wires {
    server: PathBuf,
    /// Bytes until it breaks.
    left: usize,
    /// Bytes since it was mended.
    carried: usize,
    /// Whether it broke since it was mended.
    has_broken: bool,
    /// Whether it carries again after it broke.
    comes_back: bool,
    is_down: bool,
    ends: Vec<(TcpStream, UnixStream)>,
}

impl Network {
    /// Starts to listen on loopback, and makes `network.cnf` a client's way through it.
    fn before(place: &Place) -> Self {
        let (network, port) = Self::listen(place);
        let defaults = format!("[client]\nuser=root\nhost=127.0.0.1\nport={port}\n");
        fs::write(place.path("network.cnf"), defaults).expect("write network.cnf");
        network
    }

    /// Starts to listen on a port of loopback, which is returned too.
    pub(crate) fn listen(place: &Place) -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen on loopback");
        let port = listener.local_addr().expect("it listens").port();
        let network = Self(Arc::new(Mutex::new(Wires {
            server: place.server.socket(),
            left: usize::MAX,
            carried: 0,
            has_broken: false,
            comes_back: true,
            is_down: false,
            ends: Vec::new(),
        })));
        let accepting = network.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                accepting.accept(&client.expect("accept a client"));
            }
        });
        (network, port)
    }

    fn accept(&self, client: &TcpStream) {
        let mut wires = self.0.lock().expect("no wire panics");
        if wires.is_down {
            return;
        }
        // Without a server the client is told by the end of its connection.
        let Ok(server) = UnixStream::connect(&wires.server) else { return };
        let copy = || (client.try_clone().expect("copy"), server.try_clone().expect("copy"));
        wires.ends.push(copy());
        for inward in [true, false] {
            let (network, (client, server)) = (self.clone(), copy());
            thread::spawn(move || {
                if inward {
                    network.carry(&client, &server);
                } else {
                    network.carry(&server, &client);
                }
                // Where one end is gone, the other is told.
                hang_up(&client, &server);
            });
        }
    }

    fn carry(&self, mut from: impl Read, mut to: impl Write) {
        let mut bytes = [0; 8192];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            let allowed = self.pass(length);
            if to.write_all(&bytes[..allowed]).is_err() || allowed < length {
                break;
            }
        }
        let mut wires = self.0.lock().expect("no wire panics");
        if wires.left == 0 {
            wires.is_down = !wires.comes_back;
            wires.has_broken = true;
            wires.left = usize::MAX;
            for (client, server) in wires.ends.drain(..) {
                hang_up(&client, &server);
            }
        }
    }

    /// Returns how many of these bytes come through.
    fn pass(&self, length: usize) -> usize {
        let mut wires = self.0.lock().expect("no wire panics");
        let allowed = length.min(wires.left);
        wires.left -= allowed;
        wires.carried += allowed;
        allowed
    }

    /// Mends the network, until so many bytes from now.
    pub(crate) fn mend(&self, left: usize, comes_back: bool) {
        let mut wires = self.0.lock().expect("no wire panics");
        (wires.left, wires.carried, wires.comes_back) = (left, 0, comes_back);
        (wires.is_down, wires.has_broken) = (false, false);
        wires.ends.clear();
    }

    pub(crate) fn has_broken(&self) -> bool {
        self.0.lock().expect("no wire panics").has_broken
    }

    pub(crate) fn carried(&self) -> usize {
        self.0.lock().expect("no wire panics").carried
    }
}

/// Ends a connection, which may have ended already.
fn hang_up(client: &TcpStream, server: &UnixStream) {
    client.shutdown(Shutdown::Both).ok();
    server.shutdown(Shutdown::Both).ok();
}

fn start(place: &Place, arguments: &[&str]) -> Child {
    let defaults = format!("--defaults-file={}", place.path("network.cnf").display());
    place.start(&[arguments, &[&defaults]].concat())
}

const CUTS: usize = 6;

#[test]
fn a_connection_cut_in_a_create_fails_it_and_nothing_is_listed() {
    let mut studio = Studio::new(&[], "DO 0");
    let network = Network::before(&studio.place);
    finished(start(&studio.place, &["create", "through"])).succeeded();
    let mut all = network.carried();
    let (mut cuts, mut uncut) = (0, 0);
    while cuts < CUTS {
        let at = studio.dice.below(all - 1000);
        network.mend(at, cuts % 2 == 0);
        let output = finished(start(&studio.place, &["create", "cut"]));
        if !network.has_broken() {
            // The first one needed more bytes: it had to hold others off more often.
            output.succeeded();
            studio.place.snap(&["delete", "cut"]).succeeded();
            (all, uncut) = (all.min(network.carried()), uncut + 1);
            assert!(uncut < CUTS, "{all} bytes are never carried");
            continue;
        }
        cuts += 1;
        output.failed(20, &["127.0.0.1", "hint: "]);
        assert!(!listed(&studio.place).contains(&"cut".to_owned()), "{at} of {all}: {output:#?}");
    }
    assert!(Live::of(&studio.place) == studio.live[studio.current], "a create changed something");
    studio.place.snap(&["verify", "--read-data"]).succeeded();
    network.mend(usize::MAX, true);
    finished(start(&studio.place, &["create", "next"])).succeeded();
    tally::tell(CUTS, "faults", "of a connection cut in create");
}

#[test]
fn a_connection_cut_in_a_restore_fails_it_and_the_next_one_makes_all_whole() {
    let mut studio = Studio::new(&[], "DO 0");
    let network = Network::before(&studio.place);
    let restore = |studio: &Studio| {
        let id = IDS[1 - studio.current];
        finished(start(&studio.place, &["restore", id, "--force", "--restore-certificates"]))
    };
    let mut all = [0; 2];
    for _ in IDS {
        network.mend(usize::MAX, true);
        restore(&studio).succeeded();
        studio.current = 1 - studio.current;
        all[studio.current] = network.carried();
    }
    for round in 0..CUTS {
        let all = all[1 - studio.current];
        // The last bytes are those of the swap.
        let at = if round % 3 == 2 { all - 60_000 } else { 0 };
        let at = at + studio.dice.below(if at > 0 { 59_000 } else { all });
        network.mend(at, round % 2 == 0);
        let earlier = studio.previous_schemas();
        let output = restore(&studio);
        let seed = studio.seed;
        tally::say(&format!("round {round}: cut at {at} of {all} bytes (SNAP_TEST_SEED={seed})"));
        assert!([0, 20].contains(&output.code), "{at} of {all}: {output:#?}");
        assert!(output.code == 0 || output.stderr.contains("hint: "), "{output:#?}");
        studio.place.wait_until_alone();
        studio.check_at_once(&output, &earlier);
        // A resume goes the way that the restore went.
        network.mend(usize::MAX, true);
        finished(start(&studio.place, &["restore", "--resume"])).succeeded();
        studio.check_after_next();
    }
    tally::tell(CUTS, "faults", "of a connection cut in restore");
}

#[test]
fn a_server_restarted_between_staging_and_swap_has_what_was_live_and_the_next_restore_works() {
    let mut studio =
        Studio::new(&[], "ALTER TABLE centreon_studio.metric_history REMOVE PARTITIONING");
    let rounds = 3;
    for _ in 0..rounds {
        let earlier = studio.previous_schemas();
        let reader =
            studio.place.session("USE centreon_studio; BEGIN; SELECT id FROM bulk LIMIT 1");
        let restore = studio.start_restore();
        // All is staged now, and the swap waits for the reader.
        studio.place.wait_for(WAITING);
        studio.place.server.kill();
        drop(reader);
        studio.place.server.start_again();
        let output = finished(restore);
        output.failed(20, &["server.sock", "hint: "]);
        studio.check_at_once(&output, &earlier);
        let live = &studio.live[studio.current];
        assert!(Live::of(&studio.place) == *live, "something was touched: {output:#?}");
        studio.check_after_next();
    }
    tally::tell(rounds, "faults", "of a server restarted between staging and swap");
}
