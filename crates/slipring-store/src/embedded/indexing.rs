//! What is not in the index of times yet, and how it gets there: several commits at a time.

use redb::WriteTransaction;
use slipring_events::Time;

use super::{
    guard::Doing,
    reader::View,
    sorting::Numbers,
    tables::{BUCKET_BITS, Place, SPANS, State, TIMES, bucket_of},
    times::{RowWriter, SpanWriter, TimeEntry},
};
use crate::{Frames, StoreError};

/// What a block counts beside its events, and how many bytes count as an event: what it costs a query to look at it.
const OF_BLOCK: u64 = 32;
const OF_BYTES: u64 = 256;

/// An event that goes into the index of times.
#[derive(Clone, Copy, Debug)]
struct Dated {
    topic: u32,
    bucket: u64,
    entry: TimeEntry,
}

#[derive(Clone, Copy, Debug)]
struct TailBlock {
    first: u64,
    end: u64,
    bytes: u64,
}

impl TailBlock {
    fn weight(&self) -> u64 {
        self.end - self.first + OF_BLOCK + self.bytes / OF_BYTES
    }
}

/// The blocks behind the last span, and their events: in the order of their positions.
#[derive(Debug, Default)]
pub(super) struct Tail {
    blocks: Vec<TailBlock>,
    dated: Vec<Dated>,
    /// Events of one span by topic, bucket, and number: each as one.
    order: Vec<u128>,
}

/// How many bits the number of an event in its span has in the order, and its bucket.
const NUMBER_BITS: u32 = u32::BITS;
const BUCKETS_BITS: u32 = u64::BITS - BUCKET_BITS;

impl Tail {
    /// The one of a store that is opened.
    pub(super) fn read(view: &View, topics: &Numbers) -> Result<Self, StoreError> {
        let mut tail = Self::default();
        view.blocks(view.state.indexed, |block| {
            let mut frames = Frames::new(block.frames, block.first, view.source());
            for (index, heading) in (0..).zip(frames.headings()) {
                let heading = heading.map_err(|error| StoreError::frame(block.first, &error))?;
                let topic = topics.get(heading.topic);
                let topic =
                    topic.ok_or_else(|| Place::Topic(heading.topic).damaged("it is not there"))?;
                tail.push_event(*topic, heading.time, block.first, index, heading.at as u32);
            }
            tail.push_block(block.first, block.end(), block.frames.len());
            Ok(std::ops::ControlFlow::Continue(()))
        })?;
        Ok(tail)
    }

    /// Takes an event of the block that is pushed next.
    #[inline]
    pub(super) fn push_event(&mut self, topic: u32, time: Time, block: u64, index: u16, at: u32) {
        let (bucket, low) = bucket_of(time);
        self.dated.push(Dated { topic, bucket, entry: TimeEntry { block, index, at, low } });
    }

    pub(super) fn reserve(&mut self, events: usize) {
        self.dated.reserve(events);
    }

    /// Takes a block, whose events have been pushed.
    pub(super) fn push_block(&mut self, first: u64, end: u64, bytes: usize) {
        self.blocks.push(TailBlock { first, end, bytes: bytes as u64 });
    }

    /// Writes the spans that are full.
    pub(super) fn index(
        &mut self,
        write: &WriteTransaction,
        state: &mut State,
        value: &mut Vec<u8>,
        full: u64,
    ) -> Result<(), StoreError> {
        let Self { blocks, dated, order } = self;
        let mut dated = &dated[..];
        let mut weight = 0;
        for block in blocks {
            weight += block.weight();
            if weight >= full {
                weight = 0;
                let (span, left) = dated.split_at((block.end - state.indexed) as usize);
                dated = left;
                write_span(write, state, block.end, span, order, value)?;
            }
        }
        Ok(())
    }

    /// Forgets what has been indexed or removed.
    pub(super) fn settle(&mut self, state: &State) {
        let blocks = self.blocks.partition_point(|block| block.first < state.indexed);
        self.blocks.drain(..blocks);
        let dated = self.dated.partition_point(|dated| dated.entry.block < state.indexed);
        self.dated.drain(..dated);
    }

    /// Forgets what was not committed.
    pub(super) fn forget(&mut self, state: &State) {
        let blocks = self.blocks.partition_point(|block| block.first < state.end);
        self.blocks.truncate(blocks);
        let dated = self.dated.partition_point(|dated| dated.entry.block < state.end);
        self.dated.truncate(dated);
    }
}

/// Writes the rows of some blocks, the first of which follows what is in the index.
fn write_span(
    write: &WriteTransaction,
    state: &mut State,
    end: u64,
    dated: &[Dated],
    order: &mut Vec<u128>,
    value: &mut Vec<u8>,
) -> Result<(), StoreError> {
    let doing = "write the index of times";
    let span = state.indexed;
    order.clear();
    order.extend((0_u128..).zip(dated).map(|(number, dated)| {
        let bucket = u128::from(dated.bucket) << NUMBER_BITS;
        u128::from(dated.topic) << (NUMBER_BITS + BUCKETS_BITS) | bucket | number
    }));
    order.sort_unstable();
    let mut times = write.open_table(TIMES).doing(doing)?;
    for row in order.chunk_by(|a, b| a >> NUMBER_BITS == b >> NUMBER_BITS) {
        let Dated { topic, bucket, .. } = dated[row[0] as u32 as usize];
        let mut entries = RowWriter::new(span, value);
        for number in row {
            entries.push(dated[*number as u32 as usize].entry);
        }
        entries.close(Place::Times(topic, bucket, span));
        times.insert((topic, bucket, span), value.as_slice()).doing(doing)?;
        state.times += 1;
    }
    let mut rows = SpanWriter::new(end, value);
    for row in order.chunk_by(|a, b| a >> NUMBER_BITS == b >> NUMBER_BITS) {
        let Dated { topic, bucket, .. } = dated[row[0] as u32 as usize];
        rows.push(topic, bucket);
    }
    rows.close(span);
    write.open_table(SPANS).doing(doing)?.insert(span, value.as_slice()).doing(doing)?;
    state.spans += 1;
    state.indexed = end;
    Ok(())
}
