//! Queries: the index of times, bucket by bucket.
//!
//! The index has its rows by topic, then bucket, then span. For each topic that is asked for, the bucket is known that
//! comes next; the lowest of them is read for all topics that have it, what is not asked for is left out, and the rest
//! is sorted: once, and only if there is something in it. So no more is in memory than a bucket holds, and a limit or
//! a reader that breaks off ends it early.
//!
//! The events that are not in the index yet are looked at first, one by one, and each goes into its bucket.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    hash::BuildHasherDefault,
    ops::{ControlFlow, RangeInclusive},
};

use redb::ReadOnlyTable;
use slipring_events::Time;

use super::{
    guard::{Doing, guarded},
    reader::{DOING, Entries, Records, Value, View},
    sorting::Quick,
    tables::{BUCKET_BITS, Bytes, Place, TIMES, TOPICS, bucket_of, read_topic},
    times::{Key, Row, TimeEntry},
};
use crate::{Frames, Query, Reader, StoreError, Topics, frame::Heading};

/// An event that is asked for, in the order in which it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    low: u32,
    index: u16,
    position: u64,
    at: u32,
    /// Where its topic stands among those asked for.
    topic: u32,
}

impl Candidate {
    fn of(entry: TimeEntry, topic: u32) -> Self {
        let TimeEntry { index, at, low, .. } = entry;
        Self { low, index, position: entry.position(), at, topic }
    }

    fn order(&self) -> (u32, u64) {
        (self.low, self.position)
    }
}

struct Topic {
    name: Box<str>,
    number: u32,
}

impl View {
    pub(super) fn query(&self, query: &Query, reader: Reader<'_>) -> Result<(), StoreError> {
        if query.from > query.to || query.limit == 0 {
            return Ok(());
        }
        let topics = self.topics_of(&query.topics)?;
        let waiting = self.waiting(query, &topics)?;
        let mut buckets = Buckets::new(self, query, topics, waiting)?;
        let mut records = Records::new(self)?;
        let mut left = query.limit;
        while let Some(bucket) = buckets.next(left)? {
            for event in &buckets.found {
                let block = event.position.wrapping_sub(event.index.into());
                let record = records.get(block, event.index, event.at)?;
                let time = Time::from_nanos(bucket << BUCKET_BITS | u64::from(event.low));
                let topic = &buckets.topics[event.topic as usize];
                if record.time != time || record.topic != &*topic.name {
                    return Err(Place::Block(block)
                        .damaged("another event stands where the index of times points to"));
                }
                left -= 1;
                if reader(record).is_break() {
                    return Ok(());
                }
            }
            if left == 0 {
                break;
            }
        }
        Ok(())
    }

    /// What is asked for of the events that are not in the index of times yet, by bucket.
    fn waiting(&self, query: &Query, topics: &[Topic]) -> Result<Vec<Waiting>, StoreError> {
        let mut waiting = Vec::new();
        let names = topics.iter().zip(0..).map(|(topic, at)| (&*topic.name, at));
        let names: HashMap<&str, u32, BuildHasherDefault<Quick>> = names.collect();
        self.unindexed(|block, index, heading| {
            if !(query.from..=query.to).contains(&heading.time) {
                return Ok(());
            }
            if let Some(&topic) = names.get(heading.topic) {
                let (bucket, low) = bucket_of(heading.time);
                let entry = TimeEntry { block, index, at: heading.at as u32, low };
                waiting.push((bucket, Candidate::of(entry, topic)));
            } else if query.topics.admit(heading.topic) {
                return Err(Place::Topic(heading.topic).damaged("it is not there"));
            }
            Ok(())
        })?;
        waiting.sort_by_key(|(bucket, _)| *bucket);
        Ok(waiting)
    }

