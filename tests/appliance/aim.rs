//! When to kill what is under way: at any time of its run, however long that takes on this machine.

use std::time::Duration;

/// How long something that is to be killed is given at most. It follows what the kills find: a first
/// run is slower than the next ones, and others want the processor, or have ended.
pub(crate) struct Aim(Duration);

impl Aim {
    /// Returns an aim that begins with a guess.
    pub(crate) const fn new(guess: Duration) -> Self {
        Self(guess)
    }

    /// Returns the most that may be given now.
    pub(crate) const fn most(&self) -> Duration {
        self.0
    }

    /// Returns the part of it that belongs to a round, so that any rounds in a row are spread evenly.
    pub(crate) fn of_round(&self, round: usize) -> Duration {
        // What is left of the multiples of the golden ratio falls into the largest gap each time.
        let multiple = u32::try_from(round).expect("a few rounds") * 618;
        self.0 * (multiple % 1000) / 1000
    }

    /// Learns from a kill: where all had ended before it less is given, and else a little more, so
    /// that about one in four comes too late and every part of a run is met.
    pub(crate) fn learn(&mut self, came_too_late: bool) {
        self.0 = if came_too_late { self.0 / 2 } else { self.0 * 5 / 4 };
    }
}
