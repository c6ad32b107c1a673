//! The slots are lent to the write closure one by one and not longer.

use slipring::{Builder, read};

fn main() {
    let (mut producer, _dispatcher) =
        Builder::new(8, || 0_u64).then(read("s", |_: &u64, _| ())).start().unwrap();
    let mut kept: Vec<&mut u64> = Vec::new();
    let _ = producer.publish_batch(2, |_, event| kept.push(event));
}
