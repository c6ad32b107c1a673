//! `nexus-queue`: its `spsc` ring where an edge has one producer, its `mpsc` ring else. It cannot
//! block.

use nexus_queue::{mpsc, spsc};
use slipring_bench::Wait;

use crate::{
    link::{End, Event, Link, Rx, Tx, until},
    on_queues::{Queues, several, single},
};

pub(super) fn contestant() -> Queues {
    Queues { blocks: false, ..Queues::new("nexus-queue", single::<Spsc>, several::<Mpsc>) }
}

struct Spsc;

struct Mpsc;

impl Link for Spsc {
    type Tx<T: Event> = End<spsc::Producer<T>>;
    type Rx<T: Event> = End<spsc::Consumer<T>>;

    fn link<T: Event>(capacity: usize, wait: Wait) -> (Self::Tx<T>, Self::Rx<T>) {
        End::both(spsc::ring_buffer(capacity), wait)
    }
}

impl Link for Mpsc {
    type Tx<T: Event> = End<mpsc::Producer<T>>;
    type Rx<T: Event> = End<mpsc::Consumer<T>>;

    fn link<T: Event>(capacity: usize, wait: Wait) -> (Self::Tx<T>, Self::Rx<T>) {
        End::both(mpsc::ring_buffer(capacity), wait)
    }
}

impl<T: Event> Tx<T> for End<spsc::Producer<T>> {
    #[inline]
    fn push(&mut self, value: T) {
        until(self.wait, || self.end.push(value).ok());
    }
}

impl<T: Event> Rx<T> for End<spsc::Consumer<T>> {
    #[inline]
    fn pop(&mut self) -> T {
        until(self.wait, || self.end.pop())
    }
}

impl<T: Event> Tx<T> for End<mpsc::Producer<T>> {
    #[inline]
    fn push(&mut self, value: T) {
        until(self.wait, || self.end.push(value).ok());
    }
}

impl<T: Event> Rx<T> for End<mpsc::Consumer<T>> {
    #[inline]
    fn pop(&mut self) -> T {
        until(self.wait, || self.end.pop())
    }
}
