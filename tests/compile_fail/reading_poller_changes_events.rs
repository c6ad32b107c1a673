//! A poller that was declared to read cannot change events.

use slipring::{Builder, poller};

fn main() {
    let (_producer, mut dispatcher) =
        Builder::new(8, || 0_u64).then(poller("hand")).start().unwrap();
    let mut hand = dispatcher.poller("hand").unwrap();
    let _ = hand.poll(|event: &mut u64, _| *event = 1);
}
