//! A thread cannot be broken off: only a task can be dropped.

use std::time::Duration;

use slipring_events::{AnyEvent, Bus};

fn main() {
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    let _ = bus.handler("h").timeout(Duration::from_secs(1)).run(|_, _| ());
    let _ = bus.handler("i").timeout(Duration::from_secs(1)).inline(|_, _| ());
    let _ = bus.handler("b").timeout(Duration::from_secs(1)).by_hand(|_, _| ());
}
