//! The standard library's `sync_channel`, whatever the number of producers.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};

use slipring_bench::Wait;

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

impl<T: Event> Tx<T> for End<SyncSender<T>> {
    #[inline]
    fn push(&mut self, value: T) {
        if self.wait == Wait::Block {
            assert!(self.end.send(value).is_ok(), "the receiver is gone");
            return;
        }
        until(self.wait, || match self.end.try_send(value) {
            Ok(()) => Some(()),
            Err(TrySendError::Full(_)) => None,
            Err(TrySendError::Disconnected(_)) => panic!("the receiver is gone"),
        });
    }
}

impl<T: Event> Rx<T> for End<Receiver<T>> {
    #[inline]
    fn pop(&mut self) -> T {
        if self.wait == Wait::Block {
            return self.end.recv().expect("the senders are gone");
        }
        until(self.wait, || match self.end.try_recv() {
            Ok(value) => Some(value),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => panic!("the senders are gone"),
        })
    }
}
