//! A producer may leave its scope, but not what its events borrow.

use slipring::{Builder, read};

fn main() {
    let _producer = {
        let text = String::from("short-lived");
        let ring = Builder::new(8, || "").then(read("look", |_: &&str, _| ()));
        let (producer, _) = ring
            .scope(|mut producer, _| {
                producer.publish(|event| *event = &text).expect("the ring is open");
                producer
            })
            .expect("nothing fails");
        producer
    };
}
