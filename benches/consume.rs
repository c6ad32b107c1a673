//! What does an event cost a consumer?
//!
//! One thread fills the ring while the clock stands, then polls what is there. The handler looks at
//! the first word of each event and adds it up. Everything is in this core's own caches and nobody
//! waits: what is left is the library's own work, and the handler's.
//!
//! * `consume_single`, `consume_multi`: the ring's kind of producer, because a station that follows
//!   many looks at the mark of each slot.
//! * `poll`: a call for each event; `poll_10`: the same in batches of 10; `read`: `Poller::read`, event
//!   by event; `slice`: `poll_batch`. With `_mut` the poller changes each event.
//! * The last number is the bytes of an event.
//!
//! Time is of one event. All but `poll_10` get 4,000 events at a time, so what a batch costs is not
//! in them: it is ten times the difference between `poll_10` and `poll`. `slice` is mostly the
//! handler. A station's thread does the same as `poll`, and waits besides: see `handover`.

mod ring;
mod suite;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{BenchmarkGroup, BenchmarkId, Criterion, measurement::WallTime};
use slipring::{Claim, Poll, Poller, PollerMut, Single, poller_mut};
use slipring_bench::event::{Payload, Words};

use crate::ring::{CHUNK, Reading, Ring, STATION};

const ALL: Poll = Poll::Events(CHUNK as u64);
const TEN: usize = 10;

fn main() {
    suite::run(&[consume]);
}

fn consume(criterion: &mut Criterion) {
    let mut group = suite::group(criterion, "consume_single");
    reads(&mut group, ring::single::<1>);
    reads(&mut group, ring::single::<8>);
    changes::<1>(&mut group);
    changes::<8>(&mut group);
    group.finish();
    let mut group = suite::group(criterion, "consume_multi");
    reads(&mut group, ring::multi::<1>);
    reads(&mut group, ring::multi::<8>);
    group.finish();
}

/// All ways to read, each on a ring of its own.
fn reads<C: Claim, const WORDS: usize>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    ring: fn() -> Reading<C, WORDS>,
) {
    measure(group, "poll", ring(), |poller: &mut Poller<Words<WORDS>>| {
        let mut sum = 0;
        assert_eq!(poller.poll(|event, _| add(&mut sum, event)), Ok(ALL));
        sum
    });
    measure(group, "poll_10", ring(), |poller: &mut Poller<Words<WORDS>>| {
        let mut sum = 0;
        for _ in 0..CHUNK / TEN {
            let polled = poller.poll_at_most(black_box(TEN), |event, _| add(&mut sum, event));
            assert_eq!(polled, Ok(Poll::Events(TEN as u64)));
        }
        sum
    });
    measure(group, "read", ring(), |poller: &mut Poller<Words<WORDS>>| {
        let mut sum = 0;
        let mut batch = poller.read().expect("the ring was filled");
        while let Some(event) = batch.next() {
            add(&mut sum, event);
        }
        sum
    });
    measure(group, "slice", ring(), |poller: &mut Poller<Words<WORDS>>| {
        let mut sum = 0;
        let polled = poller.poll_batch(|events, _| {
            for event in events {
                add(&mut sum, event);
            }
        });
        assert_eq!(polled, Ok(ALL));
        sum
    });
}

/// All ways to change events, each on a ring of its own.
fn changes<const WORDS: usize>(group: &mut BenchmarkGroup<'_, WallTime>) {
    measure(group, "poll_mut", changing(), |poller: &mut PollerMut<Words<WORDS>>| {
        let mut sum = 0;
        assert_eq!(poller.poll(|event, _| change(&mut sum, event)), Ok(ALL));
        sum
    });
    measure(group, "slice_mut", changing(), |poller: &mut PollerMut<Words<WORDS>>| {
        let mut sum = 0;
        let polled = poller.poll_batch(|events, _| {
            for event in events {
                change(&mut sum, event);
            }
        });
        assert_eq!(polled, Ok(ALL));
        sum
    });
}

fn changing<const WORDS: usize>() -> Ring<Single, PollerMut<Words<WORDS>>, WORDS> {
    let (producer, mut dispatcher) =
        ring::slots(poller_mut(STATION)).start().expect("a valid ring");
    let station = dispatcher.poller_mut(STATION).expect("it was declared");
    Ring { producer, station, _dispatcher: dispatcher }
}

fn add<const WORDS: usize>(sum: &mut u64, event: &Words<WORDS>) {
    *sum = sum.wrapping_add(event.0[0]);
}

fn change<const WORDS: usize>(sum: &mut u64, event: &mut Words<WORDS>) {
    add(sum, event);
    event.0[0] = *sum;
}

/// Times `consume`, which takes a chunk and gives its sum.
fn measure<C: Claim, S, const WORDS: usize>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    way: &str,
    mut ring: Ring<C, S, WORDS>,
    consume: impl Fn(&mut S) -> u64,
) {
    const SUM: u64 = CHUNK as u64 * (CHUNK as u64 - 1) / 2;
    let id = BenchmarkId::new(way, size_of::<Words<WORDS>>());
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|events| {
            let chunks = events.div_ceil(CHUNK as u64);
            let mut spent = Duration::ZERO;
            for _ in 0..chunks {
                let write = |index, slot: &mut Words<WORDS>| slot.write(index as u64);
                ring.producer.publish_batch(CHUNK, write).expect("the ring is open and empty");
                let begun = Instant::now();
                let sum = consume(&mut ring.station);
                spent += begun.elapsed();
                assert_eq!(sum, SUM, "every event once");
            }
            suite::share(spent, events, chunks * CHUNK as u64)
        });
    });
}
