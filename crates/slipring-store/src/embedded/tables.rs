//! What is in the database, and the second guard: a sum over each value and the key that it stands under.
//!
//! ```text
//! table          key                              value, behind its sum
//! slipring-store "format"                         number of the form
//!                "state"                          State
//! blocks         position of the first event      how many, latest time, frames
//! topics         name                             number
//! times          topic, time >> 30, span          Row
//! spans          position of the first event      Span
//! streams        name                             number, how many events ever
//! stream-events  stream, version of the first     block; of each event a PlaceEntry
//! values         space, key                       value
//! ```
//!
//! Numbers in values have the lowest byte first.

use redb::TableDefinition;
use slipring_events::{Source, Time};

use crate::StoreError;

pub(super) type Bytes = &'static [u8];

pub(super) const META: TableDefinition<'_, &str, Bytes> = TableDefinition::new("slipring-store");
pub(super) const BLOCKS: TableDefinition<'_, u64, Bytes> = TableDefinition::new("blocks");
pub(super) const TOPICS: TableDefinition<'_, &str, Bytes> = TableDefinition::new("topics");
pub(super) const TIMES: TableDefinition<'_, (u32, u64, u64), Bytes> = TableDefinition::new("times");
pub(super) const SPANS: TableDefinition<'_, u64, Bytes> = TableDefinition::new("spans");
pub(super) const STREAMS: TableDefinition<'_, &str, Bytes> = TableDefinition::new("streams");
pub(super) const PLACES: TableDefinition<'_, (u64, u64), Bytes> =
    TableDefinition::new("stream-events");
pub(super) const VALUES: TableDefinition<'_, (&str, &[u8]), Bytes> = TableDefinition::new("values");

pub(super) const FORMAT: &str = "format";
pub(super) const STATE: &str = "state";
/// The form that this version writes, and the only one that it reads.
pub(super) const FORM: u32 = 2;

pub(super) const SUM: usize = size_of::<u32>();

/// How many bits of a time are within its bucket: one holds a little more than a second.
pub(super) const BUCKET_BITS: u32 = 30;

pub(super) fn bucket_of(time: Time) -> (u64, u32) {
    let nanos = time.as_nanos();
    (nanos >> BUCKET_BITS, (nanos & ((1 << BUCKET_BITS) - 1)) as u32)
}

/// Where a value stands: its table and its key go into its sum, so that it counts nowhere else.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    Meta(&'a str),
    Block(u64),
    Topic(&'a str),
    Times(u32, u64, u64),
    Span(u64),
    Stream(&'a str),
    Places(u64, u64),
    Value(&'a str, &'a [u8]),
    HighWater(u64),
}

impl Place<'_> {
    pub(super) fn sum(self, payload: &[u8]) -> u32 {
        let mut sum = crc32fast::Hasher::new();
        let mut numbers = |table: u8, numbers: &[u64]| {
            let mut bytes = [0; 1 + 3 * size_of::<u64>()];
            bytes[0] = table;
            for (place, number) in bytes[1..].chunks_exact_mut(8).zip(numbers) {
                place.copy_from_slice(&number.to_le_bytes());
            }
            sum.update(&bytes[..=8 * numbers.len()]);
        };
        match self {
            Self::Meta(key) => {
                numbers(0, &[key.len() as u64]);
                sum.update(key.as_bytes());
            }
            Self::Block(first) => numbers(1, &[first]),
            Self::Topic(name) => {
                numbers(2, &[name.len() as u64]);
                sum.update(name.as_bytes());
            }
            Self::Times(topic, bucket, span) => numbers(3, &[topic.into(), bucket, span]),
            Self::Span(first) => numbers(8, &[first]),
            Self::Stream(name) => {
                numbers(4, &[name.len() as u64]);
                sum.update(name.as_bytes());
            }
            Self::Places(stream, version) => numbers(5, &[stream, version]),
            Self::Value(space, key) => {
                numbers(6, &[space.len() as u64, key.len() as u64]);
                sum.update(space.as_bytes());
                sum.update(key);
            }
            Self::HighWater(slot) => numbers(7, &[slot]),
        }
        sum.update(payload);
        sum.finalize()
    }

    /// What is wrong here.
    #[cold]
    pub(super) fn damaged(self, problem: impl std::fmt::Display) -> StoreError {
        StoreError::damaged(self, problem)
    }

    /// What stands behind the sum, if it is that of the sum.
    #[inline]
    pub(super) fn open(self, value: &[u8]) -> Result<&[u8], StoreError> {
        let Some((sum, payload)) = value.split_first_chunk() else {
            return Err(self.damaged("it is shorter than its sum"));
        };
        if u32::from_le_bytes(*sum) != self.sum(payload) {
            return Err(self.damaged("its sum is not that of what stands there"));
        }
        Ok(payload)
    }

    /// Puts the sum of what stands behind its place there.
    pub(super) fn close(self, value: &mut [u8]) {
        let sum = self.sum(&value[SUM..]);
        value[..SUM].copy_from_slice(&sum.to_le_bytes());
    }
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Meta(key) => write!(f, "the `{key}` of the store"),
            Self::Block(first) => write!(f, "the block of event {first}"),
            Self::Topic(name) => write!(f, "the number of topic `{name}`"),
            Self::Times(topic, bucket, span) => write!(
                f,
                "the index of topic number {topic} in second {bucket} from event {span} on"
            ),
            Self::Span(first) => write!(f, "the list of the index of times from event {first} on"),
            Self::Stream(name) => write!(f, "the number of stream `{name}`"),
            Self::Places(stream, version) => {
                write!(f, "the index of stream number {stream} from version {version} on")
            }
            Self::Value(space, key) => write!(f, "value `{}` of `{space}`", key.escape_ascii()),
            Self::HighWater(slot) => write!(f, "slot {slot} of the high-water file"),
        }
    }
}

