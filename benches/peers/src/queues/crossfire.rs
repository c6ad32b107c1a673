//! `crossfire`: its `spsc` flavour where an edge has one producer, its `mpsc` flavour where it has several,
//! and its `mpmc` flavour where workers share it.

use crossfire::{
    BlockingTxTrait, MRx, MTx, Rx as Receiver, TryRecvError, TrySendError, Tx as Sender,
    detect_backoff_cfg, mpmc, mpsc, spsc,
};
use slipring_bench::Wait;

use super::channel::{channel_ends, shared_end};
use crate::{
    link::{End, Event, Link, Rx, Shared, Tx, until},
    on_queues::{Queues, several, shared, single},
};

pub(super) fn contestant() -> Queues {
    Queues {
        shared: Some(shared::<Mpmc>),
        ..Queues::new("crossfire", single::<Spsc>, several::<Mpsc>)
    }
}

struct Spsc;

struct Mpsc;

struct Mpmc;

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

impl Link for Mpmc {
    type Tx<T: Event> = End<MTx<mpmc::Array<T>>>;
    type Rx<T: Event> = End<MRx<mpmc::Array<T>>>;

    fn link<T: Event>(capacity: usize, wait: Wait) -> (Self::Tx<T>, Self::Rx<T>) {
        detect_backoff_cfg();
        End::both(mpmc::bounded_blocking(capacity), wait)
    }
}

channel_ends!(Sender<spsc::Array<T>>, Receiver<spsc::Array<T>>);
channel_ends!(MTx<mpsc::Array<T>>, Receiver<mpsc::Array<T>>);
channel_ends!(MTx<mpmc::Array<T>>, MRx<mpmc::Array<T>>);
shared_end!(MRx<mpmc::Array<T>>);
