//! A cursor: the next sequence that its owner will touch. One writer, any number of readers. That of a
//! team is raised by its workers, and never lowered.

use crossbeam_utils::CachePadded;

use crate::sync::atomic::{AtomicU64, Ordering};

/// The value of a cursor whose owner has left: it holds nobody back any more, and whoever
/// followed it follows what it followed.
pub(crate) const DETACHED: u64 = u64::MAX;

/// A sequence counter on cache lines of its own.
#[derive(Debug)]
pub(crate) struct Cursor(CachePadded<AtomicU64>);

impl Cursor {
    pub(crate) fn new(sequence: u64) -> Self {
        Self(CachePadded::new(AtomicU64::new(sequence)))
    }

    /// The owner moves on: all that it did to the slots before `sequence` becomes visible to
    /// whoever sees the new value.
    #[inline]
    #[cfg_attr(loom, track_caller)]
    pub(crate) fn hand_on(&self, sequence: u64) {
        // ORDERING(CURSOR): Release, pairs with the Acquire in `passed`.
        self.0.store(sequence, Ordering::Release);
    }

    /// The owner says what it is about to take, or that it did not get it: nothing was done since it
    /// last handed on.
    #[inline]
    pub(crate) fn announce(&self, sequence: u64) {
        // ORDERING(DEAL): Relaxed: the Release of the claim that follows hands it on. Whoever sees it
        // before the claim also sees what this owner did before: the full fence in `Team::reached`
        // lies between.
        self.0.store(sequence, Ordering::Relaxed);
    }

    /// One of several owners moves on, unless another one is further already.
    pub(crate) fn raise(&self, sequence: u64) {
        // ORDERING(CURSOR): Release, pairs with the Acquire in `passed`.
        self.0.fetch_max(sequence, Ordering::Release);
    }

    /// How far the owner has come, as seen by those who follow it.
    #[inline]
    #[cfg_attr(loom, track_caller)]
    pub(crate) fn passed(&self) -> u64 {
        // ORDERING(CURSOR): Acquire, pairs with the Release in `hand_on`: the follower sees what
        // the owner did to the slots, and its own accesses stay behind the look.
        self.0.load(Ordering::Acquire)
    }

    /// How far the owner has come, for a figure or for the owner itself; orders nothing.
    #[inline]
    pub(crate) fn glance(&self) -> u64 {
        // ORDERING(GLANCE): Relaxed: no slot is touched on the strength of this value.
        self.0.load(Ordering::Relaxed)
    }
}
