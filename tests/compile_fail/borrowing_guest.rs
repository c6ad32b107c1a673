//! A station with a thread that is attached outlives the closure, even in a scope. One that borrows is polled.

use slipring::{Builder, Start, read};

fn main() {
    let mut seen = 0;
    let _ = Builder::new(8, || 0_u64).without_stations().scope(|_, dispatcher| {
        let guest = read("guest", |_: &u64, _| seen += 1);
        dispatcher.membership().attach(guest, Start::Now).map(|_| ())
    });
}
