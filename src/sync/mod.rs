//! The facade: the only place that names the standard library's atomics, threads and locks.
//!
//! Every atomic, slot cell, fence, thread, park and spin of this crate goes through here, so that
//! a model checker can take the place of the standard library without a change above this folder.
//!
//! | file | what |
//! |---|---|
//! | `atomic` (here) | atomic integers and `Ordering` |
//! | `slots.rs` | the ring's memory: preallocated cells lent as slices |
//! | `fence.rs` | the asymmetric store-load fence |
//! | `thread.rs` | spawning, naming, pinning, yielding, sleeping, the number of cores |
//! | `lock.rs` | mutex and condition variable |

pub(crate) mod fence;
pub(crate) mod lock;
pub(crate) mod slots;
pub(crate) mod thread;

pub(crate) use crossbeam_utils::Backoff;
pub(crate) use std::{sync::Arc, thread_local, time::Instant};

/// Atomic integers. `Ordering` is named only together with its edge (ARCHITECTURE.md).
pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
}

/// Tells the processor that this thread waits in a loop.
#[inline]
pub(crate) fn spin_loop() {
    std::hint::spin_loop();
}
