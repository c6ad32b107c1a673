//! The slot is lent to the write closure and not longer.

use slipring::{Builder, read};

fn main() {
    let (mut producer, _dispatcher) =
        Builder::new(8, || 0_u64).then(read("s", |_: &u64, _| ())).start().unwrap();
    let mut kept: Option<&mut u64> = None;
    let _ = producer.publish(|event| kept = Some(event));
    *kept.unwrap() = 1;
}
