//! A station that changes events has its place to itself, also among its own kind.

use slipring::{Builder, update};

fn main() {
    let _ = Builder::new(8, || 0_u64)
        .then([update("one", |_: &mut u64, _| ()), update("other", |_: &mut u64, _| ())]);
}
