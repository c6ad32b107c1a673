//! The dispatcher is closed, halted, joined, shut down and dropped, by several threads at random
//! moments, while producers and pollers come to their end or leave.

use crate::{
    harness::explore,
    ring::{
        self,
        case::{CALM, Recipe},
    },
};

const STORM: Recipe = Recipe { storm: true, ..CALM };

#[test]
fn everybody_ends_the_ring() {
    explore(3_000, |rng| ring::run(rng, STORM));
}

#[test]
fn while_pollers_leave() {
    explore(3_000, |rng| ring::run(rng, Recipe { leaving: true, ..STORM }));
}

#[test]
fn while_write_closures_panic() {
    explore(2_000, |rng| ring::run(rng, Recipe { panicking_writes: true, ..STORM }));
}

#[test]
fn while_deadlines_come() {
    explore(2_000, |rng| ring::run(rng, Recipe { timeouts: true, ..STORM }));
}

#[test]
fn while_everything_happens() {
    explore(4_000, |rng| {
        let everything = Recipe {
            shape: None,
            panicking_writes: true,
            failures: true,
            faults: true,
            leaving: true,
            storm: true,
            timeouts: rng.bool(),
        };
        ring::run(rng, everything);
    });
}
