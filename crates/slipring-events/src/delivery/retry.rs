//! When to try again, and when to give up.
//!
//! A [`Retry`] is a list of steps: so many retries at once, then so many with this back-off, then
//! so many with that. It keeps no state: the one who delivers counts the failures and asks.

use std::{fmt, sync::Arc, time::Duration};

use fastrand::Rng;

use super::HandlerError;

/// How often and when a failed event is handed to its handler again.
///
/// The first attempt is always made, and at once. What is said here is about those after it.
///
/// # Examples
/// ```
/// use std::{io, time::Duration};
/// use slipring_events::{Backoff, Retry};
///
/// let slowly = Backoff::exponential(Duration::from_millis(100))
///     .at_most(Duration::from_secs(10))
///     .jitter(0.2);
/// let retry = Retry::immediately(2)
///     .then(slowly, 8)
///     .for_at_most(Duration::from_secs(60))
///     .when(|error| error.is::<io::Error>());
/// assert_eq!(retry.attempts(), 11);
/// ```
#[derive(Clone)]
pub struct Retry {
    steps: Vec<Step>,
    for_at_most: Option<Duration>,
    when: Option<Arc<Predicate>>,
}

type Predicate = dyn Fn(&HandlerError) -> bool + Send + Sync;

#[derive(Clone, Debug)]
struct Step {
    /// None is no wait at all.
    backoff: Option<Backoff>,
    times: u32,
}

/// What comes after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another attempt at once.
    Now,
    /// Another attempt when so much time has passed; never nothing.
    After(Duration),
    /// No other attempt.
    GiveUp,
}

impl Retry {
    /// Whether it ever waits.
    pub(crate) fn has_delays(&self) -> bool {
        self.steps.iter().any(|step| step.backoff.is_some())
    }

    /// Never.
    ///
    /// # Examples
    /// ```
    /// use slipring_events::Retry;
    ///
    /// assert_eq!(Retry::none().attempts(), 1);
    /// ```
    pub fn none() -> Self {
        Self { steps: Vec::new(), for_at_most: None, when: None }
    }

    /// So many times, without a wait: against a conflict that is over when it has been seen.
    ///
    /// # Examples
    /// ```
    /// use slipring_events::Retry;
    ///
    /// assert_eq!(Retry::immediately(3).attempts(), 4);
    /// ```
    pub fn immediately(times: u32) -> Self {
        Self { steps: vec![Step { backoff: None, times }], ..Self::none() }
    }

    /// After what was said before, so many times with a back-off, which begins with its first wait.
    #[must_use = "a retry does not change, another is returned"]
    pub fn then(mut self, backoff: Backoff, times: u32) -> Self {
        self.steps.push(Step { backoff: Some(backoff), times });
        self
    }

    /// No attempt begins later than this after the first failure, however many are left. One that
    /// would is given up at once rather than waited for.
    #[must_use = "a retry does not change, another is returned"]
    pub fn for_at_most(mut self, time: Duration) -> Self {
        self.for_at_most = Some(time);
        self
    }

    /// Only after errors for which this is true. Called again, both must be.
    ///
    /// # Examples
    /// ```
    /// use std::io;
    /// use slipring_events::Retry;
    ///
    /// // What is not there will not be there in a moment.
    /// Retry::immediately(3).when(|error| match error.downcast_ref::<io::Error>() {
    ///     Some(error) => error.kind() != io::ErrorKind::NotFound,
    ///     None => true,
    /// });
    /// ```
    #[must_use = "a retry does not change, another is returned"]
    pub fn when(
        mut self,
        is_worth: impl Fn(&HandlerError) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.when = Some(match self.when {
            None => Arc::new(is_worth),
            Some(before) => Arc::new(move |error| before(error) && is_worth(error)),
        });
        self
    }

    /// How many attempts there are at most, with the first.
    pub fn attempts(&self) -> u32 {
        self.steps.iter().fold(1, |sum, step| sum.saturating_add(step.times))
    }

