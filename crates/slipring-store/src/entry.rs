//! An event as it is put into a store.

use slipring_events::{
    Clock, EventId, Metadata, SystemClock, Time,
    topic::{self, TopicError},
};

/// An event that is to be stored: what it is called and what it holds; the rest has a value unless it is given.
///
/// # Examples
/// ```
/// use slipring_store::Entry;
///
/// let entry = Entry::new("order.created", br#"{"lamps":2}"#).stream("order-7").schema(1);
/// assert_eq!(entry.topic, "order.created");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry<'a> {
    /// What it is called: words with dots between, at most 255 bytes.
    pub topic: &'a str,
    /// What happened, in whatever form the program gives it.
    pub payload: &'a [u8],
    /// When it happened.
    pub time: Time,
    /// Which event it is. If not given, the store makes an id of itself and of the place that the event gets: no other
    /// event ever has it, once this one is durable.
    pub id: Option<EventId>,
    /// Who says so; empty if nobody wants to.
    pub source: &'a str,
    /// The stream it belongs to, if it does: all events of one aggregate, usually.
    pub stream: Option<&'a str>,
    /// The first event of the story that it belongs to.
    pub correlation: Option<EventId>,
    /// The event that led to it.
    pub causation: Option<EventId>,
    /// Which form the payload has: a number that its program counts up when it changes the form.
    pub schema: u16,
    /// Whatever else is to go with it.
    pub metadata: Option<&'a Metadata>,
}

/// An event that no store takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// It cannot be called like that.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The name of its stream is empty or longer than [`Entry::LONGEST_STREAM`].
    #[error("the name of a stream has 1 to {} bytes, and this one {length}", Entry::LONGEST_STREAM)]
    Stream {
        /// In bytes.
        length: usize,
    },
    /// It is larger than [`Entry::LARGEST`], with all that goes with it. Keep the content elsewhere and store where
    /// it is.
    #[error(
        "an event has at most {} bytes with all that goes with it, and this one {size}",
        Entry::LARGEST
    )]
    TooLarge {
        /// In bytes.
        size: usize,
    },
}

impl<'a> Entry<'a> {
    /// How many bytes an event may have, with all that goes with it: 64 MiB.
    pub const LARGEST: usize = 64 << 20;

    /// How many bytes the name of a stream may have.
    pub const LONGEST_STREAM: usize = 512;

    /// Something that happens now. It is checked when it is [put into a batch](crate::Batch::append).
    pub fn new(topic: &'a str, payload: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self::at(SystemClock.now(), topic, payload)
    }

    /// Something that happened at that time: as [`new`](Self::new), without a look at the clock.
    pub fn at(time: Time, topic: &'a str, payload: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self {
            topic,
            payload: payload.as_ref(),
            time,
            id: None,
            source: "",
            stream: None,
            correlation: None,
            causation: None,
            schema: 0,
            metadata: None,
        }
    }

    /// It with that id.
    #[must_use = "an entry is built by value, another is returned"]
    pub fn id(mut self, id: EventId) -> Self {
        self.id = Some(id);
        self
    }

    /// It as told by somebody.
    #[must_use = "an entry is built by value, another is returned"]
    pub fn source(mut self, source: &'a str) -> Self {
        self.source = source;
        self
    }

    /// It as the next event of a stream.
    #[must_use = "an entry is built by value, another is returned"]
    pub fn stream(mut self, stream: &'a str) -> Self {
        self.stream = Some(stream);
        self
    }

    /// It as part of the story that begins with `first`, led to by `cause`.
    #[must_use = "an entry is built by value, another is returned"]
    pub fn following(mut self, first: EventId, cause: EventId) -> Self {
        self.correlation = Some(first);
        self.causation = Some(cause);
        self
    }

    /// It with its payload in that form.
    #[must_use = "an entry is built by value, another is returned"]
    pub fn schema(mut self, schema: u16) -> Self {
        self.schema = schema;
        self
    }

    /// It with notes.
    #[must_use = "an entry is built by value, another is returned"]
    pub fn metadata(mut self, metadata: &'a Metadata) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// `knows_topic`: it has been checked for another one.
    pub(crate) fn check(&self, knows_topic: bool) -> Result<(), EntryError> {
        if !knows_topic {
            topic::check(self.topic)?;
        }
        check_stream(self.stream)?;
        if self.payload.len() > Self::LARGEST {
            return Err(EntryError::TooLarge { size: self.payload.len() });
        }
        Ok(())
    }
}

pub(crate) fn check_stream(stream: Option<&str>) -> Result<(), EntryError> {
    match stream.map(str::len) {
        Some(length) if length == 0 || length > Entry::LONGEST_STREAM => {
            Err(EntryError::Stream { length })
        }
        _ => Ok(()),
    }
}
