//! The life of a ring: open, closing, sealed, perhaps halted.
//!
//! | flag | meaning | set by |
//! |---|---|---|
//! | `CLOSING` | no new claim may be made | `close`, `halt`, a fault |
//! | `SEALED` | no claim that did not see `CLOSING` is unknown any more: the end is certain | the closer, after its heavy fence |
//! | `HALTED` | stations stop where they are | `halt`, a fault |
//!
//! Flags are only ever added.

use crossbeam_utils::CachePadded;

use crate::{
    error::{Fault, PublishError},
    sync::{
        atomic::{AtomicU8, Ordering},
        lock::Mutex,
    },
};

const CLOSING: u8 = 1;
const SEALED: u8 = 2;
const HALTED: u8 = 4;

#[derive(Debug, Default)]
pub(crate) struct Lifecycle {
    /// Read by producers before each claim, written a few times in the life of a ring.
    flags: CachePadded<AtomicU8>,
    fault: Mutex<Option<Fault>>,
}

impl Lifecycle {
    /// Whether claims are to be refused.
    #[inline]
    pub(crate) fn is_closing(&self) -> bool {
        // ORDERING(CLOSE): Relaxed: a single producer's claim is ordered by the light fence before
        // this load, which pairs with the closer's heavy one; others need no order.
        self.flags.load(Ordering::Relaxed) & CLOSING != 0
    }

    /// Whether every claim that will ever be made is known.
    #[inline]
    pub(crate) fn is_sealed(&self) -> bool {
        // ORDERING(SEAL): Acquire, pairs with the Release in `seal`: whoever sees the seal sees
        // the claims that the closer saw.
        self.flags.load(Ordering::Acquire) & SEALED != 0
    }

    #[inline]
    pub(crate) fn is_halted(&self) -> bool {
        // ORDERING(HALT): Relaxed: only a signal to stop; the fault has a lock of its own.
        self.flags.load(Ordering::Relaxed) & HALTED != 0
    }

    pub(crate) fn begin_closing(&self) {
        // ORDERING(CLOSE): Relaxed: the closer's heavy fence follows.
        self.flags.fetch_or(CLOSING, Ordering::Relaxed);
    }

    pub(crate) fn seal(&self) {
        // ORDERING(SEAL): Release, pairs with the Acquire in `is_sealed`.
        self.flags.fetch_or(SEALED, Ordering::Release);
    }

    /// Records why the ring is halted, if nobody did before, and tells everybody to stop.
    pub(crate) fn halt(&self, fault: Option<Fault>) {
        let mut first = self.fault.lock();
        if first.is_none() && !self.is_halted() {
            *first = fault;
        }
        // ORDERING(HALT): Relaxed: as in `is_halted`. With the lock held, so that the fault that
        // came first is the one that is told.
        self.flags.fetch_or(HALTED | CLOSING, Ordering::Relaxed);
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault.lock().clone()
    }

    /// What a refused producer is told.
    #[cold]
    pub(crate) fn refusal(&self) -> PublishError {
        self.fault().map_or(PublishError::Closed, PublishError::Halted)
    }
}