/// Reads numbers from the front of bytes.
pub(super) struct Numbers<'a>(pub(super) &'a [u8]);

impl Numbers<'_> {
    pub(super) fn u64(&mut self) -> Option<u64> {
        let (number, left) = self.0.split_first_chunk()?;
        self.0 = left;
        Some(u64::from_le_bytes(*number))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        let (number, left) = self.0.split_first_chunk()?;
        self.0 = left;
        Some(u32::from_le_bytes(*number))
    }
}

/// What the store is as a whole: it changes with every commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub source: Source,
    /// Counts the commits.
    pub commit: u64,
    pub first: u64,
    pub end: u64,
    /// Where what is in the index of times ends: at least `first`, at most `end`.
    pub indexed: u64,
    /// Of all frames.
    pub bytes: u64,
    /// How many entries each table has.
    pub blocks: u64,
    pub topics: u64,
    pub times: u64,
    pub spans: u64,
    pub streams: u64,
    pub places: u64,
    pub values: u64,
}

impl State {
    pub(super) const SIZE: usize = SUM + 13 * size_of::<u64>();

    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            commit: 0,
            first: 0,
            end: 0,
            indexed: 0,
            bytes: 0,
            blocks: 0,
            topics: 0,
            times: 0,
            spans: 0,
            streams: 0,
            places: 0,
            values: 0,
        }
    }

    pub(super) fn write(&self) -> [u8; Self::SIZE] {
        let mut value = [0; Self::SIZE];
        let numbers = [
            self.source.bits(),
            self.commit,
            self.first,
            self.end,
            self.indexed,
            self.bytes,
            self.blocks,
            self.topics,
            self.times,
            self.spans,
            self.streams,
            self.places,
            self.values,
        ];
        for (place, number) in value[SUM..].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        Place::Meta(STATE).close(&mut value);
        value
    }

    pub(super) fn read(value: &[u8]) -> Result<Self, StoreError> {
        let place = Place::Meta(STATE);
        let mut numbers = Numbers(place.open(value)?);
        let mut next =
            || numbers.u64().ok_or_else(|| place.damaged("it is shorter than it should be"));
        let state = Self {
            source: Source::from_bits(next()?),
            commit: next()?,
            first: next()?,
            end: next()?,
            indexed: next()?,
            bytes: next()?,
            blocks: next()?,
            topics: next()?,
            times: next()?,
            spans: next()?,
            streams: next()?,
            places: next()?,
            values: next()?,
        };
        if (state.first..=state.end).contains(&state.indexed) {
            return Ok(state);
        }
        Err(place.damaged("the index of times ends before the first event or behind the last"))
    }
}

/// Events that follow each other, as they stand in the database.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    pub first: u64,
    pub events: u64,
    pub latest: Time,
    pub frames: &'a [u8],
}

impl<'a> Block<'a> {
    /// What stands before the frames.
    pub(super) const HEAD: usize = SUM + size_of::<u32>() + size_of::<u64>();

