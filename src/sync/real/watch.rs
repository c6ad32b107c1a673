//! What a race detector is told of the slots: here, nothing. See `model/watch.rs`.

use std::marker::PhantomData;

/// One watcher for each slot.
#[derive(Debug)]
pub(crate) struct Watchers;

/// The watcher of a slot, and of those behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch<'a>(PhantomData<&'a Watchers>);

/// An access in progress. Held for as long as the slots are lent.
#[derive(Debug, Default)]
pub(crate) struct Held(());

#[allow(clippy::unused_self)] // The other face uses it.
impl Watchers {
    pub(crate) fn new(_slots: usize) -> Self {
        Self
    }

    #[inline]
    pub(crate) fn at(&self, _slot: usize) -> Watch<'_> {
        Watch(PhantomData)
    }
}

#[allow(clippy::unused_self)] // As above.
impl Watch<'_> {
    /// `len` slots are read from here on; the watch moves behind them.
    #[inline]
    pub(crate) fn read(&mut self, _len: usize) -> Held {
        Held(())
    }

    /// `len` slots are written from here on; the watch moves behind them.
    #[inline]
    pub(crate) fn write(&mut self, _len: usize) -> Held {
        Held(())
    }
}

#[allow(clippy::unused_self)] // The other face uses it.
impl Held {
    /// The slots are given up.
    #[inline]
    pub(crate) fn end(self) {}
}
