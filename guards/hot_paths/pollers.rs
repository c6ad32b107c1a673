//! A station at work, by hand: the same code that a thread runs, called by a poller.

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group};
use slipring::{At, Poll};

use crate::{
    EVENTS,
    limits::limited,
    ring::{Many, One, OneMut, is_changed, is_read, many_filled, one_filled, one_mut_filled},
};

const ALL: Poll = Poll::Events(EVENTS);
const TEN: usize = 10;

/// As little as a handler can do that uses both of what it is given.
#[inline]
fn use_both(event: u64, at: At<'_>) {
    black_box((event, at.sequence()));
}

#[library_benchmark(config = limited("poll"), teardown = is_read)]
#[bench::filled(one_filled())]
fn poll(mut ring: One<10>) -> One<10> {
    assert_eq!(ring.poller.poll(|event, at| use_both(event.0, at)), Ok(ALL));
    ring
}

// What a batch costs beside its events.
#[library_benchmark(config = limited("poll_10"), teardown = is_read)]
#[bench::filled(one_filled())]
fn poll_10(mut ring: One<11>) -> One<11> {
    for _ in 0..EVENTS as usize / TEN {
        let polled = ring.poller.poll_at_most(TEN, |event, at| use_both(event.0, at));
        assert_eq!(polled, Ok(Poll::Events(TEN as u64)));
    }
    ring
}

// Many producers leave a mark for each event, which has to be looked at.
#[library_benchmark(config = limited("poll_multi"), teardown = is_read)]
#[bench::filled(many_filled())]
fn poll_multi(mut ring: Many<12>) -> Many<12> {
    assert_eq!(ring.poller.poll(|event, at| use_both(event.0, at)), Ok(ALL));
    ring
}

#[library_benchmark(config = limited("poll_batch"), teardown = is_read)]
#[bench::filled(one_filled())]
fn poll_batch(mut ring: One<13>) -> One<13> {
    let polled = ring.poller.poll_batch(|events, _| {
        black_box(events);
    });
    assert_eq!(polled, Ok(ALL));
    ring
}

#[library_benchmark(config = limited("read"), teardown = is_read)]
#[bench::filled(one_filled())]
fn read(mut ring: One<14>) -> One<14> {
    let mut batch = ring.poller.read().expect("there are events");
    while let Some(event) = batch.next() {
        black_box(event.0);
    }
    drop(batch);
    ring
}

#[library_benchmark(config = limited("poll_mut"), teardown = is_changed)]
#[bench::filled(one_mut_filled())]
fn poll_mut(mut ring: OneMut<15>) -> OneMut<15> {
    let polled = ring.poller.poll(|event, at| {
        event.0 += 1;
        use_both(event.0, at);
    });
    assert_eq!(polled, Ok(ALL));
    ring
}

#[library_benchmark(config = limited("poll_batch_mut"), teardown = is_changed)]
#[bench::filled(one_mut_filled())]
fn poll_batch_mut(mut ring: OneMut<16>) -> OneMut<16> {
    let polled = ring.poller.poll_batch(|events, _| {
        black_box(events);
    });
    assert_eq!(polled, Ok(ALL));
    ring
}

library_benchmark_group!(name = shared, benchmarks = [poll, poll_10, poll_multi, poll_batch, read]);

library_benchmark_group!(name = exclusive, benchmarks = [poll_mut, poll_batch_mut]);
