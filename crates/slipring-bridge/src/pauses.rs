//! How long a bridge waits before it tries again.

use std::{any::Any, time::Duration};

use slipring_store::{CommitError, Conflict, StoreError};

use crate::LinkError;

/// How long a bridge waits before it makes another link, while none can be had: a little longer each time, and never two
/// bridges equally long.
///
/// # Examples
/// ```
/// use slipring_bridge::Pauses;
/// use std::time::Duration;
///
/// let pauses = Pauses::between(Duration::from_millis(10), Duration::from_secs(1));
/// assert_eq!(pauses.longest(), Duration::from_secs(1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    first: Duration,
    longest: Duration,
}

impl Default for Pauses {
    /// From 50 milliseconds to 5 seconds.
    fn default() -> Self {
        Self::between(Duration::from_millis(50), Duration::from_secs(5))
    }
}

impl Pauses {
    /// The first one about so long, and none longer than that.
    pub fn between(first: Duration, longest: Duration) -> Self {
        let first = first.max(Duration::from_micros(100));
        Self { first, longest: longest.max(first) }
    }

    /// The longest one.
    pub fn longest(self) -> Duration {
        self.longest
    }

    /// The one after so many failures one behind the other, at least 1: between half of it and all of it.
    pub(crate) fn after(self, failures: u32, error: Option<&LinkError>) -> Duration {
        let full = if let Some(LinkError::Refused { .. }) = error {
            // Somebody has to see to it: there is no haste.
            self.longest
        } else {
            let doubled = failures.saturating_sub(1).min(20);
            self.first.saturating_mul(1 << doubled).min(self.longest)
        };
        full.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

/// What a commit that was not taken has come upon, or how the store has failed.
pub(crate) fn conflict_of(error: CommitError) -> Result<Conflict, StoreError> {
    match error {
        CommitError::Conflict(conflict) => Ok(conflict),
        CommitError::Store(error) => Err(error),
        other => Err(StoreError::Refused(other.to_string().into())),
    }
}

/// What a panic has said.
pub(crate) fn message_of(payload: Box<dyn Any + Send>) -> Box<str> {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = text.unwrap_or("something that is no text").into();
    // Its destructor may panic as well.
    std::mem::forget(payload);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_one_that_is_refused_waits_that_long() {
        let (first, longest) = (Duration::from_millis(10), Duration::from_millis(35));
        let pauses = Pauses::between(first, longest);
        for (failures, full) in [(1, 10), (2, 20), (3, 35), (u32::MAX, 35)] {
            let full = Duration::from_millis(full);
            for _ in 0..100 {
                let pause = pauses.after(failures, None);
                assert!(pause >= full / 2 && pause <= full, "{failures}: {pause:?}");
            }
        }
        let refused = LinkError::refused("declaring", "no");
        assert!(pauses.after(1, Some(&refused)) >= longest / 2);
        let none = Pauses::between(Duration::ZERO, Duration::ZERO);
        assert!(none.after(1, None) > Duration::ZERO);
    }
}
