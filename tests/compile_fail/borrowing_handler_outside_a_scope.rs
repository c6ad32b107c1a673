//! A ring that is started may outlive its starter: its handlers borrow nothing.

use slipring::{Builder, read};

fn main() {
    let limit = 400;
    let _ = Builder::new(8, || 0_u64)
        .then(read("risk", |event: &u64, _| assert!(*event <= limit)))
        .start();
}
