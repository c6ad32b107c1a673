//! One producer: it alone knows the next sequence, so nothing is contended.
//!
//! The producer writes `claimed` before it looks whether the ring is closing, and the closer
//! raises the flag before it looks at `claimed`; the fences between make sure that one of them
//! sees the other (see `sync/fence.rs`). So once the ring is sealed, a claim that will still be
//! published is visible as `claimed != published`, and there are no others.

use crossbeam_utils::CachePadded;

use crate::{
    cursor::Cursor,
    lifecycle::Lifecycle,
    sync::{
        atomic::{AtomicU64, Ordering},
        fence::Fences,
    },
};

#[derive(Debug)]
pub(crate) struct SingleSequencer {
    /// The end of what the producer is writing, on a line that nobody reads before the end.
    claimed: CachePadded<AtomicU64>,
    /// The end of what consumers may read.
    published: Cursor,
}

impl SingleSequencer {
    pub(super) fn new(first: u64) -> Self {
        Self { claimed: CachePadded::new(AtomicU64::new(first)), published: Cursor::new(first) }
    }

    /// Announces the claim of everything before `end`; `false` if the ring is closing, and then
    /// nothing is claimed.
    #[inline]
    #[must_use]
    pub(crate) fn claim(&self, end: u64, lifecycle: &Lifecycle, fences: Fences) -> bool {
        // ORDERING(CLOSE): Relaxed: the light fence orders it before the look at the flag.
        self.claimed.store(end, Ordering::Relaxed);
        fences.light();
        !lifecycle.is_closing()
    }

    /// Takes back a claim whose events were not written.
    #[cold]
    pub(crate) fn retract(&self, first: u64) {
        // ORDERING(CLOSE): Release, pairs with the Acquire in `end`.
        self.claimed.store(first, Ordering::Release);
    }

    #[inline]
    pub(crate) fn publish(&self, end: u64) {
        self.published.publish(end);
    }

    #[inline]
    pub(crate) fn published(&self) -> u64 {
        self.published.passed()
    }

    pub(super) fn close(&self, fences: Fences) {
        fences.heavy();
        // Whoever acquires the seal must see a claim at least as new as the one seen here.
        // ORDERING(CLOSE): Relaxed: the Release of the seal follows.
        self.claimed.load(Ordering::Relaxed);
    }

    /// The end of the stream, unless the last event is still being written.
    pub(super) fn end(&self) -> Option<u64> {
        let published = self.published.passed();
        // ORDERING(CLOSE): Acquire, pairs with the Release in `retract`, and keeps this load
        // behind the one before: if the last event is published in between, nothing is lost but
        // one look.
        let claimed = self.claimed.load(Ordering::Acquire);
        (claimed == published).then_some(published)
    }
}
