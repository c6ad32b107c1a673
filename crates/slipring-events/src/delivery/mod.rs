//! What is done with an event that a handler fails on, and what keeps handlers from failing.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use crate::{clock::Time, event::Event, slot::Aside};

mod breaker;
mod bulkhead;
pub(crate) mod lanes;
pub(crate) mod letters;
mod retry;
mod throttle;
mod window;

pub use breaker::{Breaker, BreakerState};
pub use bulkhead::Bulkhead;
pub(crate) use bulkhead::Permit;
pub use letters::{
    DeadLetters, KeepLetters, KeptLetter, Letter, LetterInfo, Reason, Requeue, WhenFull,
};
pub(crate) use retry::Next;
pub use retry::{Backoff, Retry};
pub use throttle::Throttle;
pub use window::{HandledElsewhere, Inbox, Window};

/// What a handler says when it could not do its work: any error, and by `?` or `into` any text.
///
/// # Examples
/// ```
/// use slipring_events::HandlerError;
///
/// fn handle(quantity: &str) -> Result<u32, HandlerError> {
///     match quantity.parse()? {
///         0 => Err("an order of nothing".into()),
///         quantity => Ok(quantity),
///     }
/// }
///
/// assert_eq!(handle("0").unwrap_err().to_string(), "an order of nothing");
/// assert!(handle("many").unwrap_err().is::<std::num::ParseIntError>());
/// ```
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// How many attempts are remembered of an event, the first ones and the last.
const HISTORY: usize = 16;

/// An attempt that has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it failed.
    pub time: Time,
    /// Why: what the handler returned, or what it panicked with.
    pub error: Arc<str>,
    /// Whether it panicked.
    pub panicked: bool,
}

/// An event that its handler has failed on, or that waits behind such a one.
#[derive(Clone, Debug)]
pub(crate) struct Parked<E: Event> {
    pub aside: Aside<E>,
    pub trial: Trial,
}

/// How often an event was tried, and what came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trial {
    /// In all its lives.
    pub attempts: u32,
    /// Since it was given back, if it was.
    pub failed: u32,
    /// When it failed first in this life, by the clock that never goes back.
    pub failing_since: Option<Duration>,
    pub history: Vec<Attempt>,
    /// The letter that it was given back as, if it is kept elsewhere until it is handled.
    pub letter: Option<u64>,
}

impl<E: Event> Parked<E> {
    pub(crate) fn new(aside: Aside<E>) -> Self {
        Self { aside, trial: Trial::default() }
    }

    /// What is given back: retries begin anew, the history stays.
    pub(crate) fn revived(mut self) -> Self {
        (self.trial.failed, self.trial.failing_since) = (0, None);
        self
    }
}

impl Trial {
    pub(crate) fn failed(&mut self, attempt: Attempt, now: Duration) {
        self.failed += 1;
        self.failing_since.get_or_insert(now);
        if self.history.len() == HISTORY {
            self.history.remove(HISTORY / 2);
        }
        self.history.push(attempt);
    }
}

/// Events of one key keep their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(u64);

impl Key {
    pub(crate) fn of(key: &impl Hash) -> Self {
        // Two keys of one hash wait for each other, which is no harm.
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        Self(hasher.finish())
    }

    pub(crate) fn from_number(number: u64) -> Self {
        Self(number)
    }

    pub(crate) fn number(self) -> u64 {
        self.0
    }
}
