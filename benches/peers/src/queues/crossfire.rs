//! `crossfire`: its `spsc` flavour where an edge has one producer, its `mpsc` flavour else.

use crossfire::{
    BlockingRxTrait, BlockingTxTrait, MTx, Rx as Receiver, TryRecvError, TrySendError,
    Tx as Sender, detect_backoff_cfg, mpsc, spsc,
};
use slipring_bench::Wait;

use crate::{
    link::{End, Event, Link, Rx, Tx, until},
    on_queues::{Queues, several, single},
};

pub(super) fn contestant() -> Queues {
    Queues::new("crossfire", single::<Spsc>, several::<Mpsc>)
}

struct Spsc;

struct Mpsc;

impl Link for Spsc {
    type Tx<T: Event> = End<Sender<spsc::Array<T>>>;
    type Rx<T: Event> = End<Receiver<spsc::Array<T>>>;

    fn link<T: Event>(capacity: usize, wait: Wait) -> (Self::Tx<T>, Self::Rx<T>) {
        // Its documentation asks programs to call this once; more calls do nothing.
        detect_backoff_cfg();
        End::both(spsc::bounded_blocking(capacity), wait)
    }
}

impl Link for Mpsc {
    type Tx<T: Event> = End<MTx<mpsc::Array<T>>>;
    type Rx<T: Event> = End<Receiver<mpsc::Array<T>>>;

    fn link<T: Event>(capacity: usize, wait: Wait) -> (Self::Tx<T>, Self::Rx<T>) {
        detect_backoff_cfg();
        End::both(mpsc::bounded_blocking(capacity), wait)
    }
}

#[inline]
fn push<T: Event>(end: &impl BlockingTxTrait<T>, wait: Wait, value: T) {
    if wait == Wait::Block {
        assert!(end.send(value).is_ok(), "the receiver is gone");
        return;
    }
    until(wait, || match end.try_send(value) {
        Ok(()) => Some(()),
        Err(TrySendError::Full(_)) => None,
        Err(TrySendError::Disconnected(_)) => panic!("the receiver is gone"),
    });
}

#[inline]
fn pop<T: Event>(end: &impl BlockingRxTrait<T>, wait: Wait) -> T {
    if wait == Wait::Block {
        return end.recv().expect("the senders are gone");
    }
    until(wait, || match end.try_recv() {
        Ok(value) => Some(value),
        Err(TryRecvError::Empty) => None,
        Err(TryRecvError::Disconnected) => panic!("the senders are gone"),
    })
}

impl<T: Event> Tx<T> for End<Sender<spsc::Array<T>>> {
    #[inline]
    fn push(&mut self, value: T) {
        push(&self.end, self.wait, value);
    }
}

impl<T: Event> Rx<T> for End<Receiver<spsc::Array<T>>> {
    #[inline]
    fn pop(&mut self) -> T {
        pop(&self.end, self.wait)
    }
}

impl<T: Event> Tx<T> for End<MTx<mpsc::Array<T>>> {
    #[inline]
    fn push(&mut self, value: T) {
        push(&self.end, self.wait, value);
    }
}

impl<T: Event> Rx<T> for End<Receiver<mpsc::Array<T>>> {
    #[inline]
    fn pop(&mut self) -> T {
        pop(&self.end, self.wait)
    }
}
