//! How long a handler takes, if somebody has put a stopwatch to it. Without the feature `insight` nobody can.

use std::time::Duration;

use slipring::Figure;

/// A handler's stopwatch.
#[cfg(feature = "insight")]
#[derive(Clone, Debug)]
pub(crate) struct Times(pub slipring_insight::Stopwatch);

#[cfg(feature = "insight")]
impl Times {
    /// Whether the attempts on the event of this sequence are to be timed.
    pub(crate) fn wants(&self, sequence: u64) -> bool {
        self.0.wants(sequence)
    }

    pub(crate) fn note(&self, service: Duration, age: Option<Duration>) {
        self.0.note(service, age);
    }

    pub(crate) fn tell(&self, figures: &mut Vec<Figure>) {
        self.0.tell(figures);
    }
}

/// There is none.
#[cfg(not(feature = "insight"))]
#[derive(Clone, Debug)]
pub(crate) enum Times {}

#[cfg(not(feature = "insight"))]
impl Times {
    pub(crate) fn wants(&self, _: u64) -> bool {
        match *self {}
    }

    pub(crate) fn note(&self, _: Duration, _: Option<Duration>) {
        match *self {}
    }

    pub(crate) fn tell(&self, _: &mut Vec<Figure>) {
        match *self {}
    }
}
