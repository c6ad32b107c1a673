//! p03: no slot is written while somebody still reads it.
//!
//! No reader yields while it reads, to be slow: loom lets a thread that has yielded run when no
//! other one can, so the slot would never be free while somebody wants it. An access that is not
//! ordered before the next one is found however long it takes.

use loom::thread;
use slipring::{At, poller};

use crate::{
    harness::Model,
    shapes::{finish, read_to_the_end, reader, ring, try_each},
};

pub const MODELS: &[Model] = &[
    Model::exhaustive("p03", "one_slot", (2, 1, 3), one_slot),
    Model::exhaustive("p03", "the_slower_of_two", (3, 1, 2), the_slower_of_two),
    Model::exhaustive("p03", "early_release", (2, 2, 4), early_release),
    Model::exhaustive("p03", "a_reader_that_leaves", (2, 1, 3), a_reader_that_leaves),
    Model::exhaustive("p03", "a_chain_that_leaves", (3, 1, 2), a_chain_that_leaves),
];

fn one_slot() {
    let (mut producer, mut dispatcher) = ring(1).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let publishing = thread::spawn(move || {
        // A limit that is known and one that has to be asked for, more than once.
        let mut done = 0;
        for _ in 0..3 {
            done += u64::from(producer.try_publish(|slot| *slot = 10 + done).is_ok());
        }
        (producer, done)
    });
    let mut seen = Vec::new();
    for _ in 0..2 {
        a.poll(|number, _| seen.push(*number)).unwrap();
    }
    let (producer, done) = publishing.join().unwrap();
    drop(producer);
    read_to_the_end(&mut a, &mut seen);
    assert_eq!(seen, (10..10 + done).collect::<Vec<_>>());
}

fn the_slower_of_two() {
    let (mut producer, mut dispatcher) =
        ring(1).then((poller("slow"), poller("fast"))).start().unwrap();
    let (mut slow, mut fast) = (reader(&mut dispatcher, "slow"), reader(&mut dispatcher, "fast"));
    try_each(&mut producer, 10..11);
    let reading = thread::spawn(move || {
        let mut seen = Vec::new();
        slow.poll(|number, _| seen.push(*number)).unwrap();
        (slow, seen)
    });
    let publishing = thread::spawn(move || {
        let left = try_each(&mut producer, 11..12);
        (producer, left)
    });
    let mut seen_fast = Vec::new();
    fast.poll(|number, _| seen_fast.push(*number)).unwrap();
    let (mut slow, mut seen_slow) = reading.join().unwrap();
    let (producer, left) = publishing.join().unwrap();
    drop(producer);
    read_to_the_end(&mut slow, &mut seen_slow);
    read_to_the_end(&mut fast, &mut seen_fast);
    let all = if left.is_empty() { vec![10, 11] } else { vec![10] };
    assert_eq!((seen_slow, seen_fast), (all.clone(), all));
}

/// The first event of a batch is released while the second one is in hand.
fn early_release() {
    let (mut producer, mut dispatcher) = ring(2).then(poller("a").max_batch(2)).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    try_each(&mut producer, 10..12);
    let publishing = thread::spawn(move || {
        let left = try_each(&mut producer, 12..14);
        (producer, left)
    });
    let mut seen = Vec::new();
    a.poll(|number, at: At<'_>| {
        at.release();
        seen.push(*number);
    })
    .unwrap();
    let (producer, left) = publishing.join().unwrap();
    finish(producer, left, &mut a, &mut seen);
    assert_eq!(seen, [10, 11, 12, 13]);
}

/// What it read before it left is as much done with as what it passed.
fn a_reader_that_leaves() {
    let (mut producer, mut dispatcher) = ring(1).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    try_each(&mut producer, 10..11);
    let leaving = thread::spawn(move || {
        let mut seen = Vec::new();
        if let Some(mut batch) = a.read() {
            seen.extend(batch.next().copied());
        }
        seen
    });
    let left = try_each(&mut producer, 11..13);
    assert_eq!(leaving.join().unwrap(), [10]);
    let left = try_each(&mut producer, left);
    assert!(left.is_empty(), "nobody holds the producer back any more");
}

/// The producer looks through two stations that leave one after the other.
fn a_chain_that_leaves() {
    let (mut producer, mut dispatcher) =
        ring(1).then(poller("a")).then(poller("b")).start().unwrap();
    let (mut a, mut b) = (reader(&mut dispatcher, "a"), reader(&mut dispatcher, "b"));
    try_each(&mut producer, 10..11);
    let first = thread::spawn(move || {
        let mut seen = Vec::new();
        a.poll(|number, _| seen.push(*number)).unwrap();
        seen
    });
    let second = thread::spawn(move || {
        let mut seen = Vec::new();
        b.poll(|number, _| seen.push(*number)).unwrap();
        seen
    });
    let left = try_each(&mut producer, 11..12);
    let (by_a, by_b) = (first.join().unwrap(), second.join().unwrap());
    assert_eq!(by_a, [10]);
    assert!(by_b.is_empty() || by_b == [10], "{by_b:?}");
    assert!(try_each(&mut producer, left).is_empty(), "nobody holds the producer back any more");
}
