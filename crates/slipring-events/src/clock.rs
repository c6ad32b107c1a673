//! Time as a value that somebody hands out, so that a test can turn the hands itself.

mod text;

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;

pub use text::TimeError;

/// A moment: nanoseconds since the start of 1970 in UTC, up to the year 2554.
///
/// As text it is RFC 3339 with all nine digits, so that texts sort as the moments do.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use slipring_events::Time;
///
/// let ordered: Time = "2026-11-22T08:30:00+01:00".parse()?;
/// assert_eq!(ordered.to_string(), "2026-11-22T07:30:00.000000000Z");
///
/// let paid = ordered.saturating_add(Duration::from_secs(90));
/// assert_eq!(paid.since(ordered), Duration::from_secs(90));
/// # Ok::<(), slipring_events::TimeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The start of 1970, from which all others are counted.
    pub const EPOCH: Self = Self(0);

    /// The moment so many nanoseconds after the [epoch](Self::EPOCH).
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the [epoch](Self::EPOCH).
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// So much later, unless that is past the last moment there is.
    pub fn checked_add(self, time: Duration) -> Option<Self> {
        let nanos = u64::try_from(time.as_nanos()).ok()?;
        self.0.checked_add(nanos).map(Self)
    }

    /// So much later, or the last moment there is.
    #[must_use = "a moment does not change, another is returned"]
    pub fn saturating_add(self, time: Duration) -> Self {
        self.checked_add(time).unwrap_or(Self(u64::MAX))
    }

    /// How long after `earlier` this is; nothing if it is before.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// What time it is.
///
/// Two answers, because they serve two ends: [`now`](Self::now) is what an event is dated with and
/// may be set back by whoever owns the machine; [`monotonic`](Self::monotonic) is what waiting is
/// measured by and only ever grows.
///
/// # Examples
/// A clock that runs ten times as fast:
/// ```
/// use std::time::Duration;
/// use slipring_events::{Clock, SystemClock, Time};
///
/// struct Hurried { start: Time }
///
/// impl Clock for Hurried {
///     fn now(&self) -> Time {
///         self.start.saturating_add(SystemClock.now().since(self.start) * 10)
///     }
///
///     fn monotonic(&self) -> Duration {
///         SystemClock.monotonic() * 10
///     }
///
///     fn nap(&self, time: Duration) -> Duration {
///         time / 10
///     }
/// }
///
/// let clock = Hurried { start: SystemClock.now() };
/// assert_eq!(clock.nap(Duration::from_secs(1)), Duration::from_millis(100));
/// ```
pub trait Clock: Send + Sync + 'static {
    /// The date and the time of day.
    fn now(&self) -> Time;

    /// How much time has passed since some moment that stays the same; never less than before.
    fn monotonic(&self) -> Duration;

    /// For how long of real time to sleep at most, before looking again, when `time` of this clock
    /// is to pass.
    fn nap(&self, time: Duration) -> Duration;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Time {
        (**self).now()
    }

    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }

    fn nap(&self, time: Duration) -> Duration {
        (**self).nap(time)
    }
}

/// The clock of the machine.
///
/// # Examples
/// ```
/// use slipring_events::{Clock, SystemClock};
///
/// let start = SystemClock.monotonic();
/// println!("It is {}.", SystemClock.now());
/// assert!(SystemClock.monotonic() >= start);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    /// A machine whose clock stands before 1970 or after 2554 is told the nearest moment.
    fn now(&self) -> Time {
        let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time::EPOCH.saturating_add(passed)
    }

    fn monotonic(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }

    fn nap(&self, time: Duration) -> Duration {
        time
    }
}

/// A clock that goes only when told to. Its clones are the same clock.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use slipring_events::{Clock, ManualClock, Time};
///
/// let clock = ManualClock::default();
/// let on_the_wall = clock.clone();
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(on_the_wall.now(), Time::from_nanos(5_000_000_000));
///
/// // Set back, the date changes; the time that has passed does not.
/// clock.set(Time::EPOCH);
/// assert_eq!(clock.now(), Time::EPOCH);
/// assert_eq!(clock.monotonic(), Duration::from_secs(5));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<Mutex<Hands>>);

