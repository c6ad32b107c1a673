//! Who reads: what was there when the reading began, whatever is committed or removed meanwhile.

use std::{collections::HashSet, ops::ControlFlow};

use redb::{
    AccessGuard, Database, Range, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable,
    TableDefinition,
};
use slipring_events::Source;

use super::{
    guard::{Doing, guarded},
    tables::{
        BLOCKS, Block, Bytes, META, PLACES, Place, PlaceEntry, STATE, STREAMS, State, StreamRow,
        VALUES,
    },
};
use crate::{Frames, Reader, Record, StoreError};

pub(super) const DOING: &str = "read the database";

/// Whoever reads values: called back with each key and its value.
pub(super) type Pairs<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

pub(super) type Value = AccessGuard<'static, Bytes>;

/// The store as it was at one moment.
pub(super) struct View {
    read: ReadTransaction,
    pub state: State,
}

impl View {
    pub(super) fn new(database: &Database) -> Result<Self, StoreError> {
        guarded(|| {
            let read = database.begin_read().doing(DOING)?;
            let meta = read.open_table(META).doing(DOING)?;
            let state = meta.get(STATE).doing(DOING)?;
            let state = state.ok_or_else(|| Place::Meta(STATE).damaged("it is not there"))?;
            let state = State::read(state.value())?;
            Ok(Self { read, state })
        })
    }

