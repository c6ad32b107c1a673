//! A handler for a type that never comes is a mistake.

use slipring_events::{Bus, events};

#[derive(Clone, Debug)]
pub struct Paid;

events! {
    pub enum Shop { Paid = "order.paid" }
}

fn main() {
    let bus = Bus::<Shop>::start(8).unwrap();
    let _ = bus.handler("h").on::<String>().run(|_, _| ());
}
