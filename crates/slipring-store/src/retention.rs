//! What a store may forget.

use std::time::Duration;

/// What is to be kept. What is not may be removed, and is, the oldest first, as far as the store can do it at once: it
/// removes whole blocks and so keeps a little more.
///
/// Whatever a [checkpoint](crate::Checkpoint) still has to come to is kept, also against this, and so is what is not
/// durable yet. Streams go on counting where they were.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use slipring_store::Retention;
///
/// assert_eq!(Retention::day().age, Some(Duration::from_secs(86_400)));
/// let keep = Retention::everything().events(1_000_000).bytes(1 << 30);
/// assert_eq!(keep.age, None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// Events that are older may go. Where times are out of order, an event goes only with all before it.
    pub age: Option<Duration>,
    /// The oldest may go when all have more bytes, as the store counts them.
    pub bytes: Option<u64>,
    /// The oldest may go when there are more.
    pub events: Option<u64>,
}

impl Retention {
    /// All is kept.
    pub fn everything() -> Self {
        Self::default()
    }

    /// What has happened in the last 24 hours is kept.
    pub fn day() -> Self {
        Self::everything().age(Duration::from_hours(24))
    }

    /// What is older than that may go.
    #[must_use = "it is built by value, another is returned"]
    pub fn age(mut self, age: Duration) -> Self {
        self.age = Some(age);
        self
    }

    /// What is more than so many bytes may go.
    #[must_use = "it is built by value, another is returned"]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// What is more than so many events may go.
    #[must_use = "it is built by value, another is returned"]
    pub fn events(mut self, events: u64) -> Self {
        self.events = Some(events);
        self
    }
}

/// What has been removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removed {
    /// How many events.
    pub events: u64,
    /// Where the store begins now.
    pub first: u64,
    /// The checkpoint for which more was kept than was asked for, if there is one.
    pub held_by: Option<String>,
}
