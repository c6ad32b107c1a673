//! `rtrb`: single events by `push` and `pop`, batches by chunks. One producer only, and it cannot
//! block.

use rtrb::{Consumer, Producer, RingBuffer};
use slipring_bench::{Cell, Fault, Load, Outcome, Wait};

use crate::{
    link::{End, Event, Link, Rx, Tx, until},
    on_queues::{Queues, single},
};

const RTRB: &str = "rtrb";

pub(super) fn contestant() -> Queues {
    Queues {
        name: RTRB,
        family: RTRB,
        blocks: false,
        ends_crowded: true,
        batches: 1..=usize::MAX,
        single: run,
        several: None,
        shared: None,
    }
}

/// Single events are pushed one by one, and taken in chunks.
pub(super) fn in_chunks() -> Queues {
    Queues { name: "rtrb-chunks", batches: 1..=1, single: single::<Chunked>, ..contestant() }
}

fn run(cell: &Cell, load: &Load) -> Result<Outcome, Fault> {
    if cell.batch == 1 { single::<Rtrb>(cell, load) } else { single::<Chunked>(cell, load) }
}

struct Rtrb;

struct Chunked;

/// An end that hands over, or takes, whole chunks.
struct Chunks<X>(End<X>);

impl Link for Rtrb {
    type Tx<T: Event> = End<Producer<T>>;
    type Rx<T: Event> = End<Consumer<T>>;

    fn link<T: Event>(capacity: usize, wait: Wait) -> (Self::Tx<T>, Self::Rx<T>) {
        End::both(RingBuffer::new(capacity), wait)
    }
}

impl Link for Chunked {
    type Tx<T: Event> = Chunks<Producer<T>>;
    type Rx<T: Event> = Chunks<Consumer<T>>;

    fn link<T: Event>(capacity: usize, wait: Wait) -> (Self::Tx<T>, Self::Rx<T>) {
        let (tx, rx) = Rtrb::link(capacity, wait);
        (Chunks(tx), Chunks(rx))
    }
}

impl<T: Event> Tx<T> for End<Producer<T>> {
    #[inline]
    fn push(&mut self, value: T) {
        until(self.wait, || self.end.push(value).ok());
    }
}

impl<T: Event> Rx<T> for End<Consumer<T>> {
    #[inline]
    fn pop(&mut self) -> T {
        until(self.wait, || self.end.pop().ok())
    }
}

impl<T: Event> Tx<T> for Chunks<Producer<T>> {
    #[inline]
    fn push(&mut self, value: T) {
        self.0.push(value);
    }

    #[inline]
    fn room(&mut self) -> usize {
        let End { end, wait } = &self.0;
        until(*wait, || some(end.slots()))
    }

    #[inline]
    fn push_run(&mut self, count: usize, values: impl Iterator<Item = T>) {
        let End { end, wait } = &mut self.0;
        // Asked for until it is there, and then once more for good: the chunk of a look that
        // found room borrows the end for longer than the loop may.
        until(*wait, || end.write_chunk_uninit(count).is_ok().then_some(()));
        let chunk = end.write_chunk_uninit(count).expect("only this end fills it");
        chunk.fill_from_iter(values);
    }
}

impl<T: Event> Rx<T> for Chunks<Consumer<T>> {
    #[inline]
    fn pop(&mut self) -> T {
        self.0.pop()
    }

    #[inline]
    fn ready(&mut self) -> usize {
        let End { end, wait } = &self.0;
        until(*wait, || some(end.slots()))
    }

    #[inline]
    fn take<R>(&mut self, count: usize, look: impl FnOnce(&[T], &[T]) -> R) -> R {
        let chunk = self.0.end.read_chunk(count).expect("so many are ready");
        let (head, tail) = chunk.as_slices();
        let seen = look(head, tail);
        chunk.commit_all();
        seen
    }
}

/// A number that is not 0.
#[inline]
fn some(slots: usize) -> Option<usize> {
    (slots > 0).then_some(slots)
}
