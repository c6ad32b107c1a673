//! A station that changes events must be ordered against all others, and so cannot come later.

use slipring::{Builder, Start, read, update};

fn main() {
    let (_producer, dispatcher) =
        Builder::new(8, || 0_u64).then(read("here", |_: &u64, _| ())).start().unwrap();
    let members = dispatcher.membership();
    let _ = members.attach(update("late", |event: &mut u64, _| *event = 1), Start::Now);
}
