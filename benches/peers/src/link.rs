//! One edge of a flow built from channels: a bounded queue whose two ends wait in one way.

use std::marker::PhantomData;
use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};
use crossbeam::queue::ArrayQueue;

use crate::pause::Pause;

/// The end that takes values in.
pub trait Tx<T>: Clone + Send {
    /// Hands `value` over, waiting while there is no room.
    fn push(&self, value: T);
}

/// The end that gives values out.
pub trait Rx<T>: Send {
    /// Takes the next value, waiting while there is none.
    fn pop(&self) -> T;
}

/// A kind of queue.
pub trait Link {
    /// Its sending end.
    type Tx<T: Send>: Tx<T>;
    /// Its receiving end.
    type Rx<T: Send>: Rx<T>;

    /// A queue of `capacity` values.
    fn link<T: Send>(capacity: usize) -> (Self::Tx<T>, Self::Rx<T>);
}

/// `crossbeam-channel` with `send` and `recv`.
pub struct Blocking;

/// `crossbeam-channel` with `try_send` and `try_recv` in loops.
pub struct Looping<P>(PhantomData<P>);

/// `ArrayQueue` with `push` and `pop` in loops.
pub struct Queue<P>(PhantomData<P>);

/// An end with the wait its loop uses.
pub struct Paused<End, P> {
    end: End,
    pause: PhantomData<P>,
}

impl<End, P> Paused<End, P> {
    fn new(end: End) -> Self {
        Self { end, pause: PhantomData }
    }
}

impl<End: Clone, P> Clone for Paused<End, P> {
    fn clone(&self) -> Self {
        Self::new(self.end.clone())
    }
}

impl Link for Blocking {
    type Tx<T: Send> = Sender<T>;
    type Rx<T: Send> = Receiver<T>;

    fn link<T: Send>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        bounded(capacity)
    }
}

impl<P: Pause> Link for Looping<P> {
    type Tx<T: Send> = Paused<Sender<T>, P>;
    type Rx<T: Send> = Paused<Receiver<T>, P>;

    fn link<T: Send>(capacity: usize) -> (Self::Tx<T>, Self::Rx<T>) {
        let (tx, rx) = bounded(capacity);
        (Paused::new(tx), Paused::new(rx))
    }
}

impl<P: Pause> Link for Queue<P> {
    type Tx<T: Send> = Paused<Arc<ArrayQueue<T>>, P>;
    type Rx<T: Send> = Paused<Arc<ArrayQueue<T>>, P>;

    fn link<T: Send>(capacity: usize) -> (Self::Tx<T>, Self::Rx<T>) {
        let queue = Arc::new(ArrayQueue::new(capacity));
        (Paused::new(Arc::clone(&queue)), Paused::new(queue))
    }
}

impl<T: Send> Tx<T> for Sender<T> {
    #[inline]
    fn push(&self, value: T) {
        assert!(self.send(value).is_ok(), "the receiver is gone");
    }
}

impl<T: Send> Rx<T> for Receiver<T> {
    #[inline]
    fn pop(&self) -> T {
        self.recv().expect("the senders are gone")
    }
}

impl<T: Send, P: Pause> Tx<T> for Paused<Sender<T>, P> {
    #[inline]
    fn push(&self, value: T) {
        let mut value = value;
        loop {
            match self.end.try_send(value) {
                Ok(()) => return,
                Err(TrySendError::Full(back)) => value = back,
                Err(TrySendError::Disconnected(_)) => panic!("the receiver is gone"),
            }
            P::pause();
        }
    }
}

impl<T: Send, P: Pause> Rx<T> for Paused<Receiver<T>, P> {
    #[inline]
    fn pop(&self) -> T {
        loop {
            match self.end.try_recv() {
                Ok(value) => return value,
                Err(TryRecvError::Empty) => P::pause(),
                Err(TryRecvError::Disconnected) => panic!("the senders are gone"),
            }
        }
    }
}

impl<T: Send, P: Pause> Tx<T> for Paused<Arc<ArrayQueue<T>>, P> {
    #[inline]
    fn push(&self, value: T) {
        let mut value = value;
        while let Err(back) = self.end.push(value) {
            value = back;
            P::pause();
        }
    }
}

impl<T: Send, P: Pause> Rx<T> for Paused<Arc<ArrayQueue<T>>, P> {
    #[inline]
    fn pop(&self) -> T {
        loop {
            match self.end.pop() {
                Some(value) => return value,
                None => P::pause(),
            }
        }
    }
}
