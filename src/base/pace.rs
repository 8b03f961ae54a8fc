//! How fast bytes may move between a service and its snapshots, so that a service at work stays
//! one: at a rate that all connections share, and not at all while the server is busy.

use std::fmt;
use std::num::NonZero;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio::time::sleep_until;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::stages::Lap;
use crate::base::stages::Stage;

/// What was not used of the rate is given up but for this time: sleep is no precise thing.
const SLACK: Duration = Duration::from_millis(100);

/// Bytes that are counted before anybody waits for them.
const STEP_BYTES: u64 = 64 << 10;

/// A slower rate keeps a connection waiting for longer than servers allow.
const SLOWEST: u64 = STEP_BYTES;

/// Bytes per second, written as `50M`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(NonZero<u64>);

impl FromStr for Rate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refusal = || {
            Error::new(Kind::Usage, format!("cannot use {text:?} as bytes per second"))
                .hint("a rate is a whole number of K, M or G, such as 50M, and 64K at least")
        };
        let shift = match text.bytes().last() {
            Some(b'k' | b'K') => 10,
            Some(b'm' | b'M') => 20,
            Some(b'g' | b'G') => 30,
            _ => 0,
        };
        let digits = if shift == 0 { text } else { &text[..text.len() - 1] };
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: Option<u64> = digits.parse().ok().filter(|_| is_number);
        let bytes = number.and_then(|number| number.checked_mul(1 << shift));
        bytes.filter(|bytes| *bytes >= SLOWEST).and_then(NonZero::new).map(Self).ok_or_else(refusal)
    }
}

/// What keeps a service at work from being slowed down; by default nothing does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// The bytes per second that are read or written.
    pub rate: Option<Rate>,
    /// The threads of others that may run in the server while rows are read for a snapshot.
    pub threads_running: Option<u32>,
}

/// The pace of one verb. Clones are the same pace.
#[derive(Clone, Default)]
pub struct Pace(Option<Arc<Shared>>);

struct Shared {
    limits: Limits,
    /// When all that has passed would have passed at the rate.
    due: Mutex<Option<Instant>>,
    is_open: watch::Sender<bool>,
}

impl Pace {
    /// Returns a pace that keeps these limits.
    pub fn of(limits: Limits) -> Self {
        if limits == Limits::default() {
            return Self::default();
        }
        Self(Some(Arc::new(Shared {
            limits,
            due: Mutex::default(),
            is_open: watch::Sender::new(true),
        })))
    }

    /// Returns the limits that it keeps.
    pub fn limits(&self) -> Limits {
        self.0.as_ref().map_or_else(Limits::default, |shared| shared.limits)
    }

    /// Waits until so many bytes more may have passed.
    pub async fn spend(&self, bytes: u64) {
        let Some(shared) = &self.0 else { return };
        // The sender is ours, and lives.
        shared.is_open.subscribe().wait_for(|is_open| *is_open).await.ok();
        if let Some(due) = shared.reserve(bytes) {
            sleep_until(due).await;
        }
    }

    /// Keeps everybody waiting until [`release`](Self::release).
    pub fn hold(&self) {
        if let Some(shared) = &self.0 {
            shared.is_open.send_replace(false);
        }
    }

    /// Lets those go on who wait.
    pub fn release(&self) {
        if let Some(shared) = &self.0 {
            shared.is_open.send_replace(true);
        }
    }

    /// Returns the meter of somebody whose time belongs to a stage.
    pub fn meter(&self, lap: Lap, stage: Stage) -> Meter {
        Meter { pace: self.clone(), lap, stage, unpaid_bytes: 0, untold_bytes: 0 }
    }
}

impl Shared {
    /// Returns when these bytes have passed at the rate, which nobody else's bytes use.
    fn reserve(&self, bytes: u64) -> Option<Instant> {
        let Rate(rate) = self.limits.rate?;
        let mut due = self.due.lock().expect("nobody panics while the rate is shared");
        let earliest = Instant::now() - SLACK;
        let from = due.map_or(earliest, |due| due.max(earliest));
        let passed = from
            + Duration::from_secs(bytes / rate)
            + Duration::from_nanos((bytes % rate).saturating_mul(1_000_000_000) / rate);
        *due = Some(passed);
        Some(passed)
    }
}

