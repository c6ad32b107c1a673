//! The standard library's `sync_channel`, whatever the number of producers.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};

use slipring_bench::Wait;

use super::channel::channel_ends;
use crate::{
    link::{End, Event, Link, Rx, Tx, until},
    on_queues::{Queues, several, single},
};

pub(super) fn contestant() -> Queues {
    Queues::new("sync-channel", single::<Standard>, several::<Standard>)
}

struct Standard;

impl Link for Standard {
    type Tx<T: Event> = End<SyncSender<T>>;
    type Rx<T: Event> = End<Receiver<T>>;

    fn link<T: Event>(capacity: usize, wait: Wait) -> (Self::Tx<T>, Self::Rx<T>) {
        End::both(sync_channel(capacity), wait)
    }
}

channel_ends!(SyncSender<T>, Receiver<T>);
