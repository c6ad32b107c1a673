//! The face under a model checker: loom, which tries every order and every stale value, or
//! shuttle, which tries many orders.
//!
//! What differs from the real face, beside the types:
//!
//! * nobody spins before sleeping, and whoever spins yields: else a model would never end;
//! * no thread borrows: loom has no scopes, so `scope.rs` is left out;
//! * the clock stands still ([`time`]): what ends only because time passes is found as a deadlock;
//!   under shuttle a model may let it jump instead;
//! * the two sides of the asymmetric fence order each other, and nothing else ([`barrier`]);
//! * under loom, each slot has a watcher that finds accesses which are not ordered ([`watch`]), and
//!   each ordering can be weakened at run time ([`mutation`]);
//! * under shuttle, where all threads share a thread of the system, a model says itself which of
//!   them unwinds ([`panics`]).

#[cfg(loom)]
pub(crate) use loom as checker;
#[cfg(shuttle)]
pub(crate) use shuttle as checker;

use std::cell::Cell;

pub(super) mod barrier;
pub(crate) mod lock;
#[cfg(loom)]
pub(crate) mod mutation;
#[cfg(shuttle)]
pub(crate) mod panics;
pub(crate) mod thread;
pub(crate) mod time;

#[cfg(loom)]
pub(crate) mod watch;
// Under shuttle everything is sequentially consistent, and a race is found by what it does.
#[cfg(shuttle)]
#[path = "../real/watch.rs"]
pub(crate) mod watch;

#[cfg(loom)]
pub(crate) mod atomic;
#[cfg(shuttle)]
pub(crate) mod atomic {
    pub(crate) use shuttle::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
}

/// No: another thread gets on only when this one yields or sleeps.
pub(crate) const PATIENT: bool = false;

/// Lets the others get on.
pub(crate) fn spin_loop() {
    checker::hint::spin_loop();
}

/// Keeping distance after a lost exchange: makes no difference here.
#[derive(Debug)]
pub(crate) struct Backoff;

#[allow(clippy::unused_self)] // The other face's has state.
impl Backoff {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn spin(&self) {}
}

/// What becomes of the fences of the rings, also of those that are built already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fences {
    /// As on a machine without membarrier(2).
    Symmetric,
    /// As on a machine with it. The default: it orders less, so more is found.
    #[default]
    Asymmetric,
    /// As there, but the light fence orders nothing, not even beside a heavy one: for models whose
    /// property does not rest on such a pair.
    Bare,
}

// Of the system's thread that runs the model: all of the model's threads share it.
std::thread_local! {
    static FENCES: Cell<Fences> = const { Cell::new(Fences::Asymmetric) };
}

/// Says what becomes of the fences of all rings in models that this thread
/// of the system runs.
pub fn set_fences(fences: Fences) {
    FENCES.set(fences);
}

pub(super) fn fences() -> Fences {
    FENCES.get()
}
