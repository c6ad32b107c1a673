//! p06: nobody sleeps through what it waits for. A lost wake-up is a deadlock, which loom finds.

use loom::thread;
use slipring::{Wait, poller, poller_mut};

use crate::{
    harness::Model,
    shapes::{LONG, changer, read_asleep, read_now, reader, ring},
};

pub const MODELS: &[Model] = &[
    Model::exhaustive("p06", "one_sleeper", (2, 2, 2), one_sleeper)
        .both_fences()
        .bounded(3)
        .full_bounded(4),
    Model::exhaustive("p06", "two_sleepers", (3, 2, 1), two_sleepers)
        .both_fences()
        .bounded(3)
        .full_bounded(3),
    Model::exhaustive("p06", "two_publishers", (3, 2, 2), two_publishers)
        .both_fences()
        .bounded(3)
        .full_bounded(3),
    Model::exhaustive("p06", "a_follower", (3, 1, 1), a_follower)
        .both_fences()
        .bounded(3)
        .full_bounded(3),
    Model::exhaustive("p06", "a_follower_of_two", (3, 1, 1), a_follower_of_two)
        .both_fences()
        .bounded(3)
        .full_bounded(3),
    Model::exhaustive("p06", "whoever_is_followed_leaves", (2, 2, 1), the_followed_leaves)
        .both_fences(),
    Model::exhaustive("p06", "a_producer", (2, 1, 2), a_producer).both_fences(),
    Model::exhaustive("p06", "two_producers", (3, 1, 2), two_producers)
        .both_fences()
        .bounded(1)
        .full_bounded(1),
    Model::exhaustive("p06", "a_producer_behind_two", (3, 1, 2), a_producer_behind_two)
        .both_fences()
        .bounded(3)
        .full_bounded(3),
    Model::exhaustive("p06", "a_producer_and_a_leaver", (2, 1, 2), a_producer_and_a_leaver)
        .both_fences(),
    Model::exhaustive("p06", "one_of_many_producers_and_a_leaver", (2, 1, 4), many_and_a_leaver)
        .both_fences(),
    Model::exhaustive("p06", "a_producer_behind_the_reset_hook", (3, 1, 2), behind_the_reset_hook)
        .both_fences()
        .bounded(2)
        .full_bounded(2),
];

fn one_sleeper() {
    let (mut producer, mut dispatcher) =
        ring(2).wait(Wait::Block).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let sleeping = thread::spawn(move || read_asleep(&mut a, 2));
    producer.publish(|slot| *slot = 10).unwrap();
    producer.publish(|slot| *slot = 11).unwrap();
    assert_eq!(sleeping.join().unwrap(), [10, 11]);
}

fn two_sleepers() {
    let (mut producer, mut dispatcher) =
        ring(2).wait(Wait::Block).then((poller("a"), poller("b"))).start().unwrap();
    let sleeping = ["a", "b"].map(|name| {
        let mut poller = reader(&mut dispatcher, name);
        thread::spawn(move || read_asleep(&mut poller, 1))
    });
    producer.publish(|slot| *slot = 10).unwrap();
    for thread in sleeping {
        assert_eq!(thread.join().unwrap(), [10]);
    }
}

fn two_publishers() {
    let (mut first, mut dispatcher) =
        ring(2).wait(Wait::Block).then(poller("a")).start_multi().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let mut second = first.clone();
    let sleeping = thread::spawn(move || read_asleep(&mut a, 2));
    let publishing = thread::spawn(move || {
        second.publish(|slot| *slot = 20).unwrap();
        second
    });
    first.publish(|slot| *slot = 10).unwrap();
    let mut seen = sleeping.join().unwrap();
    seen.sort_unstable();
    assert_eq!(seen, [10, 20]);
    publishing.join().unwrap();
}

/// It sleeps for the producer, or for the stage before it.
fn a_follower() {
    let (mut producer, mut dispatcher) =
        ring(1).wait(Wait::Block).then(poller_mut("stamp")).then(poller("a")).start().unwrap();
    let mut stamp = changer(&mut dispatcher, "stamp");
    let mut a = reader(&mut dispatcher, "a");
    let sleeping = thread::spawn(move || read_asleep(&mut a, 1));
    let stamping = thread::spawn(move || {
        assert!(stamp.wait(LONG));
        stamp.poll(|number, _| *number += 100).unwrap();
        stamp
    });
    producer.publish(|slot| *slot = 10).unwrap();
    assert_eq!(sleeping.join().unwrap(), [110]);
    stamping.join().unwrap();
}

/// Two cursors are in its way, and move in any order.
fn a_follower_of_two() {
    let (mut producer, mut dispatcher) = ring(1)
        .wait(Wait::Block)
        .then((poller("left"), poller("right")))
        .then(poller("a"))
        .start()
        .unwrap();
    let (mut left, mut right) = (reader(&mut dispatcher, "left"), reader(&mut dispatcher, "right"));
    let mut a = reader(&mut dispatcher, "a");
    producer.publish(|slot| *slot = 10).unwrap();
    let sleeping = thread::spawn(move || read_asleep(&mut a, 1));
    let moving = thread::spawn(move || {
        left.poll(|_, _| ()).unwrap();
        left
    });
    right.poll(|_, _| ()).unwrap();
    assert_eq!(sleeping.join().unwrap(), [10]);
    moving.join().unwrap();
}

