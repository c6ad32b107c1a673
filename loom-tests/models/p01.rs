//! p01: a consumer sees every event once, in order, with its content.

use loom::thread;
use slipring::{Claim, Dispatcher, Poll, Producer, poller};

use crate::{
    harness::Model,
    shapes::{finish, read_now, read_some, read_to_the_end, reader, ring, try_each},
};

pub const MODELS: &[Model] = &[
    Model::exhaustive("p01", "attempts", (2, 2, 3), attempts),
    Model::exhaustive("p01", "attempts_with_many_producers", (2, 2, 3), attempts_multi),
    Model::exhaustive("p01", "spinning", (2, 1, 2), spinning),
    Model::exhaustive("p01", "batches", (2, 2, 4), batches),
    Model::exhaustive("p01", "references_held", (2, 2, 3), references_held),
    Model::exhaustive("p01", "a_batch_dropped_half_read", (2, 2, 3), dropped_half_read),
    Model::exhaustive("p01", "multicast", (3, 2, 3), multicast).bounded(3),
];

fn attempts() {
    let (producer, dispatcher) = ring(2).then(poller("a")).start().unwrap();
    attempts_of(producer, dispatcher);
}

fn attempts_multi() {
    let (producer, dispatcher) = ring(2).then(poller("a")).start_multi().unwrap();
    attempts_of(producer, dispatcher);
}

fn attempts_of<C: Claim + Send + 'static>(
    mut producer: Producer<u64, C>,
    mut dispatcher: Dispatcher<u64>,
) {
    let mut a = reader(&mut dispatcher, "a");
    let publishing = thread::spawn(move || {
        let left = try_each(&mut producer, 10..13);
        (producer, left)
    });
    let mut seen = read_some(&mut a, 3);
    let (producer, left) = publishing.join().unwrap();
    finish(producer, left, &mut a, &mut seen);
    assert_eq!(seen, [10, 11, 12]);
}

/// Both sides wait for each other in loops.
fn spinning() {
    let (mut producer, mut dispatcher) = ring(1).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let publishing = thread::spawn(move || {
        for number in 10..12 {
            while producer.try_publish(|slot| *slot = number).is_err() {
                thread::yield_now();
            }
        }
        producer
    });
    let mut seen = Vec::new();
    while seen.len() < 2 {
        if a.poll(|number, _| seen.push(*number)) == Ok(Poll::Idle) {
            thread::yield_now();
        }
    }
    publishing.join().unwrap();
    assert_eq!(seen, [10, 11]);
}

/// Batches that wrap, read as slices.
fn batches() {
    let (mut producer, mut dispatcher) =
        ring(2).first_sequence(1).then(poller("a").max_batch(2)).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let publishing = thread::spawn(move || {
        let write = |first| move |index: usize, slot: &mut u64| *slot = first + index as u64;
        producer.try_publish_batch(2, write(10)).expect("the ring is empty");
        let done = producer.try_publish_batch(2, write(12)).is_ok();
        (producer, done)
    });
    let mut seen = Vec::new();
    for _ in 0..2 {
        a.poll_batch(|slice, _| seen.extend_from_slice(slice)).unwrap();
    }
    let (producer, done) = publishing.join().unwrap();
    drop(producer);
    read_to_the_end(&mut a, &mut seen);
    assert_eq!(seen, if done { vec![10, 11, 12, 13] } else { vec![10, 11] });
}

/// A batch taken by `read`, whose references live while the producer goes on.
fn references_held() {
    let (mut producer, mut dispatcher) = ring(2).then(poller("a").max_batch(2)).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let publishing = thread::spawn(move || {
        let left = try_each(&mut producer, 10..13);
        (producer, left)
    });
    let mut seen = Vec::new();
    if let Some(mut batch) = a.read() {
        while let Some(number) = batch.next() {
            seen.push(*number);
        }
    }
    let (producer, left) = publishing.join().unwrap();
    finish(producer, left, &mut a, &mut seen);
    assert_eq!(seen, [10, 11, 12]);
}

/// Of each batch one event is read: what is left of it is read again the next time.
fn dropped_half_read() {
    let (mut producer, mut dispatcher) = ring(2).then(poller("a").max_batch(2)).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let publishing = thread::spawn(move || {
        let left = try_each(&mut producer, 10..13);
        (producer, left)
    });
    let mut seen = Vec::new();
    for _ in 0..2 {
        if let Some(mut batch) = a.read() {
            seen.extend(batch.next().copied());
        }
    }
    let (producer, left) = publishing.join().unwrap();
    finish(producer, left, &mut a, &mut seen);
    assert_eq!(seen, [10, 11, 12]);
}

fn multicast() {
    let (mut producer, mut dispatcher) = ring(2).then((poller("a"), poller("b"))).start().unwrap();
    let (mut a, mut b) = (reader(&mut dispatcher, "a"), reader(&mut dispatcher, "b"));
    let reading = thread::spawn(move || {
        let seen = read_some(&mut a, 2);
        (a, seen)
    });
    let publishing = thread::spawn(move || {
        let left = try_each(&mut producer, 10..13);
        (producer, left)
    });
    let mut seen_by_b = read_some(&mut b, 2);
    let (mut a, mut seen_by_a) = reading.join().unwrap();
    let (mut producer, mut left) = publishing.join().unwrap();
    while !left.is_empty() {
        read_now(&mut a, &mut seen_by_a);
        read_now(&mut b, &mut seen_by_b);
        left = try_each(&mut producer, left);
    }
    drop(producer);
    read_to_the_end(&mut a, &mut seen_by_a);
    read_to_the_end(&mut b, &mut seen_by_b);
    assert_eq!((seen_by_a, seen_by_b), (vec![10, 11, 12], vec![10, 11, 12]));
}
