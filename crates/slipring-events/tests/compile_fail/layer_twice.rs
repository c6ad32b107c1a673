//! The second one would silently take the place of the first.

use slipring_events::{AnyEvent, Bus, Retry};

fn main() {
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    let _ = bus.handler("h").retry(Retry::immediately(1)).retry(Retry::immediately(2)).run(|_, _| ());
}