/// Two paces are equal where they keep the same limits.
impl PartialEq for Pace {
    fn eq(&self, other: &Self) -> bool {
        self.limits() == other.limits()
    }
}

impl Eq for Pace {}

impl fmt::Debug for Pace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.limits().fmt(formatter)
    }
}

/// Counts the bytes of somebody who reads, keeps the pace, and tells the time that it takes.
pub struct Meter {
    pace: Pace,
    lap: Lap,
    stage: Stage,
    /// Bytes that nobody has waited for yet.
    unpaid_bytes: u64,
    /// Bytes that the stage does not know of yet.
    untold_bytes: u64,
}

impl Meter {
    /// Counts bytes, and waits where they came faster than they may.
    pub async fn count(&mut self, bytes: u64) {
        self.unpaid_bytes += bytes;
        if self.unpaid_bytes >= STEP_BYTES {
            self.pay().await;
        }
    }

    /// Adds what was counted to the stage, with the time that it took.
    pub async fn end(&mut self) {
        self.pay().await;
        self.lap.end(self.stage, std::mem::take(&mut self.untold_bytes));
    }

    /// Leaves out the time since the last end.
    pub fn skip(&mut self) {
        self.lap.skip();
    }

    async fn pay(&mut self) {
        let bytes = std::mem::take(&mut self.unpaid_bytes);
        self.untold_bytes += bytes;
        if self.pace.0.is_some() {
            self.lap.end(self.stage, 0);
            self.pace.spend(bytes).await;
            self.lap.end(Stage::Paused, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::stages::Stages;

    fn at(rate: &str) -> Pace {
        Pace::of(Limits { rate: Some(rate.parse().unwrap()), ..Limits::default() })
    }

    #[test]
    fn a_rate_is_a_number_with_its_unit() {
        for (text, bytes) in
            [("65536", 65536), ("64K", 65536), ("64k", 65536), ("50M", 50 << 20), ("2G", 2 << 30)]
        {
            assert_eq!(text.parse::<Rate>().unwrap().0.get(), bytes, "{text}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused_with_an_example() {
        for text in
            ["", "M", "+5M", "-5M", "1.5M", "5 M", "5T", "5MB", "0", "63K", "é", "99999999999G"]
        {
            let error = text.parse::<Rate>().unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{text}");
            assert!(error.advice().unwrap().contains("50M"), "{text}");
        }
    }

    #[test]
    fn bytes_of_all_who_share_a_rate_come_one_after_the_other() {
        let pace = at("1M");
        let shared = pace.0.as_ref().unwrap();
        let first = shared.reserve(1 << 20).unwrap();
        let second = pace.clone().0.unwrap().reserve(3 << 19).unwrap();
        assert_eq!(second - first, Duration::from_millis(1500));
    }

    #[test]
    fn time_in_which_nothing_passed_is_not_made_up_for() {
        let pace = at("1M");
        let shared = pace.0.as_ref().unwrap();
        *shared.due.lock().unwrap() = Some(Instant::now() - Duration::from_secs(60));
        let before = Instant::now();
        assert!(shared.reserve(1 << 20).unwrap() >= before + Duration::from_secs(1) - SLACK);
    }

    #[tokio::test]
    async fn nobody_waits_without_limits_and_everybody_while_held() {
        let free = Pace::default();
        free.hold();
        free.spend(u64::MAX).await;
        let held = Pace::of(Limits { threads_running: Some(1), ..Limits::default() });
        held.hold();
        let waiting = tokio::spawn({
            let held = held.clone();
            async move { held.spend(1).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        held.release();
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn a_meter_tells_reading_and_waiting_apart_and_loses_no_byte() {
        let stages = Stages::default();
        let mut meter = at("1M").meter(stages.begin(), Stage::Verifying);
        for _ in 0..5 {
            meter.count(40_000).await;
        }
        meter.end().await;
        let bytes: Vec<_> = stages.spent().iter().map(|it| (it.stage, it.bytes)).collect();
        assert_eq!(bytes, [(Stage::Paused, 0), (Stage::Verifying, 200_000)]);
    }
}
