//! Keeping distance: a station that follows too closely slows down whom it follows.
//!
//! While events flow without a pause, a fast follower finds a few events at each look, and every
//! look takes the cursor's cache line away from its owner, who then waits for it at every event.
//! Both go at the pace of the cache lines. Held off for a moment, the follower finds a long run,
//! and both go at the pace of their own work: three times the throughput and more (figures in
//! ARCHITECTURE.md).
//!
//! So a station that finds a short run *at once after a run* handles it and then waits a moment
//! before it looks again. A run found after a fruitless look never waits: the first event after a
//! pause is handled at once, and at a paced rate every event is.

use std::time::Duration;

use crate::{sequence::Capacity, sync::time};

/// A run of so many events is long enough.
const LONG_RUN: u64 = 256;
/// About two round trips of a cache line on a large machine.
const LONGEST_HOLD: Duration = Duration::from_nanos(500);

#[derive(Debug)]
pub(crate) struct Distance {
    /// A shorter run means that the station is too close.
    long_run: u64,
    hold: Duration,
    is_flowing: bool,
}

impl Distance {
    /// For a station that handles at most `max_batch` events at a time: a full batch is no sign
    /// of closeness. In a small ring the hold is short, lest the ring fill meanwhile.
    pub(crate) fn new(capacity: Capacity, max_batch: u64) -> Self {
        let filling = Duration::from_nanos(capacity.lap_len() / 2);
        Self {
            long_run: LONG_RUN.min(max_batch),
            hold: LONGEST_HOLD.min(filling),
            is_flowing: false,
        }
    }

    /// A look was fruitless.
    #[inline]
    pub(crate) fn paused(&mut self) {
        self.is_flowing = false;
    }

    /// A run was handled: holds off before the next look if the station is too close and has a
    /// core to itself.
    #[inline]
    pub(crate) fn moved(&mut self, run: u64, is_crowded: impl FnOnce() -> bool) {
        if self.is_flowing && run < self.long_run && !is_crowded() {
            time::hold_off(self.hold);
        }
        self.is_flowing = true;
    }
}
