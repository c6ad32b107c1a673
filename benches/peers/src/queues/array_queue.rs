//! `crossbeam`'s `ArrayQueue`: `push` and `pop` in loops. It cannot block, and it does not notice
//! when the other side is gone: workers that share it look at a flag when they find it empty.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Acquire, Ordering::Release},
};

use crossbeam::queue::ArrayQueue;
use slipring_bench::Wait;

use crate::{
    link::{End, Event, Link, Rx, Shared, Tx, until},
    on_queues::{Queues, several, shared, single},
};

pub(super) fn contestant() -> Queues {
    Queues {
        blocks: false,
        shared: Some(shared::<Pool>),
        ..Queues::new("array-queue", single::<Array>, several::<Array>)
    }
}

struct Array;

/// A queue that workers share.
struct Pool;

/// Its sending end: when it is dropped, no more values will come.
struct Feeder<T> {
    end: End<Arc<ArrayQueue<T>>>,
    is_over: Arc<AtomicBool>,
}

/// Its receiving end.
#[derive(Clone)]
struct Worker<T> {
    end: End<Arc<ArrayQueue<T>>>,
    is_over: Arc<AtomicBool>,
}

impl Link for Array {
    type Tx<T: Event> = End<Arc<ArrayQueue<T>>>;
    type Rx<T: Event> = End<Arc<ArrayQueue<T>>>;

    fn link<T: Event>(capacity: usize, wait: Wait) -> (Self::Tx<T>, Self::Rx<T>) {
        let queue = Arc::new(ArrayQueue::new(capacity));
        End::both((Arc::clone(&queue), queue), wait)
    }
}

impl<T: Event> Tx<T> for End<Arc<ArrayQueue<T>>> {
    #[inline]
    fn push(&mut self, value: T) {
        until(self.wait, || self.end.push(value).ok());
    }
}

impl<T: Event> Rx<T> for End<Arc<ArrayQueue<T>>> {
    #[inline]
    fn pop(&mut self) -> T {
        until(self.wait, || self.end.pop())
    }
}

impl Link for Pool {
    type Tx<T: Event> = Feeder<T>;
    type Rx<T: Event> = Worker<T>;

    fn link<T: Event>(capacity: usize, wait: Wait) -> (Self::Tx<T>, Self::Rx<T>) {
        let (tx, rx) = Array::link(capacity, wait);
        let is_over = Arc::new(AtomicBool::new(false));
        (Feeder { end: tx, is_over: Arc::clone(&is_over) }, Worker { end: rx, is_over })
    }
}

impl<T: Event> Tx<T> for Feeder<T> {
    #[inline]
    fn push(&mut self, value: T) {
        self.end.push(value);
    }
}

impl<T> Drop for Feeder<T> {
    fn drop(&mut self) {
        // ORDERING: Release, pairs with the Acquire in `next`: who sees it sees all values.
        self.is_over.store(true, Release);
    }
}

impl<T: Event> Rx<T> for Worker<T> {
    #[inline]
    fn pop(&mut self) -> T {
        self.end.pop()
    }
}

impl<T: Event> Shared<T> for Worker<T> {
    #[inline]
    fn next(&mut self) -> Option<T> {
        let queue = &self.end.end;
        until(self.end.wait, || match queue.pop() {
            // What came before the end may have come after the look.
            None => self.is_over.load(Acquire).then(|| queue.pop()),
            value => Some(value),
        })
    }
}
