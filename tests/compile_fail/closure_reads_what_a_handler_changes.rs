//! What a handler borrows to change is the handler's until the scope has ended.

use slipring::{Builder, read};

fn main() {
    let mut sum = 0;
    let _ = Builder::new(8, || 0_u64)
        .then(read("sum", |event: &u64, _| sum += event))
        .scope(|_, _| println!("{sum}"));
}
