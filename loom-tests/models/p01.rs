//! p01: a consumer sees every event once, in order, with its content.

use loom::thread;
use slipring::{Builder, Poll, poller};

use crate::harness::Model;

pub const MODELS: &[Model] = &[
    Model::exhaustive("p01", "spinning", (2, 2, 3), spinning).bounded(2),
    Model::exhaustive("p01", "bounded", (2, 2, 3), bounded),
];

fn spinning() {
    let (mut producer, mut dispatcher) = Builder::new(2, || 0).then(poller("a")).start().unwrap();
    let mut poller = dispatcher.poller("a").unwrap();
    let publishing = thread::spawn(move || {
        for number in 0..3 {
            producer.publish(|event| *event = number + 10).unwrap();
        }
    });
    let mut seen = Vec::new();
    loop {
        match poller.poll(|event, _| seen.push(*event)).unwrap() {
            Poll::Closed => break,
            Poll::Idle | Poll::Gated => thread::yield_now(),
            Poll::Events(_) => {}
        }
    }
    publishing.join().unwrap();
    assert_eq!(seen, [10, 11, 12]);
}

fn bounded() {
    let (mut producer, mut dispatcher) = Builder::new(2, || 0).then(poller("a")).start().unwrap();
    let mut poller = dispatcher.poller("a").unwrap();
    let publishing = thread::spawn(move || {
        let mut done = 0;
        for _ in 0..3 {
            if producer.try_publish(|event| *event = done + 10).is_ok() {
                done += 1;
            }
        }
        (producer, done)
    });
    let mut seen = Vec::new();
    for _ in 0..3 {
        let _ = poller.poll_at_most(1, |event, _| seen.push(*event)).unwrap();
    }
    let (mut producer, mut done) = publishing.join().unwrap();
    while done < 3 {
        let _ = poller.poll(|event, _| seen.push(*event)).unwrap();
        producer.try_publish(|event| *event = done + 10).unwrap();
        done += 1;
    }
    drop(producer);
    while poller.poll(|event, _| seen.push(*event)).unwrap() != Poll::Closed {}
    assert_eq!(seen, [10, 11, 12]);
}
