//! A handler returns nothing or a result; a value that nobody looks at is a mistake.

use slipring::read;

fn main() {
    let _ = read("s", |event: &u64, _| *event + 1);
}
