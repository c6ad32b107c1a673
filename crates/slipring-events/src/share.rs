//! Handlers that share the events of one subscription.

use crate::{delivery::Key, event::Event, slot::Delivered};

/// Which of the events that it sees a handler takes.
pub(crate) enum Share<E, T> {
    /// All of them.
    Whole,
    /// Its part.
    Part { worker: u64, of: u64, by: By<E, T> },
}

/// What says whose an event is.
pub(crate) enum By<E, T> {
    Sequence,
    Key(Box<dyn Fn(&T) -> Key + Send>),
    /// A key that is told by the whole event.
    WholeKey(Box<dyn Fn(&E) -> Key + Send>),
}

impl<E: Event, T> Share<E, T> {
    /// Whether an event falls to this handler.
    #[inline]
    pub(crate) fn has(&self, delivered: &Delivered<'_, E>, seen: &T) -> bool {
        let Self::Part { worker, of, by } = self else { return true };
        let number = match by {
            By::Sequence => delivered.sequence,
            By::Key(key) => key(seen).number(),
            By::WholeKey(key) => key(delivered.event).number(),
        };
        number % of == *worker
    }

    /// Why there cannot be such a part.
    pub(crate) fn check(&self) -> Option<(u64, u64)> {
        match self {
            Self::Part { worker, of, .. } if worker >= of => Some((*worker, *of)),
            _ => None,
        }
    }
}

impl<W: Event> Share<W, W> {
    /// The same for a handler that sees a part of each event.
    pub(crate) fn seeing_less<T>(self) -> Share<W, T> {
        let Self::Part { worker, of, by } = self else { return Share::Whole };
        let by = match by {
            By::Sequence => By::Sequence,
            By::Key(key) | By::WholeKey(key) => By::WholeKey(key),
        };
        Share::Part { worker, of, by }
    }
}