    /// Calls back with each event that is not in the index of times yet: its block, its number there, its heading.
    pub(super) fn unindexed(
        &self,
        mut each: impl FnMut(u64, u16, Heading<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.blocks(self.state.indexed, |block| {
            let mut frames = Frames::new(block.frames, block.first, self.source());
            let mut events = 0;
            for heading in frames.headings() {
                let heading = heading.map_err(|error| StoreError::frame(block.first, &error))?;
                each(block.first, events as u16, heading)?;
                events += 1;
            }
            if events == block.events {
                Ok(ControlFlow::Continue(()))
            } else {
                Err(Place::Block(block.first).damaged("it has another number of events"))
            }
        })
    }

    fn topics_of(&self, asked: &Topics) -> Result<Vec<Topic>, StoreError> {
        let table = self.table(TOPICS)?;
        let mut topics = Vec::new();
        if let Topics::One(name) = asked {
            let number = guarded(|| match table.get(name.as_str()).doing(DOING)? {
                Some(value) => read_topic(name, value.value()).map(Some),
                None => Ok(None),
            })?;
            topics.extend(number.map(|number| Topic { name: name.as_str().into(), number }));
            return Ok(topics);
        }
        self.each_topic(|name, number| {
            if asked.admit(name) {
                topics.push(Topic { name: name.into(), number });
            }
        })?;
        Ok(topics)
    }

    pub(super) fn each_topic(&self, mut each: impl FnMut(&str, u32)) -> Result<(), StoreError> {
        let table = self.table(TOPICS)?;
        let mut range = Entries::of(|| table.range::<&str>(..))?;
        let mut count = 0;
        while let Some((name, value)) = range.next()? {
            let (name, value) = guarded(|| Ok::<_, StoreError>((name.value(), value.value())))?;
            each(name, read_topic(name, value)?);
            count += 1;
        }
        if count == self.state.topics {
            return Ok(());
        }
        Err(StoreError::damaged(
            "the table of topics",
            format_args!("it has {count} in place of {}", self.state.topics),
        ))
    }
}

type Waiting = (u64, Candidate);

/// The buckets of several topics, one after the other.
struct Buckets {
    times: ReadOnlyTable<Key, Bytes>,
    topics: Vec<Topic>,
    /// For each topic that has one left, its next bucket.
    next: BinaryHeap<Reverse<(u64, u32)>>,
    /// What is not in the index, by bucket, and how much of it has been found.
    waiting: Vec<Waiting>,
    waited: usize,
    from: (u64, u32),
    to: (u64, u32),
    /// The first position that is still there: the index may have events before it.
    first: u64,
    /// What the last bucket had of what is asked for, in order.
    found: Vec<Candidate>,
}

impl Buckets {
    fn new(
        view: &View,
        query: &Query,
        topics: Vec<Topic>,
        waiting: Vec<Waiting>,
    ) -> Result<Self, StoreError> {
        let (from, to) = (bucket_of(query.from), bucket_of(query.to));
        let times = view.table(TIMES)?;
        let next = BinaryHeap::with_capacity(topics.len());
        let mut buckets = Self {
            times,
            topics,
            next,
            waiting,
            waited: 0,
            from,
            to,
            first: view.state.first,
            found: Vec::new(),
        };
        for (at, topic) in (0..).zip(&buckets.topics) {
            let mut range = buckets.range(topic.number, from.0)?;
            if let Some(((number, bucket, span), _)) = next_of(&mut range)? {
                if number != topic.number || bucket < from.0 {
                    return Err(Place::Times(number, bucket, span)
                        .damaged("it stands in another place than its own"));
                }
                buckets.next.push(Reverse((bucket, at)));
            }
        }
        Ok(buckets)
    }

    fn range(&self, topic: u32, from: u64) -> Result<Entries<Key>, StoreError> {
        let range = (topic, from, 0)..=(topic, self.to.0, u64::MAX);
        Entries::of(|| self.times.range(range))
    }

    /// Finds what the next bucket has, so many events at most, and says which it is.
    fn next(&mut self, most: u64) -> Result<Option<u64>, StoreError> {
        self.found.clear();
        let indexed = self.next.peek().map(|Reverse((bucket, _))| *bucket);
        let waiting = self.waiting.get(self.waited).map(|(bucket, _)| *bucket);
        let Some(bucket) = [indexed, waiting].into_iter().flatten().min() else {
            return Ok(None);
        };
        while let Some(&Reverse((next, topic))) = self.next.peek() {
            if next != bucket {
                break;
            }
            self.next.pop();
            if let Some(next) = self.collect(topic, bucket)? {
                self.next.push(Reverse((next, topic)));
            }
        }
        let waiting = self.waiting[self.waited..].iter().take_while(|(next, _)| *next == bucket);
        let before = self.found.len();
        self.found.extend(waiting.map(|(_, event)| *event));
        self.waited += self.found.len() - before;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if most < self.found.len() {
            self.found.select_nth_unstable_by_key(most, Candidate::order);
            self.found.truncate(most);
        }
        // A stable sort makes use of what is sorted already: the rows, mostly.
        self.found.sort_by_key(Candidate::order);
        Ok(Some(bucket))
    }

    /// The times within a bucket that are asked for.
    fn lows(&self, bucket: u64) -> RangeInclusive<u32> {
        let from = if bucket == self.from.0 { self.from.1 } else { 0 };
        let to = if bucket == self.to.0 { self.to.1 } else { u32::MAX };
        from..=to
    }

    /// Finds what a bucket has of one topic, and says which is its next.
    fn collect(&mut self, topic: u32, bucket: u64) -> Result<Option<u64>, StoreError> {
        let number = self.topics[topic as usize].number;
        let lows = self.lows(bucket);
        let mut range = self.range(number, bucket)?;
        while let Some((key, value)) = next_of(&mut range)? {
            // What is not in the range that was asked for would lead back, and round again.
            if key.0 != number || key.1 < bucket {
                return Err(Place::Times(key.0, key.1, key.2)
                    .damaged("it stands in another place than its own"));
            }
            if key.1 > bucket {
                return Ok(Some(key.1));
            }
            let row = Row::read(key, guarded(|| Ok::<_, StoreError>(value.value()))?)?;
            if !row.has(&lows) {
                continue;
            }
            let (found, first) = (&mut self.found, self.first);
            row.each(|entry| {
                if lows.contains(&entry.low) && entry.position() >= first {
                    found.push(Candidate::of(entry, topic));
                }
            })?;
        }
        Ok(None)
    }
}

fn next_of(range: &mut Entries<Key>) -> Result<Option<(Key, Value)>, StoreError> {
    let Some((key, value)) = range.next()? else {
        return Ok(None);
    };
    guarded(|| Ok(Some((key.value(), value))))
}
