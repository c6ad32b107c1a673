//! The reset hook belongs to the slots, which live as long as the last producer does.

use slipring::{Builder, read};

fn main() {
    let mut cleared = 0;
    let _ = Builder::new(8, || 0_u64)
        .reset(|_| cleared += 1)
        .then(read("look", |_: &u64, _| ()))
        .scope(|_, _| ());
}
