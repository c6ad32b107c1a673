//! Keeping distance: a station that follows too closely slows down whom it follows.
//!
//! While events flow without a pause, a fast follower finds a few events at each look, and every
//! look takes the cursor's cache line away from its owner, who then waits for it at every event.
//! Both go at the pace of the cache lines. If the follower looks less often it finds long runs, and
//! both go at the pace of their own work: many times the throughput (figures in ARCHITECTURE.md).
//!
//! So while events flow *densely*, a station looks about once in a microsecond and not as often as it
//! can. Densely means that what comes during the pause makes a long run. A run found after a
//! fruitless look never waits, and neither does one in a flow that is thinner than that: the first
//! event after a pause is handled at once, and at an even rate of some millions a second every event
//! is. One look tells how dense the flow is, so that what follows upon a burst may be held off once.

use std::time::Duration;

use crate::{
    sequence::Capacity,
    sync::time::{self, Instant},
    wait::{self, Surroundings},
};

/// The longest time between two looks while events flow densely: several trips of a cache line. As a
/// hold counts as time in which events came, the next one is shorter: two looks take about this
/// time and one handling.
const PACE: Duration = Duration::from_micros(2);
/// A flow is dense if so many events come in that time.
const DENSE: u64 = 20;
/// A run of so many events is long enough.
const LONG_RUN: u64 = 1024;

#[derive(Debug)]
pub(crate) struct Distance {
    /// A shorter run means that the station is too close.
    long_run: u64,
    /// How much of the ring may fill between two looks.
    share: u64,
    /// When it last looked, if the run before was short as well.
    last: Option<Instant>,
    is_flowing: bool,
}

impl Distance {
    /// For a station that handles at most `max_batch` events at a time: a full batch is no sign of
    /// closeness. With `stations` of them, which may all be behind one another, each may let its part
    /// of the ring fill.
    pub(crate) fn new(capacity: Capacity, max_batch: u64, stations: usize) -> Self {
        Self {
            long_run: LONG_RUN.min(max_batch),
            share: capacity.lap_len() / (2 * stations.max(1) as u64),
            last: None,
            is_flowing: false,
        }
    }

    /// A look was fruitless.
    #[inline]
    pub(crate) fn paused(&mut self) {
        self.is_flowing = false;
        self.last = None;
    }

    /// A run was handled: holds off before the next look if the station is too close.
    #[inline]
    pub(crate) fn moved(&mut self, run: u64, ring: &impl Surroundings) {
        // One event at a time is no dense flow, and worth no look at the clock.
        if self.is_flowing && 1 < run && run < self.long_run {
            self.hold_off(run, ring);
        } else {
            self.last = None;
        }
        self.is_flowing = true;
    }

    /// A short run came at once after another run.
    #[cold]
    fn hold_off(&mut self, run: u64, ring: &impl Surroundings) {
        let now = time::now();
        // What came since the last look, and how long that was, tell how dense the flow is.
        let hold = self.last.and_then(|last| self.hold(run, now.saturating_duration_since(last)));
        match hold {
            // Whoever is followed may need this core, however short the hold would be.
            Some(_) if ring.is_crowded() => wait::offer_core(ring),
            Some(hold) => time::hold_off(now, hold),
            None => {}
        }
        self.last = Some(now);
    }

    /// How long to hold off when `run` events came in `elapsed`; `None` if the flow is too thin.
    fn hold(&self, run: u64, elapsed: Duration) -> Option<Duration> {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let (pace, elapsed) = (nanos(PACE), nanos(elapsed));
        if run * pace < DENSE.saturating_mul(elapsed) {
            return None;
        }
        // Not so long that the ring fills meanwhile.
        let filling = self.share * elapsed / run;
        Some(Duration::from_nanos(pace.min(filling).saturating_sub(elapsed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(slots: usize, stations: usize) -> Distance {
        Distance::new(Capacity::new(slots).expect("a power of two"), 1 << 20, stations)
    }

    #[test]
    fn a_thin_flow_is_never_held_off() {
        let distance = distance(1024, 1);
        // Five million a second, one by one; a moment's handful after a long handler.
        assert_eq!(distance.hold(1, Duration::from_nanos(200)), None);
        assert_eq!(distance.hold(1023, Duration::from_hours(1)), None);
        assert_eq!(distance.hold(1, Duration::MAX), None);
    }

    #[test]
    fn a_dense_one_is_looked_at_once_in_a_pace() {
        let distance = distance(1 << 20, 1);
        let elapsed = PACE / 4;
        assert_eq!(distance.hold(100, elapsed), Some(PACE * 3 / 4));
        assert_eq!(distance.hold(100, PACE), Some(Duration::ZERO));
    }

    #[test]
    fn no_hold_fills_the_ring() {
        // 16 events in 100 ns: half of 64 slots take 200 ns.
        let elapsed = Duration::from_nanos(100);
        assert_eq!(distance(64, 1).hold(16, elapsed), Some(elapsed));
        // Two stations behind one another fill a quarter each.
        assert_eq!(distance(64, 2).hold(16, elapsed), Some(Duration::ZERO));
        assert_eq!(distance(1, 9).hold(1, Duration::ZERO), Some(Duration::ZERO));
    }
}
