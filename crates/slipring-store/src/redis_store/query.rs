//! Events by topic and time.
//!
//! Each segment has an index: a sorted set whose members all have the score 0, so that the server keeps them in the
//! order of their bytes. A score is a double, and could not tell times apart that are a few hundred nanoseconds apart.
//!
//! ```text
//! 1 byte              length bytes   8 bytes               8 bytes
//! length of the topic topic          time, highest first   position, highest first
//! ```
//!
//! A query merges what the segments have of each topic. Of the segments only those are asked in which such times are,
//! and each only when the merge has come to its first time.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    ops::Range,
    rc::Rc,
};

use redis::{Cmd, Pipeline, Value};
use slipring_events::Time;

use super::{RedisStore, link::Question, read::Gone, reply};
use crate::{Query, Reader, StoreError, Topics};

const DOING: &str = "asking for events";

/// How many events are looked up at once.
const GROUP: u64 = 256;
/// How many ranges are asked for at once.
const RANGES: usize = 256;

/// What is known of a segment.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub first: u64,
    pub events: u64,
    pub bytes: u64,
    pub earliest: Time,
    pub latest: Time,
}

/// Some of the segments, and the store at that moment.
#[derive(Debug)]
pub(super) struct Books {
    pub begin: u64,
    pub end: u64,
    pub bytes: u64,
    pub segments: Vec<Segment>,
}

impl Segment {
    fn of(doing: &'static str, value: Value) -> Result<Self, StoreError> {
        let [first, events, bytes, earliest, latest] = reply::exactly(doing, value)?;
        let time = |value: Value| match <[u8; 8]>::try_from(reply::bytes(doing, value)?) {
            Ok(bytes) => Ok(Time::from_nanos(u64::from_be_bytes(bytes))),
            Err(_) => Err(reply::odd(doing, "no time where one should be")),
        };
        Ok(Self {
            first: reply::number(doing, &first)?,
            events: reply::number(doing, &events)?,
            bytes: reply::number(doing, &bytes)?,
            earliest: time(earliest)?,
            latest: time(latest)?,
        })
    }
}

/// What one segment has of one topic.
#[derive(Debug)]
struct Cursor {
    key: String,
    prefix: Vec<u8>,
    /// Where the next page begins: a member, as the server takes it.
    from: Vec<u8>,
    /// Where the last one ends.
    to: Vec<u8>,
    page: VecDeque<(u64, u64)>,
    is_over: bool,
}

impl Cursor {
    fn new(key: String, topic: &str, query: &Query) -> Self {
        let mut prefix = vec![topic.len() as u8];
        prefix.extend_from_slice(topic.as_bytes());
        let bound = |time: Time, position: &[u8]| {
            let mut bound = vec![b'['];
            bound.extend_from_slice(&prefix);
            bound.extend_from_slice(&time.as_nanos().to_be_bytes());
            bound.extend_from_slice(position);
            bound
        };
        let (from, to) = (bound(query.from, &[]), bound(query.to, &[0xff; 8]));
        Self { key, prefix, from, to, page: VecDeque::new(), is_over: false }
    }

    fn command(&self, count: u64) -> Cmd {
        let mut command = redis::cmd("ZRANGEBYLEX");
        command.arg(&self.key).arg(&self.from).arg(&self.to).arg("LIMIT").arg(0).arg(count);
        command
    }

    fn take(&mut self, count: u64, answer: Value) -> Result<(), StoreError> {
        let members = reply::array(DOING, answer)?;
        self.is_over = (members.len() as u64) < count;
        for member in members {
            let member = reply::bytes(DOING, member)?;
            let place = member.strip_prefix(&self.prefix[..]).and_then(|place| {
                let (time, position) = place.split_first_chunk()?;
                let position = position.try_into().ok()?;
                Some((u64::from_be_bytes(*time), u64::from_be_bytes(position)))
            });
            let Some(place) = place else {
                return Err(StoreError::damaged(
                    &self.key,
                    "it has members that are none of an index",
                ));
            };
            self.page.push_back(place);
            self.from.clear();
            self.from.push(b'(');
            self.from.extend_from_slice(&member);
        }
        Ok(())
    }
}

