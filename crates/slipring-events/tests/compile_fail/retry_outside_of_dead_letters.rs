//! A retry outside of the dead letters would never see a failure.

use slipring_events::{AnyEvent, Bus, DeadLetters, Retry};

fn main() {
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    let letters = DeadLetters::new(8);
    let _ = bus.handler("h").retry(Retry::immediately(1)).dead_letters(&letters).run(|_, _| ());
}
