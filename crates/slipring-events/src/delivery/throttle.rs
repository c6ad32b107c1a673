//! A limit to how often a handler is called.
//!
//! The bucket of tokens is kept as one number: the moment at which it would be full again. Each
//! call puts that off by the time one token takes to drip in, and a call may be made when the
//! moment would then be no further away than a full bucket. Times are counted in nanoseconds
//! divided by the count, so nothing is ever rounded and the rate holds over any time.

use std::time::Duration;

/// At most so many calls in a period, in bursts of at most so many.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use slipring_events::Throttle;
///
/// // On average 100 in a second; after a quiet time 10 at once, not 100.
/// let throttle = Throttle::per(100, Duration::from_secs(1)).burst(10);
/// # let _ = throttle;
/// ```
#[derive(Clone, Debug)]
pub struct Throttle {
    count: u32,
    period: Duration,
    burst: u32,
    /// When the bucket is full, in `count`ths of a nanosecond.
    full_at: u128,
}

impl Throttle {
    /// So many in each period (at least 1), all of them at once if none came before. A period of
    /// nothing is no limit.
    pub fn per(count: u32, period: Duration) -> Self {
        let count = count.max(1);
        Self { count, period, burst: count, full_at: 0 }
    }

    /// How many may come at once after a quiet time; at least 1.
    #[must_use = "a throttle is built by value, another is returned"]
    pub fn burst(mut self, most: u32) -> Self {
        self.burst = most.max(1);
        self
    }

    /// Whether a call may be made `now`, and if not, when: always later than now, and not a
    /// nanosecond too late.
    pub(crate) fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        // No overflow: a time is below 2^94 nanoseconds and each factor below 2^32, so each of the
        // products is below 2^126.
        let count = u128::from(self.count);
        let at = now.as_nanos() * count;
        let token = self.period.as_nanos();
        let bucket = token * u128::from(self.burst);
        let full_at = self.full_at.max(at) + token;
        if full_at <= at + bucket {
            self.full_at = full_at;
            return Ok(());
        }
        let nanos = (full_at - bucket).div_ceil(count);
        Err(Duration::from_nanos_u128(nanos.min(Duration::MAX.as_nanos())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MILLI: Duration = Duration::from_millis(1);

    /// How many get through at a moment.
    fn burst_at(throttle: &mut Throttle, now: Duration) -> usize {
        std::iter::from_fn(|| throttle.admit(now).ok()).take(1_000).count()
    }

    #[test]
    fn a_full_bucket_and_then_one_by_one() {
        let mut throttle = Throttle::per(10, SECOND);
        assert_eq!(burst_at(&mut throttle, SECOND), 10);
        assert_eq!(throttle.admit(SECOND), Err(MILLI * 1100));
        assert_eq!(throttle.admit(MILLI * 1100), Ok(()));
        assert_eq!(throttle.admit(MILLI * 1100), Err(MILLI * 1200));
        assert_eq!(burst_at(&mut throttle, MILLI * 1450), 3);
        assert_eq!(burst_at(&mut throttle, SECOND * 60), 10);
    }

    #[test]
    fn a_small_bucket_does_not_change_the_rate() {
        let mut throttle = Throttle::per(10, SECOND).burst(2);
        assert_eq!(burst_at(&mut throttle, SECOND), 2);
        assert_eq!(throttle.admit(SECOND), Err(MILLI * 1100));
        assert_eq!(burst_at(&mut throttle, SECOND * 60), 2);
    }

    #[test]
    fn nothing_is_rounded_away() {
        // A third of a nanosecond each, and three seconds for seven: over any time it comes out even.
        for (count, period, in_a_minute) in
            [(3, Duration::from_nanos(1), None), (7, SECOND * 3, Some(7 + 7 * 20))]
        {
            let mut throttle = Throttle::per(count, period);
            let Some(expected) = in_a_minute else {
                assert_eq!((0..9).map(|n| burst_at(&mut throttle, period * n)).sum::<usize>(), 27);
                continue;
            };
            let (mut now, mut admitted) = (Duration::ZERO, 0);
            while now <= SECOND * 60 {
                match throttle.admit(now) {
                    Ok(()) => admitted += 1,
                    Err(until) => now = until,
                }
            }
            assert_eq!(admitted, expected);
        }
    }

    #[test]
    fn the_least_there_is() {
        let mut throttle = Throttle::per(0, SECOND).burst(0);
        assert_eq!(burst_at(&mut throttle, Duration::ZERO), 1);
        assert_eq!(throttle.admit(Duration::ZERO), Err(SECOND));
        assert_eq!(burst_at(&mut Throttle::per(1, Duration::ZERO), SECOND), 1_000);
    }

    #[test]
    fn the_most_there_is() {
        let mut throttle = Throttle::per(u32::MAX, Duration::MAX).burst(u32::MAX);
        assert_eq!(throttle.admit(Duration::MAX), Ok(()));
        let mut rare = Throttle::per(1, Duration::MAX);
        assert_eq!(rare.admit(Duration::MAX), Ok(()));
        assert_eq!(rare.admit(Duration::MAX), Err(Duration::MAX));
    }

    proptest! {
        /// In no stretch of time do more get through than a bucket and what drips in meanwhile; and
        /// who comes when told gets through, a nanosecond before does not.
        #[test]
        fn the_rate_holds_in_every_stretch(
            count in 1_u32..20, period in 1_u64..2_000, burst in 1_u32..25,
            gaps in prop::collection::vec(0_u64..300, 1..150),
        ) {
            let mut throttle = Throttle::per(count, Duration::from_nanos(period)).burst(burst);
            let (mut now, mut times) = (0, Vec::new());
            for gap in gaps {
                now += gap;
                match throttle.admit(Duration::from_nanos(now)) {
                    Ok(()) => times.push(now),
                    Err(until) => {
                        prop_assert!(until > Duration::from_nanos(now));
                        let sooner = until.saturating_sub(Duration::from_nanos(1));
                        prop_assert!(throttle.clone().admit(until).is_ok());
                        prop_assert!(throttle.clone().admit(sooner).is_err());
                    }
                }
            }
            for (first, from) in times.iter().enumerate() {
                for (last, to) in times.iter().enumerate().skip(first) {
                    let admitted = (last - first + 1) as u64;
                    let dripped = (to - from) * u64::from(count) / period;
                    prop_assert!(admitted <= u64::from(burst) + dripped);
                }
            }
        }
    }
}
