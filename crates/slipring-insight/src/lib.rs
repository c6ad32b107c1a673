//! Eyes on a running ring: what two looks at it tell.
//!
//! * [`Change`]: rates, and who was busy, from two snapshots.

#![forbid(unsafe_code)]

mod change;

pub use change::{Change, StationChange};
