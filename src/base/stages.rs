//! Where the time of a verb goes: seconds and bytes of each stage, summed over all that work at once.
//!
//! Clocks are read once per chunk or table, never per row, so that counting costs nothing.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use serde::Serialize;

/// A part of the work that may be what a verb takes long for, in the order of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// All connections open their view of the same moment.
    Moment,
    /// Rows are read, and written down as lines unless an earlier snapshot holds them as they are.
    Reading,
    /// Readers are kept waiting, for the rate or for a server that is busy.
    Paused,
    /// Raw bytes are hashed.
    Hashing,
    /// Raw bytes are compressed.
    Compressing,
    /// Blobs become durable.
    Writing,
    /// The snapshot is listed, with its catalog and its manifest.
    Catalog,
    /// It is found out what a restore has to do, and whether it can.
    Preflight,
    /// Rows are loaded.
    Loading,
    /// Indexes are built.
    Indexes,
    /// Rows are read back and compared with what was saved.
    Verifying,
    /// What is staged takes the place of what is live.
    Swap,
}

const ALL: [Stage; 12] = [
    Stage::Moment,
    Stage::Reading,
    Stage::Paused,
    Stage::Hashing,
    Stage::Compressing,
    Stage::Writing,
    Stage::Catalog,
    Stage::Preflight,
    Stage::Loading,
    Stage::Indexes,
    Stage::Verifying,
    Stage::Swap,
];

impl Stage {
    /// Returns its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Moment => "moment",
            Self::Reading => "reading",
            Self::Paused => "paused",
            Self::Hashing => "hashing",
            Self::Compressing => "compressing",
            Self::Writing => "writing",
            Self::Catalog => "catalog",
            Self::Preflight => "preflight",
            Self::Loading => "loading",
            Self::Indexes => "indexes",
            Self::Verifying => "verifying",
            Self::Swap => "swap",
        }
    }
}

/// What one stage came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spent {
    /// Which one.
    pub stage: Stage,
    /// How long it took, the seconds of those that work at once added up.
    pub seconds: f64,
    /// How much went through it; 0 for a stage that no bytes go through.
    pub bytes: u64,
}

/// The stages of one verb. Clones are the same stages.
#[derive(Debug, Clone, Default)]
pub struct Stages(Arc<[Counter; ALL.len()]>);

#[derive(Debug, Default)]
struct Counter {
    nanoseconds: AtomicU64,
    bytes: AtomicU64,
}

/// They count, and make no difference between things that are otherwise alike.
impl PartialEq for Stages {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Stages {}

impl Stages {
    /// Adds what was done in so much time.
    pub fn add(&self, stage: Stage, elapsed: Duration, bytes: u64) {
        let counter = &self.0[stage as usize];
        let nanoseconds = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        counter.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        counter.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Returns a clock that counts from now on.
    pub fn begin(&self) -> Lap {
        Lap { stages: self.clone(), since: Instant::now() }
    }

    /// Returns the outcome of work that belongs to one stage.
    pub async fn time<T>(&self, stage: Stage, bytes: u64, work: impl Future<Output = T>) -> T {
        let mut lap = self.begin();
        let outcome = work.await;
        lap.end(stage, bytes);
        outcome
    }

    /// Returns what each stage came to that was gone through, in the order of the work.
    pub fn spent(&self) -> Vec<Spent> {
        let spent = ALL.iter().zip(&*self.0).map(|(&stage, counter)| Spent {
            stage,
            seconds: Duration::from_nanos(counter.nanoseconds.load(Ordering::Relaxed))
                .as_secs_f64(),
            bytes: counter.bytes.load(Ordering::Relaxed),
        });
        spent.filter(|spent| spent.seconds > 0.0 || spent.bytes > 0).collect()
    }
}

/// The clock of somebody who goes from stage to stage.
pub struct Lap {
    stages: Stages,
    since: Instant,
}

impl Lap {
    /// Adds the time since the last end to a stage.
    pub fn end(&mut self, stage: Stage, bytes: u64) {
        let now = Instant::now();
        self.stages.add(stage, now - self.since, bytes);
        self.since = now;
    }

    /// Leaves out the time since the last end.
    pub fn skip(&mut self) {
        self.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_has_its_own_place_in_order() {
        for (position, stage) in ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, position);
            assert_eq!(serde_json::to_value(stage).unwrap(), stage.name());
        }
    }

    #[test]
    fn what_was_done_at_once_is_added_up_and_what_was_not_done_is_not_told() {
        let stages = Stages::default();
        let second = Duration::from_secs(1);
        stages.clone().add(Stage::Swap, second, 0);
        stages.add(Stage::Reading, second, 5);
        stages.add(Stage::Reading, second, 6);
        let spent = |stage, seconds, bytes| Spent { stage, seconds, bytes };
        assert_eq!(stages.spent(), [spent(Stage::Reading, 2.0, 11), spent(Stage::Swap, 1.0, 0)]);
    }

    #[test]
    fn the_clock_of_one_stage_begins_where_the_last_one_ended() {
        let stages = Stages::default();
        let mut lap = stages.begin();
        lap.since -= Duration::from_secs(7);
        lap.end(Stage::Reading, 1);
        lap.end(Stage::Verifying, 1);
        lap.since -= Duration::from_secs(7);
        lap.skip();
        lap.end(Stage::Swap, 1);
        let seconds: Vec<_> = stages.spent().iter().map(|spent| spent.seconds >= 7.0).collect();
        assert_eq!(seconds, [true, false, false]);
    }
}
