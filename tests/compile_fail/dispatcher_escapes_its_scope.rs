//! The dispatcher of a ring in a scope is lent to the closure.

use slipring::{Builder, read};

fn main() {
    let _ = Builder::new(8, || 0_u64)
        .then(read("look", |_: &u64, _| ()))
        .scope(|_, dispatcher| dispatcher);
}
