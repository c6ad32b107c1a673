//! A shared reference to a handle is no way to publish either.

use slipring::{Builder, read};

fn main() {
    let (producer, _dispatcher) =
        Builder::new(8, || 0_u64).then(read("s", |_: &u64, _| ())).start_multi().unwrap();
    let shared = &producer;
    let _ = shared.publish(|event| *event = 1);
}
