//! Race detection: a watcher beside each slot, which loom checks like the slot itself.
//!
//! The slots themselves stay plain memory, so that runs of them can be lent as slices. Beside each
//! is a cell without content; whoever is lent slots holds their cells, for reading or for writing,
//! until they are given up. An access that is not ordered against another one is found, whatever
//! the values.

use loom::cell::{ConstPtr, MutPtr, UnsafeCell};

/// One watcher for each slot.
#[derive(Debug)]
pub(crate) struct Watchers(Box<[UnsafeCell<()>]>);

/// The watcher of a slot, and of those behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch<'a> {
    watchers: &'a [UnsafeCell<()>],
}

/// An access in progress. Held for as long as the slots are lent.
#[derive(Default)]
pub(crate) struct Held {
    _reading: Vec<ConstPtr<()>>,
    _writing: Vec<MutPtr<()>>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

impl Watchers {
    pub(crate) fn new(slots: usize) -> Self {
        Self((0..slots).map(|_| UnsafeCell::new(())).collect())
    }

    pub(crate) fn at(&self, slot: usize) -> Watch<'_> {
        Watch { watchers: &self.0[slot..] }
    }
}

impl<'a> Watch<'a> {
    /// `len` slots are read from here on; the watch moves behind them.
    pub(crate) fn read(&mut self, len: usize) -> Held {
        let reading = self.take(len).iter().map(UnsafeCell::get).collect();
        Held { _reading: reading, _writing: Vec::new() }
    }

    /// `len` slots are written from here on; the watch moves behind them.
    pub(crate) fn write(&mut self, len: usize) -> Held {
        let writing = self.take(len).iter().map(UnsafeCell::get_mut).collect();
        Held { _reading: Vec::new(), _writing: writing }
    }

    fn take(&mut self, len: usize) -> &'a [UnsafeCell<()>] {
        let (taken, rest) = self.watchers.split_at(len);
        self.watchers = rest;
        taken
    }
}

#[allow(clippy::unused_self)] // What it holds goes with it.
impl Held {
    /// The slots are given up.
    pub(crate) fn end(self) {}
}
