//! Events out of the log.

use std::ops::ControlFlow;

use redis::Value;

use super::{RedisStore, reply};
use crate::{Frames, Reader, Record, StoreError, frame};

/// An entry of the log: consecutive events of one commit.
#[derive(Debug)]
pub(super) struct Chunk {
    first: u64,
    events: u64,
    frames: Vec<u8>,
}

/// What the server answers to a question for entries.
pub(super) struct Page {
    pub begin: u64,
    pub end: u64,
    pub chunks: Vec<Chunk>,
}

/// What becomes of events that have been removed meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    AreSkipped,
    AreAnError,
}

impl Page {
    pub(super) fn of(doing: &'static str, answer: Value) -> Result<Self, StoreError> {
        let [begin, end, entries] = reply::exactly(doing, answer)?;
        let entries = reply::array(doing, entries)?;
        Ok(Self {
            begin: reply::number(doing, &begin)?,
            end: reply::number(doing, &end)?,
            chunks: entries
                .into_iter()
                .map(|entry| Chunk::of(doing, entry))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The chunk in which an event is, if it has been read.
    fn holding(&self, position: u64) -> Option<&Chunk> {
        self.chunks.iter().find(|chunk| (chunk.first..chunk.end()).contains(&position))
    }
}

impl Chunk {
    fn of(doing: &'static str, entry: Value) -> Result<Self, StoreError> {
        let [id, fields] = reply::exactly(doing, entry)?;
        let id = reply::text(doing, id)?;
        let damaged =
            |problem: &str| StoreError::damaged(format_args!("entry {id} of the log"), problem);
        let first = id.strip_suffix("-0").and_then(|number| number.parse::<u64>().ok());
        let first = first.and_then(|number| number.checked_sub(1));
        let Some(first) = first else {
            return Err(damaged("it is not numbered as the entries of a store are"));
        };
        let fields = reply::array(doing, fields)?;
        let Ok([n, count, c, sum, b, frames, v, numbers]) = <[Value; 8]>::try_from(fields) else {
            return Err(damaged("it has not the fields that the entries of a store have"));
        };
        for (name, expected) in [(n, "n"), (c, "c"), (b, "b"), (v, "v")] {
            if reply::bytes(doing, name)? != expected.as_bytes() {
                return Err(damaged("it has not the fields that the entries of a store have"));
            }
        }
        let events = reply::number(doing, &count)?;
        let mut frames = reply::bytes(doing, frames)?;
        if u64::from(crc32fast::hash(&frames)) != reply::number(doing, &sum)? {
            return Err(damaged("the events have not the checksum that they had"));
        }
        if first.checked_add(events).is_none() {
            return Err(damaged("it has more events than there can be"));
        }
        for number in reply::bytes(doing, numbers)?.chunks(12) {
            let (place, version) = number
                .split_first_chunk()
                .and_then(|(place, version)| Some((place, version.try_into().ok()?)))
                .ok_or_else(|| damaged("the numbers of its events in their streams are torn"))?;
            let place = u32::from_le_bytes(*place) as usize;
            if frames.len().saturating_sub(frame::HEAD) < place {
                return Err(damaged("an event is numbered that is not in it"));
            }
            frame::set_version(&mut frames, place, u64::from_le_bytes(version));
        }
        Ok(Self { first, events, frames })
    }

    fn end(&self) -> u64 {
        self.first + self.events
    }

    /// Reads its events from a position on, before an end.
    fn read(
        &self,
        store: &RedisStore,
        from: u64,
        end: u64,
        reader: Reader<'_>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let damaged = |error| StoreError::frame(self.first, &error);
        let mut frames = Frames::new(&self.frames, self.first, store.source);
        frames.pass(from - self.first).map_err(damaged)?;
        let mut next = from;
        for record in frames {
            let record = record.map_err(damaged)?;
            if record.position >= end {
                return Ok(ControlFlow::Break(()));
            }
            next = record.position + 1;
            if reader(record).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        if next != self.end() {
            let problem = format!("it ends before event {next} in place of {}", self.end());
            return Err(StoreError::damaged(
                format_args!("the block of event {}", self.first),
                problem,
            ));
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl RedisStore {
    pub(super) fn read_on(&self, from: u64, reader: Reader<'_>) -> Result<u64, StoreError> {
        const DOING: &str = "reading events";
        let mut next = from;
        let mut end = None;
        loop {
            let page = Page::of(DOING, self.ask(DOING, &self.scripts.read, &[&next.to_string()])?)?;
            if next < page.begin {
                return Err(StoreError::Removed { asked: next, first: page.begin });
            }
            if next > page.end {
                return Err(StoreError::Beyond { asked: next, end: page.end });
            }
            let end = *end.get_or_insert(page.end);
            if next >= end {
                return Ok(next);
            }
            if page.chunks.is_empty() {
                return Err(reply::odd(DOING, "no events where there are some"));
            }
            for (index, chunk) in page.chunks.iter().enumerate() {
                if next < chunk.first || next >= chunk.end() || (index > 0 && next != chunk.first) {
                    return Err(StoreError::damaged(
                        "the log",
                        format_args!("event {} follows the one before {next}", chunk.first),
                    ));
                }
                let answer = chunk.read(self, next, end, &mut |record| {
                    next = record.position + 1;
                    reader(record)
                })?;
                if answer.is_break() || next == end {
                    return Ok(next);
                }
            }
        }
    }

    /// Reads the events at these positions, in this order. Says whether the reader wants more, and how many it had.
    pub(super) fn read_each(
        &self,
        doing: &'static str,
        positions: &[u64],
        gone: Gone,
        reader: &mut dyn FnMut(Record<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(ControlFlow<()>, u64), StoreError> {
        let mut page = Page { begin: 0, end: 0, chunks: Vec::new() };
        let mut count = 0;
        for (index, &position) in positions.iter().enumerate() {
            if page.holding(position).is_none() {
                let wanted: Vec<_> = positions[index..].iter().map(u64::to_string).collect();
                let wanted: Vec<_> = wanted.iter().map(String::as_str).collect();
                page = Page::of(doing, self.ask(doing, &self.scripts.fetch, &wanted)?)?;
            }
            let Some(chunk) = page.holding(position) else {
                if position >= page.begin {
                    return Err(reply::odd(doing, "other events than were asked for"));
                }
                if gone == Gone::AreAnError {
                    return Err(StoreError::Removed { asked: position, first: page.begin });
                }
                continue;
            };
            let mut answer = Ok(ControlFlow::Continue(()));
            let _one = chunk.read(self, position, u64::MAX, &mut |record| {
                answer = reader(record);
                ControlFlow::Break(())
            })?;
            count += 1;
            if answer?.is_break() {
                return Ok((ControlFlow::Break(()), count));
            }
        }
        Ok((ControlFlow::Continue(()), count))
    }

    pub(super) fn read_stream(
        &self,
        stream: &str,
        from: u64,
        reader: Reader<'_>,
    ) -> Result<(), StoreError> {
        const DOING: &str = "reading a stream";
        const PAGE: &str = "512";
        let mut version = from;
        let mut end = None;
        loop {
            let answer =
                self.ask(DOING, &self.scripts.stream, &[stream, &version.to_string(), PAGE])?;
            let [first, total, positions] = reply::exactly(DOING, answer)?;
            let (first, total) = (reply::number(DOING, &first)?, reply::number(DOING, &total)?);
            if version < first {
                return Err(StoreError::Removed { asked: version, first });
            }
            let end = *end.get_or_insert(total);
            let positions = reply::array(DOING, positions)?;
            let left = end.saturating_sub(version);
            let positions = positions.iter().take(left as usize);
            let positions =
                positions.map(|at| reply::number(DOING, at)).collect::<Result<Vec<_>, _>>()?;
            if positions.is_empty() {
                return match left {
                    0 => Ok(()),
                    _ => Err(reply::odd(DOING, "no events where there are some")),
                };
            }
            let (answer, _) =
                self.read_each(DOING, &positions, Gone::AreAnError, &mut |record| {
                    let place = record.stream.map(|place| (place.name, place.version));
                    if place != Some((stream, version)) {
                        return Err(StoreError::damaged(
                            format_args!("stream `{stream}`"),
                            format_args!("event {} is not its event {version}", record.position),
                        ));
                    }
                    version += 1;
                    Ok(reader(record))
                })?;
            if answer.is_break() {
                return Ok(());
            }
        }
    }
}
