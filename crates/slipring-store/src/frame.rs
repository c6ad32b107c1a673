//! Events as bytes: the form in which stores keep them.
//!
//! ```text
//! 4 bytes     8 bytes                    length - 8 bytes
//! length      version in its stream      the rest, as postcard
//! ```
//!
//! Numbers have the lowest byte first. The version stands apart because only the store knows it, when the event is
//! already in bytes; it is 0 for an event that is in no stream. The position of an event is not in it: that is where
//! the store keeps it.

// What `serde` makes of an optional reference.
#![allow(clippy::ref_option_ref)]

use std::iter;

use serde::{Deserialize, Serialize};
use slipring_events::{EventId, Metadata, Source, Time};
use uuid::Uuid;

use crate::{
    Entry, EntryError, Record, onto,
    record::{Notes, StreamPlace},
};

const LENGTH: usize = size_of::<u32>();
const VERSION: usize = size_of::<u64>();
/// What stands before the postcard.
pub(crate) const HEAD: usize = LENGTH + VERSION;

/// Bytes that are no events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// They end in the midst of an event.
    #[error("the events end at byte {at} of {length}, in the midst of one")]
    Torn {
        /// Where the event begins that is not all there.
        at: usize,
        /// How many bytes there are.
        length: usize,
    },
    /// What stands there is none.
    #[error("what stands at byte {at} is no event: {problem}")]
    Malformed {
        /// Where it begins.
        at: usize,
        /// What is wrong with it.
        problem: postcard::Error,
    },
    /// One is longer than it says of itself.
    #[error("the event at byte {at} has {left} bytes more than belong to it")]
    Longer {
        /// Where it begins.
        at: usize,
        /// How many bytes are over.
        left: usize,
    },
    /// One has an id that is none.
    #[error("the event at byte {at} has an id of {length} bytes in place of 16")]
    Id {
        /// Where it begins.
        at: usize,
        /// How many bytes the id has.
        length: usize,
    },
}

#[derive(Serialize, Deserialize)]
struct Body<'a> {
    // What is asked for alone comes first.
    time: u64,
    #[serde(borrow)]
    topic: &'a str,
    schema: u16,
    #[serde(borrow, with = "serde_bytes")]
    id: Option<&'a [u8]>,
    #[serde(borrow, with = "serde_bytes")]
    correlation: Option<&'a [u8]>,
    #[serde(borrow, with = "serde_bytes")]
    causation: Option<&'a [u8]>,
    #[serde(borrow)]
    source: &'a str,
    #[serde(borrow)]
    stream: Option<&'a str>,
    /// Postcard in itself, so that it is not read unless somebody asks for it.
    #[serde(borrow, with = "serde_bytes")]
    metadata: &'a [u8],
    #[serde(borrow, with = "serde_bytes")]
    payload: &'a [u8],
}

/// What an index has of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heading<'a> {
    /// Where it begins.
    pub at: usize,
    pub time: Time,
    pub topic: &'a str,
}

/// Writes an event that has been checked behind what is there, with version 0, and nothing if it is refused.
pub(crate) fn write(entry: &Entry<'_>, bytes: &mut Vec<u8>) -> Result<(), EntryError> {
    let ids = [entry.id, entry.correlation, entry.causation].map(|id| id.map(Uuid::from));
    let [id, correlation, causation] =
        ids.each_ref().map(|id| id.as_ref().map(|id| &id.as_bytes()[..]));
    let metadata = match entry.metadata {
        Some(metadata) if !metadata.is_empty() => {
            postcard::to_stdvec(metadata).expect("texts have a form in postcard")
        }
        _ => Vec::new(),
    };
    let body = Body {
        time: entry.time.as_nanos(),
        topic: entry.topic,
        schema: entry.schema,
        id,
        correlation,
        causation,
        source: entry.source,
        stream: entry.stream,
        metadata: &metadata,
        payload: entry.payload,
    };
    let start = bytes.len();
    bytes.extend_from_slice(&[0; HEAD]);
    onto::write(&body, bytes).expect("what a body is made of has a form in postcard");
    let size = bytes.len() - start;
    if size > Entry::LARGEST {
        bytes.truncate(start);
        return Err(EntryError::TooLarge { size });
    }
    let length = (size - LENGTH) as u32;
    bytes[start..start + LENGTH].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// Says which version of its stream the event is that begins there.
pub(crate) fn set_version(bytes: &mut [u8], at: usize, version: u64) {
    bytes[at + LENGTH..at + HEAD].copy_from_slice(&version.to_le_bytes());
}

/// The events in bytes that a store keeps, one after the other. It ends with the first error.
///
/// # Examples
/// ```
/// use slipring_events::Source;
/// use slipring_store::{Batch, Entry, Frames};
///
/// let mut batch = Batch::new();
/// batch.append(Entry::new("order.created", "lamp"))?;
/// batch.append(Entry::new("order.paid", "lamp"))?;
/// let mut topics = Vec::new();
/// for record in Frames::new(batch.bytes(), 40, Source::named("shop")) {
///     let record = record?;
///     topics.push((record.position, record.topic));
/// }
/// assert_eq!(topics, [(40, "order.created"), (41, "order.paid")]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    bytes: &'a [u8],
    at: usize,
    position: u64,
    source: Source,
}

