//! Publishing into an empty ring, and into a full one.

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group};
use slipring::{MultiProducer, Producer, PublishError};

use crate::{
    EVENTS,
    limits::limited,
    ring::{Event, Many, One, holds_events, many, many_full, one, one_full},
};

const OPEN: &str = "the ring is open and has room";
const TEN: usize = 10;
const HUNDRED: usize = 100;

#[library_benchmark(config = limited("publish"), teardown = holds_events)]
#[bench::empty(one())]
fn publish(mut ring: One<0>) -> One<0> {
    for event in 0..EVENTS {
        ring.producer.publish(|slot| slot.0 = event).expect(OPEN);
    }
    ring
}

#[library_benchmark(config = limited("try_publish"), teardown = holds_events)]
#[bench::empty(one())]
fn try_publish(mut ring: One<1>) -> One<1> {
    for event in 0..EVENTS {
        ring.producer.try_publish(|slot| slot.0 = event).expect(OPEN);
    }
    ring
}

#[library_benchmark(config = limited("publish_batch_10"), teardown = holds_events)]
#[bench::empty(one())]
fn publish_batch_10(mut ring: One<2>) -> One<2> {
    publish_in_batches(&mut ring.producer, TEN);
    ring
}

#[library_benchmark(config = limited("publish_batch_100"), teardown = holds_events)]
#[bench::empty(one())]
fn publish_batch_100(mut ring: One<3>) -> One<3> {
    publish_in_batches(&mut ring.producer, HUNDRED);
    ring
}

#[library_benchmark(config = limited("publish_slice_100"), teardown = holds_events)]
#[bench::empty(one())]
fn publish_slice_100(mut ring: One<4>) -> One<4> {
    let events = [Event(7); HUNDRED];
    for _ in 0..EVENTS as usize / HUNDRED {
        ring.producer.publish_slice(black_box(&events)).expect(OPEN);
    }
    ring
}

#[library_benchmark(config = limited("try_publish_full"))]
#[bench::full(one_full())]
fn try_publish_full(mut ring: One<5>) -> One<5> {
    for event in 0..EVENTS {
        let refused = ring.producer.try_publish(|slot| slot.0 = event);
        assert!(matches!(refused, Err(PublishError::Full)));
    }
    ring
}

#[library_benchmark(config = limited("multi_publish"), teardown = holds_events)]
#[bench::empty(many())]
fn multi_publish(mut ring: Many<6>) -> Many<6> {
    for event in 0..EVENTS {
        ring.producer.publish(|slot| slot.0 = event).expect(OPEN);
    }
    ring
}

#[library_benchmark(config = limited("multi_publish_batch_10"), teardown = holds_events)]
#[bench::empty(many())]
fn multi_publish_batch_10(mut ring: Many<7>) -> Many<7> {
    for first in (0..EVENTS).step_by(TEN) {
        let write = |index, slot: &mut Event<7>| slot.0 = first + index as u64;
        ring.producer.publish_batch(black_box(TEN), write).expect(OPEN);
    }
    ring
}

// Two handles take turns: each finds its guess wrong, learns where the claims stand from the lost
// exchange, backs off, and claims.
#[library_benchmark(config = limited("multi_publish_in_turn"), teardown = holds_events)]
#[bench::empty(two())]
fn multi_publish_in_turn((mut ring, mut other): (Many<8>, MultiProducer<Event<8>>)) -> Many<8> {
    for event in (0..EVENTS).step_by(2) {
        other.publish(|slot| slot.0 = event).expect(OPEN);
        ring.producer.publish(|slot| slot.0 = event).expect(OPEN);
    }
    ring
}

#[library_benchmark(config = limited("multi_try_publish_full"))]
#[bench::full(many_full())]
fn multi_try_publish_full(mut ring: Many<9>) -> Many<9> {
    for event in 0..EVENTS {
        let refused = ring.producer.try_publish(|slot| slot.0 = event);
        assert!(matches!(refused, Err(PublishError::Full)));
    }
    ring
}

/// The size is not known to the compiler, as it is not to most callers.
#[inline]
fn publish_in_batches<const PATH: usize>(producer: &mut Producer<Event<PATH>>, size: usize) {
    for first in (0..EVENTS).step_by(size) {
        let write = |index, slot: &mut Event<PATH>| slot.0 = first + index as u64;
        producer.publish_batch(black_box(size), write).expect(OPEN);
    }
}

/// The second handle is counted as well when it goes: it lives as long as the pair.
fn two<const PATH: usize>() -> (Many<PATH>, MultiProducer<Event<PATH>>) {
    let ring = many();
    let other = ring.producer.clone();
    (ring, other)
}

library_benchmark_group!(
    name = single,
    benchmarks = [
        publish,
        try_publish,
        publish_batch_10,
        publish_batch_100,
        publish_slice_100,
        try_publish_full
    ]
);

library_benchmark_group!(
    name = multi,
    benchmarks =
        [multi_publish, multi_publish_batch_10, multi_publish_in_turn, multi_try_publish_full]
);
