//! What a handler borrows lives longer than the scope that the handler runs in.

use slipring::{Builder, read};

fn main() {
    let ring = {
        let limit = 400;
        Builder::new(8, || 0_u64).then(read("risk", |event: &u64, _| assert!(*event <= limit)))
    };
    let _ = ring.scope(|_, _| ());
}
