//! p16: figures taken while everything moves stay within their bounds.

use std::time::Duration;

use loom::thread;
use slipring::{Policy, Poll, poller};

use crate::{
    harness::{Model, plan_a_panic},
    shapes::{read_now, read_some, reader, ring, try_each},
};

pub const MODELS: &[Model] = &[
    Model::exhaustive("p16", "room", (2, 2, 3), room),
    Model::exhaustive("p16", "room_of_many_producers", (3, 2, 3), room_multi)
        .bounded(3)
        .full_bounded(5),
    Model::exhaustive("p16", "a_report_while_a_poller_leaves", (2, 2, 2), a_report_beside_a_leaver),
    Model::exhaustive("p16", "a_report_while_a_poller_skips", (2, 2, 2), a_report_beside_a_skipper)
        .bounded(2)
        .full_bounded(4),
];

fn room() {
    let (mut producer, mut dispatcher) = ring(2).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let reading = thread::spawn(move || {
        let seen = read_some(&mut a, 2);
        (a, seen)
    });
    for number in 10..13 {
        let before = producer.room();
        assert!(before <= 2);
        // Nobody but this producer takes room away.
        assert!(producer.try_publish(|slot| *slot = number).is_ok() || before == 0);
    }
    reading.join().unwrap();
}

fn room_multi() {
    let (mut first, mut dispatcher) = ring(2).then(poller("a")).start_multi().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let mut second = first.clone();
    let reading = thread::spawn(move || {
        read_some(&mut a, 2);
        a
    });
    let publishing = thread::spawn(move || {
        try_each(&mut second, 20..22);
        assert!(second.room() <= 2);
        second
    });
    assert!(first.room() <= 2);
    try_each(&mut first, 10..11);
    assert!(first.room() <= 2);
    reading.join().unwrap();
    publishing.join().unwrap();
}

/// The position of a poller that leaves is known at every moment.
fn a_report_beside_a_leaver() {
    let (mut producer, mut dispatcher) =
        ring(2).first_sequence(5).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    try_each(&mut producer, 10..12);
    let leaving = thread::spawn(move || read_some(&mut a, 1));
    let report = dispatcher.shutdown(Duration::from_hours(1)).unwrap();
    assert_eq!(leaving.join().unwrap(), [10]);
    let a = report.station("a").unwrap();
    assert_eq!((report.published, a.handled + a.left), (2, 2));
    assert!(a.handled <= 1);
}

fn a_report_beside_a_skipper() {
    let (mut producer, mut dispatcher) =
        ring(2).then(poller("a").policy(Policy::Skip)).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    try_each(&mut producer, 10..12);
    let skipping = thread::spawn(move || {
        let first = a.poll_at_most(1, |_, _| -> () { plan_a_panic() });
        assert_eq!(first, Ok(Poll::Events(1)));
        let mut seen = Vec::new();
        read_now(&mut a, &mut seen);
        (a, seen)
    });
    let report = dispatcher.shutdown(Duration::from_hours(1)).unwrap();
    let (_a, seen) = skipping.join().unwrap();
    assert_eq!(seen, [11]);
    let a = report.station("a").unwrap();
    assert_eq!((report.published, a.handled + a.skipped + a.left), (2, 2));
    // The skipped event came first, and is told first.
    assert!(a.handled <= a.skipped && a.skipped <= 1);
}
