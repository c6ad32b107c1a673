//! The face that everybody gets: the standard library, and the locks of `parking_lot`.

pub(super) mod barrier;
pub(crate) mod lock;
pub(crate) mod thread;
pub(crate) mod time;
pub(crate) mod watch;

pub(crate) use crossbeam_utils::Backoff;

/// Atomic integers. `Ordering` is named only together with its edge (ARCHITECTURE.md).
pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
}

/// Spinning for a moment before sleeping is worth it: the other thread may be at it right now.
pub(crate) const PATIENT: bool = true;

/// Tells the processor that this thread waits in a loop.
#[inline]
pub(crate) fn spin_loop() {
    std::hint::spin_loop();
}
