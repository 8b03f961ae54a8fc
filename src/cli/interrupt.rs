//! Ctrl-C and SIGTERM: the running verb is dropped, and what it began is never listed. A restore,
//! which builds beside what is live, is told instead and takes back what it began.

use std::future::pending;

use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::base::error::Error;
use crate::base::error::Kind;

/// Listens from now on; the future returns once the process is told to end, with the error that it
/// ends with.
///
/// Where signals cannot be had, it never returns, and the kernel ends the process as it ends any
/// other: a verb may be killed at any moment.
pub(super) fn interrupted() -> impl Future<Output = Error> {
    let interrupt = listen(SignalKind::interrupt());
    let terminate = listen(SignalKind::terminate());
    async {
        tokio::select! {
            () = received(interrupt) => Error::new(Kind::Interrupted, "interrupted by Ctrl-C"),
            () = received(terminate) => Error::new(Kind::Terminated, "terminated by SIGTERM"),
        }
    }
}

fn listen(kind: SignalKind) -> Option<Signal> {
    signal(kind).ok()
}

async fn received(signal: Option<Signal>) {
    match signal {
        Some(mut signal) => _ = signal.recv().await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use rustix::process::Signal;
    use rustix::process::getpid;
    use rustix::process::kill_process;
    use tokio::time::timeout;

    use super::*;

    /// Returns what this process would end with after it was sent this signal.
    async fn sent(signal: Signal) -> Kind {
        let mut interrupted = pin!(interrupted());
        let quiet = timeout(Duration::ZERO, interrupted.as_mut()).await;
        assert!(quiet.is_err(), "nothing was sent yet");
        kill_process(getpid(), signal).expect("send a signal to this process");
        interrupted.await.kind()
    }

    #[tokio::test]
    async fn signals_end_the_process_with_an_error_of_their_own() {
        assert_eq!(sent(Signal::INT).await, Kind::Interrupted);
        assert_eq!(sent(Signal::TERM).await, Kind::Terminated);
    }
}
