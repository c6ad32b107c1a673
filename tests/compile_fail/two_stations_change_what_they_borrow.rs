//! Stations run at the same time: only one of them borrows to change.

use slipring::{Builder, read};

fn main() {
    let mut sum = 0;
    let _ = Builder::new(8, || 0_u64)
        .then(read("one", |event: &u64, _| sum += event))
        .then(read("two", |event: &u64, _| sum += event))
        .scope(|_, _| ());
}
