//! What is asked of a store.

use std::ops::{Bound, RangeBounds};

use slipring_events::{Time, topic::Pattern};

/// Events by what they are called and when they happened: in the order of their times, and those of one time in the
/// order in which they were stored.
///
/// # Examples
/// ```
/// use slipring_events::Time;
/// use slipring_store::Query;
///
/// let (from, to) = (Time::from_nanos(10), Time::from_nanos(20));
/// let query = Query::topic("order.created").between(from..=to).limit(100);
/// assert!(query.admits("order.created", to) && !query.admits("order.paid", to));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Query {
    /// What they are called.
    pub topics: Topics,
    /// The first moment, which is within.
    pub from: Time,
    /// The last moment, which is within.
    pub to: Time,
    /// How many at most.
    pub limit: u64,
}

/// Which topics are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Topics {
    /// All of them.
    All,
    /// This one.
    One(String),
    /// Those that match: `order.*`, `order.#`.
    Matching(Pattern),
}

impl Query {
    /// Every event.
    pub fn all() -> Self {
        Self {
            topics: Topics::All,
            from: Time::EPOCH,
            to: Time::from_nanos(u64::MAX),
            limit: u64::MAX,
        }
    }

    /// Events that are called so.
    pub fn topic(topic: impl Into<String>) -> Self {
        Self { topics: Topics::One(topic.into()), ..Self::all() }
    }

    /// Events whose topic matches.
    pub fn matching(pattern: Pattern) -> Self {
        Self { topics: Topics::Matching(pattern), ..Self::all() }
    }

    /// Those within these times: `from..=to` has both ends in it, as `..=to` has the last.
    #[must_use = "a query is built by value, another is returned"]
    pub fn between(mut self, times: impl RangeBounds<Time>) -> Self {
        let nanos = |time: &Time| time.as_nanos();
        // A range that holds nothing is one that ends before it begins.
        let nothing = (Time::from_nanos(1), Time::EPOCH);
        let from = match times.start_bound() {
            Bound::Included(from) => Some(nanos(from)),
            Bound::Excluded(from) => nanos(from).checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let to = match times.end_bound() {
            Bound::Included(to) => Some(nanos(to)),
            Bound::Excluded(to) => nanos(to).checked_sub(1),
            Bound::Unbounded => Some(u64::MAX),
        };
        (self.from, self.to) = match (from, to) {
            (Some(from), Some(to)) => (Time::from_nanos(from), Time::from_nanos(to)),
            _ => nothing,
        };
        self
    }

    /// So many at most.
    #[must_use = "a query is built by value, another is returned"]
    pub fn limit(mut self, events: u64) -> Self {
        self.limit = events;
        self
    }

    /// Whether an event with that topic and time is asked for.
    pub fn admits(&self, topic: &str, time: Time) -> bool {
        (self.from..=self.to).contains(&time) && self.topics.admit(topic)
    }
}

impl Topics {
    /// Whether a topic is asked for.
    pub fn admit(&self, topic: &str) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => one == topic,
            Self::Matching(pattern) => pattern.matches(topic),
        }
    }
}
