//! What events borrow lives longer than the scope: slots keep it until the ring is dropped.

use slipring::{Builder, read};

fn main() {
    let _ = Builder::new(8, || "").then(read("look", |_: &&str, _| ())).scope(|mut producer, _| {
        let text = String::from("short-lived");
        producer.publish(|event| *event = &text)
    });
}
