//! What holds for a station with a thread holds for one without.

use std::cell::Cell;

use slipring::poller;

fn main() {
    let _ = poller::<Cell<u64>>("hand");
}
