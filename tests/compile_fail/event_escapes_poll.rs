//! An event is lent to a poll's handler for one call.

use slipring::{Builder, poller};

fn main() {
    let (_producer, mut dispatcher) =
        Builder::new(8, || 0_u64).then(poller("hand")).start().unwrap();
    let mut hand = dispatcher.poller("hand").unwrap();
    let mut kept: Option<&u64> = None;
    let _ = hand.poll(|event, _| kept = Some(event));
}
