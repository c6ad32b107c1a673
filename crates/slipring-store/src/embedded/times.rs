//! The index of times: how its rows and its spans are written and read.
//!
//! Blocks that follow each other make a span, and of a span the index has one row for each topic and bucket of time:
//! so the rows are fewer than the commits. What is behind the last span is not in the index yet; there is little of it,
//! and whoever asks looks at the events themselves.
//!
//! ```text
//! row      earliest, latest time within the bucket; of each event a TimeEntry
//! span     position behind its last event; topic and bucket of each row
//! ```

use std::ops::RangeInclusive;

use super::tables::{Numbers, Place, SUM};
use crate::StoreError;

/// An event of the index of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeEntry {
    /// The position of the first event of its block.
    pub block: u64,
    /// The how many-th event of its block.
    pub index: u16,
    /// Where its frame begins.
    pub at: u32,
    /// Its time within the bucket.
    pub low: u32,
}

impl TimeEntry {
    pub(super) fn position(&self) -> u64 {
        self.block.wrapping_add(self.index.into())
    }

    /// What the first entry of a row, or of a block, is told apart from.
    const fn before(block: u64, low: u32) -> Self {
        Self { block, index: u16::MAX, at: 0, low }
    }
}

/// Writes a row: its entries in the order of their positions, each as what it has more than the one before, which is
/// some four bytes.
#[derive(Debug)]
pub(super) struct RowWriter<'v> {
    value: &'v mut Vec<u8>,
    last: TimeEntry,
    lows: (u32, u32),
}

const ROW_HEAD: usize = 2 * size_of::<u32>();

impl<'v> RowWriter<'v> {
    /// Begins the row of a span, with room for its sum.
    pub(super) fn new(span: u64, value: &'v mut Vec<u8>) -> Self {
        value.clear();
        value.resize(SUM + ROW_HEAD, 0);
        Self { value, last: TimeEntry::before(span, 0), lows: (u32::MAX, 0) }
    }

    /// Writes one that stands behind the one before.
    #[inline]
    pub(super) fn push(&mut self, entry: TimeEntry) {
        let Self { value, last, lows } = self;
        *lows = (lows.0.min(entry.low), lows.1.max(entry.low));
        let blocks = entry.block - last.block;
        if blocks > 0 {
            *last = TimeEntry::before(entry.block, last.low);
        }
        let index = u64::from(entry.index.wrapping_sub(last.index) - 1);
        write_number(value, index << 1 | u64::from(blocks > 0));
        if blocks > 0 {
            write_number(value, blocks);
        }
        write_number(value, (entry.at - last.at).into());
        write_number(value, zigzag(i64::from(entry.low) - i64::from(last.low)));
        *last = entry;
    }

    /// Ends it.
    pub(super) fn close(self, place: Place<'_>) {
        let (low, high) = self.value[SUM..SUM + ROW_HEAD].split_at_mut(size_of::<u32>());
        low.copy_from_slice(&self.lows.0.to_le_bytes());
        high.copy_from_slice(&self.lows.1.to_le_bytes());
        place.close(self.value);
    }
}

/// A row whose sum has been looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    place: Place<'a>,
    span: u64,
    /// The earliest and the latest time of its entries, within the bucket.
    pub low: u32,
    pub high: u32,
    entries: &'a [u8],
}

impl<'a> Row<'a> {
    pub(super) fn read((topic, bucket, span): Key, value: &'a [u8]) -> Result<Self, StoreError> {
        let place = Place::Times(topic, bucket, span);
        let mut numbers = Numbers(place.open(value)?);
        match (numbers.u32(), numbers.u32()) {
            (Some(low), Some(high)) => Ok(Self { place, span, low, high, entries: numbers.0 }),
            _ => Err(place.damaged("it is shorter than it should be")),
        }
    }

    /// Whether some of its times may be among those.
    pub(super) fn has(&self, lows: &RangeInclusive<u32>) -> bool {
        self.low <= *lows.end() && *lows.start() <= self.high
    }

    /// Calls back with each of its entries.
    #[inline]
    pub(super) fn each(&self, each: impl FnMut(TimeEntry)) -> Result<(), StoreError> {
        let read = self.entries(each);
        read.ok_or_else(|| self.place.damaged("it ends in the midst of an entry"))
    }

    #[inline]
    fn entries(&self, mut each: impl FnMut(TimeEntry)) -> Option<()> {
        let mut bytes = self.entries;
        let mut last = TimeEntry::before(self.span, 0);
        while !bytes.is_empty() {
            let index = read_number(&mut bytes)?;
            if index & 1 == 1 {
                let block = last.block.checked_add(read_number(&mut bytes)?)?;
                last = TimeEntry::before(block, last.low);
            }
            let index = u16::try_from(index >> 1).ok()?.checked_add(1)?;
            let at = u32::try_from(read_number(&mut bytes)?).ok()?;
            let later = unzigzag(read_number(&mut bytes)?);
            last = TimeEntry {
                block: last.block,
                index: last.index.wrapping_add(index),
                at: last.at.checked_add(at)?,
                low: u32::try_from(i64::from(last.low).checked_add(later)?).ok()?,
            };
            each(last);
        }
        Some(())
    }
}

/// Topic, bucket, span.
pub(super) type Key = (u32, u64, u64);

/// Writes a span: which rows it has, by topic and bucket.
#[derive(Debug)]
pub(super) struct SpanWriter<'v> {
    value: &'v mut Vec<u8>,
    last: (u32, u64),
}

