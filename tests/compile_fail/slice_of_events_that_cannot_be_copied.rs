//! A slice is published by copying it.

use slipring::{Builder, read};

fn main() {
    let (mut producer, _dispatcher) =
        Builder::new(8, String::new).then(read("s", |_: &String, _| ())).start().unwrap();
    let _ = producer.publish_slice(&[String::from("a")]);
}
