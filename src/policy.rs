//! What a station does when its handler fails or panics.

use std::num::NonZero;

/// What happens when a handler returns an error or panics.
///
/// A handler that failed is called again for later events (or for the same one), also after a
/// panic: it must leave its state usable.
///
/// # Examples
/// ```
/// use slipring::{Policy, update};
///
/// let flaky = update("flaky", |event: &mut u64, _| u32::try_from(*event).map(|_| ()))
///     .policy(Policy::retry(3).or_skip());
/// # let _ = flaky;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Stops the whole ring: every station ends, every producer gets
    /// [`PublishError::Halted`](crate::PublishError::Halted), and `shutdown` returns the fault.
    #[default]
    Halt,
    /// Counts the event as skipped by this station and goes on; stations that follow see it. A
    /// batch handler skips its whole slice.
    Skip,
    /// Calls the handler again for the same event (a batch handler for the same slice), then does
    /// what `then` says. Once the ring is halted, by whomever, it is not called again: the event is
    /// left.
    Retry {
        /// Further calls after the first one failed.
        times: NonZero<u32>,
        /// What to do when they all failed.
        then: GiveUp,
    },
}

/// What follows the last fruitless retry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GiveUp {
    /// As [`Policy::Halt`].
    #[default]
    Halt,
    /// As [`Policy::Skip`].
    Skip,
}

impl Policy {
    /// Retries up to `times` times, then halts. No times is [`Policy::Halt`].
    pub fn retry(times: u32) -> Self {
        NonZero::new(times).map_or(Self::Halt, |times| Self::Retry { times, then: GiveUp::Halt })
    }

    /// The same policy, but the last resort is to skip.
    #[must_use]
    pub fn or_skip(self) -> Self {
        match self {
            Self::Retry { times, .. } => Self::Retry { times, then: GiveUp::Skip },
            Self::Halt | Self::Skip => Self::Skip,
        }
    }

    /// What to do after `failures` failures of the same call in a row.
    pub(crate) fn verdict(self, failures: u32) -> Verdict {
        let last_resort = match self {
            Self::Retry { times, .. } if failures <= times.get() => return Verdict::Again,
            Self::Retry { then, .. } => then,
            Self::Halt => GiveUp::Halt,
            Self::Skip => GiveUp::Skip,
        };
        match last_resort {
            GiveUp::Halt => Verdict::Halt,
            GiveUp::Skip => Verdict::Skip,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Again,
    Skip,
    Halt,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let verdicts = |policy: Policy| [1, 2, 3].map(|failures| policy.verdict(failures));
        assert_eq!(verdicts(Policy::Halt), [Verdict::Halt; 3]);
        assert_eq!(verdicts(Policy::Skip), [Verdict::Skip; 3]);
        assert_eq!(verdicts(Policy::retry(0)), [Verdict::Halt; 3]);
        assert_eq!(verdicts(Policy::retry(2)), [Verdict::Again, Verdict::Again, Verdict::Halt]);
        assert_eq!(
            verdicts(Policy::retry(1).or_skip()),
            [Verdict::Again, Verdict::Skip, Verdict::Skip]
        );
        assert_eq!(verdicts(Policy::retry(0).or_skip()), [Verdict::Skip; 3]);
    }
}
