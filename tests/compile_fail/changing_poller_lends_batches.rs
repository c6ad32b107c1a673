//! Batches in hand are for reading.

use slipring::{Builder, poller_mut};

fn main() {
    let (_producer, mut dispatcher) =
        Builder::new(8, || 0_u64).then(poller_mut("hand")).start().unwrap();
    let mut hand = dispatcher.poller_mut("hand").unwrap();
    let _ = hand.read();
}
