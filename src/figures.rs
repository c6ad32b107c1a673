//! What is counted on the way, for reports and snapshots: orders nothing, and costs a store or none.

use std::{cell::Cell, mem, time::Duration};

use crate::{
    settled::{Settled, Unhandled},
    sync::{
        PATIENT,
        atomic::{AtomicU64, Ordering},
        time::Instant,
    },
};

/// Counters that one thread writes and anybody may read.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Events that a worker's handler finished. A station of one thread is where its cursor is.
    pub(crate) handled: Counter,
    pub(crate) batches: Sizes,
    /// What the cursor has passed unhandled.
    pub(crate) settled: Settled,
    /// Events that the handler failed on and the policy skipped, and the cursor has not passed yet; every one is
    /// before the next cursor.
    pub(crate) newly_skipped: Counter,
    /// Abandoned sequences, of the same kind.
    pub(crate) newly_passed_over: Counter,
    /// Calls that a poller has noted.
    pub(crate) calls: Counter,
    /// Calls that failed.
    pub(crate) failed: Counter,
    /// Those of them that the policy repeated.
    pub(crate) retried: Counter,
    /// How often it was found to lag by more than it may.
    pub(crate) late: Counter,
    /// The cursor when the station left.
    pub(crate) left_at: Counter,
    /// The first sequence that is the station's to handle.
    pub(crate) first: Counter,
    /// Of a guest: where it has been told to leave.
    pub(crate) dismissed_at: Counter,
    pub(crate) waits: Waits,
}

impl Figures {
    pub(crate) fn starting_at(first: u64) -> Self {
        let figures = Self::default();
        figures.start_at(first);
        figures
    }

    /// Forgets who was here before, but for what is settled. For a guest that has the post to itself.
    pub(crate) fn start_at(&self, first: u64) {
        let Self {
            handled, newly_skipped, newly_passed_over, calls, failed, retried, late, ..
        } = self;
        for figure in [handled, newly_skipped, newly_passed_over, calls, failed, retried, late] {
            figure.set(0);
        }
        self.batches.forget();
        self.waits.forget();
        self.left_at.set(first);
        self.first.set(first);
        self.dismissed_at.set(u64::MAX);
    }

    /// The cursor is about to move to `sequence`, and to pass what was not handled since it moved last.
    /// Before, so that a report that comes in between finds less handled than was, and never more.
    #[inline]
    pub(crate) fn settle(&self, sequence: u64) {
        let (skipped, passed_over) = (self.newly_skipped.get(), self.newly_passed_over.get());
        if skipped + passed_over > 0 {
            self.conflate(0, sequence);
        }
    }

    /// The same, with so many events that it passes unhandled to keep up.
    pub(crate) fn conflate(&self, conflated: u64, sequence: u64) {
        let (skipped, passed_over) = (self.newly_skipped.get(), self.newly_passed_over.get());
        self.settled.add(sequence, Unhandled { skipped, passed_over, conflated });
        self.newly_skipped.set(0);
        self.newly_passed_over.set(0);
    }
}

/// A counter with one writer.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn add(&self, more: u64) {
        self.set(self.get() + more);
    }

    #[inline]
    pub(crate) fn set(&self, value: u64) {
        // ORDERING(FIGURE): Relaxed: a figure orders nothing, and only its owner writes it.
        self.0.store(value, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        // ORDERING(FIGURE): Relaxed: as above.
        self.0.load(Ordering::Relaxed)
    }
}

/// How many sizes of batches are told apart: 1, 2 and 3, 4 to 7, and so on. A model has no use for them.
const SIZES: usize = if PATIENT { u64::BITS as usize } else { 1 };

/// Batches, counted by their size.
#[derive(Debug)]
pub(crate) struct Sizes([Counter; SIZES]);

impl Default for Sizes {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl Sizes {
    /// One more batch, of `size` events.
    #[inline]
    pub(crate) fn add(&self, size: u64) {
        let power = (size | 1).ilog2() as usize;
        self.0[if PATIENT { power } else { 0 }].add(1);
    }

    /// How many there were of each size, ascending.
    pub(crate) fn get(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(Counter::get)
    }

    fn forget(&self) {
        for figure in &self.0 {
            figure.set(0);
        }
    }
}

/// How often, and for how long, the thread of a station has waited.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    pub(crate) begun: Counter,
    pub(crate) slept: Counter,
    /// Twice the nanoseconds that it has waited, while it is awake. While it sleeps, twice those minus
    /// the time at which it fell asleep, plus one: so that every look finds a sleep counted once.
    time: Counter,
}

impl Waits {
    fn forget(&self) {
        let Self { begun, slept, time } = self;
        for figure in [begun, slept, time] {
            figure.set(0);
        }
    }

