//! Attempts that the breaker stops would use up the throttle.

use std::time::Duration;

use slipring_events::{AnyEvent, Breaker, Bus, Throttle};

fn main() {
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    let throttle = Throttle::per(1, Duration::from_secs(1));
    let _ = bus.handler("h").throttle(throttle).breaker(Breaker::after(1)).run(|_, _| ());
}
