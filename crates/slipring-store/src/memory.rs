//! A store that is gone with the program: for tests, and as what the others are compared with.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use slipring_events::{Source, Time};

use crate::{
    Batch, Bounds, CHECKPOINTS, CommitError, Committed, Conflict, Durability, EventStore,
    Expectation, Frames, NamedCheckpoint, Query, Reach, Reader, Removed, Retention, StoreError,
    checkpoint, frame,
};

/// An [`EventStore`] in memory.
///
/// It does all that the others do, but that nothing survives the program: what it calls durable is what would have been
/// synced. A query looks at every event.
///
/// # Examples
/// ```
/// use std::ops::ControlFlow;
/// use slipring_store::{Batch, Durability, Entry, EventStore, Memory};
///
/// let store = Memory::new();
/// let mut batch = Batch::new();
/// batch.append(Entry::new("order.created", "lamp"))?;
/// store.commit(&batch, Durability::Visible)?;
/// store.scan(0, &mut |record| {
///     assert_eq!((record.position, record.payload), (0, &b"lamp"[..]));
///     ControlFlow::Continue(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Memory {
    source: Source,
    state: Mutex<State>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Of consecutive events.
    blocks: VecDeque<Arc<Block>>,
    /// Of all blocks.
    bytes: u64,
    bounds: Bounds,
    /// The positions of the events of each stream that are still there, and how many it has ever had.
    streams: BTreeMap<String, Stream>,
    topics: std::collections::BTreeSet<String>,
    values: BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>,
}

#[derive(Clone, Debug, Default)]
struct Stream {
    events: u64,
    there: VecDeque<u64>,
}

#[derive(Debug)]
struct Block {
    first: u64,
    events: u64,
    latest: Time,
    bytes: Vec<u8>,
}

impl Block {
    fn end(&self) -> u64 {
        self.first + self.events
    }
}

impl Memory {
    /// One without an event.
    pub fn new() -> Self {
        Self::of(Source::fresh("memory"))
    }

    /// One without an event, whose ids are made of that source.
    pub fn of(source: Source) -> Self {
        Self { source, state: Mutex::default(), grown: Condvar::new() }
    }

    /// The blocks in which the events from there on are.
    fn blocks(&self, from: u64) -> Result<Vec<Arc<Block>>, StoreError> {
        let state = self.state.lock();
        let Bounds { first, end, .. } = state.bounds;
        if from < first {
            return Err(StoreError::Removed { asked: from, first });
        }
        if from > end {
            return Err(StoreError::Beyond { asked: from, end });
        }
        let begin = state.blocks.partition_point(|block| block.end() <= from);
        Ok(state.blocks.range(begin..).cloned().collect())
    }

