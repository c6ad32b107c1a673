//! An item of a stream is made of an event, and is not the event.

use slipring::{Builder, poller};

fn main() {
    let (_producer, mut dispatcher) =
        Builder::new(8, || String::new()).then(poller("mine")).start().unwrap();
    let _ = dispatcher.poller("mine").unwrap().into_stream(|event, _| event.as_str());
}
