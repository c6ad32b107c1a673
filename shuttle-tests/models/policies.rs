//! Handlers, hooks and write closures that fail and panic.

use crate::{
    harness::explore,
    ring::{
        self,
        case::{CALM, Recipe},
    },
};

#[test]
fn handlers_that_skip_and_retry() {
    explore(2_000, |rng| ring::run(rng, Recipe { failures: true, ..CALM }));
}

#[test]
fn write_closures_that_panic() {
    explore(2_000, |rng| ring::run(rng, Recipe { panicking_writes: true, ..CALM }));
}

#[test]
fn handlers_that_skip_beside_write_closures_that_panic() {
    let recipe = |rng: &mut fastrand::Rng| {
        ring::run(rng, Recipe { failures: true, panicking_writes: true, leaving: true, ..CALM });
    };
    explore(2_000, recipe);
}

#[test]
fn handlers_and_hooks_that_halt_the_ring() {
    explore(3_000, |rng| ring::run(rng, Recipe { failures: true, faults: true, ..CALM }));
}
