//! The database server killed at random times of a create or a restore, and started again: nothing
//! is lost.

use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::kills::IDS;
use crate::kills::Live;
use crate::kills::Studio;
use crate::kills::times;
use crate::restore_failures::finished;
use crate::stopped::listed;
use crate::tally;

/// How often the server is killed, every third time in a create; five times as often in a long run.
const KILLS: usize = 10;

/// How long after the swap began half of the kills of a restore come at most.
const SWAP: Duration = Duration::from_millis(400);

/// A server that keeps what it has confirmed, unlike the tests' own, when its process dies.
const DURABLE: &[&str] =
    &["--innodb-flush-log-at-trx-commit=1", "--innodb-doublewrite=ON", "--sync-frm=ON"];

/// A server that dies while it renames a partitioned table leaves the partitions in two databases,
/// out of reach of every statement: all else, `RENAME TABLE` moves or does not.
const UNPARTITIONED: &str = "ALTER TABLE centreon_studio.metric_history REMOVE PARTITIONING";

#[test]
fn a_server_killed_at_any_time_of_create_or_restore_has_lost_nothing_when_it_is_back() {
    let mut studio = Studio::new(DURABLE, UNPARTITIONED);
    let started = Instant::now();
    studio.place.snap(&["create", "timed"]).succeeded();
    let create = started.elapsed();
    let restore = studio.restore_whole();
    let mut creates = 0;
    for round in 0..times(KILLS) {
        if round % 3 == 2 {
            kill_in_create(&mut studio, &format!("round-{round}"), create);
            creates += 1;
        } else {
            kill_in_restore(&mut studio, restore, round % 3 == 1);
        }
    }
    tally::tell(creates, "kills", "of mariadbd in snap create");
    studio.tell("mariadbd in snap restore");
}

fn kill_in_create(studio: &mut Studio, id: &str, whole: Duration) {
    let create = studio.place.start(&["create", id]);
    thread::sleep(studio.while_below(whole));
    studio.place.server.kill();
    let output = finished(create);
    studio.place.server.start_again();
    let listed = listed(&studio.place);
    assert_eq!(output.code == 0, listed.iter().any(|listed| listed == id), "{output:#?}");
    assert!([0, 20].contains(&output.code), "{output:#?}");
    assert!(IDS.iter().all(|id| listed.iter().any(|listed| listed == id)), "{listed:?}");
    assert!(Live::of(&studio.place) == studio.live[studio.current], "a create changed something");
    studio.place.snap(&["verify", "--read-data"]).succeeded();
    studio.place.snap(&["create", &format!("{id}-next")]).succeeded();
}

fn kill_in_restore(studio: &mut Studio, whole: Duration, in_swap: bool) {
    let earlier = studio.previous_schemas();
    let mut restore = studio.start_restore();
    let most = if in_swap {
        studio.wait_for_swap(&mut restore, &earlier);
        SWAP
    } else {
        whole
    };
    thread::sleep(studio.while_below(most));
    studio.place.server.kill();
    let output = finished(restore);
    assert!([0, 20].contains(&output.code), "{output:#?}");
    studio.place.server.start_again();
    studio.check_at_once(&output, &earlier);
    studio.check_after_next();
}
