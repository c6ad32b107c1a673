//! The only producer of a ring stays the only one.

use slipring::{Builder, read};

fn main() {
    let (producer, _dispatcher) =
        Builder::new(8, || 0_u64).then(read("s", |_: &u64, _| ())).start().unwrap();
    let _other = producer.clone();
}