#[derive(Debug, Default)]
struct Hands {
    now: Time,
    passed: Duration,
}

impl ManualClock {
    /// How long somebody sleeps who waits for this clock: short, because it may jump at any moment.
    const NAP: Duration = Duration::from_millis(1);

    /// A clock that stands at `now`. The [default](Self::default) stands at the epoch.
    pub fn new(now: Time) -> Self {
        Self(Arc::new(Mutex::new(Hands { now, passed: Duration::ZERO })))
    }

    /// Sets the date. If that is forward, as much time passes; if it is back, none does.
    pub fn set(&self, now: Time) {
        let mut hands = self.0.lock();
        hands.passed = hands.passed.saturating_add(now.since(hands.now));
        hands.now = now;
    }

    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        let mut hands = self.0.lock();
        hands.passed = hands.passed.saturating_add(time);
        hands.now = hands.now.saturating_add(time);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        self.0.lock().now
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().passed
    }

    fn nap(&self, time: Duration) -> Duration {
        time.min(Self::NAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn sums_stop_at_the_last_moment() {
        let last = Time::from_nanos(u64::MAX);
        assert_eq!(last.checked_add(Duration::from_nanos(1)), None);
        assert_eq!(Time::EPOCH.checked_add(Duration::MAX), None);
        assert_eq!(last.checked_add(Duration::ZERO), Some(last));
        assert_eq!(Time::EPOCH.saturating_add(Duration::MAX), last);
        assert_eq!(Time::EPOCH.since(last), Duration::ZERO);
    }

    #[test]
    fn two_moments_a_nanosecond_apart_are_two() {
        let (first, second) = (Time::from_nanos(1), Time::from_nanos(2));
        assert!(first < second);
        assert_eq!(second.since(first), Duration::from_nanos(1));
    }

    #[test]
    fn the_system_clock_knows_that_it_is_after_2020() {
        let start = SystemClock.monotonic();
        assert!(SystemClock.now() > "2020-01-01T00:00:00Z".parse().unwrap());
        assert!(SystemClock.monotonic() >= start);
        assert_eq!(SystemClock.nap(SECOND), SECOND);
    }

    #[test]
    fn who_waits_for_a_manual_clock_soon_looks_again() {
        let clock = ManualClock::new(Time::from_nanos(7));
        assert_eq!(clock.now(), Time::from_nanos(7));
        assert_eq!(clock.monotonic(), Duration::ZERO);
        assert_eq!(clock.nap(SECOND), Duration::from_millis(1));
        assert_eq!(clock.nap(Duration::from_micros(1)), Duration::from_micros(1));
    }

    #[test]
    fn a_shared_clock_is_a_clock() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Time::from_nanos(7)));
        assert_eq!(Clock::now(&clock), Time::from_nanos(7));
        assert_eq!(Clock::monotonic(&clock), Duration::ZERO);
        assert_eq!(Clock::nap(&clock, SECOND), Duration::from_millis(1));
    }

    proptest! {
        #[test]
        fn passed_time_never_shrinks(moves in prop::collection::vec(any::<(bool, u64)>(), 0..20)) {
            let clock = ManualClock::default();
            for (is_set, nanos) in moves {
                let (before, date) = (clock.monotonic(), clock.now());
                if is_set {
                    clock.set(Time::from_nanos(nanos));
                    prop_assert_eq!(clock.now(), Time::from_nanos(nanos));
                    prop_assert_eq!(clock.monotonic(), before + clock.now().since(date));
                } else {
                    clock.advance(Duration::from_nanos(nanos));
                    prop_assert_eq!(clock.monotonic(), before + Duration::from_nanos(nanos));
                }
            }
        }
    }
}
