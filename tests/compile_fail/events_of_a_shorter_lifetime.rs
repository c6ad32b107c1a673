//! Others see what a producer publishes, and rely on how long it lives.

use slipring::MultiProducer;

fn shortened<'a>(producer: MultiProducer<&'static str>) -> MultiProducer<&'a str> {
    producer
}

fn main() {
    let _ = shortened;
}
