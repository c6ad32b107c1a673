//! `crossbeam-channel`: `bounded`, whatever the number of producers and consumers.

use crossbeam::channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};
use slipring_bench::Wait;

use super::channel::{channel_ends, shared_end};
use crate::{
    link::{End, Event, Link, Rx, Shared, Tx, until},
    on_queues::{Queues, several, shared, single},
};

pub(super) fn contestant() -> Queues {
    Queues {
        shared: Some(shared::<Channel>),
        ..Queues::new("crossbeam-channel", single::<Channel>, several::<Channel>)
    }
}

pub(crate) struct Channel;

impl Link for Channel {
    type Tx<T: Event> = End<Sender<T>>;
    type Rx<T: Event> = End<Receiver<T>>;

    fn link<T: Event>(capacity: usize, wait: Wait) -> (Self::Tx<T>, Self::Rx<T>) {
        End::both(bounded(capacity), wait)
    }
}

channel_ends!(Sender<T>, Receiver<T>);
shared_end!(Receiver<T>);
