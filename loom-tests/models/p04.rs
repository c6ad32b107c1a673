//! p04: claims of many producers are unique, and a consumer sees only what is published without a
//! gap before it.

use loom::thread;
use slipring::{MultiProducer, PublishError, poller};

use crate::{
    harness::Model,
    shapes::{read_now, read_some, read_to_the_end, reader, ring, try_each},
};

pub const MODELS: &[Model] = &[
    Model::exhaustive("p04", "one_each", (3, 2, 2), || several_each(2, 1)),
    Model::exhaustive("p04", "a_gap", (3, 2, 2), a_gap),
    Model::exhaustive("p04", "two_each", (3, 4, 4), || several_each(4, 2)),
    Model::exhaustive("p04", "wrapping", (3, 1, 3), wrapping),
    Model::exhaustive("p04", "batch_against_single", (3, 2, 3), batch_against_single),
    Model::exhaustive("p04", "nobody_listens", (3, 1, 4), nobody_listens)
        .bounded(3)
        .full_bounded(4),
    Model::exhaustive("p04", "two_listeners_leave", (3, 1, 4), two_listeners_leave)
        .bounded(2)
        .full_bounded(3),
    Model::exhaustive("p04", "the_last_listener_leaves", (3, 1, 4), the_last_listener_leaves)
        .bounded(3),
];

/// Numbers that say who published them and in what order.
fn of(producer: u64, count: u64) -> std::ops::Range<u64> {
    producer * 100..producer * 100 + count
}

/// Each producer's numbers are all there, in its order.
fn assert_merged(seen: &[u64], counts: &[(u64, u64)]) {
    for (producer, count) in counts {
        let own: Vec<u64> = seen.iter().copied().filter(|n| n / 100 == *producer).collect();
        assert_eq!(own, of(*producer, *count).collect::<Vec<_>>(), "of {seen:?}");
    }
    assert_eq!(seen.len() as u64, counts.iter().map(|(_, count)| count).sum::<u64>());
}

fn several_each(slots: usize, count: u64) {
    let (mut first, mut dispatcher) = ring(slots).then(poller("a")).start_multi().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let mut second = first.clone();
    let publishing = thread::spawn(move || {
        assert!(try_each(&mut second, of(2, count)).is_empty(), "there is room for all");
    });
    let reading = thread::spawn(move || {
        let seen = read_some(&mut a, 2);
        (a, seen)
    });
    assert!(try_each(&mut first, of(1, count)).is_empty(), "there is room for all");
    publishing.join().unwrap();
    let (mut a, mut seen) = reading.join().unwrap();
    drop(first);
    read_to_the_end(&mut a, &mut seen);
    assert_merged(&seen, &[(1, count), (2, count)]);
}

/// The reader takes all that it finds in one go: it must stop where the first of two is missing.
fn a_gap() {
    let (mut first, mut dispatcher) = ring(2).then(poller("a").max_batch(2)).start_multi().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let mut second = first.clone();
    let publishing = thread::spawn(move || try_each(&mut second, of(2, 1)));
    let reading = thread::spawn(move || {
        let mut seen = Vec::new();
        a.poll(|number, _| seen.push(*number)).expect("nobody faults");
        (a, seen)
    });
    assert!(try_each(&mut first, of(1, 1)).is_empty(), "there is room for all");
    assert!(publishing.join().unwrap().is_empty(), "there is room for all");
    let (mut a, mut seen) = reading.join().unwrap();
    drop(first);
    read_to_the_end(&mut a, &mut seen);
    assert_merged(&seen, &[(1, 1), (2, 1)]);
}

/// One slot for three events: who gets it must have seen it free.
fn wrapping() {
    let (mut first, mut dispatcher) = ring(1).then(poller("a")).start_multi().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let mut second = first.clone();
    let publishing = thread::spawn(move || try_each(&mut second, of(2, 2)).start - 200);
    let reading = thread::spawn(move || {
        let seen = read_some(&mut a, 2);
        (a, seen)
    });
    let left = try_each(&mut first, of(1, 2));
    let by_second = publishing.join().unwrap();
    let (mut a, mut seen) = reading.join().unwrap();
    drop(first);
    read_to_the_end(&mut a, &mut seen);
    assert_merged(&seen, &[(1, left.start - 100), (2, by_second)]);
}

