//! A receiving end that takes all that is there into a buffer of its own, and gives it out from there.

use crate::link::{Event, Rx};

/// An end that can be emptied at once.
pub(super) trait Drain<T>: Send {
    /// Moves all values into the empty buffer, waiting while there is none.
    fn drain(&mut self, buffer: &mut Vec<T>);
}

/// Such an end with its buffer.
pub(super) struct Buffered<X, T> {
    end: X,
    buffer: Vec<T>,
    taken: usize,
}

impl<X, T> Buffered<X, T> {
    pub(super) fn new(end: X, capacity: usize) -> Self {
        Self { end, buffer: Vec::with_capacity(capacity), taken: 0 }
    }
}

impl<T: Event, X: Drain<T>> Rx<T> for Buffered<X, T> {
    #[inline]
    fn pop(&mut self) -> T {
        self.ready();
        self.take(1, |head, _| head[0])
    }

    #[inline]
    fn ready(&mut self) -> usize {
        if self.taken == self.buffer.len() {
            self.buffer.clear();
            self.taken = 0;
            self.end.drain(&mut self.buffer);
        }
        self.buffer.len() - self.taken
    }

    #[inline]
    fn take<R>(&mut self, count: usize, look: impl FnOnce(&[T], &[T]) -> R) -> R {
        let run = self.taken..self.taken + count;
        self.taken = run.end;
        look(&self.buffer[run], &[])
    }
}
