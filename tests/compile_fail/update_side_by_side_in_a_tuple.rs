//! A station that changes events has its place to itself.

use slipring::{Builder, read, update};

fn main() {
    let _ = Builder::new(8, || 0_u64)
        .then((read("reads", |_: &u64, _| ()), update("changes", |_: &mut u64, _| ())));
}