    /// The time waited until now, as far as it was measured.
    pub(crate) fn time(&self, now: impl Fn() -> Duration) -> Duration {
        let mut time = self.time.get();
        while time & 1 == 1 {
            let asleep_until = nanos_of(now());
            let before = mem::replace(&mut time, self.time.get());
            // It was asleep all the while.
            if before == time {
                let nanos = (time >> 1).wrapping_add(asleep_until) & (u64::MAX >> 1);
                return Duration::from_nanos(nanos);
            }
        }
        Duration::from_nanos(time >> 1)
    }

    fn add(&self, time: Duration) {
        self.time.set(self.time.get().wrapping_add(nanos_of(time) << 1));
    }

    fn fall_asleep(&self, now: Duration) {
        self.slept.add(1);
        self.time.set(self.time.get().wrapping_sub(nanos_of(now) << 1) | 1);
    }

    fn wake_up(&self, now: Duration) {
        self.time.set((self.time.get() & !1).wrapping_add(nanos_of(now) << 1));
    }
}

/// Where a waiting thread notes how it goes.
pub(crate) trait WaitLog {
    /// It has to wait.
    fn begins(&self);
    /// It has waited for so long since it noted anything.
    fn has_waited(&self, time: Duration);
    /// It falls asleep.
    fn falls_asleep(&self, now: Instant);
    /// It was asleep for so long.
    fn is_awake(&self, now: Instant, after: Duration);
}

/// The log of a station's thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StationLog<'a> {
    pub(crate) waits: &'a Waits,
    /// When the ring was built.
    pub(crate) start: Instant,
}

impl StationLog<'_> {
    fn age(self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start)
    }
}

impl WaitLog for StationLog<'_> {
    fn begins(&self) {
        self.waits.begun.add(1);
    }

    fn has_waited(&self, time: Duration) {
        self.waits.add(time);
    }

    fn falls_asleep(&self, now: Instant) {
        self.waits.fall_asleep(self.age(now));
    }

    fn is_awake(&self, now: Instant, _after: Duration) {
        self.waits.wake_up(self.age(now));
    }
}

/// How often, and for how long, producers have waited for room; all of them write.
#[derive(Debug, Default)]
pub(crate) struct Stalls {
    begun: AtomicU64,
    nanos: AtomicU64,
    /// Producers that wait now.
    current: AtomicU64,
}

impl Stalls {
    /// How many there were, for how long in all, and how many there are now.
    pub(crate) fn get(&self) -> (u64, Duration, u64) {
        let Self { begun, nanos, current } = self;
        // ORDERING(FIGURE): Relaxed: a figure.
        let [begun, nanos, current] = [begun, nanos, current].map(|it| it.load(Ordering::Relaxed));
        (begun, Duration::from_nanos(nanos), current)
    }
}

/// The log of a producer, from when it finds the ring full to when it has room, or gives up.
#[derive(Debug)]
pub(crate) struct Stall<'a> {
    stalls: &'a Stalls,
    has_begun: Cell<bool>,
}

impl<'a> Stall<'a> {
    pub(crate) fn new(stalls: &'a Stalls) -> Self {
        Self { stalls, has_begun: Cell::new(false) }
    }
}

impl WaitLog for Stall<'_> {
    fn begins(&self) {
        self.has_begun.set(true);
        // ORDERING(FIGURE): Relaxed: a figure.
        self.stalls.begun.fetch_add(1, Ordering::Relaxed);
        // ORDERING(FIGURE): Relaxed: a figure.
        self.stalls.current.fetch_add(1, Ordering::Relaxed);
    }

    fn has_waited(&self, time: Duration) {
        // ORDERING(FIGURE): Relaxed: a figure.
        self.stalls.nanos.fetch_add(nanos_of(time), Ordering::Relaxed);
    }

    fn falls_asleep(&self, _now: Instant) {}

    fn is_awake(&self, _now: Instant, after: Duration) {
        self.has_waited(after);
    }
}

impl Drop for Stall<'_> {
    fn drop(&mut self) {
        if self.has_begun.get() {
            // ORDERING(FIGURE): Relaxed: a figure.
            self.stalls.current.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn nanos_of(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_counted_once_whenever_one_looks() {
        let waits = Waits::default();
        let at = Duration::from_micros;
        waits.add(at(3));
        assert_eq!(waits.time(|| at(100)), at(3));
        waits.fall_asleep(at(100));
        assert_eq!((waits.time(|| at(100)), waits.time(|| at(150))), (at(3), at(53)));
        waits.wake_up(at(160));
        assert_eq!((waits.time(|| at(160)), waits.time(|| at(500))), (at(63), at(63)));
        waits.fall_asleep(at(500));
        waits.wake_up(at(501));
        waits.add(at(1));
        assert_eq!((waits.time(|| at(900)), waits.slept.get()), (at(65), 2));
    }
}
