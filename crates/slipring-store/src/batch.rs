//! What is committed at once.

use std::{fmt, ops::Range};

use crate::{Entry, EntryError, entry::check_stream, frame};

/// Events and values that a store takes all at once, or not at all.
///
/// It can be cleared and filled again, and then takes no memory anew.
///
/// # Examples
/// An account is opened, unless it is there already, and the number of accounts goes with it:
/// ```
/// use slipring_store::{Batch, CommitError, Durability, Entry, EventStore, Expected, Memory};
///
/// let store = Memory::new();
/// let mut batch = Batch::new();
/// batch.expect("account-7", Expected::Empty)?;
/// batch.append(Entry::new("account.opened", "Ada").stream("account-7"))?;
/// batch.put("accounts", b"count", b"1");
///
/// let committed = store.commit(&batch, Durability::Synced)?;
/// assert_eq!((committed.first, committed.end), (0, 1));
/// assert!(matches!(store.commit(&batch, Durability::Synced), Err(CommitError::Conflict(_))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The events, in [frames](crate::Frames) of version 0.
    bytes: Vec<u8>,
    events: Vec<Place>,
    /// Names of topics, each once if it can be helped: see `known`.
    topics: Vec<Range<usize>>,
    /// By a hash of the name, which topic had it last.
    known: Vec<u32>,
    /// Names of topics, of streams, spaces, keys and values.
    texts: Vec<u8>,
    expectations: Vec<Expecting>,
    changes: Vec<Changing>,
}

/// Where an event of a batch is, with what a store has to know of it.
#[derive(Clone, Debug)]
struct Place {
    at: usize,
    time: slipring_events::Time,
    /// Its number among the topics.
    topic: u32,
    stream: Option<Range<usize>>,
}

#[derive(Clone, Debug)]
enum Expecting {
    Stream(Range<usize>, Expected),
    Value(Range<usize>, Range<usize>, Option<Range<usize>>),
}

#[derive(Clone, Debug)]
struct Changing {
    space: Range<usize>,
    key: Range<usize>,
    value: Option<Range<usize>>,
    is_placed: bool,
}

/// How many events a stream is expected to have when a batch is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expected {
    /// None, ever.
    Empty,
    /// So many, ever: what has been removed by retention counts.
    Events(u64),
}

impl Expected {
    /// The number.
    pub const fn events(self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Events(events) => events,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty | Self::Events(0) => f.write_str("none were"),
            Self::Events(events) => write!(f, "{events} were"),
        }
    }
}

/// Something that must be so when a batch is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation<'a> {
    /// A stream has so many events.
    Stream {
        /// What it is called.
        stream: &'a str,
        /// How many.
        expected: Expected,
    },
    /// A value is this one, or is not there.
    Value {
        /// The space.
        space: &'a str,
        /// The key.
        key: &'a [u8],
        /// The value.
        value: Option<&'a [u8]>,
    },
}

/// A value that a batch puts or removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The space.
    pub space: &'a str,
    /// The key.
    pub key: &'a [u8],
    /// The value; `None` removes it.
    pub value: Option<&'a [u8]>,
    /// Whether the store writes behind the value where the batch went: see [`Batch::put_placed`].
    pub is_placed: bool,
}

/// What a store has to know of an event of a batch to put it into its indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended<'a> {
    /// Where its frame begins in the bytes.
    pub at: usize,
    pub time: slipring_events::Time,
    /// Its number among the [topics](Batch::topics).
    pub topic: u32,
    pub stream: Option<&'a str>,
}

/// How many topics are known by their hashes, and what stands for none of them.
const KNOWN: usize = 64;
const NONE: u32 = u32::MAX;

/// Where a topic is known, if it is: told apart by its length, its first bytes, and its last ones.
fn place_of(topic: &str) -> usize {
    let bytes = topic.as_bytes();
    let ends = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(7)
        }
        _ => bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    let hash = (ends ^ bytes.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (hash >> (u64::BITS - KNOWN.ilog2())) as usize
}

impl Batch {
    /// One without anything in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts an event behind those that are there.
    ///
    /// # Errors
    /// No store takes it. The batch is as before.
    pub fn append(&mut self, entry: Entry<'_>) -> Result<(), EntryError> {
        let place = place_of(entry.topic);
        let known = self.known.get(place).copied().unwrap_or(NONE);
        let known = self
            .topics
            .get(known as usize)
            .is_some_and(|known| self.texts[known.clone()] == *entry.topic.as_bytes());
        entry.check(known)?;
        let at = self.bytes.len();
        frame::write(&entry, &mut self.bytes)?;
        if !known {
            self.learn(place, entry.topic);
        }
        let topic = self.known[place];
        let stream = entry.stream.map(|stream| self.text(stream.as_bytes()));
        self.events.push(Place { at, time: entry.time, topic, stream });
        Ok(())
    }

