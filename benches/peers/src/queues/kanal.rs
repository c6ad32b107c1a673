//! `kanal`: `bounded`, whatever the number of producers and consumers.

use kanal::{Receiver, Sender, bounded};
use slipring_bench::Wait;

use super::drained::{Buffered, Drain};
use crate::{
    link::{End, Event, Link, Rx, Shared, Tx, until},
    on_queues::{Queues, several, shared, single},
};

const KANAL: &str = "kanal";

pub(super) fn contestant() -> Queues {
    // Its lock spins: a thread that is preempted with the lock held keeps those that share its core
    // spinning, and some runs of a moment take minutes.
    Queues {
        ends_crowded: false,
        shared: Some(shared::<Kanal>),
        ..Queues::new(KANAL, single::<Kanal>, several::<Kanal>)
    }
}

/// The consumer takes all that is there with `drain_into`, under one lock.
pub(super) fn drained() -> Queues {
    let drained = Queues::new("kanal-drain", single::<Drained>, several::<Drained>);
    Queues { family: KANAL, ends_crowded: false, ..drained }
}

struct Kanal;

struct Drained;

impl Link for Kanal {
    type Tx<T: Event> = End<Sender<T>>;
    type Rx<T: Event> = End<Receiver<T>>;

    fn link<T: Event>(capacity: usize, wait: Wait) -> (Self::Tx<T>, Self::Rx<T>) {
        End::both(bounded(capacity), wait)
    }
}

impl Link for Drained {
    type Tx<T: Event> = End<Sender<T>>;
    type Rx<T: Event> = Buffered<End<Receiver<T>>, T>;

    fn link<T: Event>(capacity: usize, wait: Wait) -> (Self::Tx<T>, Self::Rx<T>) {
        let (tx, rx) = Kanal::link(capacity, wait);
        (tx, Buffered::new(rx, capacity))
    }
}

impl<T: Event> Tx<T> for End<Sender<T>> {
    #[inline]
    fn push(&mut self, value: T) {
        if self.wait == Wait::Block {
            self.end.send(value).expect("the receiver is gone");
            return;
        }
        // A value that was refused is dropped, which costs nothing: it is a copy. `try_send_option`
        // would keep it, at the price of an `Option`.
        until(self.wait, || self.end.try_send(value).expect("the receiver is gone").then_some(()));
    }
}

impl<T: Event> Rx<T> for End<Receiver<T>> {
    #[inline]
    fn pop(&mut self) -> T {
        if self.wait == Wait::Block {
            return self.end.recv().expect("the senders are gone");
        }
        until(self.wait, || self.end.try_recv().expect("the senders are gone"))
    }
}

impl<T: Event> Shared<T> for End<Receiver<T>> {
    #[inline]
    fn next(&mut self) -> Option<T> {
        if self.wait == Wait::Block {
            return self.end.recv().ok();
        }
        until(self.wait, || match self.end.try_recv() {
            Ok(Some(value)) => Some(Some(value)),
            Ok(None) => None,
            Err(_) => Some(None),
        })
    }
}

impl<T: Event> Drain<T> for End<Receiver<T>> {
    #[inline]
    fn drain(&mut self, buffer: &mut Vec<T>) {
        if self.end.drain_into(buffer).expect("the channel is open") == 0 {
            buffer.push(self.pop());
        }
    }
}
