//! Who writes: one after the other.
//!
//! A commit is one transaction of redb: a block for its events (or several, if they are many), a value of the index of
//! streams for each stream and block, and the state. The index of times is written for several commits at once: a
//! value for each topic and second. So the work is that of the group, not of each event.

use redb::{Database, Durability as Sync, ReadableTable, WriteTransaction};

use super::{
    Settings,
    guard::Doing,
    indexing::Tail,
    sorting::{Numbers, Sorted, Streamed},
    tables::{
        BLOCKS, Block, META, PLACES, Place, PlaceEntry, STATE, STREAMS, SUM, State, StreamRow,
        TOPICS, VALUES, write_topic,
    },
};
use crate::{Batch, CommitError, Conflict, Durability, Expectation, StoreError, frame};

/// How many bytes a key and its value may have together: redb has one page for them.
const LARGEST_VALUE: usize = 1 << 30;
const DOING: &str = "commit to the database";

#[derive(Debug)]
pub(super) struct Writer {
    pub state: State,
    /// Whether something is committed that is not durable yet.
    pub pending: bool,
    pub topics: Numbers,
    tail: Tail,
    /// How much the tail weighs when it goes into the index.
    full: u64,
    quick_repair: bool,
    sorted: Sorted,
    frames: Vec<u8>,
    value: Vec<u8>,
}

