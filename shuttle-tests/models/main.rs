//! Slipring under shuttle: large rings, shutdown storms and policies, under random schedules. See
//! the README.

mod harness;
mod own_ring;
mod planted;
mod policies;
mod ring;
mod storms;
mod topologies;