/// All that segments have, in order.
struct Merge<'a> {
    store: &'a RedisStore,
    query: &'a Query,
    topics: Rc<[String]>,
    /// Where the store ended when it was asked. What came later is left out, so that no part of a batch is seen.
    end: u64,
    /// Those that have not been asked, the one with the last times first.
    segments: Vec<Segment>,
    /// Those that are not at their end.
    cursors: HashMap<usize, Cursor>,
    /// How many cursors there have been.
    count: usize,
    heads: BinaryHeap<Reverse<(u64, u64, usize)>>,
    page: u64,
}

impl Merge<'_> {
    fn next(&mut self) -> Result<Option<u64>, StoreError> {
        loop {
            while let Some(segment) = self.segments.pop_if(|segment| {
                let head = self.heads.peek();
                head.is_none_or(|Reverse((time, ..))| segment.earliest.as_nanos() <= *time)
            }) {
                self.open(&segment)?;
            }
            let Some(Reverse((_, position, cursor))) = self.heads.pop() else {
                return Ok(None);
            };
            if self.cursors.get(&cursor).is_some_and(|cursor| cursor.page.is_empty()) {
                self.fill(cursor..cursor + 1, None)?;
            }
            self.advance(cursor);
            if position < self.end {
                return Ok(Some(position));
            }
        }
    }

    /// Asks a segment for each topic, and first whether its index has all of its events.
    fn open(&mut self, segment: &Segment) -> Result<(), StoreError> {
        let key = format!("{}index:{}", self.store.link.prefix(), segment.first);
        let topics = self.topics.clone();
        let mut counted = Some(&*key);
        for topics in topics.chunks(RANGES) {
            let begin = self.count;
            for topic in topics {
                self.cursors.insert(self.count, Cursor::new(key.clone(), topic, self.query));
                self.count += 1;
            }
            let cursors = begin..self.count;
            let count = self.fill(cursors.clone(), counted.take())?;
            if count.is_some_and(|count| count < segment.events) {
                self.miss(segment)?;
            }
            cursors.for_each(|cursor| self.advance(cursor));
        }
        Ok(())
    }

    /// An index has fewer events than its segment: that is damage, unless the segment has been removed meanwhile.
    fn miss(&self, segment: &Segment) -> Result<(), StoreError> {
        let books = self.store.some_segments(DOING, segment.first)?;
        if books.segments.first().is_none_or(|there| there.first != segment.first) {
            return Ok(());
        }
        Err(StoreError::damaged(
            format_args!("the index of the segment of event {}", segment.first),
            "events are missing in it: does the server evict keys?",
        ))
    }

    /// Fetches the next page of cursors that are there; and how many members a key has, if that is asked for.
    fn fill(
        &mut self,
        cursors: Range<usize>,
        counted: Option<&str>,
    ) -> Result<Option<u64>, StoreError> {
        let mut pipeline = Pipeline::with_capacity(cursors.len() + 1);
        for cursor in cursors.clone() {
            pipeline.add_command(self.cursors[&cursor].command(self.page));
        }
        if let Some(key) = counted {
            pipeline.cmd("ZCARD").arg(key);
        }
        let answers = self.store.link.ask(DOING, &Question::Commands(&pipeline))?;
        let mut answers = reply::array(DOING, answers)?;
        let count = counted.map(|_| reply::number(DOING, &answers.pop().unwrap_or_default()));
        if answers.len() != cursors.len() {
            return Err(reply::odd(DOING, "another length than it should have"));
        }
        for (number, answer) in cursors.zip(answers) {
            if let Some(cursor) = self.cursors.get_mut(&number) {
                cursor.take(self.page, answer)?;
            }
        }
        count.transpose()
    }

    /// Has the next of a cursor wait for its turn.
    fn advance(&mut self, number: usize) {
        let Some(cursor) = self.cursors.get_mut(&number) else { return };
        if let Some((time, position)) = cursor.page.pop_front() {
            self.heads.push(Reverse((time, position, number)));
        }
        if cursor.page.is_empty() && cursor.is_over {
            self.cursors.remove(&number);
        }
    }
}

