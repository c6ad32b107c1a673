//! What rules say.

use std::{fmt, time::Duration};

use crate::{rule::Rule, value::Value};

/// Whether an alert begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    /// The rule's condition has held for long enough.
    Raised,
    /// It is over.
    Cleared,
}

/// A rule's condition has begun to hold, or is over.
///
/// Its text is a sentence for whoever is woken up by it; see [`Rules`](crate::Rules) for an example. All times
/// are those of the ring: they count from when it was built.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Alert {
    /// Whether it begins or ends.
    pub turn: Turn,
    /// The rule.
    pub rule: Rule,
    /// The ring, by the name that its [`Rules`](crate::Rules) have.
    pub ring: String,
    /// The station; `None` if it is about the ring as a whole.
    pub station: Option<String>,
    /// The value that was found at this look; `None` if the station has left the ring, or the ring has ended, which
    /// clears the alerts.
    pub value: Option<Value>,
    /// Whether the ring has ended.
    pub is_at_the_end: bool,
    /// When the condition was first found to hold.
    pub since: Duration,
    /// When the look was taken that raised or cleared it.
    pub at: Duration,
}

impl Alert {
    /// The threshold that was reached, or of a cleared one the one that it is below now.
    pub fn threshold(&self) -> Value {
        match self.turn {
            Turn::Raised => self.rule.threshold(),
            Turn::Cleared => self.rule.lower_threshold(),
        }
    }

    /// The time since the condition was first found to hold.
    pub fn lasted(&self) -> Duration {
        self.at.saturating_sub(self.since)
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let station = self.station.as_deref().unwrap_or_default();
        let what = match self.value {
            Some(value) => self.rule.figure.told(station, value),
            None if self.is_at_the_end => "the ring has ended".to_owned(),
            None => format!("`{station}` has left the ring"),
        };
        let (ring, threshold) = (&self.ring, self.threshold());
        let (since, lasted) = (Value::Time(self.since), Value::Time(self.lasted()));
        match self.turn {
            Turn::Raised => {
                write!(f, "ring `{ring}`: {what} (alert from {threshold} on; since {since})")
            }
            Turn::Cleared => {
                let what_is = self.rule.figure.label();
                write!(f, "ring `{ring}`: {what_is} over after {lasted}: {what}")?;
                let is_there = self.value.is_some();
                if is_there { write!(f, " (below {threshold})") } else { Ok(()) }
            }
        }
    }
}
