//! A batch made ready for the tables: cut into blocks, its events sorted by where they go. It is done in memory that is
//! used again for the next batch.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use slipring_events::Time;

use super::indexing::Tail;
use crate::batch::Appended;

/// How many events a block has at most.
pub(super) const MOST_EVENTS: usize = 4096;
/// How many bytes a block has at most, unless it is one event that has more.
pub(super) const MOST_BYTES: usize = 1 << 20;

/// A part of a batch that becomes a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// The number of its first event within the batch.
    pub first: u32,
    pub events: u32,
    pub latest: Time,
    /// Where it begins and ends in the bytes of the batch.
    pub start: usize,
    pub end: usize,
}

/// An event of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streamed<'a> {
    pub stream: &'a str,
    /// Where it is in the bytes of the batch.
    pub at: usize,
    pub cut: u32,
    pub index: u16,
}

#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// The number that each topic of the batch has in the store.
    pub topics: Vec<u32>,
    pub cuts: Vec<Cut>,
}

impl Sorted {
    /// Cuts and sorts the events of a batch, of which the first will have that position; the tail takes them. `topics`
    /// must have been set.
    pub(super) fn sort<'b>(
        &mut self,
        events: impl ExactSizeIterator<Item = Appended<'b>>,
        bytes: usize,
        position: u64,
        tail: &mut Tail,
    ) -> Vec<Streamed<'b>> {
        self.cuts.clear();
        tail.reserve(events.len());
        let mut streamed = Vec::new();
        let mut events = events.enumerate().peekable();
        while let Some((number, event)) = events.next() {
            let end = events.peek().map_or(bytes, |(_, next)| next.at);
            let (cut, index) = self.place(number, &event, end);
            let topic = self.topics[event.topic as usize];
            let Cut { first, start, .. } = self.cuts[cut as usize];
            let block = position + u64::from(first);
            tail.push_event(topic, event.time, block, index, (event.at - start) as u32);
            if let Some(stream) = event.stream {
                streamed.push(Streamed { stream, at: event.at, cut, index });
            }
        }
        for cut in &self.cuts {
            let first = position + u64::from(cut.first);
            tail.push_block(first, first + u64::from(cut.events), cut.end - cut.start);
        }
        // Those of one stream in their order, as `at` grows with each.
        streamed.sort_unstable_by(|a, b| (a.stream, a.at).cmp(&(b.stream, b.at)));
        streamed
    }

    /// The block of an event, and its number in it.
    fn place(&mut self, number: usize, event: &Appended<'_>, end: usize) -> (u32, u16) {
        match self.cuts.last_mut() {
            Some(cut) if (cut.events as usize) < MOST_EVENTS && end - cut.start <= MOST_BYTES => {
                cut.events += 1;
                cut.latest = cut.latest.max(event.time);
                cut.end = end;
            }
            _ => self.cuts.push(Cut {
                first: number as u32,
                events: 1,
                latest: event.time,
                start: event.at,
                end,
            }),
        }
        let cut = self.cuts.len() - 1;
        (cut as u32, (self.cuts[cut].events - 1) as u16)
    }
}

/// The numbers of the topics. They are asked for often, and programs name them, not strangers: a quick hash does.
pub(super) type Numbers = HashMap<Box<str>, u32, BuildHasherDefault<Quick>>;

/// Eight bytes at a time, each folded into the next by a multiplication.
#[derive(Debug, Default)]
pub(super) struct Quick(u64);

impl Hasher for Quick {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        for word in words.iter().chain([&last]) {
            let folded = u128::from(self.0 ^ u64::from_le_bytes(*word)) * 0x9e37_79b9_7f4a_7c15;
            self.0 = folded as u64 ^ (folded >> 64) as u64;
        }
    }

    #[inline]
    fn write_u8(&mut self, byte: u8) {
        self.0 = self.0.rotate_left(8) ^ u64::from(byte);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