    /// What comes after so many attempts have `failed` (at least 1), the last with `error` and when
    /// `elapsed` had passed since the first failure.
    pub(crate) fn next(
        &self,
        failed: u32,
        elapsed: Duration,
        error: &HandlerError,
        rng: &mut Rng,
    ) -> Next {
        let Some(wait) = self.wait(failed, rng) else { return Next::GiveUp };
        let is_late = self.for_at_most.is_some_and(|most| elapsed.saturating_add(wait) > most);
        if is_late || self.when.as_ref().is_some_and(|is_worth| !is_worth(error)) {
            Next::GiveUp
        } else if wait.is_zero() {
            Next::Now
        } else {
            Next::After(wait)
        }
    }

    /// How long to wait after so many failures, unless every retry is used up.
    fn wait(&self, failed: u32, rng: &mut Rng) -> Option<Duration> {
        debug_assert!(failed > 0, "somebody asks for a retry of what has not failed");
        let mut retry = failed.saturating_sub(1);
        for step in &self.steps {
            if retry < step.times {
                return Some(match &step.backoff {
                    None => Duration::ZERO,
                    Some(backoff) => backoff.jittered(retry, rng),
                });
            }
            retry -= step.times;
        }
        None
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::none()
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("steps", &self.steps)
            .field("for_at_most", &self.for_at_most)
            .field("has_predicate", &self.when.is_some())
            .finish()
    }
}

/// How long to wait before each of several attempts.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use slipring_events::Backoff;
///
/// let backoff = Backoff::exponential(Duration::from_millis(100))
///     .factor(3.0)
///     .at_most(Duration::from_millis(500));
/// let waits: Vec<_> = (0..4).map(|retry| backoff.wait(retry).as_millis()).collect();
/// assert_eq!(waits, [100, 300, 500, 500]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    first: Duration,
    factor: f64,
    at_most: Duration,
    jitter: f64,
}

impl Backoff {
    /// The same wait each time.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use slipring_events::Backoff;
    ///
    /// let second = Duration::from_secs(1);
    /// assert_eq!(Backoff::fixed(second).wait(7), second);
    /// ```
    pub fn fixed(wait: Duration) -> Self {
        Self { first: wait, factor: 1.0, at_most: Duration::MAX, jitter: 0.0 }
    }

    /// Twice the wait each time, or another [factor](Self::factor). Say
    /// [how long at most](Self::at_most) if there may be many.
    pub fn exponential(first: Duration) -> Self {
        Self { factor: 2.0, ..Self::fixed(first) }
    }

    /// How many times as long each wait is as the one before. What is less than 1, or no number,
    /// counts as 1: a back-off does not become impatient.
    #[must_use = "a back-off does not change, another is returned"]
    pub fn factor(mut self, factor: f64) -> Self {
        // The maximum of a number and of what is none is the number.
        self.factor = factor.max(1.0);
        self
    }

    /// No wait is longer than this.
    #[must_use = "a back-off does not change, another is returned"]
    pub fn at_most(mut self, longest: Duration) -> Self {
        self.at_most = longest;
        self
    }

    /// Up to this share of each wait, from 0 to 1, is taken off at random, so that those who failed
    /// together do not come back together. What is outside counts as the nearer end, what is no
    /// number as 0.
    #[must_use = "a back-off does not change, another is returned"]
    pub fn jitter(mut self, share: f64) -> Self {
        self.jitter = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        self
    }

    /// The wait before a retry, of which the first is number 0, without jitter.
    pub fn wait(&self, retry: u32) -> Duration {
        // Through no fraction where there is nothing to multiply, so that it is exact.
        let wait = if retry == 0 || self.factor <= 1.0 {
            self.first
        } else {
            let growth = self.factor.powi(i32::try_from(retry).unwrap_or(i32::MAX));
            // A fraction is rounded, and not always up.
            stretched(self.first, growth).max(self.first)
        };
        wait.min(self.at_most)
    }

    fn jittered(&self, retry: u32, rng: &mut Rng) -> Duration {
        let wait = self.wait(retry);
        if self.jitter > 0.0 {
            stretched(wait, 1.0 - self.jitter * rng.f64()).min(wait)
        } else {
            wait
        }
    }
}