    fn read(
        &self,
        blocks: &[Arc<Block>],
        from: u64,
        reader: Reader<'_>,
    ) -> Result<u64, StoreError> {
        let mut next = from;
        for block in blocks {
            let damaged = |error| StoreError::frame(block.first, &error);
            let mut frames = Frames::new(&block.bytes, block.first, self.source);
            frames.pass(from.saturating_sub(block.first)).map_err(damaged)?;
            for record in frames {
                let record = record.map_err(damaged)?;
                next = record.position + 1;
                if reader(record).is_break() {
                    return Ok(next);
                }
            }
        }
        Ok(next)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn check(&self, batch: &Batch) -> Result<(), Conflict> {
        for expectation in batch.expectations() {
            match expectation {
                Expectation::Stream { stream, expected } => {
                    let found = self.streams.get(stream).map_or(0, |stream| stream.events);
                    if found != expected.events() {
                        return Err(Conflict::Stream { stream: stream.into(), expected, found });
                    }
                }
                Expectation::Value { space, key, value } => {
                    let found = self.values.get(space).and_then(|space| space.get(key));
                    if found.map(Vec::as_slice) != value {
                        return Err(Conflict::Value {
                            space: space.into(),
                            key: key.into(),
                            found: found.map(|value| value.as_slice().into()),
                        });
                    }
                }
            }
        }
        Ok(())
    }

    fn append(&mut self, batch: &Batch) {
        let first = self.bounds.end;
        let mut bytes = batch.bytes().to_vec();
        let mut latest = Time::EPOCH;
        for topic in batch.topics() {
            if !self.topics.contains(topic) {
                self.topics.insert(topic.to_owned());
            }
        }
        for (position, event) in (first..).zip(batch.appended()) {
            latest = latest.max(event.time);
            if let Some(name) = event.stream {
                let stream = self.streams.entry(name.to_owned()).or_default();
                frame::set_version(&mut bytes, event.at, stream.events);
                stream.events += 1;
                stream.there.push_back(position);
            }
        }
        let events = batch.len() as u64;
        if events > 0 {
            self.bytes += bytes.len() as u64;
            self.blocks.push_back(Arc::new(Block { first, events, latest, bytes }));
            self.bounds.end += events;
        }
    }

    fn change(&mut self, batch: &Batch, first: u64) {
        for change in batch.changes() {
            let space = self.values.entry(change.space.to_owned()).or_default();
            match change.value {
                Some(value) => {
                    let mut value = value.to_owned();
                    if change.is_placed {
                        value.extend_from_slice(&first.to_be_bytes());
                    }
                    space.insert(change.key.to_owned(), value);
                }
                None => drop(space.remove(change.key)),
            }
        }
    }

    fn lowest_checkpoint(&self) -> Result<Option<NamedCheckpoint>, StoreError> {
        let mut lowest: Option<NamedCheckpoint> = None;
        for (name, value) in self.values.get(CHECKPOINTS).into_iter().flatten() {
            let name = String::from_utf8_lossy(name).into_owned();
            let position = checkpoint::position(&name, value)?;
            if lowest.as_ref().is_none_or(|lowest| position < lowest.position) {
                lowest = Some(NamedCheckpoint { name, position });
            }
        }
        Ok(lowest)
    }

    /// The block that may go next, by what is to be kept.
    fn may_go(&self, keep: &Retention, now: Time) -> Option<&Arc<Block>> {
        let oldest = self.blocks.front()?;
        let left = self.bounds.end - oldest.end();
        let is_old = keep.age.is_some_and(|age| now.since(oldest.latest) > age);
        let are_many = keep.events.is_some_and(|events| left >= events);
        let bytes = self.bytes - oldest.bytes.len() as u64;
        let is_much = keep.bytes.is_some_and(|most| bytes >= most);
        (is_old || are_many || is_much).then_some(oldest)
    }
}

impl EventStore for Memory {
    fn source(&self) -> Source {
        self.source
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<Committed, CommitError> {
        let mut state = self.state.lock();
        state.check(batch)?;
        let first = state.bounds.end;
        state.append(batch);
        state.change(batch, first);
        if durability == Durability::Synced {
            state.bounds.durable = state.bounds.end;
        }
        self.grown.notify_all();
        Ok(Committed { first, end: state.bounds.end })
    }

    fn sync(&self) -> Result<u64, StoreError> {
        let mut state = self.state.lock();
        state.bounds.durable = state.bounds.end;
        self.grown.notify_all();
        Ok(state.bounds.durable)
    }

    fn bounds(&self) -> Result<Bounds, StoreError> {
        Ok(self.state.lock().bounds)
    }

    fn scan(&self, from: u64, reader: Reader<'_>) -> Result<u64, StoreError> {
        self.read(&self.blocks(from)?, from, reader)
    }

    fn query(&self, query: &Query, reader: Reader<'_>) -> Result<(), StoreError> {
        let (first, blocks) = {
            let state = self.state.lock();
            (state.bounds.first, state.blocks.iter().cloned().collect::<Vec<_>>())
        };
        let mut found = Vec::new();
        self.read(&blocks, first, &mut |record| {
            if query.admits(record.topic, record.time) {
                found.push((record.time, record.position));
            }
            ControlFlow::Continue(())
        })?;
        found.sort_unstable();
        found.truncate(usize::try_from(query.limit).unwrap_or(usize::MAX));
        for (_, position) in found {
            let at = blocks.partition_point(|block| block.end() <= position);
            let mut answer = ControlFlow::Continue(());
            self.read(&blocks[at..=at], position, &mut |record| {
                answer = reader(record);
                ControlFlow::Break(())
            })?;
            if answer.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn topics(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.state.lock().topics.iter().cloned().collect())
    }

    fn stream(&self, stream: &str, from: u64, reader: Reader<'_>) -> Result<(), StoreError> {
        let (positions, blocks) = {
            let state = self.state.lock();
            let Some(stream) = state.streams.get(stream) else {
                return Ok(());
            };
            let gone = stream.events - stream.there.len() as u64;
            if from < gone {
                return Err(StoreError::Removed { asked: from, first: gone });
            }
            let positions: Vec<u64> =
                stream.there.iter().skip((from - gone) as usize).copied().collect();
            (positions, state.blocks.iter().cloned().collect::<Vec<_>>())
        };
        for position in positions {
            let at = blocks.partition_point(|block| block.end() <= position);
            let mut answer = ControlFlow::Continue(());
            self.read(&blocks[at..=at], position, &mut |record| {
                answer = reader(record);
                ControlFlow::Break(())
            })?;
            if answer.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn version(&self, stream: &str) -> Result<u64, StoreError> {
        Ok(self.state.lock().streams.get(stream).map_or(0, |stream| stream.events))
    }

    fn value(&self, space: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state.lock().values.get(space).and_then(|space| space.get(key)).cloned())
    }

    fn values(
        &self,
        space: &str,
        from: &[u8],
        reader: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let values: Vec<_> = match self.state.lock().values.get(space) {
            Some(space) => {
                let range = space.range(from.to_vec()..);
                range.map(|(key, value)| (key.clone(), value.clone())).collect()
            }
            None => Vec::new(),
        };
        for (key, value) in values {
            if reader(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn retain(&self, keep: &Retention, now: Time) -> Result<Removed, StoreError> {
        let mut state = self.state.lock();
        // As they are now: one that is put meanwhile counts, too.
        let hold = state.lowest_checkpoint()?;
        let before = state.bounds.first;
        let mut held_by = None;
        while let Some(oldest) = state.may_go(keep, now).cloned() {
            let end = oldest.end();
            if let Some(hold) = hold.as_ref().filter(|hold| hold.position < end) {
                held_by = Some(hold.name.clone());
                break;
            }
            if end > state.bounds.durable {
                break;
            }
            state.bytes -= oldest.bytes.len() as u64;
            state.blocks.pop_front();
            state.bounds.first = end;
        }
        let first = state.bounds.first;
        if first > before {
            for stream in state.streams.values_mut() {
                let gone = stream.there.partition_point(|position| *position < first);
                stream.there.drain(..gone);
            }
        }
        Ok(Removed { events: first - before, first, held_by })
    }

    fn wait(&self, beyond: u64, reach: Reach, timeout: Duration) -> Result<Bounds, StoreError> {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.state.lock();
        while state.bounds.end_of(reach) <= beyond {
            match deadline {
                Some(deadline) => {
                    if self.grown.wait_until(&mut state, deadline).timed_out() {
                        break;
                    }
                }
                None => self.grown.wait(&mut state),
            }
        }
        Ok(state.bounds)
    }
}
