//! A handler closure is made in one thread and runs in another. State that must stay in one thread
//! is made there, with `read_with`.

use std::{cell::Cell, rc::Rc};

use slipring::read;

fn main() {
    let count = Rc::new(Cell::new(0));
    let _ = read("s", move |event: &u64, _| count.set(count.get() + event));
}
