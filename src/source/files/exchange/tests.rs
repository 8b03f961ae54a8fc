//! Every state that a process may leave which is killed while it exchanges a target as a whole.

use super::*;
use crate::source::files::rename;

/// A folder with a target, and an exchange for what is staged beside it.
fn scene(has_target: bool) -> (tempfile::TempDir, Exchange) {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("ssl");
    let exchange = Exchange::of_staging(&target, "x").unwrap();
    make(exchange.incoming.as_ref().unwrap(), "new");
    if has_target {
        make(&target, "old");
    }
    let exchange = exchange.noted().unwrap();
    (folder, exchange)
}

fn make(path: &Path, name: &str) {
    fs::create_dir(path).unwrap();
    fs::create_dir(path.join(name)).unwrap();
}

/// What it is called, whether there was a target, and how it is come to.
type State = (&'static str, bool, fn(&Exchange));

/// Every state that a process may leave behind which is killed while it exchanges.
fn states() -> Vec<State> {
    let crossed =
        |it: &Exchange| rename::exchange(it.incoming.as_ref().unwrap(), &it.target).unwrap();
    vec![
        ("waiting", true, |_| {}),
        ("crossed", true, crossed),
        ("swapped", true, |it| it.complete().unwrap()),
        ("between two renames", true, |it| rename::to_free(&it.target, &it.previous).unwrap()),
        ("crossed back", true, |it| {
            it.complete().unwrap();
            rename::exchange(&it.previous, &it.target).unwrap();
        }),
        ("waiting for nothing", false, |_| {}),
        ("put", false, |it| it.complete().unwrap()),
    ]
}

#[test]
fn from_every_state_it_is_completed_and_taken_back() {
    for (name, has_target, reach) in states() {
        let (_folder, exchange) = scene(has_target);
        reach(&exchange);
        exchange.complete().unwrap();
        assert!(exchange.target.join("new").exists(), "{name}");
        assert_eq!(exchange.previous.join("old").exists(), has_target, "{name}");
        assert!(exchange.can_go_on() && exchange.is_whole(), "{name}");

        let (_folder, exchange) = scene(has_target);
        reach(&exchange);
        exchange.take_back().unwrap();
        assert_eq!(exchange.target.join("old").exists(), has_target, "{name}");
        assert_eq!(exists(&exchange.target), has_target, "{name}");
        assert!(
            !exists(&exchange.previous) && !exists(exchange.incoming.as_ref().unwrap()),
            "{name}"
        );
    }
}

#[test]
fn an_exchange_is_reversed_and_reversed_again() {
    for has_target in [true, false] {
        let (_folder, first) = scene(has_target);
        first.complete().unwrap();
        let second = first.reversed("y").unwrap();
        second.complete().unwrap();
        assert_eq!(exists(&second.target), has_target);
        assert_eq!(second.target.join("old").exists(), has_target);
        let third = second.reversed("z").unwrap();
        third.complete().unwrap();
        assert!(third.target.join("new").exists());
        // Taken back, what an earlier one kept is kept again.
        third.take_back().unwrap();
        assert_eq!(exists(&second.target), has_target);
        assert!(second.previous.join("new").exists());
    }
}

#[test]
fn what_is_staged_and_lost_leaves_the_target_alone() {
    let (_folder, exchange) = scene(true);
    fs::remove_dir_all(exchange.incoming.as_ref().unwrap()).unwrap();
    assert!(!exchange.can_go_on());
    assert!(exchange.complete().is_err());
    exchange.take_back().unwrap();
    assert!(exchange.target.join("old").exists());
}
