//! An event of a batch is lent for as long as the batch is held.

use slipring::{Builder, poller};

fn main() {
    let (_producer, mut dispatcher) =
        Builder::new(8, || 0_u64).then(poller("hand")).start().unwrap();
    let mut hand = dispatcher.poller("hand").unwrap();
    let mut batch = hand.read().unwrap();
    let first = batch.next();
    drop(batch);
    println!("{first:?}");
}