impl RedisStore {
    pub(super) fn find(&self, query: &Query, reader: Reader<'_>) -> Result<(), StoreError> {
        if query.from > query.to || query.limit == 0 {
            return Ok(());
        }
        let topics = match &query.topics {
            // No topic of more bytes is in the index: its length would not go in.
            Topics::One(topic) if topic.len() > 255 => return Ok(()),
            Topics::One(topic) => vec![topic.clone()],
            topics => {
                let mut all = self.all_topics()?;
                all.retain(|topic| topics.admit(topic));
                all
            }
        };
        let mut segments = Vec::new();
        let end = self.each_segment(DOING, 0, &mut |segment| {
            if segment.earliest <= query.to && segment.latest >= query.from {
                segments.push(segment);
            }
        })?;
        segments.sort_unstable_by_key(|segment| Reverse((segment.earliest, segment.first)));
        let most = if topics.len() > 16 { 32 } else { GROUP };
        let mut merge = Merge {
            store: self,
            query,
            topics: topics.into(),
            end,
            segments,
            cursors: HashMap::new(),
            count: 0,
            heads: BinaryHeap::new(),
            page: query.limit.min(most),
        };
        let mut left = query.limit;
        let mut group = Vec::new();
        while left > 0 {
            group.clear();
            while (group.len() as u64) < left.min(GROUP) {
                match merge.next()? {
                    Some(position) => group.push(position),
                    None => break,
                }
            }
            if group.is_empty() {
                break;
            }
            let (answer, count) =
                self.read_each(DOING, &group, Gone::AreSkipped, &mut |record| {
                    if !query.admits(record.topic, record.time) {
                        return Err(StoreError::damaged(
                            "the index of topics and times",
                            format_args!("event {} is not what it says", record.position),
                        ));
                    }
                    Ok(reader(record))
                })?;
            if answer.is_break() {
                break;
            }
            left -= count;
        }
        Ok(())
    }

    /// Every segment from the one on that begins there. Returns where the store ended when it was asked.
    fn each_segment(
        &self,
        doing: &'static str,
        from: u64,
        each: &mut dyn FnMut(Segment),
    ) -> Result<u64, StoreError> {
        let mut next = from;
        let mut end = None;
        loop {
            let page = self.some_segments(doing, next)?;
            let end = *end.get_or_insert(page.end);
            let Some(last) = page.segments.last() else {
                return Ok(end);
            };
            next = last.first + 1;
            page.segments.into_iter().for_each(&mut *each);
        }
    }

    /// The next segments from the one on that begins there; none if there are no more.
    pub(super) fn some_segments(
        &self,
        doing: &'static str,
        from: u64,
    ) -> Result<Books, StoreError> {
        let answer = self.ask(doing, &self.scripts.segments, &[&from.to_string()])?;
        let [begin, end, bytes, segments] = reply::exactly(doing, answer)?;
        let segments = reply::array(doing, segments)?;
        Ok(Books {
            begin: reply::number(doing, &begin)?,
            end: reply::number(doing, &end)?,
            bytes: reply::number(doing, &bytes)?,
            segments: segments
                .into_iter()
                .map(|segment| Segment::of(doing, segment))
                .collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn all_topics(&self) -> Result<Vec<String>, StoreError> {
        const DOING: &str = "reading topics";
        let mut topics: Vec<String> = Vec::new();
        loop {
            let from = topics.last().map_or("-".to_owned(), |topic| format!("({topic}"));
            let answer = self.ask(DOING, &self.scripts.topics, &[&from])?;
            let page = reply::array(DOING, answer)?;
            if page.is_empty() {
                return Ok(topics);
            }
            for topic in page {
                topics.push(reply::text(DOING, topic)?);
            }
        }
    }
}
