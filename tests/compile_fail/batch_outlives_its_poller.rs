//! A poller cannot leave while a batch of its events is in hand.

use slipring::{Builder, poller};

fn main() {
    let (_producer, mut dispatcher) =
        Builder::new(8, || 0_u64).then(poller("hand")).start().unwrap();
    let mut hand = dispatcher.poller("hand").unwrap();
    let batch = hand.read();
    drop(hand);
    drop(batch);
}
