//! What publishers date events with: a clock of which the system is asked once a millisecond.

use std::{any::TypeId, fmt, sync::Arc};

use crate::clock::{Clock, SystemClock, Time};

/// For how many nanoseconds the processor's counter is trusted. It is off by less than 1 in 10,000.
const TRUST: u64 = 1_000_000;

/// The clock of a bus.
#[derive(Clone)]
pub(crate) struct Keeper {
    pub clock: Arc<dyn Clock>,
    is_systems: bool,
}

impl Keeper {
    pub(crate) fn new<C: Clock>(clock: C) -> Self {
        Self {
            clock: Arc::new(clock),
            is_systems: TypeId::of::<C>() == TypeId::of::<SystemClock>(),
        }
    }

    pub(crate) fn stamps(&self) -> Stamps {
        let counter = self.is_systems.then(quanta::Clock::new);
        Stamps { clock: Arc::clone(&self.clock), counter, asked: 0, said: 0, last: 0 }
    }
}

/// Dates the events of one publisher, each no earlier than the one before, unless the clock is set back.
///
/// To ask the system takes as long as to publish an event. So its clock is asked once a millisecond, and in between
/// the processor counts on, where it has a counter that is meant for that.
#[derive(Clone)]
pub(crate) struct Stamps {
    clock: Arc<dyn Clock>,
    counter: Option<quanta::Clock>,
    /// When the clock was asked, by the counter, and what it said.
    asked: u64,
    said: u64,
    last: u64,
}

impl fmt::Debug for Stamps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stamps").field("last", &self.last).finish_non_exhaustive()
    }
}

impl Stamps {
    #[inline]
    pub(crate) fn now(&mut self) -> Time {
        let Some(counter) = &self.counter else { return self.clock.now() };
        let count = counter.raw();
        let passed = counter.delta_as_nanos(self.asked, count);
        // A machine that has slept, or that goes on elsewhere, may count from somewhere before.
        let is_trusted = self.asked <= count && passed < TRUST;
        let now = if is_trusted { self.said + passed } else { self.ask(count) };
        // What the counter is ahead of the clock is waited for.
        let is_ahead = self.last.wrapping_sub(now) < TRUST;
        self.last = if is_ahead { self.last } else { now };
        Time::from_nanos(self.last)
    }

    #[cold]
    #[inline(never)]
    fn ask(&mut self, count: u64) -> u64 {
        self.asked = count;
        // So that what is counted from there on is no overflow.
        self.said = self.clock.now().as_nanos().min(u64::MAX - TRUST);
        self.said
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn a_clock_that_is_not_the_systems_is_asked_each_time() {
        let clock = ManualClock::new(Time::from_nanos(7));
        let mut stamps = Keeper::new(clock.clone()).stamps();
        assert_eq!(stamps.now(), Time::from_nanos(7));
        clock.advance(Duration::from_nanos(1));
        assert_eq!(stamps.now(), Time::from_nanos(8));
        clock.set(Time::EPOCH);
        assert_eq!(stamps.now(), Time::EPOCH);
    }

    /// A counter in nanoseconds and a clock, both of which a test turns.
    fn counted(clock: &ManualClock) -> (Stamps, Arc<quanta::Mock>) {
        let (counter, hand) = quanta::Clock::mock();
        // One that has never been asked counts from 0.
        hand.increment(TRUST);
        let clock = Arc::new(clock.clone());
        (Stamps { clock, counter: Some(counter), asked: 0, said: 0, last: 0 }, hand)
    }

    #[test]
    fn the_clock_is_asked_once_a_millisecond_and_the_counter_in_between() {
        let clock = ManualClock::new(Time::from_nanos(5_000_000));
        let (mut stamps, hand) = counted(&clock);
        assert_eq!(stamps.now(), Time::from_nanos(5_000_000));
        clock.set(Time::from_nanos(9_000_000));
        hand.increment(TRUST - 1);
        assert_eq!(stamps.now(), Time::from_nanos(5_999_999));
        hand.increment(1_u64);
        assert_eq!(stamps.now(), Time::from_nanos(9_000_000));
    }

    #[test]
    fn what_the_counter_is_ahead_is_waited_for_but_not_a_clock_that_was_set_back() {
        let clock = ManualClock::new(Time::from_nanos(5_000_000));
        let (mut stamps, hand) = counted(&clock);
        stamps.now();
        clock.set(Time::from_nanos(5_999_900));
        hand.increment(TRUST - 1);
        assert_eq!(stamps.now(), Time::from_nanos(5_999_999));
        hand.increment(1_u64);
        assert_eq!(stamps.now(), Time::from_nanos(5_999_999));
        hand.increment(200_u64);
        assert_eq!(stamps.now(), Time::from_nanos(6_000_100));

        clock.set(Time::from_nanos(1));
        hand.increment(TRUST);
        assert_eq!(stamps.now(), Time::from_nanos(1));
    }

    #[test]
    fn a_counter_that_goes_back_is_not_waited_for() {
        let clock = ManualClock::new(Time::from_nanos(5_000_000));
        let (mut stamps, hand) = counted(&clock);
        stamps.now();
        clock.set(Time::from_nanos(8_000_000));
        hand.decrement(1_000_u64);
        assert_eq!(stamps.now(), Time::from_nanos(8_000_000));
    }

    #[test]
    fn stamps_ascend_and_keep_to_the_systems_clock() {
        let mut stamps = Keeper::new(SystemClock).stamps();
        let mut last = Time::EPOCH;
        for _ in 0..20 {
            let before = SystemClock.now();
            for _ in 0..1_000 {
                let now = stamps.now();
                assert!(now >= last);
                last = now;
            }
            // Far more than the counter is off by when it is trusted no more.
            let slack = Duration::from_nanos(TRUST / 5);
            assert!(last.saturating_add(slack) >= before, "{last} is before {before}");
            assert!(last <= SystemClock.now().saturating_add(slack));
            thread::sleep(Duration::from_micros(100));
        }
    }
}
