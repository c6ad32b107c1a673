//! One edge of a flow built from queues: a bounded queue, and how its two ends wait.

use slipring_bench::{Wait, contestant::pause};

/// What goes through a queue: small, and cheap to offer again when there was no room.
pub trait Event: Copy + Default + Send + Unpin + 'static {}

impl<T: Copy + Default + Send + Unpin + 'static> Event for T {}

/// The end that takes values in.
pub trait Tx<T: Event>: Send {
    /// Hands `value` over, waiting while there is no room.
    fn push(&mut self, value: T);

    /// The longest run that `push_run` takes without waiting, at least 1: waits until there is one.
    #[inline]
    fn room(&mut self) -> usize {
        1
    }

    /// Hands over `count` values at once. Those without a batch form get runs of one only.
    #[inline]
    fn push_run(&mut self, count: usize, values: impl Iterator<Item = T>) {
        debug_assert_eq!(count, 1, "`fits` keeps batches away");
        values.for_each(|value| self.push(value));
    }
}

/// The end that gives values out.
pub trait Rx<T: Event>: Send {
    /// Takes the next value, waiting while there is none.
    fn pop(&mut self) -> T;

    /// How many values can be taken at once, at least 1: those who can tell wait until there is one.
    #[inline]
    fn ready(&mut self) -> usize {
        1
    }

    /// Shows `look` the next `count` values, of those that are [`ready`](Self::ready), and takes
    /// them. They are in two slices because they may lie on both sides of a ring's seam.
    #[inline]
    fn take<R>(&mut self, count: usize, look: impl FnOnce(&[T], &[T]) -> R) -> R {
        debug_assert_eq!(count, 1, "no more was ready");
        look(&[self.pop()], &[])
    }
}

/// A receiving end that workers may share: each value goes to one of them.
pub trait Shared<T: Event>: Rx<T> + Clone {
    /// Takes the next value, waiting while there is none; nothing once all is taken and the other end is
    /// gone.
    fn next(&mut self) -> Option<T>;
}

/// A kind of queue.
pub trait Link {
    /// Its sending end.
    type Tx<T: Event>: Tx<T> + 'static;
    /// Its receiving end.
    type Rx<T: Event>: Rx<T> + 'static;

    /// A queue of `capacity` values whose ends both wait in this way.
    fn link<T: Event>(capacity: usize, wait: Wait) -> (Self::Tx<T>, Self::Rx<T>);
}

/// An end, with the way it waits.
#[derive(Clone, Debug)]
pub struct End<X> {
    /// The crate's own end.
    pub end: X,
    /// How it waits.
    pub wait: Wait,
}

impl<X> End<X> {
    /// Both ends of a queue.
    pub fn both<Y>((tx, rx): (X, Y), wait: Wait) -> (Self, End<Y>) {
        (Self { end: tx, wait }, End { end: rx, wait })
    }
}

/// Looks until there is something, and pauses between two looks.
#[inline]
pub fn until<T>(wait: Wait, mut look: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = look() {
            return found;
        }
        pause(wait);
    }
}
