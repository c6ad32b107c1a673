//! `flume`: `bounded`, whatever the number of producers and consumers.

use flume::{Receiver, Sender, TryRecvError, TrySendError, bounded};
use slipring_bench::Wait;

use super::{
    channel::{channel_ends, shared_end},
    drained::{Buffered, Drain},
};
use crate::{
    link::{End, Event, Link, Rx, Shared, Tx, until},
    on_queues::{Queues, several, shared, single},
};

const FLUME: &str = "flume";

pub(super) fn contestant() -> Queues {
    Queues {
        shared: Some(shared::<Flume>),
        ..Queues::new(FLUME, single::<Flume>, several::<Flume>)
    }
}

/// The consumer takes all that is there with `drain`, under one lock.
pub(super) fn drained() -> Queues {
    let drained = Queues::new("flume-drain", single::<Drained>, several::<Drained>);
    Queues { family: FLUME, ..drained }
}

struct Flume;

struct Drained;

impl Link for Flume {
    type Tx<T: Event> = End<Sender<T>>;
    type Rx<T: Event> = End<Receiver<T>>;

    fn link<T: Event>(capacity: usize, wait: Wait) -> (Self::Tx<T>, Self::Rx<T>) {
        End::both(bounded(capacity), wait)
    }
}

channel_ends!(Sender<T>, Receiver<T>);
shared_end!(Receiver<T>);

impl Link for Drained {
    type Tx<T: Event> = End<Sender<T>>;
    type Rx<T: Event> = Buffered<End<Receiver<T>>, T>;

    fn link<T: Event>(capacity: usize, wait: Wait) -> (Self::Tx<T>, Self::Rx<T>) {
        let (tx, rx) = Flume::link(capacity, wait);
        (tx, Buffered::new(rx, capacity))
    }
}

impl<T: Event> Drain<T> for End<Receiver<T>> {
    #[inline]
    fn drain(&mut self, buffer: &mut Vec<T>) {
        buffer.extend(self.end.drain());
        if buffer.is_empty() {
            buffer.push(self.pop());
        }
    }
}
