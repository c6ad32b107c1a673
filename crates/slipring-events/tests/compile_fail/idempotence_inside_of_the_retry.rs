//! An id that is recorded inside of the retry would be recorded before the event is handled.

use slipring_events::{AnyEvent, Bus, Retry};

fn main() {
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    let _ = bus.handler("h").retry(Retry::immediately(1)).idempotent(8).run(|_, _| ());
}