impl<'a> Frames<'a> {
    /// The events in those bytes, of which the first has that position, in a store that is that source.
    pub fn new(bytes: &'a [u8], first: u64, source: Source) -> Self {
        Self { bytes, at: 0, position: first, source }
    }

    /// Where the next event begins, in bytes from the first.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Leaves out so many events, or as many as there are, without reading them.
    ///
    /// # Errors
    /// The bytes end in the midst of one.
    pub fn pass(&mut self, events: u64) -> Result<(), FrameError> {
        for _ in 0..events {
            if self.at == self.bytes.len() {
                break;
            }
            self.at = self.end_of_next()?;
            self.position += 1;
        }
        Ok(())
    }

    fn end_of_next(&self) -> Result<usize, FrameError> {
        let torn = FrameError::Torn { at: self.at, length: self.bytes.len() };
        let Some((head, _)) = self.bytes[self.at..].split_first_chunk() else {
            return Err(torn);
        };
        let length = u32::from_le_bytes(*head) as usize;
        match (self.at + LENGTH).checked_add(length) {
            Some(end) if end <= self.bytes.len() && length >= VERSION => Ok(end),
            _ => Err(torn),
        }
    }

    /// The times and topics of the events, without a look at the rest of each. It ends with the first error.
    pub(crate) fn headings(&mut self) -> impl Iterator<Item = Result<Heading<'a>, FrameError>> {
        iter::from_fn(|| {
            if self.at == self.bytes.len() {
                return None;
            }
            let heading = self.heading();
            if heading.is_err() {
                self.at = self.bytes.len();
            }
            Some(heading)
        })
    }

    #[inline]
    fn heading(&mut self) -> Result<Heading<'a>, FrameError> {
        let (at, end) = (self.at, self.end_of_next()?);
        // They come first in a body.
        let ((time, topic), _) = postcard::take_from_bytes(&self.bytes[at + HEAD..end])
            .map_err(|problem| FrameError::Malformed { at, problem })?;
        self.at = end;
        self.position += 1;
        Ok(Heading { at, time: Time::from_nanos(time), topic })
    }

    #[inline]
    fn read(&mut self) -> Result<Record<'a>, FrameError> {
        let (at, end) = (self.at, self.end_of_next()?);
        let frame = &self.bytes[at + LENGTH..end];
        let (version, body) = frame.split_first_chunk().expect("it has been measured");
        let (body, left) = postcard::take_from_bytes::<Body<'a>>(body)
            .map_err(|problem| FrameError::Malformed { at, problem })?;
        if !left.is_empty() {
            return Err(FrameError::Longer { at, left: left.len() });
        }
        let id = |bytes: Option<&[u8]>| match bytes {
            None => Ok(None),
            Some(bytes) => match Uuid::from_slice(bytes) {
                Ok(id) => Ok(Some(EventId::from(id))),
                Err(_) => Err(FrameError::Id { at, length: bytes.len() }),
            },
        };
        let version = u64::from_le_bytes(*version);
        let record = Record {
            position: self.position,
            id: id(body.id)?.unwrap_or_else(|| EventId::of(self.source, self.position)),
            time: Time::from_nanos(body.time),
            topic: body.topic,
            source: body.source,
            stream: body.stream.map(|name| StreamPlace { name, version }),
            correlation: id(body.correlation)?,
            causation: id(body.causation)?,
            schema: body.schema,
            payload: body.payload,
            notes: Notes(body.metadata),
        };
        self.at = end;
        self.position += 1;
        Ok(record)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Record<'a>, FrameError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.bytes.len() {
            return None;
        }
        let record = self.read();
        if record.is_err() {
            self.at = self.bytes.len();
        }
        Some(record)
    }
}

/// Notes from their bytes.
pub(crate) fn read_notes(bytes: &[u8]) -> Result<Metadata, postcard::Error> {
    if bytes.is_empty() { Ok(Metadata::default()) } else { postcard::from_bytes(bytes) }
}
