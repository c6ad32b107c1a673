//! What rules measure, in their units.

use std::{fmt, mem, time::Duration};

/// A measured value, or a threshold: a number and its unit. Values of the same unit can be compared.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Value {
    /// A number of events.
    Events(u64),
    /// A share of a whole, from 0 to 1.
    Share(f64),
    /// A time.
    Time(Duration),
    /// A number of whatever a station tells.
    Number(u64),
}

impl Value {
    /// Whether the two can be compared.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        mem::discriminant(self) == mem::discriminant(other)
    }
}

impl From<u64> for Value {
    fn from(events: u64) -> Self {
        Self::Events(events)
    }
}

impl From<f64> for Value {
    fn from(share: f64) -> Self {
        Self::Share(share)
    }
}

impl From<Duration> for Value {
    fn from(time: Duration) -> Self {
        Self::Time(time)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Events(1) => f.write_str("1 event"),
            Self::Events(events) => write!(f, "{events} events"),
            Self::Share(share) => write!(f, "{:.1}%", share * 100.0),
            Self::Time(time) => write!(f, "{time:.1?}"),
            Self::Number(number) => number.fmt(f),
        }
    }
}
