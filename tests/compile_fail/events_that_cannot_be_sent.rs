//! Events are written in one thread and read in another: they have to be `Send`.

use std::rc::Rc;

use slipring::Builder;

fn main() {
    let _ = Builder::new(8, || Rc::new(0));
}
