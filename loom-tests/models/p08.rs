//! p08: a producer that panics while it writes leaves nothing behind that anybody waits for: one of
//! many leaves a sequence that everybody passes over, the only one its sequence to be used again.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use loom::thread;
use slipring::{Claim, Producer, Wait, poller};

use crate::{
    harness::{Model, plan_a_panic},
    shapes::{read_some, read_to_the_end, reader, ring, try_each},
};

pub const MODELS: &[Model] = &[
    Model::exhaustive("p08", "one_of_two", (3, 2, 2), one_of_two),
    Model::exhaustive("p08", "in_the_middle_of_a_batch", (2, 4, 4), in_the_middle_of_a_batch),
    Model::exhaustive("p08", "one_after_another", (2, 4, 4), one_after_another),
    Model::exhaustive("p08", "the_only_one", (2, 2, 2), the_only_one),
    Model::exhaustive("p08", "a_sleeper_passes_over", (2, 2, 1), a_sleeper_passes_over)
        .both_fences()
        .bounded(3)
        .full_bounded(4),
];

/// Claims, writes half, and panics.
fn abandon<C: Claim>(producer: &mut Producer<u64, C>, count: usize) {
    let writing = AssertUnwindSafe(|| {
        producer.publish_batch(count, |index, slot| {
            *slot = 99;
            if index + 1 == count {
                plan_a_panic();
            }
        })
    });
    assert!(catch_unwind(writing).is_err());
}

fn one_of_two() {
    let (mut first, mut dispatcher) = ring(2).then(poller("a")).start_multi().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let mut second = first.clone();
    let panicking = thread::spawn(move || abandon(&mut second, 1));
    let reading = thread::spawn(move || {
        let seen = read_some(&mut a, 2);
        (a, seen)
    });
    assert!(try_each(&mut first, 10..11).is_empty());
    panicking.join().unwrap();
    let (mut a, mut seen) = reading.join().unwrap();
    drop(first);
    read_to_the_end(&mut a, &mut seen);
    assert_eq!((seen, a.sequence()), (vec![10], 2));
}

fn in_the_middle_of_a_batch() {
    let (mut producer, mut dispatcher) =
        ring(4).then(poller("a").max_batch(4)).start_multi().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let publishing = thread::spawn(move || {
        try_each(&mut producer, 10..11);
        abandon(&mut producer, 2);
        try_each(&mut producer, 11..12);
        producer
    });
    let mut seen = Vec::new();
    for _ in 0..2 {
        a.poll(|number, _| seen.push(*number)).unwrap();
    }
    drop(publishing.join().unwrap());
    read_to_the_end(&mut a, &mut seen);
    assert_eq!((seen, a.sequence()), (vec![10, 11], 4));
}

/// The list grows while it is read.
fn one_after_another() {
    let (mut producer, mut dispatcher) = ring(4).then(poller("a")).start_multi().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let publishing = thread::spawn(move || {
        for number in 10..12 {
            abandon(&mut producer, 1);
            try_each(&mut producer, number..number + 1);
        }
    });
    let mut seen = Vec::new();
    for _ in 0..2 {
        a.poll(|number, _| seen.push(*number)).unwrap();
    }
    publishing.join().unwrap();
    read_to_the_end(&mut a, &mut seen);
    assert_eq!((seen, a.sequence()), (vec![10, 11], 4));
}

fn the_only_one() {
    let (mut producer, mut dispatcher) = ring(2).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let publishing = thread::spawn(move || {
        abandon(&mut producer, 1);
        assert_eq!(producer.try_publish(|slot| *slot = 10), Ok(0), "the sequence is used again");
        abandon(&mut producer, 1);
        assert_eq!(producer.try_publish(|slot| *slot = 11), Ok(1));
    });
    let mut seen = read_some(&mut a, 2);
    publishing.join().unwrap();
    read_to_the_end(&mut a, &mut seen);
    assert_eq!(seen, [10, 11]);
}

/// Nothing to handle, but something to pass: the sleeper is woken, and its followers with it.
fn a_sleeper_passes_over() {
    let (mut producer, mut dispatcher) =
        ring(2).wait(Wait::Block).then(poller("a")).start_multi().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let sleeping = thread::spawn(move || {
        while a.sequence() < 1 {
            assert!(a.wait(Duration::from_hours(1)));
            a.poll(|_, _| -> () { panic!("nobody sees it") }).unwrap();
        }
    });
    abandon(&mut producer, 1);
    sleeping.join().unwrap();
}