    pub(super) fn table<K: redb::Key + 'static>(
        &self,
        definition: TableDefinition<'_, K, Bytes>,
    ) -> Result<ReadOnlyTable<K, Bytes>, StoreError> {
        guarded(|| self.read.open_table(definition).doing(DOING))
    }

    pub(super) fn source(&self) -> Source {
        self.state.source
    }

    /// Calls back with each block from the one on that holds a position, in order and without a gap.
    pub(super) fn blocks(
        &self,
        from: u64,
        mut each: impl FnMut(Block<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let State { first, end, .. } = self.state;
        if from < first {
            return Err(StoreError::Removed { asked: from, first });
        }
        if from > end {
            return Err(StoreError::Beyond { asked: from, end });
        }
        if from == end {
            return Ok(());
        }
        let blocks = self.table(BLOCKS)?;
        let begin = block_of(&blocks, from)?;
        let mut next = begin;
        let mut range = Entries::of(|| blocks.range(begin..))?;
        while next < end {
            let Some((key, value)) = range.next()? else {
                break;
            };
            let first = guarded(|| Ok::<_, StoreError>(key.value()))?;
            if first != next {
                return Err(gap(next, first));
            }
            let value = guarded(|| Ok::<_, StoreError>(value.value()))?;
            let block = Block::read(first, value)?;
            next = block.end();
            if each(block)?.is_break() {
                return Ok(());
            }
        }
        if next == end { Ok(()) } else { Err(gap(next, end)) }
    }

    pub(super) fn scan(&self, from: u64, reader: Reader<'_>) -> Result<u64, StoreError> {
        let mut next = from;
        self.blocks(from, |block| {
            let damaged = |error| StoreError::frame(block.first, &error);
            let mut frames = Frames::new(block.frames, block.first, self.source());
            frames.pass(next - block.first).map_err(damaged)?;
            for record in frames {
                let record = record.map_err(damaged)?;
                next = record.position + 1;
                if reader(record).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            if next == block.end() {
                Ok(ControlFlow::Continue(()))
            } else {
                Err(Place::Block(block.first).damaged("it has another number of events"))
            }
        })?;
        Ok(next)
    }

    pub(super) fn stream_row(&self, stream: &str) -> Result<Option<StreamRow>, StoreError> {
        let streams = self.table(STREAMS)?;
        guarded(|| match streams.get(stream).doing(DOING)? {
            Some(row) => StreamRow::read(stream, row.value()).map(Some),
            None => Ok(None),
        })
    }

    pub(super) fn stream(
        &self,
        stream: &str,
        from: u64,
        reader: Reader<'_>,
    ) -> Result<(), StoreError> {
        let Some(row) = self.stream_row(stream)? else {
            return Ok(());
        };
        let places = self.table(PLACES)?;
        let whole = (row.number, 0)..=(row.number, u64::MAX);
        let begin = guarded(|| {
            let mut before = places.range((row.number, 0)..=(row.number, from)).doing(DOING)?;
            if let Some((key, _)) = before.next_back().transpose().doing(DOING)? {
                return Ok::<_, StoreError>(Some(key.value().1));
            }
            let first =
                places.range(whole.clone()).doing(DOING)?.next().transpose().doing(DOING)?;
            Ok(first.map(|(key, _)| key.value().1))
        })?;
        // Where the first is that is still there.
        let begin = begin.unwrap_or(row.events);
        if from < begin {
            return Err(StoreError::Removed { asked: from, first: begin });
        }
        let mut records = Records::new(self)?;
        let mut range = Entries::of(|| places.range((row.number, begin)..=*whole.end()))?;
        let mut next = begin;
        while let Some((key, value)) = range.next()? {
            let ((number, version), value) =
                guarded(|| Ok::<_, StoreError>((key.value(), value.value())))?;
            let place = Place::Places(number, version);
            if (number, version) != (row.number, next) {
                return Err(place.damaged(format_args!("version {next} should stand there")));
            }
            let entries = PlaceEntry::read(place.open(value)?);
            let (block, entries) = entries.ok_or_else(|| place.damaged("it has another length"))?;
            for entry in entries {
                if next >= from {
                    let record = records.get(block, entry.index, entry.at)?;
                    let is_it = record
                        .stream
                        .is_some_and(|place| place.name == stream && place.version == next);
                    if !is_it {
                        return Err(place.damaged("another event stands where it points to"));
                    }
                    if reader(record).is_break() {
                        return Ok(());
                    }
                }
                next += 1;
            }
        }
        if next == row.events {
            Ok(())
        } else {
            Err(Place::Stream(stream)
                .damaged(format_args!("it has {} events, and {next} were found", row.events)))
        }
    }

    pub(super) fn value(&self, space: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let values = self.table(VALUES)?;
        guarded(|| match values.get((space, key)).doing(DOING)? {
            Some(value) => {
                Place::Value(space, key).open(value.value()).map(|value| Some(value.to_vec()))
            }
            None => Ok(None),
        })
    }

    pub(super) fn values(
        &self,
        space: &str,
        from: &[u8],
        reader: Pairs<'_>,
    ) -> Result<(), StoreError> {
        let values = self.table(VALUES)?;
        let mut range = Entries::of(|| values.range((space, from)..))?;
        while let Some((key, value)) = range.next()? {
            let ((there, key), value) =
                guarded(|| Ok::<_, StoreError>((key.value(), value.value())))?;
            if (there, key) < (space, from) {
                return Err(
                    Place::Value(there, key).damaged("it stands in another place than its own")
                );
            }
            if there != space {
                break;
            }
            if reader(key, Place::Value(space, key).open(value)?).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// The entries of a range, of which each must have a higher key than the one before: damaged pages may lead in circles.
pub(super) struct Entries<K: redb::Key + 'static> {
    range: Range<'static, K, Bytes>,
    last: Vec<u8>,
    begun: bool,
}

impl<K: redb::Key + 'static> Entries<K> {
    pub(super) fn of(
        range: impl FnOnce() -> Result<Range<'static, K, Bytes>, redb::StorageError>,
    ) -> Result<Self, StoreError> {
        let range = guarded(|| range().doing(DOING))?;
        Ok(Self { range, last: Vec::new(), begun: false })
    }

    pub(super) fn next(&mut self) -> Result<Option<(AccessGuard<'static, K>, Value)>, StoreError> {
        guarded(|| {
            let Some((key, value)) = self.range.next().transpose().doing(DOING)? else {
                return Ok(None);
            };
            let there = key.value();
            let bytes = K::as_bytes(&there);
            if self.begun && !K::compare(&self.last, bytes.as_ref()).is_lt() {
                return Err(StoreError::damaged("a table", "its keys are not in order"));
            }
            self.begun = true;
            self.last.clear();
            self.last.extend_from_slice(bytes.as_ref());
            drop(bytes);
            drop(there);
            Ok(Some((key, value)))
        })
    }
}

#[cold]
fn gap(next: u64, found: u64) -> StoreError {
    StoreError::damaged(
        "the table of blocks",
        format_args!("event {next} is not there; the next is {found}"),
    )
}

/// The first position of the block that has an event.
fn block_of(blocks: &impl ReadableTable<u64, Bytes>, position: u64) -> Result<u64, StoreError> {
    guarded(|| {
        let before =
            blocks.range(..=position).doing(DOING)?.next_back().transpose().doing(DOING)?;
        let Some((first, value)) = before else {
            return Err(gap(position, u64::MAX));
        };
        let first = first.value();
        let block = Block::read(first, value.value())?;
        if block.end() <= position { Err(gap(position, block.end())) } else { Ok(first) }
    })
}

/// Single events of a view, by where they stand.
pub(super) struct Records {
    blocks: ReadOnlyTable<u64, Bytes>,
    source: Source,
    /// Those that were read last; they are not asked for again.
    open: Vec<(u64, Value)>,
    at: usize,
    bytes: usize,
    /// Blocks whose sums have been looked at.
    trusted: HashSet<u64>,
}

/// How many bytes of blocks are kept open at once, or one block if it has more.
const OPEN_BYTES: usize = 16 << 20;
const OPEN_BLOCKS: usize = 64;

impl Records {
    pub(super) fn new(view: &View) -> Result<Self, StoreError> {
        Ok(Self {
            blocks: view.table(BLOCKS)?,
            source: view.source(),
            open: Vec::new(),
            at: 0,
            bytes: 0,
            trusted: HashSet::new(),
        })
    }

    /// The event that an index says stands there.
    #[inline]
    pub(super) fn get(
        &mut self,
        block: u64,
        index: u16,
        at: u32,
    ) -> Result<Record<'_>, StoreError> {
        if self.open.get(self.at).is_none_or(|(first, _)| *first != block) {
            self.at = self.find(block)?;
        }
        let (first, value) = &self.open[self.at];
        let block = Block::trust(*first, value.value())?;
        let damaged = || Place::Block(block.first).damaged("an index points to where no event is");
        if u64::from(index) >= block.events {
            return Err(damaged());
        }
        let frame = block.frames.get(at as usize..).filter(|frame| !frame.is_empty());
        let position = block.first + u64::from(index);
        let mut frames = Frames::new(frame.ok_or_else(damaged)?, position, self.source);
        let record = frames.next().ok_or_else(damaged)?;
        record.map_err(|error| StoreError::frame(block.first, &error))
    }

    #[cold]
    fn find(&mut self, block: u64) -> Result<usize, StoreError> {
        if let Some(at) = self.open.iter().position(|(first, _)| *first == block) {
            return Ok(at);
        }
        let value = guarded(|| self.blocks.get(block).doing(DOING))?;
        let value = value
            .ok_or_else(|| Place::Block(block).damaged("an index has it, but it is not there"))?;
        let length = guarded(|| {
            let bytes = value.value();
            if !self.trusted.contains(&block) {
                Block::read(block, bytes)?;
            }
            Ok::<_, StoreError>(bytes.len())
        })?;
        self.trusted.insert(block);
        if self.open.len() == OPEN_BLOCKS || self.bytes + length > OPEN_BYTES {
            self.open.clear();
            self.bytes = 0;
        }
        self.bytes += length;
        self.open.push((block, value));
        Ok(self.open.len() - 1)
    }
}
