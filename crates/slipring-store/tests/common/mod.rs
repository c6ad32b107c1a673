//! What several of the tests need.

#![allow(dead_code, reason = "each binary of tests uses a part of it")]

pub mod failing;
pub mod harness;
#[cfg(feature = "redis")]
pub mod redis_server;

use std::{
    ops::ControlFlow,
    thread,
    time::{Duration, Instant},
};

use slipring_store::EventStore;

/// Waits until something is so; a generous limit, so that a busy machine is no failure.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The payloads of all events, as the numbers that they are.
pub fn numbers(store: &dyn EventStore) -> Vec<u64> {
    let mut numbers = Vec::new();
    let first = store.bounds().unwrap().first;
    store
        .scan(first, &mut |record| {
            numbers.push(u64::from_le_bytes(record.payload.try_into().unwrap()));
            ControlFlow::Continue(())
        })
        .unwrap();
    numbers
}