    /// Has the commit fail unless a stream has so many events, before this batch.
    ///
    /// # Errors
    /// No stream is called so.
    pub fn expect(&mut self, stream: &str, expected: Expected) -> Result<(), EntryError> {
        check_stream(Some(stream))?;
        let stream = self.text(stream.as_bytes());
        self.expectations.push(Expecting::Stream(stream, expected));
        Ok(())
    }

    /// Has the commit fail unless a value is this one, or is not there, before this batch.
    pub fn expect_value(&mut self, space: &str, key: &[u8], value: Option<&[u8]>) {
        let (space, key) = (self.text(space.as_bytes()), self.text(key));
        let value = value.map(|value| self.text(value));
        self.expectations.push(Expecting::Value(space, key, value));
    }

    /// Puts a value: of several in one batch for the same key, the last counts.
    pub fn put(&mut self, space: &str, key: &[u8], value: &[u8]) {
        let (space, key) = (self.text(space.as_bytes()), self.text(key));
        let value = Some(self.text(value));
        self.changes.push(Changing { space, key, value, is_placed: false });
    }

    /// Puts a value with, behind it, the position that the first event of the batch gets, in 8 bytes, the highest first.
    /// So it tells where the batch went, also to somebody who never got the answer to the commit.
    ///
    /// # Examples
    /// ```
    /// use slipring_store::{Batch, Durability, Entry, EventStore, Memory};
    ///
    /// let store = Memory::new();
    /// let mut batch = Batch::new();
    /// batch.append(Entry::new("order.created", "lamp"))?;
    /// batch.put_placed("places", b"orders", b"at ");
    /// store.commit(&batch, Durability::Synced)?;
    /// store.commit(&batch, Durability::Synced)?;
    /// assert_eq!(store.value("places", b"orders")?.as_deref(), Some(&b"at \0\0\0\0\0\0\0\x01"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_placed(&mut self, space: &str, key: &[u8], value: &[u8]) {
        let (space, key) = (self.text(space.as_bytes()), self.text(key));
        let value = Some(self.text(value));
        self.changes.push(Changing { space, key, value, is_placed: true });
    }

    /// Removes a value, if it is there.
    pub fn remove(&mut self, space: &str, key: &[u8]) {
        let (space, key) = (self.text(space.as_bytes()), self.text(key));
        self.changes.push(Changing { space, key, value: None, is_placed: false });
    }

    /// How many events it has.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is nothing in it: no event, no value, nothing expected.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.changes.is_empty() && self.expectations.is_empty()
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        let Self { bytes, events, topics, known, texts, expectations, changes } = self;
        bytes.clear();
        events.clear();
        topics.clear();
        known.clear();
        texts.clear();
        expectations.clear();
        changes.clear();
    }

    /// The events as [frames](crate::Frames), each of version 0.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What must be so.
    pub fn expectations(&self) -> impl Iterator<Item = Expectation<'_>> {
        self.expectations.iter().map(|expecting| match expecting {
            Expecting::Stream(stream, expected) => {
                Expectation::Stream { stream: self.str(stream), expected: *expected }
            }
            Expecting::Value(space, key, value) => Expectation::Value {
                space: self.str(space),
                key: &self.texts[key.clone()],
                value: value.clone().map(|value| &self.texts[value]),
            },
        })
    }

    /// The values it puts and removes, in order.
    pub fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.changes.iter().map(|changing| Change {
            space: self.str(&changing.space),
            key: &self.texts[changing.key.clone()],
            value: changing.value.clone().map(|value| &self.texts[value]),
            is_placed: changing.is_placed,
        })
    }

    pub(crate) fn appended(&self) -> impl ExactSizeIterator<Item = Appended<'_>> {
        self.events.iter().map(|place| Appended {
            at: place.at,
            time: place.time,
            topic: place.topic,
            stream: place.stream.as_ref().map(|stream| self.str(stream)),
        })
    }

    /// What the events are called. Some may be there more than once.
    pub(crate) fn topics(&self) -> impl ExactSizeIterator<Item = &str> {
        self.topics.iter().map(|topic| self.str(topic))
    }

    #[cold]
    fn learn(&mut self, place: usize, topic: &str) {
        let topic = self.text(topic.as_bytes());
        self.known.resize(KNOWN, NONE);
        self.known[place] = self.topics.len() as u32;
        self.topics.push(topic);
    }

    fn text(&mut self, text: &[u8]) -> Range<usize> {
        let start = self.texts.len();
        self.texts.extend_from_slice(text);
        start..self.texts.len()
    }

    fn str(&self, place: &Range<usize>) -> &str {
        std::str::from_utf8(&self.texts[place.clone()]).expect("it was a text when it was put in")
    }
}
