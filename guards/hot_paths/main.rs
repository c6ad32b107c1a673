//! The hot paths, each run once under callgrind over exactly [`EVENTS`] events.
//!
//! What is counted is a function marked as a benchmark, without what its argument cost to make and
//! without what becomes of its result; in [`threads`] it is the loop of a station's thread.
//! `cargo xtask guards` runs them.

// Of the code that the macros make.
#![allow(unused_qualifications, clippy::unnecessary_wraps)]

mod limits;
mod pollers;
mod producers;
mod ring;
mod threads;

use gungraun::main;

use pollers::{exclusive, shared};
use producers::{multi, single};
use threads::threaded;

/// What each path handles: nearly a lap, so that nothing wraps, and a round number.
const EVENTS: u64 = 1_000;

main!(library_benchmark_groups = [single, multi, shared, exclusive, threaded]);
