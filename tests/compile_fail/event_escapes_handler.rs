//! An event is lent to a handler for one call.

use slipring::read;

fn main() {
    let mut kept: Vec<&'static u64> = Vec::new();
    let _ = read("s", move |event: &u64, _| kept.push(event));
}
