//! The facade: the only place that names the standard library's atomics, threads and locks.
//!
//! Every atomic, slot, fence, thread, lock, clock and spin of this crate goes through here, so that
//! a model checker can take the place of the standard library without a change above this folder.
//! `cfg(loom)` and `cfg(shuttle)` are set by the build scripts of `loom-tests` and `shuttle-tests`,
//! which compile these same sources; nobody else sets them.
//!
//! | file | what |
//! |---|---|
//! | `slots.rs` | the ring's memory: preallocated cells lent as slices |
//! | `fence.rs` | the asymmetric store-load fence |
//! | `prefetch.rs` | memory that will be needed soon |
//! | `real/` | the face that everybody gets: the standard library and the locks |
//! | `model/` | the face under a model checker |
//!
//! What a face offers:
//!
//! | name | what |
//! |---|---|
//! | `atomic` | atomic integers and `Ordering` |
//! | `barrier` | the fences that `fence.rs` is made of |
//! | `lock` | mutex and condition variable, of two kinds |
//! | `thread` | spawning, naming, pinning, yielding, the number of cores, thread locals; scopes, which a checker's face lacks |
//! | `time` | the clock |
//! | `watch` | what a race detector is told of the slots |
//! | `spin_loop`, `Backoff` | waiting actively |
//! | `PATIENT` | whether spinning before sleeping is worth anything |

pub(crate) mod fence;
pub(crate) mod prefetch;
pub(crate) mod slots;

#[cfg(any(loom, shuttle))]
pub(crate) mod model;
#[cfg(not(any(loom, shuttle)))]
mod real;

#[cfg(any(loom, shuttle))]
use model as face;
#[cfg(not(any(loom, shuttle)))]
use real as face;

pub(crate) use face::{Backoff, PATIENT, atomic, lock, spin_loop, thread, time, watch};
// Handles are counted, not synchronised with: a model learns nothing from a counter of its own.
pub(crate) use std::sync::Arc;
// Holds what is made once and found by looking at it: what is inside is synchronised by itself.
pub(crate) use std::sync::OnceLock;
