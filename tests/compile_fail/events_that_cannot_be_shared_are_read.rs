//! Reading stations may run side by side: their events have to be `Sync`.

use std::cell::Cell;

use slipring::read;

fn main() {
    let _ = read("s", |_: &Cell<u64>, _| ());
}
