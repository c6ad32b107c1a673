//! Queries: the index of times, bucket by bucket.
//!
//! The index has its values by topic, then bucket, then block. For each topic that is asked for, the bucket is known
//! that comes next; the lowest of them is read for all topics that have it, what is not asked for is left out, and the
//! rest is sorted: once, and only if there is something in it. So no more is in memory than a bucket holds, and a limit
//! or a reader that breaks off ends it early.

use std::{cmp::Reverse, collections::BinaryHeap};

use redb::ReadOnlyTable;
use slipring_events::Time;

use super::{
    guard::{Doing, guarded},
    reader::{DOING, Entries, Records, Value, View},
    tables::{
        BUCKET_BITS, Bytes, Place, TIMES, TOPICS, TimeEntries, TimeEntry, bucket_of, read_topic,
    },
};
use crate::{Query, Reader, StoreError, Topics};

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
    fn order(&self) -> (u32, u64) {
        (self.low, self.position)
    }
}

struct Topic {
    name: Box<str>,
    number: u32,
}

type Key = (u32, u64, u64);

impl View {
    pub(super) fn query(&self, query: &Query, reader: Reader<'_>) -> Result<(), StoreError> {
        if query.from > query.to || query.limit == 0 {
            return Ok(());
        }
        let topics = self.topics_of(&query.topics)?;
        let mut buckets = Buckets::new(self, query, topics)?;
        let mut records = Records::new(self)?;
        let mut left = query.limit;
        while let Some(bucket) = buckets.next(left)? {
            for event in &buckets.found {
                let block = event.position.wrapping_sub(event.index.into());
                let record = records.get(block, event.index, event.at)?;
                let time = Time::from_nanos(bucket << BUCKET_BITS | u64::from(event.low));
                let topic = &buckets.topics[event.topic as usize];
                if record.time != time || record.topic != &*topic.name {
                    return Err(Place::Times(topic.number, bucket, block)
                        .damaged("another event stands where it points to"));
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

/// The buckets of several topics, one after the other.
struct Buckets {
    times: ReadOnlyTable<Key, Bytes>,
    topics: Vec<Topic>,
    /// For each topic that has one left, its next bucket.
    next: BinaryHeap<Reverse<(u64, u32)>>,
    from: (u64, u32),
    to: (u64, u32),
    /// What the last bucket had of what is asked for, in order.
    found: Vec<Candidate>,
}

impl Buckets {
    fn new(view: &View, query: &Query, topics: Vec<Topic>) -> Result<Self, StoreError> {
        let (from, to) = (bucket_of(query.from), bucket_of(query.to));
        let times = view.table(TIMES)?;
        let next = BinaryHeap::with_capacity(topics.len());
        let mut buckets = Self { times, topics, next, from, to, found: Vec::new() };
        for (at, topic) in (0..).zip(&buckets.topics) {
            let mut range = buckets.range(topic.number, from.0)?;
            if let Some(((number, bucket, block), _)) = next_of(&mut range)? {
                if number != topic.number || bucket < from.0 {
                    return Err(Place::Times(number, bucket, block)
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
        let Some(&Reverse((bucket, _))) = self.next.peek() else {
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
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if most < self.found.len() {
            self.found.select_nth_unstable_by_key(most, Candidate::order);
            self.found.truncate(most);
        }
        if !self.found.is_sorted_by_key(Candidate::order) {
            self.found.sort_unstable_by_key(Candidate::order);
        }
        Ok(Some(bucket))
    }

    /// Finds what a bucket has of one topic, and says which is its next.
    fn collect(&mut self, topic: u32, bucket: u64) -> Result<Option<u64>, StoreError> {
        let number = self.topics[topic as usize].number;
        let lows = if bucket == self.from.0 { self.from.1 } else { 0 }..=if bucket == self.to.0 {
            self.to.1
        } else {
            u32::MAX
        };
        let mut range = self.range(number, bucket)?;
        while let Some((key, value)) = next_of(&mut range)? {
            let place = Place::Times(key.0, key.1, key.2);
            // What is not in the range that was asked for would lead back, and round again.
            if key.0 != number || key.1 < bucket {
                return Err(place.damaged("it stands in another place than its own"));
            }
            if key.1 > bucket {
                return Ok(Some(key.1));
            }
            let value = guarded(|| Ok::<_, StoreError>(value.value()))?;
            let found = &mut self.found;
            let read = TimeEntries::read(place.open(value)?, |entry| {
                if lows.contains(&entry.low) {
                    let position = key.2.wrapping_add(entry.index.into());
                    let TimeEntry { index, at, low } = entry;
                    found.push(Candidate { low, index, position, at, topic });
                }
            });
            read.ok_or_else(|| place.damaged("it ends in the midst of an entry"))?;
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
