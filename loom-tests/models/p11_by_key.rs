//! p11, by key: of a station with workers, each event is handled by the one that its key says, in order.

use std::sync::{Arc, Mutex};

use slipring::{At, Builder, Wait, keyed_mut, model::Fences, poller};

use crate::{
    harness::Model,
    shapes::{read_some, read_to_the_end, reader, ring},
};

pub const MODELS: &[Model] = &[
    team("by_key_one_each", (3, 2, 2), one_each),
    // A worker that finds another one at it looks again, which makes the search long.
    team("by_key_a_producer", (3, 1, 2), a_producer).bounded(0).full_bounded(0),
    team("by_key_a_follower", (3, 2, 2), a_follower),
];

/// As in `p11.rs`: the fences that order less are enough, and one preemption.
const fn team(name: &'static str, size: (u8, u8, u8), body: fn()) -> Model {
    let model = Model::exhaustive("p11", name, size, body).bounded(1).full_bounded(1);
    Model { fences: &[Fences::Asymmetric], ..model }
}

/// What was done, in any order. It orders nothing: a model must not learn from it.
type Log = Arc<Mutex<Vec<(u64, usize)>>>;

/// A team of two, who have the even and the odd numbers, or the other way round.
fn with_team(ring: Builder<u64>, log: &Log) -> Builder<u64> {
    let work = |worker| {
        let log = Arc::clone(log);
        move |number: &mut u64, _: At<'_>| {
            log.lock().expect("nobody panics with it").push((*number, worker));
            *number += 100;
        }
    };
    ring.then(keyed_mut("stamp", 2, |number: &u64| *number, work))
}

fn check(log: &Log, events: u64) {
    let mut done = std::mem::take(&mut *log.lock().expect("nobody panics with it"));
    done.sort_unstable();
    assert!(done.iter().map(|(number, _)| *number).eq(10..10 + events));
}

fn publish_all(slots: usize, events: u64) {
    let log = Log::default();
    let (mut producer, dispatcher) =
        with_team(ring(slots).wait(Wait::Block), &log).start().unwrap();
    for number in 10..10 + events {
        producer.publish(|slot| *slot = number).unwrap();
    }
    drop(producer);
    let report = dispatcher.join().unwrap();
    check(&log, events);
    let stamp = report.station("stamp").unwrap();
    assert_eq!((stamp.handled, stamp.left), (events, 0));
}

fn one_each() {
    publish_all(2, 2);
}

fn a_producer() {
    publish_all(1, 2);
}

fn a_follower() {
    let log = Log::default();
    let ring = with_team(ring(2).wait(Wait::Block), &log).then(poller("check").max_batch(2));
    let (mut producer, mut dispatcher) = ring.start().unwrap();
    let mut reading = reader(&mut dispatcher, "check");
    producer.publish_batch(2, |index, slot| *slot = 10 + index as u64).unwrap();
    let mut seen = read_some(&mut reading, 1);
    drop(producer);
    dispatcher.join().unwrap();
    check(&log, 2);
    read_to_the_end(&mut reading, &mut seen);
    assert_eq!(seen, [110, 111]);
}
