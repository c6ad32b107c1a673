//! p15: pollers and threads on one ring; `Closed` comes after the last event and not before.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use loom::{sync::Mutex, thread};
use slipring::{Poll, Wait, poller, read};

use crate::{
    harness::Model,
    shapes::{reader, ring},
};

pub const MODELS: &[Model] = &[
    Model::exhaustive("p15", "closed_after_the_last", (2, 2, 2), closed_after_the_last),
    Model::exhaustive("p15", "gated_or_idle", (3, 1, 1), gated_or_idle),
    Model::exhaustive("p15", "a_poller_behind_a_thread", (2, 1, 1), behind_a_thread)
        .bounded(2)
        .full_bounded(3)
        .both_fences(),
];

fn closed_after_the_last() {
    let (mut producer, mut dispatcher) = ring(2).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let publishing = thread::spawn(move || {
        producer.publish(|slot| *slot = 10).unwrap();
        producer.publish(|slot| *slot = 11).unwrap();
        drop(producer);
    });
    let mut seen = Vec::new();
    for _ in 0..3 {
        if a.poll_at_most(1, |number, _| seen.push(*number)) == Ok(Poll::Closed) {
            assert_eq!(seen, [10, 11]);
            assert!(a.is_over());
        }
    }
    publishing.join().unwrap();
    while let Poll::Events(_) = a.poll(|number, _| seen.push(*number)).unwrap() {}
    assert_eq!(seen, [10, 11]);
    assert_eq!(a.poll(|_, _| ()), Ok(Poll::Closed));
}

/// `Gated` is said only if something is published.
fn gated_or_idle() {
    let (mut producer, mut dispatcher) =
        ring(1).then(poller("first")).then(poller("second")).start().unwrap();
    let mut first = reader(&mut dispatcher, "first");
    let mut second = reader(&mut dispatcher, "second");
    // Not loom's: it orders nothing, and its value is always the newest one.
    let is_publishing = Arc::new(AtomicBool::new(false));
    let publishing = {
        let is_publishing = Arc::clone(&is_publishing);
        thread::spawn(move || {
            is_publishing.store(true, Ordering::Relaxed);
            producer.publish(|slot| *slot = 10).unwrap();
            producer
        })
    };
    let before = thread::spawn(move || {
        first.poll(|_, _| ()).unwrap();
        first
    });
    let mut was_gated = false;
    for _ in 0..2 {
        match second.poll(|number, _| assert_eq!(*number, 10)).unwrap() {
            Poll::Gated => {
                assert!(is_publishing.load(Ordering::Relaxed), "there is nothing to wait for");
                was_gated = true;
            }
            Poll::Idle => assert!(!was_gated, "what is published stays so"),
            Poll::Events(events) => assert_eq!(events, 1),
            Poll::Closed => panic!("nobody has closed the ring"),
        }
        if second.sequence() == 1 {
            break;
        }
    }
    publishing.join().unwrap();
    before.join().unwrap();
}

fn behind_a_thread() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let station = {
        let log = Arc::clone(&log);
        read("thread", move |number: &u64, _| log.lock().unwrap().push(*number))
    };
    let (mut producer, mut dispatcher) =
        ring(1).wait(Wait::Block).then(station).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    producer.publish(|slot| *slot = 10).unwrap();
    drop(producer);
    let mut seen = Vec::new();
    loop {
        assert!(a.wait(Duration::from_hours(1)));
        if a.poll(|number, _| seen.push(*number)) == Ok(Poll::Closed) {
            break;
        }
        assert_eq!(*log.lock().unwrap(), seen, "the thread was first");
    }
    assert_eq!(seen, [10]);
    assert!(dispatcher.join().unwrap().is_complete());
}
