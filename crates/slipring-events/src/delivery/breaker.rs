//! A circuit breaker: leaves alone for a while what fails again and again.
//!
//! ```text
//!            so many failures in a row            the time is up, one is let through
//!   closed ─────────────────────────────▶ open ─────────────────────────────────────▶ half open
//!      ▲                                   ▲                                           │     │
//!      │                                   └───────────── that fails ──────────────────┘     │
//!      └────────────────────────────────── that succeeds ────────────────────────────────────┘
//! ```

use std::time::Duration;

/// Stops calls to what has failed several times in a row, until it has had time to recover.
///
/// What is stopped is not a failure of the event: it waits.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use slipring_events::{Breaker, BreakerState};
///
/// let breaker = Breaker::after(5).open_for(Duration::from_secs(30));
/// assert_eq!(breaker.state(), BreakerState::Closed);
/// ```
#[derive(Clone, Debug)]
pub struct Breaker {
    limit: u32,
    open_for: Duration,
    circuit: Circuit,
}

#[derive(Clone, Copy, Debug)]
enum Circuit {
    Closed {
        /// In a row, up to now.
        failures: u32,
    },
    Open {
        until: Duration,
    },
    /// One has been let through, and how it went is not known yet.
    HalfOpen {
        /// When another may try. The one at it may have been lost, and then nobody would say.
        until: Duration,
    },
}

/// Whether a [`Breaker`] lets calls through.
///
/// # Examples
/// ```
/// use slipring_events::{Breaker, BreakerState};
///
/// assert_eq!(Breaker::after(1).state(), BreakerState::Closed);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// It does: a closed circuit conducts.
    Closed,
    /// It does not.
    Open,
    /// It has let one through, to see.
    HalfOpen,
}

impl Breaker {
    /// Opens after so many failures in a row (at least 1), for 30 seconds unless
    /// [told otherwise](Self::open_for).
    pub fn after(failures: u32) -> Self {
        Self {
            limit: failures.max(1),
            open_for: Duration::from_secs(30),
            circuit: Circuit::Closed { failures: 0 },
        }
    }

    /// How long nothing is let through before one may try.
    #[must_use = "a breaker is built by value, another is returned"]
    pub fn open_for(mut self, time: Duration) -> Self {
        self.open_for = time;
        self
    }

    /// Whether calls are let through.
    pub fn state(&self) -> BreakerState {
        match self.circuit {
            Circuit::Closed { .. } => BreakerState::Closed,
            Circuit::Open { .. } => BreakerState::Open,
            Circuit::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether a call may be made `now`, and if not, when to ask again: always later than now. Who
    /// is let through says [how it went](Self::record).
    pub(crate) fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        match self.circuit {
            Circuit::Open { until } | Circuit::HalfOpen { until } if now < until => Err(until),
            Circuit::Closed { .. } => Ok(()),
            Circuit::Open { .. } | Circuit::HalfOpen { .. } => {
                self.circuit = Circuit::HalfOpen { until: self.end(now) };
                Ok(())
            }
        }
    }

    /// How a call went that was let through. One that began before the circuit opened says nothing
    /// about now, and changes nothing.
    pub(crate) fn record(&mut self, is_ok: bool, now: Duration) {
        self.circuit = match self.circuit {
            Circuit::Open { .. } => return,
            Circuit::Closed { .. } | Circuit::HalfOpen { .. } if is_ok => {
                Circuit::Closed { failures: 0 }
            }
            Circuit::Closed { failures } if failures + 1 < self.limit => {
                Circuit::Closed { failures: failures + 1 }
            }
            Circuit::Closed { .. } | Circuit::HalfOpen { .. } => {
                Circuit::Open { until: self.end(now) }
            }
        };
    }

    fn end(&self, now: Duration) -> Duration {
        now.saturating_add(self.open_for)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker(failures: u32) -> Breaker {
        Breaker::after(failures).open_for(SECOND * 10)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_no_others() {
        let mut breaker = breaker(3);
        for is_ok in [false, false, true, false, false] {
            assert_eq!(breaker.admit(SECOND), Ok(()));
            breaker.record(is_ok, SECOND);
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.record(false, SECOND);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert_eq!(breaker.admit(SECOND), Err(SECOND * 11));
        assert_eq!(breaker.admit(Duration::from_millis(10_999)), Err(SECOND * 11));
        assert_eq!(breaker.admit(SECOND * 11), Ok(()));
    }

    #[test]
    fn half_open_lets_one_through_and_goes_by_how_it_went() {
        let mut breaker = breaker(1);
        breaker.record(false, Duration::ZERO);
        assert_eq!(breaker.admit(SECOND * 10), Ok(()));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert_eq!(breaker.admit(SECOND * 11), Err(SECOND * 20));

        breaker.record(false, SECOND * 12);
        assert_eq!(breaker.admit(SECOND * 12), Err(SECOND * 22));

        assert_eq!(breaker.admit(SECOND * 22), Ok(()));
        breaker.record(true, SECOND * 22);
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert_eq!(breaker.admit(SECOND * 22), Ok(()));
        assert_eq!(breaker.admit(SECOND * 22), Ok(()));
    }

    #[test]
    fn one_that_never_says_how_it_went_does_not_block_the_rest_for_ever() {
        let mut breaker = breaker(1);
        breaker.record(false, Duration::ZERO);
        assert_eq!(breaker.admit(SECOND * 10), Ok(()));
        assert_eq!(breaker.admit(SECOND * 19), Err(SECOND * 20));
        assert_eq!(breaker.admit(SECOND * 20), Ok(()));
    }

    #[test]
    fn late_news_changes_nothing() {
        let mut breaker = breaker(1);
        breaker.record(false, Duration::ZERO);
        breaker.record(true, SECOND);
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker.record(false, SECOND * 5);
        assert_eq!(breaker.admit(SECOND * 5), Err(SECOND * 10));
    }

    #[test]
    fn no_failure_and_no_time_count_as_the_least_there_is() {
        let mut breaker = Breaker::after(0).open_for(Duration::ZERO);
        assert_eq!(breaker.admit(SECOND), Ok(()));
        breaker.record(false, SECOND);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert_eq!(breaker.admit(SECOND), Ok(()));
    }

    #[test]
    fn open_for_ever_is_possible() {
        let mut breaker = Breaker::after(1).open_for(Duration::MAX);
        breaker.record(false, SECOND);
        assert_eq!(breaker.admit(SECOND), Err(Duration::MAX));
    }

    proptest! {
        /// Whoever does as told gets through, and an unhealthy callee is called no more often than
        /// `limit` times and then once for each time it was left alone.
        #[test]
        fn who_waits_until_told_gets_through(
            limit in 1_u32..5, results in prop::collection::vec(any::<bool>(), 0..60),
        ) {
            let (mut breaker, mut now, mut in_a_row) = (breaker(limit), Duration::ZERO, 0);
            for is_ok in results {
                let asked = now;
                while let Err(until) = breaker.admit(now) {
                    prop_assert!(until > now);
                    now = until;
                }
                prop_assert_eq!(now > asked, in_a_row >= limit);
                breaker.record(is_ok, now);
                in_a_row = if is_ok { 0 } else { in_a_row + 1 };
            }
        }
    }
}
