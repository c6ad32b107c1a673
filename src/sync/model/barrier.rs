//! The fences that `fence.rs` is made of.
//!
//! Under loom the light side of an asymmetric pair orders what the machine orders, and no more:
//! itself against every heavy one (see `mutation.rs`). So a pair whose either side is missing is
//! found, and so is whoever relies on two light sides meeting each other. On a machine without the
//! system call the light side is nothing, and a handshake that relies on it is found too. Under
//! shuttle each side is a full fence.
//!
//! A model whose property does not rest on handshakes runs with *bare* fences: the machine has the
//! system call, and the light side is as weak as it is when no heavy side is there to see, which is
//! nothing at all. loom orders sequentially consistent fences among each other, and the Relaxed
//! stores behind them, so strictly that they would hide a missing Acquire or Release.

use std::sync::atomic::Ordering;

#[cfg(loom)]
use super::mutation;
#[cfg(shuttle)]
mod mutation {
    pub(super) use shuttle::sync::atomic::{fence, fence as light_fence, fence as heavy_fence};

    pub(super) fn fences_are_ordered() {}
}

/// The light side.
#[cfg_attr(loom, track_caller)]
pub(in crate::sync) fn compiler() {
    // Without the system call there is nothing that makes it more than the compiler's affair.
    if super::fences() == super::Fences::Asymmetric {
        // ORDERING(DEKKER): stands for what the heavy side's system call does to this thread.
        mutation::light_fence(Ordering::SeqCst);
    }
}

#[cfg_attr(loom, track_caller)]
pub(in crate::sync) fn processor() {
    // ORDERING(DEKKER): both sides of a symmetric handshake execute one.
    mutation::fence(Ordering::SeqCst);
}

pub(in crate::sync) mod membarrier {
    use super::{Ordering, mutation};

    /// Whether the kernel of this model has the call.
    pub(in crate::sync) fn register() -> bool {
        mutation::fences_are_ordered();
        crate::sync::model::fences() != crate::sync::model::Fences::Symmetric
    }

    /// The heavy side.
    #[cfg_attr(loom, track_caller)]
    pub(in crate::sync) fn execute() {
        // ORDERING(DEKKER): stands for the system call.
        mutation::heavy_fence(Ordering::SeqCst);
    }
}
