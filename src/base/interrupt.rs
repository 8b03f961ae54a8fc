//! Work that must not stop half-way, whatever the user presses.
//!
//! A verb that is interrupted is dropped where it stands. What is [`shielded`] goes on, and the
//! process waits for its end; it looks at [`is_requested`] where it can still turn back.

use std::sync::LazyLock;

use tokio::sync::watch;

#[derive(Default)]
struct State {
    at_work: usize,
    is_requested: bool,
}

static STATE: LazyLock<watch::Sender<State>> = LazyLock::new(watch::Sender::default);

/// Runs work to its end, even where the caller is dropped; returns what it returns.
pub async fn shielded<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let shield = Shield::raise();
    let running = tokio::spawn(async move {
        let result = work.await;
        drop(shield);
        result
    });
    running.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Asks all that is shielded to turn back where it can, and waits until it has ended. Returns
/// whether there was anything to wait for.
pub async fn settled() -> bool {
    STATE.send_modify(|state| state.is_requested = true);
    let had_to_wait = STATE.borrow().at_work > 0;
    let mut state = STATE.subscribe();
    state.wait_for(|state| state.at_work == 0).await.expect("its sender is static");
    had_to_wait
}

/// Returns whether the user wants the process to end.
pub fn is_requested() -> bool {
    STATE.borrow().is_requested
}

/// Counts work that is shielded, until it is dropped: a panic ends it too.
struct Shield;

impl Shield {
    fn raise() -> Self {
        STATE.send_modify(|state| state.at_work += 1);
        Self
    }
}

impl Drop for Shield {
    fn drop(&mut self) {
        STATE.send_modify(|state| state.at_work -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn shielded_work_ends_though_its_caller_is_dropped() {
        let (done, mut is_done) = watch::channel(false);
        let work = shielded(async move {
            sleep(Duration::from_millis(50)).await;
            done.send_replace(true);
        });
        let interrupted = timeout(Duration::from_millis(5), work).await;
        assert!(interrupted.is_err(), "the caller does not wait");
        assert!(settled().await);
        assert!(*is_done.borrow_and_update());
        assert!(is_requested());
    }
}