fn batch_against_single() {
    // From sequence 1 on, a batch of two wraps.
    let (mut first, mut dispatcher) =
        ring(2).first_sequence(1).then(poller("a")).start_multi().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let mut second = first.clone();
    let publishing = thread::spawn(move || {
        match second.try_publish_batch(2, |index, slot| *slot = 200 + index as u64) {
            Ok(range) => {
                assert_eq!(range.end - range.start, 2);
                2
            }
            Err(error) => {
                assert_eq!(error, PublishError::Full);
                0
            }
        }
    });
    let reading = thread::spawn(move || {
        let seen = read_some(&mut a, 1);
        (a, seen)
    });
    let left = try_each(&mut first, of(1, 1));
    let by_second = publishing.join().unwrap();
    let (mut a, mut seen) = reading.join().unwrap();
    drop(first);
    read_to_the_end(&mut a, &mut seen);
    assert_merged(&seen, &[(1, left.start - 100), (2, by_second)]);
    assert!(by_second == 2 || left.is_empty(), "one of the two found room");
}

fn publish_once(mut producer: MultiProducer<u64>, number: u64) -> bool {
    producer.try_publish(|slot| *slot = number).is_ok()
}

/// No station is left to keep the producers from lapping one another: they keep themselves.
fn nobody_listens() {
    let (mut first, mut dispatcher) = ring(1).then(poller("a")).start_multi().unwrap();
    drop(reader(&mut dispatcher, "a"));
    let (second, third) = (first.clone(), first.clone());
    let publishing =
        [second, third].map(|producer| thread::spawn(move || publish_once(producer, 200)));
    let mut published = u64::from(first.try_publish(|slot| *slot = 100).is_ok());
    for thread in publishing {
        published += u64::from(thread.join().unwrap());
    }
    assert!(published > 0, "an empty ring has room for one");
    assert_eq!(first.publish(|slot| *slot = 300), Ok(published), "and there is always room again");
}

/// Of two listeners side by side one is gone and the other leaves: the gate is the smaller of what
/// both come to, and what the one that leaves keeps of the prefix must not let anybody by too early.
fn two_listeners_leave() {
    let (mut first, mut dispatcher) =
        ring(1).then((poller("gone"), poller("leaves"))).start_multi().unwrap();
    drop(reader(&mut dispatcher, "gone"));
    let mut leaves = reader(&mut dispatcher, "leaves");
    let second = first.clone();
    assert_eq!(first.try_publish(|slot| *slot = 100), Ok(0));
    let leaving = thread::spawn(move || {
        let mut seen = Vec::new();
        leaves.poll(|number, _| seen.push(*number)).unwrap();
        seen
    });
    let publishing = thread::spawn(move || publish_once(second, 200));
    let mut published = 1 + u64::from(first.try_publish(|slot| *slot = 101).is_ok());
    published += u64::from(publishing.join().unwrap());
    assert_eq!(leaving.join().unwrap(), [100]);
    assert_eq!(first.publish(|slot| *slot = 300), Ok(published), "nobody is in the way");
}

/// A listener leaves while two producers want its slot.
fn the_last_listener_leaves() {
    let (mut first, mut dispatcher) = ring(1).then(poller("a")).start_multi().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let second = first.clone();
    assert_eq!(first.try_publish(|slot| *slot = 100), Ok(0));
    let leaving = thread::spawn(move || {
        let mut seen = Vec::new();
        read_now(&mut a, &mut seen);
        seen
    });
    let publishing = thread::spawn(move || publish_once(second, 200));
    let mut published = 1 + u64::from(first.try_publish(|slot| *slot = 101).is_ok());
    published += u64::from(publishing.join().unwrap());
    let seen = leaving.join().unwrap();
    assert_eq!(seen.first(), Some(&100));
    assert_eq!(first.publish(|slot| *slot = 300), Ok(published), "nobody is in the way");
}