    /// Writes it, but for the frames that the caller has put behind the head.
    pub(super) fn close(first: u64, events: u32, latest: Time, value: &mut [u8]) {
        value[SUM..SUM + 4].copy_from_slice(&events.to_le_bytes());
        value[SUM + 4..Self::HEAD].copy_from_slice(&latest.as_nanos().to_le_bytes());
        Place::Block(first).close(value);
    }

    #[inline]
    pub(super) fn read(first: u64, value: &'a [u8]) -> Result<Self, StoreError> {
        Place::Block(first).open(value)?;
        Self::trust(first, value)
    }

    /// It, where its sum has been looked at before.
    pub(super) fn trust(first: u64, value: &'a [u8]) -> Result<Self, StoreError> {
        let mut numbers = Numbers(value.get(SUM..).unwrap_or(&[]));
        match (numbers.u32(), numbers.u64()) {
            (Some(events), Some(latest))
                if events > 0 && first.checked_add(events.into()).is_some() =>
            {
                let latest = Time::from_nanos(latest);
                Ok(Self { first, events: events.into(), latest, frames: numbers.0 })
            }
            _ => Err(Place::Block(first).damaged("it has no event")),
        }
    }

    pub(super) fn end(&self) -> u64 {
        self.first + self.events
    }
}

/// An event of the index of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlaceEntry {
    pub index: u16,
    pub at: u32,
}

impl PlaceEntry {
    pub(super) const SIZE: usize = 6;

    #[inline]
    pub(super) fn write(self, value: &mut Vec<u8>) {
        let mut bytes = [0; Self::SIZE];
        bytes[..2].copy_from_slice(&self.index.to_le_bytes());
        bytes[2..].copy_from_slice(&self.at.to_le_bytes());
        value.extend_from_slice(&bytes);
    }

    /// The block and the entries of a payload.
    pub(super) fn read(payload: &[u8]) -> Option<(u64, impl ExactSizeIterator<Item = Self>)> {
        let mut numbers = Numbers(payload);
        let block = numbers.u64()?;
        let (entries, []) = numbers.0.as_chunks::<{ Self::SIZE }>() else {
            return None;
        };
        let entries = entries.iter().map(|&[a, b, c, d, e, f]| Self {
            index: u16::from_le_bytes([a, b]),
            at: u32::from_le_bytes([c, d, e, f]),
        });
        Some((block, entries))
    }
}

/// What is known of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamRow {
    pub number: u64,
    /// How many it has ever had.
    pub events: u64,
}

impl StreamRow {
    pub(super) fn write(self, name: &str) -> [u8; SUM + 16] {
        let mut value = [0; SUM + 16];
        value[SUM..SUM + 8].copy_from_slice(&self.number.to_le_bytes());
        value[SUM + 8..].copy_from_slice(&self.events.to_le_bytes());
        Place::Stream(name).close(&mut value);
        value
    }

    pub(super) fn read(name: &str, value: &[u8]) -> Result<Self, StoreError> {
        let place = Place::Stream(name);
        let mut numbers = Numbers(place.open(value)?);
        match (numbers.u64(), numbers.u64(), numbers.0) {
            (Some(number), Some(events), []) => Ok(Self { number, events }),
            _ => Err(place.damaged("it has another length")),
        }
    }
}

/// The value under which a topic has its number.
pub(super) fn write_topic(name: &str, number: u32) -> [u8; SUM + 4] {
    let mut value = [0; SUM + 4];
    value[SUM..].copy_from_slice(&number.to_le_bytes());
    Place::Topic(name).close(&mut value);
    value
}

pub(super) fn read_topic(name: &str, value: &[u8]) -> Result<u32, StoreError> {
    let place = Place::Topic(name);
    let mut numbers = Numbers(place.open(value)?);
    match (numbers.u32(), numbers.0) {
        (Some(number), []) => Ok(number),
        _ => Err(place.damaged("it has another length")),
    }
}

pub(super) fn write_form(form: u32) -> [u8; SUM + 4] {
    let mut value = [0; SUM + 4];
    value[SUM..].copy_from_slice(&form.to_le_bytes());
    Place::Meta(FORMAT).close(&mut value);
    value
}

/// The form that a store is in: those of later versions keep this value as it is.
pub(super) fn read_form(value: &[u8]) -> Result<u32, StoreError> {
    let place = Place::Meta(FORMAT);
    let mut numbers = Numbers(place.open(value)?);
    numbers.u32().ok_or_else(|| place.damaged("it has another length"))
}
