//! `slipring` beside its peers: each of them is a [`Contestant`] of `slipring-bench`, so all run the
//! same checked scenarios.
//!
//! * [`rings()`]: libraries whose consumers share a ring.
//! * [`queues()`]: libraries whose edges are bounded queues.
//! * [`buses()`]: event buses, and slipring's among them.
//! * [`Lmax`]: LMAX Disruptor, in a JVM.
//! * [`stores`]: event stores, measured by a program of their own.
//!
//! The README of this crate says what the figures mean and what they do not.

#![deny(unsafe_code)]
#![warn(missing_docs, clippy::pedantic)]
// Counts of threads and of slots fit anywhere.
#![allow(clippy::cast_possible_truncation)]

mod buses;
mod link;
mod lmax;
mod on_queues;
mod queues;
mod rings;
pub mod stores;

pub use buses::buses;
pub use lmax::Lmax;
pub use queues::queues;
pub use rings::rings;

use slipring_bench::{Contestant, contestant};

/// Slipring, the floor, and everybody who is measured beside them.
#[must_use]
pub fn contestants() -> Vec<Box<dyn Contestant>> {
    let lmax: Box<dyn Contestant> = Box::new(Lmax::default());
    contestant::ours()
        .into_iter()
        .chain(rings())
        .chain(queues())
        .chain(buses())
        .chain([lmax])
        .collect()
}
