//! What does a publish cost when nobody is in the way?
//!
//! One thread publishes into a ring that always has room, and a poller on the same thread drains it
//! while the clock stands. No cache line travels and nobody waits: what is left is the library's own
//! work, and the writing of the event.
//!
//! * `publish_single`, `publish_multi`: the ring's kind of producer.
//! * `one`: `publish`; `batch_N`: `publish_batch` of N; `slice_100`: `publish_slice` of 100.
//! * The last number is the bytes of an event.
//!
//! Time is of one event. `batch_1` beside `one` is what the form for batches costs more; the larger
//! batches show how it is shared. Between 8 and 64 bytes lies the writing. Between single and multi
//! lie the claim by compare-and-swap and the mark of each slot; what competitors add is asked in
//! `claim`, and what the other thread adds in `handover`.

mod ring;
mod suite;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{BenchmarkGroup, BenchmarkId, Criterion, measurement::WallTime};
use slipring::{Claim, Poll, Producer};
use slipring_bench::event::{Payload, Words};

use crate::ring::{CHUNK, Reading};

const OPEN: &str = "the ring is open and has room";
const HUNDRED: usize = 100;
const BATCHES: [usize; 3] = [1, 10, HUNDRED];

fn main() {
    suite::run(&[publish]);
}

fn publish(criterion: &mut Criterion) {
    let mut group = suite::group(criterion, "publish_single");
    forms(&mut group, ring::single::<1>);
    forms(&mut group, ring::single::<8>);
    group.finish();
    let mut group = suite::group(criterion, "publish_multi");
    forms(&mut group, ring::multi::<1>);
    forms(&mut group, ring::multi::<8>);
    group.finish();
}

/// All forms of publication, each on a ring of its own.
fn forms<C: Claim, const WORDS: usize>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    ring: fn() -> Reading<C, WORDS>,
) {
    measure(group, "one", ring(), |producer, first| {
        for value in first..first + CHUNK as u64 {
            producer.publish(|slot| slot.write(value)).expect(OPEN);
        }
    });
    for size in BATCHES {
        measure(group, &format!("batch_{size}"), ring(), |producer, first| {
            for first in (first..first + CHUNK as u64).step_by(size) {
                let write = |index, slot: &mut Words<WORDS>| slot.write(first + index as u64);
                // The size is not known to the compiler, as it is not to most callers.
                producer.publish_batch(black_box(size), write).expect(OPEN);
            }
        });
    }
    let events = [Words::default(); HUNDRED];
    measure(group, "slice_100", ring(), |producer, _| {
        for _ in 0..CHUNK / HUNDRED {
            producer.publish_slice(black_box(&events)).expect(OPEN);
        }
    });
}

/// Times `publish`, which publishes a chunk from the given value on.
fn measure<C: Claim, const WORDS: usize>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    form: &str,
    mut ring: Reading<C, WORDS>,
    publish: impl Fn(&mut Producer<Words<WORDS>, C>, u64),
) {
    let id = BenchmarkId::new(form, size_of::<Words<WORDS>>());
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|events| {
            let chunks = events.div_ceil(CHUNK as u64);
            let mut spent = Duration::ZERO;
            for chunk in 0..chunks {
                let begun = Instant::now();
                publish(&mut ring.producer, chunk * CHUNK as u64);
                spent += begun.elapsed();
                let drained = ring.station.poll(|_, _| ());
                assert_eq!(drained, Ok(Poll::Events(CHUNK as u64)));
            }
            suite::share(spent, events, chunks * CHUNK as u64)
        });
    });
}
