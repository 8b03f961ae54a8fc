//! Fault points: where tests kill the process, to see what is left behind.
//!
//! They are compiled in with the feature `fault-points` only. A process that is started with
//! `FAILPOINTS=swap.moved=return` dies at the point `swap.moved` as by SIGKILL, and with
//! `FAILPOINTS=swap.moved=1*off->return` at the second time that it comes there.

/// Takes in what the environment says of the points; does nothing in a build without them.
pub fn arm() {
    #[cfg(feature = "fault-points")]
    std::mem::forget(fail::FailScenario::setup());
}

/// The variable that names a file for the points that a process comes to, in order.
#[cfg(feature = "fault-points")]
const TRACE: &str = "SNAP_FAULT_TRACE";

/// Marks the moment before or after a durable action.
#[cfg_attr(
    not(feature = "fault-points"),
    expect(unused_variables, clippy::missing_const_for_fn, reason = "it does nothing then")
)]
#[inline]
pub fn point(name: &str) {
    #[cfg(feature = "fault-points")]
    {
        trace(name);
        fail::fail_point!(name, |_| die());
    }
}

#[cfg(feature = "fault-points")]
#[expect(clippy::disallowed_methods, reason = "no build for use reads this variable")]
fn trace(name: &str) {
    use std::io::Write as _;
    let Some(file) = std::env::var_os(TRACE) else { return };
    let file = std::fs::OpenOptions::new().append(true).create(true).open(file);
    drop(file.and_then(|mut file| writeln!(file, "{name}")));
}

#[cfg(feature = "fault-points")]
fn die() {
    let own = rustix::process::getpid();
    rustix::process::kill_process(own, rustix::process::Signal::KILL).ok();
    loop {
        std::thread::park();
    }
}
