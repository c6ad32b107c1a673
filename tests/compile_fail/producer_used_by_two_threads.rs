//! Two threads cannot publish through one handle.

use slipring::{Builder, read};

/// Stands for any way to run two closures in two threads.
fn side_by_side(one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
    let _ = (one, other);
}

fn main() {
    let (mut producer, _dispatcher) =
        Builder::new(8, || 0_u64).then(read("s", |_: &u64, _| ())).start_multi().unwrap();
    side_by_side(
        || drop(producer.publish(|event| *event = 1)),
        || drop(producer.publish(|event| *event = 2)),
    );
}
