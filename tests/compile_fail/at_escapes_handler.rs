//! The right to release events ends with the call that it was lent to.

use slipring::{At, read};

fn main() {
    let mut kept: Vec<At<'static>> = Vec::new();
    let _ = read("s", move |_: &u64, at| kept.push(at));
}
