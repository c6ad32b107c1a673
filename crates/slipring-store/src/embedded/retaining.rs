//! Retention: the oldest blocks go, with what the indexes have of them.
//!
//! It is done some blocks at a time, and others may commit in between, so each time the checkpoints are looked at anew.

use redb::{Database, ReadableTable, Table, WriteTransaction};
use slipring_events::Time;

use super::{
    guard::Doing,
    tables::{
        BLOCKS, Block, Bytes, PLACES, Place, SPANS, STREAMS, State, StreamRow, TIMES, VALUES,
    },
    times::read_span,
    writer::Writer,
};
use crate::{CHECKPOINTS, Durability, Frames, NamedCheckpoint, Retention, StoreError, checkpoint};

/// How many blocks and bytes go in one transaction.
const BLOCKS_AT_ONCE: usize = 256;
const BYTES_AT_ONCE: usize = 4 << 20;
const DOING: &str = "remove old events";

/// What a step has done.
#[derive(Debug)]
pub(super) struct Step {
    pub state: State,
    /// Whether there is nothing more that may go.
    pub done: bool,
    pub held_by: Option<String>,
}

impl Writer {
    /// Removes some of what may go. Nothing behind `durable` may.
    pub(super) fn retain(
        &mut self,
        database: &Database,
        keep: &Retention,
        now: Time,
        durable: u64,
    ) -> Result<Step, StoreError> {
        let write = self.begin(database, Durability::Visible)?;
        let mut step = Step { state: self.state, done: false, held_by: None };
        let hold = lowest_checkpoint(&write)?;
        let removed = {
            let mut blocks = write.open_table(BLOCKS).doing(DOING)?;
            let mut index = Index::open(&write)?;
            let (mut count, mut bytes) = (0, 0);
            while count < BLOCKS_AT_ONCE && bytes < BYTES_AT_ONCE {
                let Some(value) = oldest(&blocks, &step.state)? else {
                    step.done = true;
                    break;
                };
                let block = Block::read(step.state.first, value.value())?;
                let end = block.end();
                if !may_go(&block, &step.state, keep, now) {
                    step.done = true;
                    break;
                }
                let waiting = hold.as_ref().filter(|hold| hold.position < end);
                if waiting.is_some() || end > durable {
                    step.held_by = waiting.map(|hold| hold.name.clone());
                    step.done = true;
                    break;
                }
                index.remove(&block, &mut step.state)?;
                let (first, length) = (block.first, block.frames.len());
                drop(value);
                blocks.remove(first).doing(DOING)?;
                step.state.first = end;
                step.state.blocks -= 1;
                step.state.bytes = step.state.bytes.saturating_sub(length as u64);
                count += 1;
                bytes += length;
            }
            remove_spans(&write, &mut step.state)?;
            count
        };
        if removed == 0 {
            write.abort().doing(DOING)?;
        } else {
            step.state = self.finish(write, step.state, Durability::Visible)?;
        }
        Ok(step)
    }
}

/// Whether a block may go by what is to be kept.
fn may_go(block: &Block<'_>, state: &State, keep: &Retention, now: Time) -> bool {
    let left = state.end - block.end().min(state.end);
    let left_bytes = state.bytes.saturating_sub(block.frames.len() as u64);
    keep.age.is_some_and(|age| now.since(block.latest) > age)
        || keep.events.is_some_and(|events| left >= events)
        || keep.bytes.is_some_and(|most| left_bytes >= most)
}

fn oldest<'t>(
    blocks: &'t Table<'_, u64, Bytes>,
    state: &State,
) -> Result<Option<redb::AccessGuard<'t, Bytes>>, StoreError> {
    if state.first == state.end {
        return Ok(None);
    }
    let value = blocks.get(state.first).doing(DOING)?;
    value.map(Some).ok_or_else(|| Place::Block(state.first).damaged("it is not there"))
}

/// Removes from the index of times the spans of which no event is left.
fn remove_spans(write: &WriteTransaction, state: &mut State) -> Result<(), StoreError> {
    let mut times = write.open_table(TIMES).doing(DOING)?;
    let mut spans = write.open_table(SPANS).doing(DOING)?;
    loop {
        let first = {
            let Some((key, value)) = spans.first().doing(DOING)? else { break };
            let span = key.value();
            let mut rows = Vec::new();
            let end = read_span(span, value.value(), |topic, bucket| {
                rows.push((topic, bucket));
                Ok(())
            })?;
            if end > state.first {
                break;
            }
            for (topic, bucket) in rows {
                if times.remove((topic, bucket, span)).doing(DOING)?.is_none() {
                    return Err(Place::Times(topic, bucket, span).damaged("it is not there"));
                }
                state.times = state.times.saturating_sub(1);
            }
            span
        };
        spans.remove(first).doing(DOING)?;
        state.spans = state.spans.saturating_sub(1);
    }
    state.indexed = state.indexed.max(state.first);
    Ok(())
}

fn lowest_checkpoint(write: &WriteTransaction) -> Result<Option<NamedCheckpoint>, StoreError> {
    let values = write.open_table(VALUES).doing(DOING)?;
    let mut lowest: Option<NamedCheckpoint> = None;
    for entry in values.range((CHECKPOINTS, &b""[..])..).doing(DOING)? {
        let (key, value) = entry.doing(DOING)?;
        let (space, name) = key.value();
        if space != CHECKPOINTS {
            break;
        }
        let value = Place::Value(space, name).open(value.value())?;
        let name = String::from_utf8_lossy(name).into_owned();
        let position = checkpoint::position(&name, value)?;
        if lowest.as_ref().is_none_or(|lowest| position < lowest.position) {
            lowest = Some(NamedCheckpoint { name, position });
        }
    }
    Ok(lowest)
}

/// What the index of streams has of a block.
struct Index<'t> {
    streams: Table<'t, &'static str, Bytes>,
    places: Table<'t, (u64, u64), Bytes>,
}

impl<'t> Index<'t> {
    fn open(write: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            streams: write.open_table(STREAMS).doing(DOING)?,
            places: write.open_table(PLACES).doing(DOING)?,
        })
    }

    fn remove(&mut self, block: &Block<'_>, state: &mut State) -> Result<(), StoreError> {
        let mut streams: Vec<(&str, u64)> = Vec::new();
        for record in Frames::new(block.frames, block.first, state.source) {
            let record = record.map_err(|error| StoreError::frame(block.first, &error))?;
            streams.extend(record.stream.map(|place| (place.name, place.version)));
        }
        // The first of each stream has the version under which all of them stand.
        streams.sort_unstable();
        streams.dedup_by_key(|(stream, _)| *stream);
        for (stream, version) in streams {
            let number = match self.streams.get(stream).doing(DOING)? {
                Some(row) => StreamRow::read(stream, row.value())?.number,
                None => return Err(Place::Stream(stream).damaged("it is not there")),
            };
            if self.places.remove((number, version)).doing(DOING)?.is_none() {
                return Err(Place::Places(number, version).damaged("it is not there"));
            }
            state.places = state.places.saturating_sub(1);
        }
        Ok(())
    }
}
