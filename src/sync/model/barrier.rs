//! The fences that `fence.rs` is made of.
//!
//! An asymmetric pair orders as two full fences do (the light side behaves as if it had been a full
//! one whenever the heavy side was there to see): so under loom each side is one, and a pair whose
//! either side is missing is found. What a model cannot tell is whether somebody relies on two
//! light sides meeting each other; nothing may, and ARCHITECTURE.md says why nothing does.

use std::sync::atomic::Ordering;

#[cfg(loom)]
use super::mutation;
#[cfg(shuttle)]
mod mutation {
    pub(super) use shuttle::sync::atomic::fence;
}

/// The light side: nothing on a kernel without the call, as in life.
#[cfg_attr(loom, track_caller)]
pub(in crate::sync) fn compiler() {
    if super::is_asymmetric() {
        // ORDERING(DEKKER): stands for what the heavy side's system call does to this thread.
        mutation::fence(Ordering::SeqCst);
    }
}

#[cfg_attr(loom, track_caller)]
pub(in crate::sync) fn full() {
    // ORDERING(DEKKER): both sides of a symmetric handshake execute one.
    mutation::fence(Ordering::SeqCst);
}

pub(in crate::sync) mod membarrier {
    use super::{Ordering, mutation};

    /// Whether the kernel of this model has the call.
    pub(in crate::sync) fn register() -> bool {
        crate::sync::model::is_asymmetric()
    }

    /// The heavy side.
    #[cfg_attr(loom, track_caller)]
    pub(in crate::sync) fn execute() {
        // ORDERING(DEKKER): stands for the system call.
        mutation::fence(Ordering::SeqCst);
    }
}
