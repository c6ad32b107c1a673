//! Everything compared with everything.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use redb::ReadOnlyTable;
use slipring_events::Time;

use super::{
    guard::guarded,
    reader::{Entries, Value, View},
    tables::{
        BLOCKS, BUCKET_BITS, Block, Bytes, PLACES, Place, PlaceEntry, SPANS, STREAMS, StreamRow,
        TIMES, TOPICS, VALUES, bucket_of, read_topic,
    },
    times::{Key, Row, read_span},
};
use crate::{Frames, StoreError};

/// What [`Embedded::verify`](super::Embedded::verify) has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many events were read.
    pub events: u64,
    /// In how many blocks.
    pub blocks: u64,
    /// How many entries of indexes were compared with them.
    pub entries: u64,
    /// How many values were read.
    pub values: u64,
    /// Whether the pages of the file were compared with their checksums as well: not while somebody reads.
    pub pages: bool,
    /// Each thing that is not as it should be, the first hundred of them.
    pub damage: Vec<String>,
    /// How many more there are.
    pub more: u64,
}

/// How many are listed.
const LISTED: usize = 100;

impl Report {
    /// Whether all is as it should be.
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }

    pub(super) fn add(&mut self, problem: impl fmt::Display) {
        if self.damage.len() < LISTED {
            self.damage.push(problem.to_string());
        } else {
            self.more += 1;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, blocks, entries, values, pages, damage, more } = self;
        write!(f, "{events} events in {blocks} blocks, {entries} index entries, {values} values")?;
        if !pages {
            f.write_str(", pages not compared as somebody was reading")?;
        }
        if damage.is_empty() {
            return f.write_str(": sound");
        }
        for problem in damage {
            write!(f, "\n{problem}")?;
        }
        if *more > 0 {
            write!(f, "\nand {more} more")?;
        }
        Ok(())
    }
}

/// What an index says of an event, to be compared with the event.
type Said = HashMap<u64, (u32, Time, u32)>;

/// Looks at all tables of a view. What cannot be read any further is left; the rest is looked at all the same.
pub(super) fn verify(view: &View, report: &mut Report) {
    let mut walk = Walk { view, report };
    let topics = walk.topics();
    let streams = walk.streams();
    let spans = walk.spans();
    let times = walk.times(spans);
    let places = walk.places(&streams);
    walk.blocks(&topics, &times, &streams, &places);
    walk.values();
}

struct Walk<'a> {
    view: &'a View,
    report: &'a mut Report,
}

/// The number of a stream and the version of an event, and where in its block it is said to begin.
type Versions = HashMap<u64, (u64, u64, u32)>;