/// So many times as long, or the longest there is.
fn stretched(time: Duration, growth: f64) -> Duration {
    if time.is_zero() {
        return time;
    }
    Duration::try_from_secs_f64(time.as_secs_f64() * growth).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Rng, *};
    use proptest::prelude::{
        Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
    };
    use std::io;

    const MILLI: Duration = Duration::from_millis(1);

    fn error() -> HandlerError {
        "out of stock".into()
    }

    /// What is said after each failure, up to the last, when no time passes but that of waiting.
    fn course(retry: &Retry, seed: u64) -> Vec<Next> {
        let (mut rng, mut elapsed) = (Rng::with_seed(seed), Duration::ZERO);
        let mut course = Vec::new();
        for failed in 1.. {
            let next = retry.next(failed, elapsed, &error(), &mut rng);
            course.push(next);
            match next {
                Next::Now => {}
                Next::After(wait) => elapsed = elapsed.saturating_add(wait),
                Next::GiveUp => break,
            }
        }
        course
    }

    #[test]
    fn without_retries_the_first_failure_is_the_last() {
        assert_eq!(course(&Retry::none(), 0), [Next::GiveUp]);
        assert_eq!(course(&Retry::default(), 0), [Next::GiveUp]);
        assert_eq!(course(&Retry::immediately(0), 0), [Next::GiveUp]);
    }

    #[test]
    fn steps_follow_each_other() {
        let retry = Retry::immediately(2)
            .then(Backoff::exponential(MILLI * 10), 3)
            .then(Backoff::fixed(MILLI * 7), 1);
        let after = |millis| Next::After(MILLI * millis);
        let course = course(&retry, 0);
        let waits = [after(10), after(20), after(40), after(7)];
        assert_eq!(course[..2], [Next::Now, Next::Now]);
        assert_eq!(course[2..6], waits);
        assert_eq!(course[6..], [Next::GiveUp]);
    }

    #[test]
    fn a_wait_of_nothing_is_none() {
        let retry = Retry::none().then(Backoff::exponential(Duration::ZERO).factor(f64::MAX), 2);
        assert_eq!(course(&retry, 0), [Next::Now, Next::Now, Next::GiveUp]);
    }

    #[test]
    fn no_attempt_begins_after_the_time_is_up() {
        let retry = Retry::none().then(Backoff::fixed(MILLI), 9).for_at_most(MILLI * 3);
        let mut rng = Rng::with_seed(0);
        let mut next = |elapsed| retry.next(1, elapsed, &error(), &mut rng);
        assert_eq!(next(MILLI * 2), Next::After(MILLI));
        assert_eq!(next(MILLI * 2 + Duration::from_nanos(1)), Next::GiveUp);
        assert_eq!(next(Duration::MAX), Next::GiveUp);
        assert_eq!(course(&retry, 0).len(), 4);
    }

    #[test]
    fn errors_that_are_not_worth_it_end_it() {
        let retry = Retry::immediately(5).when(|error| error.is::<io::Error>());
        let (failed, mut rng) = (Duration::ZERO, Rng::with_seed(0));
        let io: HandlerError = io::Error::other("full").into();
        assert_eq!(retry.next(1, failed, &io, &mut rng), Next::Now);
        assert_eq!(retry.next(1, failed, &error(), &mut rng), Next::GiveUp);

        let narrower = retry.when(|error| error.to_string() != "full");
        assert_eq!(narrower.next(1, failed, &io, &mut rng), Next::GiveUp);
        assert_eq!(narrower.next(1, failed, &error(), &mut rng), Next::GiveUp);
        let other: HandlerError = io::Error::other("slow").into();
        assert_eq!(narrower.next(1, failed, &other, &mut rng), Next::Now);
    }

    #[test]
    fn odd_numbers_count_as_the_nearest_sensible_ones() {
        for factor in [f64::NAN, -1.0, 0.5, f64::NEG_INFINITY] {
            assert_eq!(Backoff::exponential(MILLI).factor(factor).wait(9), MILLI, "{factor}");
        }
        for share in [f64::NAN, -1.0, f64::NEG_INFINITY] {
            assert!(Backoff::fixed(MILLI).jitter(share).jitter.to_bits() == 0, "{share}");
        }
        assert_eq!(Backoff::fixed(MILLI).jitter(7.0), Backoff::fixed(MILLI).jitter(1.0));
    }

    #[test]
    fn waits_that_nobody_can_count_are_the_longest() {
        let endless = Backoff::exponential(Duration::from_nanos(1));
        assert_eq!(endless.wait(10_000), Duration::MAX);
        assert_eq!(endless.wait(u32::MAX), Duration::MAX);
        assert_eq!(endless.factor(f64::INFINITY).wait(1), Duration::MAX);
        assert_eq!(Backoff::exponential(Duration::MAX).jitter(0.5).wait(1), Duration::MAX);
        let mut rng = Rng::with_seed(0);
        assert!(
            Backoff::fixed(Duration::MAX).jitter(f64::MIN_POSITIVE).jittered(0, &mut rng) > MILLI
        );
    }

    #[test]
    fn more_retries_than_can_be_counted() {
        let retry = Retry::immediately(u32::MAX).then(Backoff::fixed(MILLI), u32::MAX);
        assert_eq!(retry.attempts(), u32::MAX);
        let mut rng = Rng::with_seed(0);
        let next = retry.next(u32::MAX, Duration::ZERO, &error(), &mut rng);
        assert_eq!(next, Next::Now);
    }

    #[test]
    fn jitter_takes_off_what_it_says_and_not_always_the_same() {
        let backoff = Backoff::fixed(MILLI).jitter(0.25);
        let mut rng = Rng::with_seed(7);
        let waits: Vec<_> = (0..1000).map(|_| backoff.jittered(0, &mut rng)).collect();
        assert!(waits.iter().all(|wait| (MILLI * 3 / 4..=MILLI).contains(wait)));
        let (shortest, longest) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(*longest > *shortest + MILLI / 5, "{shortest:?} to {longest:?}");
    }

    #[test]
    fn a_retry_can_be_shown_and_sent() {
        fn sent(_: impl Send + Sync + Clone + fmt::Debug + 'static) {}
        let retry = Retry::immediately(1).when(|_| true);
        assert!(format!("{retry:?}").contains("has_predicate: true"));
        sent(retry);
    }

    fn backoffs() -> impl Strategy<Value = Backoff> {
        let most = prop_oneof![Just(u64::MAX), 0..5_000_000_000_u64];
        (any::<u64>(), any::<f64>(), most, any::<f64>()).prop_map(
            |(first, factor, most, jitter)| {
                Backoff::exponential(Duration::from_nanos(first))
                    .factor(factor)
                    .at_most(Duration::from_nanos(most))
                    .jitter(jitter)
            },
        )
    }

    proptest! {
        #[test]
        fn as_many_attempts_as_said(
            at_once in 0_u32..20,
            steps in prop::collection::vec((backoffs(), 0_u32..20), 0..4),
            seed in any::<u64>(),
        ) {
            let retry = steps
                .iter()
                .fold(Retry::immediately(at_once), |retry, (backoff, n)| retry.then(*backoff, *n));
            let retries: u32 = at_once + steps.iter().map(|(_, times)| times).sum::<u32>();
            prop_assert_eq!(retry.attempts(), 1 + retries);
            prop_assert_eq!(course(&retry, seed).len() as u32, 1 + retries);
        }

        #[test]
        fn no_wait_is_longer_than_the_longest(
            backoff in backoffs(), retry in any::<u32>(), seed in any::<u64>(),
        ) {
            let wait = backoff.wait(retry);
            let jittered = backoff.jittered(retry, &mut Rng::with_seed(seed));
            prop_assert!(wait <= backoff.at_most);
            prop_assert!(jittered <= wait);
        }

        #[test]
        fn waits_do_not_shrink(backoff in backoffs(), retry in 0..u32::MAX) {
            prop_assert!(backoff.wait(retry) <= backoff.wait(retry + 1));
        }

        #[test]
        fn waiting_ends_in_time(
            backoff in backoffs(), most in any::<u64>().prop_map(Duration::from_nanos),
            seed in any::<u64>(),
        ) {
            let retry = Retry::none().then(backoff, 50).for_at_most(most);
            let waited = course(&retry, seed).into_iter().filter_map(|next| match next {
                Next::After(wait) => Some(wait),
                Next::Now | Next::GiveUp => None,
            });
            prop_assert!(waited.sum::<Duration>() <= most);
        }
    }
}
