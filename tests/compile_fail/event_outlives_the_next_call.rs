//! An event of a batch is lent until the next one is asked for.

use slipring::{Builder, poller};

fn main() {
    let (_producer, mut dispatcher) =
        Builder::new(8, || 0_u64).then(poller("hand")).start().unwrap();
    let mut hand = dispatcher.poller("hand").unwrap();
    let mut batch = hand.read().unwrap();
    let first = batch.next();
    let _second = batch.next();
    println!("{first:?}");
}