impl Walk<'_> {
    /// Calls back with each entry of a table, and counts them.
    fn each<K: redb::Key + 'static>(
        &mut self,
        definition: redb::TableDefinition<'_, K, Bytes>,
        expected: u64,
        mut entry: impl FnMut(K::SelfType<'_>, &[u8], &mut Report) -> Result<(), StoreError>,
    ) {
        let name = redb::TableHandle::name(&definition).to_owned();
        let mut count = 0;
        let mut run = || {
            let table: ReadOnlyTable<K, Bytes> = self.view.table(definition)?;
            let mut range = Entries::of(|| table.range::<K::SelfType<'static>>(..))?;
            while let Some((key, value)) = range.next()? {
                count += 1;
                let found = guarded(|| {
                    let value: &Value = &value;
                    entry(key.value(), value.value(), self.report)
                });
                if let Err(error) = found {
                    self.report.add(error);
                }
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = run() {
            self.report.add(format_args!("table {name}: {error}"));
        }
        if count != expected {
            self.report
                .add(format_args!("table {name} has {count} entries in place of {expected}"));
        }
    }

    fn topics(&mut self) -> BTreeMap<String, u32> {
        let mut topics = BTreeMap::new();
        let mut numbers = std::collections::HashSet::new();
        self.each(TOPICS, self.view.state.topics, |name, value, report| {
            let number = read_topic(name, value)?;
            if !numbers.insert(number) {
                report.add(format_args!("topic `{name}` has the number of another"));
            }
            topics.insert(name.to_owned(), number);
            Ok(())
        });
        topics
    }

    fn streams(&mut self) -> BTreeMap<String, StreamRow> {
        let mut streams = BTreeMap::new();
        self.each(STREAMS, self.view.state.streams, |name, value, _| {
            streams.insert(name.to_owned(), StreamRow::read(name, value)?);
            Ok(())
        });
        streams
    }

    /// The rows that the index of times should have, and where the span of each ends.
    fn spans(&mut self) -> HashMap<Key, u64> {
        let state = self.view.state;
        let mut rows = HashMap::new();
        let mut next = None;
        self.each(SPANS, state.spans, |first, value, report| {
            let end = read_span(first, value, |_, _| Ok(()))?;
            read_span(first, value, |topic, bucket| {
                if rows.insert((topic, bucket, first), end).is_some() {
                    let place = Place::Times(topic, bucket, first);
                    report.add(place.damaged("it is listed twice"));
                }
                Ok(())
            })?;
            let follows = match next {
                Some(next) => next == first,
                None => first <= state.first && state.first < end,
            };
            if !follows {
                report.add(Place::Span(first).damaged("it does not begin where it should"));
            }
            next = Some(end);
            Ok(())
        });
        let end = next.unwrap_or(state.first);
        if end != state.indexed {
            self.report.add(format_args!(
                "the index of times ends at event {end} in place of {}",
                state.indexed
            ));
        }
        rows
    }

    fn times(&mut self, mut spans: HashMap<Key, u64>) -> Said {
        let mut said = HashMap::new();
        let first = self.view.state.first;
        self.each(TIMES, self.view.state.times, |key, value, report| {
            let (topic, bucket, span) = key;
            let place = Place::Times(topic, bucket, span);
            let end = spans.remove(&key);
            let end = end.ok_or_else(|| place.damaged("it is in no list of such"))?;
            let row = Row::read(key, value)?;
            let mut lows = (u32::MAX, 0);
            row.each(|entry| {
                lows = (lows.0.min(entry.low), lows.1.max(entry.low));
                let position = entry.position();
                if position >= end {
                    report.add(place.damaged(format_args!("event {position} is behind its end")));
                }
                // What is no longer there cannot be compared.
                if position < first {
                    return;
                }
                let time = Time::from_nanos(bucket << BUCKET_BITS | u64::from(entry.low));
                report.entries += 1;
                if said.insert(position, (topic, time, entry.at)).is_some() {
                    report.add(place.damaged(format_args!("event {position} is there twice")));
                }
            })?;
            if (row.low, row.high) != lows {
                report.add(place.damaged("its earliest or its latest time is another"));
            }
            Ok(())
        });
        for (topic, bucket, span) in spans.into_keys() {
            self.report.add(Place::Times(topic, bucket, span).damaged("it is not there"));
        }
        said
    }

    fn places(&mut self, streams: &BTreeMap<String, StreamRow>) -> Versions {
        let events: HashMap<u64, u64> =
            streams.values().map(|row| (row.number, row.events)).collect();
        let mut versions = HashMap::new();
        let mut last: Option<(u64, u64)> = None;
        let ends = |last: Option<(u64, u64)>, report: &mut Report| {
            if let Some((stream, end)) = last
                && events.get(&stream) != Some(&end)
            {
                report.add(format_args!("the index of stream number {stream} ends at {end}"));
            }
        };
        self.each(PLACES, self.view.state.places, |(stream, version), value, report| {
            let place = Place::Places(stream, version);
            match last {
                Some((before, next)) if before == stream => {
                    if next != version {
                        report
                            .add(place.damaged(format_args!("version {next} should stand there")));
                    }
                }
                last => ends(last, report),
            }
            let entries = PlaceEntry::read(place.open(value)?);
            let (block, entries) = entries.ok_or_else(|| place.damaged("it has another length"))?;
            last = Some((stream, version + entries.len() as u64));
            for (version, entry) in (version..).zip(entries) {
                let position = block.wrapping_add(entry.index.into());
                report.entries += 1;
                if versions.insert(position, (stream, version, entry.at)).is_some() {
                    report.add(place.damaged(format_args!("event {position} is there twice")));
                }
            }
            Ok(())
        });
        ends(last, self.report);
        versions
    }

    fn blocks(
        &mut self,
        topics: &BTreeMap<String, u32>,
        times: &Said,
        streams: &BTreeMap<String, StreamRow>,
        versions: &Versions,
    ) {
        let state = self.view.state;
        let (mut next, mut bytes, mut in_streams) = (state.first, 0, 0);
        let (mut blocks, mut events) = (0, 0);
        self.each(BLOCKS, state.blocks, |first, value, report| {
            let block = Block::read(first, value)?;
            if first != next {
                report.add(format_args!("event {next} should begin a block, and {first} does"));
            }
            next = block.end();
            bytes += block.frames.len() as u64;
            blocks += 1;
            let mut latest = Time::EPOCH;
            let mut frames = Frames::new(block.frames, first, state.source);
            loop {
                let at = frames.offset();
                let Some(record) = frames.next() else { break };
                let record = record.map_err(|error| StoreError::frame(first, &error))?;
                events += 1;
                latest = latest.max(record.time);
                let topic = topics.get(record.topic).copied();
                let said = times.get(&record.position);
                let place = topic.map(|topic| (topic, record.time, at as u32));
                let place = place.filter(|_| record.position < state.indexed);
                if topic.is_none() || said.copied() != place {
                    report.add(format_args!(
                        "event {} of `{}` is not in the index of times as it should be",
                        record.position, record.topic
                    ));
                }
                let said = versions.get(&record.position);
                let place = record.stream.map(|place| {
                    in_streams += 1;
                    (streams.get(place.name).map(|row| row.number), place.version, at as u32)
                });
                if said.map(|(stream, version, at)| (Some(*stream), *version, *at)) != place {
                    report.add(format_args!(
                        "event {} is not in the index of streams as it should be",
                        record.position
                    ));
                }
            }
            let (_, low) = bucket_of(latest);
            debug_assert!(low < 1 << BUCKET_BITS);
            if latest != block.latest {
                report.add(Place::Block(first).damaged("its latest time is another"));
            }
            Ok(())
        });
        self.report.blocks = blocks;
        self.report.events = events;
        let mut differs = |what: &str, found: u64, expected: u64| {
            if found != expected {
                self.report.add(format_args!("{what}: {found} in place of {expected}"));
            }
        };
        differs("the end of the blocks", next, state.end);
        differs("the bytes of all blocks", bytes, state.bytes);
        let indexed = state.indexed - state.first;
        differs("events in the index of times", times.len() as u64, indexed);
        differs("events in the index of streams", versions.len() as u64, in_streams);
    }

    fn values(&mut self) {
        let mut values = 0;
        self.each(VALUES, self.view.state.values, |(space, key), value, _| {
            Place::Value(space, key).open(value)?;
            values += 1;
            Ok(())
        });
        self.report.values = values;
    }
}