fn the_followed_leaves() {
    let (mut producer, mut dispatcher) =
        ring(2).wait(Wait::Block).then(poller("leaves")).then(poller("a")).start().unwrap();
    let leaves = reader(&mut dispatcher, "leaves");
    let mut a = reader(&mut dispatcher, "a");
    producer.publish(|slot| *slot = 10).unwrap();
    let sleeping = thread::spawn(move || read_asleep(&mut a, 1));
    drop(leaves);
    assert_eq!(sleeping.join().unwrap(), [10]);
}

fn a_producer() {
    let (mut producer, mut dispatcher) =
        ring(1).wait(Wait::Block).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    producer.publish(|slot| *slot = 10).unwrap();
    let sleeping = thread::spawn(move || {
        producer.publish(|slot| *slot = 11).unwrap();
        producer
    });
    let mut seen = Vec::new();
    a.poll(|number, _| seen.push(*number)).unwrap();
    let producer = sleeping.join().unwrap();
    read_now(&mut a, &mut seen);
    assert_eq!(seen, [10, 11]);
    drop(producer);
}

/// Both sleep for the one slot, which is freed twice.
fn two_producers() {
    let (first, mut dispatcher) =
        ring(1).wait(Wait::Block).then(poller("a")).start_multi().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let second = first.clone();
    let sleeping = [(first, 10), (second, 20)].map(|(mut producer, number)| {
        thread::spawn(move || {
            producer.publish(|slot| *slot = number).unwrap();
            producer
        })
    });
    let mut seen = read_asleep(&mut a, 2);
    seen.sort_unstable();
    assert_eq!(seen, [10, 20]);
    for thread in sleeping {
        thread.join().unwrap();
    }
}

fn a_producer_behind_two() {
    let (mut producer, mut dispatcher) =
        ring(1).wait(Wait::Block).then((poller("a"), poller("b"))).start().unwrap();
    let (mut a, mut b) = (reader(&mut dispatcher, "a"), reader(&mut dispatcher, "b"));
    producer.publish(|slot| *slot = 10).unwrap();
    let sleeping = thread::spawn(move || {
        producer.publish(|slot| *slot = 11).unwrap();
        producer
    });
    let moving = thread::spawn(move || {
        a.poll(|_, _| ()).unwrap();
        a
    });
    b.poll(|_, _| ()).unwrap();
    sleeping.join().unwrap();
    moving.join().unwrap();
}

fn a_producer_and_a_leaver() {
    let (mut producer, mut dispatcher) =
        ring(1).wait(Wait::Block).then(poller("a")).start().unwrap();
    let a = reader(&mut dispatcher, "a");
    producer.publish(|slot| *slot = 10).unwrap();
    let sleeping = thread::spawn(move || {
        producer.publish(|slot| *slot = 11).unwrap();
        producer
    });
    drop(a);
    sleeping.join().unwrap();
}

/// What the leaver has seen published, more than a lap ago, is known when it has left: nothing else
/// would wake the producer.
fn many_and_a_leaver() {
    let (mut producer, mut dispatcher) =
        ring(1).wait(Wait::Block).then(poller("a")).start_multi().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let mut seen = Vec::new();
    producer.publish(|slot| *slot = 10).unwrap();
    read_now(&mut a, &mut seen);
    producer.publish(|slot| *slot = 11).unwrap();
    read_now(&mut a, &mut seen);
    producer.publish(|slot| *slot = 12).unwrap();
    let sleeping = thread::spawn(move || {
        producer.publish(|slot| *slot = 13).unwrap();
        producer
    });
    drop(a);
    sleeping.join().unwrap();
    assert_eq!(seen, [10, 11]);
}

/// Whoever of the last two passes last must clear the slot, or the producer must.
fn behind_the_reset_hook() {
    let (mut producer, mut dispatcher) = ring(1)
        .wait(Wait::Block)
        .reset(|slot| *slot = 0)
        .then((poller("a"), poller("b")))
        .start()
        .unwrap();
    let (mut a, mut b) = (reader(&mut dispatcher, "a"), reader(&mut dispatcher, "b"));
    producer.publish(|slot| *slot = 10).unwrap();
    let moving = thread::spawn(move || {
        a.poll(|_, _| ()).unwrap();
        a
    });
    let sleeping = thread::spawn(move || {
        producer
            .publish(|slot| {
                assert_eq!(*slot, 0, "cleared before it was given out again");
                *slot = 11;
            })
            .unwrap();
        producer
    });
    b.poll(|_, _| ()).unwrap();
    moving.join().unwrap();
    sleeping.join().unwrap();
}
