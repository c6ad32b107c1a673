//! `crossbeam-channel`: `bounded`, whatever the number of producers.

use crossbeam::channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};
use slipring_bench::Wait;

use super::channel::channel_ends;
use crate::{
    link::{End, Event, Link, Rx, Tx, until},
    on_queues::{Queues, several, single},
};

pub(super) fn contestant() -> Queues {
    Queues::new("crossbeam-channel", single::<Channel>, several::<Channel>)
}

struct Channel;

impl Link for Channel {
    type Tx<T: Event> = End<Sender<T>>;
    type Rx<T: Event> = End<Receiver<T>>;

    fn link<T: Event>(capacity: usize, wait: Wait) -> (Self::Tx<T>, Self::Rx<T>) {
        End::both(bounded(capacity), wait)
    }
}

channel_ends!(Sender<T>, Receiver<T>);
