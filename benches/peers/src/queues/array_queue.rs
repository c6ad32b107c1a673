//! `crossbeam`'s `ArrayQueue`: `push` and `pop` in loops. It cannot block, and it does not notice
//! when the other side is gone.

use std::sync::Arc;

use crossbeam::queue::ArrayQueue;
use slipring_bench::Wait;

use crate::{
    link::{End, Event, Link, Rx, Tx, until},
    on_queues::{Queues, several, single},
};

pub(super) fn contestant() -> Queues {
    Queues { blocks: false, ..Queues::new("array-queue", single::<Array>, several::<Array>) }
}

struct Array;

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