impl<'v> SpanWriter<'v> {
    pub(super) fn new(end: u64, value: &'v mut Vec<u8>) -> Self {
        value.clear();
        value.resize(SUM, 0);
        value.extend_from_slice(&end.to_le_bytes());
        Self { value, last: (0, 0) }
    }

    /// Writes a row that stands behind the one before.
    pub(super) fn push(&mut self, topic: u32, bucket: u64) {
        write_number(self.value, (topic - self.last.0).into());
        write_number(self.value, zigzag(bucket.wrapping_sub(self.last.1).cast_signed()));
        self.last = (topic, bucket);
    }

    pub(super) fn close(self, first: u64) {
        Place::Span(first).close(self.value);
    }
}

/// Reads a span, calls back with topic and bucket of each of its rows, and says where it ends.
pub(super) fn read_span(
    first: u64,
    value: &[u8],
    mut each: impl FnMut(u32, u64) -> Result<(), StoreError>,
) -> Result<u64, StoreError> {
    let place = Place::Span(first);
    let mut numbers = Numbers(place.open(value)?);
    let damaged = || place.damaged("it ends in the midst of a row");
    let end = numbers.u64().ok_or_else(damaged)?;
    if end <= first {
        return Err(place.damaged(format_args!("it ends at {end}")));
    }
    let mut bytes = numbers.0;
    let mut last = (0_u32, 0_u64);
    while !bytes.is_empty() {
        let topic = read_number(&mut bytes).and_then(|topic| u32::try_from(topic).ok());
        let topic = topic.and_then(|topic| last.0.checked_add(topic)).ok_or_else(damaged)?;
        let later = read_number(&mut bytes).ok_or_else(damaged)?;
        last = (topic, last.1.wrapping_add(unzigzag(later).cast_unsigned()));
        each(last.0, last.1)?;
    }
    Ok(end)
}

/// Small numbers of both signs as small ones without.
#[inline]
fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

#[inline]
fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Seven bits in a byte, the lowest first.
#[inline]
fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[inline]
fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in (0..u64::BITS).step_by(7) {
        let (byte, left) = bytes.split_first()?;
        *bytes = left;
        number |= u64::from(byte & 0x7f) << place;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries() -> impl Strategy<Value = (u64, Vec<TimeEntry>)> {
        let low = prop_oneof![Just(0), Just((1 << 30) - 1), 0..1_u32 << 30];
        let entry = (prop_oneof![Just(0_u64), Just(1), 0..5_000_u64], 0..4_u16, 0..9_999_u32, low);
        (0..1_u64 << 60, prop::collection::vec(entry, 1..60)).prop_map(|(span, steps)| {
            let mut last = TimeEntry::before(span, 0);
            let entries = steps.into_iter().map(|(blocks, index, at, low)| {
                if blocks > 0 {
                    last = TimeEntry::before(last.block + blocks, low);
                }
                let index = last.index.wrapping_add(index + 1);
                last = TimeEntry { block: last.block, index, at: last.at + at, low };
                last
            });
            (span, entries.collect())
        })
    }

    proptest! {
        #[test]
        fn a_row_is_read_as_it_was_written((span, entries) in entries()) {
            let key = (7, 3, span);
            let mut value = Vec::new();
            let mut row = RowWriter::new(span, &mut value);
            for entry in &entries {
                row.push(*entry);
            }
            row.close(Place::Times(7, 3, span));
            let row = Row::read(key, &value).unwrap();
            let mut read = Vec::new();
            row.each(|entry| read.push(entry)).unwrap();
            let lows = || entries.iter().map(|entry| entry.low);
            prop_assert_eq!((row.low, row.high), (lows().min().unwrap(), lows().max().unwrap()));
            prop_assert_eq!(read, entries);
            prop_assert!(Row::read((7, 4, span), &value).is_err());
        }

        #[test]
        fn any_entries_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut value = vec![0; SUM];
            value.extend_from_slice(&bytes);
            Place::Times(1, 2, 3).close(&mut value);
            let row = Row::read((1, 2, 3), &value);
            prop_assert_eq!(row.is_ok(), bytes.len() >= ROW_HEAD);
            let mut read = 0;
            if row.and_then(|row| row.each(|_| read += 1)).is_ok() {
                prop_assert!(read * 3 <= bytes.len());
            }
            Place::Span(3).close(&mut value);
            let mut read = 0;
            let span = read_span(3, &value, |_, _| {
                read += 1;
                Ok(())
            });
            prop_assert!(read * 2 <= bytes.len());
            prop_assert!(span.map_or(true, |end| end > 3));
        }

        #[test]
        fn a_span_is_read_as_it_was_written(
            first: u32,
            events in 1..u64::from(u32::MAX),
            mut rows in prop::collection::vec((any::<u32>(), 0..1_u64 << 34), 0..40),
        ) {
            rows.sort_unstable();
            let (first, end) = (u64::from(first), u64::from(first) + events);
            let mut value = Vec::new();
            let mut span = SpanWriter::new(end, &mut value);
            for (topic, bucket) in &rows {
                span.push(*topic, *bucket);
            }
            span.close(first);
            let mut read = Vec::new();
            let ends = read_span(first, &value, |topic, bucket| {
                read.push((topic, bucket));
                Ok(())
            });
            prop_assert_eq!((ends.unwrap(), read), (end, rows));
        }
    }
}
