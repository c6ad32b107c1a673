//! p02: a stage never touches an event that the stage before has not finished, and sees all that
//! it wrote.

use loom::thread;
use slipring::{poller, poller_mut};

use crate::{
    harness::Model,
    shapes::{
        change_now, change_some, changer, read_now, read_some, read_to_the_end, reader, ring,
        try_each,
    },
};

pub const MODELS: &[Model] = &[
    Model::exhaustive("p02", "pipeline_of_one_slot", (3, 1, 2), || pipeline(1, 2)),
    Model::exhaustive("p02", "pipeline", (3, 2, 3), || pipeline(2, 3)).bounded(3).full_bounded(4),
    Model::exhaustive("p02", "diamond", (4, 1, 1), diamond).bounded(2).full_bounded(4),
    Model::exhaustive("p02", "looking_through_a_departed_stage", (3, 2, 2), looking_through),
];

fn stamp(number: &mut u64) {
    *number += 100;
}

fn pipeline(slots: usize, events: u64) {
    let (mut producer, mut dispatcher) =
        ring(slots).then(poller_mut("stamp")).then(poller("check")).start().unwrap();
    let mut stamping = changer(&mut dispatcher, "stamp");
    let mut check = reader(&mut dispatcher, "check");
    let first = thread::spawn(move || {
        change_some(&mut stamping, events as usize, stamp);
        stamping
    });
    let publishing = thread::spawn(move || {
        let left = try_each(&mut producer, 10..10 + events);
        (producer, left)
    });
    let mut seen = read_some(&mut check, events as usize);
    let mut stamping = first.join().unwrap();
    let (mut producer, mut left) = publishing.join().unwrap();
    while !left.is_empty() {
        change_now(&mut stamping, stamp);
        read_now(&mut check, &mut seen);
        left = try_each(&mut producer, left);
    }
    drop(producer);
    change_now(&mut stamping, stamp);
    read_to_the_end(&mut check, &mut seen);
    assert_eq!(seen, (110..110 + events).collect::<Vec<_>>());
}

/// Two readers side by side, and a stage behind both that changes what they read.
fn diamond() {
    let (mut producer, mut dispatcher) =
        ring(1).then((poller("left"), poller("right"))).then(poller_mut("join")).start().unwrap();
    let (mut left, mut right) = (reader(&mut dispatcher, "left"), reader(&mut dispatcher, "right"));
    let mut join = changer(&mut dispatcher, "join");
    producer.try_publish(|slot| *slot = 10).expect("the ring is empty");
    let on_the_left = thread::spawn(move || {
        let seen = read_some(&mut left, 1);
        (left, seen)
    });
    let on_the_right = thread::spawn(move || {
        let seen = read_some(&mut right, 1);
        (right, seen)
    });
    let behind = thread::spawn(move || {
        change_some(&mut join, 1, stamp);
        join
    });
    let room = try_each(&mut producer, 11..12).is_empty();
    let (mut left, mut seen_left) = on_the_left.join().unwrap();
    let (mut right, mut seen_right) = on_the_right.join().unwrap();
    let mut join = behind.join().unwrap();
    drop(producer);
    read_to_the_end(&mut left, &mut seen_left);
    read_to_the_end(&mut right, &mut seen_right);
    change_now(&mut join, stamp);
    let all = if room { vec![10, 11] } else { vec![10] };
    assert_eq!((seen_left, seen_right), (all.clone(), all));
}

/// The middle stage leaves: the last one follows the first one from then on.
fn looking_through() {
    let (mut producer, mut dispatcher) = ring(2)
        .then(poller_mut("stamp"))
        .then(poller("leaves"))
        .then(poller("check"))
        .start()
        .unwrap();
    let mut stamping = changer(&mut dispatcher, "stamp");
    let mut leaves = reader(&mut dispatcher, "leaves");
    let mut check = reader(&mut dispatcher, "check");
    try_each(&mut producer, 10..12);
    let first = thread::spawn(move || {
        change_some(&mut stamping, 2, stamp);
        stamping
    });
    let leaving = thread::spawn(move || read_some(&mut leaves, 1));
    let mut seen = read_some(&mut check, 2);
    let stamping = first.join().unwrap();
    let seen_by_the_leaver = leaving.join().unwrap();
    drop(producer);
    read_to_the_end(&mut check, &mut seen);
    assert_eq!(seen, [110, 111]);
    assert!(seen_by_the_leaver.is_empty() || seen_by_the_leaver == [110]);
    drop(stamping);
}