impl Writer {
    pub(super) fn new(state: State, topics: Numbers, tail: Tail, settings: &Settings) -> Self {
        Self {
            state,
            pending: false,
            topics,
            tail,
            full: settings.unindexed_events,
            quick_repair: settings.quick_repair,
            sorted: Sorted::default(),
            frames: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Makes durable what is committed.
    pub(super) fn touch(&mut self, database: &Database) -> Result<State, StoreError> {
        let write = self.begin(database, Durability::Synced)?;
        self.finish(write, self.state, Durability::Synced)
    }

    pub(super) fn begin(
        &self,
        database: &Database,
        durability: Durability,
    ) -> Result<WriteTransaction, StoreError> {
        let mut write = database.begin_write().doing(DOING)?;
        let sync = match durability {
            Durability::Visible => Sync::None,
            Durability::Synced => Sync::Immediate,
        };
        write.set_durability(sync).expect("there are no savepoints, and one program writes");
        write.set_quick_repair(self.quick_repair && durability == Durability::Synced);
        Ok(write)
    }

    /// Ends a transaction in which everything but the state has been written.
    pub(super) fn finish(
        &mut self,
        write: WriteTransaction,
        mut state: State,
        durability: Durability,
    ) -> Result<State, StoreError> {
        state.commit += 1;
        let mut meta = write.open_table(META).doing(DOING)?;
        meta.insert(STATE, &state.write()[..]).doing(DOING)?;
        drop(meta);
        write.commit().doing(DOING)?;
        self.state = state;
        self.tail.settle(&state);
        self.pending = durability == Durability::Visible;
        Ok(state)
    }

    /// Commits a batch: the new state, or none if there was nothing to be done.
    pub(super) fn commit(
        &mut self,
        database: &Database,
        batch: &Batch,
        durability: Durability,
    ) -> Result<Option<State>, CommitError> {
        check_sizes(batch)?;
        let write = self.begin(database, durability)?;
        if let Err(error) = check(&write, batch) {
            write.abort().doing(DOING)?;
            return Err(error);
        }
        let events = batch.len();
        let is_nothing = events == 0 && batch.changes().next().is_none();
        if is_nothing && (durability == Durability::Visible || !self.pending) {
            write.abort().doing(DOING)?;
            return Ok(None);
        }
        let mut state = self.state;
        if events > 0 {
            self.append(&write, batch, &mut state)?;
        }
        change(&write, batch, self.state.end, &mut state, &mut self.value)?;
        Ok(Some(self.finish(write, state, durability)?))
    }

    /// Forgets what a commit that failed has left in memory.
    pub(super) fn forget(&mut self) {
        let topics = self.state.topics;
        self.topics.retain(|_, number| u64::from(*number) < topics);
        self.tail.forget(&self.state);
    }

    fn append(
        &mut self,
        write: &WriteTransaction,
        batch: &Batch,
        state: &mut State,
    ) -> Result<(), StoreError> {
        let Self { topics, tail, sorted, .. } = self;
        sorted.topics.clear();
        for topic in batch.topics() {
            let number = match topics.get(topic) {
                Some(number) => *number,
                None => new_topic(write, topic, topics, state)?,
            };
            sorted.topics.push(number);
        }
        let bytes = batch.bytes().len();
        let streamed = sorted.sort(batch.appended(), bytes, state.end, tail);
        let mut frames = batch.bytes();
        if !streamed.is_empty() {
            self.frames.clear();
            self.frames.extend_from_slice(frames);
            self.streams(write, &streamed, state)?;
            frames = &self.frames;
        }
        let mut blocks = write.open_table(BLOCKS).doing(DOING)?;
        for cut in &self.sorted.cuts {
            let first = state.end + u64::from(cut.first);
            let frames = &frames[cut.start..cut.end];
            let mut value =
                blocks.insert_reserve(first, Block::HEAD + frames.len()).doing(DOING)?;
            value.as_mut()[Block::HEAD..].copy_from_slice(frames);
            Block::close(first, cut.events, cut.latest, value.as_mut());
        }
        drop(blocks);
        state.bytes += frames.len() as u64;
        state.blocks += self.sorted.cuts.len() as u64;
        state.end += batch.len() as u64;
        self.tail.index(write, state, &mut self.value, self.full)
    }

    /// Gives the events of streams their versions.
    fn streams(
        &mut self,
        write: &WriteTransaction,
        streamed: &[Streamed<'_>],
        state: &mut State,
    ) -> Result<(), StoreError> {
        let Self { sorted, frames, value, .. } = self;
        let mut streams = write.open_table(STREAMS).doing(DOING)?;
        let mut places = write.open_table(PLACES).doing(DOING)?;
        for events in streamed.chunk_by(|a, b| a.stream == b.stream) {
            let name = events[0].stream;
            let row = match streams.get(name).doing(DOING)? {
                Some(row) => Some(StreamRow::read(name, row.value())?),
                None => None,
            };
            let mut row = row.unwrap_or_else(|| {
                state.streams += 1;
                StreamRow { number: state.streams - 1, events: 0 }
            });
            for events in events.chunk_by(|a, b| a.cut == b.cut) {
                let cut = &sorted.cuts[events[0].cut as usize];
                let key = (row.number, row.events);
                value.clear();
                value.resize(SUM, 0);
                value.extend_from_slice(&(state.end + u64::from(cut.first)).to_le_bytes());
                for event in events {
                    frame::set_version(frames, event.at, row.events);
                    row.events += 1;
                    let at = (event.at - cut.start) as u32;
                    PlaceEntry { index: event.index, at }.write(value);
                }
                Place::Places(key.0, key.1).close(value);
                places.insert(key, value.as_slice()).doing(DOING)?;
                state.places += 1;
            }
            streams.insert(name, &row.write(name)[..]).doing(DOING)?;
        }
        Ok(())
    }
}

#[cold]
fn new_topic(
    write: &WriteTransaction,
    topic: &str,
    topics: &mut Numbers,
    state: &mut State,
) -> Result<u32, StoreError> {
    let number = u32::try_from(state.topics)
        .map_err(|_| StoreError::Refused("a store has at most 2^32 topics".into()))?;
    let mut table = write.open_table(TOPICS).doing(DOING)?;
    table.insert(topic, &write_topic(topic, number)[..]).doing(DOING)?;
    topics.insert(topic.into(), number);
    state.topics += 1;
    Ok(number)
}

fn check_sizes(batch: &Batch) -> Result<(), StoreError> {
    for change in batch.changes() {
        let size = change.space.len() + change.key.len() + change.value.map_or(0, <[u8]>::len);
        if size > LARGEST_VALUE {
            return Err(StoreError::Refused(
                format!(
                    "a value has at most {LARGEST_VALUE} bytes with its key, and this one {size}"
                )
                .into(),
            ));
        }
    }
    Ok(())
}

fn check(write: &WriteTransaction, batch: &Batch) -> Result<(), CommitError> {
    let doing = "look at what a batch expects";
    if batch.expectations().next().is_none() {
        return Ok(());
    }
    let streams = write.open_table(STREAMS).doing(doing)?;
    let values = write.open_table(VALUES).doing(doing)?;
    for expectation in batch.expectations() {
        match expectation {
            Expectation::Stream { stream, expected } => {
                let row = streams.get(stream).doing(doing)?;
                let found = match &row {
                    Some(row) => StreamRow::read(stream, row.value())?.events,
                    None => 0,
                };
                if found != expected.events() {
                    return Err(Conflict::Stream { stream: stream.into(), expected, found }.into());
                }
            }
            Expectation::Value { space, key, value } => {
                let there = values.get((space, key)).doing(doing)?;
                let found = match &there {
                    Some(there) => Some(Place::Value(space, key).open(there.value())?),
                    None => None,
                };
                if found != value {
                    return Err(Conflict::Value {
                        space: space.into(),
                        key: key.into(),
                        found: found.map(Into::into),
                    }
                    .into());
                }
            }
        }
    }
    Ok(())
}

fn change(
    write: &WriteTransaction,
    batch: &Batch,
    first: u64,
    state: &mut State,
    bytes: &mut Vec<u8>,
) -> Result<(), StoreError> {
    let mut changes = batch.changes().peekable();
    if changes.peek().is_none() {
        return Ok(());
    }
    let mut values = write.open_table(VALUES).doing(DOING)?;
    for change in changes {
        let key = (change.space, change.key);
        if let Some(value) = change.value {
            bytes.clear();
            bytes.resize(SUM, 0);
            bytes.extend_from_slice(value);
            if change.is_placed {
                bytes.extend_from_slice(&first.to_be_bytes());
            }
            Place::Value(change.space, change.key).close(bytes);
            let was_there = values.insert(key, bytes.as_slice()).doing(DOING)?.is_some();
            state.values += u64::from(!was_there);
        } else {
            let was_there = values.remove(key).doing(DOING)?.is_some();
            state.values = state.values.saturating_sub(was_there.into());
        }
    }
    Ok(())
}
